"""Tables in an odb: written, read, cut, kept in bounded memory; and read in place by another engine."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from dpkg import tables
from dpkg.errors import CheckFailed, Corrupt, Format, NotFound, Usage
from dpkg.index import fragment_entries
from dpkg.objects.table import Table
from dpkg.odb import Odb
from dpkg.odb.layout import fragment_key
from dpkg.oid import Oid
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend


@pytest.fixture
def small_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpkg.arrow.boundaries.TARGET_BYTES", 400)


def example(rows: int) -> pa.Table:
    n = np.arange(rows)
    texts, lists = (
        pa.array([f"row {i}" for i in n], pa.string()),
        pa.array([[i, None] for i in n], pa.list_(pa.int64())),
    )
    return pa.table({"n": n, "s": texts, "x": np.sqrt(n), "l": lists})


def scanned(odb: Odb, table: Table, **options: Any) -> pa.Table:
    return tables.as_table(list(tables.scan(odb, table, **options)), tables.user_schema(table, options.get("columns")))


@pytest.mark.parametrize("rows", [0, 1, 2, 500])
@pytest.mark.parametrize("local", [False, True])
def test_what_is_written_is_read(rows: int, local: bool, tmp_path: Path, small_fragments: None) -> None:
    odb = Odb(LocalBackend(str(tmp_path)) if local else MemoryBackend())
    source = example(rows)
    told: list[int] = []
    oid, table = tables.write_table(odb, source.to_batches(max_chunksize=33), source.schema, progress=told.append)
    assert tables.read_table_object(odb, oid) == table
    assert (table.rows, table.oid, sum(told)) == (rows, oid, rows)
    assert tables.count_fragments(odb, table) == len(told) == len(list(fragment_entries(odb, table.fragments)))
    assert table.bytes == sum(e.bytes for e in fragment_entries(odb, table.fragments))
    assert scanned(odb, table).equals(source)
    assert scanned(odb, table, columns=["x", "n"]).equals(source.select(["x", "n"]))
    assert scanned(odb, table, columns="s").equals(source.select(["s"]))
    for count in (0, 1, 7, 10_000):
        assert tables.head(odb, table, count).equals(source.slice(0, count))
    for entry in fragment_entries(odb, table.fragments):
        assert tables.read_fragment(odb, entry.oid, ["n"]).num_rows == entry.rows
    again, _ = tables.write_table(odb, source.to_batches(), source.schema)
    assert again == oid


def test_sorted_by_a_key(small_fragments: None) -> None:
    source = example(500)
    odb = Odb(MemoryBackend())
    shuffled = source.take(np.random.default_rng(1).permutation(500))
    oid, table = tables.write_table(odb, shuffled.to_batches(max_chunksize=70), source.schema, ("n",))
    assert scanned(odb, table).equals(source)
    assert table.key == ("n",)
    assert oid == tables.write_table(odb, source.to_batches(), source.schema, ("n",))[0]
    assert oid != tables.write_table(odb, source.to_batches(), source.schema)[0]
    with pytest.raises(CheckFailed, match="two rows have the key n=7"):
        tables.write_table(odb, pa.concat_tables([source, source.slice(7, 1)]).to_batches(), source.schema, ("n",))
    with pytest.raises(Format, match="a column 'm' that the table does not have"):
        tables.write_table(odb, iter(()), source.schema, ("m",))


def test_an_error_in_the_source_comes_out() -> None:
    def broken() -> Any:
        yield from example(10).to_batches()
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        tables.write_table(Odb(MemoryBackend()), broken(), example(10).schema)
    with pytest.raises(Format, match="column 'u'"):
        tables.write_table(Odb(MemoryBackend()), [], pa.schema([("u", pa.month_day_nano_interval())]))


@pytest.mark.spec("STO-5")
@pytest.mark.parametrize("local", [False, True])
def test_damage_and_loss_are_told(local: bool, tmp_path: Path, small_fragments: None) -> None:
    odb = Odb(LocalBackend(str(tmp_path)) if local else MemoryBackend())
    source = example(300)
    _, table = tables.write_table(odb, source.to_batches(), source.schema)
    first, second, *_ = fragment_entries(odb, table.fragments)
    (leaf, *_) = tables.table_leaves(odb, table)
    good = {oid: odb.read_fragment_file(oid) for oid in (first.oid, second.oid, leaf.stats)}

    def put(oid: Oid, data: bytes) -> None:
        odb.backend.delete(fragment_key(oid))
        odb.backend.put(fragment_key(oid), data)

    for bad in (b"", b"PAR1", good[second.oid], good[first.oid][:-50], good[leaf.stats]):
        put(first.oid, bad)
        with pytest.raises(Corrupt, match=first.oid):
            scanned(odb, table)
    put(first.oid, good[first.oid])
    put(leaf.stats, good[first.oid])
    assert scanned(odb, table).equals(source)
    with pytest.raises(Corrupt, match=leaf.stats):
        scanned(odb, table, filter=("n", "<", 5))
    put(leaf.stats, good[leaf.stats])
    odb.backend.delete(fragment_key(second.oid))
    with pytest.raises(NotFound, match=second.oid):
        scanned(odb, table)
    with pytest.raises(NotFound, match=second.oid):
        tables.read_fragment(odb, second.oid)
    with pytest.raises(Corrupt, match="a node where a table must be"):
        tables.read_table_object(odb, table.fragments)
    with pytest.raises(Usage, match="no column 'nn'"):
        scanned(odb, table, columns=["nn"])


def test_a_table_object_that_no_reader_can_use() -> None:
    odb = Odb(MemoryBackend())
    for schema, key in (([["a", "int9"]], ()), ([["a", {"list": "int8"}]], ("a",)), ([["a", {"struct": []}]], ())):
        table = Table(schema, key, 4, 0, 0, Oid("0" * 64))
        with pytest.raises(Corrupt, match="malformed"):
            tables.schema_of(table)
        with pytest.raises(Corrupt, match="malformed"):
            list(tables.scan(odb, table))


def test_a_scan_that_is_given_up_ends(small_fragments: None) -> None:
    odb = Odb(MemoryBackend())
    source = example(2000)
    _, table = tables.write_table(odb, source.to_batches(), source.schema)
    scan = tables.scan(odb, table)
    assert next(scan).num_rows > 0
    scan.close()  # type: ignore[attr-defined]


def test_duckdb_reads_a_table_in_place(tmp_path: Path, small_fragments: None) -> None:
    odb = Odb(LocalBackend(str(tmp_path)))
    n = np.arange(3000)
    source = example(3000).append_column("m", pa.array([Decimal(int(i)) / 8 for i in n], pa.decimal128(12, 3)))
    source = source.append_column("t", pa.array(n * 10**9).cast(pa.timestamp("us")))
    _, table = tables.write_table(odb, source.to_batches(), source.schema)
    paths = [odb.fragment_path(e.oid) for e in fragment_entries(odb, table.fragments)]
    assert len(paths) > 30
    duck = duckdb.connect()
    sums = duck.execute(
        "select count(*), sum(n), sum(m), max(t)::varchar, sum(len(l)) from read_parquet($1)", [paths]
    ).fetchone()
    assert sums == (3000, n.sum(), Decimal(int(n.sum())) / 8, str(source["t"][2999].as_py()), 6000)


# -------------------------------------------------------------------------------------------------------------- memory

STREAM = """
import resource, sys
import numpy as np, pyarrow as pa, pyarrow.compute as pc
from dpkg import tables
from dpkg.arrow import sort
from dpkg.odb import Odb
from dpkg.store.local import LocalBackend

rows, key, folder = int(sys.argv[1]), tuple(sys.argv[2].split()), sys.argv[3]
step, sort.RUN_BYTES = 20_000, 8 << 20
def batches():
    for at in range(0, rows, step):
        n = np.arange(at, at + step)
        order = (n * 7_919_993) % 1_000_000_007 if key else n
        text = pc.binary_join_element_wise(pa.array(n).cast(pa.string()), "of many a text " * 20, " ")
        yield pa.record_batch({"n": order, "x": np.sqrt(n), "s": text})
odb = Odb(LocalBackend(folder))
schema = next(batches()).schema
_, table = tables.write_table(odb, batches(), schema, key)
assert table.rows == rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def peak_of(rows: int, key: str, folder: Path) -> int:
    """MiB that a process takes at most while it writes a table of generated rows."""
    run = subprocess.run(
        [sys.executable, "-c", STREAM, str(rows), key, str(folder)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


@pytest.mark.parametrize("key", ["", "n"])
def test_memory_does_not_grow_with_a_table(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    one, four = peak_of(200_000, key, tmp_path / "1"), peak_of(800_000, key, tmp_path / "4")
    assert four < one + 120, (one, four)  # 200 MB more went through, of which sorting could hold several copies
