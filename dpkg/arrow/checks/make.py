"""The evaluator of a rule, for a table of a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from dpkg.arrow.checks import figures, order, rows, table, whole
from dpkg.arrow.checks.base import Evaluator, Outcome, RowRule
from dpkg.arrow.checks.binding import column_type
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ROWS: dict[str, Callable[[str, Type, Mapping[str, Any], int], RowRule]] = {
    "not_null": rows.not_null,
    "min": rows.least,
    "max": rows.greatest,
    "enum": rows.among,
    "not_in": rows.not_among,
    "matches": rows.matches,
    "not_matches": rows.not_matches,
    "length": rows.length,
}


# What needs but the table's own rows, in any order: so fragments can be looked at while they are made. Of those the first ones
# find out about some rows what holds for them wherever they are (Evaluator.kept).
ALONE = frozenset([*_ROWS, "mean", "std", "sum", "monotonic", "freshness"])
WHOLE = frozenset(["unique", "duplicates", "median", "quantile"])
_OF_VALUES = (ALONE | WHOLE) - {"unique", "not_null"}


class Earlier(Protocol):
    """What a table was in the parent commit."""

    @property
    def schema(self) -> Schema: ...

    @property
    def rows(self) -> int: ...


class Skipped(Exception):
    """A rule that cannot be looked at here, and why."""


@dataclass(frozen=True)
class Surroundings:
    """What rules need beside the table's own rows."""

    most: int  # rows to show
    now: int  # ns since 1970-01-01 UTC
    before: Callable[[], Earlier | None]  # the schema and rows that this table had in the parent commit
    known: Callable[[str, str], whole.Known]  # the keys of a column of another table
    query: Callable[[str], Outcome]
    drift: Callable[[Mapping[str, Any]], Outcome]  # from the parent commit's table


def make(kind: str, column: str | None, args: Mapping[str, Any], schema: Schema, at: Surroundings) -> Evaluator:
    """Raises Usage where a rule does not fit the schema, Skipped where it cannot be looked at here."""
    if column is not None:
        return _of_column(kind, column, args, schema, at)
    if kind == "rows":
        return table.Count(args)
    if kind == "columns_are":
        return table.Fixed(table.columns_are(schema, args["names"]))
    if kind == "duplicates":
        names = tuple(args.get("columns") or schema.names)
        types = [column_type(schema, name) for name in names]
        return whole.Repeats(names, types, at.most, nulls=True, limit=int(args.get("max", 0)))
    if kind == "freshness":
        number, unit = args["within"][:-1].strip(), args["within"][-1]
        t = column_type(schema, args["column"])
        if t.kind == "null":
            return table.Fixed(Outcome(1, "no values"))
        return figures.Freshness(args["column"], t, int(number) * SECONDS[unit], at.now)
    if kind == "sql":
        return table.Fixed(at.query(args["query"]))
    before = at.before()
    if before is None:
        raise Skipped("there is no parent commit with this table to compare with")
    if kind == "drift":
        return table.Fixed(at.drift(args))
    if kind == "rows_change":
        return table.Count(args, before.rows)
    return table.Fixed(table.compatible(before.schema, schema))


def _of_nulls(kind: str, column: str, args: Mapping[str, Any], most: int) -> Evaluator:
    """Of a column that has nothing but nulls, and so no type of its own: what rules say where there are no values."""
    if kind in ("mean", "median", "std", "sum", "quantile"):
        return table.Fixed(figures.judged(Fraction(0) if kind == "sum" else None, args))
    return RowRule(column, most, lambda array: pa.array(np.zeros(len(array), bool)), kept=False)


def _of_column(kind: str, column: str, args: Mapping[str, Any], schema: Schema, at: Surroundings) -> Evaluator:
    t = column_type(schema, column)
    if kind in ("enum", "not_in") and "values" not in args:
        raise Skipped(f"the list '{args['file']}' is long, and is only beside its build.yml")
    if t.kind == "null" and kind in _OF_VALUES:
        return _of_nulls(kind, column, args, at.most)
    if kind in _ROWS:
        return _ROWS[kind](column, t, args, at.most)
    if kind == "unique":
        return whole.Repeats((column,), [t], at.most, nulls=False)
    if kind in ("mean", "std", "sum"):
        return figures.Moments(kind, column, t, args)
    if kind in ("median", "quantile"):
        return whole.Quantile(kind, column, t, args)
    if kind == "monotonic":
        return order.Monotonic(column, t, args["order"], at.most)
    if kind == "type":
        return table.Fixed(table.type_is(schema.types[schema.names.index(column)], args["types"]))
    target = f"{args['table']}.{args['column']}"
    return whole.foreign_key(column, t, at.known(args["table"], args["column"]), target, at.most)
