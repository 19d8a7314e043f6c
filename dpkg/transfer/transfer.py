"""Moving commits between odbs: only what the other side lacks, in parallel, verified, children before parents (STO-9).

That an object is present does not say that what it names is: a power cut may have taken that. But a ref entry is only created when
everything below its commit is durable, and a commit only when its tree is. So the walk stops at commits that refs name, and in
trees at what the parent commit's tree has in the same place; elsewhere it looks down to each blob and fragment.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from dpkg import progress, reaching
from dpkg.errors import Corrupt, NotFound
from dpkg.index.reader import child, read_node
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry
from dpkg.odb import blobs, is_remote
from dpkg.repository import read_commit
from dpkg.threads import Crew
from dpkg.transfer.copying import LARGE, copy_blob, copy_object, keep_object
from dpkg.transfer.presence import Presence
from dpkg.transfer.whole import Near, Whole

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.arrow.stats import StatsRow
    from dpkg.objects.commit import Commit
    from dpkg.objects.frame import Kind
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.odb.frames import Run
    from dpkg.oid import Oid

T = TypeVar("T")
CPUS = os.cpu_count() or 2
WORKERS = max(4, min(16, 2 * CPUS))
REMOTE_WORKERS = 8  # requests at once: they mostly wait
MAX_DEPTH = 128  # trees in trees
_BATCH = 4096  # blobs that wait until they are moved: memory stays bounded for a million files
_BATCH_BYTES = 32 << 20  # or so many bytes of them
_LEAVES = 2  # leaves of tables that are on their way at once
_OFTEN = 256 << 20  # bytes moved until commits are written
_FORGED = "the package was damaged or forged where it comes from: do not use it, and tell whoever keeps that store"
Counts = tuple[int, int, int]  # entries, rows, bytes


@dataclass
class Moved:
    """What a transfer did. `bytes` as stored."""

    objects: int = 0
    fragments: int = 0
    bytes: int = 0


class Transfer:
    """One transfer from `source` to `target`.

    With `deep` (intake from elsewhere) every fragment is decoded and its statistics recomputed, and everything that entries say of
    what the target has already is checked too.
    """

    def __init__(
        self, source: Odb, target: Odb, *, deep: bool, moved: Moved | None = None, floor: Container[Oid] = ()
    ) -> None:
        """What is moved is added to `moved`. The parents of commits in `floor` are not: there histories end."""
        self.source, self.target, self.deep = source, target, deep
        self.moved = moved or Moved()
        self._floor = floor
        self._lock = Lock()
        self._near = Near(source, target) if is_remote(target.backend) else target  # has what the target has
        self._crew = Crew(REMOTE_WORKERS if is_remote(source.backend) or is_remote(target.backend) else WORKERS)
        self._checkers = Crew(CPUS)
        self._presence = Presence(target, self._crew.each)
        self._leaves: deque[Callable[[], None]] = deque()  # of tables, on their way: what ends each
        self._blobs: dict[Oid, int | None] = {}  # wait to be moved, with their sizes
        self._waiting = 0  # bytes of these
        self._containers: dict[Oid, Kind] = {}  # are written after what waits
        self._done: dict[tuple[str, Oid], Counts] = {}  # trees and tables that need no second look

    def commits(self, tips: Iterable[Oid], whole: Iterable[Oid | None] = ()) -> Moved:
        """Move these commits with everything that they reach, oldest first; refs of the target name the commits in `whole`.

        Raises NotFound, Corrupt, Storage; what arrived stays. When it returns, all of it is durable.
        """
        with self._checkers, self._crew, self.target.packing():
            return self._commits(tips, frozenset(whole))

    def _commits(self, tips: Iterable[Oid], whole: frozenset[Oid | None]) -> Moved:
        trees: dict[Oid, Oid] = {}
        waiting: list[Oid] = []
        durable = self.moved.bytes
        todo, lacking = self._open_commits(tips, whole, trees)
        for oid, commit in todo:
            self._tree(commit.tree, trees.get(commit.parents[0]) if commit.parents else None, 0)
            self._flush()
            waiting += [oid] if oid in lacking else []
            if self.moved.bytes - durable > _OFTEN:  # so that a run that is stopped need not look at all of it again
                waiting, durable = self._write(waiting), self.moved.bytes
        self._write(waiting)
        self.target.sync()
        return self.moved

    def _write(self, commits: list[Oid]) -> list[Oid]:
        """Write commits once what they reach is durable; none are left."""
        if commits:
            self.target.sync()
        self._crew.each(lambda oid: self._count(copy_object(self.source, self.target, oid, "commit")), commits)
        return []

    def _open_commits(
        self, tips: Iterable[Oid], whole: frozenset[Oid | None], trees: dict[Oid, Oid]
    ) -> tuple[list[tuple[Oid, Commit]], set[Oid]]:
        """Commits of which the target may not have all, parents before children, and those that it lacks itself.

        A commit that is there, but that no ref reaches, may have come alone (`dpk send-objects`). `trees` is told those
        of all commits that were looked at.
        """
        order: list[tuple[Oid, Commit]] = []
        stack: list[tuple[Oid, Commit | None]] = [(oid, None) for oid in tips]
        while stack:
            oid, commit = stack.pop()
            if commit is not None:
                order.append((oid, commit))
            elif oid not in trees:
                commit = self._commit(oid)
                trees[oid] = commit.tree
                stack.append((oid, commit))
                if oid not in whole and oid not in self._floor:
                    stack += [(p, None) for p in commit.parents]
        lacking = self._presence.lacking("object", [oid for oid, _ in order])
        there = {oid for oid, _ in order} - lacking - whole
        if there:
            there.difference_update(
                oid for oid, _ in reaching.commits(self._commit, filter(None, whole), floor=self._floor)
            )
        return [(oid, commit) for oid, commit in order if oid in lacking or oid in there], lacking

    def _commit(self, oid: Oid) -> Commit:
        """A commit, from where it is had with the least effort."""
        near, far = (self.source, self.target) if is_remote(self.target.backend) else (self.target, self.source)
        if not near.has(oid):
            with suppress(NotFound):
                return read_commit(far, oid)
        return read_commit(near, oid)

    # Trees

    def _tree(self, root: Oid, old: Oid | None, depth: int) -> Counts:
        """Move a tree, of which the target has the version `old` whole; what is in it."""
        if (TREE, root) in self._done:
            return self._done[TREE, root]
        if depth > MAX_DEPTH:
            raise Corrupt(f"tree {root} is more than {MAX_DEPTH} trees deep", _FORGED)
        before = Whole(self._near, old, TREE) if old else None
        top = before.root if before and root == old else read_node(self.source, root, TREE)
        if root != old:
            for oid, node in self._new_nodes(root, top, before):
                entries = node.entries if not node.level else ()
                pairs = [(entry, before.entry(entry.name) if before else None) for entry in entries]
                self.source.warm([e.oid for e, was in pairs if e.type != "blob" and e != was], self._crew.each)
                for entry, was in pairs:
                    self._entry(entry, was, depth)
                self._containers[oid] = "node"
        self._done[TREE, root] = sums(top)
        return self._done[TREE, root]

    def _new_nodes(self, root: Oid, top: Node, before: Whole | None) -> Iterator[tuple[Oid, Node]]:
        """The nodes of an index that are not in the one before, each once, those below first."""
        known = set(before.inner) if before else set()

        def visit(oid: Oid, node: Node) -> Iterator[tuple[Oid, Node]]:
            if node.level:
                new = [entry for entry in node.entries if entry not in known]
                known.update(new)
                self.source.warm((entry.oid for entry in new), self._crew.each)
                for entry in dict.fromkeys(new):
                    yield from visit(entry.oid, child(self.source, node, entry))
            yield oid, node

        return visit(root, top)

    def _entry(self, entry: TreeEntry, old: TreeEntry | None, depth: int) -> None:
        """Move what an entry of a tree names; `old` is the entry of this name in the version before."""
        if entry == old:
            return
        if entry.meta and (old is None or entry.meta != old.meta):
            self._blob(entry.meta, None)
        before = old.oid if old and old.type == entry.type else None
        if entry.type == "blob":
            self._blob(entry.oid, entry.bytes)
        elif entry.type == "table":
            agree(entry, self._table(entry.oid, before))
        else:
            agree(entry, self._tree(entry.oid, before, depth + 1))

    # Blobs and nodes wait, so that blobs move many at a time

    def _blob(self, oid: Oid, size: int | None) -> None:
        known = self._blobs.get(oid)
        if None not in (known, size) and known != size:
            raise Corrupt(f"blob {oid} is not what the tree says", _FORGED)
        self._blobs[oid] = known if size is None else size
        self._waiting += size or 0
        if len(self._blobs) >= _BATCH or self._waiting >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Move the blobs that wait, then write the nodes and tables that wait for them and for fragments."""
        while self._leaves:
            self._leaves.popleft()()
        found, self._blobs, self._waiting = self._blobs, {}, 0
        lacking = self._presence.lacking("object", list(found))
        there = [item for item in found.items() if item[0] not in lacking]
        if self.deep:
            self._crew.each(self._check_blob, there)
        lacking.update(oid for oid, size in there if self._in_pieces(oid, size))
        self._move_blobs({oid: size for oid, size in found.items() if oid in lacking})
        nodes, self._containers = self._containers, {}
        lacking = self._presence.lacking("object", list(nodes))
        write = [(oid, kind) for oid, kind in nodes.items() if oid in lacking]
        self._crew.each(lambda item: self._count(copy_object(self.source, self.target, *item)), write)

    def _move_blobs(self, sizes: dict[Oid, int | None]) -> None:
        """Move blobs: small ones that lie together in a pack with one read."""
        small = [oid for oid, size in sizes.items() if size is not None and size <= LARGE]
        runs, other = self.source.frames.runs(small) if len(small) > 1 else ([], small)
        other += [oid for oid, size in sizes.items() if size is None or size > LARGE]

        def move_run(run: Run) -> None:
            for oid, data in self.source.frames.read_run(run):
                self._count(keep_object(self.source, self.target, oid, "blob", data, sizes[oid]))

        self._crew.each(move_run, runs)
        self._crew.each(lambda oid: self._count(copy_blob(self.source, self.target, oid, sizes[oid])), other)

    def _in_pieces(self, oid: Oid, size: int | None) -> bool:
        """Whether a large blob is there, but not all of its chunks."""
        try:
            chunks = list(blobs.chunks(self.target, oid, size))
        except Corrupt:
            return True
        return bool(chunks) and bool(self._presence.lacking("object", chunks))

    def _check_blob(self, item: tuple[Oid, int | None]) -> None:
        """That a blob which the target has is what the tree says."""
        oid, size = item
        if self.target.kind(oid) != "blob" or size not in (None, self.target.size(oid)):
            raise Corrupt(f"blob {oid} is not what the tree says", _FORGED)

    # Tables

    def _table(self, oid: Oid, old: Oid | None) -> Counts:
        """Move a table, of which the target has the version `old` whole; what is in it (0 entries, rows, bytes)."""
        from dpkg import tables

        if (FRAGMENTS, oid) in self._done:
            return self._done[FRAGMENTS, oid]
        table = tables.read_table_object(self.source, oid)
        schema = tables.schema_of(table)
        before = self._version(table, old)
        top = read_node(self.source, table.fragments, FRAGMENTS)
        _, rows, size = sums(top)
        if (rows, size) != (table.rows, table.bytes):
            raise Corrupt(f"table {oid} does not hold the rows or bytes that it says", _FORGED)
        if before is None or before.oid != table.fragments:
            nodes = list(self._new_nodes(table.fragments, top, before))
            known = self._known(before, {e for _, n in nodes if n.level for e in n.entries}, schema)
            for at, node in nodes:
                if not node.level and node.entries:
                    self._leaf(node, schema, known)
                self._containers[at] = "node"
        self._containers[oid] = "table"
        self._done[FRAGMENTS, oid] = (0, table.rows, table.bytes)
        return self._done[FRAGMENTS, oid]

    def _version(self, table: Table, old: Oid | None) -> Whole | None:
        """The index of a table's version before. One of another schema shares no fragments with it."""
        from dpkg import tables

        before = tables.read_table_object(self._near, old) if old else None
        return Whole(self._near, before.fragments, FRAGMENTS) if before and before.schema == table.schema else None

    def _known(
        self, before: Whole | None, shared: set[InnerEntry], schema: Schema
    ) -> dict[Oid, tuple[FragmentEntry, bytes]]:
        """Fragments that the version before had where this one differs: their entries and digests of their statistics.

        The target checked them when they came; that spares decoding them again.
        """
        from dpkg import tables
        from dpkg.arrow import checking

        found: dict[Oid, tuple[FragmentEntry, bytes]] = {}
        for leaf in before.leaves(shared) if before and self.deep else ():
            rows = tables.leaf_stats(self.target, leaf, schema)
            if rows is not None:
                digests = checking.stats_digests(rows, schema)
                found.update((e.oid, (e, d)) for e, d in zip(leaf.entries, digests, strict=True))
        return found

    def _leaf(self, leaf: Node, schema: Schema, known: dict[Oid, tuple[FragmentEntry, bytes]]) -> None:
        """Begin to move a leaf's fragments; its end, with its statistics, comes when enough others are on their way."""
        stats: dict[FragmentEntry, StatsRow | bytes] = {}
        entries = list(dict.fromkeys(leaf.entries))
        lacking = set() if self.deep else self._presence.lacking("fragment", [e.oid for e in entries])

        def move(entry: FragmentEntry) -> None:
            if self.deep and entry.oid in known:
                expected, stats[entry] = known[entry.oid]
                if entry != expected:
                    raise Corrupt(f"fragment {entry.oid} does not hold the rows or bytes that its index says", _FORGED)
            elif self.deep or entry.oid in lacking:
                stats[entry] = self._fragment(entry, schema)

        moving = self._crew.begin(move, entries)

        def end() -> None:
            self._crew.end(moving)
            self._leaf_stats(leaf, schema, stats)

        self._leaves.append(end)
        while len(self._leaves) > _LEAVES:
            self._leaves.popleft()()

    def _leaf_stats(self, leaf: Node, schema: Schema, stats: dict[FragmentEntry, StatsRow | bytes]) -> None:
        """Move a leaf's statistics, which are to be those of its fragments."""
        from dpkg.arrow import checking

        assert leaf.stats is not None
        if not self.deep and not self._presence.lacking("fragment", [leaf.stats]):
            return
        rows = self._checked(leaf.stats, lambda data: checking.check_stats(data, leaf, schema))
        if self.deep and not checking.same_stats(rows, [stats[e] for e in leaf.entries], schema):
            raise Corrupt(f"statistics {leaf.stats} are not those of the fragments", _FORGED)

    def _fragment(self, entry: FragmentEntry, schema: Schema) -> StatsRow:
        """Move one fragment; if it is to be checked, its statistics."""
        from dpkg.arrow import checking

        def check(data: bytes) -> StatsRow:
            reader = checking.check_file(data, entry, schema)
            return checking.check_values(reader) if self.deep else []

        # By few threads, whatever waits for the network: what is decoded takes memory.
        return self._checked(entry.oid, lambda data: self._checkers.end(self._checkers.begin(check, [data]))[0])

    def _checked(self, oid: Oid, check: Callable[[bytes], T]) -> T:
        """What `check` says of a fragment's file: of the target's own if that passes, else of the source's, which is put there."""
        if self.deep and self.target.has_fragment(oid):
            with suppress(Corrupt):
                return check(self.target.read_fragment_file(oid))
        data = self.source.read_fragment_file(oid)
        try:
            found = check(data)
        except Corrupt as e:
            hint = _FORGED if self.deep else "'dpk repair --from REMOTE' brings it from another store"
            raise Corrupt(f"{self.source.backend.url}: {e.message}", hint) from None
        self._put_fragment(oid, data)
        return found

    def _put_fragment(self, oid: Oid, data: bytes) -> None:
        self.target.put_fragment_file(oid, data)
        self._count(len(data), fragment=True)
        progress.advance("moved", len(data), None, "bytes")

    # Helpers

    def _count(self, size: int, *, fragment: bool = False) -> None:
        with self._lock:
            self.moved.objects += not fragment
            self.moved.fragments += fragment
            self.moved.bytes += size


def sums(node: Node) -> Counts:
    """What is below a node, as its entries say: each level was, or will be, checked against them (IDX-5)."""
    entries, rows, size = (
        (sum(x) for x in zip(*(e.counts for e in node.entries), strict=True)) if node.entries else (0, 0, 0)
    )
    return entries, rows, size


def agree(entry: TreeEntry, counts: Counts) -> None:
    """That a tree or table holds what the entry that names it says (IDX-5, OBJ-1)."""
    if counts != (entry.entries, entry.rows, entry.bytes):
        raise Corrupt(f"{entry.type} {entry.oid} does not hold what the entry '{entry.name}' says", _FORGED)
