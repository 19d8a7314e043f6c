"""Drift of tables as people have them: stored, read back through their profiles; wide, empty, renamed, retyped, nested, huge cells."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from drifting import profile

from dpkg import profiles, tables
from dpkg.arrow.schema import Schema
from dpkg.drift.columns import ColumnDrift, TableDrift, table_drift
from dpkg.drift.verdicts import TableVerdict, judge
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend

N = 3000


def compare(old: pa.Table, new: pa.Table, **renamed: str) -> tuple[TableDrift, TableVerdict]:
    """Of two tables that are stored; `renamed` has old names by new ones."""
    odb, sides = Odb(MemoryBackend()), []
    for table in (old, new):
        made = tables.write_table(odb, table.to_batches(), table.schema)[1]
        found = profiles.of_table(odb, made)
        assert found is not None
        sides += [tables.schema_of(made), found]
    drift = table_drift(*sides, renamed)
    return drift, judge(drift)


def column(old: pa.Array, new: pa.Array) -> tuple[ColumnDrift, dict[str, str]]:
    """That of a column, and what rules say of it."""
    drift, said = compare(pa.table({"x": old}), pa.table({"x": new}))
    return drift.columns[0], {f.rule: f.verdict for f in said.columns[0].findings}


@pytest.mark.spec("DRI-4")
@pytest.mark.parametrize("columns", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_very_many_columns(columns: int) -> None:
    """Each is measured; the one that drifts is named."""
    r = np.random.default_rng(1)
    names = [f"c{i:04}" for i in range(columns)]
    schema = Schema.from_arrow(pa.schema([(n, pa.float64()) for n in names]))
    plain, other = profile(pa.array(r.normal(size=N))), profile(pa.array(r.normal(1, 1, N)))
    found = judge(table_drift(schema, [plain] * columns, schema, [plain] * 123 + [other] + [plain] * (columns - 124)))
    assert [c.column for c in found.columns if c.verdict != "none"] == ["c0123"]
    assert found.reason.startswith("c0123: PSI ")


@pytest.mark.spec("DRI-4")
def test_an_empty_side() -> None:
    full = pa.table({"n": np.arange(N), "s": [f"v{i % 9}" for i in range(N)], "l": [[i] for i in range(N)]})
    for old, new in ((full, full.slice(0, 0)), (full.slice(0, 0), full)):
        drift, said = compare(old, new)
        assert all(c.comparable and not c.distances for c in drift.columns)
        assert (said.verdict, [f.rule for f in said.findings]) == ("major", ["rows"])
        assert [c.verdict for c in said.columns] == ["none"] * 3
    assert compare(full.slice(0, 0), full.slice(0, 0))[1].verdict == "none"


@pytest.mark.spec("DRI-4")
@pytest.mark.parametrize(
    "kind", [pa.float64(), pa.string(), pa.list_(pa.int32()), pa.null(), pa.decimal128(9, 2), pa.bool_()]
)
def test_all_null(kind: pa.DataType) -> None:
    """It stays so: none; it comes to be so: the rate of nulls, and no more."""
    gone = pa.nulls(N, kind)
    assert column(gone, gone)[1] == {}
    if not pa.types.is_null(kind):
        some = {pa.string(): ["a", "b"], pa.list_(pa.int32()): [[1], []], pa.bool_(): [True, False]}.get(kind, [1, 2])
        there = pa.array([Decimal(v) if pa.types.is_decimal(kind) else v for v in some] * (N // 2), kind)
        for old, new in ((there, gone), (gone, there)):
            found, said = column(old, new)
            assert said == {"null_rate": "major"}
            assert found.distances == ()


@pytest.mark.spec("DRI-3")
@pytest.mark.parametrize(("old", "new", "said"), [
    (pa.array(np.arange(N, dtype=np.int32)), pa.array(np.arange(N)), {"retyped": "moderate"}),
    (pa.array(np.arange(N) / 4), pa.array([Decimal(i) / 4 for i in range(N)], pa.decimal128(12, 2)), {"retyped": "moderate"}),
    (pa.array(np.arange(N, dtype=np.int32), pa.date32()), pa.array([datetime.fromtimestamp(86_400 * i) for i in range(N)]),
        {"retyped": "moderate"}),
    (pa.array([str(i) for i in range(N)]), pa.array(np.arange(N)), {"incomparable": "major"}),
    (pa.array(np.arange(N)), pa.array(np.arange(N)).cast(pa.timestamp("s")), {"incomparable": "major"}),
    (pa.array(["a", "b"] * (N // 2)), pa.array(["a", "b"] * (N // 2)).dictionary_encode(), {}),
    (pa.array([[1.5], [2.5, 3]] * (N // 2)), pa.array([[1.5], [2.5, 3]] * (N // 2), pa.list_(pa.float32())), {"retyped": "moderate"}),
])  # fmt: skip
def test_retyped(old: pa.Array, new: pa.Array, said: dict[str, str]) -> None:
    """The same values are no drift, whatever they are stored as; what can't be compared is said, and not measured."""
    found, rules = column(old, new)
    assert rules == said
    assert bool(found.distances) == ("incomparable" not in said)
    for d in found.distances:
        assert (d.psi.value, d.js.value, d.ks.value if d.ks else 0) == pytest.approx((0, 0, 0), abs=1e-12)


@pytest.mark.spec("DRI-4")
def test_renamed_and_retyped_at_once() -> None:
    old = pa.table({"amount": np.arange(N, dtype=np.int32), "other": ["a"] * N})
    new = pa.table({"other": ["a"] * N, "price": np.arange(N) * 1.0})
    drift, said = compare(old, new, price="amount")
    assert [(c.column, c.renamed, c.retyped) for c in drift.columns] == [("other", False, False), ("price", True, True)]
    assert [f.reason for f in said.columns[1].findings] == ["name amount → price", "type int32 → float64"]


@pytest.mark.spec("DRI-4")
def test_nested_types() -> None:
    """Lists and maps by their lengths, whatever is in them; of structs the nulls."""
    short, long = [[{"a": i}] * (i % 3) for i in range(N)], [[{"a": i}] * (i % 3 + 4) for i in range(N)]
    found, said = column(pa.array(short), pa.array(long))
    assert [d.of for d in found.distances] == ["items"]
    assert said["ks"] == "major"
    kind = pa.map_(pa.string(), pa.int32())
    maps = [pa.array([[(str(k), k) for k in range(i % most)] for i in range(N)], kind) for most in (2, 9)]
    assert column(*maps)[1]["psi"] == "major"
    assert column(maps[0], maps[0])[1] == {}
    structs = [pa.array([None if i % every == 0 else {"a": i, "b": {"c": "x"}} for i in range(N)]) for every in (20, 3)]
    assert column(*structs)[1] == {"null_rate": "major"}


@pytest.mark.spec("DRI-4")
def test_extension_types() -> None:
    """By what is stored of them."""
    r = np.random.default_rng(2)
    flags = [
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array((r.random(N) < s).astype(np.int8))) for s in (0.2, 0.6)
    ]
    found, said = column(*flags)
    assert [(c.value, c.old + c.new > 0) for c in found.categories] == [(0, True), (1, True)]
    assert said["psi"] == "major"
    ids = [pa.array([r.bytes(16) for _ in range(N)], pa.binary(16)).cast(pa.uuid()) for _ in "on"]
    assert column(*ids)[1] == {}
    assert column(flags[0], flags[0].storage)[1] == {"retyped": "moderate"}


@pytest.mark.spec("DRI-4")
def test_huge_texts() -> None:
    """Of which a profile keeps 128 bytes and a hash: two that begin alike stay two."""
    old = pa.array(["x" * (1 << 20) + end for end in "ab"] * 10)
    new = pa.array(["x" * (1 << 20) + end for end in "ac"] * 10)
    found, said = column(old, new)
    assert (found.distances[0].of, said["psi"]) == ("categories", "major")
    assert found.new_categories is not None
    assert found.new_categories.values == 10
    assert len(found.new_categories.shown[0]) < 200
    assert column(old, old)[1] == {}


def test_a_table_without_rows_has_figures_of_none() -> None:
    drift, _ = compare(pa.table({"n": pa.array([], pa.int64())}), pa.table({"n": [1, 2]}))
    old: Any = drift.columns[0].old
    assert (drift.old_rows, drift.new_rows, old.rows, old.min, old.quantiles) == (0, 2, 0, None, ())
