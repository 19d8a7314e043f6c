"""Checking a store: each stored file byte for byte, each ref log, and that each commit has all it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from dpkg import progress
from dpkg.copying import copy_blob, copy_fragment, copy_object
from dpkg.errors import Corrupt, DpkgError, NotFound
from dpkg.index.reader import child, read_node
from dpkg.objects import frame, pack
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry
from dpkg.odb import Odb, fragment_key, object_key
from dpkg.odb.layout import OBJECTS, oid_of_key, pack_key
from dpkg.odb.packfile import check_frame
from dpkg.oid import Oid
from dpkg.repository import read_commit
from dpkg.store.local import LocalBackend
from dpkg.transfer import MAX_DEPTH, Counts, agree, sums

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.objects.chunks import ChunkList
    from dpkg.refs import RefEntry
    from dpkg.repository import Repository

T = TypeVar("T")
U = TypeVar("U")
WORKERS = 4
_BATCH = 512


class _Reading(Odb):
    """An odb that keeps account of what was read of it: that is what was checked."""

    def __init__(self, odb: Odb) -> None:
        super().__init__(odb.backend)
        self.objects: set[Oid] = set()
        self.fragments: set[Oid] = set()
        self.bad_objects: set[Oid] = set()  # those that are missing or damaged
        self.bad_fragments: set[Oid] = set()
        self.bytes = 0
        self._lock = Lock()

    def load(self, oid: Oid, most: int = -1) -> tuple[frame.Kind, bytes | ChunkList]:
        """As in an odb. Chunks count as their blob is read."""
        self.objects.add(oid)
        with _noting(oid, self.bad_objects):
            kind, payload = super().load(oid, *([most] if most >= 0 else []))
        if isinstance(payload, bytes):
            self._count(len(payload))
        return kind, payload

    def check_fragment(self, oid: Oid, check: Callable[[bytes], T]) -> T:
        """What `check` says of a fragment's file. Raises NotFound, Corrupt."""
        self.fragments.add(oid)
        with _noting(oid, self.bad_fragments):
            data = self.read_fragment_file(oid)
            self._count(len(data))
            return check(data)

    def check_blob(self, oid: Oid) -> int:
        """A blob's length, once each stored byte was checked, and its oid. Raises NotFound, Corrupt."""
        with _noting(oid, self.bad_objects):
            return sum(map(len, self.iter_blob(oid)))

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes += size
        progress.advance("verified", size, None, "bytes")


@contextmanager
def _noting(oid: Oid, bad: set[Oid]) -> Iterator[None]:
    try:
        yield
    except (NotFound, Corrupt):
        bad.add(oid)
        raise


class Check:
    """One verification of a repository. Findings are collected: (missing or damaged, where, what is wrong)."""

    def __init__(self, repository: Repository, deep: bool) -> None:
        self.repository, self.deep = repository, deep
        self.odb = _Reading(repository.odb)
        self.problems: list[tuple[str, str, str]] = []
        self.refs = 0
        self._commits: dict[frozenset[Oid], set[Oid]] = {}  # those checked, by where their histories end
        self._held: dict[tuple[str, Oid], Counts] = {}  # what the trees and tables hold that were checked
        self._nodes: dict[Oid | None, set[InnerEntry]] = {}  # those checked, of trees and for each schema
        self._blobs: dict[Oid, int | None] = {}  # their lengths, None for damaged ones
        self._fragments: dict[
            tuple[FragmentEntry, Oid], bytes
        ] = {}  # those checked, with the digests of their statistics
        self._lock = Lock()

    def run(self, package: str | None = None) -> None:
        """Check one package, or everything in the store, also what no ref reaches."""
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="dpkg-verify")
        try:
            self._pool = pool
            for name in [package] if package else list(self.repository.refs.packages(deleted=True)):
                self._package(name)
            if package is None:
                self._rest()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _try(self, where: str, work: Callable[[], T]) -> T | None:
        """The result of some work, or None with its error among the findings."""
        try:
            return work()
        except NotFound as e:
            self._add("missing", where, e.message)
        except DpkgError as e:
            self._add("damaged", where, e.message)
        return None

    def _add(self, what: str, where: str, message: str) -> None:
        with self._lock:
            if (what, where, message) not in self.problems:
                self.problems.append((what, where, message))

    def _each(self, work: Callable[[U], T], items: Iterable[U]) -> Iterator[T]:
        """`work` over items by a few threads, in order; few items are taken at a time."""
        rest = iter(items)
        while batch := list(islice(rest, _BATCH)):
            yield from self._pool.map(work, batch)

    # What refs reach

    def _package(self, package: str) -> None:
        refs = self.repository.refs
        for kind in ("heads", "tags"):
            for name in list(refs.logs(package, kind)):
                where = f"{package} {kind}/{name}"
                self.refs += 1
                log: list[RefEntry] = []
                self._try(where, lambda log=log, kind=kind, name=name: log.extend(refs.log(package, kind, name)))  # type: ignore[misc]
                last = next((entry for entry in log if entry.event in ("commit", "deleted")), None)
                if last and last.oid:  # of what was before gc may have removed anything
                    self._commit(last.oid, where, frozenset(log[0].floor))

    def _commit(self, start: Oid, where: str, floor: frozenset[Oid]) -> None:
        todo, seen = [start], self._commits.setdefault(floor, set())
        while todo:
            oid = todo.pop()
            if oid in seen:
                continue
            seen.add(oid)
            commit = self._try(where, partial(read_commit, self.odb, oid))
            if commit is not None:
                place = f"{where}, commit {oid[:12]}"
                self._try(place, partial(self._tree, commit.tree, place, 0))
                todo += commit.parents if oid not in floor else ()

    def _tree(self, oid: Oid, where: str, depth: int) -> Counts:
        """Check a tree; what it holds. What is wrong below it is a finding of its own."""
        if (TREE, oid) in self._held:
            return self._held[TREE, oid]
        if depth > MAX_DEPTH:
            raise Corrupt(f"tree {oid} is more than {MAX_DEPTH} trees deep")
        top = read_node(self.odb, oid, TREE)
        self._held[TREE, oid] = sums(top)
        blobs: list[tuple[Oid, int | None, str]] = []
        for leaf in self._leaves(top, where):
            for entry in leaf.entries:
                self._entry(entry, f"{where}, {entry.name}", depth, blobs)
        list(self._each(self._blob, blobs))
        return self._held[TREE, oid]

    def _entry(self, entry: TreeEntry, where: str, depth: int, blobs: list[tuple[Oid, int | None, str]]) -> None:
        if entry.meta:
            blobs.append((entry.meta, None, f"{where} (metadata)"))
        if entry.type == "blob":
            blobs.append((entry.oid, entry.bytes, where))
            return

        def check() -> None:
            agree(
                entry,
                self._table(entry.oid, where) if entry.type == "table" else self._tree(entry.oid, where, depth + 1),
            )

        self._try(where, check)

    def _leaves(self, top: Node, where: str, schema: Schema | None = None) -> Iterator[Node]:
        """The leaves of an index that were not looked at yet; what cannot be read is a finding, and the rest goes on."""
        stack, known = [top], self._nodes.setdefault(schema.digest if schema else None, set())
        while stack:
            node = stack.pop()
            if not node.level:
                yield node
                continue
            for entry in reversed(node.entries):
                if entry not in known:
                    known.add(entry)
                    below = self._try(where, partial(child, self.odb, node, entry))
                    if below is not None:
                        stack.append(below)

    def _blob(self, item: tuple[Oid, int | None, str]) -> None:
        oid, size, where = item
        if oid not in self._blobs:
            self._blobs[oid] = self._try(where, partial(self.odb.check_blob, oid))
        found = self._blobs[oid]
        if size is not None and found not in (None, size):
            self._add("damaged", where, f"blob {oid} has {found:,} bytes, the tree says {size:,}")

    def _table(self, oid: Oid, where: str) -> Counts:
        from dpkg import tables

        if (FRAGMENTS, oid) in self._held:
            return self._held[FRAGMENTS, oid]
        table = tables.read_table_object(self.odb, oid)
        schema = tables.schema_of(table)
        self._held[FRAGMENTS, oid] = (0, table.rows, table.bytes)
        top = read_node(self.odb, table.fragments, FRAGMENTS)
        if sums(top)[1:] != (table.rows, table.bytes):
            raise Corrupt(f"table {oid} does not hold the rows or bytes that it says")
        for leaf in self._leaves(top, where, schema):
            if leaf.stats:
                digests = list(self._each(partial(self._fragment, schema=schema, where=where), leaf.entries))
                self._try(where, partial(self._statistics, leaf, schema, digests))
        return self._held[FRAGMENTS, oid]

    def _fragment(self, entry: FragmentEntry, schema: Schema, where: str) -> bytes | None:
        """Check a fragment, once; the digest of its statistics, if they are to be checked and nothing is wrong."""
        from dpkg.arrow import checking

        key = (entry, schema.digest)
        if key in self._fragments:
            return self._fragments[key]

        def check(data: bytes) -> bytes:
            reader = checking.check_file(data, entry, schema)
            return checking.row_digest(checking.check_values(reader), schema) if self.deep else b""

        found = self._try(f"{where}, {fragment_key(entry.oid)}", partial(self.odb.check_fragment, entry.oid, check))
        if found is not None:
            self._fragments[key] = found
        return found

    def _statistics(self, leaf: Node, schema: Schema, digests: list[bytes | None]) -> None:
        from dpkg.arrow import checking

        assert leaf.stats is not None
        rows = self.odb.check_fragment(leaf.stats, lambda data: checking.check_stats(data, leaf, schema))
        if self.deep and None not in digests and checking.stats_digests(rows, schema) != digests:
            raise Corrupt(f"statistics {leaf.stats} are not those of the fragments")

    # What is stored, reached or not

    def _rest(self) -> None:
        """Check every file that was not looked at yet, packs, and each copy of objects that are stored twice."""
        left = ((place, oid) for place, oid, _ in self.odb.iter_oids() if oid not in self._looked_at(place))
        for _ in self._each(self._file, left):
            pass
        packs = self.odb.frames.packs
        for pack_id in packs.ids():
            self._try(pack_key(pack_id), partial(self._pack, pack_id))
        for pack_id, why in packs.damaged.items():
            self._add("damaged", pack_key(pack_id), why)
        for _ in self._each(self._copy, self._copies()):
            pass

    def _pack(self, pack_id: Oid) -> None:
        """A pack's bytes besides those of objects; its index was checked when it was read."""
        key = pack_key(pack_id)
        stat = self.odb.backend.stat(key)
        start = self.odb.backend.get_range(key, 0, pack.HEADER.size)
        pack.check_layout(start, self.odb.frames.packs.index(pack_id), stat.size if stat else 0)

    def _copies(self) -> Iterator[tuple[Oid, str, int, int]]:
        """Each place of objects that are stored more than once, of which one is read: oid, key, start, length."""
        packs = self.odb.frames.packs
        places: dict[Oid, int] = {}
        for entry in packs:
            places[entry.oid] = places.get(entry.oid, 0) + 1
        for stat in self.odb.backend.list(OBJECTS) if places else ():
            oid = oid_of_key(stat.key)
            if oid in places:
                places[oid] += 1
                yield oid, stat.key, 0, stat.size
        for pack_id in packs.ids():
            yield from (
                (e.oid, pack_key(pack_id), e.offset, e.size) for e in packs.index(pack_id) if places[e.oid] > 1
            )

    def _copy(self, place: tuple[Oid, str, int, int]) -> None:
        oid, key, at, size = place

        def check() -> None:
            try:
                check_frame(oid, lambda start, length: self.odb.backend.get_range(key, at + start, length), size)
            except Corrupt as e:
                raise Corrupt(f"object {oid} is damaged: {e.message}; another copy of it is used") from None

        self._try(key, check)

    def _looked_at(self, place: str) -> set[Oid]:
        return self.odb.fragments if place == "fragment" else self.odb.objects

    def _file(self, found: tuple[str, Oid]) -> None:
        place, oid = found
        where = f"{fragment_key(oid) if place == 'fragment' else object_key(oid)} (no ref reaches it)"

        def check() -> Any:
            if place == "fragment":
                return self.odb.check_fragment(oid, partial(_sealed, oid))
            return self.odb.check_blob(oid) if self.odb.kind(oid) == frame.BLOB else self.odb.read_any(oid)

        self._try(where, check)


def _sealed(oid: Oid, data: bytes) -> None:
    from dpkg.arrow import fragment

    try:
        fragment.check_seal(data)
    except Corrupt as e:
        raise Corrupt(f"fragment {oid} is damaged: {e.message}") from None


def leftovers(repository: Repository) -> list[int]:
    """The sizes of temporary files that killed writers left in a store's folder a day ago or before."""
    backend = repository.backend
    return [stat.size for stat in backend.stale_files()] if isinstance(backend, LocalBackend) else []


def repair(check: Check, source: Odb, brought: set[Oid]) -> bool:
    """Bring what a check found missing or damaged from a store that has it whole, each once; whether there was any."""
    target, before = check.odb, len(brought)
    for oid in sorted(target.bad_objects - brought):
        with suppress(NotFound, Corrupt):
            kind, size = source.kind(oid), source.size(oid)
            if kind == frame.BLOB:
                copy_blob(source, target, oid, size)
            else:
                copy_object(source, target, oid, kind, size)
            brought.add(oid)
    for oid in sorted(target.bad_fragments - brought):
        with suppress(NotFound, Corrupt):
            copy_fragment(source, target, oid)
            brought.add(oid)
    target.sync()
    return len(brought) > before
