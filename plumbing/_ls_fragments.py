"""`dpk ls-fragments`: list the fragments of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "ls-fragments",
    "List the fragments of a table in row order: oid, rows, row bytes; with --paths only the Parquet files' paths, for other engines.",
    (
        Arg("table", "a table's oid, or owner/name[@revision]/path"),
        Opt("--paths", "print only where the files are"),
        STORE,
    ),
)


@dataclass(frozen=True)
class Fragment:
    """A fragment of a table. `path` is where its file is, null where the store is not a folder."""

    oid: Oid
    rows: int
    bytes: int
    path: str | None


class Fragments(Iterator[Fragment]):
    """The fragments, lazily; remembers whether only paths are to be shown."""

    def __init__(self, found: Iterator[Fragment], paths: bool) -> None:
        self._found, self.paths = found, paths

    def __next__(self) -> Fragment:
        return next(self._found)


def ls_fragments(table: str, *, paths: bool = False, store: str | None = None) -> Fragments:
    """The fragments of a table. Raises NotFound, Usage."""
    repository = Repository(store)
    return Fragments(_list(repository, repository.table_id(table)), paths)


def _list(repository: Repository, oid: Oid) -> Iterator[Fragment]:
    from dpkg.index import fragment_entries
    from dpkg.objects.table import Table

    table = Table.decode(repository.odb.read(oid, "table"))
    for e in fragment_entries(repository.odb, table.fragments):
        yield Fragment(e.oid, e.rows, e.bytes, repository.odb.fragment_path(e.oid))


def render(result: Fragments) -> Iterator[Any]:
    for f in result:
        yield (f.path or f.oid) if result.paths else f"{f.oid} {f.rows} {f.bytes}"
