"""diff as a review: lines of texts, rows of tables, files that are not built, other stores, what a pipeline stops at."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch as replaced

import pytest

import dpkg

OLD = {"id": [1, 2, 3, 4], "shop": ["Bern", "Jena", None, "Rome"], "n": [1.5, 2.5, 3.5, 4.5]}
NEW = {"id": [1, 3, 4, 5], "shop": ["Bern", "Oslo", "Rome", "Lima"], "n": [1.5, 3.5, -4.5, 5.5]}


def keyed(columns: dict[str, Any]) -> Any:
    import pyarrow as pa

    return pa.table(columns), {"key": ["id"]}


@pytest.fixture
def shop(store: Any) -> Any:
    """Two commits of acme/shop, the first tagged v1: a table with a key, one without, a text, a picture."""
    text = b"".join(b"line %d\n" % i for i in range(30))
    first = {"t": keyed(OLD), "u": OLD, "docs": {"a.md": text}, "p.png": b"\x89PNG\0", "same": b"s"}
    commit = store.commit("acme/shop", first)
    store.repository.refs.create_tag("acme/shop", "v1", commit, who="Ada")
    changed = text.replace(b"line 7\n", b"line seven\n").replace(b"line 29\n", b"")
    store.commit(
        "acme/shop", {"t": keyed(NEW), "u": NEW, "docs": {"a.md": changed}, "p.png": b"\x89PNG\0\1", "same": b"s"}
    )
    return store


def test_rows_of_a_table_with_a_key(dpk: Callable[..., Any], shop: Any) -> None:
    lines = dpk("diff", "acme/shop@v1..latest", "t").out.splitlines()[3:]
    assert lines == [
        "~ table  t  4 rows as before",
        *[line for line in lines if "fragment" in line],
        "    rows: 1 added, 1 removed, 2 changed (shop 1, n 1)",
        "         row  id  shop    n",
        "      -    2   2  Jena  2.5",
        "      +    4   5  Lima  5.5",
        "         row  id  column  old     new",
        "      ~    2   3  shop    ·    →  Oslo",
        "      ~    3   4  n       4.5  →  -4.5",
        "",
        "1 changed",
        "no drift",
    ]
    said = dpk("diff", "acme/shop@v1..latest", "t", "--json").json["changes"][0]["row_changes"]
    assert (said["removed"], said["added"], said["changed"], said["cells"]) == (1, 1, 2, {"shop": 1, "n": 1})
    assert said["head"][1] == {
        "what": "changed", "old_row": 2, "new_row": 1, "cells": ["shop"],
        "old": {"id": 3, "shop": None}, "new": {"id": 3, "shop": "Oslo"},
    }  # fmt: skip


def test_rows_of_a_table_without_a_key(shop: Any) -> None:
    (change,) = dpkg.diff("acme/shop@v1..latest", paths=["u"], rows="all").changes
    rows = change.row_changes
    assert (rows.removed, rows.added, rows.changed, len(rows.head)) == (3, 3, 0, 6)
    assert {tuple(r.old.values()) for r in rows.head if r.old} == {(2, "Jena", 2.5), (3, None, 3.5), (4, "Rome", 4.5)}


def test_how_many_rows(dpk: Callable[..., Any], shop: Any) -> None:
    def shown(*args: str) -> tuple[int, str]:
        out = dpk("diff", "acme/shop/t", *args).out
        return sum(line.startswith("      ") and line.strip()[0] in "+-~" for line in out.splitlines()), out

    assert shown()[0] == shown("--rows", "all")[0] == 4
    found, out = shown("--rows", "1")
    assert (found, "… 3 more" in out) == (1, True)
    assert shown("--rows", "0")[0] == 0
    with replaced("dpkg.diffing.review.CHEAP", 10):
        found, out = shown()
        assert (found, "--rows N" in out) == (0, True)
        assert shown("--rows", "2")[0] == 2


def test_renamed_columns_are_suggested(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/d", {"t": keyed(OLD)})
    store.commit("acme/d", {"t": keyed({"id": OLD["id"], "city": [*OLD["shop"][:3], "Pisa"], "n": OLD["n"]})})
    assert "column shop  → city" not in dpk("diff", "acme/d").out  # 3 of 4 values are too few
    store.commit("acme/d", {"t": keyed({"id": OLD["id"], "place": [*OLD["shop"][:3], "Pisa"], "n": OLD["n"]})})
    out = dpk("diff", "acme/d").out
    assert "    > column city  → place" in out
    assert "rows: none differ" in out


def test_texts_and_other_files(dpk: Callable[..., Any], shop: Any) -> None:
    out = dpk("diff", "acme/shop").out
    assert (
        "    @@ -5,7 +5,7 @@\n     line 4\n     line 5\n     line 6\n    -line 7\n    +line seven\n     line 8\n" in out
    )
    assert "    -line 29\n" in out
    assert "~ blob   p.png  5 B → 6 B, image/png, not text" in out
    one = dpk("diff", "acme/shop", "--rows", "2", "--json").json["changes"][0]["blob"]
    assert (one["kind"], one["removed"], one["added"], len(one["lines"]), one["more"] > 0) == ("text", 2, 1, 2, True)
    with replaced("dpkg.diffing.texts.MOST", 10):
        assert "too large to be compared" in dpk("diff", "acme/shop").out


def test_a_part_alone(dpk: Callable[..., Any], shop: Any) -> None:
    def names(*args: str) -> list[str]:
        return dpk("diff", *args, "--name-only").out.splitlines()

    assert names("acme/shop") == ["docs/a.md", "p.png", "t", "u"]
    assert names("acme/shop@v1..latest", "docs", "t", "docs/a.md") == ["docs/a.md", "t"]
    assert names("acme/shop@v1", "acme/shop", "same", "u") == ["u"]
    assert names("acme/shop/docs") == names("acme/shop@v1/docs", "acme/shop/docs") == ["docs/a.md"]
    assert names("acme/shop@v1/t", "acme/shop@v1/u") == ["t"]  # one table with another
    assert "rows: none differ" in dpk("diff", "acme/shop@v1/t", "acme/shop@v1/u").out
    assert (
        "did you mean" in (err := dpk("diff", "acme/shop", "acme/shop", "doc", code=3).err) or "there is: docs" in err
    )


def scratch() -> set[str]:
    """Folders in which something is compared."""
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("dpkg-diff-")}


def test_files_that_are_not_built(dpk: Callable[..., Any], store: Any, tmp_path: Path) -> None:
    (tmp_path / "here/src/docs").mkdir(parents=True)
    (tmp_path / "here/src/sales.csv").write_text("id,n\n1,10\n2,20\n")
    (tmp_path / "here/src/docs/a.txt").write_text("one\n")
    dpk("build", "acme/s", "src")
    before = sorted(Path(store.url).rglob("*")), scratch()
    assert "no difference: the tophashes are equal" in dpk("diff", "acme/s", "./src").out
    (tmp_path / "here/src/sales.csv").write_text("id,n\n1,10\n2,21\n3,30\n")
    (tmp_path / "here/src/docs/a.txt").write_text("two\n")
    out = dpk("diff", "acme/s", "src").out
    assert "to    src            not built" in out
    assert "    -one\n    +two\n" in out
    assert "rows: 2 added, 1 removed" in out
    assert "rows: 2 added" in dpk("diff", "acme/s/sales", "./src/sales.csv").out
    assert dpk("diff", "./src", "./src", "--json").json["changes"] == []
    (tmp_path / "here/src/sales.csv").write_text("id,n\n1,10\n2\n")
    assert "line 3" in dpk("diff", "acme/s", "./src", code=7).err
    gc.collect()
    assert (sorted(Path(store.url).rglob("*")), scratch()) == before
    assert dpkg.log("acme/s").__next__().parents == ()


def test_another_store(dpk: Callable[..., Any], shop: Any, remote: str) -> None:
    dpk("push", "acme/shop", remote)
    dpk("remote", "add", "origin", remote)
    shop.commit("acme/shop", {"t": keyed(OLD)})
    out = dpk("diff", "acme/shop", "--from", "origin", "--stat").out
    assert "~ table  t          +1 -1 ~2 rows" in out
    assert "- table  u" in out
    assert "+ table  u" in dpk("diff", "acme/shop", "--to", remote, "--stat").out
    assert dpk("diff", "acme/shop@v1", "acme/shop@v1", "--to", "origin", "--json").json["changes"] == []


def test_stat(dpk: Callable[..., Any], shop: Any) -> None:
    assert dpk("diff", "acme/shop", "--stat").out.splitlines()[3:] == [
        "~ blob   docs/a.md  +1 -2 lines",
        "~ blob   p.png      5 B → 6 B, image/png, not text",
        "~ table  t          +1 -1 ~2 rows",
        "~ table  u          +3 -3 ~0 rows",
        "4 changed",
        "no drift",
    ]


def test_what_a_pipeline_stops_at(dpk: Callable[..., Any], shop: Any) -> None:
    dpk("diff", "acme/shop", "--fail-on", "schema", code=0)
    dpk("diff", "acme/shop", "--fail-on", "any", code=11)
    dpk("diff", "acme/shop", "acme/shop", "--fail-on", "any", code=0)
    dpk("diff", "acme/shop@v1..latest", "same", "--fail-on", "any", "--name-only", code=0)
    shop.commit("acme/shop", {"t": keyed({**NEW, "more": [1] * 4}), "u": NEW})
    assert "written acme/shop/t" in dpk("diff", "acme/shop", "t", "--fail-on", "schema", code=2).err
    dpk("diff", "acme/shop/t", "--fail-on", "schema", "--stat", code=11)
    shop.commit("acme/shop", {"t": b"no table"})
    dpk("diff", "acme/shop/t", "--fail-on", "schema", code=11)
    dpk("diff", "acme/shop/u", "--fail-on", "schema", code=11)  # gone
    shop.commit("acme/shop", {"t": b"no table", "u": NEW})
    dpk("diff", "acme/shop", "--fail-on", "schema", code=0)  # one more


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_a_row_diff_applied(dpk: Callable[..., Any], shop: Any, format: str) -> None:
    for path in ("t", "u"):
        said = dpk("diff", "acme/shop@v1..latest", path, "--format", format, "-o", "rows").out
        assert said.startswith(f"wrote the rows of {path} that differ to rows: ")
        piped = dpk("diff", "acme/shop@v1..latest", path, "--format", format).stdout
        assert piped == Path("rows").read_bytes()
        made = dpkg.plumbing.apply_diff(f"acme/shop@v1/{path}", "rows")
        assert made.oid == dpkg.plumbing.rev_parse(f"acme/shop/{path}").oid
        assert dpk("apply-diff", f"acme/shop@v1/{path}", "rows").out == f"{made.oid}\n"
        assert "the patch is for the table" in dpk("apply-diff", f"acme/shop/{path}", "rows", code=2).err
    assert sorted(os.listdir()) == ["rows"]


def test_a_row_diff_for_other_tools(dpk: Callable[..., Any], shop: Any) -> None:
    def rows(format: str) -> list[str]:
        return dpk("diff", "acme/shop@v1..latest", "t", "--format", format).out.splitlines()

    assert rows("csv") == [
        "_change,_old_row,_new_row,_cells,old.id,old.shop,old.n,new.id,new.shop,new.n",
        "removed,1,,[],2,Jena,2.5,,,",
        'changed,2,1,"[""shop""]",3,,3.5,3,Oslo,3.5',
        'changed,3,2,"[""n""]",4,Rome,4.5,4,Rome,-4.5',
        "added,,3,[],,,,5,Lima,5.5",
    ]
    assert rows("daff") == [
        "@@,id,shop,n",
        "---,2,Jena,2.5",
        "->,3,NULL->Oslo,3.5",
        "->,4,Rome,4.5->-4.5",
        "+++,5,Lima,5.5",
    ]
    assert rows("json")[1].startswith('{"_change":"changed","_old_row":2,"_new_row":1,"_cells":["shop"],"old.id":3,')


def test_daff_says_columns_and_escapes(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/d", {"t": keyed({"id": [1, 2], "a": ["NULL", "x->y"], "b": [1, 2]})})
    store.commit("acme/d", {"t": keyed({"id": [1, 2], "a": ["_NULL", "z"], "c": ["p", None]})})
    assert dpk("diff", "acme/d/t", "--format", "daff").out.splitlines() == [
        "!,,,+++,---",
        "@@,id,a,c,b",
        "->,1,_NULL->__NULL,NULL->p,1",
        "-->,2,x->y-->z,NULL,2",
    ]


def test_a_row_diff_of_nothing_and_of_too_much(dpk: Callable[..., Any], shop: Any) -> None:
    assert len(dpk("diff", "acme/shop@v1", "acme/shop@v1", "t", "--format", "csv").out.splitlines()) == 1
    assert "t, u" in dpk("diff", "acme/shop", "--format", "csv", code=2).err
    Path("not").write_text("a row diff")
    assert "neither Arrow nor Parquet" in dpk("apply-diff", "acme/shop/t", "not", code=7).err
    dpk("apply-diff", "acme/shop/t", "none", code=3)
    Path("not").write_bytes(dpk("read-table", "acme/shop/t").stdout)
    assert "is no row diff" in dpk("apply-diff", "acme/shop/t", "not", code=7).err
    whole = dpk("diff", "acme/shop/t", "--format", "arrow").stdout
    Path("not").write_bytes(whole[: len(whole) // 2])
    dpk("apply-diff", "acme/shop@v1/t", "not", code=7)


def test_tables_in_python(shop: Any) -> None:
    found = dpkg.diff("acme/shop")
    assert list(found.tables) == ["t", "u"]
    rows = [row for batch in found.tables["t"].batches() for row in batch.to_pylist()]
    assert [(r["_change"], r["old.id"], r["new.id"]) for r in rows] == [
        ("removed", 2, None),
        ("changed", 3, 3),
        ("changed", 4, 4),
        ("added", None, 5),
    ]


def test_log_says_what_commits_changed(dpk: Callable[..., Any], shop: Any) -> None:
    shop.commit("acme/shop", {"t": keyed(NEW)}, "only t")
    lines = dpk("log", "acme/shop", "--stat", "--oneline").out.splitlines()
    assert [line for line in lines if " t " in line] == [
        "~ table  t          +1 -1 ~2 rows",
        "+ table  t          4 rows, 100 B",
    ]
    assert lines[-1] == "5 added"
    commits = [e.commit for e in dpkg.log("acme/shop")]
    assert [e.commit for e in dpkg.log("acme/shop", patch=["t"])] == commits[1:]
    assert [e.commit for e in dpkg.log("acme/shop", patch=["docs/"])] == commits
    assert [e.commit for e in dpkg.log("acme/shop", patch=["t"], max_count=1)] == commits[1:2]
    assert "rows: 1 added, 1 removed, 2 changed" in dpk("log", "acme/shop", "-p", "t").out
    assert "no commit has 'none'" in dpk("log", "acme/shop", "-p", "none", code=3).err
    assert dpk("log", "acme/shop", "--json", "-p", "t").lines[0]["changes"][0]["row_changes"]["changed"] == 2
    assert dpk("log", "acme/shop", "--json").lines[0]["changes"] is None


def test_reports(dpk: Callable[..., Any], shop: Any) -> None:
    said = dpk("diff", "acme/shop", "--html", "page.html").out
    assert said.splitlines()[-1] == "wrote page.html"
    assert "4 changed" in said
    page = Path("page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "Oslo" in page
    comment = dpk("diff", "acme/shop", "--markdown").out
    assert "Oslo" in comment
    assert dpk("diff", "acme/shop", "--markdown", "-o", "c.md", "--html", "p.html", "--json").json["reports"] == [
        *("p.html", "c.md")
    ]
    assert Path("c.md").read_text() == comment
    assert Path("p.html").read_text() == page
    assert "forms of one thing" in dpk("diff", "acme/shop", "--markdown", "--stat", code=2).err
    assert "--output is for" in dpk("diff", "acme/shop", "-o", "x", code=2).err
    dpk("diff", "acme/shop", "--html", "none/page.html", code=8)


def test_drift_that_a_pipeline_stops_at(dpk: Callable[..., Any], store: Any) -> None:
    """Profiles of small tables are made of their rows; elsewhere nothing is read unasked."""
    for low in (0, 100):
        store.commit("acme/shop", {"t": {"id": list(range(300)), "x": [low + i % 40 for i in range(300)]}})
    lines = dpk("diff", "acme/shop").out.splitlines()
    assert "    drift: major (1 major of 2 columns)" in lines
    assert lines[-1].startswith("major drift in t: x: PSI ")
    assert " x " in "".join(line for line in lines if "▁" in line or "█" in line)
    figures = dpk("diff", "acme/shop", "--drift").out.splitlines()
    (at,) = (i for i, line in enumerate(figures) if line.split()[:3] == ["x", "old", "int64"])
    assert figures[at].split()[3:7] == ["40", "0", "18", "39"]
    assert figures[at + 1].split()[2:6] == ["40", "100", "118", "139"]
    for level, code in (("moderate", 11), ("major", 11), ("schema", 0), ("any", 11)):
        dpk("diff", "acme/shop", "--fail-on", level, "--name-only", code=code)
    found = dpk("diff", "acme/shop", "--json").json
    assert found["verdict"]["verdict"] == found["changes"][0]["verdict"]["verdict"] == "major"
    assert found["changes"][0]["drift"]["columns"][1]["distances"][0]["ks"]["value"] == 1.0


def test_a_report_goes_where_it_is_sent(dpk: Callable[..., Any], shop: Any) -> None:
    """Through a link, and into what is no file: this stays what it is."""
    page = dpk("diff", "acme/shop", "--markdown").out
    Path("file.md").write_text("before")
    Path("link.md").symlink_to("file.md")
    dpk("diff", "acme/shop", "--markdown", "-o", "link.md")
    assert Path("link.md").is_symlink()
    assert Path("file.md").read_text() == page
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    dpk("diff", "acme/shop", "--markdown", "-o", "pipe")
    reader.join()
    assert read == [page]
    assert Path("pipe").is_fifo()
    Path("folder").mkdir()
    assert "folder" in dpk("diff", "acme/shop", "--markdown", "-o", "folder", code=8).err
