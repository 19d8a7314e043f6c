"""The part of `make bench` on drift: 5 million rows of 8 columns, from stored profiles, and without them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from diffs import ROWS, make
from measure import Figure

OURS = """
import json, resource, sys, time
start = time.perf_counter()
from dpkg import profiles, tables
from dpkg.arrow import fragment
from dpkg.drift.columns import table_drift
from dpkg.drift.verdicts import judge
from dpkg.repository import Repository
import pyarrow
pyarrow.array([1])  # the first array imports pandas
imported = time.perf_counter() - start
odb, read, opened = Repository(sys.argv[1]).odb, {}, []
fragment.Reader.read = lambda self, *given, real=fragment.Reader.read, **more: (opened.append(1), real(self, *given, **more))[1]
for name in ("get", "get_range", "get_tail", "local_path"):
    def counted(key, *given, real=getattr(odb.backend, name), **more):
        found = real(key, *given, **more)
        size = len(getattr(found, "data", found) or b"")
        kind = "fragments" if key.startswith("fragments/") or "pack" in key else key.split("/")[0]
        read[kind] = read.get(kind, 0) + size
        return found
    setattr(odb.backend, name, counted)
if sys.argv[4] == "without":
    for stat in list(odb.backend.list("derived/profiles/")):
        odb.backend.delete(stat.key)
def go():
    start = time.perf_counter()
    old, new = (tables.read_table_object(odb, oid) for oid in sys.argv[2:4])
    had, has = profiles.of_table(odb, old), profiles.of_table(odb, new)
    found = judge(table_drift(tables.schema_of(old), had, tables.schema_of(new), has))
    took.append(time.perf_counter() - start)
    return sum(tables.count_fragments(odb, t) for t in (old, new))
took = []
fragments = [go() for _ in range(int(sys.argv[5]))][0]
print(json.dumps({"first": took[0], "again": min(took), "read": read, "opened": len(opened), "fragments": fragments, "imports": imported,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
ONCE = """
import sys, time
from dpkg import tables
from dpkg.repository import Repository
from dpkg.index import fragment_entries
odb = Repository(sys.argv[1]).odb
start = time.perf_counter()
for oid in sys.argv[2:4]:
    table = tables.read_table_object(odb, oid)
    schema = tables.schema_of(table)
    for entry in fragment_entries(odb, table.fragments):
        tables.read_part(odb, entry, schema)
print(time.perf_counter() - start)
"""


def bench_drifts(work: Path, repeats: int) -> list[Figure]:
    store = work / "drift"
    oids = make(store, ROWS, "key", "old", "other")

    def said(how: str, times: int) -> dict[str, Any]:
        command = [sys.executable, "-c", OURS, str(store), oids["old"], oids["other"], how, str(times)]
        found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return found

    stored = [said("with", 3) for _ in range(repeats)]
    first, again = (min(s[which] for s in stored) for which in ("first", "again"))
    read = stored[0]["read"]
    kinds = ", ".join(f"{name} {size:,}" for name, size in read.items())
    command = [sys.executable, "-c", ONCE, str(store), oids["old"], oids["other"]]
    once = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    made = said("without", 1)
    passes = made["opened"] / made["fragments"]
    times = f"{made['first']:.2f} s, reading all rows alone {once:.2f} s"
    return [
        Figure(
            "drift from profiles, seconds",
            first,
            0.2,
            f"the second time {again:.3f} s, imports {stored[0]['imports']:.2f} s",
        ),
        Figure("drift from profiles, bytes of fragments read", read.get("fragments", 0), 0, f"of {kinds}"),
        Figure("drift without profiles, passes over the rows", passes, 1, times),
        Figure("drift without profiles, peak memory in MB", made["megabytes"], 600, ""),
    ]
