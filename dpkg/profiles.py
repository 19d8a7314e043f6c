"""Profiles of tables: read from `derived/profiles/`, where builds leave them, and made where they are missing (PRO-1)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dpkg import progress, tables
from dpkg.arrow.profile import Part
from dpkg.arrow.tableprofile import SMALL, LeafProfile
from dpkg.errors import Corrupt, Denied, DpkgError, NotFound
from dpkg.index import child, read_node
from dpkg.objects.node import FRAGMENTS, FragmentEntry, Node
from dpkg.odb import is_remote
from dpkg.odb.layout import profile_key
from dpkg.sketches import coding
from dpkg.sketches.column import ColumnProfile, Gathering
from dpkg.threads import in_order

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid

_READERS = 8
_SOON = 16 << 20  # row bytes that are read before a bar would be seen


class Budget:
    """How many row bytes may still be read for profiles; None: any."""

    def __init__(self, left: int | None = None) -> None:
        self._left = left

    def take(self, size: int) -> bool:
        """Whether there is so much left, which is then gone."""
        if self._left is None:
            return True
        if size > self._left:
            return False
        self._left -= size
        return True


class _Below(NamedTuple):
    """A node of a table's index, and what is below it."""

    oid: Oid
    rows: int
    bytes: int


def of_table(odb: Odb, table: Table, budget: Budget | None = None) -> list[ColumnProfile] | None:
    """The profile of each column of a table: the stored one, else of its leaves, else from their rows; what is made is stored.

    None where more would have to be read than `budget` has left. Raises NotFound, Corrupt.
    """
    whole = _Below(table.fragments, table.rows, table.bytes)
    schema = tables.schema_of(table)
    columns = len(schema.names)
    if found := _load(odb, whole, columns):
        return found
    root = read_node(odb, table.fragments, FRAGMENTS)
    leaves = list(_leaves(odb, root)) if root.level else [whole]
    stored = list(in_order(lambda leaf: _load(odb, leaf, columns), leaves, _READERS)) if root.level else [None]
    missing = sum(leaf.bytes for leaf, found in zip(leaves, stored, strict=True) if found is None)
    if budget is not None and not budget.take(missing):
        return None
    if not root.level:
        return _make(odb, whole, schema)
    gathering = Gathering()
    for leaf, found in zip(leaves, stored, strict=True):
        gathering.add(found or _make(odb, leaf, schema))
    return _kept(odb, whole, gathering.finish())


def _leaves(odb: Odb, node: Node) -> Iterator[_Below]:
    """The leaves below a node, read from the nodes above them."""
    for entry in node.entries:
        if node.level == 1:
            yield _Below(entry.oid, entry.rows, entry.bytes)
        else:
            yield from _leaves(odb, child(odb, node, entry))


def _load(odb: Odb, node: _Below, columns: int) -> list[ColumnProfile] | None:
    """The stored profile of a node; None where there is none that is whole."""
    if node.bytes < SMALL:
        return None
    with suppress(NotFound, Denied, Corrupt):  # buckets that may not be listed deny what is missing
        return coding.decode(odb.backend.get(profile_key(coding.FORM, node.oid)), columns, node.rows)
    return None


def _make(odb: Odb, leaf: _Below, schema: Schema) -> list[ColumnProfile]:
    """The profile of a leaf from its rows, a few fragments at a time."""
    if not leaf.rows:
        return [ColumnProfile(0, 0) for _ in schema.names]
    node = read_node(odb, leaf.oid, FRAGMENTS)
    workers = tables.REMOTE_WORKERS if is_remote(odb.backend) else tables.WORKERS

    def read(entry: FragmentEntry) -> Part:
        return tables.read_part(odb, entry, schema)

    with ThreadPoolExecutor(tables.WORKERS, thread_name_prefix="dpkg-profile") as pool:
        made = LeafProfile(schema, pool)
        for part in in_order(read, node.entries, workers):
            made.add(part)
            if leaf.bytes > _SOON:
                progress.advance("profiled", part.entry.rows, None, "rows")
        return _kept(odb, leaf, made.finish())


def _kept(odb: Odb, node: _Below, made: list[ColumnProfile]) -> list[ColumnProfile]:
    """What was made, stored for the next time where that is possible."""
    if node.bytes >= SMALL:
        with suppress(DpkgError):  # it is of use, not needed
            odb.backend.put(profile_key(coding.FORM, node.oid), coding.encode(made, node.rows))
    return made
