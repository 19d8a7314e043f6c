"""The part of `make bench` on many small files: 50,000 of 205 MB, half of them text, against a plain loop that reads and hashes them."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

from measure import Figure, Ran, build, median, ratio, run

FILES, LEAST, MOST, IN_A_FOLDER = 50_000, 2_100, 6_100, 500
PLAIN = """
import os, sys
from blake3 import blake3
found, todo = {}, [sys.argv[1]]
while todo:
    for entry in os.scandir(todo.pop()):
        if entry.is_dir():
            todo.append(entry.path)
        else:
            with open(entry.path, "rb") as f:
                found[entry.path] = blake3(f.read()).hexdigest()
print(len(found))
"""


def make(folder: Path) -> Path:
    """The files; one of them, which is returned, is in the middle."""
    source = random.Random(1)
    for n in range(FILES):
        path = folder / f"part-{n // IN_A_FOLDER:03}" / f"{n:06}.{'txt' if n % 2 else 'bin'}"
        if n % IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        size = source.randrange(LEAST, MOST)
        path.write_bytes(source.randbytes(size // 2).hex().encode() if n % 2 else source.randbytes(size))
    return folder / f"part-{FILES // 2 // IN_A_FOLDER:03}" / f"{FILES // 2:06}.bin"


def bench_files(work: Path, repeats: int) -> list[Figure]:
    source, store = work / "files", work / "files-store"
    one = make(source)
    plain: list[Ran] = []
    runs: dict[str, list[Ran]] = {"first": [], "again": [], "one": []}
    for n in range(repeats):
        shutil.rmtree(store, ignore_errors=True)
        plain.append(run(sys.executable, "-c", PLAIN, str(source)))
        runs["first"].append(build(store, source))
        runs["again"].append(build(store, source))
        one.write_bytes(random.Random(n).randbytes(one.stat().st_size))
        runs["one"].append(build(store, source))
    base = f"{median(plain):.2f} s"
    most = max(r.megabytes for r in runs["first"])
    return [
        Figure(
            "50,000 files, build / plain read and hash",
            ratio(runs["first"], plain),
            4,
            f"{median(runs['first']):.2f} s / {base}",
        ),
        Figure(
            "50,000 files, nothing changed / plain", ratio(runs["again"], plain), 1, f"{median(runs['again']):.2f} s"
        ),
        Figure("50,000 files, one changed / plain", ratio(runs["one"], plain), 1.5, f"{median(runs['one']):.2f} s"),
        Figure("50,000 files, peak memory in MB", most, 350, ""),
    ]
