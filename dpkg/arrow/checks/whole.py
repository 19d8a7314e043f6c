"""Rules that need a number of every row at once: unique, duplicates, median and quantiles; and foreign keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.checks.base import Broken, Columns, Evaluator, Outcome, RowRule, comparable, valid
from dpkg.arrow.checks.binding import INTEGERS, NUMBERS, require
from dpkg.arrow.checks.figures import floats, judged
from dpkg.arrow.checks.keys import keys, row_keys
from dpkg.arrow.checks.spool import MEMORY, Spool
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, slots
from dpkg.errors import Usage

_STEP = 1 << 20  # rows at a time
_MOST_INT = 2**63 - 1


class Repeats(Evaluator):
    """Rows whose key stood before: of one column's values that are not null (unique), or of whole rows (duplicates)."""

    kept = False

    def __init__(self, columns: tuple[str, ...], types: list[Type], most: int, *, nulls: bool, limit: int = 0) -> None:
        """`nulls`: they count as values. More than `limit` repeats break the rule."""
        self.columns, self._types, self._most, self._nulls, self._limit = columns, types, most, nulls, limit
        self._high, self._low, self._at = Spool(np.uint64), Spool(np.uint64), Spool(np.int64)
        self._rows = 0

    def measure(self, columns: Columns, rows: int) -> Any:
        arrays = [columns[name] for name in self.columns]
        if self._nulls:
            return *row_keys(arrays, self._types), np.arange(rows), rows
        keep = valid(arrays[0])
        high, low = keys(arrays[0], self._types[0])
        return high[keep], low[keep], np.flatnonzero(keep), rows

    def add(self, measured: Any, start: int) -> None:
        high, low, at, rows = measured
        self._high.append(high)
        self._low.append(low)
        self._at.append(at + start)
        self._rows += rows

    def outcome(self) -> Outcome:
        found = self._repeats()
        bad = len(found) if len(found) > self._limit else 0
        said = f"{len(found):,} of {self._rows:,} rows repeat an earlier one"
        return Outcome(bad, said, tuple(Broken(int(row), "") for row in found[: self._most]))

    def _repeats(self) -> Any:
        """The rows, in order. What has no second row of the same first half is not looked at further."""
        ordered = self._high.sorted()
        again = np.concatenate(
            [np.zeros(0, np.int64), *(_equal(ordered, start) for start in range(1, len(ordered), _STEP))]
        )
        if not len(again):
            return again
        twice = np.unique(ordered[again])
        high, low, at = self._high.whole(), self._low.whole(), self._at.whole()
        places = np.concatenate(
            [start + np.flatnonzero(_in(high[start : start + _STEP], twice)) for start in range(0, len(high), _STEP)]
        )
        order = np.lexsort((at[places], low[places], high[places]))
        places = places[order]
        same = (high[places][1:] == high[places][:-1]) & (low[places][1:] == low[places][:-1])
        return np.sort(at[places[1:][same]])


def _equal(ordered: Any, start: int) -> Any:
    """Places from `start` on, of a step, whose number is that of the place before."""
    stop = min(start + _STEP, len(ordered))
    return start + np.flatnonzero(ordered[start:stop] == ordered[start - 1 : stop - 1])


def _in(values: Any, known: Any) -> Any:
    """Which values are among sorted ones."""
    at = np.searchsorted(known, values)
    at[at == len(known)] = 0
    return known[at] == values


class Known:
    """The different keys of a column that others refer to: 16 bytes for each."""

    def __init__(self, arrays: Iterable[pa.Array], t: Type) -> None:
        self.type = t.storage
        found = np.zeros((0, 2), np.uint64)
        held, size = [found], 0
        for array in arrays:
            keep = valid(array)
            part = _distinct(np.stack([half[keep] for half in keys(array, t)], axis=1))
            held.append(part)
            size += part.nbytes
            if size > MEMORY:
                held, size = [_distinct(np.concatenate(held))], 0
        self._keys = _distinct(np.concatenate(held))
        self._high = np.ascontiguousarray(self._keys[:, 0])

    def holds(self, array: pa.Array, t: Type) -> pa.Array:
        """For each value whether it is there."""
        high, low = keys(array, t)
        found = np.zeros(len(high), bool)
        at = np.searchsorted(self._high, high)
        for _ in range(2):  # two of one first half would be a wonder, three are not
            inside = at < len(self._high)
            here = np.where(inside, at, 0)
            if len(self._high):
                found |= inside & (self._high[here] == high) & (self._keys[here, 1] == low)
            at = at + 1
        return pa.array(found)


def _distinct(pairs: Any) -> Any:
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new]


def foreign_key(column: str, t: Type, known: Known, target: str, most: int) -> RowRule:
    """Values that are not null are among `known`, those of `target`."""
    other = known.type
    same = {t.kind, other.kind} <= INTEGERS or t == other or "null" in (t.kind, other.kind)
    if not same:
        raise Usage(f"column '{column}' is {t}, and {target} is {other}", "declare one type for both")
    return RowRule(column, most, lambda array: _missing(array, t, known), kept=False)


def _missing(array: pa.Array, t: Type, known: Known) -> pa.Array:
    return pa.array(valid(array) & ~known.holds(array, t).to_numpy(zero_copy_only=False))


class Quantile(Evaluator):
    """A quantile of a column's numbers without nulls and NaN, between two neighbours by their distance, as numpy's.

    Exact for floats, integers, and decimals of up to 18 digits; of longer ones the nearest float64 is taken first.
    """

    kept = False

    def __init__(self, kind: str, column: str, t: Type, args: Mapping[str, Any]) -> None:
        require(t, NUMBERS, column, f"'{kind}' is for numbers")
        self.columns, self._type, self._args = (column,), t, args
        self._q = Fraction(Decimal(args.get("q", "0.5")))
        scaled = t.kind == "decimal" and t.params[0] <= 18
        self._scale = 10 ** t.params[1] if scaled else 1
        dtype = "u8" if t.kind == "uint64" else "i8" if scaled or t.kind in INTEGERS else "f8"
        self._spool = Spool(dtype)

    def measure(self, columns: Columns, rows: int) -> Any:
        array = columns[self.columns[0]].drop_null()
        if self._type.kind in FLOATS:
            values = comparable(array).to_numpy()
            return values[~np.isnan(values)]
        if self._type.kind in INTEGERS or not len(array):
            return array.to_numpy() if len(array) and self._type.kind in INTEGERS else np.zeros(0)
        if self._spool.dtype == np.float64:
            return floats(array)
        return slots(array, "<i8", 2).reshape(-1, 2)[:, 0]  # the lower half is all of it

    def add(self, measured: Any, start: int) -> None:
        self._spool.append(measured)

    def outcome(self) -> Outcome:
        return judged(self._figure(), self._args)

    def _figure(self) -> Fraction | float | None:
        values = self._spool.sorted()
        if not len(values):
            return None
        place = self._q * (len(values) - 1)
        at = int(place)
        low, high = values[at].item(), values[min(at + 1, len(values) - 1)].item()
        if isinstance(low, float) and not (np.isfinite(low) and np.isfinite(high)):
            return low if place == at else low + (high - low) * float(place - at)
        exact = Fraction(low) + (Fraction(high) - Fraction(low)) * (place - at)
        figure = exact / self._scale
        return float(figure) if isinstance(low, float) else figure
