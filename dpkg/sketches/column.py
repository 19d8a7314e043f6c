"""The profile of a column: what its sketches know of a run of rows, as a whole that merges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from dpkg.sketches.distinct import Distinct
from dpkg.sketches.frequent import Frequent, Value
from dpkg.sketches.moments import Moments
from dpkg.sketches.quantiles import Quantiles, points_of

# What the numbers of a profile are of: the values; the lengths of texts, binary values, lists and maps; or there are none.
Measure: TypeAlias = Literal["values", "characters", "bytes", "items", ""]
FAN = 16  # profiles that become one


@dataclass(frozen=True, slots=True, eq=False)
class ColumnProfile:
    """What is known of some rows of a column.

    `numbers` and `moments` are of what `measure` says; of values NaN is left out, and in `moments` infinities too.
    `low` and `high` are the least and the greatest value, of texts and binary values their first 32 bytes.
    """

    rows: int
    nulls: int
    nans: int = 0
    infinities: int = 0
    measure: Measure = ""
    low: Value | None = None
    high: Value | None = None
    moments: Moments | None = None
    numbers: Quantiles | None = None
    distinct: Distinct | None = None
    frequent: Frequent | None = None

    @property
    def present(self) -> int:
        """Values that are neither null nor NaN."""
        return self.rows - self.nulls - self.nans

    @classmethod
    def merge(cls, parts: Sequence[ColumnProfile]) -> ColumnProfile:
        """Of all rows together; nothing is left out, so that any grouping, and any order, gives the same."""
        first = parts[0]
        if len(parts) == 1:
            return first
        low, high = bounds((p.low, p.high) for p in parts)
        return cls(
            sum(p.rows for p in parts),
            sum(p.nulls for p in parts),
            sum(p.nans for p in parts),
            sum(p.infinities for p in parts),
            first.measure,
            low,
            high,
            _merged(Moments.merge, (p.moments for p in parts)),
            _merged(Quantiles.merge, (p.numbers for p in parts)),
            _merged(Distinct.merge, (p.distinct for p in parts)),
            _merged(Frequent.merge, (p.frequent for p in parts)),
        )

    def cut(self, points: int) -> ColumnProfile:
        """With sketches of limited size, of so many points that of the numbers."""
        numbers = self.numbers.cut(points) if self.numbers else None
        frequent = self.frequent.cut(self.present) if self.frequent else None
        return (
            self
            if numbers is self.numbers and frequent is self.frequent
            else replace(self, numbers=numbers, frequent=frequent)
        )


def bounds(pairs: Iterable[tuple[Any, Any]]) -> tuple[Any, Any]:
    """The least and the greatest of the bounds of some parts; None of no values, and above where one part has no such bound."""
    known = [(low, high) for low, high in pairs if low is not None]
    if not known:
        return None, None
    highs = [high for _, high in known]
    return min(low for low, _ in known), None if None in highs else max(highs)


def _merged(merge: Callable[[Iterable[Any]], Any], parts: Iterable[Any]) -> Any:
    found = [part for part in parts if part is not None]
    return merge(found) if found else None


class Gathering:
    """Profiles on their way into one, in memory of a few of them: of the groups of a leaf, of the leaves of a table.

    Each 16 become one, that is cut, and each 16 of these: what is cut is decided by places alone, and so the same every time.
    """

    def __init__(self) -> None:
        self._levels: list[list[list[ColumnProfile]]] = [[]]

    def add(self, columns: list[ColumnProfile]) -> None:
        """The next profile."""
        level = 0
        self._levels[0].append(columns)
        while len(self._levels[level]) == FAN:
            made = merged(self._levels[level])
            self._levels[level] = []
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(made)

    def finish(self) -> list[ColumnProfile]:
        """The profile of all; the next one begins anew."""
        found = [columns for level in reversed(self._levels) for columns in level]
        self._levels = [[]]
        return merged(found)


def merged(profiles: Sequence[list[ColumnProfile]]) -> list[ColumnProfile]:
    """The profile of columns from those of parts of their rows, cut."""
    points = points_of(len(profiles[0]) if profiles else 0)
    return [ColumnProfile.merge(parts).cut(points) for parts in zip(*profiles, strict=True)]
