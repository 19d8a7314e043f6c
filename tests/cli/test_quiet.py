"""--quiet and --progress: what is left out, and what is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dpkg import progress
from dpkg.cli import bars, commands

PROSE = {
    "init": ["./other"],
    "generate": ["files"],
    "build": ["acme/built", "file.csv"],
    "check": ["file.build.yml"],
    "tag": ["acme/sales", "v2"],
    "push": ["acme/sales", "./remote"],
    "install": ["acme/sales", "./remote", "--store", "./elsewhere"],
    "export": ["acme/sales", "out"],
    "rm": ["acme/sales@v1"],
    "gc": ["--keep-last", "1"],
    "verify": [],
    "repack": [],
    "repair": [],
}


@pytest.fixture
def here(sales: Any, dpk: Callable[..., Any]) -> Any:
    Path("file.csv").write_text("a\n1\n")
    Path("file.build.yml").write_text("contents: {a: {file: file.csv, checks: {rows: {min: 1}}}}")
    Path("files").mkdir()
    Path("files/file.csv").write_text("a\n1\n")
    dpk("push", "acme/sales", "./remote")
    return sales


@pytest.mark.spec("CLI-5")
def test_which_commands_only_report() -> None:
    """The commands of the table above, and no other; plumbing prints what was asked for."""
    made = {name for name in commands.names() if import_module(commands.module_of(name) or "").COMMAND.prose}
    assert made == PROSE.keys()
    assert made <= set(commands.names(commands.PORCELAIN))


@pytest.mark.spec("CLI-5")
@pytest.mark.parametrize("name", PROSE)
def test_success_is_silent(dpk: Callable[..., Any], here: Any, name: str) -> None:
    ran = dpk(name, *PROSE[name], "-q")
    assert (ran.out, ran.err) == ("", "")
    if name == "tag":
        assert dpk("rev-parse", "acme/sales@v2").out  # it was done
    if name == "build":
        assert dpk("ls", "acme/built").out


@pytest.mark.spec("CLI-5")
@pytest.mark.parametrize(
    "args", [["ls"], ["log", "acme/sales"], ["show", "acme/sales"], ["diff", "acme/sales"], ["show-ref"]]
)
def test_what_was_asked_for_is_printed(dpk: Callable[..., Any], here: Any, args: list[str]) -> None:
    assert dpk(*args, "-q").out == dpk(*args).out != ""


@pytest.mark.spec("CLI-5")
def test_what_is_wrong_is_printed(dpk: Callable[..., Any], here: Any) -> None:
    assert dpk("build", "acme/x", "./absent", "-q", code=3).err.startswith("dpk: ")
    stored = next(p for p in Path(here.url, "fragments").rglob("*.parquet"))
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-5] + b"?????")
    assert "damaged" in dpk("verify", "-q", code=6).out


@pytest.mark.spec("CLI-5")
def test_json_is_asked_for(dpk: Callable[..., Any], here: Any) -> None:
    assert dpk("build", "acme/built", "file.csv", "-q", "--json").json["created"] is True


BUILD = """
from dpkg.cli import bars, main
bars._EVERY = 0.0
main.run()
"""


_numbers = count()


def said(*args: str) -> str:
    """What a build writes to stderr, where every step may be told."""
    package = f"acme/built-{next(_numbers)}"  # another one each time: what was built before has nothing to tell
    command = [sys.executable, "-c", BUILD, "build", package, "file.csv", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


@pytest.mark.spec("CLI-6")
def test_progress(here: Any) -> None:
    """Standard error is no terminal here."""
    plain = said()
    assert plain
    assert "\x1b" not in plain
    assert ": " in plain.splitlines()[0]
    assert said("--progress=plain").splitlines()[0].partition(":")[0] == plain.partition(":")[0]
    for flags in (["--progress=none"], ["--json"], ["-q"], ["--progress", "none", "--json"]):
        assert said(*flags) == ""
    assert said("--progress=plain", "-q", "--json")  # asked for is asked for
    assert "\x1b[?25l" in said("--progress=bar")


@pytest.mark.spec("CLI-6")
def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for how, kind in (("", bars.Bars), ("plain", bars.Lines), ("bar", bars.Bars)):
        with bars.shown(how) as made:
            assert type(made) is kind
    monkeypatch.setenv("TERM", "dumb")
    with bars.shown() as made:
        assert type(made) is bars.Lines
    progress.advance("nobody", 1)
