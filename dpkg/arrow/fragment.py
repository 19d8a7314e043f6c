"""Fragment files: sealed plain Parquet, written with adaptive encodings, read one verified column at a time (spec/storage.md)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from dpkg.arrow import normal, values
from dpkg.arrow.boundaries import FRAGMENT_BYTES, MAX_TARGET
from dpkg.arrow.encodings import FILE, Encodings, leaves
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import StatsRow, stats_row
from dpkg.arrow.types import Type
from dpkg.errors import Corrupt, Format
from dpkg.objects import canonical_json
from dpkg.objects.node import FragmentEntry
from dpkg.oid import Oid

SEAL_KEY, COLUMNS_KEY, SCHEMA_KEY = b"dpkg.seal", b"dpkg.columns", b"dpkg.schema"
_ZEROS = b"0" * 64
# Thrift's compact protocol writes a KeyValue's value as field header 0x18 and the length 64 as 0x40.
_SEAL_HEAD = SEAL_KEY + b"\x18\x40"
MAX_CELL_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment in memory: what names it, what prunes it, and its columns."""

    entry: FragmentEntry
    stats: StatsRow
    digests: tuple[bytes, ...]
    columns: list[pa.Array]


def make(rows: Sequence[pa.RecordBatch], schema: Schema, *, with_stats: bool = True) -> Fragment:
    """The fragment of some plain rows."""
    columns = [pa.concat_arrays([b.column(i) for b in rows]) if len(rows) > 1 else rows[0].column(i) for i in range(len(schema.names))]
    count = sum(b.num_rows for b in rows)
    pairs = list(zip(columns, schema.types, strict=True))
    digests = tuple(values.column_digest(c, t) for c, t in pairs)
    size = sum(values.total_bytes(c, t) for c, t in pairs)
    entry = FragmentEntry(values.fragment_oid(schema, count, digests), count, size)
    return Fragment(entry, stats_row(columns, schema) if with_stats else [], digests, columns)


def encode(fragment: Fragment, schema: Schema, encodings: Encodings | None = None) -> bytes:
    """The fragment as a sealed Parquet file (STO-4); `encodings` are shared by the fragments of a table."""
    stored = [to_storage(c, t) for c, t in zip(fragment.columns, schema.types, strict=True)]
    table = pa.Table.from_arrays(stored, schema=pa.schema([pa.field(n, c.type) for n, c in zip(schema.names, stored, strict=True)]))
    options = (encodings or Encodings()).options(stored, schema)
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        **FILE,
        **options,
    ) as writer:
        writer.write_table(table, row_group_size=table.num_rows)
        digests, types = b"".join(fragment.digests).hex(), canonical_json.encode(schema.json)
        writer.add_key_value_metadata({COLUMNS_KEY: digests, SCHEMA_KEY: types, SEAL_KEY: _ZEROS})
    return _seal(bytearray(sink.getbuffer()))


def _seal(data: bytearray) -> bytes:
    at = _seal_at(data)
    data[at : at + 64] = blake3(data).hexdigest().encode()
    return bytes(data)


def _seal_at(data: bytes | bytearray) -> int:
    at = data.rfind(_SEAL_HEAD)
    if at < 0 or at + len(_SEAL_HEAD) + 64 > len(data):
        raise Corrupt("a fragment file has no seal")
    return at + len(_SEAL_HEAD)


def check_seal(data: bytes) -> None:
    """Check a fragment file byte for byte, without decoding it. Raises Corrupt."""
    at = _seal_at(data)
    hasher = blake3(memoryview(data)[:at])
    hasher.update(_ZEROS)
    hasher.update(memoryview(data)[at + 64 :])
    if hasher.hexdigest().encode() != data[at : at + 64]:
        raise Corrupt("a fragment file does not match its seal")


def to_storage(array: pa.Array, t: Type) -> pa.Array:
    """A plain array as Parquet can hold it: durations as integers, fixed-size lists as lists."""
    t = t.storage
    if t.kind == "duration":
        return array.view(pa.int64())
    if not _needs_storage(t):
        return array
    mask = normal.mask_of(array)
    if t.kind == "struct":
        items = [to_storage(array.field(i), it) for i, it in enumerate(t.items)]
        return pa.StructArray.from_arrays(items, names=list(t.names), mask=mask)
    lengths, children = normal.unnest(array, t)
    items = [to_storage(c, it) for c, it in zip(children, t.items, strict=True)]
    made = pa.MapArray if t.kind == "map" else pa.ListArray
    return made.from_arrays(normal.offsets_of(lengths), *items, mask=mask)


def from_storage(array: pa.Array, t: Type) -> pa.Array:
    """A column as Parquet gave it back, as a plain array. Raises Corrupt where it is not of the table's type."""
    t = t.storage
    if array.type == t.plain:
        return array
    if t.kind == "duration" and array.type == pa.int64():
        return array.view(t.plain)
    if t.kind == "timestamp" and pa.types.is_timestamp(array.type) and array.type.unit == t.params[0]:
        return array.view(t.plain)
    mask = normal.mask_of(array)
    if t.kind == "struct" and pa.types.is_struct(array.type) and array.type.num_fields == len(t.items):
        items = [from_storage(array.field(i), it) for i, it in enumerate(t.items)]
        return pa.StructArray.from_arrays(items, fields=list(t.plain), mask=mask)
    if (t.kind == "map" and pa.types.is_map(array.type)) or (t.kind in ("list", "fixed_list") and pa.types.is_list(array.type)):
        lengths, children = normal.unnest(array, t)
        items = [from_storage(c, it) for c, it in zip(children, t.items, strict=True)]
        if t.kind == "fixed_list":
            if len(items[0]) != t.params[0] * (len(array) - array.null_count) or len(set(lengths.tolist()) - {0}) > 1:
                raise Corrupt(f"a fixed-size list does not have {t.params[0]} elements")
        return normal.join_list(lengths, items, t, mask)
    raise Corrupt(f"a column is stored as {array.type}, the table says {t}")


def _needs_storage(t: Type) -> bool:
    t = t.storage
    return t.kind in ("duration", "fixed_list") or any(_needs_storage(i) for i in t.items)


class Reader:
    """Reads one fragment file: its footer once, then any columns, each checked against the fragment's oid (STO-5)."""

    def __init__(self, source: Any, entry: FragmentEntry, schema: Schema, most: int = 0) -> None:
        """`source` is a path or a file-like object; `most` the row bytes allowed (0: ROW-5's). Raises Corrupt if the file is not this fragment."""
        self.entry, self.schema = entry, schema
        most = most or (FRAGMENT_BYTES if entry.rows > 1 else MAX_CELL_BYTES * len(schema.names))
        if not 0 < entry.rows <= 4 * MAX_TARGET or entry.bytes > most:
            raise self._bad("its size is beyond the format's limits")
        try:
            self._file = pq.ParquetFile(source, pre_buffer=False)
        except (pa.ArrowException, OSError) as e:
            raise self._bad(f"its footer cannot be read: {str(e)[:200]}") from None
        meta = self._file.metadata
        hexed = (meta.metadata or {}).get(COLUMNS_KEY, b"")
        if meta.num_rows != entry.rows or meta.num_row_groups != 1 or len(hexed) != 64 * len(schema.names):
            raise self._bad("its footer does not fit the table")
        counts = (sum(1 for _ in leaves(t, (n,))) for n, t in zip(schema.names, schema.types, strict=True))
        self._starts = list(accumulate(counts, initial=0))  # of each column's leaves, and the end
        if meta.num_columns != self._starts[-1]:
            raise self._bad("its columns are not the table's")
        try:
            raw = bytes.fromhex(hexed.decode())
        except ValueError:
            raise self._bad("its column digests are damaged") from None
        self.digests = [raw[i : i + 32] for i in range(0, len(raw), 32)]
        if values.fragment_oid(schema, entry.rows, self.digests) != entry.oid:
            raise self._bad("its column digests do not give its oid")

    def read(self, columns: Sequence[int] | None = None, verify: bool = True) -> list[pa.Array]:
        """Plain arrays of the columns at these places, in the order given (all if None). Raises Corrupt."""
        wanted = list(range(len(self.schema.names))) if columns is None else list(columns)
        distinct = sorted(set(wanted))  # Arrow gives columns back in the order of the indices asked for
        place = {i: at for at, i in enumerate(distinct)}
        out = []
        try:
            leaf_indices = [k for i in distinct for k in range(self._starts[i], self._starts[i + 1])]
            self._bound(leaf_indices)
            table = self._file.reader.read_row_group(0, column_indices=leaf_indices, use_threads=False)
            for i in wanted:
                t = self.schema.types[i]
                array = from_storage(table.column(place[i]).combine_chunks(), t)
                if verify and values.column_digest(array, t) != self.digests[i]:
                    raise self._bad(f"column '{self.schema.names[i]}' does not match its digest")
                out.append(array)
        except (pa.ArrowException, OSError, IndexError, ValueError) as e:
            raise self._bad(f"it cannot be decoded: {str(e)[:200]}") from None
        return out

    def _bound(self, leaf_indices: list[int]) -> None:
        """Refuse a file whose pages would unpack to far more than the entry's bytes, before anything is decoded."""
        group = self._file.metadata.row_group(0)
        for k in leaf_indices:
            if group.column(k).total_uncompressed_size > 4 * self.entry.bytes + (16 << 20):
                raise self._bad("a column would unpack to more than the table says")

    def _bad(self, why: str) -> Corrupt:
        return Corrupt(f"fragment {self.entry.oid} is damaged: {why}", "run 'dpk verify', then install or push it again from a good store")


def read_stats(source: Any, oid: Oid, rows: int, schema: Schema) -> pa.RecordBatch:
    """A statistics fragment as one plain batch of `schema`; its index entry is only an oid, its size follows from IDX-8."""
    most = rows * len(schema.names) * 256
    columns = Reader(source, FragmentEntry(oid, rows, most), schema, most).read()
    return pa.RecordBatch.from_arrays(columns, schema=schema.plain)


def describe(source: Any, oid: Oid) -> tuple[FragmentEntry, Schema]:
    """What a fragment file says of itself: rows and schema. Safe to use with `Reader`, as the oid covers both. Raises Corrupt."""
    try:
        meta = pq.read_metadata(source)
        schema = Schema.from_json(canonical_json.decode((meta.metadata or {}).get(SCHEMA_KEY, b"")))
    except (pa.ArrowException, OSError, Format) as e:
        raise Corrupt(f"fragment {oid} is damaged: its footer cannot be read: {str(e)[:200]}", "run 'dpk verify'") from None
    return FragmentEntry(oid, meta.num_rows, FRAGMENT_BYTES), schema
