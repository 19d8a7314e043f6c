"""Rules about each value: nulls, bounds, lists, patterns, lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.checks import patterns
from dpkg.arrow.checks.base import RowRule, comparable, hidden, is_nan
from dpkg.arrow.checks.binding import ORDERED, bound, require, values
from dpkg.arrow.types import Type

Args = Mapping[str, Any]
Broken = Callable[[pa.Array], pa.Array]


def not_null(column: str, t: Type, args: Args, most: int) -> RowRule:
    return RowRule(column, most, lambda array: array.is_null())


def least(column: str, t: Type, args: Args, most: int) -> RowRule:
    require(t, ORDERED, column, "a type without order has no 'min'")
    return RowRule(column, most, _beyond(bound(args["value"], t, column, least=True), pc.less))


def greatest(column: str, t: Type, args: Args, most: int) -> RowRule:
    require(t, ORDERED, column, "a type without order has no 'max'")
    return RowRule(column, most, _beyond(bound(args["value"], t, column, least=False), pc.greater))


def _beyond(limit: Any, compare: Callable[[Any, Any], pa.Array]) -> Broken:
    """NaN is beyond every bound: nobody can say that it is at least anything."""

    def broken(array: pa.Array) -> pa.Array:
        if isinstance(limit, bool):
            return array.is_valid() if limit else pa.array([False] * len(array), pa.bool_())
        found = compare(comparable(array), limit)
        nan = is_nan(array)
        return found if nan is None else pc.or_(found, nan)

    return broken


def among(column: str, t: Type, args: Args, most: int) -> RowRule:
    known = _list(column, t, args)
    return RowRule(column, most, lambda array: _outside(array, known))


def not_among(column: str, t: Type, args: Args, most: int) -> RowRule:
    known = _list(column, t, args)
    return RowRule(column, most, lambda array: pc.and_(array.is_valid(), pc.is_in(comparable(array), value_set=known)))


def _outside(array: pa.Array, known: pa.Array) -> pa.Array:
    return pc.and_(array.is_valid(), pc.invert(pc.is_in(comparable(array), value_set=known)))


def _list(column: str, t: Type, args: Args) -> pa.Array:
    require(t, (*ORDERED, "bool"), column, "a list of values is for columns of plain types")
    return comparable(values(list(dict.fromkeys(args["values"])), t, column))


def matches(column: str, t: Type, args: Args, most: int) -> RowRule:
    require(t, ("utf8",), column, "patterns are for text")
    patterns.check(args)
    if "pattern" in args:
        return RowRule(column, most, lambda array: pc.invert(patterns.whole(array, args["pattern"])))
    return RowRule(column, most, lambda array: pc.invert(pc.match_substring_regex(array, args["regex"])))


def not_matches(column: str, t: Type, args: Args, most: int) -> RowRule:
    """What must not be there by name is a secret, and is not shown."""
    require(t, ("utf8",), column, "patterns are for text")
    patterns.check(args)
    if "pattern" in args:
        return RowRule(column, most, lambda array: patterns.within(array, args["pattern"]), shown=hidden)
    return RowRule(column, most, lambda array: pc.match_substring_regex(array, args["regex"]))


def _entries(array: pa.Array) -> pa.Array:
    """The number of entries of each map."""
    offsets = array.offsets if len(array) else pa.array([0], pa.int32())
    return pc.if_else(array.is_valid(), pc.subtract(offsets.slice(1), offsets.slice(0, len(array))), None)


_LENGTHS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "utf8": pc.utf8_length,
    "binary": pc.binary_length,
    "list": pc.list_value_length,
    "map": _entries,
}


def length(column: str, t: Type, args: Args, most: int) -> RowRule:
    require(t, _LENGTHS, column, "'length' is for text, binary, lists and maps")
    low, high = int(args.get("min", 0)), int(args.get("max", 2**62))

    def broken(array: pa.Array) -> pa.Array:
        if t.kind == "utf8" and _short_enough(array, low, high):
            return pa.array(np.zeros(len(array), bool))
        found = _LENGTHS[t.kind](array).cast(pa.int64())
        return pc.or_(pc.less(found, low), pc.greater(found, high))

    return RowRule(column, most, broken)


def _short_enough(array: pa.Array, low: int, high: int) -> bool:
    """Whether the bytes of texts say already that none has too few characters, or too many: a character has one to four."""
    ends = pc.min_max(pc.binary_length(array)).as_py()
    return ends["max"] is None or (ends["min"] >= (low if low < 2 else 4 * low) and ends["max"] <= high)
