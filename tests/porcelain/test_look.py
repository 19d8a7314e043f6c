"""ls, show and log: what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg.errors import NotFound, Usage

# ls


def test_ls_packages(dpk: Callable[..., Any], sales: Any) -> None:
    sales.commit("acme/other", {"x": b"12"})
    first, second = dpk("ls", "--json").lines
    assert (first["package"], first["rows"], first["bytes"], first["tags"]) == ("acme/other", 0, 2, [])
    assert (second["package"], second["rows"], second["tags"]) == ("acme/sales", 4, ["v1"])
    assert second["tophash"] == dpk("rev-parse", "--tophash", "acme/sales").out.strip()
    shown = dpk("ls").out.splitlines()
    assert [line.split()[0] for line in shown] == ["acme/other", "acme/sales"]
    assert "4 rows" in shown[1]
    assert shown[1].endswith("v1")


def test_ls_of_nothing(dpk: Callable[..., Any], store: Any, tmp_path: Path) -> None:
    assert "dpk build" in dpk("ls").out
    assert dpk("ls", "--json").out == ""
    ran = dpk("ls", "--store", str(tmp_path / "none"), code=3)
    assert "there is no store" in ran.err
    assert "dpk init" in ran.err


def test_ls_a_package_without_commits(dpk: Callable[..., Any], sales: Any) -> None:
    """Only its tags are left."""
    repository = sales.repository
    repository.refs.delete("acme/sales", "heads", "main", who="Ada", why="test")
    assert dpk("ls", "--json").json["commit"] is None
    assert "no commits" in dpk("ls").out
    dpk("ls", "acme/sales", code=3)
    assert len(dpk("ls", "acme/sales@v1", "--json").lines) == 4


def test_ls_entries(dpk: Callable[..., Any], sales: Any) -> None:
    lines = dpk("ls", "acme/sales", "--json").lines
    assert [(e["path"], e["type"], e["rows"], e["entries"]) for e in lines] == [
        ("README.md", "blob", 0, 0),
        ("docs", "tree", 0, 1),
        ("odd name.csv", "blob", 0, 0),
        ("transactions", "table", 4, 0),
    ]
    assert [e["rows"] for e in dpk("ls", "acme/sales@v1", "--json").lines] == [0, 0, 0, 3]
    assert [e["path"] for e in dpk("ls", "-r", "acme/sales", "--json").lines][1:3] == ["docs", "docs/guide.txt"]
    assert [e["path"] for e in dpk("ls", "acme/sales/docs", "--json").lines] == ["docs/guide.txt"]
    assert [e["path"] for e in dpk("ls", "acme/sales/docs/guide.txt", "--json").lines] == ["docs/guide.txt"]
    shown = dpk("ls", "acme/sales").out.splitlines()
    assert shown[1].startswith("tree   docs/ ")
    assert "1 entry" in shown[1]


def test_ls_names_what_is_there_instead(dpk: Callable[..., Any], sales: Any) -> None:
    assert "there is: acme/sales" in dpk("ls", "acme/sale", code=3).err
    assert "there is: transactions" in dpk("ls", "acme/sales/transaction", code=3).err
    assert "tags: v1" in dpk("ls", "acme/sales@v2", code=3).err
    with pytest.raises(NotFound):  # at the call
        dpkg.ls("acme/none")


# show


def test_show_a_package(dpk: Callable[..., Any], sales: Any) -> None:
    said = dpk("show", "acme/sales@v1", "--json").json
    assert (said["type"], said["message"], said["author"]) == ("tree", "first", "Ada <ada@example.com>")
    assert said["oid"] == said["tophash"] == dpk("rev-parse", "--tophash", "acme/sales@v1").out.strip()
    assert [e["path"] for e in said["entries"]] == ["README.md", "docs", "odd name.csv", "transactions"]
    shown = dpk("show", "acme/sales@v1").out
    assert shown.startswith("acme/sales@v1  package\n")
    assert all(
        text in shown
        for text in (said["tophash"], said["commit"], "Ada <ada@example.com>", "    first", "transactions")
    )


def test_show_a_folder(dpk: Callable[..., Any], sales: Any) -> None:
    said = dpk("show", "acme/sales/docs", "--json").json
    assert (said["type"], [e["path"] for e in said["entries"]]) == ("tree", ["guide.txt"])
    assert said["oid"] != said["tophash"]
    assert "guide.txt" in dpk("show", "acme/sales/docs").out


def test_show_a_table(dpk: Callable[..., Any], store: Any) -> None:
    import pyarrow as pa

    columns = {"id": [1, 2, 3], "name": ["x", None, "line\nbreak"], "list": [[1], [], None]}
    table = pa.table({**columns, "at": pa.array([0, 1, None], pa.timestamp("us", "UTC"))})
    store.commit("acme/t", {"t": (table, {"key": ["id"]})})
    said = dpk("show", "acme/t/t", "--json").json
    assert (said["type"], said["rows"], said["fragments"], said["key"]) == ("table", 3, 1, ["id"])
    assert said["columns"][1:] == [
        {"name": "name", "type": "utf8"},
        {"name": "list", "type": "list<int64>"},
        {"name": "at", "type": "timestamp[us, UTC]"},
    ]
    assert said["head"][2] == {"id": 3, "name": "line\nbreak", "list": None, "at": None}
    assert len(dpk("show", "acme/t/t", "-n", "2", "--json").json["head"]) == 2
    assert dpk("show", "acme/t/t", "-n", "0", "--json").json["head"] == []
    assert len(dpk("show", "acme/t/t", "-n", str(2**80), "--json").json["head"]) == 3
    shown = dpk("show", "acme/t/t").out
    assert "3 rows, 4 columns" in shown
    assert "key      id" in shown
    assert "line⏎break" in shown
    dpk("show", "acme/t/t", "-n", "-1", code=2)


def test_show_values_that_json_has_not(dpk: Callable[..., Any], store: Any) -> None:
    import datetime
    import decimal

    table = {
        "float": [float("nan"), float("inf")],
        "bytes": [b"\xff", None],
        "decimal": [decimal.Decimal("1.50"), None],
        "date": [datetime.date(2020, 1, 1), None],
        "struct": [{"a": 1, "b": [1.5]}, None],
    }
    store.commit("acme/t", {"t": table})
    first, _ = dpk("show", "acme/t/t", "--json").json["head"]
    assert first == {
        "float": "NaN",
        "bytes": "/w==",
        "decimal": "1.50",
        "date": "2020-01-01",
        "struct": {"a": 1, "b": [1.5]},
    }
    assert dpk("show", "acme/t/t").out


def test_show_a_file(dpk: Callable[..., Any], store: Any) -> None:
    text = "".join(f"line {i}\n" for i in range(50_000)).encode()
    contents = {
        "text": text,
        "binary": b"\xff\xfe",
        "nul": b"a\0b",
        "empty": b"",
        "cut": b"x" * 65_535 + "é".encode() * 9,
    }
    store.commit("acme/f", {**contents, "late": b"x" * 100_000 + b"\xff"})
    assert dpk("show", "acme/f/text", "--json").json["text"].splitlines() == [f"line {i}" for i in range(10)]
    assert dpk("show", "acme/f/text", "-n", "3").out.endswith("\n\nline 0\nline 1\nline 2\n")
    for name in ("binary", "nul"):
        assert dpk("show", f"acme/f/{name}", "--json").json["text"] is None
        assert "not text" in dpk("show", f"acme/f/{name}").out
    assert dpk("show", "acme/f/empty", "--json").json["text"] == ""
    assert dpk("show", "acme/f/cut", "--json").json["text"]


def test_show_metadata(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/m", {"x": (b"x", {"unit": "€", "n": 1.5})})
    assert dpk("show", "acme/m/x", "--json").json["metadata"] == {"n": 1.5, "unit": "€"}
    assert 'metadata {"n": 1.5, "unit": "€"}' in dpk("show", "acme/m/x").out


def test_show_many_entries(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/m", {f"{i:03}": b"" for i in range(100)})
    assert len(dpk("show", "acme/m", "--json").json["entries"]) == 100
    assert dpk("show", "acme/m").out.endswith("… and 60 more: dpk ls acme/m\n")


# log


def test_log(dpk: Callable[..., Any], sales: Any) -> None:
    new, old = dpk("log", "acme/sales", "--json").lines
    assert (new["message"], new["parents"], new["refs"]) == ("second", [old["commit"]], ["latest"])
    assert (old["message"], old["parents"], old["refs"]) == ("first", [], ["v1"])
    shown = dpk("log", "acme/sales").out
    assert shown.startswith(
        f"commit {new['commit']} (latest)\ntophash {new['tophash']}\nAuthor: Ada <ada@example.com>\nDate:   2"
    )
    assert f"\n\n    second\n\ncommit {old['commit']} (v1)\n" in shown
    assert (
        dpk("log", "acme/sales", "--oneline").out
        == f"{new['commit'][:12]} (latest) second\n{old['commit'][:12]} (v1) first\n"
    )


def test_log_from_a_revision(dpk: Callable[..., Any], sales: Any) -> None:
    assert [e["message"] for e in dpk("log", "acme/sales@v1", "--json").lines] == ["first"]
    assert [e["message"] for e in dpk("log", "acme/sales", "-n", "1", "--json").lines] == ["second"]
    assert dpk("log", "acme/sales", "-n0").out == ""
    assert len(dpk("log", "acme/sales", "-n", str(10**30), "--json").lines) == 2


def test_log_of_what_has_none(dpk: Callable[..., Any], sales: Any) -> None:
    dpk("log", "acme/none", code=3)
    dpk("log", "acme/sales/docs", code=2)
    dpk("log", "acme/sales", "-n-1", code=2)
    with pytest.raises(Usage):  # at the call
        dpkg.log("acme/sales/docs")


def test_log_of_a_merge(dpk: Callable[..., Any], sales: Any) -> None:
    """Parents come after children, each commit once."""
    repository = sales.repository
    tip = repository.tip("acme/sales")
    tree = repository.commit(tip).tree
    sides = [repository.make_commit(tree, (tip,), f"side {i}") for i in range(2)]
    merge = repository.make_commit(tree, tuple(sides), "merge")
    repository.move("acme/sales", merge, tip, "test")
    messages = [e["message"] for e in dpk("log", "acme/sales", "--json").lines]
    assert messages[0] == "merge"
    assert sorted(messages[1:3]) == ["side 0", "side 1"]
    assert messages[3:] == ["second", "first"]
