"""Numbers of all rows of a table, in memory as long as they are few, then in a temporary file that is mapped."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

MEMORY = 64 << 20  # bytes of one spool in memory; what is beyond is the system's to keep there or not


class Spool:
    """Arrays of one dtype, one after another."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._held: list[Any] = []
        self._bytes = 0
        self._file: Any = None
        self._stored = 0

    def __len__(self) -> int:
        return self._stored + sum(map(len, self._held))

    def append(self, array: Any) -> None:
        if not len(array):
            return
        self._held.append(np.ascontiguousarray(array, self.dtype))
        self._bytes += self._held[-1].nbytes
        if self._bytes > MEMORY:
            self._flush()

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="dpkg-check-")  # noqa: SIM115 - it lives as long as this
        for array in self._held:
            self._file.write(array.data)
            self._stored += len(array)
        self._held, self._bytes = [], 0

    def whole(self) -> Any:
        """All of it as one array, not to be changed."""
        if self._file is None:
            if len(self._held) != 1:
                self._held = [np.concatenate([np.zeros(0, self.dtype), *self._held])]
            return self._held[0]
        self._flush()
        self._file.flush()
        return np.memmap(self._file, self.dtype, "r", shape=(self._stored,))

    def sorted(self) -> Any:
        """A sorted copy, in a file of its own where it is large."""
        found = self.whole()
        if self._file is None:
            return np.sort(found)
        with tempfile.TemporaryFile(prefix="dpkg-check-") as file:  # the map keeps it
            file.truncate(found.nbytes)
            made = np.memmap(file, self.dtype, "r+", shape=found.shape)
        step = MEMORY // self.dtype.itemsize
        for start in range(0, len(found), step):
            made[start : start + step] = found[start : start + step]
        made.sort()
        return made
