"""What every reader is: a `Source` of record batches of one schema, known once a pass can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import pyarrow as pa

from dpkg.arrow.options import ColumnRule, ReadOptions, Widened
from dpkg.arrow.schema import no_column
from dpkg.errors import Format, Usage, nearest

T = TypeVar("T")
Lines = dict[int, tuple[str, int]]  # of rows, the first being row 0: file and line


class Restart(Exception):
    """Raised by `batches()`: the types turned out wider than those of the batches given so far.

    Throw away what was made of them and call `batches()` again: it then gives the whole source in its final
    schema. Not an error for the user; `stream` below handles it.
    """


class Source(Protocol):
    """A table to read. `batches()` gives batches of `schema`; it may raise `Restart` once, after which `schema` has
    changed and `batches()` is to be called again. `widened` is complete when a pass has ended."""

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def widened(self) -> list[Widened]: ...

    def batches(self) -> Iterator[pa.RecordBatch]: ...

    def close(self) -> None: ...


class Settled:
    """What a `Source` has whose types are known before its rows are read, and which holds nothing open."""

    _schema: pa.Schema

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    @property
    def widened(self) -> list[Widened]:
        return []

    def close(self) -> None:
        pass


def stream(source: Source, consume: Callable[[pa.Schema, Iterator[pa.RecordBatch]], T]) -> T:
    """`consume(schema, batches)`, called a second time, from the start, if the types turned out wider on the way."""
    try:
        return consume(source.schema, source.batches())
    except Restart:
        return consume(source.schema, source.batches())


def lines_of(source: Source, rows: Sequence[int]) -> Lines:
    """The file and line of some rows, where a source knows any; it is read again, up to the last of them."""
    find = getattr(source, "lines", None)
    return find(rows) if find else {}


def rules_of(options: ReadOptions, names: list[str], where: str) -> list[ColumnRule]:
    """The rule of each column, empty ones where nothing is declared. Raises Usage for names that are not there."""
    for name in options.schema:
        if name not in names and name not in options.usual:
            raise no_column(name, names, where)
    rules = [options.schema.get(name, ColumnRule()) for name in names]
    taken: dict[str, str] = {}
    for name, rule in zip(names, rules, strict=True):
        final = rule.name or name
        if final in taken:
            raise Usage(
                f"{where}: columns '{taken[final]}' and '{name}' would both be named '{final}'", "rename one of them"
            )
        taken[final] = name
    return rules


def unique(names: list[str], where: str, hint: str = "rename one of them") -> None:
    """Raises Format for a name that is there twice."""
    first: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if name in first:
            message = f"{where}: two columns are named '{name}' (the {first[name]}. and the {position}.)"
            raise Format(message, hint)
        first[name] = position


def check_same(first: str, names: list[str], other: str, others: list[str]) -> None:
    """Raises Format where two files of one table have not the same columns, in whatever order."""
    for name in names:
        if name not in others:
            near = nearest(name, others)
            hint = f"columns there: {', '.join(others[:20])}" if near in ("", *names) else f"is it '{near}' there?"
            raise Format(f"{other} has no column '{name}', which {first} has", hint)
    for name in others:
        if name not in names:
            hint = f"all files of a table have the same columns; there: {', '.join(names[:20])}"
            raise Format(f"{other} has a column '{name}', which {first} has not", hint)


_SHORT = {
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.string(): "utf8",
    pa.large_string(): "utf8",
    pa.date32(): "date",
    pa.date64(): "date",
    pa.time32("ms"): "time_ms",
    pa.time64("us"): "time_us",
    pa.time64("ns"): "time_ns",
}


def label(kind: pa.DataType) -> str:
    """A type as the spec names it, for messages."""
    if kind in _SHORT:
        return _SHORT[kind]
    if pa.types.is_timestamp(kind) and kind.tz:
        return f"timestamp[{kind.unit}, {kind.tz}]"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return str(kind)
