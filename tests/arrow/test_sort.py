"""Sorting by a key against Python's sorted, in one run and in many (ROW-6, ROW-7)."""

from __future__ import annotations

import random
from typing import Any

import forms
import pyarrow as pa
import pytest
import reader
import strategies as s
from hypothesis import HealthCheck, given, settings

from dpkg.arrow import sort
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.errors import CheckFailed, Format

KEYS = s.FLAT.filter(lambda t: t != "null")
SHAPES = [(1 << 30, 100, 64), (1, 1, 2), (300, 3, 3), (40, 2, 64)]  # RUN_BYTES, BLOCK_ROWS, FAN_IN


@pytest.mark.spec("ROW-6")
@pytest.mark.spec("ROW-7")
@pytest.mark.parametrize("shape", SHAPES)
@given(table=s.tables(KEYS, most=40), rng=s.randoms())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_python_sorts(
    shape: tuple[int, int, int], table: s.Plain, rng: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(("RUN_BYTES", "BLOCK_ROWS", "FAN_IN"), shape, strict=True):
        monkeypatch.setattr(sort, name, value)
    key = rng.sample([n for n, _ in table.schema], rng.randint(1, len(table.schema)))
    arrow, batches = forms.batches(rng, table)
    schema = Schema.from_arrow(arrow)
    plain = [p for b in batches for p in normalise(b, schema)]
    try:
        wanted = reader.sort_by_key(table.schema, table.canonical(), key)
    except reader.EqualKeys:
        with pytest.raises(CheckFailed, match="two rows have the key"):
            list(sort.sort_by_key(plain, schema, tuple(key)))
        return
    rows = list(sort.sort_by_key(plain, schema, tuple(key)))
    got = [
        [s.canonical(v, t) for b in rows for v in forms.plain(b.column(i), t)] for i, (_, t) in enumerate(table.schema)
    ]
    assert got == wanted


def sorted_rows(columns: dict[str, Any], key: tuple[str, ...]) -> list[dict[str, Any]]:
    batch = pa.record_batch(columns)
    schema = Schema.from_arrow(batch.schema)
    return [row for b in sort.sort_by_key(normalise(batch, schema), schema, key) for row in b.to_pylist()]


@pytest.mark.spec("ROW-6")
@pytest.mark.parametrize("shape", SHAPES)
def test_many_rows(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(("RUN_BYTES", "BLOCK_ROWS", "FAN_IN"), shape, strict=True):
        monkeypatch.setattr(sort, name, value)
    numbers = random.Random(1).sample(range(ROWS), ROWS)
    batch = pa.record_batch(
        {"a": numbers, "b": [[[n, n], [n, n]] for n in numbers]}, pa.schema({"a": pa.int64(), "b": GRID})
    )
    schema = Schema.from_arrow(batch.schema)
    slices = [p for i in range(0, ROWS, 30) for p in normalise(batch.slice(i, 30), schema)]
    got = [r for b in sort.sort_by_key(slices, schema, ("a",)) for r in b.to_pylist()]
    assert got == [{"a": n, "b": [[n, n], [n, n]]} for n in range(ROWS)]


ROWS = 500
GRID = pa.list_(pa.list_(pa.int32(), 2), 2)


@pytest.mark.spec("ROW-6")
def test_the_total_order_by_hand() -> None:
    nan, inf = float("nan"), float("inf")
    got = sorted_rows({"f": [None, nan, inf, 0.0, -0.0, 1.5, -inf, -1.5], "n": range(8)}, ("f",))
    assert [r["n"] for r in got] == [6, 7, 4, 3, 5, 2, 1, 0]
    got = sorted_rows({"s": ["b", "é", None, "", "B", "\U0001f600", "\uffff"]}, ("s",))
    assert [r["s"] for r in got] == ["", "B", "b", "é", "\uffff", "\U0001f600", None]


@pytest.mark.spec("ROW-7")
def test_the_first_equal_key_is_named() -> None:
    with pytest.raises(CheckFailed, match=r"two rows have the key a=1, b='x'"):
        sorted_rows({"a": [2, 1, 2, 1], "b": ["y", "x", "y", "x"]}, ("a", "b"))
    with pytest.raises(CheckFailed, match=r"two rows have the key a=None"):
        sorted_rows({"a": pa.array([None, None])[:2].cast(pa.int8())}, ("a",))
    with pytest.raises(CheckFailed, match=r"two rows have the key a=nan"):
        sorted_rows({"a": [float("nan"), 1.0, float("nan")]}, ("a",))
    for t in (pa.timestamp("s"), pa.date32(), pa.timestamp("us", "No/Where")):
        with pytest.raises(CheckFailed, match=r"two rows have the key a=\d"):
            sorted_rows(
                {
                    "a": pa.array([10**9, 10**9], pa.int32())
                    .cast(pa.int32() if t == pa.date32() else pa.int64())
                    .view(t)
                },
                ("a",),
            )


@pytest.mark.spec("ROW-7")
def test_keys_that_cannot_be() -> None:
    with pytest.raises(Format, match="a column 'b' that the table does not have"):
        sorted_rows({"a": [1]}, ("b",))
    with pytest.raises(Format, match="'a' twice"):
        sorted_rows({"a": [1]}, ("a", "a"))
    for values in ([[1]], [{"x": 1}], [None], pa.array([b"0" * 16], pa.uuid())):
        with pytest.raises(Format, match="no order"):
            sorted_rows({"a": values}, ("a",))
