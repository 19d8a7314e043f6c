"""The values at some ranks, and the frequent ones, of many numbers, without sorting them all.

Numbers are dealt into buckets that are in order; only those buckets are sorted in which a wanted rank falls, or that are so full
that a frequent value may be in them. What comes out is what sorting all would give, in a fraction of its time.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

_BITS = 15
_BUCKETS = 1 << _BITS
_SAMPLE = 512
_FEW = 1024  # buckets that are not empty; where there are fewer, so may be the values


class Selected(NamedTuple):
    """Values at the ranks asked for; frequent values and how often each occurs; the bounds."""

    values: Any
    frequent: Any
    counts: Any
    low: Any
    high: Any


def select(found: Any, ranks: Any, often: int) -> Selected | None:
    """Of numbers without NaN the values at `ranks` (from 0, ascending) and those that occur at least `often` times.

    None where they don't spread over the buckets: then it is best to sort them.
    """
    places = _places(found)
    if places is None:
        return None
    counts = np.bincount(places, minlength=_BUCKETS)
    if np.count_nonzero(counts) <= _FEW:
        return None
    ends = np.cumsum(counts)
    which = np.searchsorted(ends, ranks, side="right")
    wanted = counts >= often
    wanted[which] = True
    kept = np.where(wanted, counts, 0)
    if 2 * kept.sum() > len(found):
        return None
    part = np.sort(found[wanted[places]])
    begin = np.cumsum(kept) - kept  # of each bucket in the part
    values = part[begin[which] + ranks - (ends[which] - counts[which])]
    starts = np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1]]))
    runs = np.diff(starts, append=len(part))
    full = runs >= often
    return Selected(values, part[starts[full]], runs[full], found.min(), found.max())


def _places(found: Any) -> Any:
    """The bucket of each number: of no smaller number a later one. The outermost ones have all that is beyond a sample's ends."""
    sample = np.sort(found[:: max(1, len(found) // _SAMPLE)])
    first, last = sample[len(sample) // 64], sample[-1 - len(sample) // 64]
    if found.dtype.kind == "f":
        width = float(last) - float(first)
        scale = _BUCKETS / width if width and math.isfinite(width) else math.inf
        if not math.isfinite(scale):
            return None
        x = found - float(first) if found.dtype == np.float64 else found.astype(np.float64) - float(first)
        x *= scale
        return np.clip(x, 0, _BUCKETS - 1, out=x).astype(np.intp)
    if first == last:
        return None
    away = (
        np.clip(found, first, last)
        .astype(np.uint64 if found.dtype == np.uint64 else np.int64, copy=False)
        .view(np.uint64)
    )
    away -= np.uint64(int(first) & 0xFFFF_FFFF_FFFF_FFFF)
    away >>= np.uint64(max(0, (int(last) - int(first)).bit_length() - _BITS))
    return away.view(np.intp)
