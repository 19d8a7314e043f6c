"""Columns of every kind, as numpy and Arrow have them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

N = 40_000


def columns(seed: int = 0, n: int = N) -> dict[str, pa.Array]:
    """By name."""
    rng = np.random.default_rng(seed)
    with_gaps = rng.normal(size=n)
    with_gaps[rng.random(n) < 0.1] = np.nan
    with_gaps[:3] = [np.inf, -np.inf, -0.0]
    return {
        "normal": pa.array(rng.normal(size=n)),
        "shifted": pa.array(1e9 + rng.normal(size=n)),
        "lognormal": pa.array(np.round(rng.lognormal(3, 1.2, n), 2)),
        "cauchy": pa.array(rng.standard_cauchy(n)),
        "pareto": pa.array(rng.pareto(0.5, n)),
        "gaps": pa.array(with_gaps),
        "halves": pa.array(rng.integers(0, 9000, n) / 2),
        "zipf": pa.array(np.minimum(rng.zipf(1.3, n), 1 << 60)),
        "sorted": pa.array(np.arange(n) * 7),
        "wide": pa.array(rng.integers(-(1 << 62), 1 << 62, n)),
        "unsigned": pa.array(rng.integers(0, 1 << 63, n).astype(np.uint64) * np.uint64(2)),
        "small": pa.array(rng.integers(-128, 127, n).astype(np.int8)),
        "constant": pa.array(np.full(n, 3.5)),
        "float32": pa.array(rng.normal(size=n).astype(np.float32)),
        "tiny": pa.array(rng.normal(size=n) * 1e-200),
        "huge": pa.array(rng.normal(size=n) * 1e200),
        "timestamp": pa.array(rng.integers(1 << 60, (1 << 60) + 10**15, n)).view(pa.timestamp("ns")),
        "date": pa.array(rng.integers(9000, 11000, n).astype(np.int32)).view(pa.date32()),
        "time": pa.array(rng.integers(0, 86_400 * 10**6, n)).view(pa.time64("us")),
        "duration": pa.array(rng.integers(-(10**9), 10**12, n)).view(pa.duration("ms")),
        "bool": pa.array(rng.random(n) < 0.3),
        "half_null": pa.array([None if v < 0.5 else v for v in rng.random(n).tolist()]),
        "all_null": pa.nulls(n, pa.float64()),
        "decimal": pa.array(
            [Decimal(v).scaleb(-2) for v in rng.integers(-(10**6), 10**9, n).tolist()], pa.decimal128(12, 2)
        ),
        "long_decimal": pa.array(
            [Decimal(v) * 10**9 for v in rng.integers(-(10**12), 10**12, n).tolist()], pa.decimal128(38, 0)
        ),
    }


def texts(seed: int = 0, n: int = N) -> dict[str, pa.Array]:
    """Texts and binary values, by name."""
    rng = np.random.default_rng(seed)
    few = np.minimum(rng.zipf(1.5, n), 40)
    return {
        "few": pa.array([f"land {v}" for v in few.tolist()]),
        "several": pa.array([f"city {v}" for v in rng.integers(0, 400, n).tolist()]),
        "many": pa.array([f"name {v}" for v in rng.integers(0, 1 << 40, n).tolist()]),
        "mostly_one": pa.array(
            ["unknown" if v % 3 == 0 else f"name {v}" for v in rng.integers(0, 1 << 40, n).tolist()]
        ),
        "umlauts": pa.array([f"Größe {v}" for v in rng.integers(0, 30_000, n).tolist()]),
        "long": pa.array(["x" * (v % 7000) + str(v) for v in rng.integers(0, 3000, n // 20).tolist()]),
        "empty": pa.array([""] * n),
        "nulls": pa.array([None if v % 2 else f"v{v}" for v in rng.integers(0, 50, n).tolist()]),
        "binary": pa.array([bytes([v % 256, v // 256]) for v in rng.integers(0, 1 << 16, n).tolist()]),
    }


def numbers(array: pa.Array) -> Any:
    """What is there in a column, but for nulls and NaN, in order, as numbers."""
    found = array.drop_null()
    if pa.types.is_decimal(found.type):
        whole = [int(v.as_py().scaleb(found.type.scale)) for v in found]
        if found.type.precision <= 18:
            return np.sort(np.array(whole, np.int64))
        words = [(divmod(abs(v), 1 << 64), -1.0 if v < 0 else 1.0) for v in whole]  # each word rounded, then their sum
        return np.sort(np.array([sign * (float(low) + float(high) * 2.0**64) for (high, low), sign in words]))
    if pa.types.is_temporal(found.type):
        found = found.view(pa.int32() if pa.types.is_date32(found.type) else pa.int64())
    values = np.asarray(found)
    if values.dtype.kind == "f":
        values = values[~np.isnan(values)]
    return np.sort(values)
