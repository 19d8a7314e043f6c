"""`dpk update-ref`: move a branch, if it is where you think it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.names import valid_package
from dpkg.oid import Oid
from dpkg.repository import MAIN, Repository

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "update-ref",
    "Move a branch of a package to a commit. With OLD only if it is there now: else it ends with 5 and nothing moves.",
    (
        Arg("package", "owner/name", completes="package"),
        Arg("new", "the commit", completes="commit"),
        Arg(
            "old",
            "the commit expected there now, or 'none' for a new branch (default: whatever is there)",
            optional=True,
            completes="commit",
        ),
        Opt("--branch", "the branch (default: main)", str, "NAME", completes="branch"),
        Opt("-m --message", "why, for the ref log", str, "TEXT"),
        STORE,
    ),
    output="Nothing.",
    examples=(
        ("Move main back to a tag, whatever it is now:", 'dpk update-ref acme/shop acme/shop@v1 -m "back to v1"'),
        ("Begin a branch, if there is none:", "dpk update-ref acme/shop acme/shop@v1 none --branch fix"),
    ),
    see=("commit-tree", "show-ref", "rev-parse"),
)


@dataclass(frozen=True)
class Updated:
    """A branch and where it moved."""

    package: str
    branch: str
    old: Oid | None
    new: Oid


def update_ref(
    package: str,
    new: str,
    old: str | None = None,
    *,
    branch: str = MAIN,
    message: str = "",
    store: str | None = None,
) -> Updated:
    """Compare and set. Raises Conflict where the branch is not at `old`, NotFound for a commit that is not stored."""
    valid_package(package)
    repository = Repository(store)
    target = repository.object_id(new)
    if (kind := repository.odb.kind(target)) != "commit":
        raise Usage(f"{target} is a {kind}, and a branch names a commit")
    if old is None:
        expected = repository.tip(package, branch)
    else:
        expected = None if old == "none" else repository.object_id(old)
    repository.move(package, target, expected, message or "update-ref", branch)
    return Updated(package, branch, expected, target)


def render(result: Updated) -> Iterator[Shown]:
    yield from ()
