"""`dpk tag`: give a commit a name that never moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.names import parse_expr, valid_ref
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "tag",
    "Give a commit a name. A tag never moves, and its name is not used again.",
    (
        Arg("package", "owner/name"),
        Arg("name", "the tag, for example v1.2"),
        Arg("revision", "the commit (default: latest)", optional=True),
        Opt("-m --message", "why", str, "TEXT"),
        STORE,
    ),
)


@dataclass(frozen=True)
class Tagged:
    """A tag and its commit; `created` is False where it was there with the same value."""

    package: str
    tag: str
    commit: Oid
    tophash: Oid
    created: bool


def tag(package: str, name: str, revision: str | None = None, *, message: str = "", store: str | None = None) -> Tagged:
    """Create a tag. Raises NotFound for the revision, AlreadyExists where the tag has another value or had one."""
    expr = parse_expr(package)
    if expr.revision or expr.path:
        raise Usage(f"'{package}' names more than a package", f"write: dpk tag {expr.package} {name} {expr.revision or 'REVISION'}")
    valid_ref(name)
    repository = Repository(store)
    repository.require(expr.package)
    commit = repository.revision(expr.package, revision or "latest")
    tophash = repository.commit(commit).tree
    if repository.refs.value(expr.package, "tags", name) == commit:
        return Tagged(expr.package, name, commit, tophash, False)
    repository.refs.create_tag(expr.package, name, commit, who=repository.author(), why=message)
    return Tagged(expr.package, name, commit, tophash, True)


def render(result: Tagged) -> Iterator[Any]:
    said = "tagged " if result.created else "already tagged: "
    yield (said, ("bold", f"{result.package}@{result.tag}"), f" is {result.commit[:12]}  tophash {result.tophash[:12]}")
