"""`dpk show-ref`: list branches and tags."""

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
    "show-ref",
    "List the branches and tags of a package, or of all: commit, then package/heads/NAME or package/tags/NAME.",
    (Arg("package", "owner/name (default: all)", optional=True, completes="package"), STORE),
    output="A line for each ref: OID, a space, OWNER/NAME/heads/BRANCH or OWNER/NAME/tags/TAG.",
    examples=(("List the branches and tags of a package:", "dpk show-ref acme/shop"),),
    see=("rev-parse", "update-ref", "tag"),
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
    return _list(repository, [package] if package else list(repository.refs.packages()))


def _list(repository: Repository, packages: list[str]) -> Iterator[Ref]:
    for package in packages:
        for kind, found in (("heads", repository.refs.heads(package)), ("tags", repository.refs.tags(package))):
            for name, entry in found.items():
                value = repository.refs.value(package, kind, name)
                if value is not None:
                    yield Ref(value, package, kind, name, entry.n)


def render(result: Iterator[Ref]) -> Iterator[Shown]:
    for r in result:
        yield f"{r.oid} {r.package}/{r.kind}/{r.name}"
