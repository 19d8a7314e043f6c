"""What a script calls a thousand times pays only for what it uses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

CODE = "import sys; from dpkg.cli.main import main; code = main(sys.argv[1:]); print(*sys.modules, file=sys.stderr); sys.exit(code)"
HEAVY = {"pyarrow", "numpy", "pandas", "rich", "fsspec", "s3fs", "asyncio"}


@pytest.mark.parametrize(
    "args",
    [
        ["rev-list", "--objects", "acme/sales"],
        ["diff-tree", "-r", "acme/sales@v1", "acme/sales"],
        ["ls-tree", "-z", "acme/sales"],
        ["for-each-ref"],
        ["ls-remote", "."],
        ["count-objects", "-v"],
        ["check-ref-format", "v1"],
        ["mktree"],
    ],
)
def test_objects_and_refs_need_no_arrow(sales: Any, args: list[str]) -> None:
    place = [sales.url if arg == "." else arg for arg in args]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *place], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    found = {module.partition(".")[0] for module in done.stderr.split()}
    assert not found & HEAVY
    assert "dpkg.command" in done.stderr
