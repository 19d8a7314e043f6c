"""Texts to values, a whole array at a time. Each converter takes exactly the texts of its classes (spec/text.md):
it gives an array of values, or None if there is any text that it does not take. Nulls stay nulls; a null cell must
have no bytes, as in what Arrow's own readers give.

Arrow's casts do the work; what they take beyond the spec (hexadecimal, leading zeros, a sign +, any case of `nan`,
hours without minutes, overflow to infinity) is found by looking at single bytes at fixed places of all cells at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.readers.kinds import TYPES, Kind, State, join

EXACT = 1 << 53  # the magnitude up to which every integer is a float64
ZERO, NINE, MINUS, PLUS, COLON = b"09-+:"
_BOOLS = pa.array(["true", "false", "True", "False", "TRUE", "FALSE"])
_DAY_MIN, _DAY_MAX = -719162, 2932896  # 0001-01-01, 9999-12-31
_DAY_US = 86_400_000_000


class Cells:
    """The bytes under an array of strings."""

    def __init__(self, cells: pa.Array) -> None:
        _, offsets, data = cells.buffers()
        bounds = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
        self.starts = bounds[:-1]
        self.lengths = bounds[1:] - self.starts
        self._data: Any = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)

    def at(self, place: int) -> Any:
        """The byte at that place of each cell; anything where the cell is shorter."""
        data = self._data[place:] if place < len(self._data) else self._data[:1]
        return data.take(self.starts, mode="clip")


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None


def _valid(array: pa.Array, mask: Any) -> Any:
    """`mask`, and not null."""
    return mask & array.is_valid().to_numpy(zero_copy_only=False) if array.null_count else mask


def _zero_led(text: Cells) -> bool:
    """Whether a cell is 0, or -0, and then another digit."""
    first = text.at(0)
    for sign, at in ((None, 0), (MINUS, 1)):
        if sign is not None and not (first == sign).any():
            break
        digit = text.at(at + 1)
        found = (digit >= ZERO) & (digit <= NINE) & (text.lengths > at + 1)
        found &= (first if sign is None else text.at(1)) == ZERO
        if (found if sign is None else found & (first == sign)).any():
            return True
    return False


def integers(cells: pa.Array) -> pa.Array | None:
    values = _cast(cells, pa.int64())
    if values is None:
        return None
    text = Cells(cells)
    first = text.at(0)
    longer = text.lengths > 1
    if ((first == ZERO) & longer).any():  # 007, 0x1F
        return None
    minus = first == MINUS
    if minus.any() and (minus & longer & (text.at(1) == ZERO)).any():  # -0, -07
        return None
    return values


def has_big(integers: pa.Array) -> bool:
    """Whether an integer is beyond what float64 holds to the digit."""
    least, most = (v.as_py() for v in pc.min_max(integers).values())
    return most is not None and (most > EXACT or least < -EXACT)


def reals(cells: pa.Array) -> pa.Array | None:
    values = _cast(cells, pa.float64())
    if values is None:
        return None
    text = Cells(cells)
    if ((text.at(0) == PLUS) & (text.lengths > 0)).any() or _zero_led(text):
        return None
    numbers = np.frombuffer(values.buffers()[1], np.float64)[values.offset : values.offset + len(values)]
    with np.errstate(invalid="ignore"):
        odd = ~(np.abs(numbers) < EXACT)  # NaN, infinities, and those that an integer may not be
    if odd.any():
        at = np.flatnonzero(_valid(values, odd))
        spelled = pc.match_substring_regex(cells.take(pa.array(at)), r"^(nan|NaN|NAN|-?(inf|Inf|INF|Infinity))$")
        spelled = spelled.to_numpy(zero_copy_only=False)
        rest = at[~spelled]
        if len(rest) and not _large(cells.take(pa.array(rest)), numbers[rest]):
            return None
    return values


def _large(cells: pa.Array, numbers: Any) -> bool:
    """Whether large numbers may be reals: none overflows, and integers only up to 2^53."""
    if not np.isfinite(numbers).all():
        return False
    whole = pc.match_substring_regex(cells, r"^-?[0-9]+$").to_numpy(zero_copy_only=False)
    return (
        all(abs(int(t)) <= EXACT for t in cells.filter(pa.array(whole & (np.abs(numbers) == EXACT))).to_pylist())
        and not ((np.abs(numbers) > EXACT) & whole).any()
    )


def bools(cells: pa.Array) -> pa.Array | None:
    return _cast(cells, pa.bool_()) if _all(pc.is_in(cells, value_set=_BOOLS), cells) else None


def _all(found: pa.Array, cells: pa.Array) -> bool:
    return int(found.true_count) == len(cells) - int(cells.null_count)


def _within(values: pa.Array, least: int, most: int, kind: pa.DataType) -> bool:
    low, high = pc.min_max(values.view(kind)).values()
    return low.as_py() is None or (low.as_py() >= least and high.as_py() <= most)


def dates(cells: pa.Array) -> pa.Array | None:
    values = _cast(cells, pa.date32())
    return values if values is not None and _within(values, _DAY_MIN, _DAY_MAX, pa.int32()) else None


def moments(cells: pa.Array, unit: str = "us", tz: str | None = None) -> pa.Array | None:
    """Moments, with dates among them; with a `tz` zoned moments, and no others."""
    values = _cast(cells, pa.timestamp(unit, tz))
    if values is None:
        return None
    text = Cells(cells)
    if ((text.at(13) != COLON) & (text.lengths > (0 if tz else 10))).any():  # 2020-01-01 10
        return None
    per_day = {"s": 86_400, "ms": 86_400_000, "us": _DAY_US, "ns": _DAY_US * 1000}[unit]
    return values if _within(values, _DAY_MIN * per_day, (_DAY_MAX + 1) * per_day - 1, pa.int64()) else None


def zoned(cells: pa.Array) -> pa.Array | None:
    return moments(cells, tz="UTC")


def times(cells: pa.Array, unit: str = "us") -> pa.Array | None:
    """Times as int64 units of a day, viewed as time64 for us and ns, cast to time32 for s and ms."""
    values = _cast(pc.binary_join_element_wise("1970-01-01", cells, " "), pa.timestamp(unit))
    if values is None:
        return None
    text = Cells(cells)
    if ((text.lengths > 0) & (text.at(2) != COLON) | (text.lengths == 2)).any():
        return None
    return values.view(pa.time64(unit)) if unit in ("us", "ns") else values.cast(pa.time32(unit))


CONVERTERS: dict[Kind, Callable[[pa.Array], pa.Array | None]] = {
    Kind.BOOL: bools,
    Kind.INT: integers,
    Kind.DATE: dates,
    Kind.TIME: times,
    Kind.MOMENT: moments,
    Kind.ZONED: zoned,
    Kind.REAL: reals,
}


def convert(state: State, cells: pa.Array) -> tuple[pa.Array | None, bool]:
    """The cells in the state's type, None if one does not fit, and whether there was a big integer in an INT column."""
    if state.kind is Kind.TEXT:
        return cells, False
    if cells.null_count == len(cells):
        return pa.nulls(len(cells), TYPES[state.kind]), False
    if state.kind is Kind.NULL:
        return None, False
    values = CONVERTERS[state.kind](cells)
    return values, values is not None and state.kind is Kind.INT and has_big(values)


def first_bad(fits: Callable[[pa.Array], bool], cells: pa.Array) -> int:
    """The first place where an array that does not fit stops to, in time linear in its length."""
    low, high = 0, len(cells)  # cells[:low] fits, cells[:high] does not
    while high - low > 1:
        middle = (low + high) // 2
        if fits(cells.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return low


def state_of(cell: pa.Array) -> State:
    """The state of one cell, given as an array."""
    if cell.null_count:
        return State(Kind.NULL)
    for kind in CONVERTERS:
        values, big = convert(State(kind), cell)
        if values is not None:
            return State(kind, big)
    return State(Kind.TEXT)


def widen(state: State, cells: pa.Array) -> Iterator[tuple[int, State]]:
    """How the state changes over these cells: at which place, to what."""
    start = 0
    while start < len(cells):
        rest = cells.slice(start)
        values, big = convert(state, rest)
        if values is not None:
            if big and not state.big:
                yield start, State(state.kind, True)
            return
        place = first_bad(lambda part, state=state: convert(state, part)[0] is not None, rest)  # type: ignore[misc]
        state = State(state.kind, state.big or convert(state, rest.slice(0, place))[1])
        wider = join(state, state_of(rest.slice(place, 1)))
        if wider == state:
            raise AssertionError(f"{state} takes {rest[place]} alone, but not among others")
        state = wider
        yield start + place, state
        start += place + 1
