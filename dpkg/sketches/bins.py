"""Bins of equal width for histograms, over most of what one or more quantile sketches have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dpkg.sketches.quantiles import Quantiles

BINS = 20


def edges(sketches: Sequence[Quantiles]) -> Any:
    """One more than there are bins, at most 21; none where no value is finite. All sketches are of one dtype.

    The bins reach from a quarter of their width below the lowest 1 % quantile to as much above the highest 99 % quantile, but not beyond
    the values; those far out are counted in the outermost bins. Of integers a bin has whole numbers.
    """
    found = [(_finite(q.values), q) for q in sketches]
    found = [(finite, q) for finite, q in found if len(finite)]
    if not found:
        return sketches[0].values[:0]
    least, most = min(f[0] for f, _ in found), max(f[-1] for f, _ in found)
    low, high = float(least), float(most)
    ends = [q.quantiles((0.01, 0.99)) for _, q in found]
    first, last = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    if not math.isfinite(last - first):
        first, last = max(first, low), min(last, high)
    reach = (last - first) / 4
    start, stop = max(low, first - reach), min(high, last + reach)
    kind = found[0][0].dtype.kind
    steps = BINS if kind == "f" else min(BINS, int(most) - int(least) + 1)
    if not start < stop or not math.isfinite(steps * (stop - start)):
        return np.array([least, most])
    out = start + (stop - start) * np.arange(steps + 1) / steps
    if kind == "f":
        return out
    whole = [min(max(math.floor(edge), int(least)), int(most)) for edge in out[:-1].tolist()]
    return np.array([*whole, min(math.ceil(stop), int(most))], found[0][0].dtype)  # float64 may be beyond the last one


def counts(numbers: Quantiles, at: Any) -> list[int]:
    """How many values are in each bin between these edges: above the lower, up to the upper one; those beyond all in the outermost."""
    if not len(at):
        return []
    return [int(n) for n in np.diff(np.concatenate([[0], numbers.below(at[1:-1]), [numbers.count]]))]


def _finite(values: Any) -> Any:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values
