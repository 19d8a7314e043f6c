"""One of two tables under comparison: columns of its fragments, kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from dpkg import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpkg.diffing.regions import Placed
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid

HELD = 32  # readers of fragments that are kept
HELD_BYTES = 96 << 20  # of columns that are kept


class Columns:
    """Columns read lately, by their digests: one that two fragments share is read once."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, Any] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, digest: bytes) -> Any:
        with self._lock:
            if digest in self._held:
                self._held.move_to_end(digest)
            return self._held.get(digest)

    def put(self, digest: bytes, array: Any) -> None:
        with self._lock:
            if digest not in self._held:
                self._held[digest] = array
                self._bytes += array.get_total_buffer_size()
            while self._bytes > HELD_BYTES:
                self._bytes -= self._held.popitem(last=False)[1].get_total_buffer_size()


class Side:
    """Reads fragments of a table, from several threads; `opened` has the oids of all that were looked into."""

    def __init__(self, odb: Odb, table: Table, columns: Columns) -> None:
        self.odb, self.table = odb, table
        self.schema = tables.schema_of(table)
        self.opened: set[Oid] = set()
        self._columns = columns
        self._held: OrderedDict[Oid, tuple[Any, Lock]] = OrderedDict()
        self._lock = Lock()

    def digests(self, at: Placed) -> list[bytes]:
        """The column digests of a fragment; no column is read."""
        digests: list[bytes] = self._open(at)[0].digests
        return digests

    def read(self, at: Placed, columns: Sequence[int]) -> list[Any]:
        """Columns of a fragment as plain arrays."""
        reader, lock = self._open(at)
        with lock:
            found = {i: self._columns.get(reader.digests[i]) for i in columns}
            lacking = [i for i, array in found.items() if array is None]
            if lacking:
                for i, array in zip(lacking, reader.read(lacking), strict=True):
                    self._columns.put(reader.digests[i], array)
                    found[i] = array
        return [found[i] for i in columns]

    def _open(self, at: Placed) -> tuple[Any, Lock]:
        oid = at.entry.oid
        with self._lock:
            if oid in self._held:
                self._held.move_to_end(oid)
                return self._held[oid]
        made = tables.open_fragment(self.odb, at.entry, self.schema), Lock()
        with self._lock:
            self.opened.add(oid)
            made = self._held.setdefault(oid, made)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return made
