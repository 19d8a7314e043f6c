"""Stores that watch, fail or are stopped at any of their operations, and what is in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

import dpkg
from dpkg import repository
from dpkg.odb import Odb
from dpkg.store import open_backend
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend

Hook = Callable[[str, str], None]  # (operation, key), before it is done
READS = ("get", "get_range", "list", "stat")
WRITES = ("put", "create", "delete", "sync", "scratch", "adopt")


def _watched(kind: type) -> type:
    """`kind` with a `hook` that is called before each operation."""

    def before(name: str) -> Any:
        real = getattr(kind, name)

        def method(self: Any, key: str = "", *args: Any, **kwargs: Any) -> Any:
            self.hook(name, key)
            return real(self, *([key] if key else []), *args, **kwargs)

        return method

    names = [name for name in (*READS, *WRITES) if hasattr(kind, name)]
    return type(f"Watched{kind.__name__}", (kind,), {name: before(name) for name in names} | {"hook": lambda *_: None})


WatchedLocal: Any = _watched(LocalBackend)
WatchedMemory: Any = _watched(MemoryBackend)


@contextmanager
def watching(monkeypatch: pytest.MonkeyPatch, url: str, hook: Hook) -> Iterator[None]:
    """While it lasts, `hook` is called before each operation on the store at `url`."""

    def opened(place: str) -> Any:
        found: Any = open_backend(place)
        if found.url == open_backend(url).url:
            if isinstance(found, MemoryBackend):
                watched = WatchedMemory.__new__(WatchedMemory)
                watched.__dict__ = found.__dict__ | {"hook": hook}
                return watched
            found = WatchedLocal(place)
            found.hook = hook
        return found

    with monkeypatch.context() as patch:
        patch.setattr(repository, "open_backend", opened)
        yield


class Counter:
    """A hook that counts operations, and raises `error` at the one numbered `at`."""

    def __init__(self, at: int = -1, error: Callable[[], BaseException] = KeyboardInterrupt) -> None:
        self.at, self.error, self.count = at, error, 0
        self.calls: list[tuple[str, str]] = []
        self._lock = Lock()

    def __call__(self, name: str, key: str) -> None:
        with self._lock:
            self.count += 1
            self.calls.append((name, key))
            mine = self.count
        if mine == self.at:
            raise self.error()


def stored(url: str) -> dict[str, int]:
    """Every object and fragment of a store, with its size."""
    backend = open_backend(url)
    return {s.key: s.size for prefix in ("objects/", "fragments/") for s in backend.list(prefix)}


def contents(url: str) -> dict[str, int]:
    """Every object and fragment of a store, with its size, wherever it is: in packs too."""
    return {oid: size for _, oid, size in Odb(open_backend(url)).iter_oids()}


def refs(url: str) -> dict[str, bytes]:
    """Every entry of every ref log."""
    backend = open_backend(url)
    return {s.key: backend.get(s.key) for s in backend.list("refs/")}


def tip(url: str, package: str) -> str | None:
    return repository.Repository(url).tip(package)


def healthy(url: str) -> bool:
    """Whether everything in a store is whole, and complete below its refs."""
    problems = dpkg.verify(store=url, deep=True).problems
    assert problems == ()
    return True


def flip(path: Path, at: int) -> None:
    """Change one bit of one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
