"""Runs the second reader, and what of dpkg needs no Arrow, in a big-endian Python (s390x), emulated by QEMU.

    run.py FOLDER    what is fetched is kept there, and used again; some ten minutes

Everything comes from Debian by apt, into FOLDER alone: nothing is installed, no right of root is needed. There is no
pyarrow for s390x; so of dpkg's own code only frames, objects, nodes, indexes, odb and refs run here. How it handles
Arrow's buffers on such a machine is what test_big_endian.py plays on this one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGES = ["python3-minimal", "libpython3-stdlib", "python3-zstandard", "python3-pytest"]
PACKAGES += ["python3-hypothesis", "b3sum"]
TESTS = ["tests/spec/test_implementation_objects.py", "tests/objects/test_frame.py", "tests/index", "tests/odb"]
TESTS += ["tests/test_refs.py", "tests/spec/test_implementation_packs.py", "tests/objects/test_pack.py"]
LEFT_OUT = ["tests/spec/test_implementation_objects.py::test_objects"]  # needs Arrow


class Apt:
    """apt with its state in a folder of its own, for one architecture; the sources are the system's."""

    def __init__(self, folder: Path, arch: str) -> None:
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        options = {
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Debug::NoLocking": 1,
        }
        self._options = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]

    def unpack(self, packages: list[str], root: Path) -> None:
        """The packages, with all they depend on, unpacked below `root`."""
        self._run("update")
        self._run("install", "--yes", "--no-install-recommends", "--download-only", *packages)
        for file in sorted((self._folder / "cache/archives").glob("*.deb")):
            subprocess.run(["dpkg", "--extract", file, root], check=True)

    def _run(self, *args: str) -> None:
        done = subprocess.run(["apt-get", "-qq", *self._options, *args], stdin=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(
                f"apt-get {args[0]} failed: Debian's packages must be within reach to test on a big-endian machine"
            )


def emulator(folder: Path) -> str:
    """The path of QEMU for s390x: the system's, or Debian's unpacked in `folder`."""
    for name in ("qemu-s390x-static", "qemu-s390x"):
        if found := shutil.which(name):
            return found
    qemu = folder / "qemu/root/usr/bin/qemu-s390x-static"
    if not qemu.exists():
        native = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True)
        Apt(folder / "qemu/apt", native.stdout.strip()).unpack(["qemu-user-static"], folder / "qemu/root")
    return str(qemu)


def main(folder: Path) -> None:
    missing = [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]
    if missing:
        sys.exit(f"to test on a big-endian machine, {' and '.join(missing)} must be there: it takes Debian or its kin")
    qemu, root = emulator(folder), folder / "s390x/root"
    complete = folder / "s390x/complete"
    if not complete.exists() or complete.read_text().split() != PACKAGES:
        Apt(folder / "s390x/apt", "s390x").unpack(PACKAGES, root)
        complete.write_text(" ".join(PACKAGES))
    run = [qemu, "-L", str(root)]
    python = [*run, str(root / "usr/bin/python3")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parent, ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "B3SUM": " ".join([*run, str(root / "usr/bin/b3sum")]),
    }
    left_out = [part for test in LEFT_OUT for part in ("--deselect", test)]
    subprocess.run([*python, HERE / "compute.py"], env=environment, check=True)
    pytest = [*python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "slow", "-m", "not long"]
    sys.exit(subprocess.run([*pytest, *left_out, *TESTS], cwd=ROOT, env=environment).returncode)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
