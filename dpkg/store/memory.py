"""A store in this process's memory: for tests, and for trying things out."""

from __future__ import annotations

from _thread import RLock
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dpkg.errors import NotFound
from dpkg.store.base import Stat, Tail, replaced
from dpkg.store.keys import check_key, check_prefix

if TYPE_CHECKING:
    from typing import BinaryIO


class MemoryBackend:
    """A `Backend` whose values live as long as this object."""

    atomic_create = True

    def __init__(self, name: str = "") -> None:
        self.url = f"memory://{name}"
        self._values: dict[str, tuple[bytes, str]] = {}  # each with its etag
        self._keys: list[str] = []  # the keys of _values, sorted
        self._puts = 0
        self._lock = RLock()

    def _get(self, key: str) -> tuple[bytes, str]:
        check_key(key)
        with self._lock:
            found = self._values.get(key)
        if found is None:
            raise NotFound(f"'{key}' is not in {self.url}")
        return found

    def get(self, key: str) -> bytes:
        return self._get(key)[0]

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        value, current = self._get(key)
        if etag not in ("", current):
            raise replaced(key, self.url)
        if start < 0:
            start = max(0, len(value) + start)
        return value[start : start + max(0, length)]

    def get_tail(self, key: str, length: int) -> Tail:
        value, etag = self._get(key)
        return Tail(value[max(0, len(value) - length) :], len(value), etag)

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        check_key(key)
        value = bytes(data) if isinstance(data, (bytes, bytearray, memoryview)) else data.read()
        with self._lock:
            if key not in self._values:
                insort(self._keys, key)
            self._puts += 1
            self._values[key] = value, str(self._puts)

    def create(self, key: str, data: bytes) -> bool:
        check_key(key)
        with self._lock:
            if key in self._values:
                return False
            self.put(key, data)
            return True

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        check_prefix(prefix)
        found: list[Stat] = []
        with self._lock:
            for i in range(max(bisect_left(self._keys, prefix), bisect_right(self._keys, after)), len(self._keys)):
                key = self._keys[i]
                if not key.startswith(prefix) or (limit is not None and len(found) >= limit):
                    break
                found.append(self._stat(key))
        return iter(found)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]

    def stat(self, key: str) -> Stat | None:
        check_key(key)
        with self._lock:
            return self._stat(key) if key in self._values else None

    def _stat(self, key: str) -> Stat:
        value, etag = self._values[key]
        return Stat(key, len(value), etag)

    def sync(self) -> None:
        """Nothing here survives a power cut, so there is nothing to do."""

    def local_path(self, key: str) -> str | None:
        check_key(key)
        return None


class Nowhere(MemoryBackend):
    """A store that keeps nothing: what is written to it only gets its id."""

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Nothing is kept."""
