"""Digests of rows and the places of the rows: in memory, beyond a limit in temporary files by digest range."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from dpkg.diffing.align import Pairs, heaviest_chain, pair_up

LIMIT = 1 << 22  # digests held in memory, both sides together; 16 bytes each
PARTS_BITS = 6


class Digests:
    """Digests and places of rows of two sides. A context manager: its files are gone when it ends, however it ends."""

    def __init__(self) -> None:
        self._held: tuple[list[Pairs], list[Pairs]] = ([], [])
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Digests:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.cleanup()

    @property
    def spilled(self) -> bool:
        return self._folder is not None

    @property
    def folder(self) -> str:
        """Where its files are; made when it is asked for."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="dpkg-diff-")
        return self._folder.name

    def add(self, side: int, digests: Any, places: Any) -> None:
        """Rows of one side (0 or 1), in ascending order of their places."""
        self._held[side].append((digests, places))
        self._count += len(digests)
        if self._count > LIMIT:
            self._flush()

    def _flush(self) -> None:
        for side, held in enumerate(self._held):
            digests, places = _joined(held)
            held.clear()
            part = (digests >> np.uint64(64 - PARTS_BITS)).astype(np.uint8)  # which is sorted quickly
            order = np.argsort(part, kind="stable")
            pairs = np.empty((len(order), 2), np.uint64)  # column by column: gathering rows of two takes twice as long
            pairs[:, 0], pairs[:, 1] = digests[order], places[order]
            ends = np.cumsum(np.bincount(part, minlength=1 << PARTS_BITS))
            for n, some in enumerate(np.split(pairs, ends[:-1])):
                if len(some):
                    with open(self._path(side, n), "ab") as f:
                        f.write(some.tobytes())
        self._count = 0

    def _path(self, side: int, part: int) -> str:
        return os.path.join(self.folder, f"{'ab'[side]}{part:02}")

    def parts(self) -> Iterator[tuple[Any, Any, Any, Any]]:
        """(digests, places) of the one side and of the other; equal digests are in the same part."""
        if not self.spilled:
            a, b = (_joined(held) for held in self._held)
            yield *a, *b
            return
        self._flush()
        for n in range(1 << PARTS_BITS):
            a, b = (self._read(self._path(side, n)) for side in (0, 1))
            yield *a, *b

    def _read(self, path: str) -> Pairs:
        if not os.path.exists(path):
            return _joined([])
        pairs = np.fromfile(path, np.uint64).reshape(-1, 2)
        return pairs[:, 0].copy(), pairs[:, 1].astype(np.int64)

    def common(self) -> int:
        """How many rows of one side have an equal one of their own on the other."""
        return sum(len(pair_up(a, b)[0]) for a, _, b, _ in self.parts())

    def pairs(self, known: Pairs, first: int, stop: int) -> Pairs:
        """Pairs of places of equal digests in ascending order, and `known` ones, in files.

        The first with the first; what is not in order with most of the others is left out. Places of the one side are
        from `first` and below `stop`.
        """
        found = _Found(self.folder, first, stop)
        found.add(*known)
        for a, at_a, b, at_b in self.parts():
            i, j = pair_up(a, b)
            found.add(at_a[i], at_b[j])
        runs = None if found.ascends() else _longest_runs(found)
        paths = [os.path.join(self.folder, name) for name in ("i", "j")]
        with open(paths[0], "wb") as one, open(paths[1], "wb") as other:
            for i, j in found:
                if runs is not None:
                    place = np.searchsorted(runs[0], i, side="right") - 1
                    keep = (place >= 0) & (i < (runs[0] + runs[1])[place])
                    i, j = i[keep], j[keep]
                one.write(i.tobytes())
                other.write(j.tobytes())
        i, j = (np.memmap(p, np.int64, "r") if os.path.getsize(p) else np.zeros(0, np.int64) for p in paths)
        return i, j


class _Found:
    """Pairs in files, by ranges of their places on the one side; given back in order of these, a range at a time."""

    def __init__(self, folder: str, first: int, stop: int) -> None:
        self._paths = [os.path.join(folder, f"pairs{n:02}") for n in range(1 << PARTS_BITS)]
        self._first, self._size = first, (stop - first >> PARTS_BITS) + 1

    def add(self, i: Any, j: Any) -> None:
        """Pairs sorted by `i`."""
        cuts = np.searchsorted(i, self._first + self._size * np.arange(1, len(self._paths)))
        for path, some in zip(self._paths, np.split(np.stack([i, j], axis=1), cuts), strict=True):
            if len(some):
                with open(path, "ab") as f:
                    f.write(some.tobytes())

    def __iter__(self) -> Iterator[Pairs]:
        for path in self._paths:
            if os.path.exists(path):
                pairs = np.fromfile(path, np.int64).reshape(-1, 2)
                order = np.argsort(pairs[:, 0])
                yield pairs[order, 0], pairs[order, 1]

    def ascends(self) -> bool:
        """Whether they are in order on the other side, too."""
        last = -1
        for _, j in self:
            if j[0] <= last or (np.diff(j) <= 0).any():
                return False
            last = int(j[-1])
        return True


def _joined(held: list[Pairs]) -> Pairs:
    if not held:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    return np.concatenate([d for d, _ in held]), np.concatenate([p for _, p in held])


def _longest_runs(found: _Found) -> Pairs:
    """Starts and sizes of runs of adjacent pairs that are in order with one another; of very many, the longest."""
    from dpkg.diffing import align

    starts, targets, sizes = (np.zeros(0, np.int64) for _ in range(3))
    for i, j in found:
        cut = np.flatnonzero((np.diff(i) != 1) | (np.diff(j) != 1)) + 1
        first = np.concatenate([[0], cut])
        starts, targets = np.concatenate([starts, i[first]]), np.concatenate([targets, j[first]])
        sizes = np.concatenate([sizes, np.diff(np.append(first, len(i)))])
        if len(starts) > align.MANY_RUNS:
            longest = np.sort(np.argpartition(-sizes, align.MANY_RUNS // 2)[: align.MANY_RUNS // 2])
            starts, targets, sizes = starts[longest], targets[longest], sizes[longest]
    kept = heaviest_chain(starts, targets, sizes)
    return starts[kept], sizes[kept]
