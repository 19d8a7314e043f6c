"""Canonical values: column digests, fragment oids, row bytes (spec/values.md, spec/rows.md).

Every function takes *plain* arrays (dpkg.arrow.normal): decoded, in canonical types, storage in place of extensions.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from dpkg.arrow.normal import drop_null, map_items, unnest
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type
from dpkg.objects import canonical_json
from dpkg.oid import Oid, context

Sink = Callable[[Any], Any]
NANS = {
    2: (np.uint16, np.float16, 0x7E00),
    4: (np.uint32, np.float32, 0x7FC00000),
    8: (np.uint64, np.float64, 0x7FF8 << 48),
}
WIDTH = {
    **{f"{s}int{w}": w // 8 for w in (8, 16, 32, 64) for s in ("", "u")},
    **{"float16": 2, "float32": 4, "float64": 8, "date": 4, "time_ms": 4},
    **dict.fromkeys(("time_us", "time_ns", "timestamp", "duration"), 8),
}
FLOATS = ("float16", "float32", "float64")


def width_of(t: Type) -> int:
    """Bytes of a fixed-width value, 0 for other types. (A bool is none: its values are bits.)"""
    if t.kind == "decimal":
        return 16 if t.params[0] <= 38 else 32
    return int(t.params[0]) if t.kind == "fixed_binary" else WIDTH.get(t.kind, 0)


def column_digest(array: pa.Array, t: Type) -> bytes:
    """The 32-byte digest of a column's values and type (VAL-1)."""
    hasher = blake3(derive_key_context=context("column"))
    head = canonical_json.encode(t.json)
    hasher.update(struct.pack("<I", len(head)) + head)
    stream(array, t, hasher.update)
    return hasher.digest()


def fragment_oid(schema: Schema, rows: int, digests: Sequence[bytes]) -> Oid:
    """The oid of `rows` rows with these column digests (VAL-2)."""
    hasher = blake3(derive_key_context=context("fragment"))
    hasher.update(schema.digest.raw + struct.pack("<Q", rows) + b"".join(digests))
    return Oid(hasher.hexdigest())


def stream(array: pa.Array, t: Type, sink: Sink) -> None:
    """Feed `stream(array, t)` of spec/values.md to `sink`, in pieces."""
    sink(struct.pack("<Q", len(array)))
    if t.kind == "null":
        return
    if array.null_count:
        sink(b"\1")
        sink(_bits(pc.is_valid(array)))
    else:
        sink(b"\0")
    t = t.storage
    if t.kind in ("list", "map", "fixed_list"):
        _lists(array, t, sink)
    elif t.kind != "null":
        _payload(drop_null(array), t, sink)


def _lists(array: pa.Array, t: Type, sink: Sink) -> None:
    """Step 3 of the stream of lists and maps."""
    lengths, children = unnest(array, t)
    if t.kind != "fixed_list":
        present = lengths[array.is_valid().to_numpy(zero_copy_only=False)] if array.null_count else lengths
        sink(_little(present.astype(np.uint32)))
    for child, item in zip(children, t.items, strict=True):
        stream(child, item, sink)


def _payload(array: pa.Array, t: Type, sink: Sink) -> None:
    """Step 3 of the stream of other types: the values of an array without nulls."""
    if t.kind == "bool":
        sink(_bits(array))
    elif t.kind in ("utf8", "binary"):
        offsets = string_offsets(array)
        sink(_little(np.diff(offsets).astype(np.uint32)))
        data = array.buffers()[2]
        if data is not None:
            sink(memoryview(data)[offsets[0] : offsets[-1]])
    elif t.kind == "struct":
        for i, item in enumerate(t.items):
            stream(array.field(i), item, sink)
    else:
        sink(_fixed(array, t))


def _fixed(array: pa.Array, t: Type) -> Any:
    """The little-endian bytes of fixed-width values, NaN made one."""
    if not len(array):
        return b""
    width = width_of(t)
    if t.kind in FLOATS:
        return _little(float_bits(array, width))
    raw = slots(array, np.uint8, width)
    if sys.byteorder == "big" and t.kind != "fixed_binary":
        raw = raw.reshape(-1, width)[:, ::-1].copy()
    return raw.data


def slots(array: pa.Array, dtype: Any, words: int = 1) -> Any:
    """The slots of a fixed-width array that is not empty, `words` numbers each; below nulls, whatever is there."""
    size = np.dtype(dtype).itemsize * words
    return np.frombuffer(array.buffers()[1], dtype, len(array) * words, array.offset * size)


def float_bits(array: pa.Array, width: int) -> Any:
    """The IEEE bits of a float array's slots as unsigned integers, every NaN the same."""
    uint, real, nan = NANS[width]
    bits = slots(array, uint) if len(array) else np.zeros(0, uint)
    bad = np.isnan(bits.view(real))
    if bad.any():
        bits = bits.copy()
        bits[bad] = nan
    return bits


def _little(values: Any) -> Any:
    return memoryview(values if sys.byteorder == "little" else values.byteswap()).cast("B") if len(values) else b""


def _bits(array: pa.Array) -> Any:
    """A boolean array without nulls as a bitmap from bit 0, unused bits 0."""
    n = len(array)
    if not n:
        return b""
    raw = np.frombuffer(array.buffers()[1], np.uint8)
    if array.offset % 8 == 0:
        start = array.offset // 8
        out = raw[start : start + (n + 7) // 8].copy()
        if n % 8:
            out[-1] &= (1 << n % 8) - 1
        return out.data
    bits = np.unpackbits(raw, bitorder="little")[array.offset : array.offset + n]
    return np.packbits(bits, bitorder="little").data


def string_offsets(array: pa.Array) -> Any:
    """The n + 1 offsets of a plain utf8 or binary array."""
    data = array.buffers()[1]
    if data is None or not len(array):
        return np.zeros(1, np.int32)
    return np.frombuffer(data, np.int32, len(array) + 1, 4 * array.offset)


def spans(array: pa.Array) -> tuple[Any, Any, Any]:
    """Where the bytes of each value of a plain utf8, binary or fixed_binary array are: in what buffer, from where, how many (int64).

    Nulls of fixed width have room of their own; of others 0 bytes.
    """
    if pa.types.is_fixed_size_binary(array.type):
        size = array.type.byte_width
        starts = (array.offset + np.arange(len(array), dtype=np.int64)) * size
        return array.buffers()[1], starts, np.full(len(array), size, np.int64)
    offsets = string_offsets(array).astype(np.int64)
    lengths = np.diff(offsets)
    if array.null_count:
        lengths = np.where(pc.is_null(array).to_numpy(zero_copy_only=False), 0, lengths)
    return array.buffers()[2], offsets[:-1], lengths


def row_bytes(array: pa.Array, t: Type) -> Any:
    """Bytes of each cell (ROW-1), an int64 numpy array of the array's length."""
    t = t.storage
    out = np.ones(len(array), np.int64)
    if t.kind == "null" or not len(array):
        return out
    if array.null_count:
        valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
        out[valid] = row_bytes(drop_null(array), t)
        return out
    if t.kind == "bool":
        out += 1
    elif t.kind in ("utf8", "binary"):
        out += 4 + np.diff(string_offsets(array))
    elif t.kind == "struct":
        for i, item in enumerate(t.items):
            out += row_bytes(array.field(i), item)
    elif t.kind in ("list", "map"):
        parts = map_items(array) if t.kind == "map" else (array.flatten(),)
        ends = np.concatenate([[0], np.cumsum(sum(row_bytes(p, i) for p, i in zip(parts, t.items, strict=True)))])
        offsets = array.offsets.to_numpy().astype(np.int64)
        out += 4 + np.diff(ends[offsets - offsets[0]])
    elif t.kind == "fixed_list":
        out += row_bytes(array.flatten(), t.items[0]).reshape(len(array), -1).sum(axis=1)
    else:
        out += width_of(t)
    return out


def total_bytes(array: pa.Array, t: Type) -> int:
    """The sum of `row_bytes`, without making them for flat types."""
    t = t.storage
    n, present = len(array), len(array) - array.null_count
    if t.kind == "null":
        return n
    if t.kind in ("utf8", "binary"):
        if array.null_count:
            array = drop_null(array)
        offsets = string_offsets(array)
        return int(n + 4 * present + int(offsets[-1]) - int(offsets[0]))
    if t.items:
        return int(row_bytes(array, t).sum())
    return int(n + present * (1 if t.kind == "bool" else width_of(t)))


def batch_bytes(batch: pa.RecordBatch, schema: Schema) -> int:
    """Row bytes of a whole plain batch."""
    return sum(total_bytes(c, t) for c, t in zip(batch.columns, schema.types, strict=True))


def batch_row_bytes(batch: pa.RecordBatch, schema: Schema) -> Any:
    """Row bytes of each row of a plain batch."""
    out = np.zeros(batch.num_rows, np.int64)
    for c, t in zip(batch.columns, schema.types, strict=True):
        out += row_bytes(c, t)
    return out
