"""Fragment files: sealed plain Parquet, read one verified column at a time (spec/storage.md)."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from blake3 import blake3

from dpkg.arrow import normal, pages, values
from dpkg.arrow.boundaries import FRAGMENT_BYTES, MAX_TARGET
from dpkg.arrow.encodings import FILE, Encodings
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import StatsRow, stats_row
from dpkg.arrow.types import Type
from dpkg.errors import Corrupt, DpkgError, Format
from dpkg.objects import canonical_json
from dpkg.objects.node import FragmentEntry
from dpkg.oid import Oid
from dpkg.store.local import failure

SEAL_KEY, COLUMNS_KEY, SCHEMA_KEY = b"dpkg.seal", b"dpkg.columns", b"dpkg.schema"
_ZEROS = b"0" * 64
# Thrift's compact protocol writes a KeyValue's value as field header 0x18 and the length 64 as 0x40.
_SEAL_HEAD = SEAL_KEY + b"\x18\x40"
_TEXTS = ("utf8", "binary")
MAX_CELL_BYTES = 1 << 31
MAX_DECODED = 1 << 30  # bytes that a column may take in memory beside what its row bytes say


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment in memory: what names it, what prunes it, and its columns."""

    entry: FragmentEntry
    stats: StatsRow
    digests: tuple[bytes, ...]
    columns: list[pa.Array]


def make(rows: Sequence[pa.RecordBatch], schema: Schema, *, with_stats: bool = True) -> Fragment:
    """The fragment of some plain rows."""
    columns = [
        pa.concat_arrays([b.column(i) for b in rows]) if len(rows) > 1 else rows[0].column(i)
        for i in range(len(schema.names))
    ]
    count = sum(b.num_rows for b in rows)
    pairs = list(zip(columns, schema.types, strict=True))
    digests = tuple(values.column_digest(c, t) for c, t in pairs)
    size = sum(values.total_bytes(c, t) for c, t in pairs)
    entry = FragmentEntry(values.fragment_oid(schema, count, digests), count, size)
    return Fragment(entry, stats_row(columns, schema) if with_stats else [], digests, columns)


def encode(fragment: Fragment, schema: Schema, encodings: Encodings | None = None) -> bytes:
    """The fragment as a sealed Parquet file (STO-4); `encodings` are shared by the fragments of a table."""
    stored = [to_storage(c, t) for c, t in zip(fragment.columns, schema.types, strict=True)]
    table = pa.Table.from_arrays(
        stored, schema=pa.schema([pa.field(n, c.type) for n, c in zip(schema.names, stored, strict=True)])
    )
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
    """A plain array as Parquet can hold it: durations as integers, fixed-size lists as lists. Raises Format."""
    t = t.storage
    if array.null_count and len(array) * _slot_bytes(t) > MAX_DECODED:  # row bytes do not count what is below nulls
        message = f"{len(array):,} values of {t}, most of them null, would take too much memory to read"
        raise Format(message, "make it a list, or a binary, of any length")
    if t.kind == "duration":
        return array.view(pa.int64())
    if not t.items or not _needs_storage(t):
        return array
    mask = normal.mask_of(array)
    if t.kind == "struct":
        items = [to_storage(array.field(i), it) for i, it in enumerate(t.items)]
        return pa.StructArray.from_arrays(items, names=list(t.names), mask=mask)
    lengths, children = normal.unnest(array, t)
    items = [to_storage(c, it) for c, it in zip(children, t.items, strict=True)]
    made = pa.MapArray if t.kind == "map" else pa.ListArray
    return made.from_arrays(normal.offsets_of(lengths), *items, mask=mask)


def from_storage(array: pa.Array, t: Type, most: int = MAX_DECODED) -> pa.Array:
    """A column as Parquet gave it back as a plain array, of up to `most` row bytes. Raises ValueError if it is not."""
    t, kind = t.storage, array.type
    if kind == t.plain:
        return array
    if t.kind == "duration" and kind == pa.int64():
        return array.view(t.plain)
    if t.kind == "timestamp" and pa.types.is_timestamp(kind) and kind.unit == t.params[0]:
        return array.view(t.plain)
    if pa.types.is_dictionary(kind) and kind.value_type == t.plain:
        return _from_dictionary(array, most)
    mask = normal.mask_of(array)
    if t.kind == "struct" and pa.types.is_struct(kind) and kind.num_fields == len(t.items):
        items = [from_storage(array.field(i), it, most) for i, it in enumerate(t.items)]
        return pa.StructArray.from_arrays(items, fields=list(t.plain), mask=mask)
    if pa.types.is_map(kind) if t.kind == "map" else t.kind in ("list", "fixed_list") and pa.types.is_list(kind):
        lengths, children = normal.unnest(array, t)
        if t.kind == "fixed_list":
            _check_fixed(lengths, array, t)
        items = [from_storage(c, it, most) for c, it in zip(children, t.items, strict=True)]
        return normal.join_list(lengths, items, t, mask)
    raise ValueError(f"a column is stored as {kind}, the table says {t}")


def _from_dictionary(array: pa.DictionaryArray, most: int) -> pa.Array:
    lengths = pc.binary_length(array.dictionary)
    if (pc.max(lengths).as_py() or 0) * len(array) > most and (pc.sum(lengths.take(array.indices)).as_py() or 0) > most:
        raise ValueError("a column would unpack to more than the table says")
    return array.dictionary_decode()


def _check_fixed(lengths: Any, array: pa.Array, t: Type) -> None:
    size = t.params[0]
    if ((lengths != size) & (lengths != 0)).any() or lengths.sum() != size * (len(array) - array.null_count):
        raise ValueError(f"a fixed-size list does not have {size} elements")
    if array.null_count and len(array) * _slot_bytes(t) > MAX_DECODED:
        raise ValueError(f"{len(array)} fixed-size lists of {size} elements would take too much memory")


def _slot_bytes(t: Type) -> int:
    """Bytes that a slot of a plain array takes at least, whatever is in it."""
    t = t.storage
    if t.kind == "fixed_list":
        return int(t.params[0]) * _slot_bytes(t.items[0])
    return sum(map(_slot_bytes, t.items)) if t.kind == "struct" else max(1, values.width_of(t))


def _needs_storage(t: Type) -> bool:
    """Whether `to_storage` must look at every depth."""
    t = t.storage
    return t.kind in ("duration", "fixed_list", "fixed_binary") or any(_needs_storage(i) for i in t.items)


def _parquet(source: Any, **options: Any) -> pq.ParquetFile:
    """A Parquet file at a path, or one that is open already. Arrow would write a path in UTF-8, whatever the locale says."""
    opened = pa.OSFile(os.fsencode(source)) if isinstance(source, str) else source
    return pq.ParquetFile(opened, pre_buffer=False, **options)


class Reader:
    """Reads one fragment file: its footer once, then any columns, each checked against the fragment's oid (STO-5)."""

    def __init__(self, source: Any, entry: FragmentEntry, schema: Schema, most: int = 0) -> None:
        """`source` is a path or a file (dpkg.store.ranged: one across a network); `most` the row bytes allowed (0: ROW-5's).

        Raises Corrupt if it is not the fragment of `entry`.
        """
        self.entry, self.schema, self._source = entry, schema, source
        if not 0 < entry.rows <= 4 * MAX_TARGET or entry.bytes > (most or most_bytes(entry.rows, schema)):
            raise self._bad("its size is beyond the format's limits")
        self._chunks: list[pages.Chunk] = []  # of the first leaf columns; known once they are read
        self._starts = list(accumulate(map(len, schema.leaves), initial=0))  # of each column's leaves, and the end
        self._flat_texts = {k for k, t in zip(self._starts, schema.types, strict=False) if t.storage.kind in _TEXTS}
        try:
            self._file = _parquet(source)
            self.digests = self._digests()
        except (pa.ArrowException, OSError, ValueError) as e:
            raise self._refused("its footer cannot be read", e) from None
        if values.fragment_oid(schema, entry.rows, self.digests) != entry.oid:
            raise self._bad("its column digests do not give its oid")

    def _digests(self) -> list[bytes]:
        """The column digests of a footer that fits the table; ValueError for others."""
        meta, names = self._file.metadata, self.schema.names
        more = meta.metadata or {}
        hexed = more.get(COLUMNS_KEY, b"")
        if meta.num_rows != self.entry.rows or meta.num_row_groups != 1 or len(hexed) != 64 * len(names):
            raise ValueError("it does not fit the table")
        if (
            b"ARROW:schema" in more
            or tuple(self._file.schema_arrow.names) != names
            or meta.num_columns != self._starts[-1]
        ):
            raise ValueError("its columns are not the table's")
        raw = bytes.fromhex(hexed.decode())
        return [raw[i : i + 32] for i in range(0, len(raw), 32)]

    def read(
        self, columns: Sequence[int] | None = None, verify: bool = True, occurring: dict[int, pa.Array] | None = None
    ) -> list[pa.Array]:
        """Plain arrays of the columns at these places, in the order given (all if None). Raises Corrupt.

        `occurring` is given the values that occur in columns of few values: each once, nulls left out.
        """
        wanted = list(range(len(self.schema.names))) if columns is None else list(columns)
        distinct = sorted(set(wanted))  # Arrow gives columns back in the order of the indices asked for
        try:
            table = self._decode([k for i in distinct for k in range(self._starts[i], self._starts[i + 1])])
            found = {i: self._column(table.column(at), i, verify, occurring) for at, i in enumerate(distinct)}
        except (pa.ArrowException, OSError, IndexError, ValueError, KeyError) as e:
            raise self._refused("it cannot be decoded", e) from None
        return [found[i] for i in wanted]

    def _column(self, stored: pa.ChunkedArray, i: int, verify: bool, occurring: dict[int, pa.Array] | None) -> pa.Array:
        t = self.schema.types[i]
        one = stored.chunk(0) if stored.num_chunks == 1 else stored.combine_chunks()  # which copies
        array = from_storage(one, t, self.entry.bytes)
        if verify and values.column_digest(array, t) != self.digests[i]:
            raise self._bad(f"column '{self.schema.names[i]}' does not match its digest")
        if occurring is not None and pa.types.is_dictionary(one.type):
            occurring[i] = one.dictionary.take(pc.unique(one.indices.drop_null()))
        return array

    def _decode(self, leaf_indices: list[int]) -> pa.Table:
        """The columns as Parquet has them, once it is known that this will not take far too much memory."""
        paths, types = zip(*(leaf for below in self.schema.leaves for leaf in below), strict=True)
        file = self._file
        # Columns that come as a dictionary and indices: those that must, as `from_storage` knows what these stand for,
        # and those of few values in one leaf, where that is quicker.
        risky: list[int] = []
        few: list[int] = []
        with pages.opened(self._source) as raw:
            if leaf_indices and max(leaf_indices) >= len(self._chunks):
                self._chunks = pages.chunks(raw, max(leaf_indices) + 1)
            if hasattr(raw, "fetch"):  # across a network: what is read next, at once
                raw.fetch((self._chunks[k].start, self._chunks[k].stop) for k in leaf_indices)
            for k in leaf_indices:
                claim = pages.measure(raw, self._chunks[k])
                if self._check_pages(claim, types[k]):
                    risky.append(k)
                elif claim.dictionary and k in self._flat_texts and paths.count(paths[k]) == 1:
                    few.append(k)
        if any(paths.count(paths[k]) > 1 for k in risky):  # Arrow would do so for the other column of this name
            raise self._bad("a column of an ambiguous name would unpack to more than the table may say")
        if named := [paths[k] for k in (*risky, *few)]:
            file = _parquet(self._source, metadata=file.metadata, read_dictionary=named)
        return file.reader.read_row_group(0, column_indices=leaf_indices, use_threads=False)

    def _check_pages(self, claim: pages.Claim, t: Type) -> bool:
        """Whether a leaf column's dictionary must be kept as one. Raises Corrupt for what takes too much memory."""
        varying = t.kind in _TEXTS
        most = max(MAX_DECODED, 2 * self.entry.bytes)
        decoded = claim.size * claim.values if varying and claim.prefixed else values.width_of(t) * claim.values
        if claim.values > self.entry.bytes or claim.size > 4 * self.entry.bytes + (16 << 20) or decoded > most:
            raise self._bad("a column would unpack to more than the table says")
        return varying and claim.dictionary * claim.values > most

    def _refused(self, what: str, error: Exception) -> DpkgError:
        """The error for a file that Arrow does not read: damaged, unless the system refused it."""
        if isinstance(error, OSError) and error.errno:
            return failure(error, "read", str(self._source))
        return self._bad(f"{what}: {str(error)[:200]}")

    def _bad(self, why: str) -> Corrupt:
        hint = "run 'dpk verify', then install or push it again from a good store"
        return Corrupt(f"fragment {self.entry.oid} is damaged: {why}", hint)


def most_bytes(rows: int, schema: Schema) -> int:
    """Row bytes that a fragment of so many rows can have (ROW-5)."""
    return FRAGMENT_BYTES if rows > 1 else MAX_CELL_BYTES * len(schema.names)


def read_stats(source: Any, oid: Oid, rows: int, schema: Schema, names: Sequence[str] | None = None) -> pa.RecordBatch:
    """A statistics fragment, or some of its columns, as one plain batch. Its entry is only an oid; IDX-8 bounds its size."""
    most = rows * len(schema.names) * 256
    part = schema if names is None else schema.select(list(names))
    places = None if names is None else [schema.names.index(n) for n in names]
    columns = Reader(source, FragmentEntry(oid, rows, most), schema, most).read(places)
    return pa.RecordBatch.from_arrays(columns, schema=part.plain)


def describe(source: Any, oid: Oid) -> tuple[FragmentEntry, Schema]:
    """What a fragment file says of itself: rows and schema; `Reader` checks both, as the oid does. Raises Corrupt."""
    meta, schema = _footer(source, f"fragment {oid}")
    return FragmentEntry(oid, meta.num_rows, most_bytes(meta.num_rows, schema)), schema


def oid_of(source: Any) -> Oid:
    """The oid of the fragment that a file says it is. Raises Corrupt."""
    meta, schema = _footer(source, "a fragment")
    hexed = (meta.metadata or {}).get(COLUMNS_KEY, b"")
    try:
        if len(hexed) != 64 * len(schema.names):
            raise ValueError
        raw = bytes.fromhex(hexed.decode())
    except ValueError:
        raise Corrupt("a fragment is damaged: it does not say what its columns are") from None
    return values.fragment_oid(schema, meta.num_rows, [raw[i : i + 32] for i in range(0, len(raw), 32)])


def _footer(source: Any, name: str) -> tuple[pq.FileMetaData, Schema]:
    try:
        meta = pq.read_metadata(source)
        return meta, Schema.from_json(canonical_json.decode((meta.metadata or {}).get(SCHEMA_KEY, b"")))
    except (pa.ArrowException, OSError, Format) as e:
        raise Corrupt(f"{name} is damaged: its footer cannot be read: {str(e)[:200]}", "run 'dpk verify'") from None
