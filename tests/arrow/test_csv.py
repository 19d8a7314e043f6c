"""CSV to typed columns: spec/text.md, against the slow second reading of it."""

from __future__ import annotations

import gzip
import importlib.util
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dpkg.arrow.readers import ColumnRule, ReadOptions, Restart, Widened, csvchunks, csvsource, open_source, stream
from dpkg.arrow.readers.base import label
from dpkg.arrow.readers.csvchunks import end_of_rows
from dpkg.arrow.readers.csvlines import Place
from dpkg.arrow.readers.csvsource import CsvSource
from dpkg.errors import Format, NotFound, Usage

_spec = importlib.util.spec_from_file_location("text_reference", Path(__file__).with_name("text_reference.py"))
assert _spec
assert _spec.loader
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

Columns = dict[str, tuple[str, list[Any]]]

NULLS = [("",), ("", "NA"), (), ("1", "-1")]
SAMPLES = {
    "bool": ["true", "False", "TRUE", "tRUE"],
    "integer": ["0", "1", "-1", "42", "9007199254740992", "-9007199254740993", "9223372036854775807",
                "9223372036854775808"],
    "zeros": ["007", "-0", "-07", "00", "0x1F", "+1", "1_0", "- 1"],
    "real": ["1.5", ".5", "5.", "-.5", "1e5", "1E+300", "1e400", "1e-400", "00.5", "-00.5", "17.00", "1.", ".",
             "9007199254740993.0"],
    "odd": ["nan", "NaN", "-nan", "inf", "-inf", "-Infinity", "+inf", "nAn", "9007199254740993", "1e17"],
    "date": ["2020-02-29", "1900-02-29", "0001-01-01", "0000-01-01", "9999-12-31", "2020-1-1", "20200101"],
    "time": ["10:00", "23:59:59.999999", "24:00", "10:00:60", "10:00:00.", "10", "10:00:00.1234567"],
    "moment": ["2020-01-01 10:00", "2020-01-01T10:00:00.5", "2020-01-01 10", "2020-01-01  10:00", "0000-01-01 00:00"],
    "zoned": ["2020-01-01T10:00Z", "2020-01-01 10:00+01", "2020-01-01T10:00:00.1-0130", "2020-01-01T10:00+24:00",
              "0001-01-01 00:00+01:00", "9999-12-31 23:30-01:00", "2020-01-01 10Z", "2020-01-01Z", "2020-01-01 10:00"],
    "text": ["a", " 1", "1 ", "é😀", "", "a,b", 'say "x"', "two\nlines", "cr\rlf\r\n", "NA", '5"', "\ufeff", "−1", "١"],
    "null": [""],
}  # fmt: skip


def read(path: Path, options: ReadOptions | None = None, block: int | None = None) -> tuple[pa.Table, list[Widened]]:
    source = CsvSource(Place(str(path), ",", "utf-8"), options or ReadOptions(), block)
    table = stream(source, lambda schema, batches: pa.Table.from_batches(list(batches), schema))
    return table, source.widened


def columns_of(table: pa.Table) -> Columns:
    out: Columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        out[name] = label(column.type), [None if v != v else v for v in column.to_pylist()]
    return out


def same(found: Columns, expected: Columns) -> None:
    def plain(columns: Columns) -> Any:
        return {n: (t, [repr(v) if isinstance(v, float) else v for v in vs]) for n, (t, vs) in columns.items()}

    expected = {n: (t, [None if v != v else v for v in vs]) for n, (t, vs) in expected.items()}
    assert plain(found) == plain(expected)


def written(text: str, quote: bool) -> str:
    needs = quote or (any(c in text for c in ',"\r\n') and text != '5"')
    return '"' + text.replace('"', '""') + '"' if needs else text


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], str, bool]:
    """Rows of written cells, the end of lines, whether there is a byte order mark."""
    width = draw(st.integers(1, 4))
    columns = []
    rows = draw(st.integers(0, 12))
    for _ in range(width):
        classes = draw(st.lists(st.sampled_from(list(SAMPLES)), min_size=1, max_size=3))
        cell = st.sampled_from([s for c in classes for s in SAMPLES[c]])
        columns.append(draw(st.lists(st.builds(written, cell, st.booleans()), min_size=rows, max_size=rows)))
    return (
        [list(r) for r in zip(*columns, strict=True)],
        draw(st.sampled_from(["\n", "\r\n", "\r"])),
        draw(st.booleans()),
    )


def file_of(rows: list[list[str]], end: str, bom: bool, names: int) -> str:
    body = [",".join(f"c{i}" for i in range(names)), *(",".join(r) for r in rows)]
    return "\ufeff" * bom + end.join(body)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "data.csv"


@pytest.mark.spec("TXT-1")
@pytest.mark.spec("TXT-2")
@pytest.mark.spec("TXT-3")
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), st.integers(1, 80), st.sampled_from([1, 2, 4, 1000]), st.sampled_from(NULLS), st.randoms())
@example(([["1"], ["1.5"], ["9007199254740993"]], "\n", False), 5, 1000, ("",), random.Random(1))
@example(([["1", '"a']], "\n", False), 5, 1000, ("",), random.Random(1))
@example(([['"x"', ""]], "\n", False), 5, 1000, ("",), random.Random(3))
@example(([["\ufeff"]], "\n", False), 5, 1000, ("",), random.Random(1))
def test_same_as_the_reference_at_any_block_size(
    scratch: Path, table: Any, block: int, suggest: int, nulls: tuple[str, ...], rnd: random.Random
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvsource, "SUGGEST", suggest)
        check(scratch, table, block, suggest, nulls, rnd)


def check(scratch: Path, table: Any, block: int, suggest: int, nulls: tuple[str, ...], rnd: random.Random) -> None:
    rows, end, bom = table
    width = len(rows[0]) if rows else 2
    text = file_of(rows, end, bom, width) + rnd.choice(["", end, end * 2])
    scratch.write_bytes(text.encode())
    try:
        expected = reference.read(text, nulls)
    except IndexError:
        with pytest.raises(Format, match="not closed"):
            read(scratch, ReadOptions(nulls), block)
        return
    found, widened = read(scratch, ReadOptions(nulls), block)
    same(columns_of(found), expected)
    assert [(w.column, w.first, w.final, w.line, w.value) for w in widened] == reference.widened(text, suggest, nulls)
    rnd.shuffle(rows)
    scratch.write_bytes(file_of(rows, end, bom, width).encode())
    again, _ = read(scratch, ReadOptions(nulls), block)
    assert again.schema == found.schema


def make(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path: Path, options: ReadOptions | None = None, format: str = "csv") -> list[dict[str, Any]]:
    source = open_source(str(path), format, options)
    found: list[dict[str, Any]] = stream(
        source, lambda schema, batches: pa.Table.from_batches(batches, schema)
    ).to_pylist()
    return found


def types(text: str, tmp_path: Path) -> dict[str, str]:
    table, _ = read(make(tmp_path / "t.csv", text))
    return {f.name: label(f.type) for f in table.schema}


@pytest.mark.spec("TXT-1")
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["true", "FALSE"], "bool"),
        (["0", "-1", "9223372036854775807"], "int64"),
        (["1", "2.5"], "float64"),
        (["nan", "-Infinity", "1e5", "-0"], "float64"),
        (["2020-01-01"], "date"),
        (["2020-01-01", "2020-01-01 10:00"], "timestamp[us]"),
        (["10:00", "10:00:00.123456"], "time_us"),
        (["2020-01-01T10:00Z", "2020-01-01 10:00+0130"], "timestamp[us, UTC]"),
        (["true", "1"], "utf8"),
        (["2020-01-01", "2020-01-01 10:00Z"], "utf8"),
        (["1", '""'], "utf8"),
        (['"1"', "2"], "int64"),
    ],
)
def test_types_of_columns(cells: list[str], expected: str, tmp_path: Path) -> None:
    for order in (cells, cells[::-1]):
        text = "a,b\n" + "".join(f"{c},\n" for c in ["", *order])
        assert types(text, tmp_path) == {"a": expected, "b": "null"}


@pytest.mark.spec("TXT-2")
@pytest.mark.parametrize("cell", ["9007199254740993", "007", "+1", "1e400", "9223372036854775808", "-07.5"])
def test_no_digit_is_lost(cell: str, tmp_path: Path) -> None:
    table, _ = read(make(tmp_path / "t.csv", f"a\n1.5\n{cell}\n"))
    assert table["a"].to_pylist() == ["1.5", cell]


@pytest.mark.spec("TXT-3")
def test_widened_columns_are_reported(tmp_path: Path) -> None:
    body = [
        "a,b,c,d",
        *(f'{i},2020-01-01,"x\ny",' for i in range(1500)),
        "1.5,2020-01-01 10:00,z,7",
        "oops,2020-01-02,z,",
    ]
    path = make(tmp_path / "t.csv", "\n".join(body))
    source = open_source(str(path), "csv")
    assert [label(t) for t in source.schema.types] == ["int64", "date", "utf8", "null"]
    with pytest.raises(Restart):
        list(source.batches())
    table = pa.Table.from_batches(list(source.batches()), source.schema)
    assert source.widened == [
        Widened("a", "int64", "utf8", 3003, "oops"),
        Widened("b", "date", "timestamp[us]", 3002, "2020-01-01 10:00"),
        Widened("d", "null", "int64", 3002, "7"),
    ]
    assert table["a"][0].as_py() == "0"
    assert table.num_rows == 1502


def test_a_big_integer_before_reals_is_remembered(tmp_path: Path) -> None:
    body = ["a", *("1" for _ in range(2000)), "9007199254740993", *("1" for _ in range(200_000)), "2.5"]
    table, widened = read(make(tmp_path / "t.csv", "\n".join(body)), block=1 << 16)
    assert label(table["a"].type) == "utf8"
    assert [(w.first, w.final, w.line, w.value) for w in widened] == [("int64", "utf8", 202003, "2.5")]


def test_rows_longer_than_a_block(tmp_path: Path) -> None:
    long = "x" * 100_000
    path = make(tmp_path / "t.csv", f'a,b\n1,2\n"{long}\n{long}",3\n4,5\n')
    table, _ = read(path, block=64)
    assert table["a"].to_pylist() == ["1", f"{long}\n{long}", "4"]


def test_header_only(tmp_path: Path) -> None:
    for text in ("a,b", "a,b\n", "\ufeffa,b\r\n\r\n\r\n"):
        table, _ = read(make(tmp_path / "t.csv", text))
        assert (table.num_rows, table.schema) == (0, pa.schema([("a", pa.null()), ("b", pa.null())]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: the row has 1 cell, the header 2"),
        ('a,b\n"1\n1",2\n3,4,5\n', "line 4: the row has 3 cells, the header 2"),
        (b'a,b\n"1\n1",2\n\n3,\xff\n', "line 5: not valid UTF-8"),
        (b"a,b\n1,\xe2\x82", "line 2: not valid UTF-8"),
        (b"a,\xff\n1,2\n", "line 1: not valid UTF-8"),
        ("a,b\n1,2\n\0,2\n", "line 3: a NUL byte"),
        ('a,b\n1,2\n3,"4\n5,6\n', "line 3: a quote"),
        ('a,b\n1,2\n"3,4\n5,6\n', "line 3: a quote"),
        ('a,b\n1,2\n3,"4""', "line 3: a quote"),
        ('a,"b\n1,2\n', "line 1: a quote"),
        ("", "is empty"),
        ("\n\r\n", "is empty"),
        ("a,b,a\n", "line 1: two columns are named 'a'"),
    ],
)
@pytest.mark.parametrize("block", [8, None])
def test_errors_name_file_and_line(text: str | bytes, message: str, block: int | None, tmp_path: Path) -> None:
    path = make(tmp_path / "bad.csv", text)
    with pytest.raises(Format) as e:
        read(path, block=block)
    assert message in e.value.message
    assert str(path) in e.value.message
    assert "\n" not in e.value.message


def test_errors_far_into_a_file(tmp_path: Path) -> None:
    lines = [f"{i},x" for i in range(300_000)]
    lines[299_000] = "7"
    with pytest.raises(Format, match=r"line 299002: the row has 1 cell"):
        read(make(tmp_path / "t.csv", "a,b\n" + "\n".join(lines)))


def test_not_a_readable_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        open_source(str(tmp_path / "none.csv"), "csv")
    with pytest.raises(Format, match="is a directory"):
        open_source(str(tmp_path), "csv")


@pytest.mark.parametrize(
    ("end", "compress"), [("gz", gzip.compress), ("zst", lambda data: zstandard.ZstdCompressor().compress(data))]
)
def test_compressed(end: str, compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = "a,b\n" + "".join(f"{i},{i * i}é\n" for i in range(50_000))
    packed = compress(data.encode())
    assert len(rows(make(tmp_path / f"t.csv.{end}", packed))) == 50_000
    two = make(tmp_path / f"two.tsv.{end}", compress(b"a\tb\n1\t2\n") + compress(b"3\t4\n"))
    assert rows(two, format="tsv") == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    with pytest.raises(Format, match="ends in the middle"):
        rows(make(tmp_path / f"cut.csv.{end}", packed[:-20]))
    with pytest.raises(Format, match="not what its name says"):
        rows(make(tmp_path / f"plain.csv.{end}", data.encode()))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    text = "näme,b\n" + "".join(f"é{i},{i}\n" for i in range(30_000))
    path = make(tmp_path / "t.csv", text.encode(encoding))
    found = rows(path, ReadOptions(encoding=encoding))
    assert (len(found), found[-1]) == (30_000, {"näme": "é29999", "b": 29999})
    with pytest.raises(Usage, match="no encoding"):
        rows(path, ReadOptions(encoding="utf-9"))


def test_delimiters(tmp_path: Path) -> None:
    path = make(tmp_path / "t.csv", 'a;b\n"1;2";3\n')
    assert rows(path, ReadOptions(delimiter=";")) == [{"a": "1;2", "b": 3}]
    for bad in ("ab", "é", '"', "\n"):
        with pytest.raises(Usage, match="cannot be a delimiter"):
            rows(path, ReadOptions(delimiter=bad))


def declared(tmp_path: Path, kind: pa.DataType | None, cells: list[str], how: str | None = None) -> list[Any]:
    path = make(tmp_path / "t.csv", "a,b\n" + "".join(f"{c},\n" for c in ["", *cells]))
    rule = ColumnRule("x", kind, how)
    source = open_source(str(path), "csv", ReadOptions(schema={"a": rule}))
    table = pa.Table.from_batches(list(source.batches()), source.schema)
    assert table.column_names == ["x", "b"]
    assert kind is None or table.schema.field("x").type == kind
    values: list[Any] = (
        table["x"].cast(pa.string()).to_pylist() if pa.types.is_temporal(kind) else table["x"].to_pylist()
    )
    assert values[0] is None
    return values[1:]


GOOD = [
    (pa.int16(), None, ["007", "+5", "-3"], [7, 5, -3]),
    (pa.uint64(), None, ["18446744073709551615"], [2**64 - 1]),
    (pa.float32(), None, ["1", "0.1", "+inf", "007.5"], [1.0, pa.scalar(0.1, pa.float32()).as_py(), math.inf, 7.5]),
    (pa.float64(), None, ["9007199254740993"], [9007199254740992.0]),
    (pa.float16(), None, ["1.5", "inf"], [1.5, math.inf]),
    (pa.bool_(), None, ["1", "0", "TRUE"], [True, False, True]),
    (pa.string(), None, ["007", "1.50"], ["007", "1.50"]),
    (pa.binary(), None, ["é"], ["é".encode()]),
    (pa.binary(2), "hex", ["00ff"], [b"\x00\xff"]),
    (pa.binary(), "base64", ["AP8="], [b"\x00\xff"]),
    (pa.date32(), None, ["2020-02-29"], ["2020-02-29"]),
    (pa.date32(), "%d/%m/%Y", ["1/2/2020", "29/02/2020"], ["2020-02-01", "2020-02-29"]),
    (pa.date32(), "%d %b %y", ["5 Jan 20"], ["2020-01-05"]),
    (pa.time32("ms"), None, ["10:00", "10:00:00.5"], ["10:00:00.000", "10:00:00.500"]),
    (pa.time64("ns"), None, ["10:00:00.123456789"], ["10:00:00.123456789"]),
    (pa.time64("us"), "%I:%M %p", ["1:05 PM"], ["13:05:00.000000"]),
    (pa.timestamp("ms"), None, ["2020-01-01", "2020-01-01T10:00"], ["2020-01-01 00:00:00.000", "2020-01-01 10:00:00.000"]),
    (pa.timestamp("ns"), None, ["2020-01-01 10:00:00.123456789"], ["2020-01-01 10:00:00.123456789"]),
    (pa.timestamp("us"), "%Y%m%d-%H%M%S", ["20200102-030405"], ["2020-01-02 03:04:05.000000"]),
    (pa.timestamp("us"), "%d.%m.%Y %H:%M:%S.%f", ["1.2.2020 3:04:05.6"], ["2020-02-01 03:04:05.600000"]),
    (pa.timestamp("us", "UTC"), None, ["2020-01-01 10:00+01:00"], ["2020-01-01 09:00:00.000000Z"]),
    (pa.timestamp("us", "UTC"), "%Y-%m-%d %H:%M %z", ["2020-01-01 10:00 +0100"], ["2020-01-01 09:00:00.000000Z"]),
    (pa.list_(pa.int64()), None, ['"[1,null]"'], [[1, None]]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "how", "cells", "expected"), GOOD)
def test_declared_types(
    kind: pa.DataType, how: str | None, cells: list[str], expected: list[Any], tmp_path: Path
) -> None:
    assert declared(tmp_path, kind, cells, how) == expected


BAD = [
    (pa.int8(), None, ["128", "1.0", "0x1F", "", " 1", "1_0"]),
    (pa.uint8(), None, ["-1", "256"]),
    (pa.float64(), None, ["1e400", "0x1p3", "1_5", "a"]),
    (pa.float32(), None, ["1e39"]),
    (pa.float16(), None, ["65520"]),
    (pa.bool_(), None, ["yes", "tRUE", "2"]),
    (pa.decimal128(5, 2), None, ["1.505", "99999", "NaN", " 1"]),
    (pa.date32(), None, ["2020-02-30", "20200101", "2020-01-01 10:00"]),
    (pa.date32(), "%d/%m/%Y", ["31/02/2020", "1/2/20200", " 1/2/2020", "2020-01-01"]),
    (pa.timestamp("ms"), None, ["2020-01-01 10:00:00.1234", "2020-01-01 10:00Z"]),
    (pa.timestamp("us", "UTC"), None, ["2020-01-01 10:00"]),
    (pa.time64("us"), None, ["24:00", "10"]),
    (pa.duration("ms"), None, ["PT0.0001S", "1 day"]),
    (pa.binary(2), None, ["abc"]),
    (pa.binary(), "hex", ["0g"]),
    (pa.null(), None, ["x"]),
    (pa.list_(pa.int64()), None, ["[1", '"[1.5]"']),
]


@pytest.mark.parametrize(("kind", "how", "cells"), BAD)
def test_cells_that_are_not_as_declared(kind: pa.DataType, how: str | None, cells: list[str], tmp_path: Path) -> None:
    for cell in cells:
        shown = cell.strip('"')
        text = 'a,"b\nc"\n,"x\ny"\n' + (f"{cell},\n" if cell else '"",\n')
        path = make(tmp_path / "t.csv", text)
        with pytest.raises(Format) as e:
            source = open_source(str(path), "csv", ReadOptions(schema={"a": ColumnRule(None, kind, how)}))
            list(source.batches())
        assert f"{path}, line 5, column 'a': '{shown}' is not {label(kind)}" == e.value.message
        assert e.value.hint


def test_formats_say_types(tmp_path: Path) -> None:
    for how, text, kind in [
        ("%d.%m.%Y", "1.2.2020", "date"),
        ("%H.%M", "10.30", "time_us"),
        ("%d.%m.%Y %H:%M", "1.2.2020 10:30", "timestamp[us]"),
        ("%d.%m.%Y %H:%M %z", "1.2.2020 10:30 +0100", "timestamp[us, UTC]"),
    ]:
        path = make(tmp_path / "t.csv", f"a\n{text}\n")
        source = open_source(str(path), "csv", ReadOptions(schema={"a": ColumnRule(format=how)}))
        assert label(next(iter(source.batches())).schema.field("a").type) == kind


def test_schema_names(tmp_path: Path) -> None:
    path = make(tmp_path / "t.csv", "amount,b\n1,2\n")
    with pytest.raises(Usage, match="no column 'amuont'") as e:
        rows(path, ReadOptions(schema={"amuont": ColumnRule()}))
    assert e.value.hint == "did you mean 'amount'?"
    with pytest.raises(Usage, match="would both be named 'b'"):
        rows(path, ReadOptions(schema={"amount": ColumnRule("b")}))
    assert rows(path, ReadOptions(schema={"amount": ColumnRule("b"), "b": ColumnRule("amount")})) == [
        {"b": 1, "amount": 2}
    ]
    with pytest.raises(Usage, match="for dates and times"):
        rows(path, ReadOptions(schema={"b": ColumnRule(type=pa.int64(), format="%Y")}))


def test_again_and_early_stops(tmp_path: Path) -> None:
    path = make(tmp_path / "t.csv", "a\n" + "1\n" * 500_000)
    source = open_source(str(path), "csv")
    for _ in range(2):
        assert sum(b.num_rows for b in source.batches()) == 500_000
    for _ in range(3):
        assert next(source.batches()).num_rows > 0
    source.close()


def lexed(data: bytes) -> tuple[int, bool]:
    """Where the last whole row ends, byte by byte."""
    end, quoted, start, i = 0, False, True, 0
    while i < len(data):
        byte = data[i : i + 1]
        if quoted:
            if byte == b'"' and data[i + 1 : i + 2] == b'"':
                i += 1
            elif byte == b'"':
                quoted = False
        else:
            quoted, start = start and byte == b'"', byte in b",\r\n"
            if byte == b"\n" or (byte == b"\r" and data[i + 1 : i + 2] not in (b"", b"\n")):
                end = i + 1
        i += 1
    return end, quoted


@settings(max_examples=500, deadline=None)
@given(st.text('a,"""\n\r', max_size=40).map(str.encode))
@example(b'"a""\n""b"\n"')
@example(b'a"b\n"c\n')
def test_where_rows_end(data: bytes) -> None:
    assert end_of_rows(pa.py_buffer(data), Place("", ",")) == lexed(data)


def test_a_row_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvchunks, "_LONGEST_ROW", 1 << 20)
    text = 'a,b\n1,"x\n' + "3,4\n" * 2_000_000
    with pytest.raises(Format, match="line 2: a row is longer than 1 MiB"):
        read(make(tmp_path / "t.csv", text))


STOPS = """
import sys
from dpkg.arrow.readers import open_source, open_stream
source = open_source(sys.argv[1], "csv")
batches = source.batches()
next(batches)
if sys.argv[2] == "raise":
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("how", ["end", "raise"])
def test_a_process_that_stops_reading_ends_cleanly(how: str, tmp_path: Path) -> None:
    path = make(tmp_path / "t.csv", "a,b\n" + "12345,some text\n" * 1_500_000)
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    for _ in range(2):
        command = [sys.executable, "-c", STOPS, str(path), how]
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
        assert done.returncode in ((0,) if how == "end" else (130, -2)), done.stderr


# Options


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [None, 1, 7])
def test_lines_and_rows_that_are_left_out(scratch: Path, end: str, block: int | None) -> None:
    lines = ['a title, with a " in it', "", "a,b", '"unit, of', 'a",unit', "1,x", "2,y"]
    scratch.write_text(end.join(lines) + end, newline="")
    place = Place(str(scratch), ",", skip=2, skip_after=1)
    source = CsvSource(place, ReadOptions(), block)
    assert pa.Table.from_batches(list(source.batches()), source.schema).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    scratch.write_text(end.join([*lines, "3"]) + end, newline="")
    with pytest.raises(Format, match="line 8: the row has 1 cell, the header 2"):
        list(CsvSource(place, ReadOptions(), block).batches())


def test_names_that_the_file_has_not(scratch: Path) -> None:
    scratch.write_text("1,x\n2,y\n")
    assert rows(scratch, ReadOptions(column_names=("n", "t"))) == [{"n": 1, "t": "x"}, {"n": 2, "t": "y"}]
    with pytest.raises(Format, match=r"line 1: the row has 2 cells, and 'column_names' 1"):
        rows(scratch, ReadOptions(column_names=("n",)))
    with pytest.raises(Usage, match="both be named 'n'"):
        rows(scratch, ReadOptions(column_names=("n", "n")))
    with pytest.raises(Format, match="has 2 lines, and 'skip_rows' is 3"):
        rows(scratch, ReadOptions(skip_rows=3))
    with pytest.raises(Format, match="no header row"):
        rows(scratch, ReadOptions(skip_rows=2))


def test_quotes_of_ones_own(scratch: Path) -> None:
    scratch.write_text("a,b\n'x,\n''y',\"\n'1',2\"\n")
    wanted = [{"a": "x,\n'y", "b": '"'}, {"a": "1", "b": '2"'}]
    assert rows(scratch, ReadOptions(quote_char="'")) == wanted
    scratch.write_text('a,b\n\'x,"\n"1,2\n')
    assert rows(scratch, ReadOptions(quote_char=None)) == [{"a": "'x", "b": '"'}, {"a": '"1', "b": "2"}]
    with pytest.raises(Format, match=r"line 2: a quote \('\) is not closed"):
        rows(scratch, ReadOptions(quote_char="'"))
    for bad in ("''", ",", "\n", "é"):
        with pytest.raises(Usage, match="cannot be a quote"):
            rows(scratch, ReadOptions(quote_char=bad))


@pytest.mark.parametrize("text", ["1,234.5", "1.234,5", "1'234", "1 234", "1\u00a0234", "-3,5", "1,234,567"])
def test_thousands_marks_are_named(scratch: Path, text: str) -> None:
    scratch.write_text(f"a;b\n1;2\n{text};3\n")
    rule = ColumnRule(type=pa.decimal128(12, 2))
    with pytest.raises(Format, match="line 3, column 'a'") as caught:
        rows(scratch, ReadOptions(delimiter=";", schema={"a": rule}))
    assert "thousands marks" in caught.value.hint
