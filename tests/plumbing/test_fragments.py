"""ls-fragments and cat-fragment: a table's Parquet files, and their rows."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpkg
from dpkg.errors import Usage

ROWS = {"id": [1, 2], "a,b": ["x", None], "a": [0.5, float("nan")]}


@pytest.fixture
def table(store: Any) -> str:
    store.commit("acme/t", {"t": ROWS, "blob": b"x"})
    return "acme/t/t"


@pytest.fixture
def fragment(table: str) -> str:
    (found,) = dpkg.plumbing.ls_fragments(table)
    return found.oid


def test_list(dpk: Callable[..., Any], table: str, fragment: str, store: Any) -> None:
    (line,) = dpk("ls-fragments", table).out.splitlines()
    oid, rows, size = line.split(" ")
    assert (oid, rows) == (fragment, "2")
    path = os.path.join(store.url, "fragments", oid[:2], f"{oid[2:]}.parquet")
    assert dpk("ls-fragments", table, "--paths").out == f"{path}\n"
    assert dpk("ls-fragments", table, "--json").json == {"oid": oid, "rows": 2, "bytes": int(size), "path": None}
    assert dpk("ls-fragments", table, "--paths", "--json").json["path"] == path
    assert pq.read_table(path).column_names == list(ROWS)  # plain Parquet
    by_id = dpk("rev-parse", table).out.strip()
    assert dpk("ls-fragments", by_id[:9]).out == f"{line}\n"


def test_many_in_row_order(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/t", {"t": {"n": list(range(300)), "text": [os.urandom(20_000).hex() for _ in range(300)]}})
    lines = dpk("ls-fragments", "acme/t/t", "--json").lines
    assert len(lines) > 2
    assert sum(e["rows"] for e in lines) == 300
    found = [n for e in lines for n in dpk("cat-fragment", e["oid"], "--columns", "n").out.split()[1:]]
    assert found == [str(n) for n in range(300)]


def test_paths_need_a_folder(store: Any) -> None:
    from dpkg.repository import Repository
    from dpkg.tables import write_table

    odb = Repository("memory://paths", create=True).odb
    made = pa.table(ROWS)
    oid, _ = write_table(odb, made.to_batches(), made.schema)
    assert [f.rows for f in dpkg.plumbing.ls_fragments(oid, store="memory://paths")] == [2]
    with pytest.raises(Usage, match="not a folder"):
        dpkg.plumbing.ls_fragments(oid, paths=True, store="memory://paths")


def test_what_is_no_table(dpk: Callable[..., Any], table: str) -> None:
    for name, code in (("acme/t", 2), ("acme/t/blob", 2), ("acme/t/none", 3), ("f" * 64, 3)):
        dpk("ls-fragments", name, code=code)
    assert "a table is wanted" in dpk("ls-fragments", "acme/t/blob", code=2).err


def test_formats(dpk: Callable[..., Any], fragment: str) -> None:
    assert dpk("cat-fragment", fragment).out == 'id,"a,b",a\n1,x,0.5\n2,,nan\n'
    assert (
        dpk("cat-fragment", fragment, "--format", "json").out
        == '{"id":1,"a,b":"x","a":0.5}\n{"id":2,"a,b":null,"a":"NaN"}\n'
    )
    arrow = pa.ipc.open_stream(dpk("cat-fragment", fragment, "--format", "arrow").stdout).read_all()
    parquet = pq.read_table(io.BytesIO(dpk("cat-fragment", fragment, "--format", "parquet").stdout))
    for read in (arrow, parquet):
        assert read.column("id").to_pylist() == [1, 2]
        assert read.column("a,b").to_pylist() == ["x", None]
    assert "did you mean 'csv'" in dpk("cat-fragment", fragment, "--format", "cvs", code=2).err


def test_json(dpk: Callable[..., Any], fragment: str) -> None:
    ran = dpk("cat-fragment", fragment, "--json")
    rows = [line["row"] for line in ran.lines]
    assert rows == [{"id": 1, "a,b": "x", "a": 0.5}, {"id": 2, "a,b": None, "a": "NaN"}]
    assert rows == [json.loads(line) for line in dpk("cat-fragment", fragment, "--format", "json").out.splitlines()]


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--columns", "id"], ["id"]),
        (["--columns", "a,id"], ["a", "id"]),
        (["--columns", "a,b"], ["a,b"]),
        (["--columns", "a,b", "--columns", "id"], ["a,b", "id"]),
        (["--columns=id", "--columns=a"], ["id", "a"]),
    ],
)
def test_columns(dpk: Callable[..., Any], fragment: str, flags: list[str], names: list[str]) -> None:
    assert list(dpk("cat-fragment", fragment, *flags, "--json").lines[0]["row"]) == names


def test_unknown_columns(dpk: Callable[..., Any], fragment: str) -> None:
    assert "there is no column 'b'" in dpk("cat-fragment", fragment, "--columns", "id,b", code=2).err
    dpk("cat-fragment", fragment, "--columns", "", code=2)


def test_prefixes(dpk: Callable[..., Any], fragment: str, store: Any) -> None:
    assert dpk("cat-fragment", fragment[:8], "--columns", "id").out == "id\n1\n2\n"
    dpk("cat-fragment", "f" * 64, code=3)
    dpk("cat-fragment", "ffff0000", code=3)
    dpk("cat-fragment", "xyz", code=2)
    twin = os.path.join(store.url, "fragments", fragment[:2], fragment[2:-1] + ("0" if fragment[-1] != "0" else "1"))
    with open(f"{twin}.parquet", "wb"):
        said = dpk("cat-fragment", fragment[:8], code=2).err
    assert "ambiguous" in said
    assert fragment in said


def test_a_damaged_fragment(dpk: Callable[..., Any], fragment: str) -> None:
    (path,) = dpk("ls-fragments", "acme/t/t", "--paths").out.split()
    data = bytearray(Path(path).read_bytes())
    data[10] ^= 255
    os.chmod(path, 0o644)
    Path(path).write_bytes(data)
    ran = dpk("cat-fragment", fragment, code=6)
    assert ran.stdout == b""
    assert fragment in ran.err


def test_from_python(fragment: str) -> None:
    rows = dpkg.plumbing.cat_fragment(fragment, columns=["a,b"])
    assert list(rows) == [{"a,b": "x"}, {"a,b": None}]
    assert sum(batch.num_rows for batch in rows.batches) == 2
    assert b"".join(dpkg.plumbing.cat_fragment(fragment, format="json").chunks()).count(b"\n") == 2
    with pytest.raises(Usage):
        dpkg.plumbing.cat_fragment(fragment, format="xml")
