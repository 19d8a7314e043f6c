"""`make bench-peers` at the smallest scale, with peers that cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "peers" / "run.py"


def bench(folder: Path, *options: str) -> str:
    """What it prints where there is no git, no restic, and nothing to get them with."""
    (folder / "bin").mkdir(exist_ok=True)
    command = [sys.executable, str(RUN), "--folder", str(folder / "peers"), "--scale", "0.0001", *options]
    env = {**os.environ, "PATH": str(folder / "bin")}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, object]]:
    """Of a run of dpk and three peers."""
    folder = tmp_path_factory.mktemp("bench")
    options = ["--tools", "dpk,restic,DVC,git-lfs", "--only", "files,verify", "--json", str(folder / "out.json")]
    return bench(folder, *options), json.loads((folder / "out.json").read_text())


def test_tells_which_peer_could_not_be_had_and_goes_on(said: tuple[str, dict[str, object]]) -> None:
    text, _ = said
    assert "restic could not be had; the others go on without it: restic is not on the PATH" in text
    assert "DVC could not be had; the others go on without it: it needs git" in text
    assert "git-lfs could not be had; the others go on without it: it needs git" in text
    assert "| dpk |" in text


def test_figures_of_each_step_as_json(said: tuple[str, dict[str, object]]) -> None:
    _, found = said
    figures = {(f["part"], f["step"]): f for f in found["figures"]}  # type: ignore[attr-defined]
    assert {("files", "first"), ("files", "no-op"), ("files", "one changed"), ("files", "verify")} <= figures.keys()
    assert all(f["seconds"] and not f["failed"] for f in figures.values())
    assert figures["files", "first"]["new_bytes"] > figures["files", "one changed"]["new_bytes"] > 0
    assert figures["files", "no-op"]["new_bytes"] == 0


def test_report_alone_gives_the_same_tables(tmp_path: Path, said: tuple[str, dict[str, object]]) -> None:
    text, found = said
    (tmp_path / "out.json").write_text(json.dumps(found))
    command = [sys.executable, str(RUN.parent / "report.py"), str(tmp_path / "out.json")]
    tables = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "### Goals of dpk" in tables
    assert tables in text
