"""What is said of a text that is not as it should be: what is wrong and where, and what can be done about it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pyarrow as pa

from dpkg.arrow.readers.base import label
from dpkg.errors import Format

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST_NAMES = 12  # columns of which a hint shows names
_t = pa.types


def refused(
    where: str, column: str, value: object, kind: pa.DataType, format: str | None = None, nulls: bool = True
) -> Format:
    """A value that is not of the declared type; `format` is how it was said to be written, `nulls` whether texts may be null."""
    text = str(value)
    shown = text if len(text) <= 60 else text[:57] + "…"
    hint = _number(text, kind) or _moment(text, kind, format)
    if not hint and nulls:
        said = (
            f"say so: nulls: ['', {json.dumps(text, ensure_ascii=False)}]" if 0 < len(text) <= 20 else "say so: 'nulls'"
        )
        hint = f"if it stands for no value, {said}; else declare another type"
    return Format(
        f"{where}, column '{column}': '{shown}' is not {label(kind)}", hint or "declare another type, or correct it"
    )


def _number(text: str, kind: pa.DataType) -> str:
    """The hint for what was to be a number, and looks like one."""
    if not (_t.is_integer(kind) or _t.is_floating(kind) or _t.is_decimal(kind)) or not any(map(str.isdigit, text)):
        return ""
    if not _NUMBER.fullmatch(text):
        return (
            "numbers have a point, no thousands marks and nothing beside: write the file so, or declare the column utf8"
        )
    if _t.is_decimal(kind):
        before = kind.precision - kind.scale
        return f"it has room for {before} digits before the point, and {kind.scale} after: declare a larger one"
    if _t.is_floating(kind):
        return "it is too large: declare a wider float, a decimal, or utf8"
    return "it is no whole number, or too large: declare a wider integer, a decimal, or float64"


def _moment(text: str, kind: pa.DataType, format: str | None) -> str:
    """The hint for what was to be a date or a time."""
    if not _t.is_temporal(kind) or _t.is_duration(kind) or not any(map(str.isdigit, text)):
        return ""
    if format:
        return f"the column's format is '{format}': correct one or the other"
    if _t.is_timestamp(kind) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?", text):
        return "declare timestamp[us, UTC] for moments that name a zone, timestamp[us] for those that do not, or utf8"
    example = "%d.%m.%Y" if _t.is_date(kind) else "%H.%M" if _t.is_time(kind) else "%d.%m.%Y %H:%M"
    return f"if it is written in another way, say how: {{type: {label(kind)}, format: '{example}'}}; or declare utf8"


# Rows


def ragged(where: str, cells: Sequence[str], width: int, line: int, quote: str, named: bool) -> Format:
    """A row with more or fewer cells than there are names; `named`: build.yml names them."""
    count = "1 cell" if len(cells) == 1 else f"{len(cells):,} cells"
    message = f"{where}: the row has {count}, " + (
        f"and 'column_names' {width:,}" if named else f"the header {width:,}"
    )
    if named:
        hint = "name each column of the file"
    elif width == 1 and len(cells) > 1:
        hint = f"if what is before it is a title, leave that out: options: {{skip_rows: {line - 1}}}"
    elif len(cells) < width:
        hint = "add the cells that are missing; a cell that holds a line's end has to be in quotes"
    elif quote != "'" and any(cell.startswith("'") for cell in cells):
        hint = "if ' stands around cells, say so: options: {quote_char: \"'\"}"
    elif not cells[-1] and len(cells) == width + 1:
        hint = "it ends with a delimiter: remove that, or let the header end with one too"
    else:
        hint = "put a cell that holds the delimiter in quotes, or correct the line"
    return Format(message, hint)


def renaming(names: Sequence[str], skip: int) -> str:
    """The hint where names are missing or there twice; `skip` rows leave them out."""
    if len(names) > _MOST_NAMES:
        return "rename one of them, or name all, in 'column_names'"
    others = json.dumps(_distinct(names), ensure_ascii=False)
    return f"rename one of them, or name all: options: {{skip_rows: {skip}, column_names: {others}}}"


def _distinct(names: Sequence[str]) -> list[str]:
    """Names for columns whose own are missing or there twice."""
    out: list[str] = []
    for place, name in enumerate(names, 1):
        new, n = name or f"column_{place}", 1
        while new in out or (new != name and new in names):
            n += 1
            new = f"{name or f'column_{place}'}_{n}"
        out.append(new)
    return out


def other_delimiter(where: str, name: str, mark: str) -> Format:
    """A header that is one cell, and rows, that another delimiter would cut into as many."""
    shown = name if len(name) <= 60 else name[:57] + "…"
    said = "a tab" if mark == "\t" else f"'{mark}'"
    hint = f"if it is, say so in a build.yml: options: {{delimiter: {json.dumps(mark)}}}; else put the column's name in quotes"
    return Format(f"{where}: the only column would be {shown!r}: is {said} what stands between cells?", hint)


# Encodings


def not_utf8(where: str, line: str) -> Format:
    """A line (with surrogates for bytes that are no UTF-8) of a file that was to be UTF-8."""
    data = line.encode("utf-8", "surrogateescape")
    first = next(i for i, c in enumerate(line) if "\ud800" <= c <= "\udfff")
    at = len(line[:first].encode("utf-8", "surrogateescape"))
    word = data[max(0, at - 12) : at + 12].decode("cp1252", "replace").strip()
    hint = f"if it is in another encoding, say so: with options: {{encoding: cp1252}} it would be read as {word!r}"
    return Format(f"{where}: not valid UTF-8", hint)


def with_nul(where: str, line: str) -> Format:
    """A line that holds NULs."""
    if line.count("\0") * 3 < len(line):
        return Format(f"{where}: a NUL byte", "is it a text file?")
    name = "utf-16-be" if line.startswith("\0") else "utf-16-le"
    return Format(f"{where}: a NUL byte, as in UTF-16", f"if it is, say so: options: {{encoding: {name}}}")


def utf16(path: str) -> Format:
    """A file that begins with UTF-16's byte order mark."""
    return Format(f"{path} is not UTF-8: it begins as UTF-16 does", "say so: options: {encoding: utf-16}")


def not_encoded(path: str, encoding: str, error: UnicodeError) -> Format:
    """A file that is not in the encoding that was named."""
    marked = encoding.lower().replace("_", "-") in ("utf-16", "utf16", "utf-32", "utf32")
    hint = f"without a byte order mark it is {encoding}-le or {encoding}-be; " if marked else ""
    return Format(
        f"{path} is not valid {encoding}: {error}", f"{hint}say the encoding that it has; utf-8 needs no word"
    )
