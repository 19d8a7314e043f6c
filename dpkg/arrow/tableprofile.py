"""The profiles of a table's leaves, and of the table, from its fragments as they come (spec/profiles.md)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Protocol

from dpkg.arrow.profile import GROUP_ROWS, Part, profile
from dpkg.arrow.schema import Schema
from dpkg.objects.node import FragmentEntry
from dpkg.sketches.column import ColumnProfile, Gathering

# How many fragments are looked at together: each look at a column has its price, each group waits in memory.
GROUP_BYTES, COLUMN_BYTES, MOST_BYTES = 32 << 20, 64 << 10, 128 << 20
RUN_ROWS, _ENDS = 1 << 16, "0123"  # a run of fragments has so many rows at least, and ends where an oid begins thus
SMALL = 128 << 10  # row bytes of a leaf; of one with fewer nothing is stored, as its rows are read as quickly
_WORKING = 3  # groups at once

Columns = list[ColumnProfile]


class Runs(Protocol):
    """Profiles of runs of fragments that were there before."""

    def load(self, first: FragmentEntry) -> tuple[list[str], Columns] | None:
        """Of a run that begins with a fragment the oids of its fragments, and its profile."""

    def keep(self, run: list[FragmentEntry], found: Columns) -> None:
        """For the next time."""

    def read(self, entry: FragmentEntry) -> Part:
        """A fragment that is stored."""


class LeafProfile:
    """Takes the fragments of a leaf in order. Memory: of a few groups, and of the sketches that wait to be merged."""

    def __init__(self, schema: Schema, pool: Executor, runs: Runs | None = None) -> None:
        self._schema, self._pool, self._runs = schema, pool, runs
        self._most = min(max(GROUP_BYTES, COLUMN_BYTES * len(schema.names)), MOST_BYTES)
        self._gathering, self._of_run = Gathering(), Gathering()
        self._steps: deque[Callable[[], None]] = deque()  # that wait for groups, in order
        self._working = 0
        self._run: list[FragmentEntry] = []
        self._followed: tuple[list[str], Columns] | None = None  # a run that was there before, as far as it is the same
        self._group: list[Part] = []
        self.bytes = self.rows = 0

    def add(self, part: Part, known: bool = False) -> None:
        """The next fragment; `known`: it was stored before."""
        self._run.append(part.entry)
        if len(self._run) == 2 and known and self._runs:  # not for the only fragment of a small table
            self._followed = self._runs.load(self._run[0])
            self._group = [] if self._follows() else self._group
        elif self._followed and not self._follows():
            self._unfollow(self._run[:-1])
        if not self._follows():
            self._followed = None
            self._take(part)
        self.rows += part.entry.rows
        self.bytes += part.entry.bytes
        if part.entry.oid[0] in _ENDS and sum(e.rows for e in self._run) >= RUN_ROWS:
            self._end_run(keep=True)

    def _follows(self) -> bool:
        """Whether the run, as far as it is known, is one that was there before."""
        return self._followed is not None and self._followed[0][: len(self._run)] == [e.oid for e in self._run]

    def _unfollow(self, run: list[FragmentEntry]) -> None:
        """It is another run from here on: what was passed over of it is read."""
        self._followed = None
        assert self._runs
        for entry in run:
            self._take(self._runs.read(entry))

    def _take(self, part: Part) -> None:
        """A fragment joins a group of fewer than 65,536 rows, unless together they have too many bytes."""
        rows, size = sum(p.entry.rows for p in self._group), sum(p.entry.bytes for p in self._group)
        if size + part.entry.bytes > self._most or (rows >= GROUP_ROWS and size >= SMALL):
            self._close()
        self._group.append(part)

    def _close(self) -> None:
        if not self._group:
            return
        while self._working >= _WORKING:
            self._steps.popleft()()
        future = self._pool.submit(profile, self._group, self._schema)
        self._group = []
        self._working += 1
        self._steps.append(lambda: self._gather(future))

    def _gather(self, future: Future[Columns]) -> None:
        self._of_run.add(future.result())
        self._working -= 1

    def _end_run(self, keep: bool) -> None:
        run, followed = self._run, self._followed
        self._run, self._followed = [], None
        self._close()
        self._steps.append(lambda: self._ended(run, keep, followed[1] if followed else None))

    def _ended(self, run: list[FragmentEntry], keep: bool, found: Columns | None) -> None:
        if found is None:
            found = self._of_run.finish()
            if keep and self._runs:
                self._runs.keep(run, found)
        self._gathering.add(found)

    def finish(self) -> Columns:
        """The profile of all fragments, as it is stored."""
        if self._run:
            if self._followed:
                self._unfollow(self._run)
            self._end_run(keep=False)
        while self._steps:
            self._steps.popleft()()
        return self._gathering.finish()


class TableProfile:
    """Takes the fragments of a table in order, and is told where leaves end."""

    def __init__(self, schema: Schema, pool: Executor, runs: Runs) -> None:
        self._new = partial(LeafProfile, schema, pool, runs)
        self._leaf = self._new()
        self._whole = Gathering()
        self._small: LeafProfile | None = None  # the first leaf; where it is the only one nothing is made
        self.leaves = 0

    def add(self, part: Part, known: bool) -> None:
        """The next fragment."""
        self._leaf.add(part, known)

    def end_leaf(self) -> tuple[int, Columns | None]:
        """Rows and profile of the fragments since the last leaf; of a small leaf none."""
        leaf, self._leaf = self._leaf, self._new()
        self.leaves += 1
        if leaf.bytes < SMALL and self.leaves == 1:
            self._small = leaf
            return leaf.rows, None
        if self._small:
            self._whole.add(self._small.finish())
            self._small = None
        made = leaf.finish()
        self._whole.add(made)
        return leaf.rows, None if leaf.bytes < SMALL else made

    def finish(self) -> Columns:
        """The profile of a table of several leaves."""
        return self._whole.finish()
