"""`dpk review`: accept what changed, so that it may be tagged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, grid, when
from dpkg.errors import Usage
from dpkg.names import Expr, is_path, is_range, parse_expr, parse_range
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.diffing.accepting import Acceptance
    from dpkg.oid import Oid

COMMAND = Command(
    "review",
    "Accept what changed between two revisions: review accept OLD NEW; see what was accepted: review list PACKAGE.",
    (
        Arg("action", "accept or list", choices=("accept", "list")),
        Arg("a", "owner/name[@revision], or owner/name@v1..v2", metavar="PACKAGE", completes="commit"),
        Arg("b", "owner/name[@revision]: then the first is OLD", metavar="NEW", optional=True, completes="commit"),
        Opt("-m --message", "why", str, "TEXT"),
        STORE,
    ),
    epilog="With one revision that is NEW, and OLD the nearest commit before it that has a tag; without one, all is new.",
    details="An acceptance says who accepted the diff from one tophash to another, when, and why. It is an entry in the log of the branch "
    "that NEW is on, in this store, and stays; push and install do not carry it. Whoever commits the same data is covered by it. "
    "Accepting a diff again is no error, and leaves no second entry.\n"
    "'dpk tag --require-reviewed' refuses a commit unless such steps lead to it from the tag before, or from nothing; so it is "
    "always where 'dpk config review.require true' was said. Where retention removed what was before, the tag before is the newest of the "
    "package.",
    examples=(
        ("Look at what changed since the last tag, and accept it:", "dpk diff acme/shop@v1..latest"),
        ("", 'dpk review accept acme/shop -m "prices are of May"'),
        ("Accept what changed between two revisions:", "dpk review accept acme/shop@v1..1a2b3c"),
        ("Then name it:", "dpk tag acme/shop v2 --require-reviewed"),
        ("See who accepted what:", "dpk review list acme/shop"),
    ),
    see=("diff", "tag"),
)


@dataclass(frozen=True)
class Review:
    """A diff that was accepted. `old` and `new` are revisions: a tag, or the start of a commit, else of a tophash.

    `created` is True where this call did it. `action` is what was done: accept or list.
    """

    action: str
    package: str
    branch: str  # in whose log it is
    digest: Oid  # of the diff (spec/diff.md)
    old: str | None  # null: nothing was before
    new: str
    old_tophash: Oid | None
    new_tophash: Oid
    verdict: str | None  # on the drift: none, moderate or major; null where it was not known
    who: str
    time: int
    message: str
    created: bool
    line: str = ""  # the verdict in words


def review(
    action: str, a: str, b: str | None = None, *, message: str = "", store: str | None = None
) -> Iterator[Review]:
    """Accept the diff from one revision to another, `action` "accept", or list what was accepted, "list"; newest first.

    Raises NotFound for what is not there, or on no branch, and Usage for what cannot be accepted.
    """
    if action == "list":
        if b is not None or message:
            raise Usage("a list has no NEW and no message", f"write: dpk review list {a}")
        return _list(a, store)
    if action != "accept":
        raise Usage(f"'{action}' is nothing that review does", "write: dpk review accept PACKAGE, or list PACKAGE")
    return iter([_accept(a, b, message, store)])


def _list(package: str, store: str | None) -> Iterator[Review]:
    from dpkg.diffing.accepting import acceptances, tagged

    expr = _whole(package)
    if expr.revision:
        raise Usage(f"'{package}' names a revision", f"the list is of whole packages: dpk review list {expr.package}")
    repository = Repository(store).snapshot(expr.package)
    repository.require(expr.package)
    tags = tagged(repository, expr.package)
    names: dict[Oid, str] = {}
    found = sorted(acceptances(repository.refs, expr.package), key=lambda one: -one.time)
    for oid, commit in repository.all_commits(expr.package) if found else ():
        if oid in tags or commit.tree not in names:
            names[commit.tree] = tags.get(oid, oid.short)
    return (_review("list", expr.package, one, names) for one in found)


def _accept(a: str, b: str | None, message: str, store: str | None) -> Review:
    from dpkg.diffing.accepting import accept, baseline, tagged

    old, new = _sides(a, b)
    repository = Repository(store).snapshot(new.package)
    _, commit, found = repository.resolve(new)
    if old is None:
        base = baseline(repository, new.package, commit)
        old = Expr(new.package, tagged(repository, new.package)[base]) if base else None
    before = repository.resolve(old)[2].tree if old else None
    if before == found.tree:
        raise Usage(f"'{old}' and '{new}' have the same tophash", "there is nothing to accept")
    verdict, line = None, "all is new: nothing was before"
    if old:
        from dpkg.porcelain._diff import diff

        said = diff(str(old), str(new), stat=True, drift=True, store=store).verdict
        verdict, line = (said.verdict, said.line) if said else (None, "")
    done, created = accept(repository, new.package, before, commit, verdict, message)
    name = {found.tree: tagged(repository, new.package).get(commit, commit.short)}
    if old and before:
        name[before] = old.revision or "latest"
    return _review("accept", new.package, done, name, created, line)


def _review(
    action: str, package: str, a: Acceptance, names: dict[Oid, str], created: bool = False, line: str = ""
) -> Review:
    """`names` has revisions by their tophashes."""
    old = None if a.old is None else names.get(a.old, a.old.short)
    new = names.get(a.new, a.new.short)
    said = (a.verdict, a.who, a.time, a.message)
    return Review(action, package, a.branch, a.digest, old, new, a.old, a.new, *said, created, line)


def _sides(a: str, b: str | None) -> tuple[Expr | None, Expr]:
    """OLD, None where it is not said, and NEW."""
    if is_range(a) and not is_path(a):
        span = parse_range(a)
        if b is not None:
            raise Usage(f"'{a}' is a range, and '{b}' a side more", "write one range, or two revisions")
        if span.path:
            raise _part(a)
        return Expr(span.package, span.start), Expr(span.package, span.end)
    return (None, _whole(a)) if b is None else (_whole(a), _whole(b))


def _whole(text: str) -> Expr:
    """An expression of a whole package. Raises Usage."""
    if is_path(text) or ("/" not in text.rstrip("/") and os.path.exists(text)):
        raise Usage(
            f"'{text}' is files, and what has not been built cannot be accepted", f"'dpk build PACKAGE {text}' first"
        )
    expr = parse_expr(text)
    if expr.path:
        raise _part(text)
    return expr


def _part(text: str) -> Usage:
    return Usage(f"'{text}' names a part of a package", "what is accepted is the diff of the whole package")


def render(result: Iterator[Review]) -> Iterator[Shown]:
    found = list(result)
    if not found:
        yield "nothing was accepted yet: 'dpk review accept PACKAGE' does it"
    for r in found:
        if r.action == "accept":
            yield ("accepted " if r.created else "accepted already: ", ("bold", f"{r.package}  {_span(r)}"))
            yield f"    by       {r.who}, {when(r.time)}"
            yield f"    diff     {r.digest}"
            if r.line:
                yield f"    verdict  {r.line}"
    rows = [
        (when(r.time), r.who.partition(" <")[0], ("bold", _span(r)), r.verdict or "", r.message.partition("\n")[0])
        for r in found
        if r.action == "list"
    ]
    yield from grid(rows, give="14")


def _span(r: Review) -> str:
    return f"{r.old or 'nothing'} → {r.new}"
