"""Type names as people write them, and as Arrow prints them."""

from __future__ import annotations

import forms
import pyarrow as pa
import pytest
import strategies
from hypothesis import given

from dpkg.arrow.schema import Schema
from dpkg.arrow.typenames import parse_type
from dpkg.errors import Usage
from dpkg.objects.typetext import type_text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int64", pa.int64()),
        (" Int ", pa.int64()),
        ("float", pa.float64()),
        ("real", pa.float32()),
        ("text", pa.string()),
        ("string", pa.string()),
        ("boolean", pa.bool_()),
        ("bytes", pa.binary()),
        ("date", pa.date32()),
        ("time", pa.time64("us")),
        ("time_ms", pa.time32("ms")),
        ("timestamp", pa.timestamp("us")),
        ("timestamp[ms]", pa.timestamp("ms")),
        ("timestamp[us, UTC]", pa.timestamp("us", "UTC")),
        ("timestamp(ns, Europe/Paris)", pa.timestamp("ns", "Europe/Paris")),
        ("timestamp[us, tz=+02:00]", pa.timestamp("us", "+02:00")),
        ("duration[ms]", pa.duration("ms")),
        ("decimal", pa.decimal128(38, 9)),
        ("decimal(12)", pa.decimal128(12, 0)),
        ("decimal(12, 2)", pa.decimal128(12, 2)),
        ("numeric(40,2)", pa.decimal256(40, 2)),
        ("fixed_binary[16]", pa.binary(16)),
        ("list<int64>", pa.list_(pa.int64())),
        ("list[list[decimal(5, 1)]]", pa.list_(pa.list_(pa.decimal128(5, 1)))),
        ("fixed_list(3, float32)", pa.list_(pa.float32(), 3)),
        ("list<float32>[3]", pa.list_(pa.float32(), 3)),
        ("list[list<float32>[3]]", pa.list_(pa.list_(pa.float32(), 3))),
        ("list<list<int8>[3]>[2]", pa.list_(pa.list_(pa.int8(), 3), 2)),
        ("map<utf8, list<int8>>", pa.map_(pa.string(), pa.list_(pa.int8()))),
        (
            "struct<a: int64, b c: timestamp[us, +02:00]>",
            pa.struct([("a", pa.int64()), ("b c", pa.timestamp("us", "+02:00"))]),
        ),
    ],
)
def test_names(text: str, kind: pa.DataType) -> None:
    assert parse_type(text) == kind


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("int65", "int64"),
        ("strng", "string"),
        ("timestmp", "timestamp"),
        ("list<int65>", "list<int64>"),
        ("decimal(5, 9)", "decimal(12, 2)"),
        ("decimal(5, -1)", "decimal(12, 2)"),
        ("decimal(99, 1)", "decimal(12, 2)"),
        *(
            (text, "")
            for text in ("", "[]", "xyz", "timestamp[xs]", "timestamp[us", "list<>", "list<int8, int8>", "map<int8>")
        ),
        *(
            (text, "")
            for text in ("fixed_binary[0]", "fixed_list(0, int8)", "struct<>", "struct<a: int8, a: int8>", "list<a>b>")
        ),
        *((text, "") for text in ("duration[s, s]", "time[d]", "date[s]", "struct<int8>", "decimal(a)", "int64<int8>")),
    ],
)
def test_mistakes(text: str, meant: str) -> None:
    with pytest.raises(Usage, match="is not a type") as caught:
        parse_type(text)
    assert meant in caught.value.hint
    assert caught.value.hint


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_floats_are_shown_as_they_are_written(name: str) -> None:
    """Arrow prints float32 as `float`, which in build.yml means float64."""
    shown = str(Schema.from_json([["x", {"list": name}]]).types[0])
    assert shown == f"list<{name}>"
    assert parse_type(shown) == pa.list_(getattr(pa, name)())


@given(strategies.TYPES.filter(lambda t: not any(kind in str(t) for kind in ("extension", "struct"))))
def test_what_is_shown_can_be_written(t: object) -> None:
    """But for extension types, and names in structs that hold what separates them."""
    assert parse_type(type_text(t)) == forms.returned("x", t).type


UNNAMED = ("extension", "float32", "struct")  # of a float Arrow prints `float`, and a field's name may be anything


@given(strategies.TYPES.filter(lambda t: not any(kind in str(t) for kind in UNNAMED)))
def test_what_arrow_prints_can_be_written(t: object) -> None:
    kind = forms.returned("x", t).type
    assert parse_type(str(kind)) == kind
