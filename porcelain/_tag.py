"""`dpk tag`: give a commit a name that never moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import settings
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
        Opt("--require-reviewed", "only if what changed since the tag before was accepted by 'dpk review accept'"),
        STORE,
    ),
    epilog="'dpk config review.require true' requires it always.",
    details="The same tag on the same commit again is no error. A tag that has another value, or had one, is refused with 4, what was "
    "not accepted with 9.\n"
    "What has to be accepted is the diff from the nearest commit before that has a tag, in one step or several; without one, all "
    "of it ('dpk help review').",
    examples=(
        ("Name the newest commit:", "dpk tag acme/shop v1"),
        ("Name it if what changed was accepted:", "dpk tag acme/shop v2 --require-reviewed"),
        ("Name the one before it, and say why:", 'dpk tag acme/shop v0.9 latest~1 -m "as delivered"'),
    ),
    see=("log", "review", "rm", "show-ref"),
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


def tag(
    package: str,
    name: str,
    revision: str = "latest",
    *,
    message: str = "",
    require_reviewed: bool = False,
    store: str | None = None,
) -> Tagged:
    """Create a tag.

    Raises NotFound for the revision, AlreadyExists where the tag has another value or had one, or a branch has its
    name; CheckFailed where acceptances are required and there are none.
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
    if require_reviewed or settings.review_required(repository.config()):
        from dpkg.diffing.accepting import require

        require(repository, expr.package, commit, store)
    repository.make_tag(expr.package, name, commit, message)
    return Tagged(expr.package, name, commit, found.tree, True)


def render(result: Tagged) -> Iterator[Shown]:
    said = "tagged " if result.created else "already tagged: "
    yield (
        said,
        ("bold", f"{result.package}@{result.tag}"),
        f" is {result.commit[:12]}  tophash {result.tophash[:12]}",
    )
