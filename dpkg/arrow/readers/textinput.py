"""The bytes of a CSV file on their way to Arrow's parser: decompressed, in UTF-8, checked, without the header row.

Arrow's parser ends a cell whose quote is not closed with the file. So where there were quotes, a last row of cells
that hold one NUL each is added, which no file has (NULs are refused): if it does not come out again as a row, a quote
swallowed it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.readers.base import unique
from dpkg.arrow.readers.files import open_text, read
from dpkg.errors import Format, Usage

NUL = "\0"
_BOM = b"\xef\xbb\xbf"
_FIRST = 1 << 16
_LONGEST_HEADER = 1 << 24


class BadText(Exception):
    """Bytes that are no text: the reader then looks for their line."""


class TextInput:
    """A file for `pyarrow.PythonFile`. `names` are the header's; `read` gives what follows."""

    closed = False

    def __init__(self, path: str, delimiter: str, encoding: str, codec: str | None = None) -> None:
        self._path = path
        self._delimiter = delimiter
        self._source = open_text(path, codec)
        self._decoder = decoder_of(encoding)
        self._tail = b""  # the start of a character whose end is yet to come
        self._ended = False
        self.quoted = False
        self.failure: BaseException | None = None
        self.marked = False  # whether the last row is the added one
        self.names, self._ahead = self._header()
        unique(self.names, f"{path}, line 1")
        self.empty = self._skip_blank()
        if self._ahead.startswith(_BOM[:1]):
            self._ahead = b"\n" + self._ahead  # Arrow would take a mark that is text here for the file's

    def read(self, size: int = -1) -> bytes:
        """For Arrow, from a thread of its own: it remembers what went wrong."""
        try:
            return self._read(size if size > 0 else _FIRST)
        except BaseException as e:
            self.failure = e
            raise

    def _read(self, size: int) -> bytes:
        chunk, self._ahead = self._ahead or self._checked(size), b""
        self.quoted = self.quoted or b'"' in chunk
        if not chunk and self.quoted and not self.marked:
            self.marked = True
            return ("\n" + self._delimiter.join([NUL] * len(self.names)) + "\n").encode()
        return chunk

    def _checked(self, size: int) -> bytes:
        """The next bytes in UTF-8; none at the end. Raises BadText."""
        while not self._ended:
            chunk = read(self._path, self._source, size)
            self._ended = not chunk
            if self._decoder is not None:
                try:
                    chunk = self._decoder.decode(chunk, self._ended).encode()
                except UnicodeError as e:
                    raise BadText from e
            if b"\0" in chunk:
                raise BadText
            if self._decoder is None and (self._tail or not chunk.isascii()):
                self._tail = check_utf8(self._tail + chunk)
                if self._ended and self._tail:
                    raise BadText
            if chunk:
                return chunk
        return b""

    def _header(self) -> tuple[list[str], bytes]:
        more, size = self._checked(_FIRST), _FIRST
        buffer = more.removeprefix(_BOM)
        while True:
            found = header_of(buffer, self._delimiter, complete=not more)
            if found is not None:
                names, length = found
                if NUL in "".join(names):
                    raise Format(
                        f'{self._path}, line 1: a quote (") is not closed', "close it, or double it if it is text"
                    )
                return names, buffer[length:]
            if not more:
                raise Format(f"{self._path} is empty: it has no header row", "the first row holds the columns' names")
            if len(buffer) > _LONGEST_HEADER:
                raise Format(f"{self._path}, line 1: the header row does not end", 'is a quote (") left open?')
            size = len(buffer)
            more = self._checked(size)
            buffer += more

    def _skip_blank(self) -> bool:
        """Whether nothing but empty lines follows the header."""
        while not self._ahead.strip(b"\r\n"):
            self._ahead = self._checked(_FIRST)
            if not self._ahead:
                return True
        return False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True
        self._source.close()


def decoder_of(encoding: str) -> Any:
    try:
        name = codecs.lookup(encoding).name
        return None if name in ("utf-8", "utf-8-sig", "ascii") else codecs.getincrementaldecoder(encoding)()
    except (LookupError, TypeError):
        raise Usage(
            f"'{encoding}' is no encoding that is known here", "such as utf-8, latin-1, cp1252, utf-16"
        ) from None


def check_utf8(data: bytes) -> bytes:
    """Raises BadText where bytes are not UTF-8; returns those of a last character that is not complete."""
    end = len(data)
    for back in range(1, min(4, end + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            end -= back if back < 2 + (byte >= 0xE0) + (byte >= 0xF0) else 0
            break
        if byte < 0x80:
            break
    bounds = pa.py_buffer(np.array([0, end], np.int32))
    try:
        pa.StringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        raise BadText from None
    return data[end:]


def physical_lines(text: str) -> Iterator[str]:
    """Lines with their ends, which are LF, CRLF or CR."""
    return iter(io.StringIO(text, newline=""))


def header_of(data: bytes, delimiter: str, complete: bool) -> tuple[list[str], int] | None:
    """The cells of the first row, and the bytes to its end; None if more is needed. An unclosed quote leaves a NUL."""
    text = data.decode("utf-8", "surrogateescape")
    used: list[str] = []

    def lines() -> Iterator[str]:
        for line in physical_lines(text):
            used.append(line)
            yield line
        yield NUL + "\n"

    rows = csv.reader(lines(), delimiter=delimiter)
    csv.field_size_limit(1 << 30)
    for row in rows:
        length = sum(map(len, used))
        if row and (length < len(text) or complete) and row != [NUL]:
            return row, len("".join(used).encode("utf-8", "surrogateescape"))
        if length >= len(text):
            return None
    return None
