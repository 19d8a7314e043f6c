"""`make bench`: figures as ratios within one run; the machine's speed cancels out. Prints a table, and JSON with --json FILE.

Data: TPC-H lineitem, made by DuckDB: scale factor 0.3, 1.8 million rows, 230 MB of CSV; for the network as many rows as
give --network-gb GB of fragments.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from checks import bench_checks
from diffs import bench_diffs
from drifts import bench_drifts
from files import bench_files
from measure import BIN, Figure, Ran, build, median, pairs, run, size_of

PLAIN = """
import sys, pyarrow.csv as csv, pyarrow.parquet as pq
reader = csv.open_csv(sys.argv[1])
with pq.ParquetWriter(sys.argv[2], reader.schema, compression="zstd", compression_level=1) as writer:
    for batch in reader:
        writer.write_batch(batch)
"""
ONE_FILE = """
import sys, pyarrow.csv as csv, pyarrow.parquet as pq
pq.write_table(csv.read_csv(sys.argv[1]), sys.argv[2], compression="zstd")
"""
LINEITEM = """
import sys, duckdb
from duckdb_extensions import import_extension
connection = duckdb.connect()
import_extension("tpch", con=connection)
connection.execute("LOAD tpch")
connection.execute(f"CALL dbgen(sf={float(sys.argv[2])})")
connection.execute(f"COPY lineitem TO '{sys.argv[1]}' (HEADER)")
"""
READ = """
import sys, time
from dpkg import tables
from dpkg.arrow.fragment import Reader
from dpkg.index import fragment_entries
from dpkg.repository import Repository
repository = Repository(sys.argv[1])
table = tables.read_table_object(repository.odb, repository.table_id("bench/tpch/lineitem"))
schema = tables.schema_of(table)
entries = list(fragment_entries(repository.odb, table.fragments))
def go(verify):
    start = time.process_time()
    for e in entries:
        Reader(tables.fragment_source(repository.odb, e.oid), e, schema).read(verify=verify)
    return time.process_time() - start
go(False), go(True)
runs = [(go(True), go(False)) for _ in range(9)]
print(min(a for a, _ in runs) / min(b for _, b in runs))
"""


def lineitem(path: Path, scale: float) -> None:
    """In a process of its own: a process that forks hands its peak memory on to what it starts."""
    subprocess.run([sys.executable, "-c", LINEITEM, str(path), str(scale)], check=True)


def times_four(source: Path, target: Path) -> None:
    with source.open("rb") as f, target.open("wb") as out:
        shutil.copyfileobj(f, out)
        for _ in range(3):
            f.seek(0)
            f.readline()
            shutil.copyfileobj(f, out)


def insert(source: Path, target: Path, rows: int) -> None:
    """`rows` adjacent new rows in the middle."""
    with source.open("rb") as f, target.open("wb") as out:
        middle = source.stat().st_size // 2
        out.write(f.read(middle) + f.readline())
        for n in range(rows):
            out.write(
                f"{n},1,1,1,1.00,1.00,0.01,0.01,N,O,1999-01-01,1999-01-01,1999-01-01,NONE,AIR,inserted row {n}\n".encode()
            )
        shutil.copyfileobj(f, out)


def bench_builds(work: Path, repeats: int) -> list[Figure]:
    source, edited, big = work / "lineitem.csv", work / "edited" / "lineitem.csv", work / "big" / "lineitem.csv"
    edited.parent.mkdir()
    big.parent.mkdir()
    lineitem(source, 0.3)
    insert(source, edited, 100)
    times_four(source, big)
    store, out = work / "store", work / "plain.parquet"

    def first() -> Ran:
        shutil.rmtree(store, ignore_errors=True)
        return build(store, source)

    def plain() -> Ran:
        return run(sys.executable, "-c", PLAIN, str(source), str(out))

    ratio, ours, theirs = pairs(repeats, first, plain)
    stored, largest = size_of(store), max(r.megabytes for r in ours)
    run(sys.executable, "-c", ONE_FILE, str(source), str(out))
    one = out.stat().st_size
    verify = float(
        subprocess.run([sys.executable, "-c", READ, str(store)], capture_output=True, text=True, check=True).stdout
    )

    def again() -> Ran:
        shutil.rmtree(work / "copy", ignore_errors=True)
        shutil.copytree(store, work / "copy")
        return build(work / "copy", edited)

    second, _, _ = pairs(repeats, again, plain)
    new = size_of(work / "copy") - stored
    shutil.rmtree(store)
    four = build(store, big)
    return [
        Figure("first build / plain conversion", ratio, 1.3, f"{median(ours):.2f} s / {median(theirs):.2f} s"),
        Figure("first build, peak memory in MB", largest, 600, ""),
        Figure("peak memory, 4 x the input / 1 x", four.megabytes / largest, 1.2, f"{four.megabytes:.0f} MB"),
        Figure("stored bytes / one Parquet file", stored / one, 0.95, f"{stored / 1e6:.1f} MB / {one / 1e6:.1f} MB"),
        Figure("rebuild after 100 rows / plain conversion", second, 0.8, ""),
        Figure("new bytes after 100 rows / the table's", new / stored, 0.03, f"{new / 1e6:.2f} MB"),
        Figure("read verified / read unverified, CPU", verify, 1.25, ""),
    ]


def bench_start(work: Path) -> list[Figure]:
    store, source = work / "small", work / "small.csv"
    source.write_text("a,b\n1,x\n")
    build(store, source)
    python, dpk, env = sys.executable, str(BIN / "dpk"), {"DPK_STORE": str(store)}

    def bare() -> Ran:
        return run(python, "-c", "pass")

    version, a, b = pairs(25, lambda: run(dpk, "--version"), bare)
    log, c, _ = pairs(25, lambda: run(dpk, "log", "bench/tpch", env=env), bare)
    return [
        Figure(
            "dpk --version / python -c pass", version, 2.5, f"{median(a) * 1000:.0f} ms / {median(b) * 1000:.0f} ms"
        ),
        Figure("dpk log / python -c pass", log, 5, f"{median(c) * 1000:.0f} ms"),
    ]


def _checks(work: Path, repeats: int) -> list[Figure]:
    source = work / "lineitem.csv"
    if not source.exists():
        lineitem(source, 0.3)
    return bench_checks(work, repeats, source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--network-gb", type=float, default=1.0, help="GB of fragments to push and install")
    parser.add_argument(
        "--only", choices=("builds", "checks", "diff", "drift", "profiles", "formats", "files", "start", "network")
    )
    options = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="dpkg-bench-") as folder:
        if options.only in (None, "start"):
            figures += bench_start(Path(folder))
        if options.only in (None, "builds"):
            figures += bench_builds(Path(folder), options.repeats)
        if options.only in (None, "checks"):
            figures += _checks(Path(folder), options.repeats)
        if options.only in (None, "formats"):
            from formats import bench_formats

            figures += bench_formats(Path(folder), min(3, options.repeats))
        if options.only in (None, "files"):
            figures += bench_files(Path(folder), options.repeats)
        if options.only in (None, "diff"):
            figures += bench_diffs(Path(folder), min(3, options.repeats))
        if options.only in (None, "drift"):
            figures += bench_drifts(Path(folder), min(3, options.repeats))
        if options.only in (None, "network"):
            from network import bench_network

            figures += bench_network(Path(folder), min(3, options.repeats), options.network_gb)
        if options.only in (None, "profiles"):
            from profiles import bench_profiles

            source = Path(folder) / "profiled" / "lineitem.csv"
            source.parent.mkdir()
            lineitem(source, 0.3)
            figures += bench_profiles(Path(folder), min(3, options.repeats), source)
    for f in figures:
        print(f"{'ok  ' if f.value <= f.goal else 'MISS'} {f.name:<48} {f.value:8.3f}   goal {f.goal:<6}  {f.detail}")
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(f) for f in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
