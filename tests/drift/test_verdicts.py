"""Verdicts: what each rule says, in which words, by which thresholds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from drifting import drift, profile

from dpkg.arrow.schema import Schema
from dpkg.drift import verdicts
from dpkg.drift.columns import TableDrift, table_drift
from dpkg.drift.verdicts import DEFAULT, judge, judge_package, thresholds
from dpkg.errors import Usage
from dpkg.objects.schemadiff import ColumnChange

R = np.random.default_rng(9)
N = 5000
NORMAL = R.normal(size=N)


def rules(old: Any, new: Any, **said: Any) -> dict[str, str]:
    """The rules that say something of a column, and what."""
    found = drift(pa.array(old), pa.array(new), 1)
    (column,) = judge(TableDrift(1, 1, (found,)), by=thresholds(said)).columns
    assert column.verdict == max(("none", *(f.verdict for f in column.findings)), key=verdicts.VERDICTS.index)
    return {f.rule: f.verdict for f in column.findings}


@pytest.mark.spec("DRI-4")
def test_distances_have_thresholds() -> None:
    assert rules(NORMAL, R.normal(size=N)) == {}
    assert rules(NORMAL, R.normal(0.4, 1, N)) == {"psi": "moderate", "js": "moderate", "ks": "moderate"}
    assert rules(NORMAL, R.normal(1, 1, N)) == {"psi": "major", "js": "major", "ks": "major"}
    assert rules(NORMAL, R.normal(1, 1, N), psi=[9, 10], js=False, ks="off") == {}


@pytest.mark.spec("DRI-4")
def test_nulls_nan_and_infinities() -> None:
    def having(share: float, what: Any) -> pa.Array:
        return pa.array([what if i < share * N else v for i, v in enumerate(NORMAL.tolist())], pa.float64())

    assert rules(NORMAL, having(0.04, None)) == {}
    assert rules(NORMAL, having(0.1, None)) == {"null_rate": "moderate"}
    assert rules(having(0.3, None), NORMAL) == {"null_rate": "major"}
    assert rules(NORMAL, having(0.1, math.nan)) == {"nan_rate": "moderate"}
    assert rules(NORMAL, having(0.3, math.inf))["nan_rate"] == "major"
    assert rules(NORMAL, pa.nulls(N, pa.float64())) == {"null_rate": "major"}


@pytest.mark.spec("DRI-4")
def test_range_and_reach() -> None:
    old = R.uniform(0, 100, N)
    assert rules(old, np.where(R.random(N) < 0.08, 120.0, old)) == {"range": "moderate"}
    assert rules(old, np.append(old, 9999.0)) == {"reach": "moderate"}
    assert rules(old, np.append(old, 300.0)) == {}
    assert rules(old, old * 2)["range"] == "major"


@pytest.mark.spec("DRI-4")
def test_cardinality_goes_by_the_number_and_the_share() -> None:
    ids = np.arange(N)
    assert "cardinality" not in rules(ids, np.arange(N // 3))  # fewer rows, of each its own value
    kinds = ids % 40
    assert "cardinality" not in rules(np.tile(kinds, 4), kinds)  # fewer rows of the same values
    assert rules([f"{i:06}" for i in ids], [f"{i // 4:06}" for i in ids])["cardinality"] == "moderate"
    assert rules([f"{i % 400:03}" for i in ids], [f"{i % 30:03}" for i in ids])["cardinality"] == "major"


@pytest.mark.spec("DRI-4")
def test_categories_that_come_and_go() -> None:
    old = np.array(["a", "b", "c"])[R.integers(0, 3, N)]
    few, many = np.where(R.random(N) < 0.03, "d", old), np.where(R.random(N) < 0.2, "d", old)
    assert rules(old, np.append(old, "d")) == {}
    assert rules(old, few)["new_categories"] == "moderate"
    assert rules(old, many)["new_categories"] == rules(many, old)["vanished_categories"] == "major"
    found = drift(pa.array(old), pa.array(many), 1)
    words = {f.rule: f.reason for f in judge(TableDrift(N, N, (found,))).columns[0].findings}
    assert words["new_categories"].startswith("1 category new (d): ")
    assert words["new_categories"].endswith(" of new values (new_categories major from 0.1)")


CITIES, WEIGHTS = np.array([f"city {i}" for i in range(400)]), 1 / np.arange(1, 401)
SAMPLES: dict[str, Callable[[Any, int], Any]] = {
    "normal": lambda r, n: r.normal(size=n),
    "lognormal": lambda r, n: r.lognormal(3, 1.2, n),
    "cauchy": lambda r, n: r.standard_cauchy(n),
    "dice": lambda r, n: r.integers(1, 7, n),
    "zeros": lambda r, n: r.exponential(size=n) * (r.random(n) < 0.6),
    "flags": lambda r, n: r.random(n) < 0.1,
    "letters": lambda r, n: np.array(list("abcd"))[r.integers(0, 4, n)],
    "cities": lambda r, n: r.choice(CITIES, n, p=WEIGHTS / WEIGHTS.sum()),
    "names": lambda r, n: [f"{v:x}" for v in r.integers(0, 1 << 40, n).tolist()],
    "gaps": lambda r, n: pa.array(np.where(r.random(n) < 0.1, np.nan, r.normal(size=n)), mask=r.random(n) < 0.2),
}


@pytest.mark.spec("DRI-4")
@pytest.mark.parametrize("times", [10, pytest.param(50, marks=pytest.mark.long)])
def test_few_rows_are_not_drift_by_chance(times: int) -> None:
    """Of two samples of the same, in at most one of a hundred does any rule say anything; without `chance`, in most."""
    r, often, pairs = np.random.default_rng(4), 0, 0
    for old, new in ((10, 10), (30, 30), (500, 500), (20, 500), (500, 20), (50, 200)):
        for sample in SAMPLES.values():
            found = [rules(sample(r, old), sample(r, new)) for _ in range(times)]
            often, pairs = often + sum(map(bool, found)), pairs + times
    assert often <= pairs / 100
    letters = [(SAMPLES["letters"](r, 20), SAMPLES["letters"](r, 20)) for _ in range(20)]
    assert sum("psi" in rules(*pair, chance="off") for pair in letters) >= 10


@pytest.mark.spec("DRI-4")
def test_of_few_rows_clear_drift_is_told() -> None:
    assert rules(list(range(20)), list(range(100, 120))) == {
        "psi": "major",
        "js": "major",
        "ks": "major",
        "range": "major",
    }
    fifty = np.arange(50)
    assert "psi" in rules(fifty, fifty + 20)
    assert rules(["a", "b"] * 20, ["a", "c"] * 20)["new_categories"] == "major"
    assert "new_categories" not in rules(["a", "b"] * 20, [*["a", "b"] * 20, "c", "c"])


def schema(**columns: pa.DataType) -> Schema:
    return Schema.from_arrow(pa.schema(list(columns.items())))


@pytest.mark.spec("DRI-3")
@pytest.mark.spec("DRI-4")
def test_schemas() -> None:
    numbers, texts = pa.array([1, 2] * 50), pa.array(["a", "b"] * 50)
    same, other, wide = profile(numbers), profile(texts), profile(numbers.cast(pa.float64()))
    old = schema(a=pa.int64(), b=pa.int64(), c=pa.int64(), d=pa.int64())
    new = schema(a=pa.float64(), b=pa.string(), x=pa.int64(), e=pa.int64())
    table = table_drift(old, [same] * 4, new, [wide, other, same, same], {"x": "c"})
    found = judge(table, [ColumnChange("key", "", "a", ""), ColumnChange("moved", "b", "1", "2")])
    assert [(c.column, c.verdict, [f.reason for f in c.findings]) for c in found.columns] == [
        ("a", "moderate", ["type int64 → float64"]),
        ("b", "major", ["type int64 → utf8"]),
        ("x", "moderate", ["name c → x"]),
        ("e", "none", []),
        ("d", "major", ["the column is gone"]),
    ]
    assert (found.verdict, found.reason) == ("major", "b: type int64 → utf8, and 1 more column")
    assert [f.reason for f in found.findings] == ["key a → none"]
    strict = judge(table, by=thresholds({"added": "major", "removed": "none", "incomparable": "none"}))
    assert [c.verdict for c in strict.columns] == ["moderate", "none", "moderate", "major", "none"]


@pytest.mark.spec("DRI-4")
def test_rows_and_packages() -> None:
    def table(old: int, new: int) -> verdicts.TableVerdict:
        return judge(TableDrift(old, new, ()))

    assert [table(*r).verdict for r in ((0, 0), (9, 9), (10, 19), (10, 20), (20, 10), (100, 9), (5, 0), (0, 5))] == [
        *("none", "none", "none", "moderate", "moderate", "major", "major", "major")
    ]
    assert table(1000, 400).reason == "rows 1,000 → 400 (rows moderate from 2)"
    assert judge_package({"a": table(1, 1)}, added=["b"]) == verdicts.PackageVerdict("none", "no drift")
    found = judge_package({"a": table(10, 20), "b/c": table(10, 20), "d": table(1, 1)})
    assert found.line == "moderate drift in a: rows 10 → 20 (rows moderate from 2); and 1 more table"
    gone = judge_package({"a": table(10, 20)}, removed=["b"])
    assert (gone.verdict, gone.line) == ("major", "major drift in b: the table is gone")


@pytest.mark.spec("DRI-5")
@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ({"pis": [0.1, 0.2]}, "did you mean 'psi'?"),
        ({"nullrate": 1}, "did you mean 'null_rate'?"),
        ({"psi": {"moderat": 0.1}}, "did you mean 'moderate'?"),
        ({"psi": [0.3, 0.2]}, "write psi: [MODERATE, MAJOR]"),
        ({"psi": 0.3}, "write psi: [MODERATE, MAJOR], or psi: off"),
        ({"psi": [True, 1]}, "thresholds are numbers from 0 on"),
        ({"psi": [-1, 1]}, "thresholds are numbers from 0 on"),
        ({"psi": [math.nan, 1]}, "thresholds are numbers from 0 on"),
        ({"removed": "bad"}, "one of none, moderate, major"),
        ({"removed": ["none"]}, "one of none, moderate, major"),
        ({"chance": "3 %"}, "thresholds are numbers from 0 on"),
        ({7: 1}, ""),
    ],
)
def test_thresholds_that_are_refused(said: dict[Any, Any], hint: str) -> None:
    with pytest.raises(Usage) as caught:
        thresholds(said)
    assert caught.value.hint == hint or (not hint and caught.value.hint.startswith("known here: psi, js, ks"))


@pytest.mark.spec("DRI-5")
def test_thresholds_that_are_set_leave_the_others() -> None:
    found = thresholds({"psi": {"major": 0.5}, "ks": [0.2, 0.3], "js": False, "moved": "moderate", "chance": 1})
    assert found.limits["psi"] == (0.1, 0.5)
    assert found.limits["ks"] == (0.2, 0.3)
    assert found.limits["js"].verdict(1.0) == "none"
    assert (found.schema["moved"], found.schema["removed"], found.chance) == ("moderate", "major", 1)
    assert thresholds({"ks": [0.3, 0.4]}, found).limits["psi"] == (0.1, 0.5)
    assert DEFAULT.limits["psi"] == (0.1, 0.25)


def test_the_page_has_the_thresholds() -> None:
    page = (Path(__file__).parents[2] / "spec" / "diff.md").read_text("utf-8")
    told: dict[str, tuple[float, float]] = {}
    for names, moderate, major in re.findall(r"^\| (`[a-z_`, ]+`) \| ([\d.]+) \| ([\d.]+|never) \|", page, re.M):
        for name in re.findall(r"\w+", names):
            told[name] = (float(moderate), math.inf if major == "never" else float(major))
    assert told == dict(DEFAULT.limits)
    schema_rules = page.split("And of the schema:")[1].split("\n")[0]
    for name, verdict in DEFAULT.schema.items():
        group = next(part for part in re.split("[;.]", schema_rules) if f"`{name}`" in part)
        assert group.endswith(verdict)
