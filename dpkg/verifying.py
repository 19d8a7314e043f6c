"""Checking a store: each stored file byte for byte, each ref log, and that each commit has all it needs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from dpkg import progress
from dpkg.errors import Corrupt, DpkgError, NotFound
from dpkg.index.reader import child, read_node
from dpkg.objects import frame
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, Node
from dpkg.oid import Oid

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.arrow.stats import StatsRow
    from dpkg.refs import RefEntry, Refs
    from dpkg.repository import Repository

T = TypeVar("T")
WORKERS = 4
_LARGE = 16 << 20


def _log(refs: Refs, package: str, kind: str, name: str) -> list[RefEntry]:
    return list(refs.log(package, kind, name))


class Check:
    """One verification. Findings are collected: (missing or damaged, where, what is wrong)."""

    def __init__(self, repository: Repository, deep: bool) -> None:
        self.repository, self.odb, self.deep = repository, repository.odb, deep
        self.problems: list[tuple[str, str, str]] = []
        self.objects = self.fragments = self.refs = self.bytes = 0
        self._seen: set[Oid] = set()
        self._lock = Lock()

    def run(self, package: str | None = None) -> None:
        """Check one package, or everything in the store, also what no ref reaches."""
        packages = [package] if package else list(self.repository.refs.packages(deleted=True))
        for name in packages:
            self._package(name)
        if package is None:
            self._stored()

    # What refs reach

    def _package(self, package: str) -> None:
        refs = self.repository.refs
        for kind in ("heads", "tags"):
            for name in list(refs.logs(package, kind)):
                where = f"{package} {kind}/{name}"
                log = self._try(where, partial(_log, refs, package, kind, name))
                self.refs += 1
                for oid in {e.oid for e in log or () if e.oid}:
                    self._commit(oid, where)

    def _try(self, where: str, work: Callable[[], T]) -> T | None:
        """The result of some work, or None with its error among the findings."""
        try:
            return work()
        except NotFound as e:
            self._add("missing", where, e)
        except (DpkgError, OSError) as e:
            self._add("damaged", where, e)
        return None

    def _add(self, what: str, where: str, error: Exception) -> None:
        finding = (what, where, error.message if isinstance(error, DpkgError) else str(error))
        with self._lock:
            if finding not in self.problems:
                self.problems.append(finding)

    def _new(self, oid: Oid) -> bool:
        with self._lock:
            if oid in self._seen:
                return False
            self._seen.add(oid)
            return True

    def _commit(self, start: Oid, where: str) -> None:
        todo = [start]
        while todo:
            oid = todo.pop()
            if not self._new(oid):
                continue
            commit = self._try(where, partial(self.repository.commit, oid))
            if commit is not None:
                self._counted(oid)
                self._tree(commit.tree, f"{where}, commit {oid[:12]}")
                todo += commit.parents

    def _tree(self, oid: Oid, where: str) -> None:
        for entry in self._leaf_entries(oid, TREE, where):
            path = f"{where}, {entry.name}"
            if entry.meta and self._new(entry.meta):
                self._try(path, partial(self._blob, entry.meta))
            if entry.type == "tree":
                self._tree(entry.oid, path)
            elif self._new(entry.oid):
                self._try(path, partial(self._table if entry.type == "table" else self._blob_entry, entry, path))

    def _leaf_entries(self, oid: Oid, kind: str, where: str) -> Iterator[Any]:
        for node in self._leaves(oid, kind, where):
            yield from node.entries

    def _leaves(self, oid: Oid, kind: str, where: str) -> Iterator[Node]:
        """The leaves below a node that were not visited; what cannot be read is a finding, and the rest goes on."""
        if not self._new(oid):
            return
        root = self._try(where, lambda: read_node(self.odb, oid, kind))
        stack = [(oid, root)] if root is not None else []
        while stack:
            at, node = stack.pop()
            self._counted(at)
            if not node.level:
                yield node
                continue
            for entry in reversed(node.entries):
                if self._new(entry.oid):
                    below = self._try(where, partial(child, self.odb, node, entry))
                    if below is not None:
                        stack.append((entry.oid, below))

    def _blob_entry(self, entry: Any, where: str) -> None:
        size = self._blob(entry.oid)
        if size != entry.bytes:
            raise Corrupt(f"blob {entry.oid} has {size:,} bytes, the tree says {entry.bytes:,}")

    def _blob(self, oid: Oid) -> int:
        size = sum(len(chunk) for chunk in self.odb.iter_blob(oid))
        self._counted(oid)
        return size

    def _table(self, entry: Any, where: str) -> None:
        from dpkg import tables

        table = tables.read_table_object(self.odb, entry.oid)
        self._counted(entry.oid)
        schema = tables.schema_of(table)
        if (table.rows, table.bytes) != (entry.rows, entry.bytes):
            raise Corrupt(f"table {entry.oid} does not hold what the tree says")
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="dpkg-verify") as pool:
            for leaf in self._leaves(table.fragments, FRAGMENTS, where):
                rows = list(pool.map(lambda e: self._fragment(e, schema, where), leaf.entries))
                self._statistics(leaf, rows, schema, where)

    def _fragment(self, entry: FragmentEntry, schema: Schema, where: str) -> StatsRow | None:
        def check() -> StatsRow | None:
            from dpkg.arrow import checking, fragment, stats

            data = self._sealed(entry.oid)
            reader = fragment.Reader(io.BytesIO(data), entry, schema)
            if not self.deep:
                return None
            columns = reader.read()
            checking.check_columns(columns, entry, schema)
            return stats.stats_row(columns, schema)

        return self._try(where, check)

    def _statistics(self, leaf: Node, rows: list[StatsRow | None], schema: Schema, where: str) -> None:
        from dpkg import tables
        from dpkg.arrow import checking

        def check() -> None:
            stored = tables.leaf_stats(self.odb, leaf, schema)
            if leaf.stats is None or stored is None:
                return
            self._sealed(leaf.stats)
            known = [r for r in rows if r is not None]
            if len(known) == len(leaf.entries) and not checking.same_stats(known, stored, schema):
                raise Corrupt(f"statistics {leaf.stats} are not those of the fragments")

        self._try(where, check)

    def _sealed(self, oid: Oid) -> bytes:
        """A fragment's file, its seal checked; counted once."""
        from dpkg.arrow import fragment

        data = self.odb.read_fragment_file(oid)
        try:
            fragment.check_seal(data)
        except Corrupt as e:
            raise Corrupt(f"fragment {oid}: {e.message}") from None
        if self._new(oid):
            with self._lock:
                self.fragments += 1
                self.bytes += len(data)
            progress.advance("verified", len(data), None, "bytes")
        return data

    def _counted(self, oid: Oid) -> None:
        size = self.odb.size(oid)
        with self._lock:
            self.objects += 1
            self.bytes += size
        progress.advance("verified", size, None, "bytes")

    # What is stored, reached or not

    def _stored(self) -> None:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="dpkg-verify") as pool:
            list(pool.map(self._file, self.odb.iter_oids()))

    def _file(self, found: tuple[str, Oid, int]) -> None:
        place, oid, size = found
        if place == "fragment":
            if oid not in self._seen:
                self._try(f"fragment {oid[:12]}", lambda: self._sealed(oid))
            return
        if not self._new(oid):
            return

        def check() -> None:
            if size > _LARGE and self.odb.kind(oid) == frame.BLOB:
                self._blob(oid)
            else:
                self.odb.read_any(oid)
                self._counted(oid)

        self._try(f"object {oid[:12]}", check)
