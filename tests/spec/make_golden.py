"""Writes spec/golden/v1, once: a store that every dpkg from v1 on reads. `.venv/bin/python tests/spec/make_golden.py FOLDER`

It is not written again when dpkg changes: that is what it is for.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import golden
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

import dpkg

ROWS = 250_000


def main(folder: Path) -> None:
    """Make the store and what is expected of it."""
    store = str(folder / "store")
    os.environ.update(DPK_STORE=store, DPK_AUTHOR="The makers of the golden store <golden@example.org>")
    dpkg.init(store=store)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        types()
        sales()
        files()
        small_tables()
        parts(store)
        history()
        dpkg.repack()
        loose()
        dpkg.gc()
        os.chdir(folder)
    for key in [key for key in golden.files(folder / "store") if key.startswith("derived/")]:
        (folder / "store" / key).unlink()
    (folder / "expected.json").write_text(
        json.dumps(golden.describe(folder / "store"), indent=1, sort_keys=True) + "\n"
    )


def types() -> None:
    """A table of columns of every type."""
    Path("types").mkdir()
    pyarrow.parquet.write_table(golden.every_type(), "types/every.parquet")
    Path("types/build.yml").write_text(
        "contents:\n  every:\n    file: every.parquet\n    meta: {source: made up}\n  README:\n    file: build.yml\n"
    )
    dpkg.build("acme/types", "types", message="every type")


def sales() -> None:
    """A table sorted by its key, of several fragments, in five versions; tags, a branch, a tag that was removed."""
    Path("sales").mkdir()
    Path("sales/build.yml").write_text("contents:\n  transactions:\n    file: t.csv\n    key: [id]\n")
    rows = [(i, f"shop {i // 5000}", i % 100) for i in range(ROWS)]
    for name, now in {
        "first": rows[:-400],
        "400 more": rows,
        "some inserted": rows[: ROWS // 2] + [(ROWS + i, "new", i) for i in range(50)] + rows[ROWS // 2 :],
        "some updated": [(i, "moved", n) if 1000 <= i < 1100 else (i, s, n) for i, s, n in rows],
        "some removed": rows[:100] + rows[300:],
    }.items():
        columns = list(zip(*now, strict=True))
        pyarrow.csv.write_csv(pa.table(dict(zip(("id", "shop", "cents"), columns, strict=True))), "sales/t.csv")
        dpkg.build("acme/sales", "sales", message=name)
    dpkg.tag("acme/sales", "v1", "main~3", message="the first for all")
    dpkg.tag("acme/sales", "v2")
    dpkg.tag("acme/sales", "wrong", "main~2")
    dpkg.rm("acme/sales@wrong", message="by mistake")


def files() -> None:
    """Many small files, large ones in chunks that two versions share, and odd names."""
    root = Path("files")
    (root / "deep/er").mkdir(parents=True)
    for i in range(400):
        (root / "deep" / f"{i:03}.txt").write_text(f"file {i}\n" * (i % 7))
    (root / "deep/er/empty").write_bytes(b"")
    (root / "naïve – 数据.bin").write_bytes(bytes(range(256)))
    lines = [f"{i:06} is a line of a log that says little\n" for i in range(110_000)]
    (root / "big.log").write_text("".join(lines))
    dpkg.build("acme/files", "files", message="files")
    (root / "big.log").write_text("".join([*lines[:70_000], "one more line\n", *lines[70_000:]]))
    (root / "deep/007.txt").unlink()
    dpkg.build("acme/files", "files", message="one line more, one file less")


def small_tables() -> None:
    """Small tables enough for their fragments to be packed."""
    Path("many").mkdir()
    for i in range(60):
        Path(f"many/t{i:02}.csv").write_text("id,text\n" + "".join(f"{n},{i * n}\n" for n in range(i + 1)))
    dpkg.build("acme/many", "many", message="sixty tables")


def parts(store: str) -> None:
    """One table of a package that is elsewhere."""
    other = "./other"
    Path("both").mkdir()
    Path("both/a.csv").write_text("x\n1\n2\n")
    Path("both/b.csv").write_text("y\n3\n")
    dpkg.build("acme/both", "both", message="two tables", store=other)
    dpkg.install("acme/both/a", other, store=store)


def history() -> None:
    """A history of which gc removed the beginning; a package that was removed whole."""
    Path("days").mkdir()
    for i in range(6):
        Path("days/today.csv").write_text(f"day,n\n{i},{i * 11}\n")
        dpkg.build("acme/days", "days", message=f"day {i}")
    dpkg.build("acme/gone", "days", message="not for long")
    dpkg.rm("acme/gone", message="no longer wanted")
    dpkg.gc(["acme/days"], keep_last=2)


def loose() -> None:
    """Objects and fragments in files of their own, after the packs were made."""
    Path("last").mkdir()
    Path("last/note.txt").write_text("in a file of its own\n")
    Path("last/t.csv").write_text("a,b\n1,x\n")
    dpkg.build("acme/last", "last", message="loose")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
