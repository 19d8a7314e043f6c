"""`dpk ls-tree`: list a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.listing import NULL, quote, records
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "ls-tree",
    "List a tree: type, oid, bytes and name of each entry; with -r all tables and blobs below it.",
    (
        Arg("tree", "the oid of a tree or commit, or owner/name[@revision][/path]", completes="expr"),
        Opt("-r --recursive", "the entries of folders instead of folders"),
        NULL,
        STORE,
    ),
    epilog="A name that holds \", \\ or a character that is not printable stands in double quotes with C's escapes, as git writes it;"
    " with -z and --json names are as they are. 'dpk mktree' reads all three.",
    output="A line for each entry, in the bytewise order of their names: TYPE OID BYTES, a tab, PATH. An entry with user metadata has"
    " the oid of its blob after BYTES: TYPE OID BYTES META.",
    examples=(
        ("List a package:", "dpk ls-tree acme/shop"),
        ("All tables and blobs of a revision:", "dpk ls-tree -r acme/shop@v1"),
    ),
    see=("ls", "mktree", "diff-tree", "cat-object", "write-tree"),
)


@dataclass(frozen=True)
class Entry:
    """An entry of a tree."""

    type: str
    oid: Oid
    bytes: int
    rows: int
    path: str
    meta: Oid | None  # the blob of its user metadata


def ls_tree(tree: str, *, recursive: bool = False, store: str | None = None) -> Iterator[Entry]:
    """The entries in bytewise order of their names. Raises NotFound, Usage."""
    from dpkg.index import tree_entries, walk

    repository = Repository(store)
    root = repository.tree_id(tree)
    if recursive:
        found = ((path, e) for path, e in walk(repository.odb, root) if e.type != "tree")
    else:
        found = ((e.name, e) for e in tree_entries(repository.odb, root))
    return (Entry(e.type, e.oid, e.bytes, e.rows, path, e.meta) for path, e in found)


def render(result: Iterator[Entry], null: bool = False) -> Iterator[Shown]:
    name = str if null else quote
    lines = (f"{e.type} {e.oid} {e.bytes}{f' {e.meta}' if e.meta else ''}\t{name(e.path)}" for e in result)
    yield from records(lines, null)
