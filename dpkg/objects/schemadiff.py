"""What differs between the schemas and keys of two tables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.objects.typetext import type_text

if TYPE_CHECKING:
    from dpkg.objects.table import Table


@dataclass(frozen=True)
class ColumnChange:
    """One change of a schema: `what` is added, removed, renamed (as it seems: the values are alike), retyped, moved or key."""

    what: str
    column: str
    old: str = ""
    new: str = ""


def diff_schemas(old: Table, new: Table) -> Iterator[ColumnChange]:
    """Columns added, removed, retyped; whether those that stay are in another order; whether the key changed."""
    before, after = dict(old.schema), dict(new.schema)
    for name, t in before.items():
        if name not in after:
            yield ColumnChange("removed", name, type_text(t))
        elif after[name] != t:
            yield ColumnChange("retyped", name, type_text(t), type_text(after[name]))
    for name, t in after.items():
        if name not in before:
            yield ColumnChange("added", name, "", type_text(t))
    place = {n: at for at, n in enumerate(n for n in before if n in after)}
    order = [n for n in after if n in before]
    for n in _moved([place[n] for n in order]):
        yield ColumnChange("moved", order[n], str(place[order[n]] + 1), str(n + 1))
    if old.key != new.key:
        yield ColumnChange("key", "", ", ".join(old.key), ", ".join(new.key))


def _moved(places: list[int]) -> list[int]:
    """The fewest indices without which `places` ascend: all but a longest ascending run of them."""
    ends: list[int] = []  # of the best run of each length, its last index
    before: list[int | None] = []
    for i, place in enumerate(places):
        length = bisect_left(ends, place, key=lambda at: places[at])
        before.append(ends[length - 1] if length else None)
        ends[length:] = [i, *ends[length + 1 :]]
    kept, at = set(), ends[-1] if ends else None
    while at is not None:
        kept.add(at)
        at = before[at]
    return [i for i in range(len(places)) if i not in kept]
