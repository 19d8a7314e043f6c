"""The contract between dpkg and a place that holds bytes: keys and bytes only, no objects, no refs.

A key is a relative path of `/`-joined parts, each of `[A-Za-z0-9._-]+` and neither `.` nor `..`; the first part is
not `tmp`. No key may be the folder of another (`a` and `a/b`). Every method raises `Usage` for what is no key,
`NotFound` where it says so, and `Storage` when the place itself fails (permission, disk full, network); never another
exception for a failing place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from dpkg.errors import Storage


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store knows of one key without reading it."""

    key: str
    size: int  # bytes; -1 where a listing does not tell (HTTP)
    etag: str = field(default="", compare=False)  # another one for another value; empty where the place has none


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of a value, and what is needed to read more of the same value."""

    data: bytes
    size: int  # of the whole value
    etag: str


class Backend(Protocol):
    """Bytes under keys. Thread-safe: any method may be called from several threads at once."""

    @property
    def url(self) -> str:
        """Where this is, for people and for settings: a path or a URL, without secrets."""
        ...

    @property
    def atomic_create(self) -> bool:
        """Whether `create` is proven atomic here. Where it is not, refs are read-only."""
        ...

    def get(self, key: str) -> bytes:
        """All bytes of `key`. Raises NotFound."""
        ...

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        """`length` bytes from `start`, fewer only where the value ends. Raises NotFound.

        A negative `start` counts from the end; if it lies before the first byte, it is 0. Past the end there are no
        bytes. With an etag, Storage if the value is another one by now: ranges of one value fit together.
        """
        ...

    def get_tail(self, key: str, length: int) -> Tail:
        """The last `length` bytes (all if there are fewer), the size, and the etag for more ranges. Raises NotFound.

        One request: the size need not be known before.
        """
        ...

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Store `data` under `key`, replacing what was there.

        `data` is bytes, or a seekable binary file that is read from its current position to its end. A reader sees
        the old value or the new one, never a part; so does the store after a crash. It may not survive a power cut
        until `sync` returns.
        """
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Store `data` under `key` only if the key is absent. True if this call made it, False if the key was there.

        Of any number of callers exactly one gets True, also across processes and machines. When True is returned the
        value is durable. For small values (ref entries). A caller whose answer is lost (Storage) may have made it: it
        reads the key, and knows its own value by what is random in it.
        """
        ...

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        """Keys that start with `prefix` (a plain string prefix, not a folder), in bytewise order, at most `limit`.

        Some services list folder by folder: `a/z` before `a-b`. Within one folder the order is bytewise everywhere.
        Only those that sort after the string `after`, which need not be a key. Never cached. What is put or deleted
        while the iterator runs may be seen or not; every other key is seen once.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove `key`; nothing happens if it is absent."""
        ...

    def stat(self, key: str) -> Stat | None:
        """Size of `key`, or None if it is absent."""
        ...

    def sync(self) -> None:
        """When this returns, everything put before survives a power cut.

        So do values of other writers that `stat` reported here: what is found and not stored again is built upon.
        """
        ...

    def local_path(self, key: str) -> str | None:
        """A path at which engines and memory maps can read `key` in place, or None where there is none.

        The key need not exist.
        """
        ...


def is_remote(backend: Backend) -> bool:
    """Whether keys have no path here: then each request may cross a network."""
    return backend.local_path("format") is None


# For web servers that show no listings, from `dpk update-server-info`: prefixes, each with all keys that start with it after it.
SERVER_INFO = "derived/server-info"


def replaced(key: str, url: str) -> Storage:
    """What to raise where a value is not the one of an etag any more."""
    return Storage(f"'{key}' in {url} was replaced while it was read", "run the same command again")
