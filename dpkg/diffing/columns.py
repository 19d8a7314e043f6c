"""Columns of two versions of a table: which is which, and how rows are compared over them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dpkg import tables
from dpkg.arrow import mix, rowdiff
from dpkg.objects.schemadiff import ColumnChange, diff_schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpkg.arrow.schema import Schema
    from dpkg.arrow.types import Type
    from dpkg.objects.table import Table
    from dpkg.odb import Odb

SAMPLE = 65_536  # first rows in which the values of renamed columns are looked for
_LOST = np.uint64(0x452821E638D01377)  # makes the digest of a row differ where a value is lost in the new type
ALIKE = 0.8  # share of them that a renamed column must have in common


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the new table and its place in the old one (None: it is new)."""

    name: str
    old: int | None
    new: int
    old_type: Type
    type: Type

    def cast(self, array: Any) -> tuple[Any, Any]:
        """The old column's values in the new type, and where they are lost (None: nowhere)."""
        return rowdiff.as_type(array, self.old_type, self.type)


def matched(old: Schema, new: Schema, renamed: dict[str, str]) -> list[Column]:
    """The columns of `new` in order; `renamed` has old names by new ones."""
    place = {n: i for i, n in enumerate(old.names)}
    out = []
    for i, (name, t) in enumerate(zip(new.names, new.types, strict=True)):
        at = place.get(renamed.get(name, name))
        out.append(Column(name, at, i, t if at is None else old.types[at], t))
    return out


def row_digests(columns: Sequence[Column], arrays: list[Any], old: bool, rows: int) -> Any:
    """The digests of rows over some columns in the new table's types, from plain arrays of the `old` table or the new one."""
    lost = []
    if old:
        cast = [c.cast(a) for c, a in zip(columns, arrays, strict=True)]
        arrays, lost = [a for a, _ in cast], [gone for _, gone in cast if gone is not None]
    out = mix.row_digests(arrays, [c.type for c in columns], rows)
    for gone in lost:
        out[gone] ^= _LOST
    return out


def find_renamed(odb_a: Odb, old: Table, odb_b: Odb, new: Table) -> dict[str, str]:
    """Old names by new ones of the columns that seem to have another name only.

    Of the same type, with nearly the same values in the first rows; the most alike first, the same place before others.
    """
    a, b = tables.schema_of(old), tables.schema_of(new)
    gone = [i for i, n in enumerate(a.names) if n not in b.names]
    came = [i for i, n in enumerate(b.names) if n not in a.names]
    kinds = {a.types[i] for i in gone} & {b.types[i] for i in came}
    gone, came = [i for i in gone if a.types[i] in kinds], [i for i in came if b.types[i] in kinds]
    if not (gone and came and old.rows and new.rows):
        return {}
    had, has = _samples(odb_a, old, a, gone), _samples(odb_b, new, b, came)
    found = []
    for i, x in had.items():
        for j, y in has.items():
            if a.types[i] == b.types[j]:
                share = (x & y).total() / max(x.total(), y.total())
                found.append((-share, i != j, i, j))
    out: dict[str, str] = {}
    for lacking, _, i, j in sorted(found):
        if -lacking >= ALIKE and b.names[j] not in out and a.names[i] not in out.values():
            out[b.names[j]] = a.names[i]
    return out


def _samples(odb: Odb, table: Table, schema: Schema, places: list[int]) -> dict[int, Counter[int]]:
    """How often which values are in the first rows of some columns, by their digests."""
    out: dict[int, Counter[int]] = {i: Counter() for i in places}
    left = SAMPLE
    for leaf in tables.table_leaves(odb, table):
        for entry in leaf.entries:
            if left <= 0:
                return out
            for i, array in zip(places, tables.open_fragment(odb, entry, schema, False).read(places), strict=True):
                part = array.slice(0, left)
                out[i].update(mix.row_digests([part], [schema.types[i]], len(part)).tolist())
            left -= entry.rows
    return out


def schema_changes(old: Table, new: Table, renamed: dict[str, str]) -> tuple[ColumnChange, ...]:
    """What differs between two schemas; a renamed column is told once."""
    gone = set(renamed.values())
    rest = [
        c
        for c in diff_schemas(old, new)
        if not (c.what == "added" and c.column in renamed) and not (c.what == "removed" and c.column in gone)
    ]
    return (*(ColumnChange("renamed", n, was, n) for n, was in renamed.items()), *rest)
