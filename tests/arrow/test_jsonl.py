"""JSON lines to typed columns: the end of spec/text.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg.arrow.readers import ColumnRule, ReadOptions, Widened, open_source
from dpkg.arrow.readers.jsonsource import JsonSource
from dpkg.errors import Format, NotFound, Usage


def make(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, options: ReadOptions | None = None, block: int | None = None) -> tuple[pa.Table, list[Widened]]:
    source = JsonSource(str(path), options or ReadOptions(), None, block or 1 << 22)
    table = pa.Table.from_batches(list(source.batches()), source.schema)
    return table, source.widened


def table_of(tmp_path: Path, text: str, **rules: ColumnRule) -> pa.Table:
    return read(make(tmp_path / "t.jsonl", text), ReadOptions(schema=rules))[0]


# A second, small reading of the rules.


def expected_type(values: list[Any]) -> pa.DataType:
    values = [v for v in values if v is not None]
    if any(isinstance(v, dict) for v in values):
        names = dict.fromkeys(name for v in values for name in v)
        return pa.struct([(n, expected_type([v.get(n) for v in values])) for n in names])
    if any(isinstance(v, list) for v in values):
        return pa.list_(expected_type([item for v in values for item in v]))
    if any(isinstance(v, bool) for v in values):
        return pa.bool_()
    if any(isinstance(v, float) for v in values):
        return pa.float64()
    if any(isinstance(v, int) for v in values):
        return pa.int64()
    return pa.string() if values else pa.null()


def filled(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {f.name: filled(value.get(f.name), f.type) for f in kind}
    if pa.types.is_list(kind):
        return [filled(v, kind.value_type) for v in value]
    return float(value) if pa.types.is_floating(kind) else value


NAMES = st.sampled_from(["a", "b", "c", "é", "", "a.b"])
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.sampled_from(["2020-01-01", "1", "}\n{", "[{"])
)
LEAVES = [
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    TEXT,
    st.none(),
    st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)),
]


def kinds(depth: int) -> st.SearchStrategy[st.SearchStrategy[Any]]:
    """Strategies of values that go together."""
    leaf = st.sampled_from([st.one_of(st.none(), kind) for kind in LEAVES])
    if not depth:
        return leaf
    inner = kinds(depth - 1)
    lists = inner.map(lambda kind: st.one_of(st.none(), st.lists(kind, max_size=3)))
    members = st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    return st.one_of(leaf, lists, members.map(lambda m: st.one_of(st.none(), st.fixed_dictionaries({}, optional=m))))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "data.jsonl"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(NAMES, kinds(2), min_size=1, max_size=3),
    st.integers(1, 200),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.data(),
)
def test_same_as_the_reference_at_any_block_size(
    scratch: Path, columns: Any, block: int, end: str, data: st.DataObject
) -> None:
    lines = data.draw(st.lists(st.fixed_dictionaries({}, optional=columns), min_size=1, max_size=8))
    names = list(dict.fromkeys(name for line in lines for name in line))
    ascii = data.draw(st.booleans())
    make(
        scratch,
        end.join(json.dumps(line, ensure_ascii=ascii) for line in lines) + data.draw(st.sampled_from(["", end])),
    )
    if not names:
        with pytest.raises(Format, match="no members"):
            read(scratch, block=block)
        return
    table, _ = read(scratch, block=block)
    assert table.column_names == names
    for name in names:
        values = [line.get(name) for line in lines]
        kind = expected_type(values)
        assert table[name].type == kind
        assert table[name].to_pylist() == [filled(v, kind) for v in values]


def test_values(tmp_path: Path) -> None:
    table = table_of(
        tmp_path, '{"b":1,"a":"2020-01-01T00:00:00Z"}\n\n  \n{"c":[{"x":1}],"b":-0}\r\n{"c":[{"y":"2020-01-01"}]}'
    )
    assert table.schema == pa.schema(
        [("b", pa.int64()), ("a", pa.string()), ("c", pa.list_(pa.struct([("x", pa.int64()), ("y", pa.string())])))]
    )
    assert table.to_pylist()[2] == {"b": None, "a": None, "c": [{"x": None, "y": "2020-01-01"}]}


def test_numbers(tmp_path: Path) -> None:
    assert table_of(tmp_path, '{"a":1}\n{"a":2.5}')["a"].to_pylist() == [1.0, 2.5]
    assert table_of(tmp_path, '{"a":9007199254740993}')["a"].to_pylist() == [9007199254740993]
    assert table_of(tmp_path, '{"a":9007199254740992}\n{"a":1e17}')["a"].to_pylist() == [2.0**53, 1e17]
    assert table_of(tmp_path, '{"a":100000000000000000000}')["a"].to_pylist() == [1e20]
    assert table_of(tmp_path, '{"a":NaN}\n{"a":-Infinity}')["a"].to_pylist()[1] == float("-inf")


@pytest.mark.spec("TXT-2")
@pytest.mark.parametrize("block", [16, 1 << 20])
@pytest.mark.parametrize("path", ['{"a":%s}', '{"b":"x","a":[{"c":[%s]}]}'])
def test_inexact_integers_are_refused_naming_both_lines(path: str, block: int, tmp_path: Path) -> None:
    lines = ["9007199254740993", "1", "2.5"]
    for order, message in (
        (lines, "line 1 and a number .* on line 3"),
        (lines[::-1], "line 1 and an integer .* on line 3"),
    ):
        with pytest.raises(Format, match=message):
            read(make(tmp_path / "t.jsonl", "\n".join(path % n for n in order)), block=block)


@pytest.mark.parametrize("block", [16, 1 << 20])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"a":1}', '{"a":null}', '{"a":"x"}'], "'a' is an integer on line 1 and a string on line 3"),
        (['{"a":"1"}', '{"a":1.5}'], "'a' is a string on line 1 and a number on line 2"),
        (['{"a":true}', '{"a":1}'], "'a' is a boolean on line 1 and an integer on line 2"),
        (['{"a":[1]}', "", '{"a":{}}'], "'a' is an array on line 1 and an object on line 3"),
        (['{"a":[{"b":1}]}', '{"a":[{"b":[]}]}'], "'a[].b' is an integer on line 1 and an array on line 2"),
        (['{"a":1}', '{"a":2'], "line 2: not JSON"),
        (['{"a":1}', '{"a":', "1}"], "line 2: not JSON"),
        (['{"a":1}{"a":', "2}"], "line 1: not JSON"),
        (['{"a":1}', '{"a":2} {"a":3}'], "line 2: not JSON"),
        (['{"a":1}', "[1]"], "line 2: not a JSON object"),
        (['{"a":1}', "7"], "line 2: not a JSON object"),
        (['{"a":1}', '{"a":1,"a":2}'], "line 2: an object has the member 'a' twice"),
        (['{"a":1}', '{"a":1e400}'], "line 2, 'a': 1e400 is too large"),
        (['{"a":1}', '{"b":"\\ud800"}'], "line 2: a string holds half a surrogate pair"),
        (['{"a":1}', '{"a":' + "[" * 200_000 + "]" * 200_000 + "}"], "line 2: nested"),
    ],
)
def test_errors_name_the_lines(lines: list[str], message: str, block: int, tmp_path: Path) -> None:
    path = make(tmp_path / "bad.jsonl", "\n".join(lines))
    with pytest.raises(Format) as e:
        read(path, block=block)
    assert message in e.value.message
    assert str(path) in e.value.message


def test_other_errors(tmp_path: Path) -> None:
    with pytest.raises(Format, match="line 2: not valid UTF-8"):
        read(make(tmp_path / "t.jsonl", b'{"a":"x"}\n{"a":"\xff"}\n'))
    for empty in ("", "\n\n", "{}\n"):
        with pytest.raises(Format, match="holds no members"):
            read(make(tmp_path / "t.jsonl", empty))
    with pytest.raises(NotFound):
        read(tmp_path / "none.jsonl")
    with pytest.raises(Usage, match="no column 'b'"):
        table_of(tmp_path, '{"a":1}', b=ColumnRule())


def test_compressed_with_a_mark(tmp_path: Path) -> None:
    data = "\ufeff" + "".join(json.dumps({"a": i, "b": "é" * 20}, ensure_ascii=False) + "\n" for i in range(100_000))
    source = open_source(str(make(tmp_path / "t.jsonl.gz", gzip.compress(data.encode()))), "jsonl")
    assert sum(b.num_rows for b in source.batches()) == 100_000
    found, _ = read(make(tmp_path / "t.jsonl", data.encode("utf-16")), ReadOptions(encoding="utf-16"))
    assert found["b"][99_999].as_py() == "é" * 20


@pytest.mark.spec("TXT-3")
def test_widened(tmp_path: Path) -> None:
    lines = [{"a": 1, "b": None, "n": {"x": 1}} for _ in range(1200)]
    more = [{"a": 2, "b": "x"}, {"a": 2.5, "n": {"x": 1, "y": "é"}}, {"new": 1}]
    path = make(tmp_path / "t.jsonl", "\n".join(map(json.dumps, [*lines, *more])))
    _, widened = read(path, ReadOptions(schema={"a": ColumnRule("A")}))
    assert [(w.column, w.first, w.final, w.line, w.value) for w in widened] == [
        ("A", "int64", "float64", 1202, "2.5"),
        ("b", "null", "utf8", 1201, "x"),
        ("n", "struct<x: int64>", "struct<x: int64, y: string>", 1202, '{"x": 1, "y": "é"}'),
        ("new", "null", "int64", 1203, "1"),
    ]


@pytest.mark.parametrize(
    ("kind", "how", "values", "expected"),
    [
        (pa.int8(), None, ["1", "null"], [1, None]),
        (pa.float64(), None, ["1", '"NaN"', "2.5", '"-Infinity"'], None),
        (pa.decimal128(20, 2), None, ["12345678901234567.89", '"1.5"'], ["12345678901234567.89", "1.50"]),
        (pa.timestamp("us", "UTC"), None, ['"2020-01-01T10:00Z"'], ["2020-01-01 10:00:00.000000Z"]),
        (pa.date32(), "%d.%m.%Y", ['"1.2.2020"'], ["2020-02-01"]),
        (pa.string(), None, ["007.50e1".lstrip("0"), '"x"', "true"], ["7.50e1", "x", "true"]),
        (pa.struct([("d", pa.date32())]), None, ['{"d":"2020-01-01"}', "{}"], [{"d": "2020-01-01"}, {"d": None}]),
        (pa.map_(pa.string(), pa.int8()), None, ['{"k":1}', '[["k",2]]'], [[("k", 1)], [("k", 2)]]),
    ],
)
def test_declared(kind: Any, how: str | None, values: list[str], expected: list[Any] | None, tmp_path: Path) -> None:
    text = "".join(f'{{"a":{v},"b":1}}\n' for v in values)
    table = table_of(tmp_path, text, a=ColumnRule("x", kind, how))
    assert table.schema == pa.schema([("x", kind), ("b", pa.int64())])
    found = table["x"].to_pylist()
    if expected is None:
        assert [repr(v) for v in found] == ["1.0", "nan", "2.5", "-inf"]
    elif isinstance(found[0], dict):
        assert [{"d": v["d"] and str(v["d"])} for v in found] == expected
    elif pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        assert table["x"].cast(pa.string()).to_pylist() == expected
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("kind", "values", "shown"),
    [
        (pa.int8(), ["1", "300"], "300"),
        (pa.int64(), ["1", "2.5"], "2.5"),
        (pa.date32(), ['"2020-01-01"', '"2020-02-30"'], "2020-02-30"),
        (pa.list_(pa.int64()), ["[1]", '["x"]'], '["x"]'),
        (pa.decimal128(5, 2), ["1", "1.555"], "1.555"),
        (pa.int64(), ["1", '{"x":1}'], '{"x": 1}'),
    ],
)
def test_values_that_are_not_as_declared(kind: pa.DataType, values: list[str], shown: str, tmp_path: Path) -> None:
    with pytest.raises(Format) as e:
        table_of(tmp_path, "\n\n".join(f'{{"b":"x","a":{v}}}' for v in values), a=ColumnRule(type=kind))
    assert f"line 3, column 'a': '{shown}' is not " in e.value.message
