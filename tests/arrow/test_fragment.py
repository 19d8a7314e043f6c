"""Fragment files: plain Parquet for others, and nothing in a forged one takes more memory than its table allows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpkg.arrow import fragment, values
from dpkg.arrow.normal import normalise, to_user_batch
from dpkg.arrow.schema import Schema
from dpkg.errors import Corrupt, Format
from dpkg.objects.node import FragmentEntry
from dpkg.oid import Oid


def made_of(table: pa.Table) -> tuple[Schema, fragment.Fragment, bytes]:
    schema = Schema.from_arrow(table.schema)
    made = fragment.make([p for b in table.to_batches() for p in normalise(b, schema)], schema)
    return schema, made, fragment.encode(made, schema)


def back(schema: Schema, made: fragment.Fragment, data: bytes, **options: Any) -> pa.RecordBatch:
    columns = fragment.Reader(io.BytesIO(data), made.entry, schema, **options).read()
    return to_user_batch(pa.RecordBatch.from_arrays(columns, schema=schema.plain), schema)


# ------------------------------------------------------------------------------------------------- sizes and names


@pytest.mark.spec("TYPE-6")
@pytest.mark.spec("STO-4")
def test_names_that_look_like_paths() -> None:
    columns = {
        "a.b": pa.array([1, 2, 3]),
        "a": pa.array([{"b": "x"}, None, {"b": "z"}]),
        "a.b.c": pa.array([{"list": [1]}, {"list": []}, None]),
        "l": pa.array([[1], None, [2, 3]]),
        "l.list.element": pa.array([True, False, None]),
        "": pa.array([1.5, None, 2.5]),
        "dpkg.seal\x18\x40": pa.array(["dpkg.seal\x18\x40" + "0" * 64] * 3),
    }
    table = pa.table(columns)
    schema, made, data = made_of(table)
    fragment.check_seal(data)
    assert back(schema, made, data).to_pydict() == table.to_pydict()
    names = pq.ParquetFile(io.BytesIO(data)).schema_arrow.names
    assert names == list(columns)


def test_wide_tables() -> None:
    table = pa.table({f"c{i}": [str(i), None] if i % 3 == 1 else [float(i), 0.5] for i in range(2000)})
    schema, made, data = made_of(table)
    assert back(schema, made, data).to_pydict() == table.to_pydict()
    reader = fragment.Reader(io.BytesIO(data), made.entry, schema)
    for some in ([1999], [5, 3], [7, 7], []):
        assert [c.to_pylist() for c in reader.read(some)] == [table.column(i).to_pylist() for i in some]


def test_long_cells() -> None:
    text, raw = "é" * (5 << 20), bytes(range(256)) * (40 << 10)
    table = pa.table({"s": [text, None, "x"], "b": [None, raw, b""], "l": [[text], [], None]})
    schema, made, data = made_of(table)
    assert back(schema, made, data).to_pydict() == table.to_pydict()
    size = len(text.encode())
    assert made.entry.bytes == (5 + size + 1 + 6) + (1 + 5 + len(raw) + 5) + (5 + 5 + size + 5 + 1)


@pytest.mark.spec("ROW-5")
def test_a_cell_above_the_limit_of_fragments() -> None:
    table = pa.table({"s": ["x" * (40 << 20)]})
    schema, made, data = made_of(table)
    assert made.entry.bytes > 32 << 20
    assert back(schema, made, data).to_pydict() == table.to_pydict()
    entry, described = fragment.describe(io.BytesIO(data), made.entry.oid)
    assert described == schema
    assert fragment.Reader(io.BytesIO(data), entry, described).read()[0].to_pylist() == table.column(0).to_pylist()


def test_the_most_rows_a_fragment_can_have() -> None:
    table = pa.table({"b": pa.nulls(1 << 22, pa.bool_()), "n": pa.nulls(1 << 22)})
    schema, made, data = made_of(table)
    assert pq.ParquetFile(io.BytesIO(data)).num_row_groups == 1
    assert back(schema, made, data).equals(table.combine_chunks().to_batches()[0])


# ------------------------------------------------------------------------------------------------------- other engines

DEEP = pa.list_(pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.list_(pa.float64())))])))
DUCK = {
    "i8": pa.array([1, None, -128], pa.int8()),
    "u16": pa.array([1, None, 65535], pa.uint16()),
    "u32": pa.array([1, None, 2**32 - 1], pa.uint32()),
    "u64": pa.array([1, None, 2**64 - 1], pa.uint64()),
    "i64": pa.array([-(2**63), None, 2**63 - 1]),
    "f32": pa.array([1.5, None, -0.0], pa.float32()),
    "f64": pa.array([1e300, None, float("inf")]),
    "b": pa.array([True, None, False]),
    "s": pa.array(["é", None, ""]),
    "x": pa.array([b"\xff\0", None, b""]),
    "d9": pa.array([Decimal("1.25"), None, Decimal("-9999999.99")], pa.decimal128(9, 2)),
    "d18": pa.array([Decimal("1.25"), None, Decimal("-9999999999999999.99")], pa.decimal128(18, 2)),
    "d38": pa.array([Decimal("1.25"), None, -Decimal(10) ** 35], pa.decimal128(38, 2)),
    "day": pa.array([0, None, -5], pa.int32()).view(pa.date32()),
    "tms": pa.array([1, None, 86_399_999], pa.int32()).view(pa.time32("ms")),
    "tus": pa.array([1, None, 86_399_999_999], pa.int64()).view(pa.time64("us")),
    "ms": pa.array([1, None, -1], pa.int64()).view(pa.timestamp("ms")),
    "us": pa.array([1, None, -1], pa.int64()).view(pa.timestamp("us")),
    "ns": pa.array([1, None, 1 << 60], pa.int64()).view(pa.timestamp("ns")),
    "zoned": pa.array([1, None, -1], pa.int64()).view(pa.timestamp("us", "Europe/Paris")),
    "list": pa.array([[1, None], None, []], pa.list_(pa.int32())),
    "fixed": pa.array([[1, None], None, [3, 4]], pa.list_(pa.int32(), 2)),
    "struct": pa.array([{"p": 1, "q": ["x"]}, None, {"p": None, "q": None}]),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "deep": pa.array([[[{"m": [("a", [1.5])]}]], None, [None, []]], DEEP),
    "cat": pa.array(["a", None, "b"]).dictionary_encode(),
    "uuid": pa.array([b"0123456789abcdef", None, b"\0" * 16], pa.uuid()),
    "a.b": pa.array([1, 2, 3]),
    "a": pa.array([{"b": 4}, {"b": 5}, {"b": 6}]),
}  # fmt: skip
AS_STORED = {"fixed": pa.list_(pa.int32()), "cat": pa.string(), "uuid": pa.binary()}


@pytest.mark.spec("STO-4")
@pytest.mark.parametrize("repeat", [1, 3000])
def test_duckdb_reads_fragments_in_place(tmp_path: Path, repeat: int) -> None:
    """The same values, in types that are as wide; few rows and enough for every encoding."""
    table = pa.table(DUCK).take(np.tile([0, 1, 2], repeat))
    more = {  # columns of many values, which get other encodings than a dictionary
        "id": np.arange(3 * repeat) * 7919,
        "text": [f"row {i * 7919 % 100_003} of many" for i in range(3 * repeat)],
        "real": np.random.default_rng(1).random(3 * repeat),
        "price": pa.array([Decimal(i * 7919 % 99_991) / 100 for i in range(3 * repeat)], pa.decimal128(15, 2)),
        "at": pa.array(np.arange(3 * repeat, dtype=np.int64) ** 2).view(pa.timestamp("us")),
    }
    for name, column in more.items():
        table = table.append_column(name, pa.array(column))
    schema, made, data = made_of(table)
    path = tmp_path / "fragment.parquet"
    path.write_bytes(data)
    duck = duckdb.connect()
    duck.execute("set TimeZone = 'UTC'")
    found = duck.sql(f"select * from '{path}'").to_arrow_table()
    assert found.column_names == table.column_names
    user = pa.Table.from_batches([back(schema, made, data)])
    for i, name in enumerate(table.column_names):
        assert comparable(found.column(i)) == comparable(user.column(i)), name
    assert duck.execute(f"""select count(*), sum("a.b"), sum(a.b) from '{path}' where "a.b" > 1""").fetchone() == (
        2 * repeat,
        5 * repeat,
        11 * repeat,
    )


def comparable(column: pa.ChunkedArray) -> list[Any]:
    """Python values, without what DuckDB's types cannot say: extension types, zones, fixed lists."""
    t = column.type
    if isinstance(t, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], t.storage_type)
    elif pa.types.is_timestamp(t):
        column = column.cast(pa.timestamp("ns"), safe=False) if t.tz is None else column.cast(pa.timestamp("us", "UTC"))
        column = pa.chunked_array([c.view(pa.int64()) for c in column.chunks])
    elif pa.types.is_time(t):
        column = column.cast(pa.time64("us"))
    elif pa.types.is_dictionary(t):
        column = column.cast(t.value_type)
    return [repr(v) for v in column.to_pylist()]


# --------------------------------------------------------------------------------------------------------------- bombs


def forged(table: pa.Table, schema: Schema, size: int, **options: Any) -> tuple[FragmentEntry, bytes]:
    """A file that says it is a fragment of `size` row bytes; its digests are made up: only decoding could tell."""
    digests = [bytes([i]) * 32 for i in range(len(schema.names))]
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, store_schema=False, compression="zstd", **options) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        writer.add_key_value_metadata({"dpkg.columns": b"".join(digests).hex(), "dpkg.seal": "0" * 64})
    return FragmentEntry(values.fragment_oid(schema, table.num_rows, digests), table.num_rows, size), sink.getvalue()


MANY = 1 << 23
PLAIN: dict[str, Any] = {"use_dictionary": False}
ONE_WORD: dict[str, Any] = {"dictionary_pagesize_limit": 1 << 30}


def repeated(n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array(["x" * (1 << 20)]))


def lists(n: int, items: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(np.linspace(0, len(items), n + 1).astype(np.int32), items)


WIDE = {"fixed_list": [2**31 - 1, {"fixed_list": [2**31 - 1, {"fixed_list": [2, "int8"]}]}]}
# A column, its type in the table, row bytes, options of the writer
BOMBS: dict[str, tuple[Callable[[], Any], Any, int, dict[str, Any]]] = {
    "one long string many times": (lambda: repeated(5000), "utf8", 4 << 20, ONE_WORD),
    "the same in lists": (lambda: lists(500, repeated(5000)), {"list": "utf8"}, 4 << 20, ONE_WORD),
    "the same in structs": (
        lambda: pa.StructArray.from_arrays([repeated(5000)], ["x"]), {"struct": [["x", "utf8"]]}, 4 << 20, ONE_WORD,
    ),
    "one long prefix many times": (
        lambda: ["x" * (1 << 14)] * 8000, "utf8", 4 << 20, {**PLAIN, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}},
    ),
    "a list of very many nulls": (lambda: lists(1, pa.nulls(MANY, pa.int32())), {"list": "int32"}, 1000, {}),
    "very many rows": (lambda: pa.nulls(1 << 21, pa.int64()), "int64", 1000, {}),
    "pages of zeros": (lambda: lists(5, pa.array(np.zeros(MANY, np.int64))), {"list": "int64"}, 1000, PLAIN),
    "a wide null": (lambda: pa.nulls(1, pa.list_(pa.int8())), {"fixed_list": [2**31 - 1, "int8"]}, 1, {}),
    "a very wide null": (lambda: pa.nulls(3, pa.list_(pa.list_(pa.list_(pa.int8())))), WIDE, 3, {}),
    "wide values": (lambda: pa.nulls(100, pa.binary(1 << 20)), {"fixed_binary": 1 << 20}, 2000, {}),
}  # fmt: skip


@contextmanager
def pool() -> Iterator[pa.MemoryPool]:
    """A memory pool of its own for what Arrow does inside."""
    before, inside = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(inside)
    try:
        yield inside
    finally:
        pa.set_memory_pool(before)


@pytest.mark.spec("STO-5")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_they_are_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragment, "MAX_DECODED", 16 << 20)
    column, t, size, options = BOMBS[name]
    schema = Schema.from_json([["a", t]])
    entry, data = forged(pa.table({"a": column()}), schema, size, **options)
    assert len(data) < 1 << 20
    with pool() as used, pytest.raises(Corrupt, match=r"unpack to more|take too much memory"):
        fragment.Reader(io.BytesIO(data), entry, schema).read()
    assert used.max_memory() < 48 << 20


@pytest.mark.parametrize(
    "t",
    [pa.list_(pa.float32(), 1000), pa.list_(pa.list_(pa.int8(), 100), 50), pa.binary(5000), pa.list_(pa.binary(5000))],
)
def test_what_could_not_be_read_is_not_written(t: pa.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nulls of wide types take little in a file and much in memory."""
    monkeypatch.setattr(fragment, "MAX_DECODED", 16 << 20)
    for rows in (3000, 5000):
        array = pa.nulls(rows, t) if not pa.types.is_list(t) else lists(5, pa.nulls(rows, t.value_type))
        if rows == 5000:
            with pytest.raises(Format, match="most of them null, would take too much memory to read"):
                made_of(pa.table({"a": array}))
        else:
            schema, made, data = made_of(pa.table({"a": array}))
            assert back(schema, made, data).column(0).to_pylist() == array.to_pylist()


@pytest.mark.spec("STO-5")
@pytest.mark.parametrize("names", [("a.b", "a"), ("a", "a.b")])
def test_bombs_of_two_columns_that_look_like_one(names: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragment, "MAX_DECODED", 16 << 20)
    below = pa.StructArray.from_arrays([repeated(5000)], ["b"])
    columns = {"a.b": repeated(5000), "a": below}
    types = {"a.b": "utf8", "a": {"struct": [["b", "utf8"]]}}
    schema = Schema.from_json([[n, types[n]] for n in names])
    entry, data = forged(pa.table({n: columns[n] for n in names}), schema, 4 << 20, **ONE_WORD)
    for places in ([0], [1], [0, 1]):
        with pool() as used, pytest.raises(Corrupt, match="unpack to more"):
            fragment.Reader(io.BytesIO(data), entry, schema).read(places)
        assert used.max_memory() < 48 << 20


@pytest.mark.spec("STO-5")
def test_pages_that_say_otherwise_than_the_footer_are_refused() -> None:
    schema = Schema.from_json([["a", "int64"]])
    entry, data = forged(pa.table({"a": range(5000)}), schema, 9 * 5000, **PLAIN)
    with pytest.raises(Corrupt, match="does not match its digest"):
        fragment.Reader(io.BytesIO(data), entry, schema).read()
    count = data.index(b"\x90\x4e")  # 5,000 as Thrift writes it, in the header of the first page
    for other in (b"\x92\x4e", b"\x90\x4f"):
        with pytest.raises(Corrupt, match="more or fewer values"):
            fragment.Reader(io.BytesIO(data[:count] + other + data[count + 2 :]), entry, schema).read()


@pytest.mark.spec("STO-5")
def test_large_dictionaries_are_read() -> None:
    """So large that the worst they could unpack to is beyond the limit."""
    words = [f"{i:04d}" * 250 for i in range(2000)]
    table = pa.table({"a": words * 15, "l": [[w, None] for w in words] * 15, "a.b": range(30_000)})
    schema, made, _ = made_of(table)
    stored = table.cast(schema.plain)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, stored.schema, store_schema=False, dictionary_pagesize_limit=1 << 30) as writer:
        writer.write_table(stored)
        writer.add_key_value_metadata({"dpkg.columns": b"".join(made.digests).hex(), "dpkg.seal": "0" * 64})
    assert back(schema, made, sink.getvalue(), most=made.entry.bytes).to_pydict() == table.to_pydict()


@pytest.mark.spec("STO-5")
def test_another_fragments_file_is_refused() -> None:
    schema, made, data = made_of(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    for other in (
        {"a": [1, 3], "b": ["x", "y"]},
        {"a": [1, 2], "c": ["x", "y"]},
        {"a": [1, 2, 3], "b": ["x", "y", "z"]},
    ):
        schema_, made_, data_ = made_of(pa.table(other))
        with pytest.raises(Corrupt):
            fragment.Reader(io.BytesIO(data_), made.entry, schema)
        with pytest.raises(Corrupt):
            fragment.Reader(io.BytesIO(data), made_.entry, schema_)
    renamed = Schema(("a", "c"), schema.types)  # columns of other names, with a fitting oid
    entry = FragmentEntry(values.fragment_oid(renamed, 2, made.digests), 2, made.entry.bytes)
    with pytest.raises(Corrupt, match="columns are not the table's"):
        fragment.Reader(io.BytesIO(data), entry, renamed)
    for rows, size in ((0, 9), (2, 33 << 20), (1 << 23, 9)):
        with pytest.raises(Corrupt, match="beyond the format's limits"):
            fragment.Reader(io.BytesIO(data), FragmentEntry(Oid("0" * 64), rows, size), schema)


@pytest.mark.spec("STO-5")
def test_spliced_columns_are_found() -> None:
    """Pages of one file under the digests of another: each column is found, and only when it is read."""
    schema, made, data = made_of(pa.table({"a": [1, 2], "b": ["x", "y"]}))
    _, _, other = made_of(pa.table({"a": [1, 2], "b": ["x", "z"]}))
    key = b"".join(made.digests).hex().encode()
    spliced = bytearray(other)
    at = spliced.rfind(b"dpkg.columns") + len("dpkg.columns") + 3
    spliced[at : at + len(key)] = key
    reader = fragment.Reader(io.BytesIO(bytes(spliced)), made.entry, schema)
    assert reader.read([0])[0].to_pylist() == [1, 2]
    with pytest.raises(Corrupt, match=r"column 'b' does not match its digest"):
        reader.read()
    assert data != other
