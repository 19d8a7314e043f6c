"""Filters: which fragments can hold matching rows, which columns a filter reads, and the matching rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.fragment import Reader
from dpkg.arrow.normal import to_user_batch
from dpkg.arrow.schema import Schema
from dpkg.errors import Usage


def expression(given: Any) -> pc.Expression:
    """A filter as an Arrow expression: one already, or tuples `("column", "op", value)` as pandas and pyarrow take them. Raises Usage."""
    if isinstance(given, pc.Expression):
        return given
    import pyarrow.parquet as pq

    try:
        return pq.filters_to_expression([given] if isinstance(given, tuple) else given)
    except (ValueError, TypeError, AttributeError, IndexError, pa.ArrowException) as e:
        raise Usage(f"the filter cannot be read: {e}", 'write filter=("column", ">", 5), a list of such, or a pyarrow.compute expression') from None


def columns_of(given: pc.Expression, schema: Schema) -> list[str]:
    """The columns that a filter reads: those without which it cannot be bound. Raises Usage if it does not fit the table at all."""
    empty = schema.arrow.empty_table()
    try:
        empty.filter(given)
    except (pa.ArrowException, TypeError) as e:
        raise Usage(f"the filter does not fit the table: {str(e).splitlines()[0]}", f"columns: {', '.join(schema.names[:20])}") from None
    text, out = str(given), []
    for i, name in enumerate(schema.names):
        if name not in text and '"' not in text and "\\" not in text:
            continue
        try:
            empty.remove_column(i).filter(given)
        except (pa.ArrowException, TypeError):
            out.append(name)
    return out


def survivors(stats: pa.RecordBatch, schema: Schema, given: pc.Expression, columns: list[str]) -> list[bool]:
    """For each fragment, whether it may hold a matching row, by its statistics (IDX-6). Arrow's own partition pruning decides."""
    import pyarrow.dataset as ds

    rows = stats.num_rows
    kept = [False] * rows
    form = ds.ParquetFileFormat()
    guarantees = [ds.scalar(True)] * rows
    for name in columns:
        t = schema.types[schema.names.index(name)]
        if t.kind == "fixed_binary" or stats.column(name).type.num_fields < 3:
            continue
        bounds = stats.column(name)
        for i in range(rows):
            one = _guarantee(name, t.plain, bounds[i])
            if one is not None:
                guarantees[i] = guarantees[i] & one
    paths = [f"/{i}" for i in range(rows)]
    dataset = ds.FileSystemDataset.from_paths(
        paths, schema=schema.arrow, format=form, filesystem=pa.fs.LocalFileSystem(), partitions=guarantees
    )
    for fragment in dataset.get_fragments(filter=given):
        kept[int(fragment.path[1:])] = True
    return kept


def _guarantee(name: str, plain: pa.DataType, bound: Any) -> Any:
    """What is known of every value of a column in one fragment, or None."""
    low, high = bound["min"], bound["max"]
    field = pc.field(name)
    if not low.is_valid:
        return None
    if pa.types.is_floating(plain) and high.is_valid and high.as_py() != high.as_py():
        return None  # a NaN answers no comparison, so that bounds of the others would be wrong under `not`
    one = field >= low
    if high.is_valid:
        one = one & (field <= high)
    return one | field.is_null() if bound["nulls"].as_py() else one


def read_rows(reader: Reader, schema: Schema, columns: list[str], given: pc.Expression | None, needed: list[str]) -> pa.RecordBatch:
    """The matching rows of one fragment, with the columns asked for; only these and what the filter needs are read."""
    wanted = [*columns, *(n for n in needed if n not in columns)] or [schema.names[0]]
    at = {n: i for i, n in enumerate(schema.names)}
    arrays = reader.read([at[n] for n in wanted])
    part = schema.select(wanted)
    batch = to_user_batch(pa.RecordBatch.from_arrays(arrays, schema=part.plain), part)
    if given is not None:
        batch = batch.filter(given)
    return batch if wanted == columns else batch.select(columns)


def as_table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Batches as a table of `schema`, also where there are none."""
    return pa.Table.from_batches(batches, schema)
