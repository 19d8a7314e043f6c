"""Properties 1 and 4: one oid for one value whatever its form, another for another; and the second reader agrees."""

from __future__ import annotations

import random
from typing import Any

import forms
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import reader
import strategies as s
from hypothesis import given, settings

from dpkg.arrow import fragment, mix, values
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.errors import CheckFailed
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend
from dpkg.tables import write_table


def plain_batches(rng: Any, table: s.Plain) -> tuple[Schema, list[pa.RecordBatch]]:
    arrow, batches = forms.batches(rng, table)
    schema = Schema.from_arrow(arrow)
    return schema, [p for b in batches for p in normalise(b, schema)]


def table_oid(rng: Any, table: s.Plain, key: tuple[str, ...] = ()) -> str:
    arrow, batches = forms.batches(rng, table)
    return write_table(Odb(MemoryBackend()), batches, arrow, key)[0]


def fragment_oid(rng: Any, table: s.Plain) -> str:
    schema, batches = plain_batches(rng, table)
    return fragment.make(batches, schema).entry.oid


@pytest.mark.spec("VAL-1")
@pytest.mark.spec("VAL-3")
@pytest.mark.spec("TYPE-2")
@pytest.mark.spec("TYPE-3")
@pytest.mark.spec("ROW-1")
@given(s.tables(), s.randoms())
@settings(max_examples=250, deadline=None)
def test_form_does_not_matter_and_the_second_reader_agrees(table: s.Plain, rng: Any) -> None:
    schema, batches = plain_batches(rng, table)
    assert schema.json == table.schema
    for b in batches:
        b.validate(full=True)
    for i, (t, column) in enumerate(zip(schema.types, table.canonical(), strict=True)):
        array = pa.concat_arrays([b.column(i) for b in batches])
        assert forms.plain(array, t.json) == table.columns[i]
        assert values.column_digest(array, t) == reader.column_digest(column, t.json)
        sizes = [reader.cell_bytes(v, t.json) for v in column]
        assert values.row_bytes(array, t).tolist() == sizes
        assert values.total_bytes(array, t) == sum(sizes)
        assert mix.cells(array, t).tolist() == [reader.cell(v, t.json) for v in column]


NOTHING = {"extension": ["acme.nothing", "", "null"]}


@pytest.mark.spec("VAL-1")
@pytest.mark.parametrize(
    "t",
    [
        NOTHING,
        {"list": NOTHING},
        {"struct": [["a", NOTHING], ["b", "null"]]},
        {"map": ["utf8", "null"]},
        {"fixed_list": [2, "null"]},
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 9])
def test_types_of_nothing_but_null(t: Any, rows: int) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        table = s.Plain([["a", t]], [s.values_of(rng, t, rows)])
        schema, batches = plain_batches(rng, table)
        array = pa.concat_arrays([b.column(0) for b in batches])
        assert values.column_digest(array, schema.types[0]) == reader.column_digest(table.columns[0], t)


@pytest.mark.spec("VAL-2")
@given(s.tables(least=1), s.randoms())
@settings(max_examples=60, deadline=None)
def test_fragments_and_tables_have_one_oid(table: s.Plain, rng: Any) -> None:
    assert fragment_oid(rng, table) == reader.fragment_oid(table.schema, table.canonical())
    assert table_oid(rng, table) == table_oid(rng, table) == reader.build_table(table.schema, table.canonical()).oid


KEY_TYPES = s.FLAT.filter(lambda t: t != "null")


@pytest.mark.spec("ROW-6")
@given(s.tables(KEY_TYPES, most=30), s.randoms())
@settings(max_examples=60, deadline=None)
def test_tables_with_a_key_have_one_oid_in_any_order(table: s.Plain, rng: Any) -> None:
    key = rng.sample([n for n, _ in table.schema], rng.randint(1, len(table.schema)))
    shuffled = rng.sample(range(table.rows), table.rows)
    other = s.Plain(table.schema, [[c[i] for i in shuffled] for c in table.columns])
    try:
        wanted = reader.build_table(table.schema, table.canonical(), key).oid
    except reader.EqualKeys:
        with pytest.raises(CheckFailed, match="two rows have the key"):
            table_oid(rng, other, tuple(key))
        return
    assert table_oid(rng, table, tuple(key)) == table_oid(rng, other, tuple(key)) == wanted


def changed(rng: Any, table: s.Plain) -> s.Plain:
    """The table with something changed: a value, a null, a name, a type, an order, a row more or less."""
    schema, columns = [list(f) for f in table.schema], [list(c) for c in table.columns]
    at, row = rng.randrange(len(schema)), rng.randrange(table.rows) if table.rows else 0
    how = rng.choice(["value", "name", "type", "columns", "rows", "shuffle"])
    if how == "value" and table.rows:
        columns[at][row] = s.value_of(rng, schema[at][1]) if columns[at][row] is None or rng.random() < 0.5 else None
    elif how == "name":
        schema[at][0] += "'"
    elif how == "type":
        schema[at][1] = OTHER.get(str(schema[at][1]), schema[at][1])
    elif how == "columns":
        order = rng.sample(range(len(schema)), len(schema))
        schema, columns = [schema[i] for i in order], [columns[i] for i in order]
    elif how == "rows":
        columns = [[*c, s.value_of(rng, t)] if row % 2 else c[:-1] for c, (_, t) in zip(columns, schema, strict=True)]
    else:
        rows = rng.sample(range(table.rows), table.rows)
        columns = [[c[i] for i in rows] for c in columns]
    return s.Plain(schema, columns)


OTHER = {  # types that hold the same bytes
    "utf8": "binary", "date": "time_ms", "time_us": "time_ns", "int64": "uint64", "int32": "date", "float32": "uint32",
    "{'timestamp': ['us']}": {"timestamp": ["us", "UTC"]}, "{'duration': 'ms'}": {"duration": "us"}, "bool": "int8",
}  # fmt: skip


@pytest.mark.spec("VAL-4")
@given(s.tables(least=1), s.randoms())
@settings(max_examples=200, deadline=None)
def test_another_table_has_another_oid(table: s.Plain, rng: Any) -> None:
    other = changed(rng, table)
    try:
        oid = fragment_oid(rng, other)
    except (ValueError, TypeError, AttributeError, OverflowError):  # a value that the other type does not have
        return
    same = (table.schema, table.canonical()) == (other.schema, other.canonical())
    assert (oid == fragment_oid(rng, table)) == same


@pytest.mark.spec("VAL-3")
@pytest.mark.parametrize("kind", ["i2", "i4", "i8", "u2", "u4", "u8", "f4", "f8"])
def test_byte_order_does_not_matter(kind: str) -> None:
    numbers = np.array([0, 1, 200, 3, 77], kind)
    swapped = numbers.astype(numbers.dtype.newbyteorder(">"))
    a, b = (
        pa.RecordBatch.from_arrays([pa.array(pd.Series(x))], ["a"]) for x in (numbers, swapped.astype(numbers.dtype))
    )
    assert write_table(Odb(MemoryBackend()), [a], a.schema)[0] == write_table(Odb(MemoryBackend()), [b], b.schema)[0]
    buffer = pa.py_buffer(swapped.byteswap().tobytes())
    c = pa.RecordBatch.from_arrays([pa.Array.from_buffers(a.schema.field(0).type, 5, [None, buffer])], ["a"])
    assert write_table(Odb(MemoryBackend()), [c], c.schema)[0] == write_table(Odb(MemoryBackend()), [a], a.schema)[0]
