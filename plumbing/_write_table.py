"""`dpk write-table`: store a table from a file or standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.arrow.options import TRANSFORMS
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid

COMMAND = Command(
    "write-table",
    "Store a table and print its oid. Nothing is published.",
    (
        Arg("file", "a file, or - for standard input (Arrow, Parquet, or text with --format)", completes="file"),
        Opt("--format", "how to read it (default: by the file's name or first bytes)", str, "FORMAT", TRANSFORMS),
        Opt("--key", "a column of the key; may be given more than once", str, "COLUMN", many=True),
        STORE,
    ),
    output="The oid of the table.",
    examples=(("Store a table with a key:", "dpk write-table sales.csv --key day --key shop"),),
    see=("hash-object", "ls-fragments", "write-tree"),
)


@dataclass(frozen=True)
class Written:
    """A stored table. `bytes` are row bytes."""

    oid: Oid
    rows: int
    bytes: int
    target_rows: int
    columns: tuple[str, ...]


def write_table(file: str, *, format: str | None = None, key: Sequence[str] = (), store: str | None = None) -> Written:
    """Store a table; a store is made where there is none.

    Raises NotFound, Format, CheckFailed for a key that is not unique.
    """
    odb = Repository(store, create=True).odb
    oid, table = store_table(odb, file, format, tuple(key))
    odb.sync()
    return Written(oid, table.rows, table.bytes, table.target_rows, tuple(table.names))


def store_table(odb: Odb, file: str, format: str | None, key: tuple[str, ...]) -> tuple[Oid, Table]:
    """Read one table from a file or standard input into an odb."""
    from dpkg.arrow.readers import format_of, open_stream, stream
    from dpkg.compiler.compile import compile_table
    from dpkg.compiler.plan import Item
    from dpkg.tables import write_table as write

    if file != "-":
        known = format or (format_of(os.path.basename(file), maybe=True) or (None,))[0]
        if known is None:
            raise Usage(
                f"'{file}' does not say by its name what format it is",
                f"give --format {', '.join(TRANSFORMS[:-1])} or {TRANSFORMS[-1]}",
            )
        return compile_table(odb, Item((file,), file, known, key=key))[:2]
    source = open_stream(sys.stdin.buffer, format)
    try:
        return stream(source, lambda schema, batches: write(odb, batches, schema, key))
    finally:
        source.close()


def render(result: Written) -> Iterator[Shown]:
    yield result.oid
