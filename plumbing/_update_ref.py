"""`dpk update-ref`: move a branch, if it is where you think it is; or make a tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.names import MAIN, valid_package
from dpkg.oid import Oid
from dpkg.repository import Repository

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
        Opt("--tag", "make this tag instead: it never moves, so OLD is none or left out", str, "NAME"),
        Opt("-m --message", "why, for the ref log", str, "TEXT"),
        STORE,
    ),
    output="Nothing.",
    examples=(
        ("Move main back to a tag, whatever it is now:", 'dpk update-ref acme/shop acme/shop@v1 -m "back to v1"'),
        ("Begin a branch, if there is none:", "dpk update-ref acme/shop acme/shop@v1 none --branch fix"),
        ("Make a tag of a commit:", "dpk update-ref acme/shop 3fa9c1d2 none --tag v2"),
    ),
    see=("commit-tree", "show-ref", "rev-parse"),
)


@dataclass(frozen=True)
class Updated:
    """A branch and where it moved, or a tag and where it is."""

    package: str
    branch: str | None  # null: it is a tag
    old: Oid | None
    new: Oid
    tag: str | None = None


def update_ref(
    package: str,
    new: str,
    old: str | None = None,
    *,
    branch: str | None = None,
    tag: str | None = None,
    message: str = "",
    store: str | None = None,
) -> Updated:
    """Compare and set a branch (default: main), or make a tag.

    Raises Conflict where the branch is not at `old`, AlreadyExists for a tag that is there, NotFound for a commit that is not stored.
    """
    if tag is not None and (branch is not None or old not in (None, "none")):
        raise Usage("a tag is no branch, and never moves", "give --tag without --branch, and OLD as none or not at all")
    valid_package(package)
    repository = Repository(store)
    target = repository.object_id(new)
    if (kind := repository.odb.kind(target)) != "commit":
        raise Usage(f"{target} is a {kind}, and a ref names a commit")
    if tag is not None:
        repository.make_tag(package, tag, target, message)
        return Updated(package, None, None, target, tag)
    branch = MAIN if branch is None else branch
    expected = None if old in (None, "none") else repository.object_id(old)
    expected = repository.set_branch(package, target, expected, message or "update-ref", branch, force=old is None)
    return Updated(package, branch, expected, target)


def render(result: Updated) -> Iterator[Shown]:
    yield from ()
