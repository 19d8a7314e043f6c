"""The rows that differ between two tables, as a stream of batches, in bounded memory.

One engine for tables with a key and without: rows are *paired* by the digest of their key, else of the whole row; in
order, so that the diff is an edit script. Then the paired rows are compared cell by cell: a digest decides what is
compared with what, never what is equal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dpkg.arrow import rowdiff
from dpkg.diffing.align import Pairs, align, align_items
from dpkg.diffing.blocks import Block, blocks, changes
from dpkg.diffing.columns import Column, find_renamed, matched, row_digests, schema_changes
from dpkg.diffing.regions import Placed, Region, regions
from dpkg.diffing.side import Columns, Side
from dpkg.diffing.spill import Digests
from dpkg.tables import WORKERS

if TYPE_CHECKING:
    import pyarrow as pa

    from dpkg.objects.table import Table
    from dpkg.odb import Odb

PART_ROWS = 1 << 20  # a region is cut into parts of about so many rows, where fragments still correspond
ALIKE = 0.75  # share of equal rows from which two fragments are taken to correspond row by row
X = TypeVar("X")
Y = TypeVar("Y")


@dataclass
class Summary:
    """Rows, complete once the stream has ended. `moved`: of those added, how many were removed elsewhere."""

    removed: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Of two runs of fragments: pairs known already, and digests and places of the other rows of both sides."""

    old: list[Placed]
    new: list[Placed]
    known: Pairs
    rest: tuple[list[Pairs], list[Pairs]]
    sure: bool  # they correspond: what is before belongs together, and what is after


class RowDiff:
    """The difference of two tables. `batches` gives it, once; `summary` is complete after that.

    `complete`: rows that differ only in what the old table cannot tell, as added columns, are changed rows too, and
    these have all their cells, which is what a patch needs. Else the cells of a changed row that are neither of the key
    nor changed may be null, as they are not read for it. `keyless`: as if they had no key.
    """

    def __init__(
        self, odb_a: Odb, old: Table, odb_b: Odb, new: Table, complete: bool = False, keyless: bool = False
    ) -> None:
        read = Columns()
        self.old, self.new = Side(odb_a, old, read), Side(odb_b, new, read)
        self.renamed = find_renamed(odb_a, old, odb_b, new)
        self.columns = schema_changes(old, new, self.renamed)
        self.schema = rowdiff.patch_schema(self.old.schema, self.new.schema)
        self.summary, self.complete = Summary(), complete
        every = matched(self.old.schema, self.new.schema, self.renamed)
        common = [c for c in every if c.old is not None]
        self.keyed = not keyless and self._same_key(common)
        self.paired_by = [c for c in common if c.name in new.key] if self.keyed else common
        self._pairing = {c.name for c in self.paired_by}
        self.compared = every if complete else common

    def _same_key(self, common: list[Column]) -> bool:
        """Whether both tables have one key, of the same types."""
        old, new = self.old.table, self.new.table
        if not new.key or tuple(self.renamed.get(n, n) for n in new.key) != old.key:
            return False
        return all(c.old_type == c.type for c in common if c.name in new.key)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The changes in order, as plain batches of `schema`: rows removed and added where they were and are."""
        roots = self.old.table.fragments, self.new.table.fragments
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="dpkg-diff")
        try:
            with Digests() as gone:
                for region in regions(self.old.odb, roots[0], self.new.odb, roots[1]):
                    for part in self._parts(region, pool):
                        yield from self._changes(part, pool, gone)
                self.summary.moved = 0 if self.keyed else gone.common()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    # Which rows correspond

    def _parts(self, region: Region, pool: ThreadPoolExecutor) -> Iterator[list[_Found]]:
        part: list[_Found] = []
        rows = 0
        for found in in_order(pool, self._look, _runs(region)):
            part.append(found)
            rows += sum(p.entry.rows for p in (*found.old, *found.new))
            if found.sure and rows >= PART_ROWS:
                yield part
                part, rows = [], 0
        if part:
            yield part

    def _look(self, run: Region) -> _Found:
        nothing = np.zeros(0, np.int64)
        twins = len(run.old) == len(run.new) == 1
        unlike = self._unlike(run.old[0], run.new[0]) if twins else None
        if unlike is None or len(unlike) > (1 - ALIKE) * run.old[0].entry.rows:
            rest = [self._digests(p, 0, None) for p in run.old], [self._digests(p, 1, None) for p in run.new]
            return _Found(run.old, run.new, (nothing, nothing), rest, False)
        (p,), (q,) = run.old, run.new
        like = np.delete(np.arange(p.entry.rows), unlike)
        few = ([self._digests(p, 0, unlike)], [self._digests(q, 1, unlike)]) if len(unlike) else ([], [])
        return _Found(run.old, run.new, (like + p.start, like + q.start), few, True)

    def _unlike(self, p: Placed, q: Placed) -> Any:
        """The places at which two fragments of as many rows have rows that are not paired."""
        before, after = self.old.digests(p), self.new.digests(q)
        out = np.zeros(p.entry.rows, bool)
        for c in self.paired_by:
            assert c.old is not None
            if before[c.old] != after[c.new]:  # of the type, too
                (x,), (y,) = self.old.read(p, [c.old]), self.new.read(q, [c.new])
                x, lost = c.cast(x)
                out |= rowdiff.differing(x, y, c.type)
                out |= False if lost is None else lost
        return np.flatnonzero(out)

    def _digests(self, at: Placed, side: int, rows: Any) -> Pairs:
        """Digests and places of rows of a fragment (None: all)."""
        used = self.paired_by
        if side:
            arrays = self.new.read(at, [c.new for c in used])
        else:
            arrays = self.old.read(at, [c.old for c in used if c.old is not None])
        if rows is None:
            rows = np.arange(at.entry.rows)
        else:
            arrays = [rowdiff.pick(a, rows) for a in arrays]
        return row_digests(used, arrays, not side, len(rows)), rows + at.start

    # What differs in them

    def _changes(self, part: list[_Found], pool: ThreadPoolExecutor, gone: Digests) -> Iterator[pa.RecordBatch]:
        with Digests() as digests:
            pairs = _paired(part, digests)
            if not self.keyed:
                _alone(digests, pairs, gone)
            sides = [p for f in part for p in f.old], [p for f in part for p in f.new]
            for made in in_order(pool, self._compare, blocks(*sides, pairs)):
                if made is None:
                    continue
                batch, counts = made
                self.summary.removed += counts[0]
                self.summary.added += counts[1]
                self.summary.changed += counts[2]
                yield batch

    def _compare(self, block: Block) -> Any:
        """A block's batch of changes and how many there are of each kind; None without any."""
        found = self._cells(block)
        bad = np.zeros(len(block.pairs[0]), bool)
        for c, at in found:
            if c.name in self._pairing:  # equal digests, but not the same: as good as not paired
                bad[at] = True
        unlike = np.unique(np.concatenate([np.zeros(0, np.int64), *(at for _, at in found)]))
        kinds, old_rows, new_rows, nth = changes(block, bad, unlike)
        if not len(kinds):
            return None
        row_of = np.full(len(bad), -1)  # of each pair, where it is a changed row
        row_of[nth[nth >= 0]] = np.flatnonzero(nth >= 0)
        cells = np.zeros((len(kinds), len(found)), bool)
        for n, (_, at) in enumerate(found):
            cells[row_of[at[row_of[at] >= 0]], n] = True
        columns: list[Any] = []
        # Of rows that changed people need the key and the cells; columns of which no more is asked are not read.
        brief = not self.complete and bool((kinds == rowdiff.CHANGED).all())
        shown = [*self.paired_by, *(c for c, _ in found)] if brief else None
        for side, at, rows in ((self.old, block.old, old_rows), (self.new, block.new, new_rows)):
            wanted = None if shown is None else {c.old if side is self.old else c.new for c in shown}
            places = np.flatnonzero(rows >= 0)
            arrays = self._rows(side, at, rows[places], wanted)
            columns += [rowdiff.spread(a, t, places, len(rows)) for a, t in zip(arrays, side.schema.types, strict=True)]
        counts = np.bincount(kinds, minlength=3).tolist()
        batch = rowdiff.change_batch(self.schema, kinds, old_rows, new_rows, cells, [c.name for c, _ in found], columns)
        return batch, counts

    def _cells(self, block: Block) -> list[tuple[Column, Any]]:
        """The columns in which paired rows differ, each with which of the pairs do."""
        i, j = block.pairs
        p, q = block.old, block.new
        if p is None or q is None or not len(i):
            return []
        whole = len(i) == p.entry.rows == q.entry.rows
        before, after = self.old.digests(p), self.new.digests(q)
        out = []
        for c in self.compared:
            if whole and c.old is not None and before[c.old] == after[c.new]:
                continue
            y = rowdiff.pick(self.new.read(q, [c.new])[0], j - q.start)
            if c.old is None:
                x, lost = rowdiff.nulls(len(y), c.type), None
            else:
                x, lost = c.cast(rowdiff.pick(self.old.read(p, [c.old])[0], i - p.start))
            unlike = rowdiff.differing(x, y, c.type)
            at = np.flatnonzero(unlike if lost is None else unlike | lost)
            if len(at):
                out.append((c, at))
        return out

    def _rows(self, side: Side, at: Placed | None, rows: Any, wanted: set[int | None] | None) -> list[Any]:
        """All columns of rows of a fragment; null those that are not `wanted` (None: all are)."""
        types = side.schema.types
        if at is None or not len(rows):
            return [rowdiff.empty(t) for t in types]
        some = [i for i in range(len(types)) if wanted is None or i in wanted]
        arrays = dict(zip(some, side.read(at, some), strict=True))
        return [
            rowdiff.pick(arrays[i], rows - at.start) if i in arrays else rowdiff.nulls(len(rows), t)
            for i, t in enumerate(types)
        ]


def _runs(region: Region) -> Iterator[Region]:
    """A region in runs of fragments: one of each side where they have as many rows, else one of one side."""
    i, j = align_items([p.entry.rows for p in region.old], [q.entry.rows for q in region.new])
    at_a = at_b = 0
    for x, y in [*zip(i.tolist(), j.tolist(), strict=True), (len(region.old), len(region.new))]:
        yield from (Region([p], []) for p in region.old[at_a:x])
        yield from (Region([], [q]) for q in region.new[at_b:y])
        if x < len(region.old):
            yield Region([region.old[x]], [region.new[y]])
        at_a, at_b = x + 1, y + 1


def _paired(part: list[_Found], digests: Digests) -> Pairs:
    """The rows of a part that correspond, in order on both sides; `digests` gets those of the rows to look at."""
    known = [np.concatenate([f.known[k] for f in part]) for k in (0, 1)]
    for f in part:
        for side in (0, 1):
            for found, places in f.rest[side]:
                digests.add(side, found, places)
    if not digests.spilled:
        a, at_a, b, at_b = next(digests.parts())
        return align(a, at_a, b, at_b, (known[0], known[1]) if len(known[0]) else None)
    first = part[0].old[0].start if part[0].old else 0
    last = max((p.stop for f in part for p in f.old), default=0)
    return digests.pairs((known[0], known[1]), first, last)


def _alone(digests: Digests, pairs: Pairs, gone: Digests) -> None:
    """Adds the digests of rows that are in no pair to `gone`."""
    for a, at_a, b, at_b in digests.parts():
        for side, (found, places) in enumerate(((a, at_a), (b, at_b))):
            if len(pairs[side]):
                near = np.minimum(np.searchsorted(pairs[side], places), len(pairs[side]) - 1)
                found = found[pairs[side][near] != places]
            gone.add(side, found, np.zeros(len(found), np.int64))


def in_order(pool: ThreadPoolExecutor, work: Callable[[X], Y], items: Iterable[X]) -> Iterator[Y]:
    """`work` on items in a few threads, the results in order; little ahead of who takes them."""
    pending: deque[Future[Y]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) > WORKERS:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
