"""`dpk install`: bring a package from another store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg import settings, sync
from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.errors import NotFound, Usage
from dpkg.names import parse_expr
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "install",
    "Bring a package with its history and tags from another store. Only what is missing here travels; all of it is verified.",
    (
        Arg("expr", "owner/name[@revision]", completes="theirs"),
        Arg(
            "remote",
            "a folder, a URL or the name of a remote (default: the only one, or origin)",
            optional=True,
            completes="remote",
        ),
        Opt("--into", "also export it into this folder, which must be empty or absent", str, "DIR", completes="dir"),
        Opt("--force", "take the remote's branch even over local commits that it lacks"),
        STORE,
    ),
    details="Everything that arrives is decoded and checked against its oid before it counts. A store is made where there is none.",
    examples=(
        ("Bring a package from a folder:", "dpk install acme/shop ../shared"),
        ("Bring a tag, and write its tables and files into a folder:", "dpk install acme/shop@v1 origin --into shop"),
    ),
    see=("push", "export", "remote", "verify"),
    prose=True,
)


@dataclass(frozen=True)
class Installed:
    """What an install did. `bytes` as stored; `ahead` counts local commits beyond the remote's."""

    package: str
    remote: str
    commit: Oid
    tophash: Oid
    changed: bool
    objects: int
    fragments: int
    bytes: int
    tags: tuple[str, ...]
    kept_tags: tuple[str, ...]
    ahead: int
    into: str | None


def install(
    expr: str, remote: str | None = None, *, into: str | None = None, force: bool = False, store: str | None = None
) -> Installed:
    """Install a package; a store is made where there is none.

    Raises NotFound, Conflict over local commits that the remote lacks, Corrupt for anything that arrives damaged or forged.
    """
    parsed = parse_expr(expr)
    if parsed.path:
        raise Usage(
            f"'{expr}' names a part of a package, and install takes all of it", f"write: dpk install {parsed.package}"
        )
    if into:
        from dpkg import exporting

        exporting.check_target(into)
    source = _open(_remote(remote, store))
    try:
        local = Repository(store)
    except NotFound:
        source.require(parsed.package)  # no store is made for what is not there
        local = Repository(store, create=True)
    done = sync.install(local, source, parsed.package, parsed.revision, force=force)
    assert done.commit is not None
    tophash = local.commit(done.commit).tree
    if into:
        exporting.export(local.odb, tophash, None, into, "parquet")
    return Installed(
        package=parsed.package,
        remote=source.url,
        commit=done.commit,
        tophash=tophash,
        changed=done.new != done.old or bool(done.tags or done.moved.objects or done.moved.fragments),
        objects=done.moved.objects,
        fragments=done.moved.fragments,
        bytes=done.moved.bytes,
        tags=done.tags,
        kept_tags=done.kept_tags,
        ahead=done.ahead,
        into=into,
    )


def _open(place: str) -> Repository:
    try:
        return Repository(place)
    except NotFound as e:
        raise NotFound(e.message, "check the remote: 'dpk remote list' shows those that have names") from None


def _remote(remote: str | None, store: str | None) -> str:
    """The remote's place; the local store, whose remotes count, may not exist yet."""
    return settings.remote(remote, settings.load(settings.find_store(store)))


def render(result: Installed) -> Iterator[Any]:
    if result.changed:
        moved = f"{count(result.objects, 'object')} and {count(result.fragments, 'fragment')}, {shorten(result.bytes)}"
        yield (
            ("green", "installed "),
            ("bold", result.package),
            f" {result.commit[:12]} from {result.remote}: {moved}",
        )
    else:
        yield (("bold", result.package), f" {result.commit[:12]} is installed already; nothing was brought")
    if result.tags:
        yield f"tags: {', '.join(result.tags)}"
    for name in result.kept_tags:
        yield (
            ("yellow", "note: "),
            f"the remote's tag '{name}' is another commit's here, or was deleted; that was left so",
        )
    if result.ahead:
        yield f"you are {count(result.ahead, 'commit')} ahead: dpk push {result.package} {result.remote}"
    if result.into:
        yield f"exported into {result.into}"
    owner, name = result.package.split("/")
    if all(part.isidentifier() for part in (owner, name)):
        yield ("use it:  ", ("cyan", f"from dpkg.data.{owner} import {name}"))
