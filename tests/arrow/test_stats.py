"""Statistics rows against a brute-force reference, and what their bounds promise (IDX-6 to IDX-8)."""

from __future__ import annotations

from typing import Any

import forms
import pyarrow as pa
import pytest
import reader
import strategies as s
from hypothesis import given, settings

from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import stats_batch, stats_row, stats_schema


def order(v: Any, t: Any) -> Any:
    """A key by which Python sorts the values of a type in the order of ROW-6."""
    if s.kind(t) not in s.FLOATS:
        return v.encode() if isinstance(v, str) else v
    sign = 1 << (8 * s.FLOATS[s.kind(t)][0] - 1)
    return sign - 1 - v if v >= sign else v


def slow(values: list[Any], t: Any) -> dict[str, Any]:
    nulls = sum(v is None for v in values)
    if s.kind(t) in ("null", "list", "fixed_list", "struct", "map", "extension"):
        return {"nulls": nulls}
    present = sorted((v for v in values if v is not None), key=lambda v: order(v, t))
    low, high = (present[0], present[-1]) if present else (None, None)
    if isinstance(low, (str, bytes)):
        low, high = prefix(low), high if len(raw(high)) <= 32 else raised(prefix(high))
    return {"min": low, "max": high, "nulls": nulls}


def raw(v: Any) -> bytes:
    return v.encode() if isinstance(v, str) else v


def prefix(v: Any) -> Any:
    return next(v[:n] for n in range(32, -1, -1) if len(raw(v[:n])) <= 32)


def raised(v: Any) -> Any:
    while v:
        if isinstance(v, bytes):
            if v[-1] < 255:
                return v[:-1] + bytes([v[-1] + 1])
        elif v[-1] != "\U0010ffff":
            return v[:-1] + ("\ue000" if v[-1] == "\ud7ff" else chr(ord(v[-1]) + 1))
        v = v[:-1]
    return None


def rows_of(rng: Any, table: s.Plain) -> tuple[Schema, list[pa.Array]]:
    arrow, batches = forms.batches(rng, table)
    schema = Schema.from_arrow(arrow)
    plain = [p for b in batches for p in normalise(b, schema)]
    return schema, [pa.concat_arrays([b.column(i) for b in plain]) for i in range(len(schema.names))]


@pytest.mark.spec("IDX-6")
@pytest.mark.spec("IDX-7")
@pytest.mark.spec("IDX-8")
@given(s.tables(least=1), s.randoms())
@settings(max_examples=250, deadline=None)
def test_as_the_reference_says(table: s.Plain, rng: Any) -> None:
    made = []
    for start, stop in s.cuts(rng, table.rows):
        schema, columns = rows_of(rng, table.slice(start, stop))
        made.append((stats_row(columns, schema), table.slice(start, stop).canonical()))
    batch = stats_batch([row for row, _ in made], schema)
    batch.validate(full=True)
    assert stats_schema(schema).json == reader.statistics_schema(table.schema)
    for i, (_, t) in enumerate(table.schema):
        wanted = [slow(columns[i], t) for _, columns in made]
        struct = stats_schema(schema).types[i].json
        assert [s.canonical(v, struct) for v in forms.plain(batch.column(i), struct)] == [
            list(w.values()) for w in wanted
        ]
        for w, (_, columns) in zip(wanted, made, strict=True):
            for v in columns[i]:
                if v is not None and "min" in w:
                    assert order(w["min"], t) <= order(v, t)
                    assert w["max"] is None or order(v, t) <= order(w["max"], t)


@pytest.mark.spec("IDX-8")
@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("a" * 32, "a" * 32, "a" * 32),
        ("a" * 33, "a" * 32, "a" * 31 + "b"),
        ("é" * 17, "é" * 16, "é" * 15 + "ê"),
        ("a" + "é" * 16, "a" + "é" * 15, "a" + "é" * 14 + "ê"),
        ("a" * 31 + "\x7fxx", "a" * 31 + "\x7f", "a" * 31 + "\x80"),  # the raised character is longer
        ("a" * 29 + "\ud7ffxx", "a" * 29 + "\ud7ff", "a" * 29 + "\ue000"),
        ("ab" + "\U0010ffff" * 9, "ab" + "\U0010ffff" * 7, "ac"),
        ("\U0010ffff" * 9, "\U0010ffff" * 8, None),
        (b"\xff" * 33, b"\xff" * 32, None),
        (b"a" + b"\xff" * 32, b"a" + b"\xff" * 31, b"b"),
        (b"\x00" * 40, b"\x00" * 32, b"\x00" * 31 + b"\x01"),
    ],
)
def test_bounds_of_strings_by_hand(value: Any, low: Any, high: Any) -> None:
    array = pa.array([value, value])
    schema = Schema.from_arrow(pa.schema([("a", array.type)]))
    (row,) = stats_batch([stats_row([array], schema)], schema).column(0).to_pylist()
    assert row == {"min": low, "max": high, "nulls": 0}


@pytest.mark.spec("IDX-7")
def test_zeros_and_nan_by_hand() -> None:
    for t in (pa.float16(), pa.float32(), pa.float64()):
        for values, low, high in (
            ([0.0, -0.0], "-0.0", "0.0"),
            ([-0.0], "-0.0", "-0.0"),
            ([0.0], "0.0", "0.0"),
            ([float("nan"), 1.0], "1.0", "nan"),
            ([float("nan")], "nan", "nan"),
            ([float("-inf"), float("inf")], "-inf", "inf"),
        ):
            array = pa.array(values, pa.float64()).cast(t)
            schema = Schema.from_arrow(pa.schema([("a", t)]))
            (row,) = stats_batch([stats_row([array], schema)], schema).column(0).to_pylist()
            assert (str(row["min"]), str(row["max"])) == (low, high)
