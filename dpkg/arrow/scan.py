"""Filters: which fragments can hold matching rows, which columns a filter reads, and the matching rows."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.fragment import Reader
from dpkg.arrow.normal import rebased, to_user_batch
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import stats_type
from dpkg.errors import Usage

_NAN = re.compile(r"\bnan\b")


def expression(given: Any) -> pc.Expression:
    """A filter as an Arrow expression: one already, or tuples `("column", "op", value)` as in pandas. Raises Usage."""
    if isinstance(given, pc.Expression):
        return given
    import pyarrow.parquet as pq

    try:
        return pq.filters_to_expression([given] if isinstance(given, tuple) else given)
    except (ValueError, TypeError, AttributeError, IndexError, pa.ArrowException) as e:
        hint = 'write filter=("column", ">", 5), a list of such, or a pyarrow.compute expression'
        raise Usage(f"the filter cannot be read: {e}", hint) from None


def columns_of(given: pc.Expression, schema: Schema) -> list[str]:
    """The columns that a filter reads: those without which it cannot be bound. Raises Usage if it does not fit."""
    empty = schema.arrow.empty_table()
    try:
        empty.filter(given)
    except (pa.ArrowException, TypeError) as e:
        hint = f"columns: {', '.join(schema.names[:20])}"
        raise Usage(f"the filter does not fit the table: {str(e).splitlines()[0]}", hint) from None
    if "FieldPath(" in str(given):  # a column named by its place: only among all columns is it the same
        return list(schema.names)
    return _needed(list(schema.arrow), given, list(schema.names))


def _needed(fields: list[pa.Field], given: pc.Expression, names: list[str]) -> list[str]:
    """Of these columns, those without which a filter cannot be bound: halves are left out, and halves of halves."""
    import pyarrow.dataset as ds

    out = set(names)
    try:
        ds.Scanner.from_batches(
            [], schema=pa.schema([f for f in fields if f.name not in out]), filter=given, columns=[]
        )
        return []
    except (pa.ArrowException, TypeError):
        half = len(names) // 2
        return [*_needed(fields, given, names[:half]), *_needed(fields, given, names[half:])] if half else names


def survivors(stats: pa.RecordBatch, schema: Schema, given: pc.Expression, columns: list[str]) -> list[bool]:
    """For each fragment, whether it may hold a matching row, by its statistics (IDX-6); Arrow's own pruning decides."""
    import pyarrow.dataset as ds

    rows = stats.num_rows
    if _NAN.search(str(given)):  # Arrow reasons wrongly about comparisons with NaN
        return [True] * rows
    known = [ds.scalar(True)] * rows
    for name in columns:
        t = schema.types[schema.names.index(name)]
        if (
            t.kind in ("fixed_binary", "float16") or stats_type(t) is None
        ):  # bounds of another type; no comparison in Arrow
            continue
        for i, bound in enumerate(stats.column(name)):
            one = _guarantee(name, bound)
            if one is not None:
                known[i] = known[i] & one
    try:
        dataset = ds.FileSystemDataset.from_paths(
            [f"/{i}" for i in range(rows)],
            schema=schema.arrow,
            format=ds.ParquetFileFormat(),
            filesystem=pa.fs.LocalFileSystem(),
            partitions=known,
        )
        found = {fragment.path for fragment in dataset.get_fragments(filter=given)}
    except pa.ArrowException:  # it can be computed but not reasoned about
        return [True] * rows
    return [f"/{i}" in found for i in range(rows)]


def _guarantee(name: str, bound: Any) -> Any:
    """What is known of every value of a column in one fragment, or None."""
    low, high = bound["min"], bound["max"]
    field = pc.field(name)
    if not low.is_valid:
        return field.is_null()
    if pa.types.is_floating(high.type) and high.is_valid and high.as_py() != high.as_py():
        return None  # a NaN answers no comparison, so that bounds of the others would be wrong under `not`
    bounds = [field >= low, *([field <= high] if high.is_valid else [])]
    if bound["nulls"].as_py():  # each for itself: Arrow's pruning does not look into (a and b) or null
        bounds = [one | field.is_null() for one in bounds]
    return bounds[0] & bounds[1] if len(bounds) == 2 else bounds[0]


def read_rows(
    reader: Reader, schema: Schema, columns: list[str], given: pc.Expression | None, needed: list[str]
) -> pa.RecordBatch:
    """The matching rows of one fragment, with the columns asked for; these are read only if the filter finds any."""
    at = {n: i for i, n in enumerate(schema.names)}
    wanted = columns or [schema.names[0]]  # a batch without columns forgets its rows
    found: dict[str, pa.Array] = {}
    mask = None
    if given is not None:
        names = sorted(set(needed), key=lambda n: at[n]) or [schema.names[0]]
        found = dict(zip(names, reader.read([at[n] for n in names]), strict=True))
        mask = _mask(_user_batch([found[n] for n in names], schema.select(names)), given)
        if not mask.true_count:
            part = schema.select(wanted)
            return _user_batch([pa.array([], t.plain) for t in part.types], part).select(columns)
    rest = [n for n in dict.fromkeys(wanted) if n not in found]
    found.update(zip(rest, reader.read([at[n] for n in rest]), strict=True))
    arrays = [found[n] for n in wanted]
    if mask is not None and mask.true_count < len(mask):
        arrays = [rebased(a).filter(mask) for a in arrays]
    batch = _user_batch(arrays, schema.select(wanted))
    return batch if columns else batch.select([])


def _mask(batch: pa.RecordBatch, given: pc.Expression) -> pa.BooleanArray:
    """For each row whether a filter holds. (Arrow's `filter` would take the rows too, some wrongly: see `rebased`.)"""
    import pyarrow.acero as ac

    rows = ac.Declaration("table_source", ac.TableSourceNodeOptions(pa.Table.from_batches([batch])))
    keep = ac.Declaration("project", ac.ProjectNodeOptions([given], ["keep"]), [rows])
    return pc.fill_null(keep.to_table(use_threads=False).column(0).combine_chunks(), False)


def _user_batch(arrays: list[pa.Array], schema: Schema) -> pa.RecordBatch:
    return to_user_batch(pa.RecordBatch.from_arrays(arrays, schema=schema.plain), schema)


def as_table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Batches as a table of `schema`, also where there are none."""
    return pa.Table.from_batches(batches, schema)
