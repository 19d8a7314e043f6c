"""A plan: which file becomes which entry of the package, and how."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from blake3 import blake3

from dpkg.arrow.options import ReadOptions
from dpkg.errors import Format, Usage
from dpkg.objects.node import check_name

if TYPE_CHECKING:
    from typing import Any

    from dpkg.arrow.readers import Source
    from dpkg.checks.rules import Rule
    from dpkg.odb import Odb
    from dpkg.oid import Oid

IGNORE_FILE, BUILD_FILE = ".dpkgignore", "build.yml"
MAX_DEPTH = 100  # names in a path
_SHOWN = 30  # files in the build.yml of a hint

_STAMP = struct.Struct("<4Q")  # size, mtime and ctime in ns, inode
_MASK = (1 << 64) - 1  # times before 1970, and after 2262

Path = tuple[str, ...]  # names in the package, outermost first
UNKNOWN = bytes(_STAMP.size)


def stamp(found: os.stat_result) -> bytes:
    """What changes when a file does: its size, times and inode, in 32 bytes."""
    return _STAMP.pack(found.st_size, found.st_mtime_ns & _MASK, found.st_ctime_ns & _MASK, found.st_ino & _MASK)


def joint_stamp(names: Iterable[str], stamps: Sequence[bytes]) -> bytes:
    """That of several files together: their sizes in sum, the latest of their times, and a hash of all."""
    hasher = blake3()
    for name, one in zip(names, stamps, strict=True):
        hasher.update(name.encode(errors="surrogateescape") + b"\0" + one)
    parts = [_STAMP.unpack(one) for one in stamps]
    times = (max(part[i] for part in parts) for i in (1, 2))
    return _STAMP.pack(sum(part[0] for part in parts) & _MASK, *times, int.from_bytes(hasher.digest(8), "little"))


def times_in(stamp: bytes) -> tuple[int, int]:
    """The times that a stamp says: of the last change of the file's bytes, and of anything; in ns."""
    _, modified, changed, _ = _STAMP.unpack(stamp)
    return modified, changed


def size_in(stamp: bytes) -> int:
    """The size that a stamp says."""
    return int.from_bytes(stamp[:8], "little")


class Origin(Protocol):
    """Where an item comes from, if it is not one file on disk."""

    def stamp(self) -> bytes:
        """What changes when it does, as of a file; UNKNOWN where nobody knows: it is read by each build."""
        ...

    def said(self) -> Any:
        """All that decides what it gives beside the item's own members and what `stamp` covers, as JSON."""
        ...

    def files(self) -> Sequence[str]:
        """The files that are read, for provenance."""
        ...

    def source(self) -> dict[str, Any]:
        """Where there are no files: what is read, for provenance, as canonical JSON without secrets."""
        ...

    def rows(self, odb: Odb, item: Item) -> Source:
        """A table's rows."""
        ...

    def blob(self, odb: Odb, item: Item) -> tuple[Oid, int]:
        """Store the bytes of a blob: their oid and count."""
        ...


class Item(NamedTuple):
    """One file on its way into a package, or what `origin` says."""

    path: Path
    source: str  # the file on disk
    format: str | None  # how to read it as a table (dpkg.arrow.readers), None for a blob
    options: ReadOptions | None = None  # None: the usual ones
    key: tuple[str, ...] = ()
    meta: Any = None  # user metadata, any JSON
    where: str = ""  # where the plan says so, for messages: "build.yml, line 4, column 7"
    places: Mapping[str, str] | None = None  # where the plan names columns, by name
    stamp: bytes = UNKNOWN  # of the file, as it was when the plan was made
    origin: Origin | None = None  # `source` is its name, for messages
    checks: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        return "/".join(self.path)


class BuildFile(NamedTuple):
    """The build.yml of a plan: its name, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Plan:
    """Items with distinct paths, none inside another; and user metadata of folders, by path."""

    items: tuple[Item, ...]
    folders: Mapping[Path, Item] = field(default_factory=dict)  # those with metadata
    path: str = ""  # what was asked for, absolute
    prefix: str = ""  # what the path of a source begins with
    began: int = 0  # when the first stamp was taken, in ns
    build: BuildFile | None = None


def make_plan(
    items: list[Item],
    root: str,
    folders: Mapping[Path, Item] | None = None,
    *,
    path: str,
    began: int,
    build: BuildFile | None = None,
) -> Plan:
    """A plan of some items; `root` is the folder that a build.yml would be in, `path` what was asked for.

    Raises Usage where two would share a name, showing the build.yml that resolves it, and for names that a package cannot hold.
    """
    taken: dict[Path, Item] = {}
    above: dict[Path, Item] = {}
    for item in items:
        folder = item.path[:-1]
        _check_names(item, item.path[-1:] if folder in above else item.path)
        above.setdefault(folder, item)
        if item.path in taken:
            raise _clash([taken[item.path], item], items, root)
        taken[item.path] = item
    for folder, item in above.items():
        for n in range(1, len(folder) + 1):
            if folder[:n] in taken:
                raise _clash([taken[folder[:n]], item], items, root)
    return Plan(tuple(items), folders or {}, os.path.abspath(path), os.path.join(root, ""), began, build)


def _check_names(item: Item, names: Path) -> None:
    where = item.where or item.source
    if len(item.path) > MAX_DEPTH:
        raise Usage(f"{where}: '{item.name[:80]}…' is more than {MAX_DEPTH} names deep", "put it less deep")
    for name in names:
        try:
            check_name(name)
        except Format as e:
            raise Usage(f"{where}: {e.message}", e.hint) from None


def _clash(two: list[Item], items: list[Item], root: str) -> Usage:
    """Two files for one name: say so, and show a build.yml that gives each its own."""
    import yaml

    shared = min((item.path for item in two), key=len)
    named = {item.path for item in items}
    contents: dict[str, Any] = {}
    shown = items if len(items) <= _SHOWN else two
    for item in shown:
        folder = contents
        path = item.path
        if item.format and (
            path == shared or any(path == other.path[: len(path)] for other in shown if other is not item)
        ):
            path = _free(item, named)
        for name in path[:-1]:
            folder = folder.setdefault(name, {"contents": {}})["contents"]
        folder[path[-1]] = {"file": package_name(item.source, os.path.relpath(item.source, root or os.curdir))}
    lines = yaml.safe_dump({"contents": contents}, allow_unicode=True, sort_keys=False, width=1000).splitlines()
    if len(items) > len(shown):
        lines.append(f"# and the folder's {len(items) - len(shown):,} other files in the same way")
    hint = f"rename one, leave one out in {IGNORE_FILE}, or write {os.path.join(root, BUILD_FILE)}:"
    return Usage(
        f"'{two[0].source}' and '{two[1].source}' would both be '{'/'.join(shared)}' in the package",
        "\n".join([hint, *lines]),
    )


def _free(item: Item, named: set[Path]) -> Path:
    """A path of its own for a table: its file's name, with _ for the dot."""
    last = os.path.basename(item.source).replace(".", "_").strip("_") or "table"
    path, n = (*item.path[:-1], last), 1
    while path in named:
        n += 1
        path = (*item.path[:-1], f"{last}_{n}")
    named.add(path)
    return path


def package_name(path: str, name: str) -> str:
    """A file's name as a package holds it, whatever the locale: its bytes as UTF-8. Raises Format."""
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        hint = f"rename the file, or leave it out with a pattern in {IGNORE_FILE}"
        raise Format(f"the file name '{shown}' is not valid UTF-8", hint) from None


def package_text(name: str) -> str:
    """A file's name to be shown or written down, whatever it is, and whatever the locale."""
    return name if name.isascii() else os.fsencode(name).decode(errors="replace")


def disk_name(name: str) -> str:
    """A package's name as one of a file, whatever the locale: the inverse of `package_name`."""
    return os.fsdecode(name.encode())
