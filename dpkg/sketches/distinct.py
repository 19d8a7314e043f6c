"""How many distinct values there are: the smallest of their hashes (k minimum values; Bar-Yossef and others, 2002)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SMALLEST = 1024  # hashes that are kept: the standard error is 1 / sqrt(1022), 3.2 %
_BLOCK = 8192  # values hashed at a time: temporaries stay in the cache
_U64 = np.uint64


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """The smallest hashes of the values that occur, at most `SMALLEST`, in ascending order."""

    hashes: Any  # uint64

    @classmethod
    def of(cls, hashes: Any) -> Distinct:
        """Of the hashes of all values, in any order."""
        return cls._smallest([hashes], len(hashes))

    @classmethod
    def of_words(cls, words: Any) -> Distinct:
        """Of values of 64 bits each."""
        starts = range(0, len(words), _BLOCK)
        return cls._smallest(_Blocks(lambda: (scattered(words[at : at + _BLOCK]) for at in starts)), len(words))

    @classmethod
    def _smallest(cls, blocks: Iterable[Any], count: int) -> Distinct:
        """Nearly all are too large: those are sorted only that may stay; where that are too few, again with more."""
        most = 3 * SMALLEST / 2 / max(1, count)
        while most < 0.5:
            limit = _U64(int(most * 2.0**64))
            found = _unique(np.concatenate([h[h < limit] for h in blocks]))
            if len(found) >= SMALLEST:
                return cls(found[:SMALLEST])
            most *= 4
        return cls(_unique(np.concatenate([*blocks, np.zeros(0, np.uint64)]))[:SMALLEST])

    @classmethod
    def merge(cls, parts: Iterable[Distinct]) -> Distinct:
        """Of all values together."""
        return cls.of(np.concatenate([d.hashes for d in parts]))

    @property
    def exact(self) -> bool:
        """Whether `count` is the number itself."""
        return len(self.hashes) < SMALLEST

    @property
    def count(self) -> int:
        """About how many distinct values there are; exact below `SMALLEST`."""
        if self.exact:
            return len(self.hashes)
        return round((SMALLEST - 1) * (1 << 64) / int(self.hashes[-1]))

    @property
    def standard_error(self) -> float:
        """Of `count`, as a share of it."""
        return 0.0 if self.exact else 1 / math.sqrt(SMALLEST - 2)


class _Blocks:
    """What can be gone through more than once."""

    def __init__(self, begin: Callable[[], Iterator[Any]]) -> None:
        self._begin = begin

    def __iter__(self) -> Iterator[Any]:
        return self._begin()


def _unique(hashes: Any) -> Any:
    """Each once, in ascending order. (numpy's own goes through a hash table first.)"""
    found = np.sort(hashes)
    return found[np.concatenate([[True], found[1:] != found[:-1]])] if len(found) else found


def scattered(words: Any) -> Any:
    """A hash of each uint64, one to one: two multiplications, and the upper half xored into the lower one between them."""
    z = words * _U64(0x9E3779B97F4A7C15)
    z ^= z >> _U64(32)
    z *= _U64(0xD6E8FEB86659FD93)
    return z
