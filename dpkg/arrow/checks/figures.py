"""Rules about a figure of a whole column that the figures of its parts give: sums, means, the newest moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.checks.base import Columns, Evaluator, Outcome, comparable
from dpkg.arrow.checks.binding import NUMBERS, require
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, slots

_NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_LOW = 0xFFFFFFFF
_LONGEST = 10**13  # seconds that timedelta still takes


def number(value: Fraction | float) -> str:
    """A figure as text: exact where it ends within 17 digits, else as the shortest float64."""
    if isinstance(value, float):
        return repr(value)
    if value.denominator == 1:
        return str(value.numerator)
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return format(exact.normalize(), "f") if Fraction(exact) == value else repr(float(value))


def within(figure: Fraction | float | None, args: Mapping[str, Any]) -> bool:
    """Whether a figure keeps its bounds; what is not there, or NaN, keeps none."""
    if figure is None or figure != figure:
        return False
    low, high = (Fraction(Decimal(args[end])) if end in args else None for end in ("min", "max"))
    return (low is None or figure >= low) and (high is None or figure <= high)


def judged(figure: Fraction | float | None, args: Mapping[str, Any]) -> Outcome:
    """What a figure means for its bounds."""
    return Outcome(int(not within(figure, args)), "no values" if figure is None else number(figure))


class Moments(Evaluator):
    """sum, mean and std of a column's values; nulls and NaN are left out.

    Sums of integers and decimals, and means of them, are exact; of floats, and std, they are computed in float64, part by
    part: their relative error is some 1e-15 for a sum of numbers of one sign, and 1e-12 for std. std is that of a sample (n-1).
    """

    def __init__(self, kind: str, column: str, t: Type, args: Mapping[str, Any]) -> None:
        require(t, NUMBERS, column, f"'{kind}' is for numbers")
        self.columns, self._kind, self._type, self._args = (column,), kind, t, args
        self._n, self._sum, self._floats = 0, Fraction(0), list[float]()
        self._mean, self._m2 = 0.0, 0.0

    def measure(self, columns: Columns, rows: int) -> Any:
        array = columns[self.columns[0]].drop_null()
        if self._type.kind in FLOATS:
            values = comparable(array).to_numpy()
            values = values[~np.isnan(values)].astype(np.float64)
            total = float(values.sum()).hex()
        else:
            total = str(exact_sum(array, self._type))
            values = floats(array) if self._kind == "std" else np.zeros(0)
        n = len(values) if self._type.kind in FLOATS else len(array)
        made: dict[str, Any] = {"n": n, "sum": total}
        if self._kind == "std" and n:
            with np.errstate(all="ignore"):
                mean = float(values.mean())
                made |= {"mean": mean.hex(), "m2": float(np.square(values - mean).sum()).hex()}
        return made

    def add(self, measured: Any, start: int) -> None:
        n = measured["n"]
        if not n:
            return
        if self._type.kind in FLOATS:
            self._floats.append(float.fromhex(measured["sum"]))
        else:
            self._sum += Fraction(measured["sum"])
        if "m2" in measured:
            mean, m2 = float.fromhex(measured["mean"]), float.fromhex(measured["m2"])
            total, delta = self._n + n, mean - self._mean
            self._m2 += m2 + delta * delta * self._n * n / total  # Chan, Golub and LeVeque, 1979
            self._mean += delta * n / total
        self._n += n

    def outcome(self) -> Outcome:
        return judged(self._figure(), self._args)

    def _figure(self) -> Fraction | float | None:
        if self._kind == "std":
            return math.sqrt(self._m2 / (self._n - 1)) if self._n > 1 else None
        total: Fraction | float = self._sum
        if self._type.kind in FLOATS:
            finite = all(map(math.isfinite, self._floats))
            total = math.fsum(self._floats) if finite else sum(self._floats)
        if self._kind == "sum":
            return total
        return total / self._n if self._n else None


def exact_sum(array: pa.Array, t: Type) -> Fraction:
    """The sum of integers or decimals without nulls."""
    if not len(array):
        return Fraction(0)
    if t.kind == "decimal":
        width = 16 if t.params[0] <= 38 else 32
        words = slots(array, "<u4", width // 4).reshape(-1, width // 4)
        total = sum(int(words[:, i].sum(dtype=np.uint64)) << (32 * i) for i in range(width // 4))
        negative = int(np.count_nonzero(words[:, -1] >> 31))
        return Fraction(total - (negative << (8 * width)), 10 ** t.params[1])
    values = array.to_numpy()
    if values.dtype.itemsize < 8:
        return Fraction(int(values.sum(dtype=np.int64)))
    return Fraction((int((values >> 32).sum()) << 32) + int((values & values.dtype.type(_LOW)).sum(dtype=np.uint64)))


def floats(array: pa.Array) -> Any:
    """Numbers without nulls as float64, each the nearest."""
    return pc.cast(array, pa.float64(), safe=False).to_numpy() if len(array) else np.zeros(0)


class Freshness(Evaluator):
    """The newest moment of a column is at most so long ago. A moment without zone is one of UTC, a date its beginning."""

    def __init__(self, column: str, t: Type, seconds: int, now: int) -> None:
        """`now` in ns since 1970-01-01 UTC."""
        require(t, ("date", "timestamp"), column, "'freshness' is for dates and timestamps")
        self.columns, self._seconds, self._now = (column,), seconds, now
        self._unit = 86400 * 10**9 if t.kind == "date" else _NANOS[t.params[0]]
        self._number = pa.int32() if t.kind == "date" else pa.int64()
        self._newest: int | None = None

    def measure(self, columns: Columns, rows: int) -> Any:
        return {"newest": str(pc.max(columns[self.columns[0]].view(self._number)).as_py())}

    def add(self, measured: Any, start: int) -> None:
        if measured["newest"] != "None":
            newest = int(measured["newest"])
            self._newest = newest if self._newest is None else max(self._newest, newest)

    def outcome(self) -> Outcome:
        if self._newest is None:
            return Outcome(1, "no values")
        age = (self._now - self._newest * self._unit) / 10**9
        said = f"the newest is {timedelta(seconds=min(round(abs(age)), _LONGEST))} {'old' if age >= 0 else 'ahead'}"
        return Outcome(int(age > self._seconds), said)
