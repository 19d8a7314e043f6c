"""Pairs of columns, before and after, as numpy has them; and their profiles, as builds make them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from dpkg.arrow import profile as profiling
from dpkg.arrow.profile import Part
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import stats_row
from dpkg.drift.columns import ColumnDrift, table_drift
from dpkg.objects.node import FragmentEntry
from dpkg.oid import Oid
from dpkg.sketches import coding
from dpkg.sketches.column import ColumnProfile, Gathering

N, M = 30_000, 24_000


class Pair(NamedTuple):
    """Numbers or texts before and after, without nulls; and how they become Arrow's."""

    old: Any
    new: Any
    arrow: Callable[[Any], pa.Array] = pa.array


def _decimals(values: Any) -> pa.Array:
    return pa.array([Decimal(v).scaleb(-2) for v in values.tolist()], pa.decimal128(12, 2))


def _with_gaps(rng: Any, n: int, nans: float, mean: float) -> Any:
    """Normal numbers with NaN and infinities."""
    out = rng.normal(mean, size=n)
    out[rng.random(n) < nans] = np.nan
    out[rng.random(n) < 0.02] = np.inf
    out[rng.random(n) < 0.01] = -np.inf
    return out


def numbers() -> dict[str, Pair]:
    """Of every kind, each with some drift."""
    r = np.random.default_rng(5)
    start = 1_700_000_000_000_000
    return {
        "same": Pair(r.normal(size=N), r.normal(size=M)),
        "normal": Pair(r.normal(size=N), r.normal(0.3, 1.1, M)),
        "lognormal": Pair(r.lognormal(3, 1.2, N), r.lognormal(3.2, 1.2, M)),
        "cauchy": Pair(r.standard_cauchy(N), 1.5 * r.standard_cauchy(M)),
        "pareto": Pair(r.pareto(0.5, N), r.pareto(0.6, M)),
        "gaps": Pair(_with_gaps(r, N, 0.1, 0), _with_gaps(r, M, 0.2, 0.2)),
        "poisson": Pair(r.poisson(60, N), r.poisson(63, M)),
        "zeros": Pair(r.exponential(size=N) * (r.random(N) < 0.6), r.exponential(size=M) * (r.random(M) < 0.7)),
        "few": Pair(r.integers(1, 6, N), r.integers(1, 7, M)),
        "constant": Pair(np.full(N, 3.5), np.full(M, 3.5)),
        "no_longer_constant": Pair(np.full(N, 3.5), r.normal(3.5, size=M)),
        "shares": Pair(r.integers(0, 100_000, N) ** 2, r.integers(0, 110_000, M) ** 2),
        "moments": Pair(
            r.integers(start, start + 10**13, N),
            r.integers(start + 6 * 10**11, start + 106 * 10**11, M),
            lambda v: pa.array(v).view(pa.timestamp("us", "UTC")),
        ),
        "prices": Pair(r.integers(-500, 10**7, N), r.integers(0, 95 * 10**5, M), _decimals),
        "flags": Pair(r.random(N) < 0.3, r.random(M) < 0.42),
    }


def _nearly(r: Any, n: int, low: float, high: float, left: float) -> Any:
    """Uniform numbers of which all but a few went from a stretch elsewhere."""
    out = r.uniform(0, 10, n)
    gone = (out > low) & (out < high) & (r.random(n) > left)
    out[gone] = r.uniform(high, 10, np.count_nonzero(gone))
    return out


# Numbers by how far they are shifted, from 0 to 1: as large as to make PSI about 1, or more.
SHIFTED: dict[str, Callable[[Any, int, float], Any]] = {
    "mean": lambda r, n, s: r.normal(s, size=n),
    "narrower": lambda r, n, s: r.normal(size=n) * (1 - s / 2),
    "wider": lambda r, n, s: r.normal(size=n) * (1 + s),
    "lognormal": lambda r, n, s: r.lognormal(3 + s, 1.2, n),
    "cauchy": lambda r, n, s: r.standard_cauchy(n) * (1 - 0.7 * s),
    "pareto": lambda r, n, s: r.pareto(0.5 + s / 2, n),
    "uniform": lambda r, n, s: r.uniform(0.998 * s, 10 + s, n),
    "zeros": lambda r, n, s: r.exponential(size=n) * (r.random(n) < 0.6 + s / 3),
    "cents": lambda r, n, s: np.round(r.gamma(2, 30 * (1 + s), n), 2),
    "squares": lambda r, n, s: r.integers(0, int(100_000 * (1 + s)), n) ** 2,
    "counts": lambda r, n, s: r.poisson(900 + 30 * s, n),
    "modes": lambda r, n, s: np.where(r.random(n) < 0.5 + s / 3, r.normal(0, 1, n), r.normal(8, 1, n)),
    "tail_goes": lambda r, n, s: _nearly(r, n, 0, 1, (1 - s) ** 3 + 0.02),
    "middle_goes": lambda r, n, s: _nearly(r, n, 4, 5, (1 - s) ** 3 + 0.02),
}


def texts() -> dict[str, Pair]:
    """Texts whose values are all known."""
    r = np.random.default_rng(6)
    lands = np.array([f"land {i}" for i in range(12)])
    cities = np.array([f"city {i}" for i in range(400)])
    weights = 1 / np.arange(1, 401)
    return {
        "lands": Pair(lands[r.integers(0, 10, N)], lands[r.integers(1, 12, M)]),
        "cities": Pair(r.choice(cities, N, p=weights / weights.sum()), cities[r.integers(0, 400, M)]),
        "one": Pair(lands[np.zeros(N, int)], lands[np.zeros(M, int)]),
    }


def profile(array: pa.Array, parts: int = 1) -> ColumnProfile:
    """That of a column in so many parts, as a build stores it, through its bytes."""
    schema = Schema.from_arrow(pa.schema([("x", array.type)]))
    gathering = Gathering()
    for a, b in pairwise(len(array) * i // parts for i in range(parts + 1)):
        x = array.slice(a, b - a)
        entry = FragmentEntry(Oid("0" * 64), len(x), x.nbytes)
        gathering.add(profiling.profile([Part(entry, [x], stats_row([x], schema))], schema))
    return coding.decode(coding.encode(gathering.finish(), len(array)), 1, len(array))[0]


def drift(old: pa.Array, new: pa.Array, parts: int = 20) -> ColumnDrift:
    """That of a column `x`."""
    schemas = [Schema.from_arrow(pa.schema([("x", a.type)])) for a in (old, new)]
    found = table_drift(schemas[0], [profile(old, parts)], schemas[1], [profile(new, parts)])
    return found.columns[0]
