"""diff of tables that are unlike others: very wide, with very long cells, empty, reordered, turned into something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import dpkg


def rows(dpk: Callable[..., Any], *args: str) -> list[str]:
    """What diff prints of a table, without the line on fragments."""
    return [line for line in dpk("diff", *args).out.splitlines()[3:] if "fragment" not in line]


@pytest.mark.parametrize("columns", [300, pytest.param(2000, marks=pytest.mark.long)])
def test_a_very_wide_table(dpk: Callable[..., Any], store: Any, columns: int) -> None:
    wide = {f"c{i:04}": [i, i + 1, i + 2] for i in range(columns)}
    store.commit("acme/odd", {"t": wide})
    new = {f"n{n}" if n == "c0007" else n: v for n, v in wide.items() if n != "c0250"}
    new["c0002"] = [2, 3, 5]
    store.commit("acme/odd", {"t": new})
    lines = rows(dpk, "acme/odd")
    assert lines[1:4] == [
        "    > column c0007  → nc0007, as its values are alike",
        "    - column c0250  int64",
        "    rows: 1 added, 1 removed",
    ]
    assert len(lines) < 20
    assert max(map(len, lines)) < 3000
    assert f"c{columns - 1:04}" not in "".join(lines)  # of 200 columns rows are shown
    said = dpkg.diff("acme/odd").changes[0]
    assert said.drift is not None
    assert len(said.drift.columns) == columns


def test_very_long_cells(dpk: Callable[..., Any], store: Any) -> None:
    import pyarrow as pa

    long = "x" * 10_000_000

    def table(end: str) -> Any:
        return pa.table({"id": [1, 2], "text": [long + end, "short"]}), {"key": ["id"]}

    for end in ("old end", "new end"):
        store.commit("acme/odd", {"t": table(end)})
    (line,) = (line for line in rows(dpk, "acme/odd") if "→" in line and "text" in line)
    old, _, new = line.partition("→")
    assert old.split()[-2:] == ["…" + "x" * 20 + "old", "end"]
    assert new.split() == ["…" + "x" * 20 + "new", "end"]
    assert len(line) < 120


def test_columns_in_another_order_and_a_table_without_rows(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/odd", {"t": {"a": [1, 2], "b": [3, 4]}, "e": {"a": [1]}})
    store.commit("acme/odd", {"t": {"b": [3, 4], "a": [1, 2]}, "e": {"a": []}})
    assert rows(dpk, "acme/odd") == [
        "~ table  e  1 → 0 rows (-1)",
        "    ~ column a  int64 → null",
        "    rows: 1 removed",
        "         row  a",
        "      -    1  1",
        "    drift: major (1 moderate of 1 column)",
        "      major: rows 1 → 0 (rows major from 10)",
        "      a  moderate",
        "        type int64 → null",
        "~ table  t  2 rows as before",
        "    ~ column b  place 2 → 1",
        "    rows: none differ in the columns that both have",
        "",
        "2 changed",
        "major drift in e: rows 1 → 0 (rows major from 10)",
    ]


def test_a_table_that_became_a_file(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/odd", {"t": {"a": [1]}, "f": b"x"})
    store.commit("acme/odd", {"t": b"a\n1\n", "f": {"a": [1]}})
    assert rows(dpk, "acme/odd") == [
        "~ table  f  was a blob",
        "~ blob   t  was a table",
        "",
        "2 changed",
        "major drift in t: the table is gone",
    ]
    dpk("diff", "acme/odd", "--fail-on", "schema", code=11)
    dpk("diff", "acme/odd", "--fail-on", "major", code=11)


def test_rows_by_a_key_that_is_named(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/odd", {"t": {"id": [1, 2, 2, 3], "v": ["a", "b", "c", "d"]}})
    store.commit("acme/odd", {"t": {"id": [3, 2, 4, 2], "v": ["D", "c", "e", "B"]}})
    assert rows(dpk, "acme/odd", "--key", "id")[1:7] == [
        "    rows: 1 added, 1 removed, 2 changed (v 2)",
        "         row  id  v",
        "      -    1   1  a",
        "      +    3   4  e",
        "         row  id  column  old     new",
        "      ~    1   3  v       d    →  D",
    ]
    assert dpk("diff", "acme/odd/t", "--key", "id", "--format", "csv").out.splitlines()[1] == "removed,0,,[],1,a,,"
    assert "did you mean 'id'?" in dpk("diff", "acme/odd", "--key", "idd", code=2).err
    assert "no edit script" in dpk("diff", "acme/odd/t", "--key", "id", "--format", "arrow", code=2).err
    (batch,) = dpkg.diff("acme/odd", key=["id"]).tables["t"].batches()
    assert batch.column("_change").to_pylist().count("changed") == 2
