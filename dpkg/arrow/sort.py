"""Sorting a table by its key, in bounded memory (spec/rows.md, ROW-6 and ROW-7).

An external merge sort: sorted runs go to temporary Arrow files, and are merged block by block.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.normal import take
from dpkg.arrow.schema import Schema
from dpkg.arrow.values import FLOATS, WIDTH, batch_bytes, float_bits
from dpkg.errors import CheckFailed, Format

RUN_BYTES = 96 << 20  # row bytes sorted in memory at once
BLOCK_ROWS, BLOCK_BYTES = 16_384, 1 << 20  # of a run read at once while merging
FAN_IN = 32  # runs merged at once; up to four times their blocks are in memory then
_KEY_KINDS = ("bool", "decimal", "utf8", "binary", "fixed_binary", "date", *WIDTH)


def check_key(schema: Schema, key: tuple[str, ...]) -> None:
    """Raises Format where the key names a column that is not there or whose type has no order."""
    for i, name in enumerate(key):
        if name not in schema.names:
            hint = f"columns: {', '.join(schema.names[:20])}"
            raise Format(f"the key names a column '{name}' that the table does not have", hint)
        if name in key[:i]:
            raise Format(f"the key names the column '{name}' twice")
        t = schema.types[schema.names.index(name)]
        if t.kind not in _KEY_KINDS:
            hint = "choose columns of plain types as the key"
            raise Format(f"the key column '{name}' is of type {t}, which has no order", hint)


def sort_by_key(batches: Iterable[pa.RecordBatch], schema: Schema, key: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Plain batches in the order of the key. Raises CheckFailed for two rows of one key, naming it."""
    check_key(schema, key)
    with tempfile.TemporaryDirectory(prefix="dpkg-sort-") as folder:
        sorter = _Sorter(folder, schema, key)
        for run in _gather(batches, schema):
            sorter.add(run)
        yield from _unique(sorter.merged(), schema, key)


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


@dataclass(frozen=True, slots=True)
class _Block:
    """Sorted rows and their keys, as `order_columns` gives them."""

    rows: pa.RecordBatch
    keys: pa.StructArray

    def part(self, start: int, stop: int) -> _Block:
        return _Block(self.rows.slice(start, stop - start), self.keys.slice(start, stop - start))


class _Sorter:
    """Sorted runs on disk; where there are many, FAN_IN at a time are merged into one of the next level."""

    def __init__(self, folder: str, schema: Schema, key: tuple[str, ...]) -> None:
        self._folder, self._schema, self._key = folder, schema, key
        self._levels: list[list[str]] = [[]]
        self._held: list[_Block] = []  # the newest run; in memory, as often there is no other
        self._made = 0

    def add(self, rows: list[pa.RecordBatch]) -> None:
        self._flush()
        self._held = [self._joined([self._block(b) for b in rows])]

    def _flush(self) -> None:
        if not self._held:
            return
        self._levels[0].append(self._store(b.rows for b in self._held))
        self._held = []
        for level, paths in enumerate(self._levels):
            if len(paths) == FAN_IN:
                if level + 1 == len(self._levels):
                    self._levels.append([])
                merged = self._store(b.rows for b in self._merge([self._read(p) for p in paths]))
                self._levels[level + 1].append(merged)
                for path in paths:
                    os.unlink(path)
                paths.clear()

    def _store(self, batches: Iterable[pa.RecordBatch]) -> str:
        path = os.path.join(self._folder, f"{self._made:06d}.arrow")
        self._made += 1
        with pa.OSFile(os.fsencode(path), "wb") as sink, pa.ipc.new_file(sink, self._schema.plain) as writer:
            for batch in batches:
                fit = batch.num_rows * BLOCK_BYTES // batch_bytes(batch, self._schema)
                step = max(1, min(BLOCK_ROWS, fit))
                for start in range(0, batch.num_rows, step):
                    writer.write_batch(batch.slice(start, step))
        return path

    def _read(self, path: str) -> Iterator[_Block]:
        reader = pa.ipc.open_file(pa.OSFile(os.fsencode(path), "rb"))  # not mapped: pages of a map count as memory
        for i in range(reader.num_record_batches):
            yield self._block(reader.get_batch(i))

    def _block(self, rows: pa.RecordBatch) -> _Block:
        return _Block(rows, order_columns(rows, self._schema, self._key))

    def merged(self) -> Iterator[pa.RecordBatch]:
        """All rows in order."""
        runs = [self._read(path) for paths in self._levels for path in paths]
        return (b.rows for b in self._merge([*runs, iter(self._held)]))

    def _merge(self, runs: list[Iterator[_Block]]) -> Iterator[_Block]:
        """Again and again, all rows up to the least of the last rows of the runs' blocks at hand."""
        pairs = [(block, run) for run in runs if (block := next(run, None)) is not None]
        while len(pairs) > 1:
            blocks = [block for block, _ in pairs]
            counts = _up_to_least_end(blocks)
            yield self._joined([b.part(0, n) for b, n in zip(blocks, counts, strict=True) if n])
            left = []
            for (block, run), n in zip(pairs, counts, strict=True):
                rest = block.part(n, block.rows.num_rows) if n < block.rows.num_rows else next(run, None)
                if rest is not None:
                    left.append((rest, run))
            pairs = left
        for block, run in pairs:
            yield block
            yield from run

    def _joined(self, blocks: list[_Block]) -> _Block:
        """The rows of some blocks in order."""
        if len(blocks) == 1:
            rows, keys = blocks[0].rows, blocks[0].keys
        else:
            columns = zip(*(b.rows.columns for b in blocks), strict=True)
            rows = pa.RecordBatch.from_arrays([pa.concat_arrays(c) for c in columns], schema=self._schema.plain)
            keys = pa.concat_arrays([b.keys for b in blocks])
        order = _order(keys)
        columns_ = [take(c, order) for c in rows.columns]
        return _Block(pa.RecordBatch.from_arrays(columns_, schema=self._schema.plain), keys.take(order))


def _up_to_least_end(blocks: list[_Block]) -> Any:
    """How many rows of each block are not above the least of the blocks' last rows; by binary search in all at once."""
    sizes = np.array([b.rows.num_rows for b in blocks])
    ends = pa.concat_arrays([b.keys.slice(n - 1, 1) for b, n in zip(blocks, sizes, strict=True)])
    least = ends.slice(_order(ends)[0].as_py(), 1)
    low, high = np.zeros(len(blocks), np.int64), sizes
    while (at := np.flatnonzero(low < high)).size:
        middle = (low + high) // 2
        order = _order(pa.concat_arrays([*(blocks[i].keys.slice(middle[i], 1) for i in at), least])).to_numpy()
        before = at[order[: int(np.flatnonzero(order == len(at))[0])]]  # a stable sort: equal ones come before `least`
        after = np.setdiff1d(at, before)
        low[before], high[after] = middle[before] + 1, middle[after]
    return low


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
    names = [str(i) for i in range(keys.type.num_fields)]
    table = pa.table([keys.field(i) for i in range(len(names))], names=names)
    return pc.sort_indices(table, sort_keys=[(n, "ascending") for n in names])


def _unique(batches: Iterable[pa.RecordBatch], schema: Schema, key: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    last: pa.StructArray | None = None
    for batch in batches:
        keys = order_columns(batch, schema, key)
        joined = keys if last is None else pa.concat_arrays([last, keys])
        same = np.ones(len(joined) - 1, bool)
        for i in range(len(key)):
            column = joined.field(i)
            a, b = column.slice(0, len(column) - 1), column.slice(1)
            both = pc.and_(pc.is_null(a), pc.is_null(b))
            same &= pc.or_(pc.fill_null(pc.equal(a, b), False), both).to_numpy(zero_copy_only=False)
        if same.any():
            row = int(np.flatnonzero(same)[0]) + (1 if last is None else 0)
            shown = ", ".join(f"{n}={_shown(batch.column(schema.names.index(n))[row])}" for n in key)
            hint = "a key must be unique: remove the duplicate or add a column to the key"
            raise CheckFailed(f"two rows have the key {shown}", hint)
        last = keys.slice(len(keys) - 1)
        yield batch


def _shown(value: Any) -> str:
    """A value for people; the bare number of a date or time that Python has no type for."""
    try:
        plain = value.as_py()
    except (ValueError, KeyError, OverflowError, pa.ArrowException):  # KeyError: a time zone that is not known here
        return str(value.value)
    return repr(plain) if isinstance(plain, (str, bytes)) else str(plain)
