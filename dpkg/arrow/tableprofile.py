"""The profiles of a table's leaves, and of the table, from its fragments as they come (spec/profiles.md)."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future

from dpkg.arrow.profile import Part, profile
from dpkg.arrow.schema import Schema
from dpkg.sketches.column import ColumnProfile, Gathering

# How many fragments are looked at together: each look at a column has its price, each group waits in memory.
GROUP_ROWS = 1 << 16
GROUP_BYTES, COLUMN_BYTES, MOST_BYTES = 32 << 20, 64 << 10, 128 << 20
SMALL = 128 << 10  # row bytes of a leaf; of one with fewer nothing is stored, as its rows are read as quickly
_WORKING = 2  # groups at once

Columns = list[ColumnProfile]


class LeafProfile:
    """Takes the fragments of a leaf in order. Memory: of a few groups, and of the sketches that wait to be merged."""

    def __init__(self, schema: Schema, pool: Executor) -> None:
        self._schema, self._pool = schema, pool
        self._most = min(max(GROUP_BYTES, COLUMN_BYTES * len(schema.names)), MOST_BYTES)
        self._gathering = Gathering()
        self._working: deque[Future[Columns]] = deque()
        self._group: list[Part] = []
        self.rows = self.bytes = 0

    def add(self, part: Part) -> None:
        """The next fragment. It joins a group of fewer than 65,536 rows, unless together they have too many bytes."""
        rows, size = sum(p.rows for p in self._group), sum(p.bytes for p in self._group)
        if size + part.bytes > self._most or (rows >= GROUP_ROWS and size >= SMALL):
            self._close()
        self._group.append(part)
        self.rows += part.rows
        self.bytes += part.bytes

    def _close(self) -> None:
        while len(self._working) >= _WORKING:
            self._gather()
        if self._group:
            self._working.append(self._pool.submit(profile, self._group, self._schema))
            self._group = []

    def _gather(self) -> None:
        self._gathering.add(self._working.popleft().result())

    def finish(self) -> Columns:
        """The profile of all fragments, as it is stored."""
        self._close()
        while self._working:
            self._gather()
        return self._gathering.finish()


class TableProfile:
    """Takes the fragments of a table in order, and is told where leaves end."""

    def __init__(self, schema: Schema, pool: Executor) -> None:
        self._schema, self._pool = schema, pool
        self._leaf = LeafProfile(schema, pool)
        self._whole = Gathering()
        self._small: LeafProfile | None = None  # the first leaf; where it is the only one nothing is made
        self.leaves = 0

    def add(self, part: Part) -> None:
        """The next fragment."""
        self._leaf.add(part)

    def end_leaf(self) -> tuple[int, Columns | None]:
        """Rows and profile of the fragments since the last leaf; of a small leaf none."""
        leaf, self._leaf = self._leaf, LeafProfile(self._schema, self._pool)
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
