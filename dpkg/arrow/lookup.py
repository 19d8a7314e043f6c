"""Rows that have given values in some columns: in which fragments they may be, and those of one fragment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.checks.base import comparable
from dpkg.arrow.checks.binding import column_type, values
from dpkg.arrow.fragment import Reader
from dpkg.arrow.normal import take
from dpkg.arrow.rowdiff import as_type, differing
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import stats_type
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS

Row = list[Any]  # of each column an array of one value


@dataclass(frozen=True)
class Wanted:
    """Values that a row must have, plain arrays of one each, by the places of their columns in a schema."""

    schema: Schema
    values: Mapping[int, pa.Array]

    @property
    def names(self) -> list[str]:
        return [self.schema.names[i] for i in self.values]

    def json(self) -> dict[str, Any]:
        """The values as JSON, by their columns."""
        return json(list(self.values.values()), self.schema.select(self.names))

    def cast(self, schema: Schema, names: Mapping[str, str]) -> Wanted | None:
        """The same in another schema, where columns have other `names`; None where no row of it can have them."""
        out = {}
        for i, array in self.values.items():
            name = names.get(self.schema.names[i], self.schema.names[i])
            if name not in schema.names:
                return None
            at = schema.names.index(name)
            out[at], lost = as_type(array, self.schema.types[i], schema.types[at])
            if lost is not None:
                return None
        return Wanted(schema, out)


def wanted(schema: Schema, texts: Mapping[str, str | None]) -> Wanted:
    """What texts mean in the columns of a schema; None is null. Raises Usage for a column that there is not, or a text of another type."""
    out = {}
    for name, text in texts.items():
        t = column_type(schema, name)
        found = pa.nulls(1, t.plain) if text is None else values([text], t, name)
        out[schema.names.index(name)] = found.cast(t.plain)
    return Wanted(schema, out)


def may_hold(stats: pa.RecordBatch, wanted: Wanted) -> list[bool]:
    """For each fragment whether such a row may be in it, by the statistics of the columns (IDX-6)."""
    out = np.ones(stats.num_rows, bool)
    for i, array in wanted.values.items():
        t = wanted.schema.types[i]
        bounds = stats.column(stats.schema.get_field_index(wanted.schema.names[i]))
        if not array[0].is_valid:
            out &= bounds.field("nulls").to_numpy(zero_copy_only=False) > 0
        elif (kind := stats_type(t)) is not None:
            out &= _within(bounds, comparable(array.cast(kind.storage.plain)), t.storage.kind in FLOATS)
    return [bool(one) for one in out]


def _within(bounds: pa.StructArray, value: pa.Array, floats: bool) -> Any:
    """Whether a value is between `min` and `max`; without a `max` nothing is above it, without both there are only nulls."""
    least, most = (comparable(bounds.field(n)) for n in ("min", "max"))
    if floats and pc.is_nan(value)[0].as_py():
        return pc.fill_null(pc.is_nan(most), False).to_numpy(zero_copy_only=False)
    above = pc.fill_null(pc.less_equal(least, value[0]), False)
    below = pc.fill_null(pc.greater_equal(most, value[0]), True)
    if floats:
        below = pc.or_(below, pc.fill_null(pc.is_nan(most), False))  # NaN comes last
    return pc.and_(above, below).to_numpy(zero_copy_only=False)


def find(reader: Reader, wanted: Wanted, most: int) -> list[Row] | None:
    """The rows of a fragment that have the values, as a table's identity has them: NaN is NaN, 0.0 is not -0.0. None: more than `most`."""
    places = list(wanted.values)
    mask = np.ones(reader.entry.rows, bool)
    for i, array in zip(places, reader.read(places), strict=True):
        mask &= _same(array, wanted.values[i], wanted.schema.types[i])
    rows = pa.array(np.flatnonzero(mask))
    if len(rows) > most:
        return None
    picked = [take(array, rows) for array in reader.read()] if len(rows) else []
    return [[array.slice(n, 1) for array in picked] for n in range(len(rows))]


def _same(array: pa.Array, value: pa.Array, t: Type) -> Any:
    if value[0].is_valid and t.storage.kind in ("utf8", "binary"):  # which may be long
        return pc.fill_null(pc.equal(array, value[0]), False).to_numpy(zero_copy_only=False)
    return ~differing(array, take(value, pa.array(np.zeros(len(array), np.int64))), t)


def json(row: Row, schema: Schema) -> dict[str, Any]:
    """A row as JSON values."""
    from dpkg.arrow.writers import json_rows

    return next(json_rows([pa.RecordBatch.from_arrays(row, schema=schema.plain)]))
