"""Deep checks of what came from elsewhere: what a fragment's values must be, and its statistics (spec/storage.md, threat model)."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
from blake3 import blake3

from dpkg.arrow import fragment, values
from dpkg.arrow.normal import to_plain
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import StatsRow, stats_batch, stats_row, stats_schema
from dpkg.errors import Corrupt, Format
from dpkg.objects.node import FragmentEntry, Node
from dpkg.oid import Oid

# Any bits are a value of these; of text and decimals `to_plain` looks at each.
_FREE = frozenset(
    [
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"),
        *("bool", "date", "timestamp", "duration", "utf8", "binary", "decimal"),
    ]
)


def check_file(data: bytes, entry: FragmentEntry, schema: Schema) -> fragment.Reader:
    """A reader of a fragment's file of which every byte is as it was written, and which is this fragment's. Raises Corrupt."""
    _sealed(data, entry.oid)
    return fragment.Reader(pa.BufferReader(data), entry, schema)


def _sealed(data: bytes, oid: Oid) -> None:
    try:
        fragment.check_seal(data)
    except Corrupt as e:
        raise Corrupt(f"fragment {oid} is damaged: {e.message}") from None


def check_alone(data: bytes, oid: Oid) -> None:
    """That a file holds the fragment `oid`, by what it says of itself: the oid covers that. Raises Corrupt."""
    entry, schema = fragment.describe(io.BytesIO(data), oid)
    _valid_columns(check_file(data, entry, schema), {})


def facts(data: bytes, oid: Oid, deep: bool) -> tuple[int, Oid, int, bytes]:
    """What the file of a fragment, all of which is as it was written, says of it: rows, and the digest of its schema.

    With `deep` it is decoded: also its row bytes, and the digest of its statistics row. Raises Corrupt.
    """
    _sealed(data, oid)
    entry, schema = fragment.describe(pa.BufferReader(data), oid)
    reader = fragment.Reader(pa.BufferReader(data), entry, schema)
    if not deep:
        return entry.rows, schema.digest, 0, b""
    row, size = _values(reader)
    return entry.rows, schema.digest, size, row_digest(row, schema)


def check_values(reader: fragment.Reader) -> StatsRow:
    """Decode a whole fragment; the statistics row that it must have.

    Raises Corrupt unless its columns have the digests of its oid, hold values that its schema allows, and as many bytes as its
    entry says.
    """
    row, size = _values(reader)
    if size != reader.entry.bytes:
        raise Corrupt(f"fragment {reader.entry.oid} holds {size:,} row bytes, its index says {reader.entry.bytes:,}")
    return row


def _values(reader: fragment.Reader) -> tuple[StatsRow, int]:
    """The statistics row and the row bytes of a fragment, all of which is decoded. Raises Corrupt."""
    schema = reader.schema
    occurring: dict[int, pa.Array] = {}
    columns = _valid_columns(reader, occurring)
    size = sum(values.total_bytes(array, t) for array, t in zip(columns, schema.types, strict=True))
    return stats_row(columns, schema, occurring), size


def _valid_columns(reader: fragment.Reader, occurring: dict[int, pa.Array]) -> list[pa.Array]:
    """All columns of a fragment, with values that its schema allows; `occurring` as in `Reader.read`. Raises Corrupt."""
    columns = reader.read(occurring=occurring)
    for i, (array, name, t) in enumerate(zip(columns, reader.schema.names, reader.schema.types, strict=True)):
        try:
            if t.storage.kind not in _FREE:
                array.validate(full=True)
            to_plain(occurring.get(i, array), t)
        except (pa.ArrowException, Format) as e:
            raise Corrupt(
                f"fragment {reader.entry.oid} is forged: column '{name}' holds values that its type does not allow: {e}"
            ) from None
    return columns


def check_stats(data: bytes, leaf: Node, schema: Schema) -> pa.RecordBatch:
    """The rows of a leaf's statistics fragment, from its file's bytes, for a table with `schema`. Raises Corrupt."""
    assert leaf.stats is not None
    try:
        fragment.check_seal(data)
    except Corrupt as e:
        raise Corrupt(f"statistics {leaf.stats} are damaged: {e.message}") from None
    return fragment.read_stats(io.BytesIO(data), leaf.stats, len(leaf.entries), stats_schema(schema))


def same_stats(stored: pa.RecordBatch, expected: Sequence[StatsRow | bytes], schema: Schema) -> bool:
    """Whether the rows of a statistics fragment are these: each a row, or the digest of one."""
    rows = [row for row in expected if not isinstance(row, bytes)]
    if len(expected) != stored.num_rows:
        return False
    made = stats_batch(rows, schema)
    if len(rows) == len(expected):  # whole columns at once
        types = stats_schema(schema).types
        pairs = zip(made.columns, stored.columns, types, strict=True)
        return all(values.column_digest(a, t) == values.column_digest(b, t) for a, b, t in pairs)
    digests = iter(stats_digests(made, schema))
    return stats_digests(stored, schema) == [e if isinstance(e, bytes) else next(digests) for e in expected]


def row_digest(row: StatsRow, schema: Schema) -> bytes:
    """The digest of a statistics row (`stats_digests`)."""
    return stats_digests(stats_batch([row], schema), schema)[0]


def stats_digests(stored: pa.RecordBatch, schema: Schema) -> list[bytes]:
    """A digest of each row of a statistics fragment (IDX-6) of a table with `schema`: equal rows, equal digests."""
    types = stats_schema(schema).types
    out = []
    for i in range(stored.num_rows):
        hasher = blake3()
        for column, t in zip(stored.columns, types, strict=True):
            values.stream(column.slice(i, 1), t, hasher.update)
        out.append(hasher.digest())
    return out
