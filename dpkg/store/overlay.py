"""A store laid over another: what is written goes to the upper one, and the lower one is only read."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import groupby, islice
from typing import TYPE_CHECKING

from dpkg.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, TypeVar

    from dpkg.store.base import Backend, Stat, Tail

    T = TypeVar("T")


class Overlay:
    """A `Backend` for what is tried out and thrown away. A key of the lower one cannot be deleted, but put anew."""

    def __init__(self, upper: Backend, lower: Backend) -> None:
        self._upper, self._lower = upper, lower
        self.url, self.atomic_create = lower.url, upper.atomic_create

    def _first(self, read: Callable[[Backend], T]) -> T:
        try:
            return read(self._upper)
        except NotFound:
            return read(self._lower)

    def get(self, key: str) -> bytes:
        return self._first(lambda b: b.get(key))

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        return self._first(lambda b: b.get_range(key, start, length, etag))

    def get_tail(self, key: str, length: int) -> Tail:
        return self._first(lambda b: b.get_tail(key, length))

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        self._upper.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        return self._lower.stat(key) is None and self._upper.create(key, data)

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        both = [b.list(prefix, limit, after) for b in (self._upper, self._lower)]
        every = groupby(merge(*both, key=lambda s: s.key), key=lambda s: s.key)
        return islice((next(same) for _, same in every), limit)  # merge is stable: the upper one's come first

    def delete(self, key: str) -> None:
        self._upper.delete(key)

    def stat(self, key: str) -> Stat | None:
        return self._upper.stat(key) or self._lower.stat(key)

    def sync(self) -> None:
        """What is here is not to survive anything."""

    def local_path(self, key: str) -> str | None:
        path = self._lower.local_path(key)
        return path if path is None or self._upper.stat(key) is None else self._upper.local_path(key)
