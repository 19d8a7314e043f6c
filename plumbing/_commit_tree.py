"""`dpk commit-tree`: make a commit of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "commit-tree",
    "Store a commit of a tree and print its oid. No ref moves: 'dpk update-ref' does that.",
    (
        Arg("tree", "the oid of a tree, or an expression that names one", completes="expr"),
        Opt(
            "-p --parent", "a parent commit; may be given more than once", str, "COMMIT", many=True, completes="commit"
        ),
        Opt("-m --message", "what changed and why", str, "TEXT"),
        Opt("--author", "who (default: DPK_AUTHOR, the config, git's user, the login name)", str, "NAME"),
        STORE,
    ),
    output="The oid of the commit.",
    examples=(
        ("Commit a tree on top of the newest commit:", 'dpk commit-tree acme/shop@v1 -p acme/shop -m "as in v1"'),
    ),
    see=("write-tree", "update-ref", "build"),
)


@dataclass(frozen=True)
class Committed:
    """A stored commit."""

    oid: Oid
    tophash: Oid
    parents: tuple[Oid, ...]


def commit_tree(
    tree: str,
    *,
    parent: Sequence[str] = (),
    message: str = "",
    author: str | None = None,
    store: str | None = None,
) -> Committed:
    """Store a commit. Raises NotFound for a tree or parent that is not stored, Usage for what is none."""
    repository = Repository(store)
    root = repository.tree_id(tree)
    parents = tuple(repository.object_id(p) for p in parent)
    for p in parents:
        if (kind := repository.odb.kind(p)) != "commit":
            raise Usage(f"{p} is a {kind}, and a parent is a commit")
    if len(set(parents)) < len(parents):
        raise Usage("the same parent is named twice")
    oid = repository.make_commit(root, parents, message, author)
    repository.odb.sync()
    return Committed(oid, root, parents)


def render(result: Committed) -> Iterator[Shown]:
    yield result.oid
