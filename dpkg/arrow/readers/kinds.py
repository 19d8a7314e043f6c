"""The classes of texts and how they join [TXT-1, TXT-2]: the type of a column is the join of its cells."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import pyarrow as pa


class Kind(enum.Enum):
    NULL = "null"
    BOOL = "bool"
    INT = "integer"
    REAL = "real"
    DATE = "date"
    TIME = "time"
    MOMENT = "moment"
    ZONED = "zoned"
    TEXT = "text"


@dataclass(frozen=True)
class State:
    """What is known of a column. REAL covers integers too, MOMENT dates. `big`: an INT with one beyond 2^53."""

    kind: Kind
    big: bool = False

    @property
    def type(self) -> pa.DataType:
        return TYPES[self.kind]


TYPES = {
    Kind.NULL: pa.null(),
    Kind.BOOL: pa.bool_(),
    Kind.INT: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.MOMENT: pa.timestamp("us"),
    Kind.ZONED: pa.timestamp("us", "UTC"),
    Kind.TEXT: pa.string(),
}
START = State(Kind.NULL)
TEXT = State(Kind.TEXT)
_WIDER = {frozenset((Kind.INT, Kind.REAL)): Kind.REAL, frozenset((Kind.DATE, Kind.MOMENT)): Kind.MOMENT}


def join(a: State, b: State) -> State:
    """The narrowest state that covers both: associative, commutative, idempotent."""
    if a.kind is b.kind:
        return State(a.kind, a.big or b.big)
    if Kind.NULL in (a.kind, b.kind):
        return b if a.kind is Kind.NULL else a
    wider = _WIDER.get(frozenset((a.kind, b.kind)))
    if wider is None or a.big or b.big:
        return TEXT
    return State(wider)
