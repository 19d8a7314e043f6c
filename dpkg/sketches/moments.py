"""Mean and variance: exact sums of values and squares, so that they merge without rounding."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

_BIG, _TINY = (
    400,
    -400,
)  # exponents of two beyond which squares, or the parts of sums, could leave the range of a float64
_BLOCK = 8192  # values at a time: temporaries stay in the cache, and sums keep 39 bits below their largest value
_GUARD = 14  # bits that a sum of so many has more than its largest value


@dataclass(frozen=True, slots=True)
class Moments:
    """How many finite values there are, the sum of them, and that of their squares."""

    count: int = 0
    first: Fraction = Fraction()
    second: Fraction = Fraction()

    @classmethod
    def of(cls, values: Any, counts: Any | None = None) -> Moments:
        """Of finite values, each so often (None: once), taken as float64.

        Of each 8,192 of them rounding costs the sum of their distances from one in the middle, and that of the squares of these, less
        than 2^-27 of the largest.
        """
        n = len(values) if counts is None else int(counts.sum())
        if not n:
            return cls()
        exponent = math.frexp(max(-float(values.min()), float(values.max())))[1]
        shift = exponent if not _TINY < exponent < _BIG else 0
        some = np.sort(values[:: max(1, len(values) // 9)])
        centre = math.ldexp(float(some[len(some) // 2]), -shift)
        away, squares = _sums(values, counts, shift, centre)
        middle = Fraction(centre)
        first = away + n * middle
        second = squares + 2 * middle * away + n * middle * middle
        scale = Fraction(2) ** shift
        return cls(n, first * scale, second * scale * scale)

    @classmethod
    def merge(cls, parts: Iterable[Moments]) -> Moments:
        """Of all values together."""
        found = list(parts)
        zero = Fraction()
        count = sum(m.count for m in found)
        return cls(count, sum((m.first for m in found), zero), sum((m.second for m in found), zero))

    @property
    def mean(self) -> float | None:
        """The mean, to the nearest float64; None of nothing."""
        return _float(self.first / self.count) if self.count else None

    @property
    def variance(self) -> float | None:
        """The variance of a sample (divided by n - 1), to the nearest float64; None of fewer than two values."""
        if self.count < 2:
            return None
        return _float(max(Fraction(), (self.second - self.first * self.first / self.count) / (self.count - 1)))


def _sums(values: Any, counts: Any | None, shift: int, centre: float) -> tuple[Fraction, Fraction]:
    """The sum of the distances of values over 2^shift from `centre`, and of their squares: the same with any vector unit.

    Of each number of a block the leading bits on a common grid are added, which float64 does without rounding, in any order
    (Rump, Ogita, Oishi, "Accurate floating-point summation", 2008); the blocks' sums are added exactly, and rounded once.
    """
    sums, squares = [], []
    scratch = np.empty(min(_BLOCK, len(values)))
    for start in range(0, len(values), _BLOCK):
        x = values[start : start + _BLOCK].astype(np.float64)
        if shift:
            np.ldexp(x, -shift, out=x)
        x -= centre
        y = scratch[: len(x)]
        if counts is None:
            most = max(-float(x.min()), float(x.max()))
            sums.append(_sum(x, most, y))
            x *= x
            squares.append(_sum(x, most * most, y))
        else:
            often = counts[start : start + _BLOCK]
            weighted = x * often
            sums.append(_sum(weighted, float(np.abs(weighted).max()), y))
            weighted *= x
            squares.append(_sum(weighted, float(weighted.max()), y))
    return Fraction(math.fsum(sums)), Fraction(math.fsum(squares))


def _sum(x: Any, most: float, out: Any) -> float:
    """The sum of at most 8,192 numbers of at most `most`, on a grid."""
    grid = math.ldexp(1.0, math.frexp(most)[1] + _GUARD)
    np.add(x, grid, out=out)
    out -= grid
    return float(out.sum())


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
