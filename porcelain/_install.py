"""`dpk install`: bring a package from another store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from dpkg import settings
from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.errors import NotFound, Usage
from dpkg.index import lookup
from dpkg.names import parse_expr
from dpkg.repository import Repository
from dpkg.transfer import sync

if TYPE_CHECKING:
    from dpkg.names import Expr
    from dpkg.oid import Oid

COMMAND = Command(
    "install",
    "Bring a package with its history and tags from another store, or one table, folder or file of it. Only what is missing here travels;"
    " all of it is verified.",
    (
        Arg("expr", "owner/name[@revision][/path]", completes="theirs"),
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
    details="Everything that arrives is decoded and checked against its oid before it counts. A store is made where there is none.\n"
    "With a path only that is brought, of the rest nothing but the commit and the nodes on the way: no history and no tags. More parts "
    "may be installed later, or the whole package: that brings what is lacking. Commands that need what is not here say so.",
    examples=(
        ("Bring a package from a folder:", "dpk install acme/shop ../shared"),
        ("Bring a tag, and write its tables and files into a folder:", "dpk install acme/shop@v1 origin --into shop"),
        ("Bring one table:", "dpk install acme/shop/sales ../shared"),
    ),
    see=("push", "export", "remote", "verify"),
    prose=True,
)


@dataclass(frozen=True)
class Installed:
    """What an install did. `path` is null where all was asked for; `bytes` as stored; `ahead` counts local commits beyond the remote's."""

    package: str
    path: str | None
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
    """Install a package, or what is at a path in it; a store is made where there is none.

    Raises NotFound, Conflict over local commits that the remote lacks, Corrupt for anything that arrives damaged or forged.
    Usage for a path where the whole package is here at another commit.
    """
    parsed = parse_expr(expr)
    if parsed.path and force:
        raise Usage("--force moves a branch, and a part of a package has none", f"write: dpk install {expr}")
    if into:
        from dpkg import exporting

        exporting.check_target(into)
    source = _open(_remote(remote, store))
    try:
        local = Repository(store)
    except NotFound:  # no store is made for what is not there
        _find(source, parsed)
        local = Repository(store, create=True)
    if parsed.path:
        from dpkg.transfer import parting

        done = parting.install(local, source, parsed)
    else:
        done = sync.install(local, source, parsed.package, parsed.revision, force=force)
    assert done.commit is not None
    tophash = local.commit(done.commit).tree
    if into:
        entry = lookup(local.odb, tophash, parsed.path) if parsed.path else None
        exporting.export(local.odb, None if entry else tophash, entry, into, "parquet")
    return Installed(
        package=parsed.package,
        path=parsed.path,
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


def _find(source: Repository, expr: Expr) -> None:
    """Raises NotFound where there is no such package or path."""
    if expr.path:
        source.entry(expr)
    else:
        source.require(expr.package)


def _remote(remote: str | None, store: str | None) -> str:
    """The remote's place; the local store, whose remotes count, may not exist yet."""
    return settings.remote(remote, settings.load(settings.find_store(store)))


def render(result: Installed) -> Iterator[Any]:
    name = f"{result.package}/{result.path}" if result.path else result.package
    if result.changed:
        moved = f"{count(result.objects, 'object')} and {count(result.fragments, 'fragment')}, {shorten(result.bytes)}"
        yield (("green", "installed "), ("bold", name), f" {result.commit[:12]} from {result.remote}: {moved}")
    else:
        yield (("bold", name), f" {result.commit[:12]} is installed already; nothing was brought")
    if result.tags:
        yield f"tags: {', '.join(result.tags)}"
    for tag in result.kept_tags:
        yield (
            ("yellow", "note: "),
            f"the remote's tag '{tag}' is another commit's here, or was deleted; that was left so",
        )
    if result.ahead:
        yield f"you are {count(result.ahead, 'commit')} ahead: dpk push {result.package} {result.remote}"
    if result.into:
        yield f"exported into {result.into}"
    use = _use(result.package, result.path)
    if use:
        yield ("use it:  ", ("cyan", use))


def _use(package: str, path: str | None) -> str:
    """How Python gets at it."""
    *above, last = (f"{package}/{path}" if path else package).split("/")
    if len(above) < 3 and all(part.isidentifier() and not iskeyword(part) for part in (*above, last)):
        return f"from dpkg.data.{'.'.join(above)} import {last}"
    return f"dpkg.load({f'{package}/{path}'!r})" if path else ""
