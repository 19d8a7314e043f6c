"""`dpk export`: write tables and files into a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "export",
    "Write a package, a folder of it or one entry into a folder: tables as Parquet (or another format), files as they were.",
    (
        Arg("expr", "owner/name[@revision][/path]", completes="expr"),
        Arg("dir", "the folder; it must be empty or absent", metavar="DIR", completes="dir"),
        Opt("--format", "of tables (default: parquet)", str, "FORMAT", ("parquet", "csv", "arrow", "jsonl")),
        STORE,
    ),
    epilog="Building an exported Parquet or Arrow folder gives the same tophash again: keys and metadata are in a build.yml "
    "beside the data.\n"
    "Parquet cannot hold fixed-size lists that are null, nor CSV all texts and nulls: nothing is written then, and the "
    "error names the column. Arrow holds every table.",
    examples=(
        ("Write a package into a folder:", "dpk export acme/shop out"),
        ("One table, as CSV:", "dpk export acme/shop@v1/sales out --format csv"),
    ),
    see=("install", "cat-fragment"),
    prose=True,
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
    """Write what `expr` names into the folder `dir`. All names are tried before the first byte is written.

    Raises AlreadyExists for a folder that is not empty, Usage for names that the file system cannot hold or would fold together.
    """
    from dpkg import exporting

    repository = Repository(store)
    parsed, oid, commit, entry = repository.entry(expr)
    done = exporting.export(repository.odb, None if entry else commit.tree, entry, dir, format)
    return Exported(str(parsed), oid, os.path.abspath(os.path.expanduser(dir)), done.tables, done.files, done.bytes)


def render(result: Exported) -> Iterator[Any]:
    made = f"{count(result.tables, 'table')} and {count(result.files, 'file')}, {shorten(result.bytes)}"
    yield (("green", "exported "), ("bold", result.expr), f" into {result.dir}: {made}")
