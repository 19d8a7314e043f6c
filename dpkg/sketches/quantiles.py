"""Quantiles: values in order, each standing for so many, and by how many ranks that may be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

FEWEST, MOST, TOGETHER = (
    1024,
    4096,
    1 << 18,
)  # points that a sketch keeps once it is cut; and those of all columns together


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Some values in ascending order, no two the same; `weights` add up to the number of values.

    `error`: for any x, the weights up to x are within so many of the number of values up to x. It is proven, not likely:
    errors of parts add up when they are merged, and a cut adds half of the widest run of ranks that one value is to stand for.
    """

    values: Any  # int64, uint64 or float64, no NaN
    weights: Any  # int64
    error: int = 0

    @classmethod
    def of(cls, values: Any, counts: Any | None, points: int) -> Quantiles:
        """Of distinct values in ascending order, each so often (None: once); cut."""
        if counts is None and len(values) > points:
            ranks, widths = spaced(len(values), points)
            return cls.at(values[ranks], widths)
        return cls(values, np.ones(len(values), np.int64) if counts is None else counts.astype(np.int64)).cut(points)

    @classmethod
    def at(cls, values: Any, widths: Any) -> Quantiles:
        """Of the values at the ranks that `spaced` gave, with its widths."""
        return cls(*_joined(values, widths), int(widths.max()) // 2)

    @classmethod
    def merge(cls, parts: Iterable[Quantiles]) -> Quantiles:
        """Of all values together; nothing is left out."""
        found = list(parts)
        if len(found) == 1:
            return found[0]
        values = np.concatenate([q.values for q in found])
        weights = np.concatenate([q.weights for q in found])
        order = np.argsort(values, kind="stable")
        return cls(*_joined(values[order], weights[order]), sum(q.error for q in found))

    def cut(self, points: int) -> Quantiles:
        """One of at most so many values: that in the middle of each of as many runs of ranks of the same length."""
        if len(self.values) <= points:
            return self
        ends = np.cumsum(self.weights)
        ranks, widths = spaced(int(ends[-1]), points)
        made = Quantiles.at(self.values[np.searchsorted(ends, ranks, side="right")], widths)
        return Quantiles(made.values, made.weights, self.error + made.error)

    @property
    def count(self) -> int:
        """The number of values."""
        return int(self.weights.sum())

    @property
    def rank_error(self) -> float:
        """`error` as a share of the values: of the ranks of quantiles, and of the distribution function."""
        return self.error / self.count if self.count else 0.0

    def quantiles(self, shares: Sequence[float] | Any) -> Any:
        """The smallest value up to which there are at least so many of all values (numpy's `inverted_cdf`)."""
        ends = np.cumsum(self.weights)
        ranks = np.ceil(np.asarray(shares, np.float64) * ends[-1]).astype(np.int64)
        return self.values[np.searchsorted(ends, np.clip(ranks, 1, ends[-1]))]

    def below(self, bounds: Any, side: Literal["left", "right"] = "right") -> Any:
        """For each bound the number of values up to it; with it, or ("left") without."""
        ends = np.concatenate([[0], np.cumsum(self.weights)])
        return ends[np.searchsorted(self.values, bounds, side=side)]


def points_of(columns: int) -> int:
    """How many points the sketch of each of so many columns has: 4,096 up to 64 columns, of more columns fewer, but 1,024.

    Each cut adds an error of half of 1/points of the rows at most, and half a row.
    """
    return max(FEWEST, min(MOST, TOGETHER // max(1, columns)))


def spaced(count: int, points: int) -> tuple[Any, Any]:
    """The ranks, from 0, in the middle of each of `points` runs of `count` ranks, and how long each run is."""
    bounds = np.arange(points + 1) * count // points
    widths = np.diff(bounds)
    return bounds[:-1] + widths // 2, widths


def _joined(values: Any, weights: Any) -> tuple[Any, Any]:
    """Sorted values with the weights of equal ones added."""
    if not len(values):
        return values, weights
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[starts], np.add.reduceat(weights, starts)
