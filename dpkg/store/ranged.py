"""A value of a backend as a file to read: its end at once, the rest in the ranges that are announced."""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpkg.store.base import Backend

TAIL = 64 << 10  # bytes got at first: a Parquet footer of some hundred columns
_GAP = 256 << 10  # bytes not asked for that are got along, rather than with one more request
_STEP = 64 << 10  # bytes got at least where nothing was announced


class RangedFile(io.RawIOBase):
    """`key` of `backend`, opened with one request. All ranges are of one value, by its etag. Raises NotFound, Storage."""

    def __init__(self, backend: Backend, key: str) -> None:
        tail = backend.get_tail(key, TAIL)
        self._backend, self._key, self._etag = backend, key, tail.etag
        self._end, self._at = tail.size, 0
        self._starts = [tail.size - len(tail.data)]
        self._pieces = [tail.data]

    def fetch(self, spans: Iterable[tuple[int, int]]) -> None:
        """Get the ranges (start, stop) that will be read, with as few requests as that takes."""
        merged: list[list[int]] = []
        for start, stop in sorted((max(0, a), min(b, self._end)) for a, b in spans):
            if stop <= start or self._held(start, stop):
                continue
            if merged and start <= merged[-1][1] + _GAP:
                merged[-1][1] = max(merged[-1][1], stop)
            else:
                merged.append([start, stop])
        for start, stop in merged:
            self._get(start, stop)

    def _held(self, start: int, stop: int) -> bool:
        i = bisect_right(self._starts, start) - 1
        return i >= 0 and stop <= self._starts[i] + len(self._pieces[i])

    def _get(self, start: int, stop: int) -> None:
        data = self._backend.get_range(self._key, start, stop - start, self._etag)
        i = bisect_right(self._starts, start)
        self._starts.insert(i, start)
        self._pieces.insert(i, data)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """As a file's; the whole of what is asked for, but for the end."""
        start = self._at
        stop = self._end if size is None or size < 0 else min(self._end, start + size)
        if stop <= start:
            return b""
        if not self._held(start, stop):
            self._get(start, min(self._end, max(stop, start + _STEP)))
        i = bisect_right(self._starts, start) - 1
        piece = self._pieces[i][start - self._starts[i] : stop - self._starts[i]]
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """The length in bytes."""
        return self._end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
