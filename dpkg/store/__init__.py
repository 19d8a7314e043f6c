"""Places that hold bytes under keys. `open_backend` finds the one that an address names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpkg import address
from dpkg.errors import Usage

if TYPE_CHECKING:
    from dpkg.store.base import Backend
    from dpkg.store.memory import MemoryBackend

_memory: dict[str, MemoryBackend] = {}  # memory://name, shared by the whole process


def open_backend(url: str) -> Backend:
    """The backend at `url`. Nothing is read or made yet. Raises Usage.

    A folder's path (`~` is the home folder), a file:// URL, memory://name (one store for the whole process),
    s3://bucket/folder (dpkg.address has its options), http(s):// (read only), or what else fsspec knows (dpkg.store.other).
    """
    if not url:
        raise Usage("the address of the store is empty", "give a folder, for example ./store")
    scheme, place, _ = parsed = address.parse(url)
    if not scheme:
        return _open_local(url)
    if scheme == "file":
        return _open_local(_path_of(url, place))
    if scheme == "memory":
        from dpkg.store.memory import MemoryBackend

        return _memory.setdefault(place, MemoryBackend(place))
    if scheme == "s3":
        from dpkg.store.s3 import S3Backend

        return S3Backend(parsed)
    if scheme in ("http", "https"):
        from dpkg.store.http import HttpBackend

        return HttpBackend(parsed)
    from dpkg.store.other import OtherBackend

    return OtherBackend(parsed)


def _open_local(path: str) -> Backend:
    import os

    from dpkg.store.local import LocalBackend

    if "\0" in path:
        raise Usage("the path of the store holds a zero byte")
    return LocalBackend(os.path.expanduser(path))


def _path_of(url: str, rest: str) -> str:
    """The path in a file:// URL."""
    from urllib.parse import unquote

    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise Usage(f"'{url}' does not name a folder of this machine", "write file:///folder, with three slashes")
    return unquote("/" + path)
