"""A slow second reading of spec/text.md, cell by cell, with nothing of dpkg or Arrow: what the tests compare with."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any, NamedTuple

BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INFINITIES = {"inf", "Inf", "INF", "Infinity"}
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
REAL = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?")
ZONE = re.compile(r"Z|([+-])([0-9]{2})(?::?([0-9]{2}))?")


class Cell(NamedTuple):
    text: str
    quoted: bool


class Row(list[Cell]):
    line = 0


def parse(text: str, delimiter: str = ",") -> list[Row]:
    """Rows of cells. A quote is special only at the start of a cell. IndexError: a quote is not closed."""
    rows: list[Row] = []
    start = 0
    row: list[Cell] = []
    cell, quoted, i = "", False, 0
    text = text.removeprefix("\ufeff")

    def end_row() -> None:
        nonlocal row, cell, quoted, start
        if row or cell or quoted:
            rows.append(Row([*row, Cell(cell, quoted)]))
            rows[-1].line = 1 + len(re.findall("\r\n|\r|\n", text[:start]))
        row, cell, quoted, start = [], "", False, i + 1

    while i < len(text):
        c = text[i]
        if c == '"' and not cell and not quoted:
            quoted = True
            i += 1
            while text[i] != '"' or text[i + 1 : i + 2] == '"':
                i += text[i] == '"'
                cell += text[i]
                i += 1
        elif c == delimiter:
            row.append(Cell(cell, quoted))
            cell, quoted = "", False
        elif c in "\r\n":
            end_row()
        else:
            cell += c
        i += 1
    end_row()
    return rows


def date_of(text: str) -> dt.date | None:
    m = DATE.fullmatch(text)
    try:
        return dt.date(*map(int, m.groups())) if m else None
    except ValueError:
        return None


def time_of(text: str) -> dt.time | None:
    m = TIME.fullmatch(text)
    if not m:
        return None
    h, mi, s, f = m.groups()
    try:
        return dt.time(int(h), int(mi), int(s or 0), int((f or "0").ljust(6, "0")))
    except ValueError:
        return None


def moment_of(text: str) -> dt.datetime | None:
    day, clock = date_of(text[:10]), time_of(text[11:])
    return dt.datetime.combine(day, clock) if day and clock is not None and text[10] in "T " else None


def zoned_of(text: str) -> dt.datetime | None:
    for at in range(16, len(text)):
        m = ZONE.fullmatch(text[at:])
        moment = moment_of(text[:at]) if m else None
        if m and moment:
            hours, minutes = int(m.group(2) or 0), int(m.group(3) or 0)
            if hours > 23 or minutes > 59:
                return None
            offset = dt.timedelta(hours=hours, minutes=minutes)
            try:
                return (moment + (offset if m.group(1) == "-" else -offset)).replace(tzinfo=dt.UTC)
            except OverflowError:
                return None
    return None


def classify(text: str) -> tuple[str, Any]:
    """The class of a text, and its value."""
    if text in BOOLS:
        return "bool", BOOLS[text]
    if INTEGER.fullmatch(text):
        return ("integer", int(text)) if -(2**63) <= int(text) < 2**63 else ("text", text)
    if text == "-0":
        return "real", -0.0
    if text in ("nan", "NaN", "NAN"):
        return "real", math.nan
    if text.removeprefix("-") in INFINITIES:
        return "real", -math.inf if text[0] == "-" else math.inf
    m = REAL.fullmatch(text)
    if (
        m
        and (m.group(2) or m.group(3))
        and re.search("[0-9]", re.split("[eE]", text)[0])
        and math.isfinite(float(text))
    ):
        return "real", float(text)
    for name, of in (("date", date_of), ("time", time_of), ("moment", moment_of), ("zoned", zoned_of)):
        value = of(text)
        if value is not None:
            return name, value
    return "text", text


TYPES = {
    "bool": "bool",
    "integer": "int64",
    "real": "float64",
    "date": "date",
    "time": "time_us",
    "moment": "timestamp[us]",
    "zoned": "timestamp[us, UTC]",
    "text": "utf8",
}


def type_of(cells: list[Cell], nulls: tuple[str, ...] = ("",)) -> str:
    found = [classify(c.text) for c in cells if c.quoted or c.text not in nulls]
    kinds = {kind for kind, _ in found}
    if not kinds:
        return "null"
    if len(kinds) == 1:
        return TYPES[kinds.pop()]
    if kinds == {"integer", "real"}:
        big = any(kind == "integer" and abs(value) > 2**53 for kind, value in found)
        return "utf8" if big else "float64"
    return "timestamp[us]" if kinds == {"date", "moment"} else "utf8"


def values_of(cells: list[Cell], kind: str, nulls: tuple[str, ...] = ("",)) -> list[Any]:
    out: list[Any] = []
    for cell in cells:
        value = classify(cell.text)[1]
        if not cell.quoted and cell.text in nulls:
            value = None
        elif kind == "utf8":
            value = cell.text
        elif kind == "float64":
            value = float(value)
        elif kind == "timestamp[us]" and not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value, dt.time())
        out.append(value)
    return out


def read(text: str, nulls: tuple[str, ...] = ("",), delimiter: str = ",") -> dict[str, tuple[str, list[Any]]]:
    """Type and values of each column."""
    names, *rows = parse(text, delimiter)
    columns = {}
    for i, name in enumerate(names):
        cells = [row[i] for row in rows]
        kind = type_of(cells, nulls)
        columns[name.text] = kind, values_of(cells, kind, nulls)
    return columns


def widened(text: str, suggest: int, nulls: tuple[str, ...] = ("",)) -> list[tuple[str, str, str, int, str]]:
    """Column, type of the first rows, final type, line and text of the cell that made it final."""
    names, *rows = parse(text)
    out = []
    for i, name in enumerate(names):
        cells = [row[i] for row in rows]
        first, final = type_of(cells[:suggest], nulls), type_of(cells, nulls)
        if first != final:
            at = next(n for n in range(suggest, len(cells)) if type_of(cells[: n + 1], nulls) == final)
            out.append((name.text, first, final, rows[at].line, cells[at].text))
    return out
