"""A CSV file in chunks of whole rows, after its header."""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterator

import numpy as np

from dpkg.arrow.readers.base import unique
from dpkg.arrow.readers.csvlines import Chunk, Place, physical_lines, unclosed
from dpkg.arrow.readers.encodings import blocks_of
from dpkg.errors import Format

_BLOCK = 2 << 20
_LONGEST_ROW = 1 << 28
_LONGEST_HEADER = 1 << 24
_QUOTE, _LF, _CR = b'"\n\r'


class Chunks:
    """Iterating gives the chunks; it can be done again. `names` are the header's."""

    def __init__(self, place: Place, block: int | None) -> None:
        self._place = place
        self._block = block or _BLOCK
        self._opened: tuple[Generator[bytes, int | None], list[str], Chunk] | None = self._open()
        self.names = self._opened[1]
        if block is None:
            self._block = min(max(_BLOCK, len(self.names) << 15), 4 * _BLOCK)  # many columns: not too few rows

    def _open(self) -> tuple[Generator[bytes, int | None], list[str], Chunk]:
        """The blocks to come, the names, and what was read after them."""
        place = self._place
        blocks = blocks_of(place.path, place.encoding, place.codec, min(self._block, 1 << 16))
        data = b""
        while True:
            more = next(blocks, b"")
            data += more
            found = header_of(data, place.delimiter, complete=not more)
            if found is not None:
                names, length = found
                head = Chunk(place, 1, data[:length])
                list(head.rows())  # raises what is wrong with it
                unique(names, f"{place.path}, line 1")
                return blocks, names, Chunk(place, head.next_line, data[length:])
            if not more:
                raise Format(f"{place.path} is empty: it has no header row", "the first row holds the columns' names")
            if len(data) > _LONGEST_HEADER:
                raise Format(f"{place.path}, line 1: the header row does not end", 'is a quote (") left open?')

    def __iter__(self) -> Iterator[Chunk]:
        (blocks, names, rest), self._opened = self._opened or self._open(), None
        if names != self.names:
            raise Format(f"{self._place.path} was changed while it was read", "try again")
        while more := _next(blocks, max(self._block, len(rest.data))):
            chunk, rest = self._split(rest, more)
            if not chunk.is_blank:
                yield chunk
            if len(rest.data) > _LONGEST_ROW:
                message = f"{self._place.path}, line {rest.line}: a row is longer than {_LONGEST_ROW >> 20} MiB"
                raise Format(message, 'is a quote (") left open?')
        yield from self._last(rest)

    def _split(self, rest: Chunk, more: bytes) -> tuple[Chunk, Chunk]:
        """The whole rows in what was left and what is read, and the rest."""
        cut = _line_end(more, 0, len(more)) if b'"' not in more and b'"' not in rest.data else -1
        if cut >= 0:
            data = b"".join((rest.data, memoryview(more)[:cut])) if cut else b""
            more = more[cut:] if cut else rest.data + more
        else:
            more = rest.data + more
            cut, _ = end_of_rows(more, self._place.delimiter)
            data, more = more[:cut], more[cut:]
        chunk = Chunk(self._place, rest.line, data)
        return chunk, Chunk(self._place, chunk.next_line, more)

    def _last(self, rest: Chunk) -> Iterator[Chunk]:
        cut, is_open = end_of_rows(rest.data, self._place.delimiter)
        if is_open and cut:
            chunk, rest = self._split(Chunk(rest.place, rest.line, b""), rest.data)
            yield chunk
        if is_open:
            list(rest.rows())
            raise unclosed(self._place, rest.line)
        if not rest.is_blank:
            yield rest


def _next(blocks: Generator[bytes, int | None], size: int) -> bytes:
    """A block, or none at the end."""
    try:
        return blocks.send(size)
    except StopIteration:
        return b""


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


def end_of_rows(data: bytes, delimiter: str) -> tuple[int, bool]:
    """Where the last row ends that does, in data that starts with a row; and whether the data ends within quotes.

    A quote is special only at the start of a cell. As long as each first quote of a pair is there, or follows the one
    before, a place is within quotes if the number of quotes before it is odd.
    """
    if b'"' not in data:
        return _line_end(data, 0, len(data)), False
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    opening = quotes[::2]
    before = text[opening - 1]
    starts = (before == ord(delimiter)) | (before == _LF) | (before == _CR) | (before == _QUOTE)
    if not (starts | (opening == 0)).all():
        return _end_by_pattern(data, delimiter)
    end = len(data)
    while True:
        end = _line_end(data, 0, end)
        count = int(np.searchsorted(quotes, end))
        if not end or count % 2 == 0:
            return end, len(quotes) % 2 == 1
        end = int(quotes[count - 1])


def _end_by_pattern(data: bytes, delimiter: str) -> tuple[int, bool]:
    pattern = rb'(?:\A|[\r\n%s])"[^"]*+(?:""[^"]*+)*+("?)' % re.escape(delimiter.encode())
    is_open, outside, start = False, [], 0
    for quoted in re.finditer(pattern, data):
        outside.append((start, quoted.start() + (data[quoted.start()] != _QUOTE)))
        start, is_open = quoted.end(), not quoted[1]
    if not is_open:
        outside.append((start, len(data)))
    return next((end for low, high in reversed(outside) if (end := _line_end(data, low, high))), 0), is_open


def _line_end(data: bytes, low: int, high: int) -> int:
    """After the last end of a line; 0 if there is none. A CR at the end of the data may yet become CRLF."""
    return max(data.rfind(b"\n", low, high), data.rfind(b"\r", low, min(high, len(data) - 1))) + 1
