"""Paths that are not ASCII where the locale is: Python keeps their bytes, and so must what goes to Arrow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CHECK = "import sys; assert sys.getfilesystemencoding() == 'ascii', sys.getfilesystemencoding()"


@pytest.fixture
def dpk(tmp_path: Path) -> Any:
    """`dpk ARGS` in a process of its own, in an ASCII locale; its output."""
    environment = {**os.environ, **ASCII, "DPK_STORE": str(tmp_path / "données-仓")}
    if subprocess.run([sys.executable, "-c", CHECK], env=environment, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this system has no ASCII locale")

    def run(*args: str) -> str:
        done = subprocess.run([sys.executable, "-m", "dpkg", *args], env=environment, cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run


def test_files_and_a_store_in_such_folders(dpk: Any, tmp_path: Path) -> None:
    table = pa.table({"a": range(5000), "s": [f"{i % 3}" for i in range(5000)]})
    folder = tmp_path / "entrée-é"
    folder.mkdir()
    pq.write_table(table, folder / "p.parquet")
    pa.feather.write_feather(table, folder / "f.arrow")
    (folder / "c.csv").write_text("a,s\n1,x\n")
    (folder / "j.jsonl").write_text('{"a":1,"s":"x"}\n')
    dpk("init")
    dpk("build", "acme/x", str(folder))
    assert "all well" in dpk("verify", "--deep")
    assert '"rows": 5000' in dpk("ls", "acme/x", "--json")
    shown = dpk("show", "acme/x/p", "-n", "0")
    assert shown.isascii()
    assert "  ##########  0 .. 2,499 .. 4,999" in shown
    dpk("export", "acme/x", str(tmp_path / "sortie-ü"))
    dpk("build", "acme/y", str(tmp_path / "sortie-ü"))
    tips = [dpk("rev-parse", "--tophash", f"acme/{name}") for name in "xy"]
    assert tips[0] == tips[1]


def test_sorting_in_such_a_folder(dpk: Any, tmp_path: Path) -> None:
    """Runs of a large sort go to files below TMPDIR."""
    folder = tmp_path / "müll"
    folder.mkdir()
    code = (
        "import pyarrow as pa\nfrom dpkg.arrow import sort\nfrom dpkg.arrow.schema import Schema\nsort.RUN_BYTES = 1\n"
        "batches = [pa.record_batch({'a': [9 - i]}) for i in range(9)]\n"
        "schema = Schema.from_arrow(batches[0].schema)\n"
        "print(sum((b.column(0).to_pylist() for b in sort.sort_by_key(batches, schema, ('a',))), []))"
    )
    environment = {**os.environ, **ASCII, "TMPDIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(list(range(1, 10))), done.stderr
