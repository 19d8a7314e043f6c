"""What chance alone shows of two samples of the same values: bounds that a figure must reach to say something (spec/diff.md).

Each is the quantile of the figure at `z`: as unlikely to be passed as `z` standard deviations of a normal distribution, 0.13 % with 3.
0 of z is no bound.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

_TAILS = 100  # values that tell how far out the next may be


def chi_square(freedom: int, z: float) -> float:
    """The quantile of a chi-square distribution. Wilson and Hilferty 1931."""
    if not z or not freedom:
        return 0.0
    part = 2 / (9 * freedom)
    return float(freedom * max(0.0, 1 - part + z * math.sqrt(part)) ** 3)


def psi(bins: int, old: int, new: int, z: float) -> float:
    """Of the population stability index over bins that are not empty, of so many values: (1/n + 1/m) times a chi-square of bins - 1.

    Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020.
    """
    return chi_square(bins - 1, z) * (1 / old + 1 / new)


def js(bins: int, old: int, new: int, z: float) -> float:
    """Of the Jensen-Shannon distance.

    Its square is at most half the sum of (p - q)^2 / (p + q) (Topsøe 2000), and that half the Pearson statistic times (1/n + 1/m) where
    n is m. Of bins of many values it is less, 1/(8 ln 2) of PSI; but of rare categories it is as much.
    """
    return math.sqrt(psi(bins, old, new, z)) / 2


def ks(old: int, new: int, z: float) -> float:
    """Of the Kolmogorov-Smirnov statistic, whose square is passed with a chance of at most 2 exp(-2 x / (1/n + 1/m))."""
    return math.sqrt((chi_square(2, z) + 2 * math.log(2)) / 4 * (1 / old + 1 / new)) if z else 0.0


def rate(part: int, old: int, new: int, z: float) -> float:
    """Of the difference of two rates, of so many rows; `part` of both together."""
    both = part / (old + new)
    return math.sqrt(chi_square(1, z) * both * (1 - both) * (1 / old + 1 / new))


def outside(old: int, new: int, z: float) -> float:
    """Of the share of `new` values beyond the least and the greatest of `old` ones: of a row of both k or more are at its ends.

    With r = m / (n + m) the chance of that is less than (1 + y) exp(-y), y = -k ln(r): half a chi-square of 4.
    """
    return chi_square(4, z) / 2 / (new * math.log1p(old / new))


def reach(tails: float, old: int, new: int, z: float) -> float:
    """Of how far new values are out of the range of the old ones, in widths of it: what tails that go on as they do may get to.

    `tails` is how many times the range is as wide as that between the quantiles 5 % and 95 %: by so much it grew from one value in 20
    to one in `old`, and with each such step it grows as much again, of a power law; of others by less. Fewer than 100 values don't tell.
    """
    if not z:
        return 0.0
    if old < _TAILS:
        return math.inf
    steps = math.log(max(1.0, new / old) / surprise(z)) / math.log(old / 20)
    return math.exp(min(700.0, steps * math.log(tails))) - 1


def one_sided(counts: Iterable[int], share: float, values: int) -> float:
    """How likely so many values are of categories that are on one side only, at most.

    `counts` are those of all categories on both sides together, `share` the side's share of all values. A category of c values is on
    that side alone with a chance of share^c; of the sum of such Chernoff's bound is taken.
    """
    times = Counter(counts)
    least, far = 0.0, -math.log(share)
    for step in range(1, 33):
        t = far * step / 32
        total = sum(n * math.log1p(math.exp((t - far) * c) - math.exp(-far * c)) for c, n in times.items())
        least = min(least, total - t * values)
    return math.exp(least)


def surprise(z: float) -> float:
    """How likely more than `z` standard deviations are, on one side."""
    return math.erfc(z / math.sqrt(2)) / 2 if z else 1.0
