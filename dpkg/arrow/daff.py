"""A row diff in the format of daff (paulfitz.github.io/daff-doc/spec.html): CSV with an action in the first column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from dpkg.arrow.rowdiff import CELLS, CHANGE, NEW, OLD
from dpkg.arrow.schema import Schema
from dpkg.arrow.writers import texts

_ACTION = {"added": "+++", "removed": "---"}


def to_chunks(old: Schema, new: Schema, renamed: dict[str, str], batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The bytes in pieces. Rows that are as they were are left out, as daff leaves out most of them."""
    gone = [n for n in old.names if n not in new.names and n not in renamed.values()]
    columns: list[tuple[str | None, str | None]] = [
        (renamed.get(n, n if n in old.names else None), n) for n in new.names
    ]
    columns += [(n, None) for n in gone]
    yield _lines([*_schema_row(columns), ["@@", *(n or o or "" for o, n in columns)]])
    for batch in batches:
        kinds, cells = batch.column(CHANGE).to_pylist(), [set(c) for c in batch.column(CELLS).to_pylist()]
        sides = [
            ([None] * len(kinds) if o is None else texts(batch.column(OLD + o)).to_pylist(),
             [None] * len(kinds) if n is None else texts(batch.column(NEW + n)).to_pylist(), n)
            for o, n in columns
        ]  # fmt: skip
        yield _lines(_row(kinds[i], cells[i], [(x[i], y[i], n) for x, y, n in sides]) for i in range(len(kinds)))


def _schema_row(columns: list[Any]) -> list[list[str]]:
    """A row with `!` that says which columns came, went, and were renamed."""
    said = ["+++" if o is None else "---" if n is None else f"({o})" if o != n else "" for o, n in columns]
    return [["!", *said]] if any(said) else []


def _row(kind: str, cells: set[str], values: list[Any]) -> list[str]:
    if kind in _ACTION:
        return [_ACTION[kind], *(_text(y if kind == "added" else x) for x, y, _ in values)]
    arrow = "->"  # longer than any in the cells, so that a cell can be taken apart
    while any(arrow in _text(v) for x, y, _ in values for v in (x, y)):
        arrow = "-" + arrow
    return [
        arrow,
        *(f"{_text(x)}{arrow}{_text(y)}" if n in cells else _text(x if n is None else y) for x, y, n in values),
    ]


def _text(value: str | None) -> str:
    """NULL for null; a text that is NULL behind any number of `_` gets one more."""
    if value is None:
        return "NULL"
    return f"_{value}" if value.lstrip("_") == "NULL" else value


def _lines(rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
