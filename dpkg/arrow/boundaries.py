"""Where a table is cut into fragments: content-defined row boundaries (spec/rows.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow import mix
from dpkg.arrow.schema import Schema
from dpkg.arrow.values import batch_bytes, batch_row_bytes

SAMPLE_ROWS, SAMPLE_BYTES = 65_536, 32 << 20
FRAGMENT_BYTES = 32 << 20
TARGET_BYTES = 5 << 19  # 2.5 MiB: a fragment has about 1.15 x target_rows rows, so that means are 2 to 4 MiB
MIN_TARGET, MAX_TARGET = 4, 1 << 20

SMALL_ROWS, SMALL_BYTES = 1024, 1 << 20

Rows = list[pa.RecordBatch]  # one fragment's rows, in pieces


def gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Small batches joined until they have 1,024 rows or 1 MiB, as each batch costs its time."""
    held: Rows = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= SMALL_ROWS or size >= SMALL_BYTES:
            yield pa.concat_batches(held) if len(held) > 1 else batch
            held, rows, size = [], 0, 0
    if rows:
        yield pa.concat_batches(held)


def target_rows(rows: int, size: int) -> int:
    """The power of two nearest to 2.5 MiB of rows, from a sample of `rows` rows and `size` row bytes (ROW-4)."""
    if not rows:
        return MAX_TARGET
    q = max(1, TARGET_BYTES * rows // size)
    below = 1 << (q.bit_length() - 1)
    nearest = below if q - below < 2 * below - q else 2 * below
    return min(max(nearest, MIN_TARGET), MAX_TARGET)


class Cutter:
    """Cuts a stream of plain batches into fragments, holding one open fragment (and at first the sample) in memory."""

    def __init__(self, schema: Schema, key: tuple[str, ...] = ()) -> None:
        self.schema = schema
        self._boundary = [schema.names.index(n) for n in key] if key else list(range(len(schema.names)))
        self._target = 0  # 0 until the sample is complete
        self._sample: Rows = []
        self._sample_rows = self._sample_bytes = 0
        self._open: Rows = []
        self._open_rows = self._open_bytes = 0
        self._before: Any = np.zeros(mix.REACH, np.uint64)

    @property
    def target_rows(self) -> int:
        """Known once `cut` has finished."""
        return self._target

    def cut(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Rows]:
        """The fragments of a stream of plain batches, in order (ROW-5)."""
        for batch in batches:
            if not batch.num_rows:
                continue
            if self._target:
                yield from self._take(batch)
            elif self._sampled(batch):
                yield from self._drain()
        if not self._target:
            self._target = target_rows(self._sample_rows, self._sample_bytes)
            yield from self._drain()
        if self._open_rows:
            yield self._close()

    def _sampled(self, batch: pa.RecordBatch) -> bool:
        """Add a batch to the sample; once it is complete, fix target_rows."""
        self._sample.append(batch)
        rows, size = batch.num_rows, batch_bytes(batch, self.schema)
        if self._sample_rows + rows < SAMPLE_ROWS and self._sample_bytes + size < SAMPLE_BYTES:
            self._sample_rows += rows
            self._sample_bytes += size
            return False
        ends = self._sample_bytes + np.cumsum(batch_row_bytes(batch, self.schema))
        wanted = min(SAMPLE_ROWS - self._sample_rows, int(np.searchsorted(ends, SAMPLE_BYTES)) + 1, rows)
        self._target = target_rows(self._sample_rows + wanted, int(ends[wanted - 1]))
        return True

    def _drain(self) -> Iterator[Rows]:
        sample, self._sample = self._sample, []
        for batch in sample:
            yield from self._take(batch)

    def _levels(self, batch: pa.RecordBatch) -> Any:
        columns = [batch.column(i) for i in self._boundary]
        mixes = mix.row_mixes(columns, [self.schema.types[i] for i in self._boundary])
        out = mix.levels(mixes, self._before)
        self._before = np.concatenate([self._before, mixes])[-mix.REACH :]
        return out

    def _take(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        target, n = self._target, batch.num_rows
        scaled = self._levels(batch) * np.uint64(target)
        loose = np.flatnonzero(scaled < np.uint64(1 << 34))
        strict = loose[scaled[loose] * np.uint64(4) < np.uint64(1 << 32)]
        size = batch_bytes(batch, self.schema)
        ends = None
        if self._open_bytes + size > FRAGMENT_BYTES:
            ends = np.cumsum(batch_row_bytes(batch, self.schema))
        start = 0
        while start < n:
            first = start - self._open_rows  # where the open fragment began, seen from this batch
            stop = _next_cut(first, start, target, strict, loose)
            if ends is not None:
                stop = min(stop, self._byte_cut(first, start, ends))
            if stop > n:
                break
            self._add(batch.slice(start, stop - start), ends, start, stop)
            yield self._close()
            start = stop
        if start < n:
            self._add(batch.slice(start), ends, start, n, size if start == 0 else None)

    def _byte_cut(self, first: int, start: int, ends: Any) -> int:
        """The end (exclusive) that the byte limit gives the open fragment: before the row that would exceed it."""
        used = int(ends[start - 1]) if start else 0
        room = FRAGMENT_BYTES - self._open_bytes + used
        stop = int(np.searchsorted(ends, room, side="right"))
        if stop == len(ends):
            return len(ends) + 1  # everything fits
        return max(stop, first + 1)  # a single row may be larger than the limit

    def _add(self, piece: pa.RecordBatch, ends: Any, start: int, stop: int, size: int | None = None) -> None:
        if not piece.num_rows:
            return
        if size is None:
            if ends is not None:
                size = int(ends[stop - 1]) - (int(ends[start - 1]) if start else 0)
            else:
                size = batch_bytes(piece, self.schema)
        self._open.append(piece)
        self._open_rows += piece.num_rows
        self._open_bytes += size

    def _close(self) -> Rows:
        rows, self._open = self._open, []
        self._open_rows = self._open_bytes = 0
        return rows


def _next_cut(first: int, start: int, target: int, strict: Any, loose: Any) -> int:
    """The end (exclusive) of a fragment that began at `first`, looking at rows from `start` on."""
    quarter, whole, most = first + max(target // 4, 1) - 1, first + target - 1, first + 4 * target - 1
    i = int(np.searchsorted(strict, max(quarter, start)))
    if i < len(strict) and strict[i] < whole:
        return int(strict[i]) + 1
    i = int(np.searchsorted(loose, max(whole, start)))
    if i < len(loose) and loose[i] < most:
        return int(loose[i]) + 1
    return most + 1
