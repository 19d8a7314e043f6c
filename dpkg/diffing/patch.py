"""A row diff that gives the new table from the old one: `make` and `apply`.

A patch is a stream of batches in the schema of `dpkg.arrow.rowdiff.patch_schema` and a `Head`. It is an edit script: the
old table's rows in order, without those removed, with those added where `_new_row` says, and those changed replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dpkg import tables
from dpkg.arrow import rowdiff
from dpkg.arrow.normal import to_user_batch
from dpkg.arrow.rowdiff import ADDED, CHANGED, REMOVED
from dpkg.arrow.schema import Schema
from dpkg.diffing.bykey import ByKey
from dpkg.diffing.columns import Column, matched
from dpkg.diffing.regions import Placed
from dpkg.diffing.rows import RowDiff
from dpkg.diffing.side import Columns, Side
from dpkg.errors import Format, Usage
from dpkg.index import fragment_entries
from dpkg.oid import Oid

if TYPE_CHECKING:
    import pyarrow as pa

    from dpkg.objects.table import Table
    from dpkg.odb import Odb

_HINT = "apply it to the table that it was made from"


@dataclass(frozen=True)
class Head:
    """What a patch is between, and the new table's schema and key; old names of renamed columns by new ones."""

    old: Oid
    new: Oid
    schema: list[Any]  # as in the table object
    key: tuple[str, ...]
    renamed: dict[str, str]


def chunks(head: Head, diff: RowDiff | ByKey, format: str) -> Iterator[bytes]:
    """A patch as a file, in pieces, as it is found. Raises Format for what the format cannot hold."""
    from dpkg.arrow import patchfile

    old, new = diff.old.schema, diff.new.schema
    return patchfile.to_chunks(asdict(head), old, new, diff.batches(), diff.schema, format)


@contextmanager
def opened(path: str) -> Iterator[tuple[Head, Iterator[pa.RecordBatch]]]:
    """A patch in a file of one of the formats APPLIED. Raises NotFound, Format."""
    from dpkg.arrow import patchfile

    with patchfile.opened(path) as (said, batches):
        try:
            head = Head(Oid(said["old"]), Oid(said["new"]), said["schema"], tuple(said["key"]), dict(said["renamed"]))
        except (KeyError, TypeError, ValueError):
            raise Format(f"the row diff '{path}' does not say what it is between", "make it again") from None
        yield head, batches


def make(odb_a: Odb, old: Table, odb_b: Odb, new: Table, key: Sequence[str] = ()) -> tuple[Head, RowDiff | ByKey]:
    """The patch from one table to another: its head, and the diff whose `batches` are its rows.

    With a `key` rows are paired by it, and it is no patch that can be applied.
    """
    diff = ByKey(odb_a, old, odb_b, new, key) if key else RowDiff(odb_a, old, odb_b, new, complete=True)
    return Head(old.oid, new.oid, new.schema, new.key, diff.renamed), diff


def apply(odb: Odb, old: Table, head: Head, batches: Iterable[pa.RecordBatch], into: Odb) -> tuple[Oid, Table]:
    """The new table, written to `into`. `batches` are plain ones, of one schema.

    Raises Usage where the patch is not one of this table, or does not give the table that it says.
    """
    if old.oid != head.old:
        raise Usage(f"the patch is for the table {head.old}, this is {old.oid}", _HINT)
    work = _Applying(Side(odb, old, Columns()), head, iter(batches))
    schema = work.schema.arrow
    made = tables.write_table(into, (to_user_batch(b, work.schema) for b in work.rows()), schema, head.key)
    if made[0] != head.new:
        raise Usage(f"the patch gives the table {made[0]}, and not {head.new} as it says", "make it anew")
    return made


@dataclass(frozen=True, slots=True)
class _Some:
    """Some rows of a patch. `at`: the old row before which, or in whose place, they take effect."""

    kinds: Any
    old: Any
    at: Any
    before: list[Any]  # columns
    after: list[Any]

    def part(self, start: int, stop: int) -> _Some:
        size = stop - start
        before, after = ([a.slice(start, size) for a in side] for side in (self.before, self.after))
        return _Some(self.kinds[start:stop], self.old[start:stop], self.at[start:stop], before, after)


class _Applying:
    def __init__(self, old: Side, head: Head, batches: Iterator[Any]) -> None:
        self._old, self._batches = old, batches
        self.schema = Schema.from_json(head.schema)
        self.columns = matched(old.schema, self.schema, head.renamed)
        self._plain = rowdiff.patch_schema(old.schema, self.schema).plain
        self._removed = self._added = self._at = 0  # rows so far, and the place of the last

    def rows(self) -> Iterator[Any]:
        """The new table's rows, as plain batches."""
        start = 0
        some = self._read()
        entries = list(fragment_entries(self._old.odb, self._old.table.fragments))
        for entry in entries:
            at = Placed(start, entry)
            todo = []
            while some is not None:
                size = int(np.searchsorted(some.at, at.stop))
                if size:
                    todo.append(some.part(0, size))
                if size < len(some.at):
                    some = some.part(size, len(some.at))
                    break
                some = self._read()
            yield from self._patched(at, todo)
            start = at.stop
        while some is not None:  # behind the last row
            if (some.kinds != ADDED).any() or (some.at != start).any():
                raise self._unfit(int(some.at[-1]))
            yield rowdiff.batch(some.after, self.schema)
            some = self._read()

    def _read(self) -> _Some | None:
        """The next rows of the patch. Raises Usage where they are not in order."""
        batch = next((b for b in self._batches if b.num_rows), None)
        if batch is None:
            return None
        if not batch.schema.equals(self._plain):
            raise Usage("the patch does not have the columns of the two tables that it names", _HINT)
        kinds, old, new = rowdiff.read_head(batch)
        gone = np.cumsum(kinds != ADDED) + self._removed  # and with this one
        came = np.cumsum(kinds != REMOVED) + self._added
        kept = new - came + 1 + np.where(kinds == ADDED, gone, gone - 1)
        at = np.where(kinds == ADDED, kept, old)
        bad = (kinds < 0) | (np.diff(at, prepend=self._at) < 0) | ((kinds == CHANGED) & (at != kept))
        if bad.any():
            raise Usage("the rows of the patch are not in order", "keep the order in which it was written")
        self._removed, self._added, self._at = int(gone[-1]), int(came[-1]), int(at[-1])
        width = len(self._old.schema.names)
        columns = batch.columns[4:]
        return _Some(kinds, old, at, columns[:width], columns[width:])

    def _patched(self, at: Placed, todo: list[_Some]) -> Iterator[Any]:
        """The rows that come of one fragment."""
        columns = self._old.read(at, range(len(self._old.schema.names)))
        gone = np.zeros(at.entry.rows, bool)
        for some in todo:
            self._check(at, some, columns)
            gone[some.old[some.kinds != ADDED] - at.start] = True
        kept = np.flatnonzero(~gone)
        arrays = [self._kept(c, columns, kept) for c in self.columns]
        places = [np.arange(len(kept)) * 2 + 1]
        # Each row of the patch comes before the kept row at or after its place: even numbers between odd ones.
        for some in todo:
            use = np.flatnonzero(some.kinds != REMOVED)
            places.append(np.searchsorted(kept, some.at[use] - at.start) * 2)
            arrays = [rowdiff.joined(a, rowdiff.pick(b, use)) for a, b in zip(arrays, some.after, strict=True)]
        order = np.argsort(np.concatenate(places), kind="stable")
        if len(order):
            yield rowdiff.batch([rowdiff.pick(a, order) for a in arrays], self.schema)

    def _kept(self, c: Column, columns: list[Any], rows: Any) -> Any:
        if c.old is None:
            return rowdiff.nulls(len(rows), c.type)
        made, lost = c.cast(rowdiff.pick(columns[c.old], rows))
        if lost is not None:
            raise Usage(f"the patch lacks values of the column '{c.name}', whose type changed", "make it anew")
        return made

    def _check(self, at: Placed, some: _Some, columns: list[Any]) -> None:
        """Raises Usage where the rows that the patch takes away are not the table's."""
        use = np.flatnonzero(some.kinds != ADDED)
        rows = some.old[use] - at.start
        for array, was, t in zip(columns, some.before, self._old.schema.types, strict=True):
            bad = np.flatnonzero(rowdiff.differing(rowdiff.pick(array, rows), rowdiff.pick(was, use), t))
            if len(bad):
                raise self._unfit(int(some.old[use][bad[0]]))

    def _unfit(self, row: int) -> Usage:
        return Usage(f"the patch does not fit the table at row {row:,}", _HINT)
