"""`dpk rev-parse`: print the object id that an expression names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.listing import NULL, records
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "rev-parse",
    "Print the oid that an expression names: a commit's, with a path the entry's, with --tophash that of its tree.",
    (
        Arg("expr", "owner/name[@revision][/path], or a prefix of an oid", completes="expr"),
        Opt("--tophash", "the tree of the commit"),
        NULL,
        STORE,
    ),
    output="The oid.",
    examples=(
        ("Print the commit that a tag names:", "dpk rev-parse acme/shop@v1"),
        ("Print the tophash to pin:", "dpk rev-parse --tophash acme/shop"),
    ),
    see=("show-ref", "rev-list", "check-ref-format", "cat-object"),
)


@dataclass(frozen=True)
class Parsed:
    """What an expression names."""

    expr: str
    oid: Oid
    type: str


def rev_parse(expr: str, *, tophash: bool = False, store: str | None = None) -> Parsed:
    """The object of an expression. Raises NotFound, Usage; an ambiguous prefix lists its candidates."""
    repository = Repository(store)
    oid = repository.tree_id(expr) if tophash else repository.object_id(expr)
    return Parsed(expr, oid, repository.odb.kind(oid))


def render(result: Parsed, null: bool = False) -> Iterator[Shown]:
    yield from records([result.oid], null)
