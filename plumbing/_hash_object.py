"""`dpk hash-object`: compute an object id, and with -w store the object."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import NotFound, Storage, Usage
from dpkg.listing import Listed, read_records, records
from dpkg.odb import Odb
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "hash-object",
    "Print the object id of files: as blobs, or with --table as tables. With -w also store them.",
    (
        Arg("files", "files; - is standard input", many=True, optional=True, completes="file"),
        Opt("-w --write", "store the objects"),
        Opt("--stdin", "read standard input"),
        Opt("--stdin-paths", "read the names of files from standard input, one a line"),
        Opt("-z --null", "with --stdin-paths names end with a NUL, and so do the ids printed"),
        Opt("--table", "read them as tables: csv, tsv, parquet, arrow, jsonl"),
        Opt("--format", "the format of tables (default: by the file's name or first bytes)", str, "FORMAT"),
        STORE,
    ),
    output="An oid a line, in the order of the files.",
    examples=(
        ("Print the id of a file; b3sum prints the same:", "dpk hash-object README.md"),
        ("Store what comes through a pipe:", "printf hello | dpk hash-object -w --stdin"),
    ),
    see=("cat-object", "write-table"),
)


@dataclass(frozen=True)
class Hashed:
    """An object's id, type and size: bytes of a blob, row bytes of a table. `source` as it was named."""

    oid: Oid
    type: str
    bytes: int
    source: str


def hash_object(
    files: Sequence[str] = (),
    *,
    write: bool = False,
    stdin: bool = False,
    stdin_paths: bool = False,
    null: bool = False,
    table: bool = False,
    format: str | None = None,
    store: str | None = None,
) -> Listed[Hashed]:
    """The ids of files, in order, each computed when it is asked for. With `write` a store is made where there is none.

    Raises NotFound, Format, Usage.
    """
    if (given := stdin + stdin_paths + bool(files)) != 1:
        said = "files, --stdin and --stdin-paths exclude each other" if given else "nothing to hash"
        raise Usage(said, "name files, or give --stdin or --stdin-paths")
    names: Iterable[str] = ["-"] if stdin else [files] if isinstance(files, str) else files
    if stdin_paths:
        names = ("./-" if name == "-" else name for name in read_records(null, "surrogateescape"))
    if format and not table:
        raise Usage("--format is for tables", "give --table too")
    odb = Repository(store, create=True).odb if write else None
    return Listed(_hash(odb, names, table, format), null)


def _hash(odb: Odb | None, names: Iterable[str], table: bool, format: str | None) -> Iterator[Hashed]:
    for name in names:
        if table:
            from dpkg.plumbing._write_table import store_table
            from dpkg.store.memory import Nowhere

            oid, made = store_table(odb or Odb(Nowhere()), name, format, ())
            yield Hashed(oid, "table", made.bytes, name)
        else:
            source = sys.stdin.buffer if name == "-" else name
            oid, size = odb.write_blob_file(source) if odb else _blob(source)
            yield Hashed(oid, "blob", size, name)
    if odb:
        odb.sync()


def _blob(source: str | BinaryIO) -> tuple[Oid, int]:
    """The oid and length of a blob that is not stored."""
    from dpkg.objects import frame
    from dpkg.oid import Oid

    if isinstance(source, str):
        try:
            with open(source, "rb") as file:
                return _blob(file)
        except FileNotFoundError:
            raise NotFound(f"there is no file '{source}'") from None
        except OSError as e:
            raise Storage(f"cannot read '{source}': {e.strerror}") from None
    hasher, length = frame.new_hasher(frame.BLOB), 0
    while data := source.read(frame.RANGE):
        hasher.update(data)
        length += len(data)
    return Oid(hasher.hexdigest()), length


def render(result: Listed[Hashed]) -> Iterator[Shown]:
    yield from records((h.oid for h in result), result.null)
