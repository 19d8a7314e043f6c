"""What decoding a Parquet file would take, by its own headers: looked at first, as 5 KB can unpack to terabytes.

Arrow's accessors of column metadata are not used: they end the process where the footer is damaged. The headers are in
Thrift's compact protocol; whatever is wrong with them raises ValueError, IndexError or KeyError.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

_PAGE_HEAD = 512  # bytes read at first for a page's header, which may hold statistics
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DELTA_BYTE_ARRAY = 7
# Fields that are looked at: of a column's metadata, and of a page's header.
_COLUMN = {3: {5: None, 7: None, 9: None, 11: None}}
_PAGE = {1: None, 2: None, 3: None, 5: {1: None, 2: None}, 8: {1: None, 4: None}}


@dataclass(frozen=True, slots=True)
class Chunk:
    """One leaf column: where its pages are, and how many slots they hold, nulls too."""

    start: int
    stop: int
    values: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a leaf column's pages hold by their headers."""

    values: int
    size: int  # bytes uncompressed
    dictionary: int  # of them, the dictionary's
    prefixed: bool  # DELTA_BYTE_ARRAY: each value may repeat all of the one before


@contextmanager
def opened(source: Any) -> Iterator[BinaryIO]:
    """A path, or a file that is open already."""
    if isinstance(source, str):
        with open(source, "rb") as file:
            yield file
    else:
        yield source


def chunks(file: BinaryIO, count: int) -> list[Chunk]:
    """The first `count` leaf columns of the first row group, by the footer."""
    size = file.seek(0, io.SEEK_END)
    file.seek(size - 8)
    length = int.from_bytes(file.read(4), "little")
    if length > size - 12:
        raise ValueError("the footer is cut off")
    file.seek(size - 8 - length)
    out = []
    for meta in _Thrift(file.read(length)).columns(count):
        first = min(meta[9], meta[11]) if meta.get(11, 0) > 0 else meta[9]
        if first < 0 or meta[7] < 0:
            raise ValueError("a column is nowhere")
        out.append(Chunk(first, first + meta[7], meta[5]))
    return out


def measure(file: BinaryIO, chunk: Chunk) -> Claim:
    """What the pages of a leaf column claim, one after the other, as far as Arrow would read them."""
    at, values, size, dictionary, prefixed = chunk.start, 0, 0, 0, False
    while values < chunk.values and at < chunk.stop:
        page, length = _page(file, at, chunk.stop)
        if page[2] < 0 or page[3] < 0:
            raise ValueError("a page has a negative size")
        size += page[2]
        if page[1] == _DICTIONARY:
            dictionary += page[2]
        elif page[1] in (_DATA, _DATA_V2):
            head, encoding = (page[5], 2) if page[1] == _DATA else (page[8], 4)
            values += head[1]
            prefixed |= head[encoding] == _DELTA_BYTE_ARRAY
        at += length + page[3]
    if values != chunk.values or values < 0:
        raise ValueError("a column has more or fewer values than its footer says")
    return Claim(values, size, dictionary, prefixed)


def _page(file: BinaryIO, at: int, stop: int) -> tuple[dict[int, Any], int]:
    """A page's header and its length."""
    file.seek(at)
    data = file.read(min(_PAGE_HEAD, stop - at))
    while True:
        head = _Thrift(data)
        try:
            return head.struct(_PAGE), head.at
        except IndexError:
            more = file.read(min(63 * len(data), stop - at - len(data)))
            if not more:
                raise
            data += more


class _Thrift:
    """Reads structs as {field: value}, of the fields that `wanted` names; others are stepped over."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:
        byte = self.data[self.at]
        self.at += 1
        out, shift = byte & 127, 7
        while byte >= 128:
            if shift > 63:
                raise ValueError("a number is too long")
            byte = self.data[self.at]
            self.at += 1
            out |= (byte & 127) << shift
            shift += 7
        return out

    def struct(self, wanted: dict[int, Any]) -> dict[int, Any]:
        out: dict[int, Any] = {}
        field = 0
        while head := self.data[self.at]:
            self.at += 1
            field = field + (head >> 4) if head > 15 else self.varint() >> 1
            if field in wanted:
                out[field] = self.value(head & 15, wanted[field])
            else:
                self.skip(head & 15, 0)
        self.at += 1
        return out

    def value(self, kind: int, wanted: Any) -> Any:
        if wanted is None and kind in (4, 5, 6):
            n = self.varint()
            return (n >> 1) ^ -(n & 1)
        if wanted is not None and kind == 12:
            return self.struct(wanted)
        raise ValueError("a field is not of its kind")

    def columns(self, count: int) -> list[dict[int, Any]]:
        """The metadata of the first leaf columns: field 4 of the footer, its first row group's field 1."""
        for field in (4, 1):
            self._go_to(field)
            head = self.data[self.at]
            self.at += 1
            size = head >> 4 if head < 240 else self.varint()
            if head & 15 != 12 or size < (count if field == 1 else 1):
                raise ValueError("columns are missing")
        return [self.struct(_COLUMN)[3] for _ in range(count)]

    def _go_to(self, wanted: int) -> None:
        """To the list that a field of the struct at hand is."""
        field = 0
        while head := self.data[self.at]:
            self.at += 1
            field = field + (head >> 4) if head > 15 else self.varint() >> 1
            if field == wanted and head & 15 == 9:
                return
            self.skip(head & 15, 0)
        raise ValueError("a field is missing")

    def skip(self, kind: int, depth: int) -> None:
        if 4 <= kind <= 6:
            self.varint()
        elif kind == 8:
            size = self.varint()
            self.at += size
        elif kind == 12:
            self._skip_struct(depth + 1)
        elif kind in (9, 10):
            head = self.data[self.at]
            self.at += 1
            size = head >> 4 if head < 240 else self.varint()
            for _ in range(size):
                self.skip(3 if head & 15 < 3 else head & 15, depth + 1)
                if self.at > len(self.data):
                    raise IndexError("a list is cut off")
        elif kind in (3, 7):
            self.at += 1 if kind == 3 else 8
        elif kind not in (1, 2):
            raise ValueError("an unknown kind of field")

    def _skip_struct(self, depth: int) -> None:
        if depth > 16:
            raise ValueError("nested too deep")
        while head := self.data[self.at]:
            self.at += 1
            if head < 16:
                self.varint()
            self.skip(head & 15, depth)
        self.at += 1
