"""`dpk ls-fragments`: list the fragments of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.listing import NULL, quote, records
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "ls-fragments",
    "List the fragments of a table in row order: oid, rows, row bytes; or their Parquet files, for other engines.",
    (
        Arg("table", "a table's oid, or owner/name[@revision]/path", completes="expr"),
        Opt("--paths", "where the files are; one that is in a pack is written out first"),
        NULL,
        STORE,
    ),
    output="A line for each fragment: OID ROWS BYTES; with --paths the path of its Parquet file, with -z as it is, else quoted if"
    " it holds quotes or control characters.",
    examples=(
        ("List the fragments of a table:", "dpk ls-fragments acme/shop/sales"),
        ("Hand their files to another engine:", "dpk ls-fragments --paths acme/shop@v1/sales"),
    ),
    see=("cat-fragment", "ls-tree"),
)


@dataclass(frozen=True)
class Fragment:
    """A fragment of a table, with its rows and row bytes. `path` is where its file is, if paths were asked for."""

    oid: Oid
    rows: int
    bytes: int
    path: str | None


def ls_fragments(table: str, *, paths: bool = False, store: str | None = None) -> Iterator[Fragment]:
    """The fragments of a table, read as they are asked for.

    Raises NotFound; Usage for paths where the store is no folder; Denied where a packed fragment cannot be written out.
    """
    from dpkg.index import fragment_entries
    from dpkg.odb import is_remote
    from dpkg.tables import read_table_object

    repository = Repository(store)
    odb = repository.odb
    found = read_table_object(odb, repository.table_id(table))
    if paths and is_remote(odb.backend):
        raise Usage(
            f"{repository.url} is not a folder, its fragments have no paths", "install the package into a folder"
        )
    entries = fragment_entries(odb, found.fragments)
    return (Fragment(e.oid, e.rows, e.bytes, odb.fragment_path(e.oid) if paths else None) for e in entries)


def render(result: Iterator[Fragment], null: bool = False) -> Iterator[Shown]:
    name = str if null else quote
    yield from records((name(f.path) if f.path else f"{f.oid} {f.rows} {f.bytes}" for f in result), null)
