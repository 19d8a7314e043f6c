"""`dpk apply-diff`: store the table that a row diff makes of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "apply-diff",
    "Store the table that a row diff makes of another one, and print its oid. Nothing is published.",
    (
        Arg("table", "the old table: its oid, or owner/name[@revision]/path", completes="expr"),
        Arg("file", "a row diff of 'dpk diff --format arrow' or 'parquet'", completes="file"),
        STORE,
    ),
    details="The table is the one that the row diff was made to, to the last bit, or nothing is said to be stored: a row diff names "
    "both tables, and a row that it takes away must be the table's. It is read as a stream, in little memory.",
    output="The oid of the new table.",
    examples=(
        (
            "Send what changed in a table as one file, and apply it elsewhere:",
            "dpk diff acme/shop@v1..v2 sales --format parquet -o sales.parquet; dpk apply-diff acme/shop@v1/sales sales.parquet",
        ),
    ),
    see=("diff", "write-table", "mktree"),
)


@dataclass(frozen=True)
class Applied:
    """A stored table. `bytes` are row bytes."""

    oid: Oid
    old: Oid  # the table that it was made of
    rows: int
    bytes: int


def apply_diff(table: str, file: str, *, store: str | None = None) -> Applied:
    """Apply a row diff. Raises NotFound, Format for a file that is none, Usage for one that is not of this table."""
    from dpkg import tables
    from dpkg.diffing import patch

    repository = Repository(store)
    odb, old = repository.odb, repository.table_id(table)
    with patch.opened(file) as (head, batches):
        oid, made = patch.apply(odb, tables.read_table_object(odb, old), head, batches, odb)
    odb.sync()
    return Applied(oid, old, made.rows, made.bytes)


def render(result: Applied) -> Iterator[Shown]:
    yield result.oid
