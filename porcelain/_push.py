"""`dpk push`: send a package to another store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.errors import Usage
from dpkg.names import parse_expr
from dpkg.repository import Repository
from dpkg.transfer import sync

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "push",
    "Send a package with its history and tags to another store. Only what is missing there travels.",
    (
        Arg("package", "owner/name", completes="package"),
        Arg(
            "remote",
            "a folder, a URL or the name of a remote (default: the only one, or origin)",
            optional=True,
            completes="remote",
        ),
        Opt("--rebase", "put your commits on top of those that the remote has and you lack"),
        Opt("--force", "move the remote's branch even if that drops commits from it"),
        STORE,
    ),
    details="The remote's branch moves only forward: where it has commits that are lacking here, nothing moves and it ends with 5. "
    "A store is made at the remote where there is none. What was sent before an interruption is not sent again.",
    examples=(
        ("Send a package to a folder:", "dpk push acme/shop ../shared"),
        ("Put your commits on top of the remote's, and send them:", "dpk push acme/shop origin --rebase"),
    ),
    see=("install", "remote"),
    prose=True,
)


@dataclass(frozen=True)
class Pushed:
    """What a push did: the remote's branch before and after. `bytes` as stored; `ahead` counts the remote's commits beyond yours."""

    package: str
    remote: str
    old: Oid | None
    new: Oid | None
    objects: int
    fragments: int
    bytes: int
    tags: tuple[str, ...]
    kept_tags: tuple[str, ...]
    ahead: int
    rebased: int


def push(
    package: str, remote: str | None = None, *, rebase: bool = False, force: bool = False, store: str | None = None
) -> Pushed:
    """Send a package; a store is made at the remote where there is none.

    Raises Conflict where the remote has commits that are lacking here, AlreadyExists for a tag that has another value there.
    """
    expr = parse_expr(package)
    if expr.revision or expr.path:
        raise Usage(f"'{package}' names more than a package", f"write: dpk push {expr.package}")
    if rebase and force:
        raise Usage("--rebase and --force exclude each other")
    local = Repository(store)
    local.require(expr.package)
    target = Repository(local.remote(remote), create=True)
    done = sync.push(local, target, expr.package, rebase=rebase, force=force)
    moved = done.moved
    return Pushed(
        package=expr.package,
        remote=target.url,
        old=done.old,
        new=done.new,
        objects=moved.objects,
        fragments=moved.fragments,
        bytes=moved.bytes,
        tags=done.tags,
        kept_tags=done.kept_tags,
        ahead=done.ahead,
        rebased=done.rebased,
    )


def render(result: Pushed) -> Iterator[Any]:
    if result.rebased:
        yield f"put {count(result.rebased, 'commit')} on top of the remote's"
    if result.old == result.new and not result.tags:
        yield (("bold", result.package), f" is up to date at {result.remote}; nothing was sent")
    else:
        moved = f"{count(result.objects, 'object')} and {count(result.fragments, 'fragment')}, {shorten(result.bytes)}"
        old = f"{result.old[:12]}.." if result.old and result.old != result.new else ""
        yield (
            ("green", "pushed "),
            ("bold", result.package),
            f" {old}{(result.new or '')[:12]} to {result.remote}: {moved}",
        )
    if result.tags:
        yield f"tags: {', '.join(result.tags)}"
    for name in result.kept_tags:
        yield (("yellow", "note: "), f"the tag '{name}' was deleted at the remote; it was not sent")
    if result.ahead:
        yield f"the remote is {count(result.ahead, 'commit')} ahead: dpk install {result.package} {result.remote}"
