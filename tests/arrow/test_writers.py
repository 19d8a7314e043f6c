"""What is written as CSV and JSON lines is read back as the same values; the binary formats are plain ones."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg.arrow import writers
from dpkg.arrow.readers import ColumnRule, ReadOptions, open_source, stream
from dpkg.errors import Format, Usage

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    st.sampled_from(["", '"', "a,b", "\t", "\r", "\n", "\ufeff", "null", "NaN", "\\", "\x1f", "1"]),
)
DAYS = st.integers(-719162, 2932896)
MOMENT = st.integers(-62135596800, 253402300799)


def ints(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def fits(value: float, code: str) -> bool:
    try:
        return bool(struct.unpack(code, struct.pack(code, value))[0] == value)
    except OverflowError:
        return False


# Types, and what pyarrow makes their values of.
SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), ints(8)),
    (pa.int64(), ints(64)),
    (pa.uint16(), st.integers(0, 2**16 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.string(), TEXT),
    (pa.binary(), st.binary(max_size=5)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.decimal128(12, 5), st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: Decimal(n).scaleb(-5))),
    (pa.decimal256(50, 30), st.integers(-(10**27), 10**27).map(lambda n: Decimal(n).scaleb(-30))),
    (pa.date32(), DAYS.map(lambda n: dt.date(1970, 1, 1) + dt.timedelta(n))),
    (pa.time32("ms"), st.integers(0, 86_399_999)),
    (pa.time64("us"), st.integers(0, 86_399_999_999)),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    (pa.timestamp("ms"), MOMENT.map(lambda n: n * 1000 + n % 1000)),
    (pa.timestamp("us"), MOMENT.map(lambda n: n * 10**6 + n % 10**6)),
    (pa.timestamp("ns"), ints(63)),
    (pa.timestamp("us", "UTC"), MOMENT.map(lambda n: n * 10**6)),
    (pa.timestamp("ms", "America/New_York"), MOMENT.map(lambda n: n * 1000)),
    (pa.duration("ms"), ints(64)),
    (pa.duration("us"), ints(64)),
    (pa.duration("ns"), ints(64)),
    (pa.null(), st.none()),
]


@st.composite
def typed(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A type, and a strategy of its values."""
    shape = draw(st.sampled_from(["scalar", "scalar", "list", "fixed", "struct", "map"])) if depth else "scalar"
    if shape == "scalar":
        kind, values = draw(st.sampled_from(SCALARS))
    elif shape == "struct":
        members = draw(st.dictionaries(TEXT, typed(depth - 1), min_size=1, max_size=3))
        kind = pa.struct([(name, inner) for name, (inner, _) in members.items()])
        values = st.fixed_dictionaries({name: inner for name, (_, inner) in members.items()})
    elif shape == "map":
        inner, items = draw(typed(depth - 1))
        kind, values = pa.map_(pa.string(), inner), st.lists(st.tuples(TEXT, items), max_size=2)
    else:
        inner, items = draw(typed(depth - 1))
        fixed = shape == "fixed"
        kind = pa.list_(inner, 2) if fixed else pa.list_(inner)
        values = st.lists(items, min_size=2 * fixed, max_size=2 if fixed else 3)
    return kind, st.one_of(st.none(), values)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    columns = draw(st.dictionaries(TEXT, typed(), min_size=2, max_size=4))
    rows = draw(st.integers(0, 6))
    arrays = [pa.array(draw(st.lists(v, min_size=rows, max_size=rows)), t) for t, v in columns.values()]
    return pa.table(dict(zip(columns, arrays, strict=True)))


def written(table: pa.Table, format: str) -> bytes:
    out = io.BytesIO()
    size = writers.write(table.to_batches(), table.schema, format, out)
    assert size == len(out.getvalue())
    return out.getvalue()


def rules(schema: pa.Schema) -> dict[str, ColumnRule]:
    binary = (pa.types.is_binary, pa.types.is_fixed_size_binary)
    return {f.name: ColumnRule(None, f.type, "base64" if any(of(f.type) for of in binary) else None) for f in schema}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written") / "data"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), st.sampled_from(["csv", "tsv", "jsonl"]), st.integers(0, 2))
def test_text_reads_back_the_same_values(scratch: Path, table: pa.Table, format: str, skip: int) -> None:
    table = table.slice(skip)
    if format == "jsonl" and not table.num_rows:
        return
    scratch.write_bytes(written(table, format))
    source = open_source(str(scratch), format, ReadOptions(schema=rules(table.schema)))
    found = stream(source, lambda schema, batches: pa.Table.from_batches(batches, schema))
    assert found.schema == table.schema
    for name in table.column_names:
        assert found[name].combine_chunks().equals(table[name].combine_chunks()), name


def test_how_values_are_written() -> None:
    columns = {
        "f": pa.array([1.0, -0.0, 1e20, 0.1, math.nan, math.inf, -math.inf, None]),
        "h": pa.array([0.1] * 8, pa.float32()),
        "d": pa.array([Decimal("0.0000001")] * 8, pa.decimal128(10, 7)),
        "t": pa.array([0, 1500, 36_000_000] + [None] * 5, pa.time32("ms")),
        "m": pa.array([0, 1_500_000] + [None] * 6, pa.timestamp("us", "Europe/Berlin")),
        "u": pa.array([0, -1500, 60_000_000] + [None] * 5, pa.duration("us")),
        "b": pa.array([b"\xff", b""] + [None] * 6),
    }
    lines = written(pa.table(columns), "csv").decode().splitlines()
    assert lines[1] == "1.0,0.1,0.0000001,00:00:00,1970-01-01T00:00:00Z,PT0S,/w=="
    assert lines[2] == '-0.0,0.1,0.0000001,00:00:01.5,1970-01-01T00:00:01.5Z,-PT0.0015S,""'
    assert lines[3] == "1e+20,0.1,0.0000001,10:00:00,,PT60S,"
    assert [line.split(",")[0] for line in lines[5:]] == ["nan", "inf", "-inf", ""]
    objects = [json.loads(line) for line in written(pa.table(columns), "jsonl").splitlines()]
    assert [o["f"] for o in objects] == [1.0, 0.0, 1e20, 0.1, "NaN", "Infinity", "-Infinity", None]
    assert objects[0]["d"] == "0.0000001"
    assert base64.b64decode(objects[0]["b"]) == b"\xff"
    assert list(writers.json_rows(pa.table(columns))) == objects


def test_csv_quotes_what_needs_it() -> None:
    table = pa.table(
        {"a,b": ["", None, 'say "x"', "two\nlines", "a\tb"], "": [1, 2, 3, 4, 5], "\ufeffc": [[1], None, [], [2], [3]]}
    )
    assert written(table, "csv").decode() == (
        '"a,b","","\ufeffc"\n"",1,[1]\n,2,\n"say ""x""",3,[]\n"two\nlines",4,[2]\na\tb,5,[3]\n'
    )
    assert written(table, "tsv").decode().splitlines()[-1] == '"a\tb"\t5\t[3]'


def test_what_csv_cannot_hold() -> None:
    with pytest.raises(Format, match="column 'a' has nulls"):
        written(pa.table({"a": [1, None]}), "csv")
    with pytest.raises(Format, match="column 'a' holds a NUL"):
        written(pa.table({"a": ["x\0"], "b": [1]}), "csv")
    assert json.loads(written(pa.table({"a": ["x\0", None]}), "jsonl").split(b"\n")[0]) == {"a": "x\0"}
    with pytest.raises(Usage, match="'xls' is not a format"):
        written(pa.table({"a": [1]}), "xls")


def test_other_forms_are_decoded() -> None:
    columns = {
        "d": pa.array(["a", None, "a"]).dictionary_encode(),
        "l": pa.array(["a", None, "b"], pa.large_string()),
        "v": pa.array(["a", None, "b"], pa.string_view()),
        "r": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", "y"])),
        "h": pa.array([1.5, None, 0.1], pa.float32()).cast(pa.float16()),
        "x": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None, b"1" * 16], pa.binary(16))),
    }
    rows = list(writers.json_rows(pa.table(columns)))
    assert rows[0] == {"d": "a", "l": "a", "v": "a", "r": "x", "h": 1.5, "x": base64.b64encode(b"0" * 16).decode()}
    assert rows[1]["r"] == "x"


@pytest.mark.parametrize("format", ["arrow", "arrows", "parquet"])
def test_binary_formats(format: str) -> None:
    table = pa.table({"a": range(300_000), "b": ["x", None, "y"] * 100_000})
    data = b"".join(writers.to_chunks(iter(table.to_batches(max_chunksize=10_000)), table.schema, format))
    if format == "parquet":
        file = pq.ParquetFile(io.BytesIO(data))
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
        assert file.num_row_groups == 3
        found = file.read()
    else:
        found = (pa.ipc.open_file if format == "arrow" else pa.ipc.open_stream)(data).read_all()
    assert found.equals(table)
    empty = b"".join(writers.to_chunks(iter(()), table.schema, format))
    assert empty
    assert len(empty) < 2000


PAIR = pa.list_(pa.int8(), 2)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1, 2], None], PAIR),
        pa.array([[], [[1, 2], None]], pa.list_(PAIR)),
        pa.array([{"p": [1, 2]}, None], pa.struct([("p", PAIR)])),
        pa.array([[[1, 2], [3, 4]], [[1, 2], None]], pa.list_(PAIR, 2)),
        pa.array([[("k", [1, 2])], None, [("k", None)]], pa.map_(pa.string(), PAIR)),
        pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int8(), [2]), pa.array([[1, 2], None], PAIR)),
    ],
    ids=["column", "list", "struct", "fixed", "map", "tensor"],
)
def test_what_parquet_cannot_hold(array: pa.Array) -> None:
    """Whichever Arrow is installed: 24 and 25 do not write null fixed-size lists, or cannot read what they wrote."""
    table = pa.table({"a": range(len(array)), "p": array})
    with pytest.raises(Format, match="column 'p' has fixed-size lists that are null") as caught:
        written(table, "parquet")
    assert caught.value.hint
    assert pa.ipc.open_file(written(table, "arrow")).read_all().equals(table)
    whole = table.slice(0, 1)
    assert pq.read_table(io.BytesIO(written(whole, "parquet"))).equals(whole)


def test_lists_of_extensions_that_are_null() -> None:
    """Arrow cannot flatten them; Parquet holds them all the same."""
    none = pa.ListArray.from_arrays(
        [0, 0], pa.ListArray.from_arrays([0], pa.array([], pa.uuid())), mask=pa.array([True])
    )
    assert none.to_pylist() == [None]
    assert pq.read_table(io.BytesIO(written(pa.table({"p": none}), "parquet")))["p"].null_count == 1


@pytest.mark.parametrize("format", writers.FORMATS)
def test_bytes_come_as_batches_do(format: str) -> None:
    batch = pa.record_batch({"a": range(200_000), "b": ["some text"] * 200_000})
    given = 0

    def batches() -> Any:
        nonlocal given
        for _ in range(3):
            given += 1
            yield batch

    chunks = writers.to_chunks(batches(), batch.schema, format)
    size = 0
    while size < 100_000:
        size += len(next(chunks))
    assert given == 1


def test_the_stream_stays_open(tmp_path: Path) -> None:
    for format in writers.FORMATS:
        with open(tmp_path / "t", "wb") as out:
            writers.write([pa.record_batch({"a": [1]})], pa.schema([("a", pa.int64())]), format, out)
            out.write(b"more")


def test_long_cells_are_written_in_pieces() -> None:
    batch = pa.record_batch({"a": ["x" * 1_000_000] * 40, "b": range(40)})
    chunks = list(writers.to_chunks([batch], batch.schema, "csv"))
    assert len(chunks) > 2
    assert sum(map(len, chunks)) == 4 + 40 * 1_000_002 + 10 + 60
