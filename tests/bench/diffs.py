"""The part of `make bench` on row diffs: 5 million rows of 8 columns, against DuckDB's full outer join of the same rows in Parquet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from measure import Figure, Ran, median, ratio, run

ROWS, EDITS = 5_000_000, 1_000
MAKE = """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from dpkg import tables
from dpkg.repository import Repository
store, rows, edits, key = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), ("id",) if sys.argv[4] == "key" else ()
odb = Repository(store, create=True).odb
STEP = 250_000
SCHEMA = pa.schema([("id", pa.int64()), ("day", pa.date32()), ("shop", pa.string()), ("amount", pa.float64()),
    ("price", pa.decimal128(12, 2)), ("count", pa.int32()), ("paid", pa.bool_()), ("note", pa.string())])
def batches(edit, seed=1):
    for start in range(0, rows, STEP):
        n = np.arange(start, min(rows, start + STEP))
        r = np.random.default_rng([seed, start])
        amount, size = r.normal(100, 20, len(n)), len(n)
        edited = edit(n)
        amount[edited] += 1
        cents = pa.array(r.integers(0, 10**6, size)).cast(pa.decimal128(19, 0)).cast(pa.decimal128(38, 2))
        yield pa.record_batch([
            pa.array(n + (seed - 1) * rows), pa.array(r.integers(18000, 19000, size).astype(np.int32)).cast(pa.date32()),
            pa.array(np.array([f"shop {i}" for i in range(500)], object)).take(pa.array(r.integers(0, 500, size))),
            pa.array(amount), cents.cast(pa.decimal128(12, 2)), pa.array(r.integers(0, 50, size).astype(np.int32)),
            pa.array(r.random(size) < 0.9), pa.array([f"order {i:x}" for i in r.integers(0, 2**40, size).tolist()]),
        ], schema=SCHEMA)
middle, every = rows // 2, rows // edits
versions = {
    "old": batches(lambda n: np.zeros(len(n), bool)),
    "adjacent": batches(lambda n: (n >= middle) & (n < middle + edits)),
    "scattered": batches(lambda n: n % every == 7),
    "other": batches(lambda n: np.zeros(len(n), bool), 2),
}
for name, made in versions.items():
    if name not in sys.argv[5:]:
        continue
    def told(made=made, name=name):
        with pq.ParquetWriter(f"{store}/{name}.parquet", SCHEMA) as writer:
            for b in made:
                writer.write_batch(b)
                yield b
    print(name, tables.write_table(odb, told(), SCHEMA, key)[0], flush=True)
"""
OURS = """
import json, sys, time
from dpkg import tables
from dpkg.diffing.rows import RowDiff
from dpkg.repository import Repository
odb = Repository(sys.argv[1]).odb
old, new = (tables.read_table_object(odb, oid) for oid in sys.argv[2:4])
start = time.perf_counter()
diff = RowDiff(odb, old, odb, new)
changes = sum(b.num_rows for b in diff.batches())
print(json.dumps({"seconds": time.perf_counter() - start, "changes": changes, "read": len(diff.old.opened) + len(diff.new.opened),
    "of": tables.count_fragments(odb, old) + tables.count_fragments(odb, new)}))
"""
THEIRS = """
import sys, duckdb
store, new, on = sys.argv[1:4]
columns = ["id", "day", "shop", "amount", "price", "count", "paid", "note"]
sides = [f"read_parquet('{store}/{name}.parquet')" for name in ("old", new)]
connection = duckdb.connect()
connection.execute("SET memory_limit = '8GB'")
if on == "key":
    unlike = " OR ".join(f"a.{c} IS DISTINCT FROM b.{c}" for c in columns)
    query = f"SELECT * FROM {sides[0]} a FULL OUTER JOIN {sides[1]} b ON a.id = b.id WHERE {unlike}"
else:  # a multiset difference is a full outer join of counts
    counted = [f"(SELECT {', '.join(columns)}, count(*) AS n FROM {side} GROUP BY ALL)" for side in sides]
    on = " AND ".join(f"a.{c} = b.{c}" for c in columns)
    query = f"SELECT * FROM {counted[0]} a FULL OUTER JOIN {counted[1]} b ON {on} WHERE a.n IS DISTINCT FROM b.n"
reader = connection.execute(query).to_arrow_reader(100_000)
print(sum(batch.num_rows for batch in reader))
"""


def make(store: Path, rows: int, kind: str, *names: str) -> dict[str, str]:
    """The versions of the table, in a store and as Parquet beside it; their oids."""
    command = [sys.executable, "-c", MAKE, str(store), str(rows), str(EDITS), kind, *names]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in told.splitlines())


def bench_diffs(work: Path, repeats: int) -> list[Figure]:
    figures: list[Figure] = []
    for kind, label in (("key", "with a key"), ("none", "without")):
        store = work / f"diff-{kind}"
        oids = make(store, ROWS, kind, "old", "adjacent", "scattered", "other")
        tenth = work / f"diff-{kind}-tenth"
        fewer = make(tenth, ROWS // 10, kind, "old", "adjacent")
        few = min(_ours(tenth, fewer, "adjacent", 1)[1]["seconds"] for _ in range(repeats))
        many = min(_ours(store, oids, "adjacent", 1)[1]["seconds"] for _ in range(repeats))
        figures.append(
            Figure(f"diff {label}, adjacent, 10 x the rows / 1 x", many / few, 1.3, f"{many:.2f} s / {few:.2f} s")
        )
        adjacent, said, _ = _ours(store, oids, "adjacent", repeats)
        figures += [
            Figure(
                f"diff {label}, {EDITS:,} adjacent rows, seconds",
                said["seconds"],
                0.3,
                f"whole process {median(adjacent):.2f} s",
            ),
            Figure(
                f"diff {label}, adjacent, fragments read",
                said["read"] / said["of"],
                0.03,
                f"{said['read']} of {said['of']}",
            ),
        ]
        for name, most in (("scattered", 1.0), ("other", 1.5)):
            ours, theirs, said, peak = [], [], {}, 0.0
            for _ in range(repeats):
                took, said, peak = _ours(store, oids, name, 1)
                ours += took
                theirs.append(run(sys.executable, "-c", THEIRS, str(store), name, kind))
            detail = f"{median(ours):.2f} s / {median(theirs):.2f} s, {said['changes']:,} changes"
            figures.append(Figure(f"diff {label}, {name} / DuckDB's join", ratio(ours, theirs), most, detail))
            if name == "other":
                figures.append(
                    Figure(
                        f"diff {label}, other, peak memory in MB",
                        peak,
                        900,
                        f"DuckDB {max(r.megabytes for r in theirs):.0f} MB",
                    )
                )
    return figures


def _ours(store: Path, oids: dict[str, str], name: str, repeats: int) -> tuple[list[Ran], dict[str, float], float]:
    """Runs of the diff of the first version and another, what the last one said of itself, and the peak of memory."""
    command = [sys.executable, "-c", OURS, str(store), oids["old"], oids[name]]
    ran = [run(*command) for _ in range(repeats)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return ran, said, max(r.megabytes for r in ran)
