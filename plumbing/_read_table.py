"""`dpk read-table`: print the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import rowstream
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.repository import Repository
from dpkg.rowstream import FORMATS, check_format, pick, show

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "read-table",
    "Print the rows of a table, verified, as an Arrow stream, CSV, JSON lines or Parquet.",
    (
        Arg("table", "a table's oid, or owner/name[@revision]/path", completes="expr"),
        Opt("--format", "the output (default: arrow)", str, "FORMAT", tuple(FORMATS)),
        Opt(
            "--columns", "a column, or several separated by commas; may be given more than once", str, "A,B", many=True
        ),
        STORE,
    ),
    epilog="""Rows come as they are read, in any number, in little memory; only the columns asked for are read, in the order given.
A column whose name holds a comma is named by a --columns of its own.
'arrow' is the Arrow IPC stream format; it and Parquet are not printed to a terminal.
Parquet cannot hold fixed-size lists that are null, nor CSV all texts and nulls: the error names the column.""",
    output="The rows in the format, and nothing else.",
    examples=(
        ("Into a file for DuckDB:", "dpk read-table acme/sales/transactions --format parquet > t.parquet"),
        ("One column as text:", "dpk read-table acme/sales@v1/transactions --columns id --format csv"),
    ),
    see=("write-table", "cat-fragment", "ls-fragments", "export"),
)


@dataclass(frozen=True)
class Rows(rowstream.Rows):
    """The rows of a table, an Arrow record batch for each fragment."""


def read_table(table: str, *, format: str = "arrow", columns: Sequence[str] = (), store: str | None = None) -> Rows:
    """The rows of a table, a batch for each fragment, all columns if none are named.

    Raises NotFound, Corrupt, Usage for an unknown column or format.
    """
    from dpkg import tables

    check_format(format)
    repository = Repository(store)
    oid = repository.table_id(table)
    found = tables.read_table_object(repository.odb, oid)
    wanted = pick(columns, found.names)
    return Rows(oid, format, tables.user_schema(found, wanted), tables.scan(repository.odb, found, wanted))


def render(result: Rows) -> Iterator[Shown]:
    yield from show(result)
