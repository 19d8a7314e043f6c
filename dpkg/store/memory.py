"""A store in this process's memory: for tests, and for trying things out."""

from __future__ import annotations

from _thread import RLock
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dpkg.errors import NotFound
from dpkg.store.base import Stat
from dpkg.store.keys import check_key, check_prefix

if TYPE_CHECKING:
    from typing import BinaryIO


class MemoryBackend:
    """A `Backend` whose values live as long as this object."""

    atomic_create = True

    def __init__(self, name: str = "") -> None:
        self.url = f"memory://{name}"
        self._values: dict[str, bytes] = {}
        self._keys: list[str] = []  # the keys of _values, sorted
        self._lock = RLock()

    def get(self, key: str) -> bytes:
        check_key(key)
        with self._lock:
            value = self._values.get(key)
        if value is None:
            raise NotFound(f"'{key}' is not in {self.url}")
        return value

    def get_range(self, key: str, start: int, length: int) -> bytes:
        value = self.get(key)
        if start < 0:
            start = max(0, len(value) + start)
        return value[start : start + max(0, length)]

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        check_key(key)
        value = bytes(data) if isinstance(data, (bytes, bytearray, memoryview)) else data.read()
        with self._lock:
            if key not in self._values:
                insort(self._keys, key)
            self._values[key] = value

    def create(self, key: str, data: bytes) -> bool:
        check_key(key)
        with self._lock:
            if key in self._values:
                return False
            self.put(key, data)
            return True

    def list(self, prefix: str, limit: int | None = None) -> Iterator[Stat]:
        check_prefix(prefix)
        found: list[Stat] = []
        with self._lock:
            for i in range(bisect_left(self._keys, prefix), len(self._keys)):
                key = self._keys[i]
                if not key.startswith(prefix) or (limit is not None and len(found) >= limit):
                    break
                found.append(Stat(key, len(self._values[key])))
        return iter(found)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]

    def stat(self, key: str) -> Stat | None:
        check_key(key)
        with self._lock:
            value = self._values.get(key)
        return None if value is None else Stat(key, len(value))

    def sync(self) -> None:
        """Nothing here survives a power cut, so there is nothing to do."""

    def local_path(self, key: str) -> str | None:
        check_key(key)
        return None
