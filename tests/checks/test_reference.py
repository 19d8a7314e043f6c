"""Every evaluator against a few lines of Python that are plainly right, over columns of all types with nulls and NaN, however cut."""

from __future__ import annotations

import json
import math
import random
import statistics
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import forms
import numpy as np
import pyarrow as pa
import pytest
import strategies as strategy
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import FLAT, FLOATS, INTS, Plain, cuts, kind, param, storage, tables

from dpkg.arrow.checks import whole
from dpkg.arrow.checks.base import Outcome
from dpkg.arrow.checks.make import Surroundings, make
from dpkg.arrow.checks.spool import Keys, KeySpool, Pile
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.errors import Usage

MOST = 4
NAN = ("nan",)  # equal to itself
ORDERED = FLAT.filter(lambda t: kind(t) not in ("null", "bool"))
NUMBERS = st.sampled_from([*INTS, *FLOATS]) | st.sampled_from(
    [[5, 2], [18, 0], [19, 19], [38, 3], [50, 7], [76, 76]]
).map(lambda p: {"decimal": p})
SEEDS = strategy.randoms()


def columns_of(types: st.SearchStrategy[Any]) -> st.SearchStrategy[Plain]:
    return tables(types, columns=1, most=30)


def outcome(rng: random.Random, table: Plain, rule: str, column: bool, args: dict[str, Any]) -> Outcome:
    """What an evaluator finds of a table in parts; what it keeps goes through JSON, as derived data does."""
    arrow, batches = forms.batches(rng, table)
    schema = Schema.from_arrow(arrow)
    plain = [p for b in batches for p in normalise(b, schema)]
    whole_ = pa.Table.from_batches(plain, schema.plain).combine_chunks()
    rows = pa.RecordBatch.from_arrays(
        [c.chunk(0) if c.num_chunks else pa.array([], c.type) for c in whole_.columns], schema=schema.plain
    )
    known: Callable[[str, str], whole.Known] = lambda path, name: whole.Known([], schema.types[0])  # noqa: E731
    at = Surroundings(MOST, 0, lambda: None, known, lambda sql: Outcome(0), lambda args: Outcome(0))
    evaluator = make(rule, schema.names[0] if column else None, args, schema, at)
    for start, stop in cuts(rng, rows.num_rows):
        part = rows.slice(start, stop - start)
        measured = evaluator.measure({n: part.column(n) for n in evaluator.columns}, part.num_rows)
        if evaluator.kept:
            measured = json.loads(json.dumps(measured))
        evaluator.add(measured, start)
    return evaluator.outcome()


def value(v: Any, t: Any) -> Any:
    """A plain value so that Python's order and equality are those of the rules; None for null."""
    k = kind(t)
    if v is None:
        return None
    if k == "extension":
        return value(v, storage(t))
    if k == "list":
        return tuple(value(x, param(t)) for x in v)
    if k == "fixed_list":
        return tuple(value(x, param(t)[1]) for x in v)
    if k == "struct":
        return tuple(value(x, f[1]) for x, f in zip(v, param(t), strict=True))
    if k == "map":
        return tuple((value(x, param(t)[0]), value(y, param(t)[1])) for x, y in v)
    if k in FLOATS:
        width = FLOATS[k][0]
        number = struct.unpack({2: "<e", 4: "<f", 8: "<d"}[width], v.to_bytes(width, "little"))[0]
        return NAN if math.isnan(number) else number
    if k == "decimal":
        return Fraction(v, 10 ** param(t)[1])
    return v


def column(table: Plain) -> list[Any]:
    return [value(v, table.schema[0][1]) for v in table.columns[0]]


def same_rows(found: Outcome, bad: list[int]) -> None:
    assert found.bad == len(bad)
    assert [b.row for b in found.rows] == bad[:MOST]


@given(SEEDS, columns_of(strategy.TYPES))
def test_not_null(rng: random.Random, table: Plain) -> None:
    same_rows(outcome(rng, table, "not_null", True, {}), [i for i, v in enumerate(table.columns[0]) if v is None])


def repeats(rows: list[Any]) -> list[int]:
    seen: set[Any] = set()
    return [i for i, row in enumerate(rows) if row in seen or seen.add(row)]  # type: ignore[func-returns-value]


@pytest.mark.spec("CHK-2", "CHK-4")
@given(SEEDS, columns_of(FLAT))
def test_unique(rng: random.Random, table: Plain) -> None:
    found = column(table)
    at = [i for i, v in enumerate(found) if v is not None]
    same_rows(outcome(rng, table, "unique", True, {}), [at[i] for i in repeats([found[i] for i in at])])


@pytest.mark.spec("CHK-2", "CHK-4")
@given(SEEDS, tables(most=30, columns=2))
def test_duplicates(rng: random.Random, table: Plain) -> None:
    """A nested -0.0 is not 0.0: there a digest of canonical values decides."""
    flat = [kind(storage(t)) not in ("list", "fixed_list", "struct", "map") for _, t in table.schema]
    made = [
        [value(v, t) if f else json.dumps(v if v is None else strategy.canonical(v, t), default=repr) for v in c]
        for f, c, (_, t) in zip(flat, table.columns, table.schema, strict=True)
    ]
    rows = list(zip(*made, strict=True))
    same_rows(outcome(rng, table, "duplicates", False, {"max": "0"}), repeats(rows))
    some = repeats(rows)
    assert outcome(rng, table, "duplicates", False, {"max": str(len(some))}).bad == 0


@pytest.mark.spec("CHK-2", "CHK-4")
@given(
    SEEDS,
    columns_of(ORDERED),
    st.sampled_from(["increasing", "strictly_increasing", "decreasing", "strictly_decreasing"]),
)
def test_monotonic(rng: random.Random, table: Plain, order: str) -> None:
    bad, last = [], None
    for i, v in enumerate(column(table)):
        if v is None:
            continue
        if v is NAN:
            bad.append(i)
            continue
        strict = order.startswith("strictly") and v == last
        if last is not None and (strict or (v < last if order.endswith("increasing") else v > last)):
            bad.append(i)
        last = v
    same_rows(outcome(rng, table, "monotonic", True, {"order": order}), bad)


def bound_text(rng: random.Random, t: Any, values: list[Any]) -> tuple[str, Any]:
    """A bound as text, and what it is."""
    if kind(t) in FLOATS:
        present = [v for v in values if v is not None and v is not NAN and math.isfinite(v)]
        number = rng.choice([0.0, 1.5, *present])
        return repr(number), number
    if kind(t) == "utf8":
        text = rng.choice(["", "a", "é", *[v for v in values if v is not None]])
        return text, text
    present = [v for v in values if v is not None]
    exact = rng.choice([Fraction(0), Fraction(5, 2), Fraction(-10) ** 77, Fraction(10) ** 77, *map(Fraction, present)])
    if kind(t) in INTS and rng.random() < 0.3:
        exact += Fraction(1, 4)
    return _decimal(exact), exact


def _decimal(exact: Fraction) -> str:
    scaled = exact * 10**80
    assert scaled.denominator == 1
    sign, digits = "-" * (scaled < 0), str(abs(scaled.numerator)).rjust(81, "0")
    return f"{sign}{digits[:-80]}.{digits[-80:]}"


@pytest.mark.spec("CHK-2", "CHK-4")
@given(SEEDS, columns_of(NUMBERS | st.just("utf8")), st.sampled_from(["min", "max"]))
def test_bounds(rng: random.Random, table: Plain, end: str) -> None:
    found = column(table)
    text, limit = bound_text(rng, table.schema[0][1], found)
    beyond = [v is not None and (v is NAN or (v < limit if end == "min" else v > limit)) for v in found]
    same_rows(outcome(rng, table, end, True, {"value": text}), [i for i, b in enumerate(beyond) if b])


@given(
    SEEDS,
    columns_of(st.sampled_from([*INTS, "utf8", "bool", "float64", "float16", "float32", {"decimal": [9, 3]}])),
    st.booleans(),
)
def test_lists(rng: random.Random, table: Plain, among: bool) -> None:
    t, found = table.schema[0][1], column(table)
    present = list(dict.fromkeys(v for v in found if v is not None and v is not NAN))
    listed = rng.sample(present, rng.randint(0, len(present)))
    if kind(t) in FLOATS:
        listed = [v for v in listed if v != 0]  # Arrow tells -0.0 from 0.0 in a list
        assume(not any(v == 0 for v in present))
    texts = [str(v).lower() if isinstance(v, bool) else _exact(v) if kind(t) == "decimal" else str(v) for v in listed]
    assume(texts)
    bad = [i for i, v in enumerate(found) if v is not None and (v in listed) != among]
    same_rows(outcome(rng, table, "enum" if among else "not_in", True, {"values": texts}), bad)


def _exact(v: Fraction) -> str:
    sign, digits = "-" * (v < 0), str(abs(int(v * 1000))).rjust(4, "0")
    return f"{sign}{digits[:-3]}.{digits[-3:]}"


@given(SEEDS, columns_of(st.sampled_from(["utf8", "binary", {"list": "int8"}, {"map": ["utf8", "bool"]}])))
def test_length(rng: random.Random, table: Plain) -> None:
    low, high = sorted(rng.choices([0, 1, 2, 3, 31, 32, 64], k=2))
    bad = [i for i, v in enumerate(table.columns[0]) if v is not None and not low <= len(v) <= high]
    same_rows(outcome(rng, table, "length", True, {"min": str(low), "max": str(high)}), bad)


def figure(found: Outcome) -> Fraction | float | None:
    if found.figure == "no values":
        return None
    return float(found.figure) if "e" in found.figure or "n" in found.figure else Fraction(found.figure)


def numbers(table: Plain) -> list[Any]:
    return [v for v in column(table) if v is not None and v is not NAN]


@given(SEEDS, columns_of(NUMBERS))
def test_sum_and_mean(rng: random.Random, table: Plain) -> None:
    exact = kind(table.schema[0][1]) not in FLOATS
    found = numbers(table)
    assume(exact or all(abs(v) < 1e300 for v in found))
    total = sum(map(Fraction, found))
    got = figure(outcome(rng, table, "sum", True, {"min": "0"}))
    mean = figure(outcome(rng, table, "mean", True, {"min": "0"}))
    size = float(sum(abs(Fraction(v)) for v in found))
    assert got is not None
    if exact:
        assert float(got) == pytest.approx(float(total), rel=1e-15)
        assert outcome(rng, table, "sum", True, {"min": _decimal(total), "max": _decimal(total)}).bad == 0
    else:
        assert float(got) == pytest.approx(float(total), abs=max(size * 1e-14, 1e-300))
    assert (mean is None) == (not found)
    if found and mean is not None:
        assert float(mean) == pytest.approx(float(total / len(found)), rel=1e-14, abs=max(size * 1e-14, 1e-300))


@given(SEEDS, columns_of(st.sampled_from(["int8", "uint16", "int32", "float16", {"decimal": [9, 3]}])))
def test_std(rng: random.Random, table: Plain) -> None:
    found = [float(v) for v in numbers(table)]
    assume(all(map(math.isfinite, found)))
    got = figure(outcome(rng, table, "std", True, {"min": "0"}))
    if len(found) < 2:
        assert got is None
    else:
        assert got is not None
        assert float(got) == pytest.approx(statistics.stdev(found), rel=1e-9, abs=1e-9)


@given(SEEDS, columns_of(NUMBERS), st.sampled_from(["0", "0.25", "0.5", "0.95", "1"]))
def test_quantiles(rng: random.Random, table: Plain, q: str) -> None:
    t, found = table.schema[0][1], sorted(numbers(table))
    assume(all(abs(v) < 1e300 for v in found))
    args = {"q": q, "min": "0"}
    got = figure(outcome(rng, table, "quantile", True, args))
    if not found:
        assert got is None
        return
    place = Fraction(q) * (len(found) - 1)
    low, high = Fraction(found[int(place)]), Fraction(found[min(int(place) + 1, len(found) - 1)])
    exact = low + (high - low) * (place - int(place))
    assert got is not None
    size = float(max(abs(low), abs(high)))
    assert float(got) == pytest.approx(float(exact), rel=1e-14, abs=max(1e-15 * size, 1e-300))
    if q == "0.5":
        median = figure(outcome(rng, table, "median", True, {"min": "0"}))
        assert median == got
    if kind(t) in INTS:
        both = {**args, "min": _decimal(exact), "max": _decimal(exact)}
        assert outcome(rng, table, "quantile", True, both).bad == 0


@given(SEEDS, columns_of(FLAT), st.data())
def test_keys_of_another_table(rng: random.Random, table: Plain, data: Any) -> None:
    t = table.schema[0][1]
    other = Plain(table.schema, [strategy.values_of(rng, t, data.draw(st.integers(0, 20)))])
    arrays = []
    for made in (table, other):
        arrow, batches = forms.batches(rng, made)
        schema = Schema.from_arrow(arrow)
        arrays.append([p.column(0) for b in batches for p in normalise(b, schema)])
    known = whole.Known(arrays[1], schema.types[0])
    there = {value(v, t) for v in other.columns[0]} - {None}
    got = [
        h and v
        for a in arrays[0]
        for h, v in zip(known.holds(a, schema.types[0]).to_pylist(), a.is_valid().to_pylist(), strict=True)
    ]
    assert got == [v is not None and v in there for v in column(table)]


def test_integers_of_all_widths_are_compared() -> None:
    from dpkg.arrow.types import Type

    known = whole.Known([pa.array([2**64 - 1, 7], pa.uint64())], Type("uint64"))
    rule = whole.foreign_key("a", Type("int8"), known, "t.a", MOST)
    rule.add(rule.measure({"a": pa.array([-1, 7, None], pa.int8())}, 3), 0)
    assert [b.row for b in rule.outcome().rows] == [0]
    with pytest.raises(Usage, match=r"column 'a' is utf8, and t\.a is uint64"):
        whole.foreign_key("a", Type("utf8"), known, "t.a", MOST)


@pytest.mark.spec("CHK-6")
@given(SEEDS, columns_of(st.sampled_from(["int64", "uint64", "utf8", "float32", "float64"])), st.integers(0, 4))
def test_what_is_too_much_for_memory_goes_to_a_file(rng: random.Random, table: Plain, quarter: int) -> None:
    state = rng.getstate()

    def found() -> list[Outcome]:
        rng.setstate(state)
        rules = [("unique", True, {}), ("duplicates", False, {"max": "0"})]
        if kind(table.schema[0][1]) != "utf8":
            rules.append(("quantile", True, {"q": str(quarter / 4), "min": "0"}))
        return [outcome(rng, table, rule, column, args) for rule, column, args in rules]

    few = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dpkg.arrow.checks.spool.MEMORY", 64)
        patch.setattr("dpkg.arrow.checks.spool._LEAST", 1)
        patch.setattr("dpkg.arrow.checks.spool._BLOCK", 3)
        assert found() == few


@pytest.mark.spec("CHK-6")
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 500), st.integers(200, 3000))
def test_keys_in_runs(seed: int, kinds: int, rows: int, memory: int) -> None:
    """In any order of parts, of few keys or many: the first row of each, and all the others."""
    rng = np.random.default_rng(seed)
    high, low = rng.integers(0, kinds, (2, rows), np.uint64) % np.array([[kinds], [2]], np.uint64)
    first: dict[tuple[int, int], int] = {}
    for at, key in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
        first.setdefault(key, at)
    again = sorted(set(range(rows)) - set(first.values()))
    places = np.array_split(np.arange(rows), rng.integers(1, 9))
    rng.shuffle(places)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dpkg.arrow.checks.spool.MEMORY", memory)
        patch.setattr("dpkg.arrow.checks.spool._LEAST", 1)
        patch.setattr("dpkg.arrow.checks.spool._BLOCK", 3)
        for asked in (True, False):
            handed: list[int] = []
            spool = KeySpool(lambda found, handed=handed: handed.extend(found.tolist()))  # type: ignore[misc]
            pile = Pile(np.uint64)
            for part in places:
                spool.append(Keys(high[part], low[part], part))
            if asked:
                parts = list(spool.distinct())
                found = [x for p in parts for x in zip(*(a.tolist() for a in p), strict=True)]
                assert found == sorted((*key, at) for key, at in first.items())
                for p in parts:
                    pile.append(p.high)
                assert pile.whole().tolist() == sorted(k for k, _ in first)
            else:
                spool.finish()
            assert sorted(handed) == again
