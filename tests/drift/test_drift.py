"""Drift from profiles against exact figures from the full columns (scipy), for columns of every kind."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from drifting import SHIFTED, Pair, drift, numbers, profile, texts
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from dpkg.arrow.schema import Schema
from dpkg.arrow.summary import SHARES
from dpkg.drift.columns import ColumnDrift, Distance, table_drift
from dpkg.drift.verdicts import judge

NUMBERS, TEXTS = numbers(), texts()


@cache
def of(name: str) -> ColumnDrift:
    pair = (NUMBERS | TEXTS)[name]
    return drift(pair.arrow(pair.old), pair.arrow(pair.new))


def present(values: Any) -> Any:
    """Numbers in order, without NaN."""
    found = np.sort(values.astype(np.int64) if values.dtype == bool else values)
    return found[~np.isnan(found)] if found.dtype.kind == "f" else found


def exact_psi(p: Any, q: Any, floor: float = 1e-4) -> float:
    """Of categories; of bins of numbers the floor is 0.005."""
    p, q = np.maximum(p, floor), np.maximum(q, floor)
    return float(((q - p) * np.log(q / p)).sum())


def exact_shares(a: Any, b: Any) -> tuple[Any, Any]:
    """Over the exact deciles of `a`: a value that has more than a tenth is a bin of its own. Few different values: one each."""
    both = np.union1d(a, b)
    if len(both) <= 20:
        return tuple(np.array([np.count_nonzero(x == v) for v in both]) / len(x) for x in (a, b))
    bounds: list[tuple[Any, str]] = []
    for v in np.unique(np.quantile(a, np.arange(1, 10) / 10, method="inverted_cdf")):
        if np.count_nonzero(a == v) * 10 > len(a):
            bounds.append((v, "left"))
        bounds.append((v, "right"))
    ends = [[0, *(np.searchsorted(x, v, side) for v, side in bounds), len(x)] for x in (a, b)]
    return tuple(np.diff(e) / len(x) for e, x in zip(ends, (a, b), strict=True))


@pytest.mark.spec("DRI-1")
@pytest.mark.spec("DRI-2")
@pytest.mark.spec("DRI-7")
@pytest.mark.parametrize("name", NUMBERS)
def test_distances_of_numbers_are_within_a_hundredth(name: str) -> None:
    pair = NUMBERS[name]
    a, b = present(pair.old), present(pair.new)
    (found,) = of(name).distances
    assert found.of == "values"
    exact = ks_2samp(a, b, method="asymp").statistic
    assert found.ks is not None
    assert found.ks.value == pytest.approx(exact, abs=0.01)
    assert found.ks.low <= exact + 1e-12
    assert exact <= found.ks.high + 1e-12
    assert found.ks.high - found.ks.low <= 0.02
    p, q = exact_shares(a, b)
    floor = 1e-4 if len(np.union1d(a, b)) <= 20 else 5e-3
    assert found.psi.value == pytest.approx(exact_psi(p, q, floor), abs=0.01)
    assert found.js.value == pytest.approx(jensenshannon(p, q, base=2), abs=0.01)
    for figure in (found.psi, found.js):
        assert figure.low <= figure.value <= figure.high


@pytest.mark.spec("DRI-7")
@pytest.mark.parametrize("name", SHIFTED)
@pytest.mark.parametrize(("old_rows", "new_rows", "parts"), [
    (30_000, 24_000, 20),
    pytest.param(100_000, 70_000, 20, marks=pytest.mark.long),
    pytest.param(2_000_000, 1_700_000, 40, marks=pytest.mark.long),
])  # fmt: skip
def test_shifts_of_every_size_are_within_a_hundredth(name: str, old_rows: int, new_rows: int, parts: int) -> None:
    """Also where a tenth of the values goes, but for a few."""
    r = np.random.default_rng(11)
    old = SHIFTED[name](r, old_rows, 0)
    a, had = np.sort(old), profile(pa.array(old), parts)
    schema = Schema.from_arrow(pa.schema([("x", pa.array(old[:1]).type)]))
    for shift in (0.05, 0.3, 0.6, 1.0):
        new = SHIFTED[name](r, new_rows, shift)
        b = np.sort(new)
        column = table_drift(schema, [had], schema, [profile(pa.array(new), parts)]).columns[0]
        (found,) = column.distances
        p, q = exact_shares(a, b)
        assert found.psi.value == pytest.approx(exact_psi(p, q, 5e-3), abs=0.01), shift
        assert found.js.value == pytest.approx(jensenshannon(p, q, base=2), abs=0.01), shift
        assert found.ks is not None
        assert found.ks.value == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=0.01), shift


@pytest.mark.spec("DRI-1")
def test_the_bounds_hold_where_a_bin_is_nearly_empty() -> None:
    r = np.random.default_rng(10)
    old, new = r.uniform(0, 10, 30_000), r.uniform(0.998, 11, 24_000)
    (found,) = drift(pa.array(old), pa.array(new)).distances
    p, q = exact_shares(np.sort(old), np.sort(new))
    assert 0 < q.min() < 0.002
    assert found.psi.low <= exact_psi(p, q, 5e-3) <= found.psi.high
    assert found.js.low <= jensenshannon(p, q, base=2) <= found.js.high


@pytest.mark.spec("DRI-1")
@pytest.mark.parametrize("name", NUMBERS)
def test_quantiles_are_within_the_stated_error(name: str) -> None:
    pair, found = NUMBERS[name], of(name)
    for values, summary in ((pair.old, found.old), (pair.new, found.new)):
        assert summary is not None
        if values.dtype == bool or pair.arrow is not pa.array:
            continue  # shown as values of their type; tests/sketches has them
        ordered = present(values)
        for share, told in zip(SHARES, summary.quantiles, strict=True):
            value = float(told.value)
            assert np.searchsorted(ordered, value, "left") / len(ordered) <= share + summary.rank_error
            assert np.searchsorted(ordered, value, "right") / len(ordered) >= share - summary.rank_error


@pytest.mark.spec("DRI-1")
@pytest.mark.spec("DRI-2")
@pytest.mark.parametrize("name", TEXTS)
def test_distances_of_known_categories_are_exact(name: str) -> None:
    had, has = (Counter(v.tolist()) for v in TEXTS[name][:2])
    p, q = (np.array([c[k] / c.total() for k in sorted(had | has)]) for c in (had, has))
    found = of(name)
    (distance,) = found.distances
    assert (distance.of, distance.ks) == ("categories", None)
    assert distance.psi.low == distance.psi.high == distance.psi.value == pytest.approx(exact_psi(p, q))
    assert distance.js.value == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    came, gone = found.new_categories, found.vanished_categories
    assert came is not None
    assert gone is not None
    assert (came.categories, came.values) == (len(has.keys() - had), sum(has[k] for k in has.keys() - had))
    assert (gone.categories, gone.values) == (len(had.keys() - has), sum(had[k] for k in had.keys() - has))
    assert set(came.shown) <= has.keys() - had
    for category in found.categories:
        assert (category.old, category.new) == (had[category.value], has[category.value])


@pytest.mark.spec("DRI-1")
@pytest.mark.spec("DRI-7")
@pytest.mark.parametrize(("before", "after"), [(0, 0.1), (0.0004, 0.1), (0.004, 0.015), (0.02, 0.03), (0.1, 0)])
def test_of_many_texts_the_frequent_ones_and_the_lengths_are_compared(before: float, after: float) -> None:
    r = np.random.default_rng(7)
    names = [f"name {v}" for v in r.integers(0, 1 << 40, 40_000).tolist()]
    old = np.where(r.random(40_000) < 0.3, "unknown", np.where(r.random(40_000) < before, "n/a", names))
    new = np.where(r.random(40_000) < 0.2, "unknown", np.where(r.random(40_000) < after, "n/a", names))
    categories, lengths = drift(pa.array(old), pa.array(new)).distances
    p, q = (np.array([np.mean(v == "unknown"), np.mean(v == "n/a")]) for v in (old, new))
    p, q = (np.array([*v, 1 - v.sum()]) for v in (p, q))
    assert (categories.of, lengths.of) == ("categories", "characters")
    assert categories.psi.low <= exact_psi(p, q, 5e-3) <= categories.psi.high
    assert categories.psi.value == pytest.approx(exact_psi(p, q, 5e-3), abs=0.01)
    assert categories.js.value == pytest.approx(jensenshannon(p, q, base=2), abs=0.01)
    assert lengths.ks is not None
    a, b = (np.array([len(t) for t in v.tolist()]) for v in (old, new))
    assert lengths.ks.value == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=0.01)


def test_names_of_single_rows_are_no_categories() -> None:
    old, new = (pa.array([f"{kind}{i:03}" for i in range(600)]) for kind in "ab")
    found = drift(old, new)
    assert [d.of for d in found.distances] == ["characters"]
    assert found.new_categories is None
    assert found.categories == ()


@pytest.mark.spec("DRI-3")
@pytest.mark.parametrize(("old", "new", "distances"), [
    (pa.array([1, 2, 3] * 50), pa.array([1.0, 2.0, 3.0] * 50), 1),
    (pa.array([True, False] * 50), pa.array([1, 0] * 50), 1),
    (pa.array([Decimal("1.50"), Decimal("2.00")] * 50), pa.array([1.5, 2.0] * 50), 1),
    (pa.array([Decimal("1.50"), Decimal("2.00")] * 50), pa.array([Decimal("1.5"), Decimal("2.0")] * 50), 1),
    (pa.array([2, 1 << 63] * 50, pa.uint64()), pa.array([2.0, 2.0**63] * 50), 1),
    (pa.array([date(2024, 1, 1), date(2024, 2, 1)] * 50), pa.array([datetime(2024, 1, 1), datetime(2024, 2, 1)] * 50), 1),
    (pa.array([1, 2] * 50, pa.timestamp("ms")), pa.array([10**6, 2 * 10**6] * 50, pa.timestamp("ns", "UTC")), 1),
    (pa.array([timedelta(seconds=1)] * 50), pa.array([1000] * 50, pa.duration("ms")), 1),
    (pa.array(["1", "2"] * 50), pa.array([1, 2] * 50), 0),
    (pa.array(["a", "b"] * 50), pa.array([b"a", b"b"] * 50), 0),
    (pa.array([[1], [2, 3]] * 50), pa.array([[1.5], [2.5, 3]] * 50), 1),
    (pa.array([[1], [2, 3]] * 50), pa.array([["a"], ["b", "c"]] * 50), 0),
    (pa.array([{"a": 1}] * 50), pa.array([{"a": "x"}] * 50), 0),
])  # fmt: skip
def test_retyped_columns(old: pa.Array, new: pa.Array, distances: int) -> None:
    """The same values in another type of their kind are no drift; of another kind they are not compared."""
    found = drift(old, new, 2)
    assert found.retyped
    assert found.comparable == bool(distances)
    assert len(found.distances) == distances
    for d in found.distances:
        assert (d.psi.value, d.js.value, d.ks.value if d.ks else 0) == (0, 0, 0)


def test_a_retyped_column_is_shown_in_the_new_scale() -> None:
    days = pa.array([date(2024, 1, 1) + timedelta(i) for i in range(100)])
    found = drift(days, days.cast(pa.timestamp("ms")), 2)
    assert [str(found.histogram[0].low)[:10], str(found.histogram[-1].high)[:10]] == ["2024-01-01", "2024-04-09"]
    assert [(b.old, b.new) for b in found.histogram][3] == (5, 5)


def test_nested_types_have_rates_of_nulls_and_lengths() -> None:
    r = np.random.default_rng(8)
    lists = [[[0] * n for n in r.integers(0, most, 5000).tolist()] for most in (10, 14)]
    (found,) = drift(pa.array(lists[0]), pa.array(lists[1])).distances
    a, b = ([len(v) for v in side] for side in lists)
    assert found.of == "items"
    assert found.ks is not None
    assert found.ks.value == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    struct = drift(pa.array([{"a": 1}, None] * 50), pa.array([{"a": 1}] * 100))
    assert struct.distances == ()
    assert struct.old is not None
    assert struct.new is not None
    assert (struct.old.nulls, struct.new.nulls) == (50, 0)


def test_nothing_to_compare() -> None:
    some, none, empty = pa.array([1.5, 2.5] * 50), pa.nulls(100, pa.float64()), pa.array([], pa.float64())
    for old, new in ((none, none), (some, none), (none, some), (empty, some), (some, empty), (pa.nulls(100), some)):
        found = drift(old, new, 1)
        assert found.comparable
        assert (found.distances, found.outside, found.histogram) == ((), None, ())


def test_columns_are_matched_by_name_and_by_renames() -> None:
    def schema(*names: str) -> Schema:
        return Schema.from_arrow(pa.schema([(n, pa.int64()) for n in names]))

    one, two = profile(pa.array([1, 2] * 50)), profile(pa.array([5, 6] * 50))
    found = table_drift(schema("a", "b"), [one, two], schema("c", "d"), [two, one], {"d": "a"})
    assert [(c.column, c.old and c.old.column, c.new and c.new.column) for c in found.columns] == [
        ("c", None, "c"),
        ("d", "a", "d"),
        ("b", "b", None),
    ]
    assert [c.renamed for c in found.columns] == [False, True, False]
    assert found.columns[1].distances[0].psi.value == 0
    swapped = table_drift(schema("a", "b"), [one, two], schema("a", "z"), [two, one], {"z": "a"})
    assert [(c.column, c.old and c.old.column) for c in swapped.columns] == [("a", None), ("z", "a"), ("b", "b")]


def test_values_outside_the_old_range() -> None:
    old, new = np.arange(1000), np.concatenate([np.arange(900), np.full(100, 99_999)])
    found = drift(pa.array(old), pa.array(new))
    assert found.outside is not None
    assert found.outside.low <= 0.1 <= found.outside.high
    assert found.reach == pytest.approx((99_999 - 999) / 999)


def test_a_histogram_has_both_sides_over_the_same_bins() -> None:
    found = of("normal")
    assert sum(b.old for b in found.histogram) == len(NUMBERS["normal"].old)
    assert sum(b.new for b in found.histogram) == len(NUMBERS["normal"].new)
    assert len(found.histogram) == 20
    assert all(x.high == y.low for x, y in zip(found.histogram, found.histogram[1:], strict=False))
    assert [(c.value, c.old) for c in of("few").categories if not c.old] == [(6, 0)]
    assert {c.value for c in of("flags").categories} == {True, False}
    prices = of("prices").histogram
    assert all(isinstance(b.low, str | float) for b in prices)


def _figures(d: Distance) -> list[Any]:
    return [f for f in (d.psi, d.js, d.ks) if f is not None]


@pytest.mark.spec("DRI-6")
@settings(max_examples=6, deadline=None)
@given(st.sampled_from(sorted(NUMBERS | TEXTS)), st.integers(1, 40), st.integers(0, 99))
def test_the_same_rows_in_any_order_and_cut_are_no_drift(name: str, parts: int, seed: int) -> None:
    """Exactly none of the same profile; of the same rows in another order, cut elsewhere, no more than the bounds say."""
    pair: Pair = (NUMBERS | TEXTS)[name]
    old = pair.arrow(pair.old[:5000])
    new = pair.arrow(np.random.default_rng(seed).permutation(pair.old[:5000]))
    same, mixed = drift(old, old, parts), drift(old, new, parts)
    for d in same.distances:
        assert [f.value for f in _figures(d)] == [0.0] * len(_figures(d))
    for d in mixed.distances:
        assert [f.low for f in _figures(d)] == pytest.approx([0.0] * len(_figures(d)), abs=1e-12)
        assert all(f.value < 0.03 for f in _figures(d))
    schema = Schema.from_arrow(pa.schema([("x", old.type)]))
    for shuffled in (old, new):
        table = table_drift(schema, [profile(old, parts)], schema, [profile(shuffled, parts)])
        assert judge(table).verdict == "none"


@pytest.mark.spec("DRI-6")
@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=40), st.lists(st.floats(), max_size=40))
def test_of_few_rows_all_is_exact_and_ks_and_js_of_categories_are_symmetric(old: list[Any], new: list[Any]) -> None:
    a, b = pa.array(old, pa.float64()), pa.array(new, pa.float64())
    there, back = drift(a, b, 1), drift(b, a, 1)
    assert len(there.distances) == len(back.distances)
    for x, y in zip(there.distances, back.distances, strict=True):
        assert x.ks is not None
        assert y.ks is not None
        assert x.ks.value == y.ks.value == x.ks.low == x.ks.high
        assert x.psi.low == pytest.approx(x.psi.high)
        numbers = [present(np.array([v for v in side if v is not None])) for side in (old, new)]
        assert x.ks.value == pytest.approx(ks_2samp(*numbers, method="asymp").statistic, abs=1e-12)
        if there.categories:
            assert x.js.value == pytest.approx(y.js.value)
