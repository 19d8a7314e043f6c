"""Sorting a table by its key, in bounded memory (spec/rows.md, ROW-6 and ROW-7).

An external merge sort: sorted runs go to temporary Arrow files, and are merged block by block.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.schema import Schema
from dpkg.arrow.values import FLOATS, WIDTH, batch_bytes, float_bits
from dpkg.errors import CheckFailed, Format

RUN_BYTES = 96 << 20  # row bytes sorted in memory at once
BLOCK_ROWS = 16_384  # rows of a run read at once while merging
_KEY_KINDS = ("bool", "decimal", "utf8", "binary", "fixed_binary", "date", *WIDTH)


def check_key(schema: Schema, key: tuple[str, ...]) -> None:
    """Raises Format where the key names a column that is not there or whose type has no order."""
    for i, name in enumerate(key):
        if name not in schema.names:
            raise Format(f"the key names a column '{name}' that the table does not have", f"columns: {', '.join(schema.names[:20])}")
        if name in key[:i]:
            raise Format(f"the key names the column '{name}' twice")
        kind = schema.types[schema.names.index(name)]
        if kind.kind not in _KEY_KINDS:
            raise Format(f"the key column '{name}' is of type {kind}, which has no order", "choose columns of plain types as the key")


def sort_by_key(batches: Iterable[pa.RecordBatch], schema: Schema, key: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Plain batches in the order of the key. Raises CheckFailed for two rows of one key, naming it."""
    check_key(schema, key)
    with tempfile.TemporaryDirectory(prefix="dpkg-sort-") as folder:
        runs = _Runs(folder, schema, key)
        for run in _gather(batches, schema):
            runs.add(run)
        yield from _unique(runs.merged(), schema, key)


def _gather(batches: Iterable[pa.RecordBatch], schema: Schema) -> Iterator[list[pa.RecordBatch]]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
            size += batch_bytes(batch, schema)
        if size >= RUN_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


class _Runs:
    """Sorted runs on disk."""

    def __init__(self, folder: str, schema: Schema, key: tuple[str, ...]) -> None:
        self._folder, self._schema, self._key = folder, schema, key
        self._paths: list[str] = []

    def add(self, rows: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(rows).combine_chunks()
        table = table.take(_order(order_columns(table.to_batches()[0], self._schema, self._key)))
        path = os.path.join(self._folder, f"{len(self._paths):06d}.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=BLOCK_ROWS)
        self._paths.append(path)

    def merged(self) -> Iterator[pa.RecordBatch]:
        """All rows in order: the least blocks of the runs are sorted together, up to the least of their last rows."""
        runs = [_Run(path) for path in self._paths]
        heads: list[pa.RecordBatch | None] = [run.next() for run in runs]
        while True:
            live = [h for h in heads if h is not None]
            if not live:
                return
            if len(live) == 1:
                yield live[0]
                heads = [run.next() if h is not None else None for run, h in zip(runs, heads, strict=True)]
                continue
            yield from self._step(runs, heads)

    def _step(self, runs: list[_Run], heads: list[pa.RecordBatch | None]) -> Iterator[pa.RecordBatch]:
        """Emit every row up to the least last row of the blocks at hand; refill the runs that are used up."""
        at = self._involved(heads)
        blocks = [b for i in at if (b := heads[i]) is not None]
        merged = pa.Table.from_batches(blocks).combine_chunks().to_batches()[0]
        sizes = [b.num_rows for b in blocks]
        rank, order = self._ranked(merged)
        safe = int(rank[np.cumsum(sizes) - 1].min()) + 1
        yield merged.take(pa.array(order[:safe]))
        taken = rank < safe
        start = 0
        for i, block in zip(at, blocks, strict=True):
            used = int(taken[start : start + block.num_rows].sum())
            start += block.num_rows
            heads[i] = block.slice(used) if used < block.num_rows else runs[i].next()

    def _involved(self, heads: list[pa.RecordBatch | None]) -> list[int]:
        """The runs whose block begins at or before the least last row: only these have rows to emit now."""
        at = [i for i, h in enumerate(heads) if h is not None]
        ends = [h.slice(k, 1) for h in heads if h is not None for k in (0, h.num_rows - 1)]
        rank, _ = self._ranked(pa.Table.from_batches(ends).combine_chunks().to_batches()[0])
        least = rank[1::2].min()
        return [i for i, first in zip(at, rank[::2], strict=True) if first <= least]

    def _ranked(self, rows: pa.RecordBatch) -> tuple[Any, Any]:
        """(place of each row in the order, rows in order) of a batch."""
        order = _order(order_columns(rows, self._schema, self._key)).to_numpy()
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return rank, order


class _Run:
    """One sorted run, read a block at a time."""

    def __init__(self, path: str) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(path))
        self._at = 0

    def next(self) -> pa.RecordBatch | None:
        if self._at >= self._reader.num_record_batches:
            return None
        self._at += 1
        return self._reader.get_batch(self._at - 1)


def order_columns(batch: pa.RecordBatch, schema: Schema, key: tuple[str, ...]) -> pa.StructArray:
    """The key columns in a form whose natural order, nulls last, is ROW-6."""
    columns = []
    for name in key:
        i = schema.names.index(name)
        array, kind = batch.column(i), schema.types[i].kind
        columns.append(_total_order(array, kind) if kind in FLOATS else array)
    return pa.StructArray.from_arrays(columns, names=[str(i) for i in range(len(key))])


def _total_order(array: pa.Array, kind: str) -> pa.Array:
    """Floats as integers of the same order: NaN last, -0.0 before 0.0."""
    width = WIDTH[kind]
    mask = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    bits = float_bits(array, width).astype(np.uint64) << np.uint64(64 - 8 * width)
    signed = bits.view(np.int64)
    flipped = np.where(signed < 0, np.int64(2**63 - 1) ^ signed, signed)
    return pa.array(flipped, pa.int64(), mask=mask)


def _order(keys: pa.StructArray) -> pa.Array:
    """Stable order of struct rows, nulls last."""
    table = pa.table([keys.field(i) for i in range(keys.type.num_fields)], names=[str(i) for i in range(keys.type.num_fields)])
    return pc.sort_indices(table, sort_keys=[(n, "ascending") for n in table.column_names], null_placement="at_end")


def _unique(batches: Iterable[pa.RecordBatch], schema: Schema, key: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    last: pa.StructArray | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        keys = order_columns(batch, schema, key)
        joined = keys if last is None else pa.concat_arrays([last, keys])
        same = np.ones(max(len(joined) - 1, 0), bool)
        for i in range(len(key)):
            column = joined.field(i)
            a, b = column.slice(0, len(column) - 1), column.slice(1)
            equal = pc.fill_null(pc.equal(a, b), False)
            both = pc.and_(pc.is_null(a), pc.is_null(b))
            same &= pc.or_(equal, both).to_numpy(zero_copy_only=False)
        if same.any():
            row = int(np.flatnonzero(same)[0]) + (1 if last is None else 0)
            shown = ", ".join(f"{n}={batch.column(schema.names.index(n))[row].as_py()!r}" for n in key)
            raise CheckFailed(f"two rows have the key {shown}", "a key must be unique: remove the duplicate or add a column to the key")
        last = keys.slice(len(keys) - 1)
        yield batch
