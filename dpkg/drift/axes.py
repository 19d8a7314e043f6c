"""Whether the values of two types can be compared, and the scale on which they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dpkg.arrow.types import Type
from dpkg.sketches.frequent import Frequent
from dpkg.sketches.quantiles import Quantiles

if TYPE_CHECKING:
    from dpkg.sketches.column import ColumnProfile

_NS = {"ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9
_FAMILIES = {
    "bool": "number",
    "decimal": "number",
    "date": "moment",
    "timestamp": "moment",
    "time_ms": "time",
    "time_us": "time",
    "time_ns": "time",
    "fixed_binary": "binary",
    "fixed_list": "list",
}


class Axis(NamedTuple):
    """Numbers of both sides on one scale: those of each are multiplied and divided by these; as float64, unless all are 1."""

    old: tuple[int, int]
    new: tuple[int, int]
    type: Type  # what the numbers are of, to show them

    @property
    def plain(self) -> bool:
        """Whether the numbers of both sides are compared as they are."""
        return (self.old, self.new) == ((1, 1), (1, 1))


def comparable(old: Type, new: Type) -> bool:
    """Whether values of both are of one kind: numbers, moments, times, durations, texts, binary values; lists, maps, structs of such.

    The type null has no values, and is comparable with every other.
    """
    a, b = old.storage, new.storage
    if "null" in (a.kind, b.kind):
        return True
    alike = _family(a) == _family(b) and a.names == b.names
    return alike and all(comparable(x, y) for x, y in zip(a.items, b.items, strict=True))


def axis(old: ColumnProfile, old_type: Type, new: ColumnProfile, new_type: Type) -> Axis | None:
    """The scale for two comparable columns that are measured; None where one has no numbers."""
    a, b = old_type.storage, new_type.storage
    if old.numbers is None or new.numbers is None:
        return None
    one, same = (1, 1), old.numbers.values.dtype == new.numbers.values.dtype
    if old.measure != "values":
        return Axis(one, one, Type("int64"))
    if a == b and same:
        return Axis(one, one, b)
    if _family(b) == "number":
        integer = same and old.numbers.values.dtype == np.int64 and "decimal" not in (a.kind, b.kind)
        divisors = [10 ** t.params[1] if t.kind == "decimal" else 1 for t in (a, b)]
        return Axis((1, divisors[0]), (1, divisors[1]), Type("int64" if integer else "float64"))
    units = _unit(a), _unit(b)
    finest = min(units)
    return Axis((units[0] // finest, 1), (units[1] // finest, 1), b if units[1] == finest else a)


def on_axis(numbers: Quantiles, scale: tuple[int, int], axis: Axis, alike: bool) -> Quantiles:
    """A sketch's numbers on the common scale; `alike`: both sides are of one dtype."""
    if axis.plain and alike:
        return numbers
    times, parts = scale
    return Quantiles(numbers.values.astype(np.float64) * times / parts, numbers.weights, numbers.error)


def values_on_axis(found: Frequent, scale: tuple[int, int], axis: Axis, alike: bool) -> Frequent:
    """Frequent numbers on the common scale."""
    if axis.plain and alike:
        return found
    times, parts = scale
    counts: dict[int | float | str | bytes, int] = {}
    for value, count in found.counts.items():
        at = float(value) * times / parts
        counts[at] = counts.get(at, 0) + count
    return Frequent(counts, found.error)


def _family(t: Type) -> str:
    if t.kind.startswith(("int", "uint", "float")):
        return "number"
    return _FAMILIES.get(t.kind, t.kind)


def _unit(t: Type) -> int:
    """Nanoseconds of one."""
    if t.kind == "date":
        return _DAY
    return _NS[t.params[0] if t.params else t.kind[5:]]
