"""CSV files in chunks of whole rows, after their headers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.readers.base import check_same, unique
from dpkg.arrow.readers.csvlines import Chunk, Place, physical_lines, unclosed
from dpkg.arrow.readers.encodings import Text
from dpkg.arrow.readers.refusals import other_delimiter, renaming
from dpkg.errors import Format

_BLOCK = 2 << 20
_LONGEST_ROW = 1 << 26
_LONGEST_HEADER = 1 << 24
_LF, _CR = b"\n\r"
_DELIMITERS = ";\t|"


class Chunks:
    """Iterating gives the chunks of each file; it can be done again. `names` are those of the first one's header."""

    def __init__(self, places: Sequence[Place], block: int | None) -> None:
        self._places = places
        self._block = block or _BLOCK
        self._opened: tuple[Text, list[str], Chunk] | None = self._open(places[0])
        self.names = self._opened[1]
        if block is None:
            self._block = min(max(_BLOCK, len(self.names) << 15), 4 * _BLOCK)  # many columns: not too few rows

    def _open(self, place: Place) -> tuple[Text, list[str], Chunk]:
        """The names, and what was read after them."""
        text = Text(place.path, place.encoding, place.codec)
        start = _Start(place, text, min(self._block, 1 << 16))
        start.skip_lines(place.skip)
        if place.names:
            names = list(place.names)
        else:
            names = start.row()
            where = f"{place.path}, line {start.taken}"
            unique(names, where, renaming(names, start.line - 1))
            if len(names) == 1 and not place.said and (mark := start.other_delimiter(names[0])):
                raise other_delimiter(where, names[0], mark)
        for _ in range(place.skip_after):
            start.row()
        return text, names, Chunk(place, start.line, pa.py_buffer(start.data))

    def __iter__(self) -> Iterator[Chunk]:
        for place in self._places:
            yield from self._of(place)

    def _of(self, place: Place) -> Iterator[Chunk]:
        (text, names, rest), self._opened = self._opened or self._open(place), None
        if names != self.names:
            if not place.part:
                raise Format(f"{place.path} was changed while it was read", "try again")
            check_same(self._places[0].path, self.names, place.path, names)
            place = replace(place, order=tuple(names.index(name) for name in self.names))
            rest = replace(rest, place=place)
        try:
            while (data := text.read(rest.data.to_pybytes(), max(self._block, rest.data.size))) is not None:
                chunk, rest = rest.split(data, end_of_rows(data, place)[0])
                if not chunk.is_blank:
                    yield chunk
                if rest.data.size > _LONGEST_ROW:
                    message = f"{place.path}, line {rest.line}: a row is longer than {_LONGEST_ROW >> 20} MiB"
                    raise Format(message, f"is a quote ({place.quote}) left open?")
        finally:
            text.close()
        yield from self._last(rest)

    def _last(self, rest: Chunk) -> Iterator[Chunk]:
        cut, is_open = end_of_rows(rest.data, rest.place)
        chunk, rest = rest.split(rest.data, cut if is_open else rest.data.size)
        if not chunk.is_blank:
            yield chunk
        if is_open:
            raise unclosed(rest.place, rest.line)


class _Start:
    """The start of a file, of which lines and rows are taken one by one; `data` is what was read after them."""

    def __init__(self, place: Place, text: Text, size: int) -> None:
        self._place, self._text, self._size = place, text, size
        self.data, self.line, self._complete = b"", 1, False
        self.taken, self.quoted = 0, False  # of the row taken last: its line, and whether it holds a quote

    def _more(self) -> bool:
        """Read on, if there is more."""
        more = self._text.read(self.data, max(self._size, len(self.data)))
        self._complete = more is None
        if more is not None:
            self.data = more.to_pybytes()
        if len(self.data) > _LONGEST_HEADER:
            hint = f"is a quote ({self._place.quote}) left open?" if self._place.quote else ""
            raise Format(f"{self._place.path}, line {self.line}: the header row does not end", hint)
        return more is not None

    def skip_lines(self, count: int) -> None:
        """Raises Format if there are fewer."""
        for n in range(count):
            while not (end := re.search(rb"\r\n|\n|\r(?!\Z)" if not self._complete else rb"\r\n|\n|\r|\Z", self.data)):
                self._more()
            if self._complete and not self.data:
                raise Format(f"{self._place.path} has {n} lines, and 'skip_rows' is {count}", "skip fewer")
            self.data, self.line = self.data[end.end() :], self.line + 1

    def row(self) -> list[str]:
        """The cells of the next row that is not empty. Raises Format if there is none."""
        while (found := header_of(self.data, self._place, self._complete)) is None:
            if not self._more() and header_of(self.data, self._place, True) is None:
                message = f"{self._place.path} is empty: it has no header row"
                raise Format(
                    message, "the first row holds the columns' names; else say them: options: {column_names: [a, b]}"
                )
        cells, length = found
        head = Chunk(self._place, self.line, pa.py_buffer(self.data[:length]))
        self.taken, _ = next(iter(list(head.rows())))  # raises what is wrong with it
        self.quoted = bool(self._place.quote) and self._place.quote.encode() in self.data[:length]
        self.data, self.line = self.data[length:], head.next_line
        return cells

    def other_delimiter(self, name: str) -> str:
        """What would cut the header, which is this one name, and the first row into as many cells, if anything would."""
        found = [mark for mark in _DELIMITERS if mark in name and mark != self._place.delimiter and not self.quoted]
        while found and not re.search(rb"[^\r\n][\r\n]", self.data) and len(self.data) < _BLOCK and self._more():
            pass
        row = self.data.lstrip(b"\r\n").splitlines()[:1]
        return next((mark for mark in found if [name.count(mark)] == [line.count(mark.encode()) for line in row]), "")


def header_of(data: bytes, place: Place, complete: bool) -> tuple[list[str], int] | None:
    """The cells of the first row, and the bytes to its end; None if more is needed."""
    text = data.decode("utf-8", "surrogateescape")
    used: list[str] = []

    def lines() -> Iterator[str]:
        for line in physical_lines(text):
            used.append(line)
            yield line

    csv.field_size_limit(1 << 30)
    for row in csv.reader(lines(), **place.dialect):
        end = "".join(used)
        if row and (len(end) < len(text) or complete):
            return row, len(end.encode("utf-8", "surrogateescape"))
        if len(end) >= len(text):
            return None
    return None


def end_of_rows(data: pa.Buffer, place: Place) -> tuple[int, bool]:
    """Where the last row ends that does, in data that starts with a row; and whether the data ends within quotes.

    A quote is special only at the start of a cell. As long as each first quote of a pair is there, or follows the one
    before, a place is within quotes if the number of quotes before it is odd.
    """
    view = np.frombuffer(data, np.uint8)
    quote = ord(place.quote or "\0")
    quotes = np.flatnonzero(view == quote) if place.quote else np.empty(0, np.int64)
    if not len(quotes):
        return _line_end(view, 0, len(view)), False
    opening = quotes[::2]
    before = view[opening - 1]
    starts = (before == ord(place.delimiter)) | (before == _LF) | (before == _CR) | (before == quote)
    if not (starts | (opening == 0)).all():
        return _end_by_pattern(view, place)
    end = len(view)
    while True:
        end = _line_end(view, 0, end)
        count = int(np.searchsorted(quotes, end))
        if not end or count % 2 == 0:
            return end, len(quotes) % 2 == 1
        end = int(quotes[count - 1])


def _end_by_pattern(view: Any, place: Place) -> tuple[int, bool]:
    delimiter, q = re.escape(place.delimiter.encode()), re.escape(place.quote.encode())
    pattern = rb"(?:\A|[\r\n%s])%s[^%s]*+(?:%s%s[^%s]*+)*+(%s?)" % (delimiter, q, q, q, q, q, q)
    is_open, outside, start = False, [], 0
    for quoted in re.finditer(pattern, memoryview(view)):
        outside.append((start, quoted.start() + int(view[quoted.start()] != ord(place.quote))))
        start, is_open = quoted.end(), not quoted[1]
    if not is_open:
        outside.append((start, len(view)))
    return next((end for low, high in reversed(outside) if (end := _line_end(view, low, high))), 0), is_open


def _line_end(view: Any, low: int, high: int) -> int:
    """After the last end of a line; 0 if there is none. A CR at the end of the data may yet become CRLF."""
    step = 4096
    while high > low:
        start = max(low, high - step)
        piece = view[start:high].tobytes()
        found = max(piece.rfind(b"\n"), piece.rfind(b"\r", 0, len(piece) - (high == len(view))))
        if found >= 0:
            return int(start + found + 1)
        high, step = start, step * 8
    return 0
