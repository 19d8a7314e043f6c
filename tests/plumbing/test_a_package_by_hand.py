"""A package built with plumbing alone, as a script would, has the tophash that `dpk build` gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def folder(store: Any) -> Path:
    """Two versions of a folder: v1/ and v2/."""
    for version, rows in (("v1", 50), ("v2", 60)):
        folder = Path(version)
        (folder / "docs").mkdir(parents=True)
        (folder / "orders.csv").write_text("id,item\n" + "".join(f"{i},thing {i}\n" for i in range(rows)))
        pq.write_table(
            pa.table({"id": [1, 2], "at": pa.array([5, None], pa.timestamp("s"))}), folder / "events.parquet"
        )
        (folder / "docs" / "README.md").write_text(f"# {version}\n")
    return Path.cwd()


def test_by_hand_and_by_build(dpk: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    parents: list[str] = []
    for version in ("v1", "v2"):
        # each object on its own
        readme = dpk("hash-object", "-w", f"{version}/docs/README.md").out.strip()
        orders = dpk("write-table", f"{version}/orders.csv").out.strip()
        events = dpk("write-table", "-", stdin=Path(version, "events.parquet").read_bytes()).out.strip()
        # the tree over them
        tree = dpk("write-tree", version).out.strip()
        found = {e["path"]: e["oid"] for e in dpk("ls-tree", "-r", tree, "--json").lines}
        assert found == {"docs/README.md": readme, "events": events, "orders": orders}
        # its commit, and the branch
        more = [f"--parent={p}" for p in parents]
        commit = dpk("commit-tree", tree, *more, "-m", version).out.strip()
        dpk("update-ref", "acme/hand", commit, *(parents or ["none"]))
        parents = [commit]

        built = dpk("build", "acme/built", version, "-m", version, "--json").json
        assert built["tophash"] == tree
        assert dpk("rev-parse", "--tophash", "acme/hand").out.strip() == tree

    hand, built = (dpk("log", f"acme/{name}", "--json").lines for name in ("hand", "built"))
    assert [(e["tophash"], e["message"], len(e["parents"])) for e in hand] == [
        (e["tophash"], e["message"], len(e["parents"])) for e in built
    ]
    assert dpk("verify", "--deep").out.startswith("all well")


def test_write_tree_publishes_nothing(dpk: Callable[..., Any], folder: Path) -> None:
    made = dpk("write-tree", "v1", "--json").json
    assert made["entries"] == 3
    assert dpk("show-ref").out == ""
    assert dpk("write-tree", "v1", "--raw").out.strip() != made["oid"]


def test_a_table_is_the_same_from_anywhere(dpk: Callable[..., Any], store: Any, tmp_path: Path) -> None:
    """One table from CSV, Parquet, an Arrow stream and JSON lines, from files and from standard input."""
    import io

    table = pa.table({"id": [1, 2, 3], "name": ["x", None, "z"]})
    Path("t.csv").write_text("id,name\n1,x\n2,\n3,z\n")
    Path("t.jsonl").write_text('{"id":1,"name":"x"}\n{"id":2,"name":null}\n{"id":3,"name":"z"}\n')
    pq.write_table(table, "t.parquet")
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    Path("t.arrow").write_bytes(stream.getvalue())
    made = {dpk("write-table", f"t.{end}").out for end in ("csv", "jsonl", "parquet", "arrow")}
    made |= {dpk("write-table", "-", stdin=Path(f"t.{end}").read_bytes()).out for end in ("parquet", "arrow")}
    made |= {
        dpk("write-table", "-", "--format", end, stdin=Path(f"t.{end}").read_bytes()).out for end in ("csv", "jsonl")
    }
    made |= {dpk("hash-object", "--table", f"t.{end}").out for end in ("csv", "jsonl", "parquet", "arrow")}
    made.add(dpk("hash-object", "--table", "--stdin", "--format", "csv", stdin=Path("t.csv").read_bytes()).out)
    assert len(made) == 1


def test_a_table_with_a_key(dpk: Callable[..., Any], store: Any) -> None:
    Path("t.csv").write_text("b,a\n1,z\n1,y\n0,x\n")
    made = dpk("write-table", "t.csv", "--key", "b", "--key", "a", "--json").json
    assert (made["rows"], made["columns"]) == (3, ["b", "a"])
    (fragment,) = dpk("ls-fragments", made["oid"], "--json").lines
    assert dpk("cat-fragment", fragment["oid"]).out == "b,a\n0,x\n1,y\n1,z\n"
    assert "b" in dpk("write-table", "t.csv", "--key", "b", code=9).err
    assert "'c'" in dpk("write-table", "t.csv", "--key", "c", code=7).err


def test_tables_that_cannot_be_read(dpk: Callable[..., Any], store: Any) -> None:
    Path("t.csv").write_text("a,b\n1\n")
    assert "t.csv" in dpk("write-table", "t.csv", code=7).err
    assert "t.dat" in dpk("write-table", "t.dat", code=2).err
    dpk("write-table", "absent.csv", code=3)
    dpk("write-table", "t.csv", "--format", "xml", code=2)
    dpk("write-table", "-", stdin=b"", code=7)
    dpk("hash-object", "--table", "absent.csv", code=3)
