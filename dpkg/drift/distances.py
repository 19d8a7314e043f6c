"""How far two distributions are apart, from sketches: PSI, Jensen-Shannon distance, Kolmogorov-Smirnov statistic (DRI-1, DRI-2).

Each figure comes with bounds between which the exact one is, whatever the sketches left out. With numpy, and without pyarrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dpkg.sketches.frequent import Frequent, Value
from dpkg.sketches.quantiles import Quantiles

# A smaller share is taken for this in PSI, whose logarithm has no zero; half a value of the smaller side, if that is more. Of bins
# whose shares a sketch knows only to within a few 0.01 % it is more: that is too much where a share is next to nothing.
FLOOR, ROUGH_FLOOR = 1e-4, 5e-3
SHARES = 10  # bins of numbers, at most
ROWS = 5  # rows that a bin has at least, on average; and a text that is a category among many
FEW = 20  # different numbers that are taken for categories
RARE = 0.01  # share of a text that is a category among many


@dataclass(frozen=True)
class Figure:
    """A figure, and between what the exact one is; all the same where nothing was left out."""

    value: float
    low: float
    high: float


class Side(NamedTuple):
    """The shares of one side in some bins, and between what the exact ones are; they are of so many values."""

    shares: Any
    least: Any
    most: Any
    values: int


@dataclass(frozen=True, slots=True)
class Binned:
    """Two sides over the same bins."""

    old: Side
    new: Side
    floor: float = FLOOR

    @property
    def filled(self) -> int:
        """How many bins are not empty."""
        return int(np.count_nonzero((self.old.shares > 0) | (self.new.shares > 0)))


def ks(old: Quantiles, new: Quantiles) -> Figure:
    """The greatest difference of two distribution functions."""
    points = np.union1d(old.values, new.values)
    found = float(np.abs(old.below(points) / old.count - new.below(points) / new.count).max())
    error = old.rank_error + new.rank_error
    return Figure(found, max(0.0, found - error), min(1.0, found + error))


def psi(binned: Binned) -> Figure:
    """The population stability index: the sum of (q - p) ln(q / p)."""
    floor = max(binned.floor, 0.5 / min(binned.old.values, binned.new.values))
    return Figure(*_sums(binned, partial(_psi, floor=floor)))


def js(binned: Binned) -> Figure:
    """The Jensen-Shannon distance: the square root of the divergence in bits; 0 to 1."""
    return Figure(*(math.sqrt(min(1.0, max(0.0, total / math.log(2)))) for total in _sums(binned, _js)))


def _psi(p: Any, q: Any, floor: float) -> Any:
    p, q = np.maximum(p, floor), np.maximum(q, floor)
    return (q - p) * np.log(q / p)


def _js(p: Any, q: Any) -> Any:
    """In nats."""
    return (_entropy(p, p + q) + _entropy(q, p + q)) / 2


def _entropy(p: Any, twice: Any) -> Any:
    """p ln(2 p / twice), 0 where p is."""
    return p * np.log(np.divide(2 * p, twice, out=np.ones_like(p), where=p > 0))


def _sums(binned: Binned, term: Callable[[Any, Any], Any]) -> tuple[float, float, float]:
    """The sum of a term over all bins; the least and the most that it can be.

    The term of a bin grows with the distance of both shares: so it is least where they are as near each other as they can be, and most
    where they are as far.
    """
    (p, p_least, p_most, _), (q, q_least, q_most, _) = binned.old, binned.new
    least = np.where(p_most < q_least, term(p_most, q_least), 0.0)
    least = np.where(q_most < p_least, term(p_least, q_most), least)
    most = np.maximum(term(p_least, q_most), term(p_most, q_least))
    return float(term(p, q).sum()), float(least.sum()), float(most.sum())


def by_shares(old: Quantiles, new: Quantiles) -> Binned:
    """Bins that end with the quantiles of the old side, ten of them where it has 50 values.

    A value that has more than the share of a bin is one of its own.
    """
    parts = min(SHARES, max(2, old.count // ROWS))
    values = np.unique(old.quantiles(np.arange(1, parts) / parts))
    often = old.below(values) - old.below(values, "left")
    own = often * parts > old.count
    at = np.repeat(values, np.where(own, 2, 1))
    before = np.zeros(len(at), bool)  # whether a bin ends before the value, not with it
    before[np.cumsum(np.where(own, 2, 1))[own] - 2] = True
    return Binned(_between(old, at, before), _between(new, at, before), ROUGH_FLOOR)


def _between(numbers: Quantiles, at: Any, before: Any) -> Side:
    """The shares between some bounds. Of a bin between two of them both may be wrong."""
    ends = np.where(before, numbers.below(at, "left"), numbers.below(at))
    found = np.diff(np.concatenate([[0], ends, [numbers.count]]))
    error = np.full(len(found), 2 * numbers.error)
    error[[0, -1]] = numbers.error
    return _side(found, found - error, found + error, numbers.count)


def _side(found: Any, least: Any, most: Any, count: int) -> Side:
    return Side(found / count, np.maximum(least, 0) / count, np.minimum(most, count) / count, count)


class Categories(NamedTuple):
    """Values, the most frequent first, and how often each occurs; the last bin has all others, where there are such."""

    values: list[Value]
    old: list[int]
    new: list[int]
    binned: Binned


def of_all(old: Frequent, new: Frequent) -> Categories:
    """Each value a bin: all are known."""
    n, m = sum(old.counts.values()), sum(new.counts.values())
    keys = _ordered(old, n, new, m, old.counts.keys() | new.counts.keys())
    had, has = ([side.counts.get(k, 0) for k in keys] for side in (old, new))
    return Categories(keys, had, has, Binned(_exactly(had, n), _exactly(has, m)))


def _exactly(counts: list[int], total: int) -> Side:
    found = np.asarray(counts, np.int64)
    return _side(found, found, found, total)


def of_frequent(old: Frequent, n: int, new: Frequent, m: int) -> Categories | None:
    """Each value that is at least 1 % of a side, and five rows, a bin, and one for all others. None where there is no such value.

    `n` and `m` are all values. One that a side does not know is taken for not there.
    """
    keys = {k for f, total in ((old, n), (new, m)) for k, c in f.counts.items() if c >= max(ROWS, RARE * total)}
    if not keys:
        return None
    ordered = _ordered(old, n, new, m, keys)
    had, has = ([side.counts.get(k, 0) for k in ordered] for side in (old, new))
    floor = ROUGH_FLOOR if old.error or new.error else FLOOR
    return Categories(ordered, had, has, Binned(_roughly(ordered, had, old, n), _roughly(ordered, has, new, m), floor))


def _ordered(old: Frequent, n: int, new: Frequent, m: int, keys: Any) -> list[Value]:
    return sorted(keys, key=lambda k: (-max(old.counts.get(k, 0) / n, new.counts.get(k, 0) / m), k))


def _roughly(keys: list[Value], counts: list[int], side: Frequent, total: int) -> Side:
    """With one more bin, of all other values."""
    least = np.array([side.counts.get(k, 0) for k in keys], np.int64)
    most = least + side.error
    rest = max(0, total - sum(counts))
    return _side(
        np.array([*counts, rest], np.int64),
        np.array([*least, total - most.sum()], np.int64),
        np.array([*most, total - least.sum()], np.int64),
        total,
    )
