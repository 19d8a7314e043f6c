"""The row diff of two tables by columns that are the key of neither, and need not be unique.

Rows that are on both sides count for nothing, wherever they are; of the others those with the same key are one changed row, the
first with the first and so on; what is left was removed or added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dpkg.arrow import rowdiff
from dpkg.arrow.buckets import Buckets
from dpkg.arrow.rowdiff import ADDED, CHANGED, REMOVED
from dpkg.diffing.align import pair_up
from dpkg.diffing.columns import row_digests
from dpkg.diffing.rows import RowDiff, Summary
from dpkg.errors import Usage, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dpkg.diffing.columns import Column
    from dpkg.objects.table import Table
    from dpkg.odb import Odb


class ByKey:
    """As RowDiff, by columns `key` that both tables have, by their new names. Raises Usage where one has not.

    Changes are no edit script: those of a table that needs files for it come in no order.
    """

    keyed = True

    def __init__(self, odb_a: Odb, old: Table, odb_b: Odb, new: Table, key: Sequence[str]) -> None:
        self._diff = RowDiff(odb_a, old, odb_b, new, keyless=True)
        self.old, self.new, self.schema = self._diff.old, self._diff.new, self._diff.schema
        self.renamed, self.columns = self._diff.renamed, self._diff.columns
        self.summary = Summary()
        self._common = self._diff.compared
        named = {c.name: c for c in self._common}
        for name in key:
            if name not in named:
                hint = did_you_mean(name, named, f"both have: {', '.join(list(named)[:20])}")
                raise Usage(f"the key has the column '{name}', which not both versions of the table have", hint)
        self.paired_by = [named[name] for name in dict.fromkeys(key)]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The changes, as plain batches of `schema`."""
        with Buckets(self.schema.plain) as buckets:
            for batch in self._diff.batches():
                kinds = rowdiff.read_head(batch)[0]
                digests = np.zeros(len(kinds), np.uint64)
                for side, kind in enumerate((REMOVED, ADDED)):
                    rows = np.flatnonzero(kinds == kind)
                    digests[rows] = self._digests(self.paired_by, batch, side, rows)
                buckets.add(batch, digests)
            for part in buckets.parts():
                made = self._paired(part)
                if made.num_rows:
                    yield made

    def _column(self, batch: pa.RecordBatch, c: Column, side: int, rows: Any) -> Any:
        assert c.old is not None
        return rowdiff.pick(batch.column(4 + (len(self.old.schema.names) + c.new if side else c.old)), rows)

    def _digests(self, used: Sequence[Column], batch: pa.RecordBatch, side: int, rows: Any) -> Any:
        return row_digests(used, [self._column(batch, c, side, rows) for c in used], not side, len(rows))

    def _paired(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Of all rows with some keys, the changes."""
        kinds = rowdiff.read_head(batch)[0]
        a, b = np.flatnonzero(kinds == REMOVED), np.flatnonzero(kinds == ADDED)
        i, j = pair_up(*(self._digests(self._common, batch, side, rows) for side, rows in enumerate((a, b))))
        left, right = np.delete(np.arange(len(a)), i), np.delete(np.arange(len(b)), j)
        keys = [self._digests(self.paired_by, batch, n, rows) for n, rows in enumerate((a[left], b[right]))]
        k, m = pair_up(*keys)
        i, j = np.concatenate([i, left[k]]), np.concatenate([j, right[m]])
        cells = self._cells(batch, a[i], b[j])
        of_key = [n for n, c in enumerate(self._common) if c in self.paired_by]
        good = ~cells[:, of_key].any(axis=1)  # equal digests, but not the same: as good as not paired
        changed = np.flatnonzero(good & cells.any(axis=1))
        gone, came = np.delete(a, i[good]), np.delete(b, j[good])
        return self._made(batch, gone, came, (a[i[changed]], b[j[changed]]), cells[changed])

    def _cells(self, batch: pa.RecordBatch, old: Any, new: Any) -> Any:
        """For each pair of rows and each common column whether they differ in it."""
        out = np.zeros((len(old), len(self._common)), bool)
        for n, c in enumerate(self._common):
            x, lost = c.cast(self._column(batch, c, 0, old))
            out[:, n] = rowdiff.differing(x, self._column(batch, c, 1, new), c.type)
            if lost is not None:
                out[:, n] |= lost
        return out

    def _made(self, batch: pa.RecordBatch, gone: Any, came: Any, pairs: tuple[Any, Any], cells: Any) -> pa.RecordBatch:
        """The batch of changes, by the rows' places."""
        _, old_rows, new_rows = rowdiff.read_head(batch)
        counts = len(gone), len(came), len(cells)
        none = [np.full(n, -1, np.int64) for n in counts]
        kinds = np.repeat([REMOVED, ADDED, CHANGED], counts)
        olds, news = np.concatenate([gone, none[1], pairs[0]]), np.concatenate([none[0], came, pairs[1]])
        at_old, at_new = (np.where(rows >= 0, of[rows], -1) for rows, of in ((olds, old_rows), (news, new_rows)))
        order = np.lexsort((kinds, np.where(at_new < 0, at_old, at_new)))
        kinds, olds, news, at_old, at_new = (x[order] for x in (kinds, olds, news, at_old, at_new))
        every = np.zeros((len(kinds), len(self._common)), bool)
        every[len(kinds) - len(cells) :] = cells
        columns = []
        width = len(self.old.schema.names)
        for n, t in enumerate((*self.old.schema.types, *self.new.schema.types)):
            rows = olds if n < width else news
            places = np.flatnonzero(rows >= 0)
            columns.append(rowdiff.spread(rowdiff.pick(batch.column(4 + n), rows[places]), t, places, len(rows)))
        self.summary.removed += counts[0]
        self.summary.added += counts[1]
        self.summary.changed += counts[2]
        names = [c.name for c in self._common]
        return rowdiff.change_batch(self.schema, kinds, at_old, at_new, every[order], names, columns)
