"""One of two tables under comparison: columns of its fragments, read once while they are near."""

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

HELD = 4  # fragments whose columns are kept


class _Held:
    def __init__(self, reader: Any) -> None:
        self.reader, self.lock = reader, Lock()
        self.columns: dict[int, Any] = {}


class Side:
    """Reads fragments of a table, from several threads; `read` has the oids of all that were opened."""

    def __init__(self, odb: Odb, table: Table) -> None:
        self.odb, self.table = odb, table
        self.schema = tables.schema_of(table)
        self.opened: set[Oid] = set()
        self._held: OrderedDict[Oid, _Held] = OrderedDict()
        self._lock = Lock()

    def digests(self, at: Placed) -> list[bytes]:
        """The column digests of a fragment; no column is read."""
        digests: list[bytes] = self._open(at).reader.digests
        return digests

    def read(self, at: Placed, columns: Sequence[int]) -> list[Any]:
        """Columns of a fragment as plain arrays."""
        held = self._open(at)
        with held.lock:
            lacking = [i for i in dict.fromkeys(columns) if i not in held.columns]
            if lacking:
                held.columns.update(zip(lacking, held.reader.read(lacking), strict=True))
            return [held.columns[i] for i in columns]

    def _open(self, at: Placed) -> _Held:
        oid = at.entry.oid
        with self._lock:
            if oid in self._held:
                self._held.move_to_end(oid)
                return self._held[oid]
        made = _Held(tables.open_fragment(self.odb, at.entry, self.schema))
        with self._lock:
            self.opened.add(oid)
            made = self._held.setdefault(oid, made)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return made
