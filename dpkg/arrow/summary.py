"""A column's profile in figures, for people and for JSON: bounds, mean, quantiles, frequent values, a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.profile import to_array
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type
from dpkg.arrow.writers import json_rows
from dpkg.sketches import bins
from dpkg.sketches.column import ColumnProfile, Measure

SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TOP = 20
_SECONDS = {"ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class Quantile:
    """The smallest value up to which there is at least a share of all values."""

    share: float
    value: Any


@dataclass(frozen=True)
class Top:
    """A frequent value."""

    value: Any
    count: int  # at least; at most `top_error` more


@dataclass(frozen=True)
class Bin:
    """A bin of a histogram: values above `low`, up to `high`; the first and the last one have all values beyond them, too."""

    low: Any
    high: Any
    count: int


@dataclass(frozen=True)
class Summary:
    """The profile of a column. Values are as `head` has them.

    Without nulls and NaN; mean and std without infinities, too. Where `measure` is not `values`, mean, std, quantiles and histogram are
    of lengths.
    """

    column: str
    type: str
    rows: int
    nulls: int
    nans: int
    infinities: int
    measure: Measure  # what is measured: values; characters, bytes or items, where it is lengths; or nothing
    distinct: int | None
    distinct_error: float  # the standard error of distinct, as a share of it; 0 where it is exact
    min: Any  # of texts and binary values a bound of at most 32 bytes
    max: Any
    mean: Any
    std: Any  # of a sample (n - 1); of times in seconds, of dates in days
    rank_error: float  # by how much of all values the rank of a quantile may be off, at most
    quantiles: tuple[Quantile, ...]
    top: tuple[Top, ...]  # the most frequent values
    top_error: int
    histogram: tuple[Bin, ...]


def summaries(schema: Schema, profiles: Sequence[ColumnProfile]) -> tuple[Summary, ...]:
    """The figures of a table's columns."""
    drafts = [_Draft(t, p) for t, p in zip(schema.types, profiles, strict=True)]
    shown = json_of([(d.held, d.numbers()) for d in drafts])
    columns = zip(schema.names, schema.types, drafts, shown, strict=True)
    return tuple(draft.summary(name, str(t), values) for name, t, draft, values in columns)


class _Draft:
    """A column's figures before they are JSON: all of a table become JSON at once, which is quicker by far."""

    def __init__(self, t: Type, p: ColumnProfile) -> None:
        self._p, self._measured = p, p.measure == "values"
        self.held = t.storage if self._measured else Type("int64")
        self._sketch = p.numbers if p.numbers is not None and len(p.numbers.values) else None
        self._edges: Any = []
        self._counts: list[int] = []
        if self._sketch:
            self._edges = bins.edges([self._sketch])
            self._counts = bins.counts(self._sketch, self._edges)
        self._top = list(p.frequent.counts.items())[:_TOP] if p.frequent else []

    def numbers(self) -> list[Any]:
        """Arrays of what is to be shown as values of the type: bounds, frequent values, quantiles, edges, mean."""
        p = self._p
        dtype = np.dtype(np.int64) if p.numbers is None else p.numbers.values.dtype
        bounds = [p.low, p.high] if self._measured and p.low is not None else []
        top = [value for value, _ in self._top] if self._measured else []
        quantiles = self._sketch.quantiles(SHARES) if self._sketch else []
        mean = [round(p.moments.mean)] if self._timed() and p.moments and p.moments.mean is not None else []
        return [np.asarray(values, dtype) for values in (bounds, top, quantiles, self._edges, mean)]

    def _timed(self) -> bool:
        kind = self.held.kind
        return self._measured and (kind in ("date", "timestamp", "duration") or kind.startswith("time_"))

    def summary(self, name: str, kind: str, shown: list[list[Any]]) -> Summary:
        """With what `numbers` gave as JSON."""
        p = self._p
        bounds, top, quantiles, edges, mean = shown
        if not self._measured:
            bounds, top = texts([p.low, p.high]), texts([value for value, _ in self._top])
        low, high = bounds or (None, None)
        average, std = self._moments(mean)
        sketch, distinct = self._sketch, p.distinct
        return Summary(
            name,
            kind,
            p.rows,
            p.nulls,
            p.nans,
            p.infinities,
            p.measure,
            min(distinct.count, p.present) if distinct else None,
            distinct.standard_error if distinct else 0.0,
            low,
            high,
            average,
            std,
            sketch.rank_error if sketch else 0.0,
            tuple(map(Quantile, SHARES, quantiles)) if sketch else (),
            tuple(Top(value, count) for value, (_, count) in zip(top, self._top, strict=True)),
            p.frequent.error if p.frequent else 0,
            tuple(map(Bin, edges[:-1], edges[1:], self._counts)),
        )

    def _moments(self, mean: list[Any]) -> tuple[Any, Any]:
        """Mean and standard deviation."""
        m, t = self._p.moments, self.held
        if m is None or m.mean is None:
            return None, None
        std = math.sqrt(m.variance) if m.variance is not None and math.isfinite(m.variance) else None
        if mean:
            unit = 1.0 if t.kind == "date" else _SECONDS[t.params[0] if t.params else t.kind[5:]]
            return mean[0], None if std is None else std / unit
        unit = 10.0 ** t.params[1] if self._measured and t.kind == "decimal" else 1.0
        return m.mean / unit if math.isfinite(m.mean) else None, None if std is None else std / unit


def json_of(columns: Sequence[tuple[Type, list[Any]]]) -> list[list[list[Any]]]:
    """For each column, lists of numbers of a type as lists of JSON values."""
    most = max((sum(map(len, parts)) for _, parts in columns), default=0)
    arrays = []
    for t, parts in columns:
        array = to_array(np.concatenate(parts), t)
        arrays.append(pa.concat_arrays([array, pa.nulls(most - len(array), array.type)]))
    batch = pa.RecordBatch.from_arrays(arrays, names=[str(i) for i in range(len(arrays))])
    rows = list(json_rows([batch]))
    out = []
    for i, (_, parts) in enumerate(columns):
        values = iter(rows)
        out.append([[next(values)[str(i)] for _ in part] for part in parts])
    return out


def texts(values: list[Any]) -> list[Any]:
    """Binary values as JSON has them."""
    if not any(isinstance(v, bytes) for v in values):
        return values
    return [row["x"] for row in json_rows([pa.record_batch({"x": pa.array(values, pa.binary())})])]
