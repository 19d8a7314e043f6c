"""A store in a folder. What is under a key is in the file of that path; files being written are under tmp/.

Links in the folder are not listed. Nothing is cached: another process may write at any moment.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from _thread import allocate_lock
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from stat import S_ISREG
from typing import TYPE_CHECKING

from dpkg.errors import NotFound, Storage
from dpkg.store.base import Stat, Tail
from dpkg.store.keys import TEMP, check_key, is_part, walk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    Strings = list[str]  # in the class below `list` is a method
    Stats = list[Stat]

_CHUNK = 1 << 20
_FEW = 24  # up to so many new files `sync` takes them one by one, above that the whole file system at once
_RECENT = 3600.0  # seconds: what is older has long been written back by the system
_DAY = 86400.0
_LINUX = sys.platform == "linux"
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def failure(error: OSError, action: str, path: str) -> Storage:
    """What to tell the user when the system refuses to `action` (read, write, list, …) `path`."""
    code = error.errno
    if code in (errno.ENOSPC, errno.EDQUOT):
        return Storage(f"the disk is full: cannot {action} '{path}'", "free some space, then run the command again")
    if code in (errno.EACCES, errno.EPERM):
        return Storage(f"no permission to {action} '{path}'", "check who owns the folder, and its mode (ls -ld)")
    if code == errno.EROFS:
        return Storage(f"cannot {action} '{path}': the file system is read-only", "use a store that you may write to")
    if code in (errno.EMFILE, errno.ENFILE):
        return Storage(f"cannot {action} '{path}': too many open files", "raise the limit (ulimit -n) and try again")
    if code in (errno.ENOTDIR, errno.EEXIST):
        return Storage(f"cannot {action} '{path}': a file is where a folder must be", "move that file away")
    if code in (errno.EOPNOTSUPP, errno.ENOSYS):
        return Storage(f"cannot {action} '{path}': the file system cannot do it", "use a file system with hard links")
    return Storage(f"cannot {action} '{path}': {error.strerror or error}", "check the disk, then try again")


class Scratch(io.FileIO):
    """A new file under tmp/, to be filled and then handed to `LocalBackend.adopt` or `discard`."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "x+b")
        self.path = path

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """All of `data`; raises Storage."""
        view = memoryview(data)
        try:
            while view:
                view = view[super().write(view) :]
        except OSError as error:
            raise failure(error, "write", self.path) from error
        return len(data)


class LocalBackend:
    """A `Backend` in the folder `path`, which is made when it is first written to."""

    atomic_create = True

    def __init__(self, path: str) -> None:
        self.url = os.path.abspath(path)
        self._temp = f"{self.url}/{TEMP}"
        self._lock = allocate_lock()
        self._unsynced: set[str] = set()  # paths of files that may not survive a power cut

    def _path(self, key: str) -> str:
        return f"{self.url}/{check_key(key)}"

    # Reading

    def get(self, key: str) -> bytes:
        path = self._path(key)
        try:
            with _open(path) as file:
                return file.read()
        except _ABSENT:
            raise NotFound(f"'{key}' is not in {self.url}") from None
        except OSError as error:
            raise failure(error, "read", path) from error

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        return self._pread(key, start, length)[0]

    def get_tail(self, key: str, length: int) -> Tail:
        data, size = self._pread(key, -length, length) if length > 0 else self._pread(key, 0, 0)
        return Tail(data, size, "")

    def _pread(self, key: str, start: int, length: int) -> tuple[bytes, int]:
        """Bytes of a range, and the size of the file."""
        path = self._path(key)
        try:
            with _open(path) as file:
                size = os.fstat(file.fileno()).st_size
                start = max(0, size + start) if start < 0 else start
                parts = []
                left = min(length, size - start)
                while left > 0 and (part := os.pread(file.fileno(), left, start)):
                    parts.append(part)
                    start, left = start + len(part), left - len(part)
                return b"".join(parts), size
        except _ABSENT:
            raise NotFound(f"'{key}' is not in {self.url}") from None
        except OSError as error:
            raise failure(error, "read", path) from error

    def stat(self, key: str) -> Stat | None:
        path = self._path(key)
        try:
            found = os.stat(path)
        except _ABSENT:
            return None
        except OSError as error:
            raise failure(error, "read", path) from error
        if found.st_mode & 0o170000 != 0o100000:
            return None
        if time.time() - found.st_mtime < _RECENT:  # maybe of another writer, who did not sync yet
            self._note(path)
        return Stat(key, found.st_size)

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        return islice(self._stats(walk(prefix, after, self._scan)), limit)

    def _stats(self, keys: Iterable[str]) -> Iterator[Stat]:
        for key in keys:
            path = f"{self.url}/{key}"
            try:
                yield Stat(key, os.stat(path, follow_symlinks=False).st_size)
            except _ABSENT:
                continue  # removed since
            except OSError as error:
                raise failure(error, "read", path) from error

    def _scan(self, folder: str, start: str) -> Strings:
        """Files and folders in `folder` whose names begin with `start`: full keys; folders end in a slash."""
        path = f"{self.url}/{folder}"
        found = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if not name.startswith(start) or not is_part(name) or (not folder and name == TEMP):
                        continue
                    if entry.is_file(follow_symlinks=False):
                        found.append(folder + name)
                    elif entry.is_dir(follow_symlinks=False):
                        found.append(f"{folder}{name}/")
        except _ABSENT:
            return []
        except OSError as error:
            raise failure(error, "list", path) from error
        return found

    def local_path(self, key: str) -> str | None:
        return self._path(key)

    # Writing

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        self.put_parts(key, [data])

    def put_parts(self, key: str, parts: Iterable[bytes | memoryview | BinaryIO]) -> None:
        """As `put`, of bytes that are not in one piece, and need not be copied into one."""
        check_key(key)
        with self.scratch() as file:
            try:
                for data in parts:
                    _fill(file, data)
            except BaseException:
                self.discard(file)
                raise
        self.adopt(key, file)

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        if os.path.lexists(path):
            return False
        with self.scratch() as file:
            try:
                file.write(data)
                os.fsync(file.fileno())
                made = self._link(file.path, path)
                if made:
                    for folder in self._folders_of([path]):
                        _fsync(folder)
                return made
            except OSError as error:
                raise failure(error, "write", path) from error
            finally:
                self.discard(file)

    def _link(self, temp: str, path: str) -> bool:
        """Give the file `temp` also the name `path`; False if that is taken."""
        try:
            try:
                os.link(temp, path)
            except FileNotFoundError:
                self._make_folder(os.path.dirname(path))
                os.link(temp, path)
        except FileExistsError:
            return os.stat(temp).st_nlink > 1  # over NFS the answer to a link that was made can be lost
        return True

    def scratch(self) -> Scratch:
        """A new empty file in this store, open for writing and reading; `adopt` puts it under a key without a copy."""
        path = f"{self._temp}/{os.getpid()}-{os.urandom(8).hex()}"
        try:
            try:
                return Scratch(path)
            except FileNotFoundError:
                self._make_folder(self._temp)
                return Scratch(path)
        except OSError as error:
            raise failure(error, "write", path) from error

    def adopt(self, key: str, file: Scratch) -> None:
        """Put the bytes of `file` under `key`, as `put` does, and close it."""
        path = self._path(key)
        try:
            file.close()
            try:
                os.replace(file.path, path)
            except FileNotFoundError:
                self._make_folder(os.path.dirname(path))
                os.replace(file.path, path)
        except OSError as error:
            self.discard(file)
            raise failure(error, "write", path) from error
        self._note(path)

    def discard(self, file: Scratch) -> None:
        """Close and remove `file`."""
        try:
            file.close()
        finally:
            _remove(file.path)

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            os.unlink(path)
        except _ABSENT:
            pass
        except OSError as error:
            if not os.path.isdir(path):
                raise failure(error, "remove", path) from error

    def _note(self, path: str) -> None:
        """`path` is to be synced. Beyond a few, names do not matter: the whole file system is."""
        with self._lock:
            if len(self._unsynced) <= _FEW or not _LINUX:
                self._unsynced.add(path)

    def _make_folder(self, path: str) -> None:
        """Make `path` and what is missing above it."""
        if not path.startswith(self.url + "/"):
            os.makedirs(path, exist_ok=True)
            with suppress(OSError):  # we may lack the right to read the folder that the store is in
                _fsync(os.path.dirname(path))
            return
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        except FileNotFoundError:
            self._make_folder(os.path.dirname(path))
            os.makedirs(path, exist_ok=True)

    # Durability

    def sync(self) -> None:
        with self._lock:
            files, self._unsynced = self._unsynced, set()
        try:
            if len(files) > _FEW and _LINUX:
                _sync_file_system(self.url)
                return
            for path in sorted(files):
                _fsync(path)
            for folder in self._folders_of(files):
                _fsync(folder)
        except OSError as error:
            with self._lock:
                self._unsynced |= files
            raise failure(error, "sync", error.filename or self.url) from error

    def _folders_of(self, paths: Iterable[str]) -> Strings:
        """Folders to sync so that the names `paths` last: the one of each, and those above that changed lately."""
        folders = {os.path.dirname(path) for path in paths}
        for folder in sorted(folders):
            while len(folder) > len(self.url):
                folder = os.path.dirname(folder)
                if folder in folders or time.time() - os.stat(folder).st_mtime > _RECENT:
                    break
                folders.add(folder)
        return sorted(folders, reverse=True)

    # Housekeeping

    def stale_files(self, age: float = _DAY, *, remove: bool = False) -> Stats:
        """Files under tmp/ that nobody has written to for `age` seconds: killed writers left them."""
        try:
            with os.scandir(self._temp) as entries:
                old = [
                    (entry.path, Stat(f"{TEMP}/{entry.name}", found.st_size))
                    for entry in entries
                    if entry.is_file(follow_symlinks=False)
                    and time.time() - (found := entry.stat(follow_symlinks=False)).st_mtime > age
                ]
        except _ABSENT:
            return []
        except OSError as error:
            raise failure(error, "list", self._temp) from error
        for path, _ in old if remove else []:
            _remove(path)
        return sorted((stat for _, stat in old), key=lambda stat: stat.key)


def _open(path: str) -> io.FileIO:
    """A file, for reading. Pipes and devices are taken for absent: one may wait for ever for who writes, or have no end."""
    file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileNotFoundError(path)
    return file


def _fill(file: Scratch, data: bytes | memoryview | BinaryIO) -> None:
    if isinstance(data, (bytes, bytearray, memoryview)):
        file.write(data)
        return
    while True:
        try:
            chunk = data.read(_CHUNK)
        except OSError as error:
            raise failure(error, "read", str(getattr(data, "name", "the input"))) from error
        if not chunk:
            return
        file.write(chunk)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise failure(error, "remove", path) from error


def _fsync(path: str) -> None:
    """Make a file or folder last. One that is gone needs nothing; some file systems cannot sync folders."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            error.filename = path
            raise
    finally:
        os.close(handle)


def _sync_file_system(path: str) -> None:
    """Make everything on the file system of `path` last; unlike os.sync() this says when it fails."""
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(handle)
