"""`dpk export`: write tables and files into a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.errors import AlreadyExists
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "export",
    "Write a package, a folder of it or one entry into a folder: tables as Parquet (or another format), files as they were.",
    (
        Arg("expr", "owner/name[@revision][/path]"),
        Arg("dir", "the folder; it must be empty or absent", metavar="DIR"),
        Opt("--format", "of tables (default: parquet)", str, "FORMAT", ("parquet", "csv", "arrow", "jsonl")),
        STORE,
    ),
    epilog="Building an exported Parquet or Arrow folder gives the same tophash again, unless its build.yml cannot be known: keys and metadata\n"
    "are written to a build.yml beside the data.",
)


@dataclass(frozen=True)
class Exported:
    """What was written. `bytes` as on disk."""

    expr: str
    commit: Oid
    dir: str
    tables: int
    files: int
    bytes: int


def export(expr: str, dir: str, *, format: str = "parquet", store: str | None = None) -> Exported:
    """Write what `expr` names into the folder `dir`. All names are checked before the first byte is written.

    Raises AlreadyExists for a folder that is not empty, Usage for names that the file system cannot hold or would fold together.
    """
    repository = Repository(store)
    parsed, oid, commit, entry = repository.entry(expr)
    from dpkg import exporting

    check_target(dir)
    done = exporting.export(repository.odb, commit.tree if entry is None or entry.type == "tree" and not parsed.path else None, entry, dir, format)
    return Exported(str(parsed), oid, os.path.abspath(dir), done.tables, done.files, done.bytes)


def export_tree(repository: Repository, tree: Oid, dir: str, format: str = "parquet") -> None:
    """Write a whole tree into a folder."""
    from dpkg import exporting

    exporting.export(repository.odb, tree, None, dir, format)


def check_target(dir: str) -> None:
    """Raises AlreadyExists unless the folder is absent or empty."""
    if os.path.isdir(dir):
        with os.scandir(dir) as found:
            if next(found, None) is not None:
                raise AlreadyExists(f"the folder '{dir}' is not empty", "choose another one, or empty it")
    elif os.path.lexists(dir):
        raise AlreadyExists(f"'{dir}' exists and is not a folder", "choose another place")


def render(result: Exported) -> Iterator[Any]:
    made = f"{count(result.tables, 'table')} and {count(result.files, 'file')}, {shorten(result.bytes)}"
    yield (("green", "exported "), ("bold", result.expr), f" into {result.dir}: {made}")
