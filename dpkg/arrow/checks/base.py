"""What every evaluator is, and those that look at each row for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SHOWN = 60  # characters of a value

Columns = Mapping[str, pa.Array]


class Broken(NamedTuple):
    """A row that breaks a rule: its number in the table, from 0, and its value as text. Of a query there is no number."""

    row: int
    value: str


class Outcome(NamedTuple):
    """What was found. `bad` rows break the rule, or 1 does where it is about a figure; `rows` are the first of them."""

    bad: int
    figure: str = ""
    rows: tuple[Broken, ...] = ()


class Evaluator:
    """Finds out whether one rule holds. `kept`: what `measure` gives is plain JSON, and holds for these rows wherever they are."""

    columns: tuple[str, ...] = ()
    kept = True

    def measure(self, columns: Columns, rows: int) -> Any:
        """What some rows show. May run in any thread."""
        raise NotImplementedError

    def passed(self, measured: Any) -> bool:
        """Whether what was measured need not be measured again to say what is wrong."""
        return True

    def add(self, measured: Any, start: int) -> None:
        """Take what the rows from `start` on showed; in the order of the table."""
        raise NotImplementedError

    def outcome(self) -> Outcome:
        raise NotImplementedError


class RowRule(Evaluator):
    """A rule that each value of a column keeps or breaks by itself; `broken` gives True where it does."""

    def __init__(
        self,
        column: str,
        most: int,
        broken: Callable[[pa.Array], pa.Array],
        *,
        kept: bool = True,
        shown: Callable[[Any], str] | None = None,
    ) -> None:
        self.columns, self._most, self._broken, self.kept = (column,), most, broken, kept
        self._shown = shown or text
        self._bad, self._rows, self._first = 0, 0, list[Broken]()

    def measure(self, columns: Columns, rows: int) -> Any:
        array = columns[self.columns[0]]
        broken = pc.fill_null(self._broken(array), False)
        bad = int(broken.true_count)
        first = pc.indices_nonzero(broken)[: self._most].to_pylist() if bad else []
        return {"bad": bad, "first": [[i, self._shown(array[i])] for i in first], "rows": rows}

    def passed(self, measured: Any) -> bool:
        return not measured["bad"]

    def add(self, measured: Any, start: int) -> None:
        self._bad += measured["bad"]
        self._rows += measured["rows"]
        self._first += [Broken(start + i, value) for i, value in measured["first"][: self._most - len(self._first)]]

    def outcome(self) -> Outcome:
        return Outcome(self._bad, f"{self._bad:,} of {self._rows:,} rows", tuple(self._first))


def text(value: Any) -> str:
    """A scalar for people, in a few characters; the bare number of a date or time that Python has no type for."""
    try:
        plain = value.as_py()
    except (ValueError, KeyError, OverflowError, pa.ArrowException):  # KeyError: a time zone that is not known here
        return str(value.value)
    return short("null" if plain is None else plain if isinstance(plain, str) else str(plain))


def short(said: str) -> str:
    return said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…"


def hidden(value: Any) -> str:
    """In place of a secret: the row says where it is."""
    return "(not shown)"


def comparable(array: pa.Array) -> pa.Array:
    """The array in a type that Arrow compares: there are no kernels for half floats, and some for few binaries."""
    if pa.types.is_float16(array.type):
        return array.cast(pa.float32())
    return array.cast(pa.binary()) if pa.types.is_fixed_size_binary(array.type) else array


def is_nan(array: pa.Array) -> Any:
    """Where a float is NaN; None where there is none."""
    if not pa.types.is_floating(array.type):
        return None
    found = pc.is_nan(comparable(array))
    return found if found.true_count else None


def valid(array: pa.Array) -> Any:
    """A numpy mask of what is not null."""
    return pc.is_valid(array).to_numpy(zero_copy_only=False) if array.null_count else np.ones(len(array), bool)
