"""`dpk hash-object`: compute an object id, and with -w store the object."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.odb import Odb
from dpkg.repository import Repository
from dpkg.store import open_backend

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "hash-object",
    "Print the object id of files: as blobs, or with --table as tables. With -w also store them.",
    (
        Arg("files", "files", many=True, optional=True),
        Opt("-w --write", "store the objects"),
        Opt("--stdin", "read one from standard input"),
        Opt("--table", "read them as tables: csv, tsv, parquet, arrow, jsonl"),
        Opt("--format", "the format of tables (default: by the file's name or first bytes)", str, "FORMAT"),
        STORE,
    ),
)


@dataclass(frozen=True)
class Hashed:
    """An object's id, kind and size: bytes of a blob, row bytes of a table."""

    oid: Oid
    type: str
    bytes: int
    source: str


def hash_object(
    files: tuple[str, ...] = (),
    *,
    write: bool = False,
    stdin: bool = False,
    table: bool = False,
    format: str | None = None,
    store: str | None = None,
) -> Iterator[Hashed]:
    """The ids of files, in order. Raises NotFound, Format."""
    if stdin == bool(files):
        raise Usage("nothing to hash" if not stdin else "--stdin and files exclude each other", "name files, or give --stdin")
    if write:
        odb = Repository(store, create=True).odb
    else:
        odb = Odb(open_backend("memory://"))
    for name in files or ("-",):
        yield _table(odb, name, format) if table else _blob(odb, name)
    odb.sync()


def _blob(odb: Odb, name: str) -> Hashed:
    oid, size = odb.write_blob_file(sys.stdin.buffer if name == "-" else name)
    return Hashed(oid, "blob", size, name)


def _table(odb: Odb, name: str, format: str | None) -> Hashed:
    from dpkg.plumbing._write_table import store_table

    oid, made = store_table(odb, name, format, ())
    return Hashed(oid, "table", made.bytes, name)


def render(result: Iterator[Hashed]) -> Iterator[Any]:
    for h in result:
        yield h.oid
