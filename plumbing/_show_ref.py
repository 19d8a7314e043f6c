"""`dpk show-ref`: list branches and tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command
from dpkg.listing import NULL, records
from dpkg.refs.patterns import each_ref, refs_of
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "show-ref",
    "List the branches and tags of a package, or of all: commit, then package/heads/NAME or package/tags/NAME.",
    (Arg("package", "owner/name (default: all)", optional=True, completes="package"), NULL, STORE),
    output="A line for each ref: OID, a space, OWNER/NAME/heads/BRANCH or OWNER/NAME/tags/TAG.",
    examples=(("List the branches and tags of a package:", "dpk show-ref acme/shop"),),
    see=("for-each-ref", "ls-remote", "rev-parse", "update-ref", "tag"),
)


@dataclass(frozen=True)
class Ref:
    """A branch or tag: its commit, and the number of its newest log entry."""

    oid: Oid
    package: str
    kind: str
    name: str
    n: int


def show_ref(package: str | None = None, *, store: str | None = None) -> Iterator[Ref]:
    """Branches, then tags, of each package. Raises NotFound."""
    repository = Repository(store)
    if package is not None:
        repository.require(package)
    found = refs_of(repository.refs, package) if package else each_ref(repository.refs)
    return (Ref(r.oid, r.package, r.kind, r.name, r.entry.n) for r in found)


def render(result: Iterator[Ref], null: bool = False) -> Iterator[Shown]:
    yield from records((f"{r.oid} {r.package}/{r.kind}/{r.name}" for r in result), null)
