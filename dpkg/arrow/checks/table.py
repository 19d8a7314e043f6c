"""Rules about a table as such: its rows, its columns, and what changed of both."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dpkg.arrow.checks.base import Columns, Evaluator, Outcome
from dpkg.arrow.checks.binding import INTEGERS, limits
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, WIDTH


class Count(Evaluator):
    """The number of rows, within bounds; with `before` what it was, as a change from that: absolute, or in percent."""

    kept = False

    def __init__(self, args: Mapping[str, Any], before: int | None = None) -> None:
        self._args, self._before, self._rows = args, before, 0

    def measure(self, columns: Columns, rows: int) -> Any:
        return rows

    def add(self, measured: Any, start: int) -> None:
        self._rows += measured

    def outcome(self) -> Outcome:
        change = self._rows - (self._before or 0)
        low, high = (self._end(end) for end in ("min", "max"))
        bad = (low is not None and change < low) or (high is not None and change > high)
        if self._before is None:
            return Outcome(int(bad), f"{self._rows:,} rows")
        share = f", {100 * change / self._before:+.1f}%" if self._before else ""
        return Outcome(int(bad), f"{self._before:,} → {self._rows:,} rows ({change:+,}{share})")

    def _end(self, end: str) -> Fraction | None:
        text = self._args.get(end)
        if text is None:
            return None
        if text.endswith("%"):
            return Fraction(Decimal(text[:-1])) * (self._before or 0) / 100
        return Fraction(Decimal(text))


class Fixed(Evaluator):
    """What is known without looking at any row."""

    kept = False

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def measure(self, columns: Columns, rows: int) -> Any:
        return None

    def add(self, measured: Any, start: int) -> None:
        pass

    def outcome(self) -> Outcome:
        return self._outcome


def columns_are(schema: Schema, names: list[str]) -> Outcome:
    """Exactly these columns, in this order."""
    lacking = [n for n in names if n not in schema.names]
    more = [n for n in schema.names if n not in names]
    said = [f"without {', '.join(lacking)}"] if lacking else []
    said += [f"with {', '.join(more)}"] if more else []
    if not said and list(schema.names) != names:
        said = [f"in the order {', '.join(schema.names)}"]
    return Outcome(int(bool(said)), "; ".join(said) or f"{len(names)} columns")


def type_is(t: Type, allowed: list[str]) -> Outcome:
    return Outcome(int(not {str(t), str(t.storage)} & set(allowed)), str(t))


def compatible(before: Schema, now: Schema) -> Outcome:
    """Whether who reads the columns of `before` finds them in `now`, of the same type or one that holds all its values."""
    at = dict(zip(now.names, now.types, strict=True))
    bad = []
    for name, old in zip(before.names, before.types, strict=True):
        if name not in at:
            bad.append(f"{name} is gone")
        elif not holds(at[name], old):
            bad.append(f"{name} was {old} and is {at[name]}")
    return Outcome(len(bad), "; ".join(bad) or "nothing that was there is gone or narrower")


def holds(new: Type, old: Type) -> bool:
    """Whether every value of `old` is one of `new`."""
    if new == old or old.kind == "null":
        return True
    if old.kind in INTEGERS and new.kind in INTEGERS:
        (low, high), (least, most) = limits(old), limits(new)
        return least <= low and high <= most
    if old.kind in FLOATS and new.kind in FLOATS:
        return WIDTH[new.kind] >= WIDTH[old.kind]
    if old.kind == new.kind == "decimal":
        (p, s), (q, r) = old.params, new.params
        return bool(r >= s and q - r >= p - s)
    if old.kind == new.kind and old.items and old.names == new.names and old.params == new.params:
        return all(holds(n, o) for n, o in zip(new.items, old.items, strict=True))
    return False
