"""Evaluators of dates, times and schemas, where the reference of test_reference.py has no values; and what fits no column."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from dpkg.arrow.checks.base import Outcome
from dpkg.arrow.checks.make import Skipped, Surroundings, make
from dpkg.arrow.checks.table import compatible, holds
from dpkg.arrow.checks.whole import Known
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import from_json
from dpkg.errors import Usage

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def run(array: pa.Array, kind: str, args: dict[str, Any], column: str | None = "a", before: Any = None) -> Outcome:
    batch = pa.RecordBatch.from_arrays([array], names=["a"])
    schema = Schema.from_arrow(batch.schema)
    at = Surroundings(
        9,
        int(NOW.timestamp()) * 10**9,
        lambda: before,
        lambda t, c: Known([], schema.types[0]),
        lambda q: Outcome(0),
        lambda a: Outcome(0),
    )
    evaluator = make(kind, column, args, schema, at)
    (plain,) = normalise(batch, schema)
    evaluator.add(evaluator.measure({"a": plain.column(0)}, plain.num_rows), 0)
    return evaluator.outcome()


def bad(array: pa.Array, kind: str, **args: Any) -> list[int]:
    return [b.row for b in run(array, kind, args).rows]


DAYS = pa.array([dt.date(2026, 1, d) for d in (1, 2, 3)] + [None])
MOMENTS = [dt.datetime(2026, 1, 1, h, tzinfo=dt.UTC) for h in (0, 12, 23)]


def test_bounds_of_dates_and_times() -> None:
    assert bad(DAYS, "min", value="2026-01-02") == [0]
    assert bad(DAYS, "max", value="2026-01-02") == [2]
    for zone in ("UTC", "Europe/Paris"):
        array = pa.array(MOMENTS, pa.timestamp("us", zone))
        assert bad(array, "min", value="2026-01-01T12:00:00Z") == [0]
        assert bad(array, "min", value="2026-01-01 13:00:00+01:00") == [0]
        assert bad(array, "max", value="2026-01-01") == [1, 2]  # a day alone is its beginning
    plain = pa.array([m.replace(tzinfo=None) for m in MOMENTS], pa.timestamp("ms"))
    assert bad(plain, "max", value="2026-01-01 12:00:00") == [2]
    assert bad(plain, "max", value="2026-01-01") == [1, 2]
    assert bad(pa.array([1, 2, None], pa.duration("s")), "max", value="PT1.5S") == [1]
    assert bad(pa.array([dt.time(1), dt.time(2)]), "min", value="01:30") == [0]
    assert bad(pa.array([b"a", b"b"], pa.binary(1)), "min", value="b") == [0]


def test_lists_of_dates_and_times() -> None:
    assert bad(DAYS, "enum", values=["2026-01-01", "2026-01-03"]) == [1]
    assert bad(pa.array(MOMENTS, pa.timestamp("ns", "UTC")), "not_in", values=["2026-01-01"]) == [0]
    assert bad(pa.array([b"ab", b"cd"], pa.binary(2)), "enum", values=["ab"]) == [1]
    assert bad(pa.array([Decimal("1.50"), Decimal("2.00")]), "enum", values=["1.5"]) == [1]


def test_a_uuid_as_it_is_written() -> None:
    some = [uuid.UUID(int=i) for i in (1, 2)]
    array = pa.array([u.bytes for u in some], pa.uuid())
    assert bad(array, "enum", values=[str(some[1]).upper()]) == [0]
    assert run(array, "type", {"types": ["fixed_binary[16]"]}).bad == 0


def test_a_bound_of_a_narrow_float_is_of_its_type() -> None:
    assert bad(pa.array([0.1], pa.float32()), "max", value="0.1") == []
    assert bad(pa.array([0.1], pa.float32()), "min", value="0.1") == []
    assert bad(pa.array([0.1, None, float("nan")], pa.float16()), "min", value="0.1") == [2]


def test_freshness() -> None:
    def fresh(array: pa.Array, within: str) -> tuple[bool, str]:
        found = run(array, "freshness", {"column": "a", "within": within}, None)
        return not found.bad, found.figure

    day = pa.array([dt.date(2026, 11, 15), dt.date(2026, 11, 1), None])
    assert fresh(day, "8d") == (True, "the newest is 7 days, 12:00:00 old")
    assert fresh(day, "7d")[0] is False
    assert fresh(day, "2w")[0] is True
    for unit in ("ms", "us", "ns"):
        for zone in (None, "UTC", "Asia/Tokyo"):
            array = pa.array([NOW.replace(tzinfo=None) - dt.timedelta(minutes=90)], pa.timestamp(unit))
            array = array if zone is None else array.cast(pa.timestamp(unit, zone))
            assert [fresh(array, within)[0] for within in ("89m", "90m", "5399s", "2h")] == [False, True, False, True]
    assert fresh(pa.array([dt.date(2027, 1, 1)]), "1d") == (True, "the newest is 39 days, 12:00:00 ahead")
    assert fresh(pa.array([None], pa.date32()), "1d") == (False, "no values")
    assert fresh(pa.array([2**62], pa.timestamp("ms")), "1d")[0] is True


def test_columns_and_types() -> None:
    array = pa.array([1])
    assert run(array, "columns_are", {"names": ["a"]}, None).bad == 0
    assert run(array, "columns_are", {"names": ["b"]}, None) == Outcome(1, "without b; with a")
    assert run(array, "type", {"types": ["int64"]}).bad == 0
    assert run(array, "type", {"types": ["int32", "utf8"]}) == Outcome(1, "int64")
    schema = Schema.from_arrow(pa.schema([("a", pa.int64()), ("b", pa.string())]))
    assert compatible(schema, schema).bad == 0
    with pytest.raises(Skipped):
        run(array, "schema_compatible", {}, None)


@pytest.mark.parametrize(
    ("old", "new", "held"),
    [
        ("int32", "int64", True),
        ("int64", "int32", False),
        ("uint32", "int64", True),
        ("uint64", "int64", False),
        ("int8", "uint8", False),
        ("float32", "float64", True),
        ("float64", "float32", False),
        ("int64", "float64", False),  # 2^53 + 1
        ("null", "utf8", True),
        ({"decimal": [5, 2]}, {"decimal": [7, 3]}, True),
        ({"decimal": [5, 2]}, {"decimal": [5, 3]}, False),
        ({"list": "int8"}, {"list": "int16"}, True),
        ({"struct": [["a", "int8"]]}, {"struct": [["a", "int64"]]}, True),
        ({"struct": [["a", "int8"]]}, {"struct": [["b", "int8"]]}, False),
        ({"timestamp": ["ms"]}, {"timestamp": ["us"]}, False),
    ],
)
def test_which_types_hold_all_values_of_others(old: Any, new: Any, held: bool) -> None:
    assert holds(from_json(new), from_json(old)) is held


@pytest.mark.parametrize(
    ("array", "kind", "args", "said"),
    [
        (pa.array([True]), "min", {"value": "1"}, "is bool, and a type without order has no 'min'"),
        (pa.array([1]), "min", {"value": "nan"}, "'nan' is not int64"),
        (pa.array([1]), "length", {"min": "1"}, "'length' is for text, binary, lists and maps"),
        (pa.array([[1]]), "enum", {"values": ["1"]}, "a list of values is for columns of plain types"),
        (DAYS, "min", {"value": "2026-02-30"}, "'2026-02-30' is not date"),
        (DAYS, "sum", {"min": "1"}, "'sum' is for numbers"),
        (pa.array([1.0]), "max", {"value": "NaN"}, "'NaN' is no bound"),
        (pa.array(["a"]), "matches", {"pattern": "emial"}, "there is no pattern 'emial'"),
    ],
)
def test_what_does_not_fit(array: pa.Array, kind: str, args: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage, match=said):
        run(array, kind, args)


def test_a_list_that_is_not_at_hand() -> None:
    with pytest.raises(Skipped, match=r"the list 'block\.txt' is long"):
        run(pa.array(["a"]), "not_in", {"file": "block.txt", "blake3": "0" * 64})
