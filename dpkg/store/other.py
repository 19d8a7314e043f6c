"""A store at any other place that fsspec can reach (sftp, gs, az, dir, zip, …): read, and written but for refs.

Whether such a place can create atomically is not proven here; fsspec's own `mode="create"` is a check, then a write.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from dpkg.address import Address
from dpkg.errors import Denied, DpkgError, NotFound, Storage, Usage
from dpkg.store.base import Stat, Tail
from dpkg.store.keys import TEMP, check_key, is_part, walk

if TYPE_CHECKING:
    from typing import BinaryIO

    Sizes = dict[str, int]  # by key

T = TypeVar("T")
_CHUNK = 1 << 20


class OtherBackend:
    """A `Backend` over fsspec's file system for a scheme. Refs are read-only."""

    atomic_create = False

    def __init__(self, address: Address) -> None:
        self.url = f"{address.scheme}://{address.place}"
        self._fs, self._root = self._open(address.scheme)

    def _open(self, scheme: str) -> tuple[Any, str]:
        import fsspec

        try:
            fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            raise Usage(
                f"stores at {scheme}:// need a package that is not installed: {error}", "install it with pip"
            ) from None
        except ValueError as error:
            if "not known" in str(error).lower():
                raise Usage(
                    f"'{scheme}://' is no kind of place that is known", "a folder, s3://, http://, or what fsspec knows"
                ) from None
            raise self._failed(error, "open", "") from None
        except Exception as error:  # noqa: BLE001 - drivers raise whatever they like
            raise self._failed(error, "open", "") from None
        return fs, str(root).rstrip("/")

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if self._root else key

    def _try(self, action: str, key: str, work: Callable[[], T]) -> T:
        """What `work` returns; what it raises as an error of ours."""
        try:
            return work()
        except DpkgError:
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"'{key}' is not in {self.url}") from None
        except Exception as error:
            raise self._failed(error, action, key) from error

    def _failed(self, error: Exception, action: str, key: str) -> DpkgError:
        what = f"'{key}' in {self.url}" if key else self.url
        if isinstance(error, PermissionError):
            return Denied(f"no permission to {action} {what}", "ask whoever keeps it")
        said = getattr(error, "strerror", None) or type(error).__name__  # its text may hold a password
        return Storage(f"cannot {action} {what}: {said}", "check the address, the network and your keys")

    # Reading

    def get(self, key: str) -> bytes:
        check_key(key)
        return self._try("read", key, lambda: bytes(self._file(key)._fs.cat_file(self._path(key))))

    def _file(self, key: str) -> OtherBackend:
        """Itself, if there is a file under the key: some file systems read a folder as nothing."""
        if not self._fs.isfile(self._path(key)):
            raise FileNotFoundError
        return self

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        check_key(key)

        def read() -> bytes:
            size = int(self._file(key)._fs.info(self._path(key))["size"] or 0)
            first = max(0, size + start) if start < 0 else start
            last = min(size, first + length)
            return bytes(self._fs.cat_file(self._path(key), first, last)) if last > first else b""

        return self._try("read", key, read)

    def get_tail(self, key: str, length: int) -> Tail:
        stat = self.stat(key)
        if stat is None:
            raise NotFound(f"'{key}' is not in {self.url}")
        size = stat.size
        return Tail(self.get_range(key, max(0, size - length), length), size, "")

    def stat(self, key: str) -> Stat | None:
        check_key(key)
        try:
            info = self._try("read", key, lambda: self._fs.info(self._path(key)))
        except NotFound:
            return None
        return Stat(key, int(info["size"] or 0)) if info["type"] == "file" else None

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        sizes: dict[str, int] = {}  # of keys that were seen in a folder and not yet given

        def scan(folder: str, start: str) -> Sizes:
            found = self._folder(folder, start)
            sizes.update(found)
            return found

        return islice((Stat(key, sizes.pop(key)) for key in walk(prefix, after, scan)), limit)

    def _folder(self, folder: str, start: str) -> Sizes:
        """Keys in a folder with their sizes; those of folders end in a slash."""
        try:
            found = self._try("list", folder, lambda: self._fs.ls(self._path(folder).rstrip("/"), detail=True))
        except NotFound:
            return {}
        out = {}
        itself = str(self._fs._strip_protocol(self._path(folder))).strip("/")
        for info in found:
            if info["type"] == "file" and str(info["name"]).strip("/") == itself:
                continue  # what is asked for as a folder is a file: it is listed as such
            name = str(info["name"]).rstrip("/").rpartition("/")[2]
            if not is_part(name) or not name.startswith(start) or (not folder and name == TEMP):
                continue
            out[folder + name + ("/" if info["type"] == "directory" else "")] = info["size"]
        return out

    def local_path(self, key: str) -> str | None:
        check_key(key)
        return None

    # Writing

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Under a name of its own first: no reader sees a part of the value."""
        path, temp = self._path(check_key(key)), self._path(f"{TEMP}/{os.urandom(8).hex()}")

        def write() -> None:
            self._fs.makedirs(self._path(TEMP), exist_ok=True)
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                with self._fs.open(temp, "wb") as out:
                    if isinstance(data, (bytes, bytearray, memoryview)):
                        out.write(data)
                    else:
                        while chunk := data.read(_CHUNK):
                            out.write(chunk)
                self._fs.mv(temp, path)
            except BaseException:
                with suppress(Exception):
                    self._fs.rm_file(temp)
                raise

        self._try("write", key, write)

    def create(self, key: str, data: bytes) -> bool:
        check_key(key)
        raise Storage(
            f"{self.url} is not known to create atomically: refs there are read-only", "use a folder or s3://"
        )

    def delete(self, key: str) -> None:
        path = self._path(check_key(key))
        with suppress(NotFound):
            self._try("remove", key, lambda: self._file(key)._fs.rm_file(path))

    def sync(self) -> None:
        """What the place has answered for is as durable as it makes it."""
