"""Commands as processes, timed; and what is on the disk."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1200.0  # seconds for a command
_SPARSE = 1 << 20  # files from here on may have holes, LMDB's for example: what is not on the disk does not count


class Failed(Exception):
    """A command failed; says what it said last."""


@dataclass
class Ran:
    """Wall time in seconds, the peak memory in MB of the largest process, and seconds of processors of all processes."""

    seconds: float = 0.0
    megabytes: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Ran) -> Ran:
        return Ran(self.seconds + other.seconds, max(self.megabytes, other.megabytes), self.cpu + other.cpu)


@dataclass
class Stored:
    """Files, and their bytes."""

    files: int = 0
    bytes: int = 0

    def __sub__(self, other: Stored) -> Stored:
        return Stored(self.files - other.files, self.bytes - other.bytes)


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Ran:
    """One command; raises Failed."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        alarm = threading.Timer(LIMIT, process.kill)
        alarm.daemon = True
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            words = " ".join(said.read()[-1000:].decode(errors="replace").split())[-400:]
            late = f" after {LIMIT:.0f} s" if seconds >= LIMIT else ""
            raise Failed(f"`{' '.join(command)[:80]}` ended with {process.returncode}{late}: {words}")
    return Ran(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def stored(*places: Path) -> Stored:
    """What all files below the places take. Written out first: until then nobody knows what is allocated."""
    os.sync()
    found = Stored()
    for place in places:
        for folder, _, names in os.walk(place):
            for name in names:
                status = os.lstat(os.path.join(folder, name))
                size = status.st_size
                found.bytes += min(size, status.st_blocks * 512) if size >= _SPARSE else size
                found.files += 1
    return found


def warm(*places: Path) -> None:
    """Read all files once, and leave nothing to be written: a run pays neither for the disk nor for the one before."""
    os.sync()
    buffer = bytearray(1 << 20)
    for place in places:
        for folder, _, names in os.walk(place):
            for name in names:
                with open(os.path.join(folder, name), "rb", buffering=0) as f:
                    while f.readinto(buffer):
                        pass
