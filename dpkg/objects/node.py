"""Index nodes and their entries (spec/index.md): the pieces of a tree's names and of a table's fragments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dpkg.errors import Format
from dpkg.objects import canonical_json
from dpkg.oid import Oid

if TYPE_CHECKING:
    from typing import Any

MAX_ENTRIES, MAX_BYTES, MAX_LEVELS, MAX_NAME = 1024, 1 << 20, 16, 1024
TREE, FRAGMENTS = "tree", "fragments"
_COUNT_LIMIT = 2**53 - 1
_FRAME_BYTES = len('{"entries":[],"kind":"fragments","level":0,"stats":""}') + 64  # of a node beside its entries
_BY_TYPE = {
    "blob": set[str](),
    "table": {"rows"},
    "tree": {"rows", "entries"},
}  # members of a tree's entry beside those of all
Bytes = bytes  # in the classes below `bytes` is a member


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name of a tree: a blob, table or tree. `entries` counts a tree's names, `rows` those of tables below."""

    name: str
    type: str
    oid: Oid
    bytes: int
    rows: int = 0
    entries: int = 0
    meta: Oid | None = None

    @property
    def json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"bytes": self.bytes, "name": self.name, "oid": self.oid, "type": self.type}
        if self.type != "blob":
            out["rows"] = self.rows
        if self.type == "tree":
            out["entries"] = self.entries
        if self.meta:
            out["meta"] = self.meta
        return out

    def encode(self) -> Bytes:
        """Canonical JSON. That of a plain blob, of which there are many, is written by hand."""
        if self.type != "blob" or self.meta or not 0 <= self.bytes <= _COUNT_LIMIT:
            return canonical_json.encode(self.json)
        name = canonical_json.encode_string(self.name)
        return b'{"bytes":%d,"name":%s,"oid":"%s","type":"blob"}' % (self.bytes, name, self.oid.encode())

    @property
    def key(self) -> str:
        return self.name

    @property
    def key_bytes(self) -> Bytes:
        return self.name.encode()

    @property
    def counts(self) -> tuple[int, int, int]:
        """(entries, rows, bytes) that this adds to the node above."""
        return 1, self.rows, self.bytes


@dataclass(frozen=True, slots=True)
class FragmentEntry:
    """One fragment of a table."""

    oid: Oid
    rows: int
    bytes: int  # row bytes (ROW-1)

    @property
    def json(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "oid": self.oid, "rows": self.rows}

    def encode(self) -> Bytes:
        """Canonical JSON."""
        return canonical_json.encode(self.json)

    @property
    def key(self) -> str:
        return self.oid

    @property
    def key_bytes(self) -> Bytes:
        return self.oid.raw

    @property
    def counts(self) -> tuple[int, int, int]:
        return 1, self.rows, self.bytes


@dataclass(frozen=True, slots=True)
class InnerEntry:
    """One node of the level below. `key` is that of the last entry under it: a name, or a fragment's oid."""

    key: str
    oid: Oid
    entries: int
    rows: int
    bytes: int
    kind: str

    @property
    def json(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "entries": self.entries, "key": self.key, "oid": self.oid, "rows": self.rows}

    def encode(self) -> Bytes:
        """Canonical JSON."""
        return canonical_json.encode(self.json)

    @property
    def key_bytes(self) -> Bytes:
        return self.key.encode() if self.kind == TREE else bytes.fromhex(self.key)

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.entries, self.rows, self.bytes


Entry = TreeEntry | FragmentEntry | InnerEntry


@dataclass(frozen=True, slots=True)
class Node:
    """A decoded node. `stats` is the statistics fragment of a level-0 node of fragments, else None."""

    kind: str
    level: int
    entries: tuple[Any, ...]
    stats: Oid | None = None

    def encode(self) -> bytes:
        """Canonical JSON. Entries are joined by hand, as the builder measures each (IDX-3)."""
        return join(self.kind, self.level, [e.encode() for e in self.entries], self.stats)

    @classmethod
    def decode(cls, data: bytes) -> Node:
        """The node written as `data`. Raises Format for anything that IDX-1 to IDX-4 do not allow."""
        if len(data) > MAX_BYTES + _FRAME_BYTES:
            raise Format("a node is larger than 1 MiB")
        value = canonical_json.decode(data)
        if not isinstance(value, dict):
            raise Format("a node is not an object")
        kind, level = value.get("kind"), value.get("level")
        leaf_of_fragments = kind == FRAGMENTS and level == 0
        if set(value) != {"entries", "kind", "level", *(["stats"] if leaf_of_fragments else [])}:
            raise Format("a node has unknown or missing members")
        if kind not in (TREE, FRAGMENTS) or type(level) is not int or not 0 <= level < MAX_LEVELS:
            raise Format("a node is of an unknown kind or level")
        raw = value["entries"]
        if not isinstance(raw, list) or len(raw) > MAX_ENTRIES or (level and not raw):
            raise Format("a node has no entries, or too many")
        parse = _inner(kind) if level else (_tree_entry if kind == TREE else _fragment_entry)
        entries = tuple(parse(e) for e in raw)
        if kind == TREE and any(a.key_bytes >= b.key_bytes for a, b in pairwise(entries)):
            raise Format("a tree's names are not in order")
        stats = value.get("stats")
        if leaf_of_fragments and (stats is None) != (not entries):
            raise Format("a node of fragments does not name its statistics")
        return cls(kind, level, entries, _oid(stats) if stats is not None else None)


def sums(entries: Iterable[Entry]) -> tuple[int, int, int]:
    """(entries, rows, bytes) below some entries."""
    counts = [e.counts for e in entries]
    return sum(c[0] for c in counts), sum(c[1] for c in counts), sum(c[2] for c in counts)


def join(kind: str, level: int, entries: list[bytes], stats: Oid | None) -> bytes:
    """A node's canonical JSON from that of its entries."""
    tail = ""
    if kind == FRAGMENTS and level == 0:
        tail = f',"stats":"{stats}"' if stats else ',"stats":null'
    return b'{"entries":[%s],"kind":"%s","level":%d%s}' % (b",".join(entries), kind.encode(), level, tail.encode())


def check_name(name: str) -> str:
    """A tree entry's name, if it is one (IDX-1). Raises Format."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise Format(f"the name {name!r} is not valid UTF-8", "rename the file") from None
    if not 1 <= size <= MAX_NAME or "/" in name or "\0" in name or name in (".", ".."):
        raise Format(
            f"{name[:200]!r} is not a name that a package can hold",
            "names have 1 to 1,024 bytes, no '/', and are not '.' or '..'",
        )
    return name


def _oid(value: Any) -> Oid:
    if not isinstance(value, str):
        raise Format("an object id is not a string")
    return Oid(value)


def _counts(value: Any, *names: str) -> list[int]:
    out = [value.get(n) for n in names]
    if any(type(x) is not int or not 0 <= x <= _COUNT_LIMIT for x in out):
        raise Format("a node's entry has a missing or negative count")
    return out


def _members(value: Any, names: set[str]) -> None:
    if not isinstance(value, dict) or set(value) - {"meta"} != names:
        raise Format("a node's entry has unknown or missing members")


def _tree_entry(value: Any) -> TreeEntry:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _BY_TYPE:
        raise Format("a tree's entry is neither blob, table nor tree")
    _members(value, {"bytes", "name", "oid", "type"} | _BY_TYPE[kind])
    if not isinstance(value["name"], str):
        raise Format("a tree's entry has no name")
    size, rows, entries = _counts({"rows": 0, "entries": 0, **value}, "bytes", "rows", "entries")
    meta = _oid(value["meta"]) if "meta" in value else None
    return TreeEntry(check_name(value["name"]), kind, _oid(value["oid"]), size, rows, entries, meta)


def _fragment_entry(value: Any) -> FragmentEntry:
    _members(value, {"bytes", "oid", "rows"})
    if "meta" in value:
        raise Format("a fragment has no metadata")
    size, rows = _counts(value, "bytes", "rows")
    return FragmentEntry(_oid(value["oid"]), rows, size)


def _inner(kind: str) -> Callable[[Any], InnerEntry]:
    def parse(value: Any) -> InnerEntry:
        _members(value, {"bytes", "entries", "key", "oid", "rows"})
        size, entries, rows = _counts(value, "bytes", "entries", "rows")
        key = value["key"]
        if not isinstance(key, str) or "meta" in value:
            raise Format("an inner entry has no key")
        return InnerEntry(check_name(key) if kind == TREE else Oid(key), _oid(value["oid"]), entries, rows, size, kind)

    return parse
