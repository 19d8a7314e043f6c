"""What is shipped works where the checkout is not: builds sdist and wheel, installs the wheel, runs the sdist's tests.

Everything happens in a temporary folder. Arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("dpkg", "plumbing", "porcelain")
CHECK = """
import importlib.util, pathlib, sys
import dpkg
home = pathlib.Path(sys.prefix)
assert home in pathlib.Path(dpkg.__file__).parents, f"dpkg comes from {dpkg.__file__}"
for name in ("plumbing", "porcelain"):
    assert importlib.util.find_spec(name) is None, f"{name} can be imported at the top level"
    assert importlib.util.find_spec(f"dpkg.{name}"), f"dpkg.{name} cannot be imported"
assert (home / "bin/dpk").exists(), "there is no executable dpk"
assert not (home / "bin/dpkg").exists(), "an executable dpkg would shadow Debian's"
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command of which the environment leads to no other Python code; exit as it does if it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment)
    if done.returncode:
        sys.exit(done.returncode)


def venv(folder: Path, *requirements: str) -> Path:
    """The Python of a new virtual environment with some packages."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    python = folder / "bin/python"
    run(python, "-m", "pip", "--disable-pip-version-check", "-q", "install", *requirements, cwd=folder.parent)
    return python


def unpack(sdist: Path, folder: Path) -> Path:
    """The files of an sdist but for the package's own code, in a new folder; where they are."""
    with tarfile.open(sdist) as archive:
        top = archive.getmembers()[0].name.split("/")[0]
        members = [m for m in archive.getmembers() if m.name.split("/")[1:2] not in [[s] for s in SOURCES]]
        archive.extractall(folder, members, filter="data")
    return folder / top


def main(pytest: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="dpkg-wheel-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # some tests run dpk as another user
        run(venv(folder / "build", "build"), "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
        (wheel,), (sdist,) = (list((folder / "dist").glob(kind)) for kind in ("*.whl", "*.tar.gz"))
        python = venv(folder / "venv", f"{wheel}[test]")
        tests = unpack(sdist, folder / "sdist")
        run(python, "-c", CHECK, cwd=tests)
        run(python, "-m", "pytest", *pytest, cwd=tests)


if __name__ == "__main__":
    main(sys.argv[1:])
