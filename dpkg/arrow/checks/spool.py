"""Numbers and keys of all rows of a table: in memory as long as they are few, then in sorted runs in a temporary file.

What is held in memory does not grow with the table: one run, and of the file what is looked at.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dpkg.errors import Storage

MEMORY = 64 << 20  # bytes of one spool in memory
_LEAST = 16  # rows of a run between two of its samples, where there are very many runs
_BLOCK = 512  # numbers of a run that are read to find one
_SIGN = np.uint64(1 << 63)


class Numbers:
    """Numbers of one type without NaN, of which one is asked for by its rank."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._held: list[Any] = []
        self._bytes = 0
        self._runs: list[Any] = []
        self._file = _File()

    def __len__(self) -> int:
        return sum(map(len, self._held)) + sum(map(len, self._runs))

    def append(self, array: Any) -> None:
        if not len(array):
            return
        self._held.append(np.ascontiguousarray(array, self.dtype))
        self._bytes += self._held[-1].nbytes
        if self._bytes > MEMORY:
            self._runs.append(self._file.keep(np.sort(np.concatenate(self._held))))
            self._held, self._bytes = [], 0

    def smallest(self, rank: int) -> Any:
        """The number that `rank` others are before, in order."""
        if self._held and (self._runs or len(self._held) > 1):
            self._held = [np.concatenate(self._held)]
        if not self._runs:
            return np.partition(self._held[0], rank)[rank]
        runs = [*self._runs, *map(np.sort, self._held)]
        low, high = min(_ordered(run[0]) for run in runs), max(_ordered(run[-1]) for run in runs)
        while low < high:  # as many steps as a number has bits
            middle = (low + high) // 2
            number = self._number(middle)
            if sum(int(run.searchsorted(number, "right")) for run in runs) > rank:
                high = middle
            else:
                low = middle + 1
        return self._number(low)

    def _number(self, ordered: int) -> Any:
        """What `_ordered` was given."""
        if self.dtype != np.float64:
            return self.dtype.type(ordered)
        bits = np.uint64(ordered) if ordered >= 0 else np.uint64(-ordered - 1) | _SIGN
        return bits.view(np.float64)


def _ordered(number: Any) -> int:
    """An integer for each number, in the same order; of floats by their bits."""
    if number.dtype != np.float64:
        return int(number)
    bits = int(number.view(np.uint64))
    return bits if bits < 1 << 63 else (1 << 63) - bits - 1


class Keys(NamedTuple):
    """Keys of 128 bits, and the numbers of their rows."""

    high: Any
    low: Any
    at: Any

    def of(self, places: Any) -> Keys:
        return Keys(*(array[places] for array in self))

    @classmethod
    def joined(cls, parts: list[Keys]) -> Keys:
        if len(parts) == 1:
            return parts[0]
        empty = cls(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))
        return cls(*(np.concatenate(arrays) for arrays in zip(empty, *parts, strict=True)))


class KeySpool:
    """The keys of rows, in any order. Rows whose key an earlier row has are handed to `again`, by number, in any order."""

    def __init__(self, again: Callable[[Any], None]) -> None:
        self._again = again
        self._held: list[Keys] = []
        self._bytes = 0
        self._runs: list[Keys] = []
        self._file = _File()

    def append(self, keys: Keys) -> None:
        self._held.append(keys)
        self._bytes += sum(array.nbytes for array in keys)
        if self._bytes > MEMORY:
            self._runs.append(Keys(*map(self._file.keep, self._first(self._held))))
            self._held, self._bytes = [], 0

    def _first(self, parts: list[Keys]) -> Keys:
        """Of each key the first row, in the order of the keys."""
        found = Keys.joined(parts)
        found = found.of(np.lexsort((found.at, found.low, found.high)))
        new = np.ones(len(found.high), bool)
        new[1:] = (found.high[1:] != found.high[:-1]) | (found.low[1:] != found.low[:-1])
        self._again(found.at[~new])
        return found.of(new)

    def finish(self) -> None:
        """Hand out what is left, where nobody wants to know the keys."""
        if self._runs:
            for _ in self.distinct():
                pass
            return
        found = Keys.joined(self._held)
        ordered = np.sort(found.high)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(twice):  # the other ones are not looked at further
            self._first([found.of(_in(found.high, twice))])

    def distinct(self) -> Iterator[Keys]:
        """Each key with its first row, in the order of the keys, in parts of about a run."""
        held = self._first(self._held)
        if not self._runs:
            yield held
            return
        runs = [*self._runs, held]
        step = max(max(len(run.high) for run in runs) // len(runs), _LEAST)
        samples = np.sort(np.concatenate([run.high[::step] for run in runs]))
        starts = [0] * len(runs)
        for end in [*samples[len(runs) :: len(runs)], None]:
            stops = [len(r.high) if end is None else int(r.high.searchsorted(end)) for r in runs]
            parts = [run.of(slice(*ends)) for run, *ends in zip(runs, starts, stops, strict=True)]
            yield self._first(parts)
            starts = stops


def _in(values: Any, known: Any) -> Any:
    """Which values are among sorted ones."""
    at = np.searchsorted(known, values)
    at[at == len(known)] = 0
    return known[at] == values


class Pile:
    """Numbers in the order in which they come."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._held: list[Any] = []
        self._file: Any = None

    def append(self, array: Any) -> None:
        self._held.append(array)
        if self._file is not None or sum(part.nbytes for part in self._held) > MEMORY:
            self._file = self._file or _opened()
            _write(self._file, [part.astype(self._dtype) for part in self._held])
            self._held = []

    def whole(self) -> Any:
        """All of them, not to be changed."""
        if self._file is not None:
            self._held = [np.memmap(self._file, self._dtype, "r")]
        elif len(self._held) != 1:
            self._held = [np.concatenate([np.zeros(0, self._dtype), *self._held])]
        return self._held[0]


class _Stored:
    """An array in a file, of which only what is asked for is read."""

    def __init__(self, file: Any, start: int, array: Any) -> None:
        self._file, self._start, self._dtype, self._length = file, start, array.dtype, len(array)
        self._samples = array[::_BLOCK].copy()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, slice):
            at = range(self._length)[place]
            return self[at : at + 1][0]
        start, stop, step = place.indices(self._length)
        if step > 1:
            return np.array([self[i] for i in range(start, stop, step)], self._dtype)
        size = self._dtype.itemsize
        data = os.pread(self._file.fileno(), max(0, stop - start) * size, self._start + start * size)
        return np.frombuffer(data, self._dtype)

    def searchsorted(self, value: Any, side: Any = "left") -> int:
        """As numpy's, of an array that is sorted."""
        end = int(self._samples.searchsorted(value, side)) * _BLOCK
        start = max(0, end - _BLOCK)
        return start + int(self[start:end].searchsorted(value, side))


class _File:
    """A temporary file of arrays."""

    def __init__(self) -> None:
        self._file: Any = None

    def keep(self, array: Any) -> Any:
        if not len(array):
            return array
        self._file = self._file or _opened()
        start = self._file.seek(0, 2)
        _write(self._file, [array])
        return _Stored(self._file, start, array)


def _opened() -> Any:
    try:
        return tempfile.TemporaryFile(prefix="dpkg-check-")
    except OSError as e:
        raise _full(e) from e


def _write(file: Any, arrays: list[Any]) -> None:
    try:
        file.writelines(array.data for array in arrays if len(array))
        file.flush()
    except OSError as e:
        raise _full(e) from e


def _full(e: OSError) -> Storage:
    message = f"cannot write what a check needs into a temporary file: {e.strerror or e}"
    return Storage(message, "make room there, or name another folder in TMPDIR")
