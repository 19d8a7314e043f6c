"""blame: what people see of a row's history, and what they are told where there is none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

import dpkg
from dpkg.errors import NotFound, Usage

PKG = "acme/shop"
T = f"{PKG}/sales"
KEY = ("-k", "day=2026-02-01", "-k", "shop=Bern")
DAYS = [20484, 20485]  # 2026-01-31, 2026-02-01


def sales(
    *rows: tuple[int, str, Any], names: tuple[str, ...] = ("day", "shop", "n"), key: bool = True, **more: Any
) -> Any:
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) | more
    columns[names[0]] = pa.array(columns[names[0]], pa.date32())
    made = pa.table(columns)
    return (made, {"key": list(names[:2])}) if key else made


@pytest.fixture
def shop(store: Any) -> Any:
    """Bern's sales of 1 February come, change, go and come back, among changes elsewhere."""
    bern, jena = (DAYS[1], "Bern"), (DAYS[0], "Jena")
    for message, rows in (
        ("open", [(*jena, 1), (*bern, 3)]),
        ("jena", [(*jena, 2), (*bern, 3)]),
        ("more", [(*jena, 2), (*bern, 4)]),
        ("gone", [(*jena, 2)]),
        ("back", [(*jena, 2), (*bern, 5)]),
        ("same", [(*jena, 2), (*bern, 5)]),
        ("last", [(*jena, 9), (*bern, 5)]),
    ):
        store.commit(PKG, {"sales": sales(*rows), "note": message.encode()}, message)
    return store


def told(*args: Any, **more: Any) -> list[tuple[str, str]]:
    return [(b.message, b.what) for b in dpkg.blame(*args, **more)]


def test_who_put_a_row_there(dpk: Callable[..., Any], shop: Any) -> None:
    lines = dpk("blame", T, *KEY).out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{12}  \d{4}-.* UTC  Ada  back", lines[0])
    assert [line.split() for line in lines[1:]] == [["+", "added"], ["day", "shop", "n"], ["2026-02-01", "Bern", "5"]]
    said = dpk("blame", f"{PKG}@latest~4/sales", *KEY, "--json").json
    assert (said["what"], said["message"], said["cells"], said["old"], said["new"]) == (
        "changed",
        "more",
        ["n"],
        {"n": 3},
        {"n": 4},
    )
    assert said["row"] == {"day": "2026-02-01", "shop": "Bern"}
    assert dpk("blame", f"{PKG}@latest~4/sales", *KEY).out.splitlines()[1:] == ["    ~  n  3  →  4"]


def test_the_whole_history_of_a_row(dpk: Callable[..., Any], shop: Any) -> None:
    key = KEY[1::2]
    every = [("back", "added"), ("gone", "removed"), ("more", "changed"), ("open", "added")]
    assert told(T, key=key, all=True) == every
    assert told(T, key=key, max_count=2) == every[:2]
    assert told(T, key=key, max_count=0) == []
    lines = dpk("blame", T, *KEY, "--all").out.splitlines()
    marked = [line.strip() for line in lines if line.startswith("    ") and line[4] in "+-~"]
    assert marked == ["+ added", "- removed", "~  n  3  →  4", "+ added"]
    assert told(f"{PKG}@latest~3/sales", key=key, all=True) == every[1:]


def test_a_row_that_is_gone(dpk: Callable[..., Any], shop: Any) -> None:
    """The error names the commit that removed it; what it says is what to run."""
    error = dpk("blame", f"{PKG}@latest~3/sales", *KEY, code=3).err.splitlines()
    gone = str(dpkg.plumbing.rev_parse(f"{PKG}@latest~3").oid)[:12]
    assert error[0].endswith("has day=2026-02-01, shop=Bern any more")
    assert error[1].startswith(f"     commit {gone} removed it (Ada, ")
    assert "more\n    ~  n  3  →  4" in dpk(*shlex.split(error[2])[1:]).out
    for more in ([], ["--all"]):
        assert "nor had any before" in dpk("blame", T, "-k", "day=2026-02-01", "-k", "shop=Rome", *more, code=3).err


def test_where_retention_cut_the_history(dpk: Callable[..., Any], shop: Any) -> None:
    dpkg.gc(keep_last=2)
    assert told(T, key=KEY[1::2]) == [("same", "older")]
    out = dpk("blame", T, *KEY).out
    assert "was there already: older commits were removed by retention (by Ada" in out
    assert "2026-02-01  Bern  5" in out


def test_of_a_table_that_was_installed_alone(dpk: Callable[..., Any], shop: Any, other: Any) -> None:
    dpkg.install(T, shop.url, store=other.url)
    assert told(T, key=KEY[1::2], store=other.url) == [("last", "older")]
    assert "the commits before are not here" in dpk("blame", T, *KEY, "--store", other.url).out


def test_tables_and_columns_with_other_names_and_types(store: Any) -> None:
    """A table that moved, a key and a column that were renamed, one of another type, new ones."""
    rows = [(DAYS[i % 2], f"s{i:02}", i) for i in range(40)]
    for message, contents in (
        ("old", {"raw": {"t": sales(*rows, names=("date", "store", "n"), c=[f"c{i}" for i in range(40)])}}),
        ("names", {"raw": {"t": sales(*rows, c=[f"c{i}" for i in range(40)])}}),
        ("moved", {"sales": sales(*rows, c=[f"c{i}" for i in range(40)])}),
        ("type", {"sales": sales(*((*r[:2], float(r[2])) for r in rows), label=[f"c{i}" for i in range(40)])}),
        (
            "new",
            {
                "sales": sales(
                    *((*r[:2], float(r[2])) for r in rows), label=[f"c{i}" for i in range(40)], e=[None] * 39 + [1]
                )
            },
        ),
    ):
        store.commit(PKG, contents, message)
    assert told(T, key=["day=2026-01-31", "shop=s02"]) == [("old", "added")]
    (first,) = dpkg.blame(T, key=["day=2026-01-31", "shop=s02"])
    assert (first.path, first.new) == ("raw/t", {"date": "2026-01-31", "store": "s02", "n": 2, "c": "c2"})
    assert told(T, key=["day=2026-02-01", "shop=s39"], all=True) == [("new", "changed"), ("old", "added")]
    (last,) = dpkg.blame(T, key=["day=2026-02-01", "shop=s39"])
    assert (last.cells, last.old, last.new) == (("e",), {"e": None}, {"e": 1})


def test_a_table_without_a_key(dpk: Callable[..., Any], store: Any) -> None:
    for message, names in (("a", ["x", "y", "x"]), ("b", ["x", "z", "x", "x"]), ("c", ["x", "z", "w"])):
        store.commit(PKG, {"t": {"id": list(range(len(names))), "name": names}}, message)
    t = f"{PKG}/t"
    assert told(t, key=["id=1"]) == [("b", "changed")]
    assert told(t, key=["name=x"]) == [("a", "added")]
    assert told(t, key=["name=x"], all=True) == [
        ("c", "removed"),
        ("c", "removed"),
        ("b", "added"),
        ("a", "added"),
        ("a", "added"),
    ]
    assert {b.new["id"] for b in dpkg.blame(f"{PKG}@latest~1/t", key=["name=x"])} == {0, 2, 3}  # type: ignore[index]
    store.commit(PKG, {"t": {"id": list(range(200)), "name": ["x"] * 200}}, "many")
    assert "name more columns" in dpk("blame", t, "-k", "name=x", code=2).err
    assert told(t, key=["name=x", "id=150"]) == [("many", "added")]


def test_a_key_of_one_column(dpk: Callable[..., Any], store: Any) -> None:
    store.commit(PKG, {"t": ({"id": [1, 2], "n": [1, 2]}, {"key": ["id"]})}, "first")
    assert told(f"{PKG}/t", key=["2"]) == told(f"{PKG}/t", key="id=2") == [("first", "added")]
    assert "'x' is not int64, as column 'id' is" in dpk("blame", f"{PKG}/t", "-k", "x", code=2).err


def test_what_has_no_rows(dpk: Callable[..., Any], shop: Any) -> None:
    assert "did you mean" not in dpk("blame", PKG, *KEY, code=2).err
    assert "rows are of tables" in dpk("blame", f"{PKG}/note", *KEY, code=2).err
    assert "there is: sales" in dpk("blame", f"{PKG}/sale", *KEY, code=3).err
    assert "the key is day, shop" in dpk("blame", T, code=2).err
    with pytest.raises(Usage):
        dpkg.blame(T, key=KEY[1::2], max_count=-1)
    with pytest.raises(NotFound):
        dpkg.blame(f"{PKG}@v9/sales", key=KEY[1::2])
