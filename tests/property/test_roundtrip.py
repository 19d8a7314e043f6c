"""Property 2: what is written is read back, of every canonical type, and the file says the same to anyone."""

from __future__ import annotations

import io
from typing import Any

import forms
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import strategies as s
from hypothesis import given, settings

from dpkg.arrow import fragment
from dpkg.arrow.normal import normalise, to_user_batch
from dpkg.arrow.schema import Schema


def encoded(rng: Any, table: s.Plain) -> tuple[Schema, fragment.Fragment, bytes]:
    arrow, batches = forms.batches(rng, table)
    schema = Schema.from_arrow(arrow)
    made = fragment.make([p for b in batches for p in normalise(b, schema)], schema)
    return schema, made, fragment.encode(made, schema)


@pytest.mark.spec("TYPE-1")
@pytest.mark.spec("TYPE-6")
@pytest.mark.spec("STO-5")
@given(s.tables(least=1), s.randoms())
@settings(max_examples=250, deadline=None)
def test_read_gives_what_was_written(table: s.Plain, rng: Any) -> None:
    schema, made, data = encoded(rng, table)
    fragment.check_seal(data)
    reader = fragment.Reader(io.BytesIO(data), made.entry, schema)
    columns = reader.read()
    batch = to_user_batch(pa.RecordBatch.from_arrays(columns, schema=schema.plain), schema)
    batch.validate(full=True)
    wanted = pa.schema([forms.returned(n, t) for n, t in table.schema])
    assert batch.schema.equals(wanted, check_metadata=True)
    for column, field, values, (_, t) in zip(batch.columns, wanted, table.canonical(), table.schema, strict=True):
        assert column.type.equals(field.type, check_metadata=True)
        assert [s.canonical(v, t) for v in forms.plain(column, t)] == values
    assert Schema.from_arrow(batch.schema).json == table.schema
    places = list(range(len(table.schema)))
    rng.shuffle(places)
    some = places[: rng.randint(0, len(places))]
    assert [forms.plain(c, table.schema[i][1]) for c, i in zip(reader.read(some), some, strict=True)] == [
        forms.plain(columns[i], table.schema[i][1]) for i in some
    ]


@given(s.tables(least=1), s.randoms())
@settings(max_examples=60, deadline=None)
def test_files_are_plain_parquet_with_the_tables_names(table: s.Plain, rng: Any) -> None:
    _, made, data = encoded(rng, table)
    file = pq.ParquetFile(io.BytesIO(data))
    assert file.schema_arrow.names == [n for n, _ in table.schema]
    assert b"ARROW:schema" not in file.metadata.metadata
    assert file.metadata.num_row_groups == 1
    assert file.metadata.num_rows == made.entry.rows == table.rows
