"""Some rows of a CSV file, and, slowly and for messages only, the line on which each starts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from dpkg.arrow.readers.refusals import not_utf8, ragged, with_nul
from dpkg.errors import Format

NUL = "\0"


@dataclass(frozen=True)
class Place:
    """Where a CSV file is, and how it is written."""

    path: str
    delimiter: str
    encoding: str = "utf-8"
    codec: str | None = None
    part: int = 0  # of a table of several files
    order: tuple[int, ...] | None = None  # where the columns of the first file stand in this one, if elsewhere
    quote: str = '"'  # empty where a quote is a character as any other
    skip: int = 0  # lines before the names
    skip_after: int = 0  # rows after them
    names: tuple[str, ...] = ()  # where the file has none
    said: bool = True  # the delimiter; else it is the usual one

    @property
    def dialect(self) -> dict[str, Any]:
        """As Python's csv.reader wants it."""
        quoting = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        return {"delimiter": self.delimiter, **quoting}


@dataclass(frozen=True)
class Chunk:
    """Whole rows, in UTF-8. `line` is that of the first."""

    place: Place
    line: int
    data: pa.Buffer

    @property
    def is_blank(self) -> bool:
        view = memoryview(self.data).cast("B")
        return not len(view) or (view[0] in b"\r\n" and not bytes(view).strip(b"\r\n"))

    @property
    def next_line(self) -> int:
        view = np.frombuffer(self.data, np.uint8)
        ends = int(np.count_nonzero(view == 10))
        returns = view == 13
        if returns.any():
            ends += int(np.count_nonzero(returns)) - int(np.count_nonzero(returns[:-1] & (view[1:] == 10)))
        return self.line + ends

    def split(self, data: pa.Buffer, cut: int) -> tuple[Chunk, Chunk]:
        """`data`, which starts where this does, in two."""
        chunk = Chunk(self.place, self.line, data.slice(0, cut))
        return chunk, Chunk(self.place, chunk.next_line, data.slice(cut))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line and cells of each row. Raises Format for what is not CSV at all."""
        csv.field_size_limit(1 << 30)
        line = self.line
        reader = csv.reader(self._lines(), **self.place.dialect)
        for cells in reader:
            if cells == [NUL]:
                return
            if cells and NUL in cells[-1]:
                raise unclosed(self.place, line)
            if cells:
                yield line, cells
            line = self.line + reader.line_num

    def _lines(self) -> Iterator[str]:
        """And a NUL, which a quote that is not closed swallows."""
        for number, line in enumerate(
            physical_lines(self.data.to_pybytes().decode("utf-8", "surrogateescape")), self.line
        ):
            where = f"{self.place.path}, line {number}"
            if not line.isascii() and any("\ud800" <= c <= "\udfff" for c in line):
                raise not_utf8(where, line)
            if NUL in line:
                raise with_nul(where, line)
            yield line
        yield NUL

    def lines(self, rows: Iterable[int]) -> dict[int, int]:
        """The lines on which some of the rows start; the first is row 0."""
        wanted = set(rows)
        data = self.data.to_pybytes()
        if not any(
            mark in data for mark in (self.place.quote.encode() or b"\r", b"\r", b"\n\n")
        ) and not data.startswith(b"\n"):
            return {row: self.line + row for row in wanted}
        return {row: line for row, (line, _) in enumerate(self.rows()) if row in wanted}

    def explain(self, width: int, otherwise: str) -> NoReturn:
        """Raises Format for the first thing that is wrong."""
        for line, cells in self.rows():
            if len(cells) != width:
                where = f"{self.place.path}, line {line}"
                raise ragged(where, cells, width, line, self.place.quote, bool(self.place.names))
        raise Format(f"{self.place.path}, line {self.line} or after: {otherwise}")


def unclosed(place: Place, line: int) -> Format:
    return Format(
        f"{place.path}, line {line}: a quote ({place.quote}) is not closed", "close it, or double it if it is text"
    )


def physical_lines(text: str) -> Iterator[str]:
    """Lines with their ends, which are LF, CRLF or CR."""
    return iter(io.StringIO(text, newline=""))
