"""read-table: the rows of any table, in little memory."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpkg

ROWS = 400_000


@pytest.fixture
def big(store: Any) -> pa.Table:
    """a/b/t: several fragments."""
    table = pa.table({"id": pa.array(range(ROWS)), "text": [f"row {i} {'x' * (i % 50)}" for i in range(ROWS)]})
    store.commit("a/b", {"t": table, "empty": pa.table({"x": pa.array([], pa.int32())})})
    return table


def test_formats(dpk: Callable[..., Any], sales: Any) -> None:
    """All hold the same rows; Arrow is the default."""
    wanted = [{"id": 1, "item": "pen"}, {"id": 2, "item": "cup"}, {"id": 3, "item": None}]
    stream = dpk("read-table", "acme/sales@v1/transactions").stdout
    assert pa.ipc.open_stream(stream).read_all().to_pylist() == wanted
    assert dpk("read-table", "acme/sales@v1/transactions", "--format", "arrow").stdout == stream
    parquet = dpk("read-table", "acme/sales@v1/transactions", "--format", "parquet").stdout
    assert pq.read_table(io.BytesIO(parquet)).to_pylist() == wanted
    lines = dpk("read-table", "acme/sales@v1/transactions", "--format", "json").out.splitlines()
    assert [json.loads(line) for line in lines] == wanted
    assert [line["row"] for line in dpk("read-table", "acme/sales@v1/transactions", "--json").lines] == wanted
    assert dpk("read-table", "acme/sales@v1/transactions", "--format", "csv").out == "id,item\n1,pen\n2,cup\n3,\n"


def test_by_oid_and_columns(dpk: Callable[..., Any], sales: Any) -> None:
    oid = dpk("rev-parse", "acme/sales/transactions").out.strip()
    for args in (["--columns", "item,id"], ["--columns", "item", "--columns", "id"]):
        out = dpk("read-table", oid, "--format", "csv", *args).out
        assert out.splitlines()[:2] == ["item,id", "pen,1"]
    said = dpk("read-table", oid, "--columns", "itm", code=2)
    assert "did you mean 'item'" in said.err
    assert said.stdout == b""


def test_a_column_with_a_comma(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("a/b", {"t": {"a,b": [1], "a": [2]}})
    assert dpk("read-table", "a/b/t", "--format", "csv", "--columns", "a,b", "--columns", "a").out == '"a,b",a\n1,2\n'


def test_what_is_no_table(dpk: Callable[..., Any], sales: Any) -> None:
    for args, code in (
        (["acme/sales"], 2),
        (["acme/sales/README.md"], 2),
        (["acme/sales/docs"], 2),
        (["acme/sales/none"], 3),
        (["f" * 64], 3),
        (["acme/sales/transactions", "--format", "xml"], 2),
        ([], 2),
    ):
        assert dpk("read-table", *args, code=code).stdout == b""


def test_many_fragments_and_none(dpk: Callable[..., Any], store: Any, big: pa.Table) -> None:
    assert len(list(dpkg.plumbing.ls_fragments("a/b/t"))) > 3
    read = pa.ipc.open_stream(dpk("read-table", "a/b/t").stdout)
    assert read.read_all().cast(big.schema) == big
    assert dpk("read-table", "a/b/t", "--format", "csv", "--columns", "id").out.count("\n") == ROWS + 1
    empty = pa.ipc.open_stream(dpk("read-table", "a/b/empty").stdout)
    assert (empty.schema.names, empty.read_all().num_rows) == (["x"], 0)
    assert dpk("read-table", "a/b/empty", "--format", "csv").out == "x\n"
    assert dpk("read-table", "a/b/empty", "--json").out == ""


def test_back_into_a_table(dpk: Callable[..., Any], store: Any, big: pa.Table) -> None:
    """`dpk read-table | dpk write-table` gives the same table."""
    oid = dpk("rev-parse", "a/b/t").out.strip()
    for format in ("arrow", "parquet"):
        data = dpk("read-table", oid, "--format", format).stdout
        assert dpk("write-table", "-", "--store", "./other", stdin=data).out.strip() == oid


def test_damage_ends_it(dpk: Callable[..., Any], store: Any, big: pa.Table) -> None:
    last = list(dpkg.plumbing.ls_fragments("a/b/t", paths=True))[-1]
    assert last.path
    with open(last.path, "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    os.chmod(last.path, 0o644)
    with open(last.path, "wb") as file:
        file.write(data)
    ran = dpk("read-table", "a/b/t", code=6)
    assert last.oid in ran.err


def test_a_pipe_that_closes_early(big: pa.Table) -> None:
    command = [sys.executable, "-m", "dpkg", "read-table", "a/b/t", "--format", "csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == b"id,text\n"
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 141


def on_terminal(*args: str) -> tuple[int, str]:
    """The exit code, and what a terminal shows."""
    parent, child = pty.openpty()
    running = subprocess.Popen([sys.executable, "-m", "dpkg", *args], stdout=child, stderr=child, stdin=child)
    os.close(child)
    shown = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:  # the other side is gone
            data = b""
        if not data:
            break
        shown += data
    os.close(parent)
    return running.wait(), shown.decode(errors="replace")


def test_binary_is_not_printed_to_a_terminal(sales: Any) -> None:
    fragment = next(dpkg.plumbing.ls_fragments("acme/sales/transactions")).oid
    for args in (["read-table", "acme/sales/transactions"], ["cat-fragment", fragment, "--format", "parquet"]):
        code, shown = on_terminal(*args)
        assert code == 2
        assert "is binary, and this is a terminal" in shown
        assert "PAR1" not in shown
    code, shown = on_terminal("read-table", "acme/sales/transactions", "--format", "csv")
    assert (code, shown.replace("\r", "").splitlines()[0]) == (0, "id,item")


PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "dpkg", "read-table", *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_rows_are_read_as_they_are_taken(store: Any, big: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the first rows has a few fragments read, not all."""
    from dpkg import tables

    store.commit("a/b", {"t": pa.concat_tables([big] * 10)})
    opened: list[str] = []
    opening = tables.open_fragment
    monkeypatch.setattr(tables, "open_fragment", lambda odb, e, *more: opened.append(e.oid) or opening(odb, e, *more))
    fragments = len(list(dpkg.plumbing.ls_fragments("a/b/t")))
    chunks = dpkg.plumbing.read_table("a/b/t").chunks()
    for _ in range(3):
        next(chunks)
    assert len(opened) <= 4 + tables.WORKERS < fragments


@pytest.mark.long
def test_memory_does_not_grow_with_the_table(store: Any) -> None:
    """A table of 320 MB takes little more than one of 64."""
    rng, peaks = np.random.default_rng(1), []
    for n in (1, 5):
        store.commit("a/b", {"t": pa.table({"x": rng.standard_normal(8_000_000 * n)})})
        done = subprocess.run([sys.executable, "-c", PEAK, "a/b/t"], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 60_000, peaks  # kB
