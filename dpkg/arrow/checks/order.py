"""Whether a column goes up or down from row to row."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.checks.base import Broken, Columns, Evaluator, Outcome, comparable, text, valid
from dpkg.arrow.checks.binding import INTEGERS, ORDERED, require
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS

_BREAKS: dict[str, Callable[[Any, Any], Any]] = {  # of a value and the one before it
    "increasing": pc.less,
    "strictly_increasing": pc.less_equal,
    "decreasing": pc.greater,
    "strictly_decreasing": pc.greater_equal,
}


class Monotonic(Evaluator):
    """Each value against the last one before it that is not null; a NaN breaks every order, and nothing is compared with it."""

    def __init__(self, column: str, t: Type, order: str, most: int) -> None:
        require(t, ORDERED, column, "it has no order")
        self.columns, self._type, self._breaks, self._most = (column,), t, _BREAKS[order], most
        self._bad, self._rows, self._first = 0, 0, list[Broken]()
        self._last: Any = None

    def measure(self, columns: Columns, rows: int) -> Any:
        array = columns[self.columns[0]]
        keep = valid(array)
        bad = np.zeros(0, np.int64)
        if self._type.kind in FLOATS:
            nan = keep & np.isnan(comparable(array).fill_null(0).to_numpy(zero_copy_only=False))
            keep, bad = keep & ~nan, np.flatnonzero(nan)
        at = np.flatnonzero(keep)
        values = comparable(array).take(pa.array(at))
        made: dict[str, Any] = {"ends": None, "rows": rows}
        if len(values):
            falls = self._breaks(values.slice(1), values.slice(0, len(values) - 1)).to_numpy(zero_copy_only=False)
            bad = np.sort(np.concatenate([bad, at[1:][falls]]))
            made["ends"] = [self._plain(values[0]), self._plain(values[-1]), int(at[0]), text(array[int(at[0])])]
        first = bad[: self._most].tolist()
        return made | {"bad": len(bad), "first": [[i, text(array[i])] for i in first]}

    def passed(self, measured: Any) -> bool:
        return not measured["bad"]

    def add(self, measured: Any, start: int) -> None:
        found = [Broken(start + i, value) for i, value in measured["first"]]
        if measured["ends"]:
            first, last, place, shown = measured["ends"]
            if self._last is not None and self._falls(self._last, self._value(first)):
                self._bad += 1
                found = sorted([Broken(start + place, shown), *found])
            self._last = self._value(last)
        self._bad += measured["bad"]
        self._rows += measured["rows"]
        self._first += found[: self._most - len(self._first)]

    def _falls(self, before: pa.Scalar, value: pa.Scalar) -> bool:
        return bool(self._breaks(value, before).as_py())

    def _plain(self, scalar: pa.Scalar) -> str:
        """A value as text that `_value` takes back exactly."""
        kind = self._type.kind
        if kind in FLOATS:
            return float(scalar.as_py()).hex()
        if kind in ("binary", "fixed_binary"):
            return bytes(scalar.as_py()).hex()
        return str(scalar.as_py() if kind in (*INTEGERS, "utf8", "decimal") else scalar.value)

    def _value(self, plain: str) -> pa.Scalar:
        kind, t = self._type.kind, self._type.plain
        if kind in FLOATS:
            return pa.scalar(float.fromhex(plain), pa.float64())
        if kind in ("binary", "fixed_binary"):
            return pa.scalar(bytes.fromhex(plain), pa.binary())
        if kind == "utf8":
            return pa.scalar(plain)
        if kind == "decimal":
            return pa.scalar(Decimal(plain), t)
        return pa.scalar(int(plain), t)

    def outcome(self) -> Outcome:
        return Outcome(self._bad, f"{self._bad:,} of {self._rows:,} rows", tuple(self._first))
