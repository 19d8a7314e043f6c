"""Running commands as processes, and what is told of them."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass
class Figure:
    """One line of the result. `goal` is the most that is allowed."""

    name: str
    value: float
    goal: float
    detail: str


@dataclass
class Ran:
    seconds: float
    megabytes: float  # peak resident memory


def run(*command: str, env: dict[str, str] | None = None) -> Ran:
    """One command as a process: wall time and peak memory of exactly this process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {})}
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed: {said.decode()}")
    return Ran(seconds, usage.ru_maxrss / 1024)


def build(store: Path, source: Path) -> Ran:
    """`dpk build` of the package bench/tpch."""
    return run(
        str(BIN / "dpk"),
        "build",
        "bench/tpch",
        str(source),
        "--quiet",
        env={"DPK_STORE": str(store), "DPK_AUTHOR": "bench"},
    )


def fresh(store: Path) -> None:
    """Make sure that there is nothing."""
    shutil.rmtree(store, ignore_errors=True)


def pairs(repeats: int, ours: Callable[[], Ran], theirs: Callable[[], Ran]) -> tuple[float, list[Ran], list[Ran]]:
    """Median of the ratios of runs taken in turn."""
    a, b = [], []
    for _ in range(repeats):
        a.append(ours())
        b.append(theirs())
    return ratio(a, b), a, b


def ratio(ours: list[Ran], theirs: list[Ran]) -> float:
    """Median of the ratios of runs that were taken in turn."""
    return statistics.median(x.seconds / y.seconds for x, y in zip(ours, theirs, strict=True))


def median(runs: list[Ran]) -> float:
    """Of their seconds."""
    return statistics.median(r.seconds for r in runs)


def size_of(folder: Path) -> int:
    """Bytes of all files below it."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
