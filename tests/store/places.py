"""Every kind of backend, empty or with values in it."""

from __future__ import annotations

import functools
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dpkg.address import Address
from dpkg.store import open_backend
from dpkg.store.base import SERVER_INFO, Backend
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend
from dpkg.store.other import OtherBackend
from dpkg.store.overlay import Overlay

Asked = pytest.FixtureRequest
Values = Mapping[str, bytes]


def _s3(asked: Asked, folder: Path) -> Backend:
    asked.getfixturevalue("account")
    return open_backend(asked.getfixturevalue("new_store")())


def _folder(folder: Path) -> str:
    return str(folder / os.urandom(6).hex())


WRITING: dict[str, Callable[[Asked, Path], Backend]] = {
    "local": lambda _, folder: LocalBackend(_folder(folder)),
    "memory": lambda _, folder: MemoryBackend("test"),
    "s3": _s3,
    "fsspec-local": lambda _, folder: OtherBackend(Address("local", _folder(folder), {})),
    "fsspec-memory": lambda _, folder: OtherBackend(Address("memory", _folder(folder), {})),
}
WRITING["overlay"] = lambda _, folder: Overlay(LocalBackend(_folder(folder)), MemoryBackend("lower"))
CREATING = ("local", "memory", "s3", "overlay")


def fill(backend: Backend, values: Values) -> Backend:
    for key, value in values.items():
        backend.put(key, value)
    return backend


def _written(kind: str, asked: Asked, folder: Path, values: Values) -> Backend:
    return fill(WRITING[kind](asked, folder), values)


def _web(options: dict[str, object], asked: Asked, folder: Path, values: Values) -> Backend:
    """A folder with the values behind a web server."""
    local = LocalBackend(_folder(folder))
    fill(local, values)
    local.put(SERVER_INFO, "".join(f"{line}\n" for line in ("", *values)).encode())  # a store is never quite empty
    return open_backend(asked.getfixturevalue("serve")(local.url, **options))


def _zip(asked: Asked, folder: Path, values: Values) -> Backend:
    path = f"{_folder(folder)}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for key, value in values.items():
            archive.writestr(key, value)
    return OtherBackend(Address("zip", f"::local://{path}", {}))


def _laid_over(asked: Asked, folder: Path, values: Values) -> Backend:
    """Every second value in the upper one; some of the lower one are hidden."""
    upper = dict(list(values.items())[::2])
    hidden = dict.fromkeys(list(upper)[::2], b"hidden")
    lower = {key: value for key, value in values.items() if key not in upper} | hidden
    return Overlay(fill(MemoryBackend("upper"), upper), fill(MemoryBackend("lower"), lower))


READING: dict[str, Callable[[Asked, Path, Values], Backend]] = {
    **{kind: functools.partial(_written, kind) for kind in WRITING},
    "laid-over": _laid_over,
    "zip": _zip,
    "http-python": functools.partial(_web, {"plain": True}),
    "http-ranges": functools.partial(_web, {}),
    "http-no-listings": functools.partial(_web, {"listings": False}),
    "http-denied-listings": functools.partial(_web, {"listings": False, "hide": 403, "ranges": False}),
}


def in_order(kind: str, keys: list[str]) -> list[str]:
    """Keys in the order of a listing: bytewise; but SeaweedFS, unlike AWS, goes folder by folder."""
    return sorted(keys, key=(lambda key: key.split("/")) if kind == "s3" else None)
