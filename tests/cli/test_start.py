"""What a command line imports: start-up is most of what a short command costs (`make bench` has the figures)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

HEAVY = {
    "pyarrow",
    "numpy",
    "pandas",
    "fsspec",
    "rich",
    "zstandard",
    "asyncio",
    "yaml",
    "argparse",
    "subprocess",
    "pathspec",
}
LIGHT = {
    "argparse",
    "ast",
    "dataclasses",
    "difflib",
    "gettext",
    "inspect",
    "json",
    "logging",
    "shutil",
    "tempfile",
    "threading",
    "typing",
}


def imported(*args: str) -> set[str]:
    """The modules that a command line imports beyond those of a bare Python."""
    env = {**os.environ, "DPK_AUTHOR": "Ada"}
    bare = [sys.executable, "-X", "importtime", "-c", "pass"]
    found = []
    for command in (bare, [sys.executable, "-X", "importtime", "-c", "from dpkg.cli.main import run; run()", *args]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        lines = [
            line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")
        ]
        found.append(set(lines))
    return found[1] - found[0]


def top(modules: set[str]) -> set[str]:
    return {m.split(".")[0] for m in modules}


def test_version_imports_next_to_nothing() -> None:
    found = imported("--version")
    assert not top(found) & (HEAVY | LIGHT)
    assert {m for m in found if m.startswith("dpkg")} == {"dpkg", "dpkg.cli", "dpkg.cli.main"}


def test_help_imports_no_command(sales: Any) -> None:
    found = imported("--help")
    assert not top(found) & HEAVY
    assert not any(m.startswith(("dpkg.porcelain", "dpkg.plumbing", "dpkg.repository")) for m in found)


def test_looking_does_not_pay_for_data(sales: Any) -> None:
    for args in (
        ["log", "acme/sales"],
        ["log", "acme/sales", "--json"],
        ["rev-parse", "acme/sales@v1"],
        ["show-ref"],
        ["tag", "acme/sales", "v1", "latest~1"],
    ):
        assert not top(imported(*args)) & HEAVY, args


def test_listing_needs_no_arrow(sales: Any) -> None:
    for args in (
        ["ls"],
        ["ls", "acme/sales"],
        ["show", "acme/sales"],
        ["diff", "acme/sales", "--name-only"],
        ["ls-tree", "-r", "acme/sales"],
        ["cat-object", "acme/sales"],
    ):
        assert not top(imported(*args)) & (HEAVY - {"zstandard"}), args


def test_the_facade_is_lazy() -> None:
    code = "import dpkg, sys; dir(dpkg); dpkg.errors; dpkg.plumbing; dpkg.porcelain; dpkg.log; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not top(set(done.stdout.split())) & (HEAVY - {"argparse", "subprocess"})


def test_importing_data_reads_none(sales: Any) -> None:
    """`from dpkg.data.acme import sales` needs neither Arrow nor pandas; a DataFrame does."""
    asked = "print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    code = f"from dpkg.data.acme import sales; import sys; repr(sales); {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
