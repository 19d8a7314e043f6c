"""A disk that loses power. What was not synced may be gone: the bytes of a file, and names in a folder, each by itself.

It watches the one door to durability, `os.fsync` and syncfs, so it also notices a folder whose name was not synced in
the folder above. Nothing is really synced.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dpkg.store import local

_PAGE = 4096
Node = tuple[int, int]  # inode, and when it was written to: inodes are used again


def _node(found: os.stat_result) -> Node:
    return found.st_ino, found.st_mtime_ns


class Disk:
    """The file system below `folder`. Files are written once: what was synced of one is all of it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._files: set[Node] = set()  # whose bytes are safe
        self._names: dict[int, dict[str, int]] = {}  # the names that are safe in each folder, and their inodes
        patch.setattr(os, "fsync", self._fsync)
        patch.setattr(local, "_sync_file_system", lambda path: self.sync_all())

    def _fsync(self, handle: int) -> None:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = {e.name: e.inode() for e in os.scandir(handle)}
        else:
            self._files.add(_node(found))

    def sync_all(self) -> None:
        """Everything is safe."""
        for path, folders, files in os.walk(self.folder):
            self._names[os.stat(path).st_ino] = {n: os.stat(f"{path}/{n}").st_ino for n in (*folders, *files)}
            self._files.update(_node(os.stat(f"{path}/{name}")) for name in files)

    def cut(self, chance: Callable[[], float]) -> int:
        """The power goes; how much was lost. `chance` says for each thing at risk whether it had reached the disk."""
        lost = self._cut(str(self.folder), chance)
        self.sync_all()
        return lost

    def _cut(self, folder: str, chance: Callable[[], float]) -> int:
        safe, lost = self._names.get(os.stat(folder).st_ino, {}), 0
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            is_folder, found = entry.is_dir(follow_symlinks=False), entry.stat(follow_symlinks=False)
            if safe.get(entry.name) != entry.inode() and chance() < 0.5:
                shutil.rmtree(entry.path) if is_folder else os.unlink(entry.path)
                lost += 1
            elif is_folder:
                lost += self._cut(entry.path, chance)
            elif _node(found) not in self._files and (at := chance()) < 0.75:
                _spoil(entry.path, found.st_size, at)
                lost += 1
        return lost


def _spoil(path: str, size: int, at: float) -> None:
    """A file without its bytes, cut short, or with zeros where its last pages were: as file systems leave them."""
    if at < 0.25:
        os.truncate(path, 0)
    elif at < 0.5:
        os.truncate(path, size // 2)
    else:
        with open(path, "r+b") as file:
            start = size // _PAGE // 2 * _PAGE
            file.seek(start)
            file.write(bytes(size - start))


def nothing_lasts() -> float:
    """Of what is at risk: names reached the disk, bytes did not."""
    return 0.6


def all_is_lost() -> float:
    """Nothing at risk reached the disk."""
    return 0.0


def by(seed: int) -> Callable[[], float]:
    """Some of it did."""
    return random.Random(seed).random
