"""What a build found, so that the next one reads only files that changed since: as git's index (spec/storage.md, STO-24).

Derived data: without it all files are read. A file is taken for unchanged where its size, times and inode are those of
the last build, and older than that build: what changes in the moment of a build (or a little earlier, as clocks of file
systems are coarse) is read again. What it was compiled to is only used where it is stored whole: the newest commit holds it
(STO-9), or all of it was looked for. So no gc can take it from under a build, and one that was broken off, or refused what it
had made, goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from dpkg.arrow.options import ColumnRule, ReadOptions, Widened
from dpkg.compiler import derived
from dpkg.compiler.compile import Compiled, Read, Report, compile_plan, given
from dpkg.compiler.plan import UNKNOWN, size_in, times_in
from dpkg.errors import Corrupt, DpkgError, NotFound
from dpkg.index import walk
from dpkg.oid import Oid
from dpkg.reaching import Objects

if TYPE_CHECKING:
    from dpkg.compiler.plan import Item, Plan
    from dpkg.odb import Odb

OPTION_FIELDS = fields(ReadOptions)
STAT_CACHES = "derived/stat-cache/"
READING = "1"  # to be changed when the same file gives another table than before
_FORM = 3
_STAMP, _OID = 32, 32  # bytes
_Table = tuple[int, int, tuple[Widened, ...], tuple[Read, ...]]  # rows, bytes, what was widened, its files
_SECOND = 1_000_000_000  # ns
_COARSE, _FINE = (
    2 * _SECOND,
    _SECOND // 10,
)  # a file system's clock is no coarser: FAT's; one that shows parts of a second


def stat_cache_key(package: str) -> str:
    """Where what the newest build of a package found is kept: one value, wherever it was built, so that they do not pile up."""
    return f"{STAT_CACHES}{blake3(package.encode()).hexdigest()}"


def compile_changed(odb: Odb, plan: Plan, package: str, tip: Oid | None) -> Report:
    """As `compile_plan`, but what is stored is not read again, such as what is in `tip`, the tree of the package's newest commit.

    Where nothing changed that tree is the result, and is not even built.
    """
    key = stat_cache_key(package)
    cache = StatCache.load(odb, key, plan.path)
    names = _names(plan)
    shape = _shape(plan, names)
    known = [done or given(item) for item, done in zip(plan.items, cache.known(odb, plan, names, tip), strict=True)]
    derived.settle(odb, plan.items, known)
    if tip is not None and tip == cache.tree and shape == cache.shape and None not in known:
        return Report(tip, tuple(done for done in known if done is not None))
    del names, cache  # of a million files they are large

    def keep(entries: Sequence[Compiled | None], stamps: Sequence[bytes], tree: str = "") -> None:
        old = [
            stamp if derived.is_query(item) or _is_old(stamp, plan.began) else UNKNOWN
            for item, stamp in zip(plan.items, stamps, strict=True)
        ]
        made = StatCache.made(_names(plan), entries, old, tree, shape)
        with suppress(DpkgError):  # it is of use, not needed
            odb.backend.put(key, made.encode(plan.path))

    report = compile_plan(odb, plan, known, keep)
    keep(report.entries, report.stamps, report.tree)
    return report


class StatCache:
    """For each source of a build its stamp, and what it was compiled to; the tree of that build, and the plan's shape.

    There is no tree of a build that was broken off, and nothing of the sources that it had not read.
    """

    def __init__(
        self,
        tree: str = "",
        shape: str = "",
        names: Sequence[str] = (),
        records: bytes | bytearray = b"",
        tables: Mapping[str, _Table] | None = None,
    ) -> None:
        """`names` of sources, the stamp and oid of each as `records`; more of tables, by name."""
        self.tree, self.shape = tree, shape
        self._names, self._records, self._tables = names, records, tables or {}

    @classmethod
    def made(
        cls, names: Sequence[str], entries: Sequence[Compiled | None], stamps: Sequence[bytes], tree: str, shape: str
    ) -> StatCache:
        """Of a build."""
        records = bytearray()
        for stamp, entry in zip(stamps, entries, strict=True):
            records += stamp if entry else UNKNOWN
            records += entry.oid.raw if entry else bytes(_OID)
        tables = {
            name: (e.rows, e.bytes, e.widened, e.read)
            for name, e in zip(names, entries, strict=True)
            if e and e.type == "table"
        }
        return cls(tree, shape, names, records, tables)

    def encode(self, path: str) -> bytes:
        """A line of JSON with the `path` that was built, the names with a zero byte between two, the records, and their digest."""
        names = "\0".join(self._names).encode(errors="surrogateescape")
        tables = {
            name: (rows, size, [_plain(w) for w in widened], [(r.blake3, r.bytes) for r in read])
            for name, (rows, size, widened, read) in self._tables.items()
        }
        head = {
            "form": _FORM,
            "names": len(names),
            "path": path,
            "shape": self.shape,
            "tables": tables,
            "tree": self.tree,
        }
        out = BytesIO()  # of a million files the parts are large: no more copies than needed
        out.writelines((json.dumps(head).encode(), b"\n", names, self._records))
        out.write(blake3(out.getbuffer()).digest())
        return out.getvalue()

    @classmethod
    def load(cls, odb: Odb, key: str, path: str) -> StatCache:
        """The one under `key`; an empty one where it is missing, damaged, of another form, or of a build of another path."""
        try:
            return cls.decode(odb.backend.get(key), path)
        except (DpkgError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()

    @classmethod
    def decode(cls, data: bytes, path: str) -> StatCache:
        """What `encode` gave. Raises ValueError, TypeError, KeyError for anything else."""
        if blake3(data[:-_OID]).digest() != data[-_OID:]:
            raise ValueError("damaged")
        end = data.index(b"\n") + 1
        head = json.loads(data[:end])
        if (head["form"], head["path"]) != (_FORM, path):
            raise ValueError("another form, or of another path")
        names = data[end : end + head["names"]].decode(errors="surrogateescape").split("\0")
        records = data[end + head["names"] : -_OID]
        if len(records) != len(names) * (_STAMP + _OID):
            raise ValueError("damaged")
        tables = {
            name: (int(rows), int(size), tuple(Widened(*w) for w in widened), _read(read))
            for name, (rows, size, widened, read) in head["tables"].items()
        }
        return cls(head["tree"], head["shape"], names, records, tables)

    def known(self, odb: Odb, plan: Plan, names: Sequence[str], tip: Oid | None) -> list[Compiled | None]:
        """For each item of a plan what it was compiled to, if its file is unchanged and the tree `tip`, or else the store, holds that."""
        held = None if tip is not None and tip == self.tree else _oids_below(odb, tip)
        places: Sequence[int] | range = range(len(names))
        if names == self._names:
            self._names = names  # of a million files one list is enough
        else:
            index = {name: i for i, name in enumerate(self._names)}
            places = [index.get(name, -1) for name in names]
        found = [self._find(*each) for each in zip(plan.items, names, places, strict=True)]
        if held is not None:
            found = [done if done and (done.oid in held or _is_whole(odb, done)) else None for done in found]
        for i, item in enumerate(plan.items):
            if derived.is_query(item):  # whether it holds shows once its inputs are known
                derived.remember(item, self._stamp(places[i]), found[i])
                found[i] = None
        return found

    def _stamp(self, place: int) -> bytes:
        start = place * (_STAMP + _OID)
        return bytes(self._records[start : start + _STAMP])

    def _find(self, item: Item, name: str, place: int) -> Compiled | None:
        if place < 0 or ((self._stamp(place) != item.stamp or item.stamp == UNKNOWN) and not derived.is_query(item)):
            return None
        start = place * (_STAMP + _OID) + _STAMP
        oid = Oid.of(bytes(self._records[start : start + _OID]))
        if item.format is None:
            path = name if name == item.name else item.name
            return Compiled(path, "blob", oid, 0, size_in(item.stamp), item.source)
        if name not in self._tables:
            return None
        rows, size, widened, read = self._tables[name]
        return Compiled(item.name, "table", oid, rows, size, item.source, widened, read)


def _read(said: list[tuple[str, int]]) -> tuple[Read, ...]:
    return tuple(Read(Oid(digest), int(size)) for digest, size in said)


def _is_old(stamp: bytes, began: int) -> bool:
    """Whether a file was changed so long before `began` that any later change shows in its stamp."""
    modified, changed = times_in(stamp)
    return max(modified, changed) < began - (_FINE if changed % _SECOND else _COARSE)


def _oids_below(odb: Odb, tree: Oid | None) -> set[Oid]:
    """What a tree holds; nothing where it cannot be read."""
    if tree is None:
        return set()
    try:
        return {entry.oid for _, entry in walk(odb, tree)}
    except (NotFound, Corrupt):
        return set()


def _is_whole(odb: Odb, entry: Compiled) -> bool:
    """Whether all that an entry is made of is stored."""
    try:
        return all(
            odb.has_fragment(oid) if kind == "fragment" else odb.has(oid)
            for kind, oid in Objects(odb).entry(entry.type, entry.oid, entry.bytes)
        )
    except (NotFound, Corrupt):
        return False


def _names(plan: Plan) -> list[str]:
    """Each source, below `prefix` if it is there, and how it is read."""
    return [
        item.source.removeprefix(plan.prefix)
        if item.format is None
        else f"{item.source.removeprefix(plan.prefix)}/{_reading(item)}"
        for item in plan.items
    ]


def _reading(item: Item) -> str:
    """What decides what a table becomes beside its file's bytes, as a digest."""
    if item.options is None and item.origin is None:
        return _usual(item.format, item.key)
    options = None if item.options is None else [[f.name, _said(getattr(item.options, f.name))] for f in OPTION_FIELDS]
    origin = [] if item.origin is None else [type(item.origin).__name__, item.origin.said()]
    return _digest(item.format, item.key, options, *origin)


def _said(value: Any) -> Any:
    """An option's value as JSON: of whatever kind it is, another one for another meaning."""
    if isinstance(value, Mapping):
        return [[name, *_said(rule)] for name, rule in value.items()]
    if isinstance(value, ColumnRule):
        return [value.name, str(value.type), value.format]
    if isinstance(value, frozenset):
        return sorted(value)
    return value


@lru_cache(64)
def _usual(format: str | None, key: tuple[str, ...]) -> str:
    return _digest(format, key, None)


def _digest(*said: Any) -> str:
    from dpkg import __version__

    return blake3(json.dumps([READING, __version__, said]).encode()).hexdigest()


def _shape(plan: Plan, names: Sequence[str]) -> str:
    """All that decides the tree beside what the files hold, as a digest."""
    hasher = blake3()
    for item, name in zip(plan.items, names, strict=True):
        hasher.update(f"{item.name}\0{name}\0{_text(item)}\0\0".encode(errors="surrogatepass"))
    for path, item in plan.folders.items():
        hasher.update(f"{'/'.join(path)}\0{_text(item)}\0\0".encode(errors="surrogatepass"))
    return hasher.hexdigest()


def _plain(widened: Widened) -> list[Any]:
    return [getattr(widened, f.name) for f in fields(Widened)]


def _text(item: Item) -> str:
    return "" if item.meta is None else json.dumps(item.meta, sort_keys=True)
