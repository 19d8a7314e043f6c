"""Writing a tree into a folder. Every name is tried before the first byte is written, and the folder is filled whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from dpkg import progress, tables
from dpkg.arrow import writers
from dpkg.arrow.options import format_of
from dpkg.compiler.folder import is_left_out
from dpkg.compiler.plan import BUILD_FILE, Path, disk_name
from dpkg.errors import AlreadyExists, Format, Usage
from dpkg.index import walk
from dpkg.odb import is_remote
from dpkg.store.local import failure
from dpkg.threads import some_ahead

if TYPE_CHECKING:
    from dpkg.objects.node import TreeEntry
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid

ENDS = {"parquet": ".parquet", "csv": ".csv", "arrow": ".arrow", "jsonl": ".jsonl"}
_WORKERS = 16
_UNNAMEABLE = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


@dataclass
class Exported:
    """What was written. `bytes` as on disk."""

    tables: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class _File:
    path: Path  # in the package
    on_disk: str  # path below the folder
    entry: TreeEntry
    table: Table | None


def export(odb: Odb, root: Oid | None, entry: TreeEntry | None, folder: str, format: str) -> Exported:
    """Write a tree (`root`), or one entry, into `folder`.

    Raises AlreadyExists unless the folder is absent or empty, Usage for names that the file system cannot hold, Storage. The folder is
    then as it was.
    """
    if format not in ENDS:
        raise Usage(f"'{format}' is not a format for tables", f"formats: {', '.join(ENDS)}")
    check_target(folder)
    if entry is not None and entry.type == "tree":
        root = entry.oid
    found = list(walk(odb, root)) if root else [(entry.name, entry)] if entry else []
    with _filled(os.path.realpath(os.path.expanduser(folder))) as staging:
        files = _reserve(odb, [(tuple(path.split("/")), e) for path, e in found], staging, format)
        done = Exported()
        waits = is_remote(odb.backend)  # blobs, many and small, wait for a network together
        sizes = some_ahead(
            lambda file: _write(odb, file, os.path.join(staging, disk_name(file.on_disk)), format),
            files,
            lambda file: waits and file.table is None,
            _WORKERS,
        )
        for file, size in zip(files, sizes, strict=True):
            done.tables += file.table is not None
            done.files += file.table is None
            done.bytes += size
            progress.advance("exported", size, None, "bytes")
        folders = {tuple(path.split("/")): e.meta for path, e in found if e.type == "tree" and e.meta}
        _finish(odb, files, folders, os.path.join(staging, BUILD_FILE))
    return done


def check_target(folder: str) -> None:
    """Raises AlreadyExists unless the folder is absent or empty."""
    folder = os.path.expanduser(folder)
    try:
        with os.scandir(folder) as found:
            if next(found, None) is not None:
                raise AlreadyExists(f"the folder '{folder}' is not empty", "choose another one, or empty it")
    except FileNotFoundError:
        if os.path.islink(folder):
            raise AlreadyExists(
                f"'{folder}' is a link that leads to nothing", "remove it, or choose another place"
            ) from None
    except NotADirectoryError:
        raise AlreadyExists(f"'{folder}' is in the way: it is not a folder", "choose another place") from None
    except OSError as e:
        raise failure(e, "read", folder) from None


# The folder


@contextmanager
def _filled(folder: str) -> Iterator[str]:
    """A new folder to write to, whose content `folder` has in the end; if anything goes wrong, nothing of it remains.

    A folder that is there stays the same one (somebody may be in it, it may be a mount): it gets the files one by one.
    """
    there = os.path.isdir(folder)
    above = folder if there else os.path.dirname(folder)
    made: list[str] = []
    try:
        _make_folders(above, made)
        box = tempfile.mkdtemp(prefix=".dpkg-export-", dir=above)
        staging = os.path.join(box, "out")  # made apart from the box, which only we may enter
        try:
            os.mkdir(staging)
            yield staging
            if there:
                _move_content(staging, folder)
            else:
                os.rename(staging, folder)
            made = []
        finally:
            shutil.rmtree(box, ignore_errors=True)
    except OSError as e:
        raise failure(e, "write", folder) from e
    finally:
        for path in reversed(made):
            with suppress(OSError):
                os.rmdir(path)


def _make_folders(path: str, made: list[str]) -> None:
    """Make a folder and what is missing above it; `made` is told which, topmost first."""
    if not os.path.isdir(path):
        _make_folders(os.path.dirname(path), made)
        os.mkdir(path)
        made.append(path)


def _move_content(source: str, target: str) -> None:
    moved: list[str] = []
    try:
        for name in os.listdir(source):
            os.rename(os.path.join(source, name), os.path.join(target, name))
            moved.append(name)
    except BaseException:
        for name in moved:
            os.rename(os.path.join(target, name), os.path.join(source, name))
        raise


# Names


def _reserve(odb: Odb, found: list[tuple[Path, TreeEntry]], staging: str, format: str) -> list[_File]:
    """A name on disk for each entry, tried out: folders and empty files are made. Raises Usage where the file system refuses."""
    names = _Names(staging)
    names.take(BUILD_FILE)
    top = {BUILD_FILE: _beside(found)}  # what the package has of that name has to go elsewhere
    files: list[_File] = []
    for path, entry in found:  # these keep their names
        name = "/".join((top.get(path[0], path[0]), *path[1:]))
        if entry.type == "tree":
            names.folder(name)
        elif entry.type == "blob":
            files.append(_File(path, names.take(name), entry, None))
    for path, entry in found:
        if entry.type == "table":
            name = "/".join((top.get(path[0], path[0]) if len(path) > 1 else path[0], *path[1:]))
            files.append(_File(path, names.free(name, ENDS[format]), entry, tables.read_table_object(odb, entry.oid)))
    return files


def _beside(found: list[tuple[Path, TreeEntry]]) -> str:
    """A name like build.yml that nothing has."""
    taken = {path[0].casefold() for path, _ in found}
    return next(name for n in count(1) if (name := f"build_{n}.yml") not in taken)


class _Names:
    """Names in a folder, as this file system sees them: what it folds together, it says itself."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._made: list[str] = []

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, disk_name(name))

    def _make(self, name: str, is_folder: bool) -> bool:
        """Whether the name was free."""
        try:
            if is_folder:
                make_folder(self._path(name))
            else:
                make_file(self._path(name))
        except FileExistsError:
            return False
        except OSError as e:
            if e.errno not in _UNNAMEABLE:
                raise
            hint = "export a part of the package, into a shorter path, or on another file system"
            raise Usage(f"this file system cannot hold the name '{name[:200]}' ({e.strerror})", hint) from None
        self._made.append(name)
        return True

    def take(self, name: str) -> str:
        """Make an empty file of this name."""
        if not self._make(name, False):
            raise self._clash(name)
        return name

    def folder(self, name: str) -> None:
        if not self._make(name, True):
            raise self._clash(name)

    def free(self, stem: str, end: str) -> str:
        """Make an empty file `stem` + `end`, or with a number in between where that is taken."""
        name, n = stem + end, 1
        while not self._make(name, False):
            n += 1
            name = f"{stem}_{n}{end}"
        return name

    def _clash(self, name: str) -> Usage:
        other = next((n for n in self._made if self._same(n, name)), "another name")
        return Usage(
            f"'{other}' and '{name}' are one name on this file system",
            "export them one by one, or on another file system",
        )

    def _same(self, one: str, other: str) -> bool:
        with suppress(OSError):
            return os.path.samefile(self._path(one), self._path(other))
        return False


def make_file(path: str) -> None:
    """An empty new file. Raises FileExistsError, also for a name that the file system takes for another."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def make_folder(path: str) -> None:
    """A new folder. Raises FileExistsError, also for a name that the file system takes for another."""
    os.mkdir(path)


# Content


def _write(odb: Odb, file: _File, path: str, format: str) -> int:
    """Write one file; its size."""
    with open(path, "wb") as out:
        if file.table is None:
            for chunk in odb.iter_blob(file.entry.oid):
                out.write(chunk)
        else:
            try:
                writers.write(tables.scan(odb, file.table), tables.user_schema(file.table), format, out)
            except Format as e:
                raise Format(f"'{'/'.join(file.path)}' cannot be written as {format}: {e.message}", e.hint) from None
    return os.path.getsize(path)


def _finish(odb: Odb, files: list[_File], folders: dict[Path, Oid], path: str) -> None:
    """Write the build.yml that builds the folder into the same tree, or remove its place if none is needed for that."""
    if not folders and not any(_needs_entry(file) for file in files):
        os.unlink(path)
        return
    import yaml

    root: dict[str, Any] = {}
    for at, meta in folders.items():
        _folder(root, at[:-1])[at[-1]] = {"meta": _metadata(odb, meta), "contents": {}}
    for file in files:
        item: dict[str, Any] = {"file": file.on_disk}
        if file.table is None and format_of(file.on_disk.rsplit("/", 1)[-1]):
            item["as"] = "blob"
        if file.table and file.table.key:
            item["key"] = list(file.table.key)
        if file.entry.meta:
            item["meta"] = _metadata(odb, file.entry.meta)
        _folder(root, file.path[:-1])[file.path[-1]] = item
    plain = json.dumps(root, ensure_ascii=False).isprintable()  # what is not, YAML may take for the end of a line
    with open(path, "w", encoding="utf-8") as out:
        yaml.safe_dump({"contents": root}, out, allow_unicode=plain, sort_keys=False)


def _metadata(odb: Odb, oid: Oid) -> Any:
    """User metadata; whole numbers that only a float holds (RFC 8785) as floats."""
    most = 2**53 - 1
    return json.loads(
        odb.read(oid, "blob"), parse_int=lambda text: n if -most <= (n := int(text)) <= most else float(n)
    )


def _folder(root: dict[str, Any], path: Path) -> dict[str, Any]:
    """The contents of a folder in a build.yml, which is put there if need be."""
    for name in path:
        root = root.setdefault(name, {"contents": {}})["contents"]
    return root


def _needs_entry(file: _File) -> bool:
    """Whether a build of the folder would make something else of a file: for its key, metadata, or a name read otherwise."""
    on_disk = tuple(file.on_disk.split("/"))
    known = format_of(on_disk[-1])
    same = (*on_disk[:-1], known[1] if known else on_disk[-1]) == file.path and (known is None) == (file.table is None)
    return not same or bool(file.entry.meta) or bool(file.table and file.table.key) or is_left_out(on_disk)
