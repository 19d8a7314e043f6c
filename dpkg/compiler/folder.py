"""A plan from a folder: every file an entry, tables by their extension, the rest blobs."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dpkg.arrow.options import format_of
from dpkg.compiler.plan import IGNORE_FILE, UNKNOWN, Item, Plan, make_plan, package_name, stamp
from dpkg.errors import NotFound, Storage, Usage

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# Left out everywhere: version control, stores, environments, caches, what desktops leave behind.
ALWAYS_IGNORED = frozenset((".git", ".hg", ".svn", ".dpk", ".venv", ".tox", ".nox", "__pycache__", "node_modules"))
ALWAYS_IGNORED |= {".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".cache"}
ALWAYS_IGNORED |= {".DS_Store", "Thumbs.db", "desktop.ini"}
_LEAVE_OUT = f"remove it, or name it in {IGNORE_FILE}"
Found = tuple[tuple[str, ...], str, bytes]  # names below the root, path on disk, stamp


def plan_file(path: str, raw: bool = False) -> Plan:
    """A plan of a single file. Raises Usage for what is no file, Format for a name that is not UTF-8."""
    began, found = time.time_ns(), os.stat(path)
    kind = _special(found.st_mode)
    if kind:
        raise Usage(f"'{path}' is {kind}, not a file or folder", "write what it gives into a file first")
    item = _item((package_name(path, os.path.basename(path)),), path, stamp(found), raw)
    return make_plan([item], os.path.dirname(path), path=path, began=began)


def plan_folder(root: str, raw: bool = False, without: str = "") -> Plan:
    """A plan of all files below a folder, but for the one in it named `without`. With `raw` every file stays a blob.

    Raises Usage for a folder without files, names that clash, links that lead out, and files that are neither file nor folder.
    """
    began = time.time_ns()
    items = [_item(*found, raw) for found in sorted(_files(root, _ignored(root))) if found[0] != (without,)]
    if not items:
        raise Usage(f"the folder '{root}' holds no files", f"check the path, and what {IGNORE_FILE} leaves out")
    return make_plan(items, root, path=root, began=began)


def is_left_out(names: tuple[str, ...]) -> bool:
    """Whether a folder's plan never has a file of this path: of what is ignored everywhere, or the file of patterns itself."""
    return names == (IGNORE_FILE,) or not ALWAYS_IGNORED.isdisjoint(names)


def _item(names: tuple[str, ...], source: str, stamp: bytes, raw: bool) -> Item:
    known = None if raw else format_of(names[-1])
    if known is None:
        return Item(names, source, None, stamp=stamp)
    return Item((*names[:-1], known[1]), source, known[0], stamp=stamp)


def _ignored(root: str) -> GitIgnoreSpec | None:
    """The patterns of what is left out, if there are any."""
    path = os.path.join(root, IGNORE_FILE)
    try:
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
        from pathspec import GitIgnoreSpec

        return GitIgnoreSpec.from_lines(lines)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise Usage(f"cannot read {path}: {e}", "it holds patterns as .gitignore does, in UTF-8") from None


def _files(root: str, ignored: GitIgnoreSpec | None) -> Iterator[Found]:
    """Every file that is not left out."""
    top = os.path.realpath(root)
    todo: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = [((), root, (top,))]
    while todo:
        names, folder, above = todo.pop()  # `above`: the real paths of the folders that we are in
        for entry in _scan(folder):
            name, is_link = entry.name, entry.is_symlink()
            if not name.isascii():
                name = os.fsencode(name).decode(errors="surrogateescape")
            below = (*names, name)
            is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()
            if name in ALWAYS_IGNORED or (not names and name == IGNORE_FILE):  # what is above was looked at
                continue
            if ignored is not None and ignored.match_file("/".join(below) + ("/" if is_folder else "")):
                continue
            if not name.isascii():
                package_name(entry.path, entry.name)
            if is_link:
                _check_link(entry.path, top, above)
            if is_folder:
                real = os.path.realpath(entry.path) if is_link else os.path.join(above[-1], entry.name)
                todo.append((below, entry.path, (*above, real)))
            elif entry.is_file():
                yield below, entry.path, _stamp(entry)
            else:
                raise Usage(f"'{entry.path}' is {_special(entry.stat().st_mode)}, not a file or folder", _LEAVE_OUT)


def _stamp(entry: os.DirEntry[str]) -> bytes:
    try:
        return stamp(entry.stat())
    except OSError:  # who reads it says what is the matter
        return UNKNOWN


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        raise NotFound(f"there is no folder '{folder}'") from None
    except OSError as e:
        raise Storage(f"cannot read the folder '{folder}': {e.strerror}", "check its permissions") from None


def _check_link(path: str, top: str, above: tuple[str, ...]) -> None:
    target = os.path.realpath(path)
    if target != top and not target.startswith(top.rstrip(os.sep) + os.sep):
        hint = f"copy the file into the folder, or name the link in {IGNORE_FILE}"
        raise Usage(f"the link '{path}' leads out of the folder, to '{target}'", hint)
    if not os.path.exists(path):
        raise Usage(f"the link '{path}' leads to nothing", _LEAVE_OUT)
    if target in above:
        raise Usage(f"the link '{path}' leads to a folder that it is in", _LEAVE_OUT)


def _special(mode: int) -> str:
    """What a file is that is no regular file, else nothing."""
    if stat.S_ISREG(mode):
        return ""
    kinds = (
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for test, name in kinds if test(mode)), "a special file")
