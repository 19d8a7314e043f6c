"""`dpk tag`: give a commit a name that never moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import AlreadyExists, Usage
from dpkg.names import parse_expr, valid_ref
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "tag",
    "Give a commit a name. A tag never moves, and its name is not used again.",
    (
        Arg("package", "owner/name", completes="package"),
        Arg("name", "the tag, for example v1.2"),
        Arg("revision", "the commit (default: latest)", optional=True, completes="revision"),
        Opt("-m --message", "why", str, "TEXT"),
        STORE,
    ),
    details="The same tag on the same commit again is no error. A tag that has another value, or had one, is refused with 4.",
    examples=(
        ("Name the newest commit:", "dpk tag acme/shop v1"),
        ("Name the one before it, and say why:", 'dpk tag acme/shop v0.9 latest~1 -m "as delivered"'),
    ),
    see=("log", "rm", "show-ref"),
    prose=True,
)


@dataclass(frozen=True)
class Tagged:
    """A tag and its commit; `created` is False where it was there with the same value."""

    package: str
    tag: str
    commit: Oid
    tophash: Oid
    created: bool


def tag(package: str, name: str, revision: str = "latest", *, message: str = "", store: str | None = None) -> Tagged:
    """Create a tag.

    Raises NotFound for the revision, AlreadyExists where the tag has another value or had one, or a branch has its
    name.
    """
    expr = parse_expr(package)
    if expr.revision or expr.path:
        hint = f"write: dpk tag {expr.package} {name} {expr.revision or 'REVISION'}"
        raise Usage(f"'{package}' names more than a package", hint)
    valid_ref(name)
    wanted = parse_expr(f"{expr.package}@{revision}")
    if wanted.path:
        raise Usage(f"'{revision}' is not a revision", "write 'latest', a branch, a tag, or the start of a commit")
    repository = Repository(store).snapshot(expr.package)
    _, commit, found = repository.resolve(wanted)
    if repository.refs.value(expr.package, "tags", name) == commit:
        return Tagged(expr.package, name, commit, found.tree, False)
    if name in repository.refs.heads(expr.package):
        raise AlreadyExists(f"'{expr.package}' has a branch '{name}', which the tag would hide", "choose another name")
    repository.make_tag(expr.package, name, commit, message)
    return Tagged(expr.package, name, commit, found.tree, True)


def render(result: Tagged) -> Iterator[Shown]:
    said = "tagged " if result.created else "already tagged: "
    yield (
        said,
        ("bold", f"{result.package}@{result.tag}"),
        f" is {result.commit[:12]}  tophash {result.tophash[:12]}",
    )
