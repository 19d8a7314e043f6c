"""Files by a pattern: the parts of one table, or an entry each (spec/build.md)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dpkg.arrow.options import format_of
from dpkg.compiler.plan import UNKNOWN, Item, joint_stamp, package_name, stamp
from dpkg.compiler.shape import shaped
from dpkg.errors import NotFound, Storage
from dpkg.store.download import is_url

if TYPE_CHECKING:
    from typing import Any

    from yaml import Node

    from dpkg.arrow.readers import Source
    from dpkg.compiler.buildfile import Entry, Planner
    from dpkg.odb import Odb
    from dpkg.oid import Oid

_MAGIC = re.compile(r"[*?[]")
_NULL = "__HIVE_DEFAULT_PARTITION__"
_DEEPEST = 100  # folders that ** goes down


@dataclass(frozen=True)
class Parts:
    """An `Origin`: files that are one table together, in this order, and for each the values of partition columns."""

    paths: tuple[str, ...]
    names: tuple[str, ...] = ()  # of partition columns
    values: tuple[tuple[str | None, ...], ...] = ()

    def stamp(self) -> bytes:
        try:
            return joint_stamp(self.paths, [stamp(os.stat(path)) for path in self.paths])
        except OSError:  # who reads it says what is the matter
            return UNKNOWN

    def said(self) -> Any:
        return []  # the paths are in the stamp, and the values in the paths

    def files(self) -> Sequence[str]:
        return self.paths

    def source(self) -> dict[str, Any]:
        return {}

    def rows(self, odb: Odb, item: Item) -> Source:
        from dpkg.arrow.readers import open_parts

        assert item.format is not None
        return open_parts(self.paths, item.format, item.options, self.names, self.values, item.source)

    def blob(self, odb: Odb, item: Item) -> tuple[Oid, int]:
        raise AssertionError("many files are no blob")


def from_files(planner: Planner, entry: Entry) -> None:
    """The items of an entry with `files`."""
    yml, node = planner.yml, entry.own["files"][1]
    text = yml.text(node, "'files'")
    if is_url(text):
        hint = "name its files one by one in 'file', or bring them here first"
        raise yml.error(node, "a pattern is for files of this machine, not for URLs", hint)
    found = sorted(matching(planner.local(node, ""), text), key=lambda names: [os.fsencode(n) for n in names])
    if not found:
        hint = "a pattern is relative to build.yml; * stands for any part of a name, ** for any folders"
        raise NotFound(f"{yml.place(node)}: no file matches '{text}'", hint)
    each = yml.flag(entry.own["each"][1], "'each'") if "each" in entry.own else False
    source = planner.local(node, text)
    if each or planner.raw:
        _each(planner, entry, found, _fixed(text) + text.startswith("/"))
        return
    paths = [planner.local(node, "/".join(names)) for names in found]
    item = shaped(yml, entry, planner.item(entry, paths[0]), whole=True)
    if item.format is None:
        hint = "say 'each: true' for an entry of each, or how they are read as one table: 'transform: csv'"
        raise yml.error(node, f"'{entry.name}' would be a table of files that are no tables, as '{paths[0]}'", hint)
    columns, values = _partitions(planner, node, found)
    origin = Parts(tuple(paths), columns, values)
    planner.items.append(item._replace(source=source, origin=origin, stamp=origin.stamp()))
    planner.keep_sources(entry, [Item(entry.path, path, None, stamp=stamp(os.stat(path))) for path in paths])


def _each(planner: Planner, entry: Entry, found: Sequence[tuple[str, ...]], fixed: int) -> None:
    """An entry for each file, below that of the pattern, in the folders that the pattern leaves open."""
    node = entry.own["files"][1]
    for names in found:
        source = planner.local(node, "/".join(names))
        item = planner.item(entry, source)._replace(stamp=stamp(os.stat(source)))
        item = item if planner.raw else shaped(planner.yml, entry, item)
        below = [package_name(source, name) for name in names[fixed:]]
        if item.format is not None:
            known = format_of(below[-1], maybe=True)
            below[-1] = known[1] if known else os.path.splitext(below[-1])[0]
        planner.items.append(item._replace(path=(*entry.path, *below)))
        if item.format is not None:
            planner.keep_sources(entry, planner.items[-1:])


def _partitions(
    planner: Planner, node: Node, found: Sequence[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]]:
    """Names and, for each file, values of the columns that folders such as year=2024 say. Raises Usage where they differ."""
    pairs = [
        [name.partition("=") for name in names[:-1] if not name.startswith("=") and "=" in name] for names in found
    ]
    columns = [tuple(unquote(name) for name, _, _ in each) for each in pairs]
    for names, here in zip(found, columns, strict=True):
        if here != columns[0]:
            one, other = ("/".join(path) for path in (found[0], names))
            message = f"'{one}' and '{other}' are in folders for other columns ({_list(columns[0])}; {_list(here)})"
            raise planner.yml.error(
                node, message, "give all files of a table the same folders, as in year=2024/month=1"
            )
    values = tuple(tuple(None if v == _NULL else unquote(v) for _, _, v in each) for each in pairs)
    return columns[0], values


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


# Patterns


def is_pattern(text: str) -> bool:
    """Whether it can match more than itself."""
    return bool(_MAGIC.search(text))


def _parts(pattern: str) -> list[str]:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    return [*parts, "*"] if parts[-1:] == ["**"] else parts


def _fixed(pattern: str) -> int:
    """How many names of each match stand in the pattern to the letter, but for the last."""
    parts = _parts(pattern)
    return next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)


def matching(root: str, pattern: str) -> Iterator[tuple[str, ...]]:
    """Files below `root` that match, by their names; links to folders are followed only where the pattern names them."""
    start = ("",) if pattern.startswith("/") else ()
    for names in set(_below(root, start, tuple(os.fsdecode(part.encode()) for part in _parts(pattern)))):
        if stat.S_ISREG(os.stat(_path(root, names)).st_mode):
            yield names


def _below(root: str, at: tuple[str, ...], parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What is at `at`, and matches `parts` from there on."""
    if not parts:
        yield at
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _below(root, at, rest)
        for name, is_folder in _scan(_path(root, at)):
            if is_folder and len(at) < _DEEPEST:
                yield from _below(root, (*at, name), parts)
    elif not is_pattern(part):
        if os.path.exists(_path(root, (*at, part))):
            yield from _below(root, (*at, part), rest)
    else:
        fits = re.compile(translate(part)).match
        for name, _ in _scan(_path(root, at)):
            if fits(name) and (not rest or os.path.isdir(_path(root, (*at, name)))):
                yield from _below(root, (*at, name), rest)


def _path(root: str, names: tuple[str, ...]) -> str:
    return "/" if names == ("",) else os.path.join(root, "/".join(names))


def _scan(path: str) -> list[tuple[str, bool]]:
    """Names in a folder that are not hidden, and whether they are folders themselves."""
    try:
        with os.scandir(path or os.curdir) as found:
            return [(e.name, e.is_dir(follow_symlinks=False)) for e in found if not e.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise Storage(f"cannot read the folder '{path}': {e.strerror}", "check its permissions") from None
