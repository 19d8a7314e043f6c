"""Profiles of columns against exact figures, and that any way of merging them gives the same bytes."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3
from columns import columns, numbers, texts
from hypothesis import given
from hypothesis import strategies as st

from dpkg.arrow import profile as profiling
from dpkg.arrow.profile import Part
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import stats_row
from dpkg.errors import Corrupt
from dpkg.objects.node import FragmentEntry
from dpkg.oid import Oid
from dpkg.sketches import coding
from dpkg.sketches.column import ColumnProfile, Gathering

COLUMNS, TEXTS, OTHER = columns(), texts(), columns(1)
LEAF = 40  # parts: two levels of the gathering, and some beside


def part_profiles(array: pa.Array, parts: int) -> list[list[ColumnProfile]]:
    """Those of parts of a column, of different lengths."""
    schema = Schema.from_arrow(pa.schema([("x", array.type)]))
    cuts = [len(array) * i * i // (parts * parts) for i in range(parts + 1)]
    found = [array.slice(a, b - a) for a, b in pairwise(cuts) if a < b]
    return [
        profiling.profile([Part(FragmentEntry(Oid("0" * 64), len(x), x.nbytes), [x], stats_row([x], schema))], schema)
        for x in found
    ]


def leaf_profile(array: pa.Array, parts: int = LEAF) -> ColumnProfile:
    """That of a leaf, as a build stores it, through its bytes."""
    gathering = Gathering()
    for found in part_profiles(array, parts):
        gathering.add(found)
    data = coding.encode(gathering.finish(), len(array))
    return coding.decode(data, 1, len(array))[0]


@cache
def of(name: str, parts: int = LEAF) -> ColumnProfile:
    """The profile of a column by its name."""
    return leaf_profile((COLUMNS | TEXTS)[name], parts)


def body(profile: ColumnProfile) -> bytes:
    """The bytes of a profile before they are compressed."""
    import zstandard

    data = coding.encode([profile], profile.rows)
    return zstandard.ZstdDecompressor().decompress(data[16:-32])


@pytest.mark.spec("PRO-1")
@pytest.mark.parametrize("parts", [1, LEAF])
@pytest.mark.parametrize("name", COLUMNS)
def test_ranks_are_within_the_stated_error(name: str, parts: int) -> None:
    """Of every value, and of the quantiles; and the error stated is at most half a per cent."""
    array = COLUMNS[name]
    exact, found = numbers(array), of(name, parts)
    assert (found.rows, found.nulls) == (len(array), array.null_count)
    sketch = found.numbers
    assert sketch is not None
    assert sketch.count == found.present == len(exact)
    assert sketch.rank_error <= 0.00125
    if not len(exact):
        return
    assert (found.low, found.high) == (exact[0], exact[-1])
    off = sketch.below(exact) - np.searchsorted(exact, exact, side="right")
    assert np.abs(off).max() <= sketch.error
    shares = np.array([0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0])
    picked = sketch.quantiles(shares)
    assert np.isin(picked, exact).all()
    wanted = np.clip(np.ceil(shares * len(exact)), 1, len(exact))
    above, upto = np.searchsorted(exact, picked, side="left") + 1, np.searchsorted(exact, picked, side="right")
    assert (above - sketch.error <= wanted).all()
    assert (wanted <= upto + sketch.error).all()


@pytest.mark.spec("PRO-1")
@pytest.mark.parametrize("name", [n for n in COLUMNS if n != "all_null"])
def test_kolmogorov_smirnov_of_two_profiles_is_within_a_hundredth(name: str) -> None:
    """Of each column with one made of other random numbers, and with one that is shifted."""
    first = COLUMNS[name]
    exact = numbers(first)
    for second in (OTHER[name], first.slice(len(first) // 3)):
        other = numbers(second)
        at = np.union1d(exact, other)
        ranks = [np.searchsorted(v, at, side="right") / len(v) for v in (exact, other)]
        a, b = (leaf_profile(x).numbers for x in (first, second))
        assert a is not None
        assert b is not None
        points = np.union1d(a.values, b.values)
        measured = np.abs(a.below(points) / a.count - b.below(points) / b.count).max()
        assert abs(measured - np.abs(ranks[0] - ranks[1]).max()) <= 0.01


@pytest.mark.spec("PRO-1")
@pytest.mark.parametrize("name", COLUMNS)
def test_mean_and_variance(name: str) -> None:
    """Against sums that are rounded once."""
    exact = numbers(COLUMNS[name]).astype(np.float64)
    found = of(name)
    finite = exact[np.isfinite(exact)]
    assert found.infinities == len(exact) - len(finite)
    moments = found.moments
    assert moments is not None
    assert moments.count == len(finite)
    if not len(finite):
        assert (moments.mean, moments.variance) == (None, None)
        return
    scale = math.ldexp(1, math.frexp(np.abs(finite).max())[1])  # so that squares are neither infinite nor nothing
    values = (finite / scale).tolist()
    mean = math.fsum(values) / len(values)
    spread = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
    assert moments.mean == pytest.approx(mean * scale, rel=1e-9, abs=scale * 1e-9)
    assert moments.variance == pytest.approx(spread * scale * scale, rel=1e-9)


@pytest.mark.spec("PRO-1")
@pytest.mark.parametrize("name", [*COLUMNS, *TEXTS])
def test_distinct(name: str) -> None:
    """Exact below 1,024; else within five standard errors: the hashes are always the same, so this never fails by chance."""
    array = COLUMNS[name] if name in COLUMNS else TEXTS[name]
    exact = len(np.unique(numbers(array))) if name in COLUMNS else len(array.drop_null().unique())
    found = of(name).distinct
    assert found is not None
    assert found.exact == (exact < 1024)
    assert abs(found.count - exact) <= 5 * found.standard_error * exact


@pytest.mark.spec("PRO-1")
@pytest.mark.parametrize("name", [*COLUMNS, *TEXTS])
def test_frequent_values(name: str) -> None:
    """Each occurs at least as often as said, and at most `error` times more; what is not there at most `error` times."""
    array = COLUMNS[name] if name in COLUMNS else TEXTS[name]
    exact = Counter(numbers(array).tolist() if name in COLUMNS else [_kept(v) for v in array.drop_null().to_pylist()])
    frequent = of(name).frequent
    assert frequent is not None
    assert len(frequent.counts) <= 1024
    assert frequent.error <= 0.005 * len(array)
    for value, count in exact.items():
        least = frequent.counts.get(value, 0)
        assert least <= count <= least + frequent.error
    if len(exact) <= 1024:
        assert frequent.counts == dict(sorted(sorted(exact.items()), key=lambda item: -item[1]))
        assert frequent.error == 0


def _kept(value: Any) -> Any:
    if len(value) <= 128:
        return value
    return f"{value[:128]}… {blake3(value.encode()).hexdigest(8)}"


@pytest.mark.parametrize("name", TEXTS)
def test_lengths(name: str) -> None:
    exact = np.array([len(v) for v in TEXTS[name].drop_null().to_pylist()])
    found = of(name)
    assert found.numbers is not None
    assert found.moments is not None
    assert found.moments.mean == pytest.approx(exact.mean(), rel=1e-9)
    exact.sort()
    off = found.numbers.below(exact) - np.searchsorted(exact, exact, side="right")
    assert np.abs(off).max() <= found.numbers.error
    assert found.measure == ("bytes" if name == "binary" else "characters")


def test_other_types_have_counts_and_lengths_of_lists() -> None:
    lists = leaf_profile(pa.array([[1], None, [], [1, 2, 3]]), 2)
    assert (lists.rows, lists.nulls, lists.measure) == (4, 1, "items")
    assert lists.numbers is not None
    assert lists.numbers.values.tolist() == [0, 1, 3]
    structs = leaf_profile(pa.array([{"a": 1}, None]), 1)
    assert (structs.rows, structs.nulls, structs.numbers, structs.distinct) == (2, 1, None, None)
    nothing = leaf_profile(pa.nulls(5), 1)
    assert (nothing.rows, nothing.nulls, nothing.distinct) == (5, 5, None)


@pytest.mark.spec("PRO-2")
@given(st.data())
def test_any_grouping_merges_to_the_same_bytes(data: st.DataObject) -> None:
    """And any order."""
    source = COLUMNS | TEXTS
    name = data.draw(st.sampled_from(sorted(source)))
    parts = [p[0] for p in part_profiles(source[name].slice(0, 9000), 6)]
    whole = body(ColumnProfile.merge(parts))
    groups = data.draw(st.permutations(parts))
    while len(groups) > 1:
        at = data.draw(st.integers(0, len(groups) - 2))
        size = data.draw(st.integers(2, len(groups) - at))
        groups[at : at + size] = [ColumnProfile.merge(groups[at : at + size])]
    assert body(groups[0]) == whole


@pytest.mark.spec("PRO-2")
@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_quicker_than_sorting_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = part_profiles(COLUMNS[name], 1)[0][0]
    monkeypatch.setattr(profiling, "_MANY", 1 << 60)
    slow = part_profiles(COLUMNS[name], 1)[0][0]
    assert quick.numbers is not None
    assert slow.numbers is not None
    assert np.array_equal(quick.numbers.values, slow.numbers.values)
    assert np.array_equal(quick.numbers.weights, slow.numbers.weights)
    assert (quick.numbers.error, quick.low, quick.high) == (slow.numbers.error, slow.low, slow.high)
    assert quick.distinct is not None
    assert slow.distinct is not None
    assert np.array_equal(quick.distinct.hashes, slow.distinct.hashes)
    assert quick.frequent is not None
    assert slow.frequent is not None
    assert quick.frequent.counts == slow.frequent.counts


@pytest.mark.spec("PRO-2")
def test_the_bytes_are_the_same_on_every_machine() -> None:
    """Of numbers that no library's version changes: neither random ones nor logarithms."""
    n = 50_000
    mixed = (np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(12)
    values = mixed.astype(np.float64) * 2.0**-52
    for array, digest in (
        (pa.array(values), "036be5444c8ba374"),
        (pa.array(values * values * values - 0.1), "221755750358b3da"),
        (pa.array((mixed % np.uint64(1000)).astype(np.int64)), "9dfd8914474a6296"),
        (pa.array([f"text {v % 5000}" for v in mixed.tolist()]), "f17409f1c751c531"),
        (pa.array([f"text {v}" for v in mixed.tolist()]), "88343f8aa49eb42e"),
    ):
        assert blake3(body(leaf_profile(array))).hexdigest()[:16] == digest


@pytest.mark.spec("PRO-2")
def test_the_bytes_are_the_same_without_vector_units() -> None:
    """Those of columns of all kinds, in a process that has numpy's code for the oldest processor."""
    here = Path(__file__).parent
    code = "import test_profile as t; all = [t.leaf_profile(a.slice(0, 9000), 2) for a in t.COLUMNS.values()]"
    code += "; print(*[t.blake3(t.body(p)).hexdigest() for p in all])"
    found = set()
    for disabled in ("", _vector_units()):
        env = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONPATH": f"{here}:{here.parents[1]}"}
        found.add(
            subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout
        )
    assert len(found) == 1


def _vector_units() -> str:
    """All that numpy would choose from on this machine."""
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    except ImportError:  # numpy 1
        from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))


@pytest.mark.spec("PRO-1")
def test_of_many_columns_each_has_fewer_points() -> None:
    """So that what waits to be merged stays small; they are still within half a percent."""
    values = np.random.default_rng(8).normal(size=(3, 9000))
    schema = Schema.from_arrow(pa.schema([(f"c{i}", pa.float64()) for i in range(300)]))
    gathering = Gathering()
    for part in values:
        columns = [pa.array(part)] * 300
        entry = FragmentEntry(Oid("0" * 64), len(part), part.nbytes * 300)
        gathering.add(profiling.profile([Part(entry, columns, stats_row(columns, schema))], schema))
    found = gathering.finish()[-1].numbers
    exact = np.sort(values.ravel())
    assert found is not None
    assert len(found.values) == 1024
    off = np.abs(found.below(exact) - np.searchsorted(exact, exact, side="right")).max()
    assert off <= found.error <= 0.005 * len(exact)


@pytest.mark.spec("PRO-1")
def test_a_table_of_many_leaves_stays_within_the_error() -> None:
    """Of 300 leaves, which are merged in two levels and once more: and what is frequent stays exact."""
    rng = np.random.default_rng(7)
    amounts, kinds = rng.lognormal(3, 1, 600_000), rng.integers(0, 900, 600_000)
    for values in (amounts, kinds):
        gathering = Gathering()
        for part in np.array_split(values, 300):
            gathering.add([leaf_profile(pa.array(part), 1)])
        (whole,) = gathering.finish()
        exact = np.sort(values)
        assert whole.numbers is not None
        off = np.abs(whole.numbers.below(exact) - np.searchsorted(exact, exact, side="right")).max()
        assert off <= whole.numbers.error <= 0.0008 * len(values)
        assert len(whole.numbers.values) <= 4096
    assert whole.frequent is not None
    assert (whole.frequent.counts, whole.frequent.error) == (Counter(kinds.tolist()), 0)


@given(st.data())
def test_a_damaged_profile_is_corrupt(data: st.DataObject) -> None:
    good = coding.encode([leaf_profile(COLUMNS["small"].slice(0, 100), 1)], 100)
    kind = data.draw(st.sampled_from(["flip", "cut", "rows", "forged"]))
    if kind == "flip":
        at = data.draw(st.integers(0, len(good) - 1))
        bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    elif kind == "cut":
        bad = good[: data.draw(st.integers(0, len(good) - 1))]
    elif kind == "forged":  # with a digest that fits
        inner = data.draw(st.binary(max_size=64))
        bad = struct.pack("<8sQ", b"dpkgprof", len(inner)) + inner
        bad += blake3(bad).digest()
    else:
        bad = good
    with pytest.raises(Corrupt):
        coding.decode(bad, 1, 99 if kind == "rows" else 100)
