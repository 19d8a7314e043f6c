"""The part of `make bench` on checks: builds of one table with twelve of them, against the same builds without any."""

from __future__ import annotations

import shutil
from pathlib import Path

from measure import BIN, Figure, Ran, build, median, ratio, run

RULES = """
    checks:
      rows: {min: 1000000}
      duplicates: {columns: [l_orderkey, l_linenumber]}
      columns:
        l_orderkey: {not_null: true, monotonic: increasing}
        l_quantity: {min: 1, max: 50, mean: {min: 20, max: 30}}
        l_extendedprice: {median: {min: 10000, max: 60000}}
        l_returnflag: {enum: [A, N, R]}
        l_shipdate: {min: 1992-01-01}
        l_comment: {length: {max: 44}, not_matches: ssn}
"""
Runs = dict[str, list[Ran]]


def bench_checks(work: Path, repeats: int, source: Path) -> list[Figure]:
    """`source` is TPC-H lineitem as CSV."""
    runs: Runs = {}
    edited = work / "edited.csv"
    _edit(source, edited, 100)
    plans = {rules: _plan(work / rules, text) for rules, text in (("plain", ""), ("checked", RULES))}
    for _ in range(repeats):
        for rules, plan in plans.items():
            data, store = plan.parent / source.name, work / f"{rules}-store"
            shutil.rmtree(store, ignore_errors=True)
            _link(source, data)
            runs.setdefault(f"{rules} first", []).append(build(store, plan))
            _link(edited, data)
            runs.setdefault(f"{rules} again", []).append(build(store, plan))
            if rules == "checked":
                runs.setdefault("check", []).append(_check(store, "bench/tpch"))
    return [
        _figure(runs, "first build, 12 checks / none", "checked first", "plain first", 1.15),
        _figure(runs, "rebuild after 100 rows, 12 checks / none", "checked again", "plain again", 1.2),
        _figure(runs, "dpk check of a package / its first build", "check", "plain first", 0.5),
    ]


def _edit(source: Path, target: Path, rows: int) -> None:
    """Another quantity in adjacent rows in the middle."""
    with source.open("rb") as f, target.open("wb") as out:
        out.write(f.read(source.stat().st_size // 2) + f.readline())
        for _ in range(rows):
            fields = f.readline().split(b",")
            out.write(b",".join([*fields[:4], b"7.00", *fields[5:]]))
        shutil.copyfileobj(f, out)


def _plan(folder: Path, rules: str) -> Path:
    folder.mkdir()
    made = folder / "build.yml"
    made.write_text(f"contents:\n  lineitem:\n    file: lineitem.csv{rules}\n")
    return made


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.hardlink_to(source)


def _check(store: Path, package: str) -> Ran:
    return run(str(BIN / "dpk"), "check", package, "--quiet", env={"DPK_STORE": str(store)})


def _figure(runs: Runs, name: str, ours: str, theirs: str, goal: float) -> Figure:
    detail = f"{median(runs[ours]):.2f} s / {median(runs[theirs]):.2f} s"
    return Figure(name, ratio(runs[ours], runs[theirs]), goal, detail)
