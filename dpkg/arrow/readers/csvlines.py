"""A CSV file read row by row, with the line on which each row starts. Slow: for messages only."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from dpkg.arrow.readers.files import open_text, read
from dpkg.arrow.readers.textinput import NUL, physical_lines
from dpkg.errors import Format

_PIECE = 1 << 22


@dataclass(frozen=True)
class Place:
    """Where a CSV file is, and how it is written."""

    path: str
    delimiter: str
    encoding: str
    codec: str | None = None


def _texts(place: Place) -> Iterator[str]:
    """The file in pieces that end with a line; bytes that are not text are lone surrogates."""
    source = open_text(place.path, place.codec)
    try:
        text = io.TextIOWrapper(
            io.BufferedReader(_Bytes(place.path, source)), place.encoding, "surrogateescape", newline=""
        )
        rest = text.read(_PIECE).removeprefix("\ufeff")
        while rest:
            more = text.read(_PIECE)
            cut = 1 + max(rest.rfind("\n"), rest.rfind("\r", 0, len(rest) - 1)) if more else len(rest)
            if cut:
                yield rest[:cut]
            rest = rest[cut:] + more
    except UnicodeError as e:
        raise Format(f"{place.path} is not valid {place.encoding}: {e}", "name its encoding") from None
    finally:
        source.close()


class _Bytes(io.RawIOBase):
    """Arrow's stream as Python's."""

    def __init__(self, path: str, source: object) -> None:
        self._path, self._source = path, source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = read(self._path, self._source, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _checked(piece: str, start: int, path: str) -> Iterator[str]:
    clean = piece.isascii() or not any("\ud800" <= c <= "\udfff" for c in set(piece))
    for number, line in enumerate(physical_lines(piece), start):
        if not clean and any("\ud800" <= c <= "\udfff" for c in line):
            raise Format(
                f"{path}, line {number}: not valid UTF-8", "if it is in another encoding, name it, such as latin-1"
            )
        if NUL in line:
            raise Format(f"{path}, line {number}: a NUL byte", "is it a text file?")
        yield line


def rows(place: Place) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row, the header first. Raises Format for what is not CSV at all."""
    return _rows(_texts(place), 1, place)


def _rows(pieces: Iterator[str], start: int, place: Place) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(1 << 30)
    first = start

    def lines() -> Iterator[str]:
        seen = first
        for piece in pieces:
            for line in _checked(piece, seen, place.path):
                seen += 1
                yield line
        yield NUL

    reader = csv.reader(lines(), delimiter=place.delimiter)
    for cells in reader:
        if cells == [NUL]:
            return
        if cells and NUL in cells[-1]:
            message = f'{place.path}, line {start}: a quote (") is not closed'
            raise Format(message, "close it, or double it if it is text")
        if cells:
            yield start, cells
        start = first + reader.line_num


def explain(place: Place, otherwise: str) -> NoReturn:
    """Raises Format for the first thing that is wrong with a file."""
    width = 0
    for line, cells in rows(place):
        width = width or len(cells)
        if len(cells) != width:
            raise Format(
                f"{place.path}, line {line}: the row has {len(cells)} cells, the header {width}",
                "is a cell with the delimiter in it not quoted?",
            )
    raise Format(f"{place.path}: {otherwise}")


def lines_of(wanted: Iterable[int], place: Place) -> dict[int, int]:
    """The lines on which rows start; the first after the header is row 0."""
    left, found = sorted(set(wanted), reverse=True), {}
    pieces, row, line = _texts(place), -1, 1
    for piece in pieces:
        if '"' in piece or "\r" in piece or "\n\n" in piece or piece.startswith("\n"):
            pieces = itertools.chain((piece,), pieces)
            break
        count = piece.count("\n") + (not piece.endswith("\n"))
        while left and left[-1] < row + count:
            found[left[-1]] = line + left[-1] - row
            left.pop()
        row, line = row + count, line + count
    for at, (start, _) in enumerate(_rows(pieces, line, place) if left else (), row):
        if at == left[-1]:
            found[left.pop()] = start
        if not left:
            break
    return found
