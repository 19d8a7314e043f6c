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
from dpkg.arrow.checks.spool import Keys, KeySpool, Numbers, Pile
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, slots
from dpkg.errors import Usage


class Repeats(Evaluator):
    """Rows whose key stood before: of one column's values that are not null (unique), or of whole rows (duplicates)."""

    kept = False

    def __init__(self, columns: tuple[str, ...], types: list[Type], most: int, *, nulls: bool, limit: int = 0) -> None:
        """`nulls`: they count as values. More than `limit` repeats break the rule."""
        self.columns, self._types, self._most, self._nulls, self._limit = columns, types, most, nulls, limit
        self._keys = KeySpool(self._again)
        self._rows, self._bad, self._first = 0, 0, np.zeros(0, np.int64)

    def measure(self, columns: Columns, rows: int) -> Any:
        arrays = [columns[name] for name in self.columns]
        if self._nulls:
            return Keys(*row_keys(arrays, self._types), np.arange(rows)), rows
        keep = valid(arrays[0])
        high, low = keys(arrays[0], self._types[0])
        return Keys(high[keep], low[keep], np.flatnonzero(keep)), rows

    def add(self, measured: Any, start: int) -> None:
        found, rows = measured
        self._keys.append(found._replace(at=found.at + start))
        self._rows += rows

    def _again(self, rows: Any) -> None:
        self._bad += len(rows)
        self._first = np.sort(np.concatenate([self._first, rows]))[: self._most]

    def outcome(self) -> Outcome:
        self._keys.finish()
        said = f"{self._bad:,} of {self._rows:,} rows repeat an earlier one"
        rows = tuple(Broken(int(row), "") for row in self._first)
        return Outcome(self._bad if self._bad > self._limit else 0, said, rows)


class Known:
    """The different keys of a column that others refer to: 16 bytes for each, in memory or in a temporary file."""

    def __init__(self, arrays: Iterable[pa.Array], t: Type) -> None:
        self.type = t.storage
        spool = KeySpool(lambda rows: None)
        for array in arrays:
            keep = valid(array)
            high, low = keys(array, t)
            spool.append(Keys(high[keep], low[keep], np.zeros(np.count_nonzero(keep), np.uint8)))
        self._high, self._low = Pile(np.uint64), Pile(np.uint64)
        for found in spool.distinct():
            self._high.append(found.high)
            self._low.append(found.low)

    def holds(self, array: pa.Array, t: Type) -> pa.Array:
        """For each value whether it is there."""
        high, low = keys(array, t)
        found = np.zeros(len(high), bool)
        known, others = self._high.whole(), self._low.whole()
        at = np.searchsorted(known, high)
        for _ in range(2):  # two of one first half would be a wonder, three are not
            inside = at < len(known)
            here = np.where(inside, at, 0)
            if len(known):
                found |= inside & (known[here] == high) & (others[here] == low)
            at = at + 1
        return pa.array(found)


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
        self._numbers = Numbers(dtype)

    def measure(self, columns: Columns, rows: int) -> Any:
        array = columns[self.columns[0]].drop_null()
        if self._type.kind in FLOATS:
            values = comparable(array).to_numpy()
            return values[~np.isnan(values)]
        if self._type.kind in INTEGERS or not len(array):
            return array.to_numpy() if len(array) and self._type.kind in INTEGERS else np.zeros(0)
        if self._numbers.dtype == np.float64:
            return floats(array)
        return slots(array, "<i8", 2).reshape(-1, 2)[:, 0]  # the lower half is all of it

    def add(self, measured: Any, start: int) -> None:
        self._numbers.append(measured)

    def outcome(self) -> Outcome:
        return judged(self._figure(), self._args)

    def _figure(self) -> Fraction | float | None:
        last = len(self._numbers) - 1
        if last < 0:
            return None
        place = self._q * last
        at = int(place)
        low = self._numbers.smallest(at).item()
        high = low if place == at else self._numbers.smallest(at + 1).item()
        if isinstance(low, float) and not (np.isfinite(low) and np.isfinite(high)):
            return low if place == at else low + (high - low) * float(place - at)
        exact = Fraction(low) + (Fraction(high) - Fraction(low)) * (place - at)
        figure = exact / self._scale
        return float(figure) if isinstance(low, float) else figure
