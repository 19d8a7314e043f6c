"""What profiles cost a build, and how soon they are at hand: TPC-H lineitem (scale factor 0.3, CSV), and 5 million rows of 8 columns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from measure import BIN, Figure, Ran, build, fresh, median, pairs, run

_BUILD = """
import sys, dpkg
from dpkg import tables
class Without:
    leaves = 0
    def __init__(self, *given): pass
    def add(self, part, known): pass
    def end_leaf(self): return 0, None
if sys.argv[1] == "without":
    tables.TableProfile = Without
dpkg.build("bench/tpch", sys.argv[2], store=sys.argv[3])
"""
_MAKE = """
import sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq
n, some = 5_000_000, np.random.default_rng(0)
words = np.array([f"city {i}" for i in range(400)])
pq.write_table(pa.table({
    "id": np.arange(n), "amount": some.lognormal(3, 1, n), "price": np.round(some.gamma(2, 30, n), 2),
    "at": (1_700_000_000 + np.sort(some.integers(0, 10**7, n))).astype("datetime64[s]"),
    "city": words[some.integers(0, 400, n)], "ok": some.random(n) < 0.3, "group": some.integers(0, 12, n).astype(np.int8),
    "customer": some.integers(0, 300_000, n),
}), sys.argv[1])
"""
_LOOK = """
import json, sys, time
from dpkg import profiles, tables
from dpkg.arrow import fragment
from dpkg.repository import Repository
repository = Repository(sys.argv[1])
odb, oid = repository.odb, repository.table_id("bench/tpch/table")
read = []
fragment.Reader.read = lambda self, *given, real=fragment.Reader.read, **more: (read.append(1), real(self, *given, **more))[1]
def go():
    start = time.perf_counter()
    profiles.of_table(odb, tables.read_table_object(odb, oid))
    return time.perf_counter() - start
stored = min(go() for _ in range(5))
assert not read
for stat in list(odb.backend.list("derived/profiles/")):
    odb.backend.delete(stat.key)
print(json.dumps([stored, go()]))
"""


def bench_profiles(work: Path, repeats: int, source: Path) -> list[Figure]:
    """`source`: lineitem.csv."""
    store = work / "store-profiles"

    def building(how: str) -> Ran:
        fresh(store)
        return run(sys.executable, "-c", _BUILD, how, str(source), str(store))

    _, ours, theirs = pairs(repeats, lambda: building("with"), lambda: building("without"))
    best, least = min(r.seconds for r in ours), min(r.seconds for r in theirs)
    peaks = max(r.megabytes for r in ours), max(r.megabytes for r in theirs)
    table = work / "table.parquet"
    subprocess.run([sys.executable, "-c", _MAKE, str(table)], check=True)
    fresh(store)
    build(store, table)
    env = {"DPK_STORE": str(store)}
    shown, show, libraries = pairs(
        5,
        lambda: run(str(BIN / "dpk"), "show", "bench/tpch/table", env=env),
        lambda: run(sys.executable, "-c", "import numpy, pyarrow.parquet, pyarrow.compute"),
    )
    said = subprocess.run([sys.executable, "-c", _LOOK, str(store)], capture_output=True, text=True, check=True).stdout
    stored, made = json.loads(said)
    return [
        Figure("profile's share of a first build", 1 - least / best, 0.25, f"{best:.2f} s / {least:.2f} s"),
        Figure("peak memory, with profile / without", peaks[0] / peaks[1], 1.2, f"{peaks[0]:.0f} MB"),
        Figure(
            "dpk show of 5 million rows / its libraries", shown, 3, f"{median(show):.2f} s / {median(libraries):.2f} s"
        ),
        Figure(
            "its profile from the store / from its rows", stored / made, 0.05, f"{stored * 1000:.0f} ms / {made:.2f} s"
        ),
    ]
