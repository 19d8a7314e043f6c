"""Writing a tree into a folder. Every name is checked before the first byte, and the folder appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg import progress, tables
from dpkg.arrow import writers
from dpkg.arrow.readers import format_of
from dpkg.build.folder import ALWAYS_IGNORED, BUILD_FILE
from dpkg.errors import Storage, Usage
from dpkg.index import walk

if TYPE_CHECKING:
    from dpkg.objects.node import TreeEntry
    from dpkg.odb import Odb
    from dpkg.oid import Oid

MAX_NAME, MAX_PATH = 255, 4000  # bytes that file systems hold
ENDS = {"parquet": ".parquet", "csv": ".csv", "arrow": ".arrow", "jsonl": ".jsonl"}


@dataclass
class Exported:
    """What was written. `bytes` as on disk."""

    tables: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class _File:
    path: tuple[str, ...]  # names in the package
    on_disk: str  # relative path
    entry: TreeEntry


def export(odb: Odb, root: Oid | None, entry: TreeEntry | None, folder: str, format: str) -> Exported:
    """Write a tree, or one entry, into `folder` (absent or empty). Raises Usage for names that the file system cannot hold, Storage."""
    if root is None and entry is not None and entry.type == "tree":
        root = entry.oid
    found = list(walk(odb, root)) if root is not None else [(entry.name, entry)] if entry else []
    files = _name_files([(tuple(path.split("/")), e) for path, e in found if e.type != "tree"], format)
    parent = os.path.dirname(os.path.abspath(folder))
    try:
        os.makedirs(parent, exist_ok=True)
        staging = tempfile.mkdtemp(prefix=".dpkg-export-", dir=parent)
    except OSError as e:
        raise Storage(f"cannot write into '{parent}': {e.strerror}", "check the folder and its permissions") from None
    try:
        _check_names(files, staging, len(os.path.abspath(folder).encode()))
        done = _write_all(odb, files, staging, format)
        os.chmod(staging, 0o777 & ~_umask())
        os.replace(staging, folder)
        return done
    except OSError as e:
        raise Storage(f"cannot write '{folder}': {e.strerror}", "check the disk and its permissions") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _name_files(found: list[tuple[tuple[str, ...], TreeEntry]], format: str) -> list[_File]:
    """A file name for each entry: blobs keep theirs, tables get an ending, another one where it is taken."""
    taken = {"/".join(path) for path, e in found if e.type == "blob"} | {BUILD_FILE}
    out = []
    for path, e in found:
        name = "/".join(path)
        if e.type == "table":
            candidate, n = name + ENDS[format], 1
            while candidate in taken:
                n += 1
                candidate = f"{name}_{n}{ENDS[format]}"
            taken.add(candidate)
            name = candidate
        elif name == BUILD_FILE:
            name = "build_.yml"
        out.append(_File(path, name, e))
    return out


def _check_names(files: list[_File], staging: str, base: int) -> None:
    """Raises Usage for names too long for a file system, or that this one would make the same."""
    fold = _folding(staging)
    seen: dict[str, str] = {}
    for f in files:
        parts = f.on_disk.split("/")
        if max(len(p.encode()) for p in parts) > MAX_NAME or base + len(f.on_disk.encode()) > MAX_PATH:
            raise Usage(f"the name '{f.on_disk[:80]}…' is too long for a file system", "export a part of the package, or into a shorter path")
        for n in range(1, len(parts) + 1):
            path = "/".join(parts[:n])
            other = seen.setdefault(fold(path), path)
            if other != path:
                raise Usage(f"'{other}' and '{path}' are one name on this file system", "export them one by one, or on another file system")


def _folding(folder: str) -> Any:
    """How this file system folds names, found by trying."""
    same_case = _same(folder, "dpkg-probe-a", "DPKG-PROBE-A")
    same_form = _same(folder, "dpkg-probe-\u00e9", "dpkg-probe-e\u0301")

    def fold(path: str) -> str:
        path = path.casefold() if same_case else path
        return unicodedata.normalize("NFC", path) if same_form else path

    return fold


def _same(folder: str, a: str, b: str) -> bool:
    path = os.path.join(folder, a)
    with open(path, "wb"):
        pass
    try:
        return os.path.exists(os.path.join(folder, b))
    finally:
        os.unlink(path)


def _write_all(odb: Odb, files: list[_File], staging: str, format: str) -> Exported:
    done = Exported()
    for f in files:
        path = os.path.join(staging, f.on_disk)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if f.entry.type == "table":
            _write_table(odb, f.entry, path, format)
            done.tables += 1
        else:
            with open(path, "xb") as out:
                for chunk in odb.iter_blob(f.entry.oid):
                    out.write(chunk)
            done.files += 1
        size = os.path.getsize(path)
        done.bytes += size
        progress.advance("exported", size, None, "bytes")
    if _needs_buildfile(odb, files):
        _write_buildfile(odb, files, os.path.join(staging, BUILD_FILE))
    return done


def _write_table(odb: Odb, entry: TreeEntry, path: str, format: str) -> None:
    table = tables.read_table_object(odb, entry.oid)
    with open(path, "xb") as out:
        writers.write(tables.scan(odb, table), tables.user_schema(table), format, out)


def _needs_buildfile(odb: Odb, files: list[_File]) -> bool:
    """Whether building the folder would not give the same tree: keys, metadata, or names that a build reads otherwise."""
    for f in files:
        if f.entry.meta or (f.entry.type == "table" and tables.read_table_object(odb, f.entry.oid).key):
            return True
        last = f.on_disk.rsplit("/", 1)[-1]
        known = format_of(last)
        plain = (known is not None and known[1] == f.path[-1]) if f.entry.type == "table" else (known is None and last == f.path[-1])
        if not plain or any(part in ALWAYS_IGNORED for part in (*f.path, last)):
            return True
    return False


def _write_buildfile(odb: Odb, files: list[_File], path: str) -> None:
    """A build.yml that builds the folder into the same tree."""
    import json

    import yaml

    root: dict[str, Any] = {}
    for f in files:
        item: dict[str, Any] = {"file": f.on_disk}
        if f.entry.type == "blob" and format_of(f.on_disk.rsplit("/", 1)[-1]):
            item["as"] = "blob"
        if f.entry.type == "table" and (key := tables.read_table_object(odb, f.entry.oid).key):
            item["key"] = list(key)
        if f.entry.meta:
            item["meta"] = json.loads(odb.read(f.entry.meta, "blob"))
        folder = root
        for name in f.path[:-1]:
            folder = folder.setdefault(name, {"contents": {}})["contents"]
        folder[f.path[-1]] = item
    with open(path, "x", encoding="utf-8") as out:
        yaml.safe_dump({"contents": root}, out, allow_unicode=True, sort_keys=False)
