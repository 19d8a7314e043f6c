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
from dpkg.errors import Format

_BLOCK = 2 << 20
_LONGEST_ROW = 1 << 26
_LONGEST_HEADER = 1 << 24
_QUOTE, _LF, _CR = b'"\n\r'


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
        data, size = b"", min(self._block, 1 << 16)
        while True:
            more = text.read(data, max(size, len(data)))
            data = more.to_pybytes() if more is not None else data
            found = header_of(data, place.delimiter, complete=more is None)
            if found is not None:
                names, length = found
                head = Chunk(place, 1, pa.py_buffer(data[:length]))
                list(head.rows())  # raises what is wrong with it
                unique(names, f"{place.path}, line 1")
                return text, names, Chunk(place, head.next_line, pa.py_buffer(data[length:]))
            if more is None:
                raise Format(f"{place.path} is empty: it has no header row", "the first row holds the columns' names")
            if len(data) > _LONGEST_HEADER:
                raise Format(f"{place.path}, line 1: the header row does not end", 'is a quote (") left open?')

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
                chunk, rest = rest.split(data, end_of_rows(data, place.delimiter)[0])
                if not chunk.is_blank:
                    yield chunk
                if rest.data.size > _LONGEST_ROW:
                    message = f"{place.path}, line {rest.line}: a row is longer than {_LONGEST_ROW >> 20} MiB"
                    raise Format(message, 'is a quote (") left open?')
        finally:
            text.close()
        yield from self._last(rest)

    def _last(self, rest: Chunk) -> Iterator[Chunk]:
        cut, is_open = end_of_rows(rest.data, rest.place.delimiter)
        chunk, rest = rest.split(rest.data, cut if is_open else rest.data.size)
        if not chunk.is_blank:
            yield chunk
        if is_open:
            raise unclosed(rest.place, rest.line)


def header_of(data: bytes, delimiter: str, complete: bool) -> tuple[list[str], int] | None:
    """The cells of the first row, and the bytes to its end; None if more is needed."""
    text = data.decode("utf-8", "surrogateescape")
    used: list[str] = []

    def lines() -> Iterator[str]:
        for line in physical_lines(text):
            used.append(line)
            yield line

    csv.field_size_limit(1 << 30)
    for row in csv.reader(lines(), delimiter=delimiter):
        end = "".join(used)
        if row and (len(end) < len(text) or complete):
            return row, len(end.encode("utf-8", "surrogateescape"))
        if len(end) >= len(text):
            return None
    return None


def end_of_rows(data: pa.Buffer, delimiter: str) -> tuple[int, bool]:
    """Where the last row ends that does, in data that starts with a row; and whether the data ends within quotes.

    A quote is special only at the start of a cell. As long as each first quote of a pair is there, or follows the one
    before, a place is within quotes if the number of quotes before it is odd.
    """
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == _QUOTE)
    if not len(quotes):
        return _line_end(view, 0, len(view)), False
    opening = quotes[::2]
    before = view[opening - 1]
    starts = (before == ord(delimiter)) | (before == _LF) | (before == _CR) | (before == _QUOTE)
    if not (starts | (opening == 0)).all():
        return _end_by_pattern(view, delimiter)
    end = len(view)
    while True:
        end = _line_end(view, 0, end)
        count = int(np.searchsorted(quotes, end))
        if not end or count % 2 == 0:
            return end, len(quotes) % 2 == 1
        end = int(quotes[count - 1])


def _end_by_pattern(view: Any, delimiter: str) -> tuple[int, bool]:
    pattern = rb'(?:\A|[\r\n%s])"[^"]*+(?:""[^"]*+)*+("?)' % re.escape(delimiter.encode())
    is_open, outside, start = False, [], 0
    for quoted in re.finditer(pattern, memoryview(view)):
        outside.append((start, quoted.start() + int(view[quoted.start()] != _QUOTE)))
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
