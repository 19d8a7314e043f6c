"""Row diffs as people have them: columns that came, went, changed; huge rows; what is read; what is left behind."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dpkg import tables
from dpkg.diffing import patch
from dpkg.diffing.rows import RowDiff
from dpkg.errors import Usage
from dpkg.objects.table import Table
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend


@pytest.fixture
def odb() -> Odb:
    return Odb(MemoryBackend())


def written(odb: Odb, table: pa.Table, *key: str) -> Table:
    return tables.write_table(odb, table.to_batches(), table.schema, key)[1]


def told(diff: RowDiff) -> list[dict[str, Any]]:
    return [row for batch in diff.batches() for row in batch.to_pylist()]


def applied(odb: Odb, old: Table, new: Table) -> int:
    """How many rows the patch has that gives `new` from `old`; it does."""
    head, diff = patch.make(odb, old, odb, new)
    batches = list(diff.batches())
    assert patch.apply(odb, old, head, batches, odb) == (new.oid, new)
    return sum(b.num_rows for b in batches)


SALES = pa.table({"id": range(200), "shop": [f"shop {i % 7}" for i in range(200)], "n": [i * i for i in range(200)]})
IDS, SHOPS, N = SALES.columns


@pytest.mark.parametrize("key", [(), ("id",)], ids=["no key", "key"])
@pytest.mark.parametrize(
    ("after", "what", "changed", "patched"),
    [
        pytest.param(SALES.drop_columns("n"), ["removed n"], 0, 0, id="a column went"),
        pytest.param(SALES.append_column("x", [[None] * 190 + [1] * 10]), ["added x"], 0, 10, id="a column came"),
        pytest.param(SALES.rename_columns(["id", "store", "n"]), ["renamed store"], 0, 0, id="a column was renamed"),
        pytest.param(SALES.select(["id", "n", "shop"]), ["moved n"], 0, 0, id="columns in another order"),
        pytest.param(SALES.set_column(2, "n", N.cast("float32")), ["retyped n"], 0, 0, id="values fit the new type"),
        pytest.param(SALES.set_column(2, "n", N.cast(pa.decimal128(20, 1))), ["retyped n"], 0, 0, id="decimals"),
        pytest.param(SALES.set_column(2, "n", N.cast("string")), ["retyped n"], 0, 0, id="numbers as text"),
        pytest.param(
            SALES.set_column(2, "n", pa.compute.bit_wise_and(N, 127).cast("int8")),
            ["retyped n"],
            188,
            188,
            id="some fit",
        ),
    ],
)
def test_columns(odb: Odb, key: tuple[str, ...], after: pa.Table, what: list[str], changed: int, patched: int) -> None:
    old, new = written(odb, SALES, *key), written(odb, after, *key)
    diff = RowDiff(odb, old, odb, new)
    rows = told(diff)
    assert [f"{c.what} {c.column}" for c in diff.columns] == what
    if key:
        assert (diff.summary.changed, len(rows)) == (changed, changed)
        assert applied(odb, old, new) == patched
    else:
        assert diff.summary.removed == diff.summary.added == changed
        assert applied(odb, old, new) == (patched if not changed else 2 * patched)


def test_text_that_became_numbers_is_compared_value_by_value(odb: Odb) -> None:
    before = pa.table({"id": [1, 2, 3, 4], "v": ["1", "02", "x", None]})
    after = pa.table({"id": [1, 2, 3, 4], "v": pa.array([1, 2, None, None], "int16")})
    rows = told(RowDiff(odb, old := written(odb, before, "id"), odb, new := written(odb, after, "id")))
    assert [(r["_change"], r["new.id"], r["_cells"]) for r in rows] == [("changed", 2, ["v"]), ("changed", 3, ["v"])]
    applied(odb, old, new)


def test_types_that_know_no_cast(odb: Odb) -> None:
    pair = pa.table({"id": [1, 2], "v": pa.array([[1, 2], None], pa.list_(pa.int8(), 2))})
    one = pa.table({"id": [1, 2], "v": pa.array([[1], None], pa.list_(pa.int8(), 1))})
    assert applied(odb, written(odb, pair, "id"), written(odb, one, "id")) == 1
    assert applied(odb, written(odb, pair), written(odb, one.slice(0, 0))) == 2


def test_a_changed_cell_is_told_with_both_rows(odb: Odb) -> None:
    before = pa.table({"id": [1, 2, 3], "x": [0.0, float("nan"), 1.5], "d": [date(2024, 1, 1)] * 3})
    after = pa.table({"id": [1, 2, 4], "x": [-0.0, float("nan"), 1.5], "d": [date(2024, 1, 1)] * 3})
    rows = told(RowDiff(odb, written(odb, before, "id"), odb, written(odb, after, "id")))
    assert [(r["_change"], r["_old_row"], r["_new_row"], r["_cells"]) for r in rows] == [
        ("changed", 0, 0, ["x"]),
        ("removed", 2, None, []),
        ("added", None, 2, []),
    ]
    assert [(r["old.id"], r["new.id"]) for r in rows] == [(1, 1), (3, None), (None, 4)]


def test_tables_without_rows_and_another_key(odb: Odb) -> None:
    none, some = written(odb, SALES.slice(0, 0)), written(odb, SALES)
    assert applied(odb, none, some) == applied(odb, some, none) == 200
    assert applied(odb, none, none) == applied(odb, some, some) == 0
    by_square = written(odb, SALES.take(np.arange(200)[::-1].copy()), "n")
    assert applied(odb, some, by_square) == 0
    assert applied(odb, by_square, some) == 0


@pytest.mark.parametrize("columns", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_very_many_columns(odb: Odb, columns: int) -> None:
    before = pa.table({f"c{i}": np.arange(30) + i for i in range(columns)})
    column = before.column(123).to_pylist()
    column[7] = -1
    after = before.set_column(123, "c123", [column])
    (row,) = told(RowDiff(odb, old := written(odb, before, "c0"), odb, new := written(odb, after, "c0")))
    assert (row["_cells"], row["_new_row"], row["old.c123"], row["new.c123"]) == (["c123"], 7, 130, -1)
    assert applied(odb, old, new) == 1


def test_cells_of_ten_megabytes_that_differ_in_one_byte(odb: Odb) -> None:
    texts = [bytes([i]) * 10_000_000 for i in range(3)]
    other = bytearray(texts[1])
    other[7_654_321] = 9
    before, after = pa.table({"b": texts}), pa.table({"b": [texts[0], bytes(other), texts[2]]})
    diff = RowDiff(odb, old := written(odb, before), odb, new := written(odb, after))
    assert [(r["_change"], r["_old_row"], r["_new_row"]) for r in told(diff)] == [
        ("removed", 1, None),
        ("added", None, 1),
    ]
    assert applied(odb, old, new) == 2


def test_rows_that_moved_are_counted(odb: Odb) -> None:
    order = [*range(50, 60), *range(50), *range(60, 200)]
    diff = RowDiff(odb, old := written(odb, SALES), odb, new := written(odb, SALES.take(order)))
    rows = told(diff)
    assert [(r["_change"], r["_new_row"]) for r in rows[:10]] == [("added", n) for n in range(10)]
    assert (diff.summary.removed, diff.summary.added, diff.summary.moved) == (10, 10, 10)
    assert applied(odb, old, new) == 20


def test_only_fragments_near_an_edit_are_read(odb: Odb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpkg.arrow.boundaries.TARGET_BYTES", 400)
    n = np.arange(20_000)
    before = pa.table({"id": n, "v": n % 97})
    after = before.set_column(1, "v", [np.where((n >= 9000) & (n < 9010), -1, n % 97)])
    for key in ((), ("id",)):
        diff = RowDiff(odb, written(odb, before, *key), odb, new := written(odb, after, *key))
        assert len(told(diff)) == (10 if key else 20)
        assert len(diff.old.opened | diff.new.opened) < 20 < tables.count_fragments(odb, new) / 20


def test_what_was_spilled_is_gone_however_it_ends(odb: Odb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("dpkg.diffing.spill.LIMIT", 10)
    monkeypatch.setattr("dpkg.arrow.boundaries.TARGET_BYTES", 400)
    other = SALES.set_column(0, "id", [np.arange(200) + 1000])
    diff = RowDiff(odb, written(odb, SALES), odb, written(odb, other))
    batches = diff.batches()
    assert next(batches).num_rows
    assert list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        batches.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())
    assert len(told(diff)) == 400
    assert not list(tmp_path.iterdir())


def test_a_patch_of_another_table_is_refused(odb: Odb) -> None:
    old, new = written(odb, SALES), written(odb, SALES.slice(3))
    head, diff = patch.make(odb, old, odb, new)
    batches = list(diff.batches())
    with pytest.raises(Usage, match=r"the patch is for the table"):
        patch.apply(odb, new, head, batches, odb)
    other = written(odb, SALES.set_column(2, "n", [np.arange(200)]))
    with pytest.raises(Usage, match=r"does not fit the table at row 2"):
        patch.apply(odb, other, replace(head, old=other.oid), batches, odb)
    with pytest.raises(Usage, match=r"does not have the columns"):
        patch.apply(odb, old, head, [b.select(b.schema.names[:-1]) for b in batches], odb)
    with pytest.raises(Usage, match=r"not in order"):
        patch.apply(odb, old, head, [batches[0].take(pa.array([2, 1, 0]))], odb)
    with pytest.raises(Usage, match=r"gives the table .*, and not"):
        patch.apply(odb, old, head, batches[:0], odb)
