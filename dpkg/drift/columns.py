"""What has become of the columns of a table, from the profiles of its old and its new version alone (spec/diff.md)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dpkg.arrow.summary import Summary, json_of, summaries, texts
from dpkg.arrow.types import Type
from dpkg.drift import chance, distances
from dpkg.drift.axes import Axis, axis, comparable, on_axis, values_on_axis
from dpkg.drift.distances import FEW, Binned, Categories, Figure
from dpkg.sketches import bins
from dpkg.sketches.frequent import Frequent, Value
from dpkg.sketches.quantiles import Quantiles

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.sketches.column import ColumnProfile

SHOWN = 20  # categories that are told of a column
_EMPTY = Type("int64")


@dataclass(frozen=True)
class Distance:
    """How far the two sides are apart. `of`: the values as numbers, as categories, or the lengths of texts, binary values, lists, maps.

    `bins` are those that are not empty; `old` and `new` the numbers of values.
    """

    of: Literal["values", "categories", "characters", "bytes", "items"]
    psi: Figure
    js: Figure
    ks: Figure | None  # of numbers and lengths
    bins: int
    old: int
    new: int


@dataclass(frozen=True)
class DriftBin:
    """A bin of a histogram: values above `low`, up to `high`; the first and the last one have all values beyond them, too."""

    low: Any
    high: Any
    old: int
    new: int


@dataclass(frozen=True)
class Category:
    """A value, and how often it occurs on each side (at least so often, if not all are known)."""

    value: Any
    old: int
    new: int


@dataclass(frozen=True)
class OneSided:
    """Categories that are on one side only: how many, how many values they are at least, and as a share; the most frequent.

    `chance` is at least how likely so many values are where both sides are samples of the same.
    """

    categories: int
    values: int
    share: float
    chance: float
    shown: tuple[Any, ...]


@dataclass(frozen=True)
class ColumnDrift:
    """What has become of a column. `old` is None of an added one, `new` of a removed one."""

    column: str  # its name in the new version, of a removed one in the old one
    old: Summary | None
    new: Summary | None
    comparable: bool = False  # whether values of both types can be compared
    distances: tuple[Distance, ...] = ()  # none where there is nothing to compare
    outside: Figure | None = None  # share of the new values that are not between the old least and greatest
    reach: float | None = None  # how far they get out, in widths of the old range
    tails: float | None = None  # how wide that is, in widths of its middle 90 %
    new_categories: OneSided | None = None
    vanished_categories: OneSided | None = None
    histogram: tuple[DriftBin, ...] = ()  # of what is measured; none where all values are categories
    categories: tuple[Category, ...] = ()  # the most frequent

    @property
    def renamed(self) -> bool:
        return self.old is not None and self.new is not None and self.old.column != self.new.column

    @property
    def retyped(self) -> bool:
        return self.old is not None and self.new is not None and self.old.type != self.new.type


@dataclass(frozen=True)
class TableDrift:
    """What has become of a table's columns: those of the new version in its order, then those that are gone."""

    old_rows: int
    new_rows: int
    columns: tuple[ColumnDrift, ...]


def table_drift(
    old_schema: Schema,
    old: Sequence[ColumnProfile],
    new_schema: Schema,
    new: Sequence[ColumnProfile],
    renamed: Mapping[str, str] | None = None,
) -> TableDrift:
    """The drift between two versions of a table, from the profiles of their columns; `renamed` has old names by new ones."""
    had = dict(zip(old_schema.names, zip(old_schema.types, old, summaries(old_schema, old), strict=True), strict=True))
    names = renamed or {}
    taken = set(names.values())
    drafts: list[_Draft | None] = []
    pairs: list[tuple[Summary | None, Summary | None]] = []
    for name, t, profile, summary in zip(
        new_schema.names, new_schema.types, new, summaries(new_schema, new), strict=True
    ):
        was = names.get(name, None if name in taken else name)
        before = None if was is None else had.pop(was, None)
        drafts.append(_Draft(before[0], before[1], t, profile) if before and comparable(before[0], t) else None)
        pairs.append((before[2] if before else None, summary))
    found = [d.numbers() for d in drafts if d]
    shown = iter(json_of(found) if found else [])
    columns = []
    for draft, (past, now) in zip(drafts, pairs, strict=True):
        assert now is not None
        columns.append(draft.drift(past, now, next(shown)) if draft else ColumnDrift(now.column, past, now))
    columns += [ColumnDrift(summary.column, summary, None) for _, _, summary in had.values()]
    return TableDrift(old[0].rows, new[0].rows, tuple(columns))


class _Side(NamedTuple):
    """A column of one version, on the scale of both."""

    profile: ColumnProfile
    numbers: Quantiles
    frequent: Frequent | None
    low: Any
    high: Any


class _Draft:
    """The drift of a column before its values are JSON: those of all columns become JSON at once."""

    def __init__(self, old_type: Type, old: ColumnProfile, new_type: Type, new: ColumnProfile) -> None:
        self._axis = axis(old, old_type, new, new_type) if old.present and new.present else None
        self._categories: Categories | None = None
        self._whole = False  # whether all values are among the categories
        self._edges: Any = []
        if self._axis is None:
            return
        assert old.numbers is not None
        assert new.numbers is not None
        alike = old.numbers.values.dtype == new.numbers.values.dtype
        self._measured = new.measure == "values"
        self._old, self._new = (
            _side(p, scale, self._axis, alike) for p, scale in ((old, self._axis.old), (new, self._axis.new))
        )
        if self._old.frequent is not None and self._new.frequent is not None:
            self._find_categories(self._old.frequent, self._new.frequent)
        if not self._whole:
            self._edges = bins.edges([self._old.numbers, self._new.numbers])

    def _find_categories(self, old: Frequent, new: Frequent) -> None:
        n, m = self._old.profile.present, self._new.profile.present
        known = not old.error and not new.error
        if self._measured:
            many = len(old.counts.keys() | new.counts.keys()) if known else FEW + 1
            self._whole = many <= FEW and 2 * many <= min(n, m)
        else:
            self._whole = known and self._repeats()
        if self._whole:
            self._categories = distances.of_all(old, new)
        elif not self._measured:
            self._categories = distances.of_frequent(old, n, new, m)

    def _repeats(self) -> bool:
        """Whether the old values occur twice on average: then they are categories, and not names of single rows."""
        old = self._old.profile
        return old.distinct is not None and 2 * old.distinct.count <= old.present

    def numbers(self) -> tuple[Type, list[Any]]:
        """Arrays of what is to be shown as values of a type: edges, categories."""
        if self._axis is None:
            return _EMPTY, [np.zeros(0, np.int64)]
        dtype = self._new.numbers.values.dtype
        values = self._categories.values if self._categories and self._measured else []
        arrays = [np.asarray(values, dtype) for values in (self._edges, values)]
        if not self._axis.plain and self._axis.type.kind != "float64":  # times of two units
            arrays = [np.round(array).astype(np.int64) for array in arrays]
        return self._axis.type, arrays

    def drift(self, was: Summary | None, now: Summary, shown: list[list[Any]]) -> ColumnDrift:
        """With what `numbers` gave as JSON."""
        if self._axis is None:
            return ColumnDrift(now.column, was, now, True)
        edges, values = shown
        old, new, found = self._old, self._new, self._categories
        spelt = dict(zip(found.values, values, strict=True)) if found and self._measured else None
        top = _spelt(found.values[:SHOWN], spelt) if found else []
        counts = [bins.counts(side.numbers, self._edges) for side in (old, new)]
        return ColumnDrift(
            now.column,
            was,
            now,
            True,
            tuple(self._distances()),
            _outside(old, new) if self._measured else None,
            *(_reach(old, new) if self._measured else (None, None)),
            self._one_sided(new, old, spelt),
            self._one_sided(old, new, spelt),
            tuple(map(DriftBin, edges[:-1], edges[1:], *counts)),
            tuple(map(Category, top, found.old, found.new)) if found else (),
        )

    def _distances(self) -> list[Distance]:
        old, new, out = self._old.numbers, self._new.numbers, []
        found = self._categories
        if found and not self._measured:
            out.append(_distance("categories", found.binned))
        if self._measured or not self._whole:
            binned = found.binned if found and self._whole else distances.by_shares(old, new)
            out.append(_distance(self._new.profile.measure or "values", binned, distances.ks(old, new)))
        return out

    def _one_sided(self, here: _Side, there: _Side, spelt: dict[Value, Any] | None) -> OneSided | None:
        """The categories of a side that the other one has not; None where that is not known, or values are no categories."""
        if here.frequent is None or there.frequent is None or there.frequent.error:
            return None
        if not (self._whole if self._measured else self._repeats()):
            return None
        only = [(v, c) for v, c in here.frequent.counts.items() if v not in there.frequent.counts]
        values = sum(c for _, c in only)
        shown = _spelt([v for v, _ in only[:SHOWN]], spelt)
        n, m = here.profile.present, there.profile.present
        both = (Counter(here.frequent.counts) + Counter(there.frequent.counts)).values()
        return OneSided(len(only), values, values / n, chance.one_sided(both, n / (n + m), values), tuple(shown))


def _spelt(values: list[Value], spelt: dict[Value, Any] | None) -> list[Any]:
    """Values as JSON has them: texts and binary values, unless their spelling is given."""
    return texts(list(values)) if spelt is None else [spelt[v] for v in values]


def _side(p: ColumnProfile, scale: tuple[int, int], on: Axis, alike: bool) -> _Side:
    assert p.numbers is not None
    numbers = on_axis(p.numbers, scale, on, alike)
    if p.measure != "values":
        return _Side(p, numbers, p.frequent, None, None)
    frequent = values_on_axis(p.frequent, scale, on, alike) if p.frequent else None
    ends: Any = (p.low, p.high)  # numbers, as what is measured are the values
    low, high = (numbers.values.dtype.type(v) if on.plain else float(v) * scale[0] / scale[1] for v in ends)
    return _Side(p, numbers, frequent, low, high)


def _distance(of: Any, binned: Binned, ks: Figure | None = None) -> Distance:
    sizes = binned.filled, binned.old.values, binned.new.values
    return Distance(of, distances.psi(binned), distances.js(binned), ks, *sizes)


def _outside(old: _Side, new: _Side) -> Figure:
    """The share of the new values below the least old one or above the greatest."""
    count, error = new.numbers.count, new.numbers.error
    found = [int(new.numbers.below(old.low, "left"))] if new.low < old.low else []
    found += [count - int(new.numbers.below(old.high))] if new.high > old.high else []
    value = sum(max(1, n) for n in found)
    low = sum(max(1, n - error) for n in found)
    return Figure(value / count, low / count, min(count, value + error * len(found)) / count)


def _reach(old: _Side, new: _Side) -> tuple[float | None, float | None]:
    """How far the new values get out of the old range, in its widths, and how wide it is; None where that is no number."""
    least, most, low, high = (float(v) for v in (old.low, old.high, new.low, new.high))
    width = most - least
    if not 0 < width < math.inf or not math.isfinite(high - low):
        return None, None
    lower, upper = (float(v) for v in old.numbers.quantiles((0.05, 0.95)))
    middle = upper - lower
    return max(0.0, least - low, high - most) / width, width / middle if width < middle * 1e300 else None
