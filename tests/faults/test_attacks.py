"""Hostile stores and folders: refused in words, in bounded memory and time; nothing is written outside the target."""

from __future__ import annotations

import contextlib
import io
import os
import resource
from pathlib import Path

import crowd
import pytest
from attacks import ATTACKS, BUILD_FILES, PKG, Store
from walker import Walker

from dpkg.cli.main import main

MEMORY = 700 << 20  # bytes that a command may take beyond what Python and its libraries have
SECONDS = 60


def limited(commands: list[list[str]]) -> list[tuple[int, str]]:
    """Command lines, one after another, in little memory: the exit code of each, and what it said."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    done = []
    for argv in commands:
        err = io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            code = main(argv)
        done.append((code, err.getvalue()))
    return done


def well_said(code: int, err: str) -> None:
    if code and err:
        assert len([line for line in err.splitlines() if line.startswith("dpk: ")]) == 1, err[:2000]
        assert len(err) < 20_000
    for bad in ("Traceback", "should not happen", "not enough memory"):
        assert bad not in err, err[:2000]


def outside(folder: Path, but: set[str]) -> set[str]:
    return {str(p) for p in folder.rglob("*") if not any(part in but for part in p.relative_to(folder).parts[:1])}


@pytest.mark.spec("STO-2", "STO-5")
@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_store(name: str, tmp_path: Path) -> None:
    attack, evil = ATTACKS[name], Store(tmp_path)
    attack.make(evil)
    before = outside(tmp_path, {"mine", "out"})
    mine, url = str(tmp_path / "mine"), evil.url
    commands = [
        ["install", PKG, url, "--store", mine],
        ["verify", "--store", url],
        ["export", PKG, str(tmp_path / "out"), "--store", url],
        ["diff", f"{PKG}@v1", f"{PKG}@latest", "--store", url],
        ["log", PKG, "--store", url],
    ]
    if name == "10^48 paths":
        commands = commands[:2]  # there is no end to what is asked for
    ends = crowd.start(limited, commands).result(2 * SECONDS)
    for code, err in ends:
        well_said(code, err)
    codes = [code for code, _ in ends]
    assert codes[0] in attack.codes, ends[0]
    assert codes[1] in attack.verify, ends[1]
    assert len(codes) == 2 or codes[2] in attack.export, ends[2]
    assert outside(tmp_path, {"mine", "out"}) == before
    if codes[0]:
        assert not Path(mine).exists() or Walker(mine).published() == {}
    assert not (tmp_path / "out").exists() or codes[2] == 0


@pytest.mark.parametrize("name", BUILD_FILES)
def test_a_hostile_build_file(name: str, tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.mkdir()
    (src / "t.csv").write_text("a\n1\n")
    (src / "build.yml").write_bytes(BUILD_FILES[name])
    ((code, err),) = crowd.start(limited, [["build", PKG, str(src), "--store", str(tmp_path / "mine")]]).result(SECONDS)
    well_said(code, err)
    assert code in (2, 3, 7), err
    assert not os.path.exists("/tmp/evil")
    assert not (tmp_path / "mine").exists() or Walker(str(tmp_path / "mine")).published() == {}
