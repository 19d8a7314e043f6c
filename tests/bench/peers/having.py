"""Gets the peers: DVC and Oxen from PyPI, each into a virtual environment of its own; restic and git-lfs from the PATH,
or from Debian's packages, unpacked without being installed. All of it goes into one folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

BIN = Path(sys.executable).parent


class NotHad(Exception):
    """A peer cannot be had here; says why."""


def dpk(folder: Path) -> Path:
    """The command of this checkout."""
    found = shutil.which("dpk", path=str(BIN))
    if not found:
        raise NotHad("dpk is not installed beside this Python: make bench-peers installs it")
    return Path(found)


def dvc(folder: Path) -> Path:
    """The program, with its plugin for S3."""
    _git()
    return _from_pypi(folder / "dvc", "dvc[s3]>=3.60") / "dvc"


def oxen(folder: Path) -> Path:
    """The Python that can import oxen: its wheel has no command."""
    return _from_pypi(folder / "oxen", "oxenai>=0.60") / "python"


def restic(folder: Path) -> Path:
    """The program."""
    return _from_debian(folder / "debian", "restic")


def git_lfs(folder: Path) -> Path:
    """The program, which git starts."""
    _git()
    return _from_debian(folder / "debian", "git-lfs")


GETTERS: dict[str, Callable[[Path], Path]] = {
    "dpk": dpk,
    "restic": restic,
    "DVC": dvc,
    "git-lfs": git_lfs,
    "Oxen": oxen,
}


def get(folder: Path, names: list[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """The programs by the tools' names, and why the others are lacking."""
    programs, lacking = {}, {}
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            programs[name] = GETTERS[name](folder)
        except NotHad as error:
            lacking[name] = str(error)
    return programs, lacking


def _git() -> None:
    if not shutil.which("git"):
        raise NotHad("it needs git, and there is none on the PATH")


def _from_pypi(folder: Path, requirement: str) -> Path:
    """The folder of the programs of a virtual environment that has the requirement."""
    mark = folder / ".installed"
    if not mark.exists() or mark.read_text() != requirement:
        _ask([sys.executable, "-m", "venv", "--clear", str(folder)])
        _ask([str(folder / "bin" / "pip"), "--disable-pip-version-check", "--quiet", "install", requirement])
        mark.write_text(requirement)
    return folder / "bin"


def _from_debian(folder: Path, name: str) -> Path:
    """The program of a Debian package that is named like it."""
    if found := shutil.which(name):
        return Path(found)
    program = folder / name / "usr" / "bin" / name
    if not program.exists():
        if not shutil.which("apt-get"):
            raise NotHad(f"{name} is not on the PATH, and there is no apt-get to get it with")
        folder.mkdir(parents=True, exist_ok=True)
        _ask(["apt-get", "download", name], folder)
        (package,) = folder.glob(f"{name}_*.deb")
        _ask(["dpkg-deb", "-x", str(package), str(folder / name)])
        package.unlink()
    return program


def _ask(command: list[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired as error:
        raise NotHad(f"`{' '.join(command)}` took more than ten minutes") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise NotHad(f"`{' '.join(command)}` failed: {said}")
