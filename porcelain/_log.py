"""`dpk log`: the history of a package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, when
from dpkg.errors import NotFound, Usage
from dpkg.names import parse_expr
from dpkg.parts import InPart
from dpkg.repository import MAIN, Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.comparing import Change
    from dpkg.oid import Oid
    from dpkg.parts import Part

COMMAND = Command(
    "log",
    "Show the commits of a package, newest first.",
    (
        Arg("expr", "owner/name[@revision]", metavar="PACKAGE", completes="commit"),
        Opt("-n --max-count", "at most N commits", int, "N"),
        Opt("--oneline", "a line for each commit", view=True),
        Opt("--stat", "what each commit changed, a line for each entry"),
        Opt(
            "-p --patch",
            "only commits that changed what is at or below a path, with what changed there; may be given more than once",
            str,
            "PATH",
            many=True,
        ),
        STORE,
    ),
    details="The history is that of the data: each commit and its parents. Who moved a branch and when is in the ref log.\n"
    "What a commit changed is compared with its first parent, as 'dpk diff' does it.",
    examples=(
        ("Show the history of a package:", "dpk log acme/shop"),
        ("Show when and how a table changed:", "dpk log acme/shop -p sales"),
        ("The last three commits up to a tag, a line each:", "dpk log acme/shop@v1 -n 3 --oneline"),
    ),
    see=("show", "diff", "tag"),
)


@dataclass(frozen=True)
class Entry:
    """One commit. `time` in seconds since 1970 UTC; `refs` are the branches and tags on it.

    `cut` says who removed the commits before it, and when; null where none were removed.
    `parts` are the paths that alone were installed of it: then what came before it is not here.
    """

    commit: Oid
    tophash: Oid
    parents: tuple[Oid, ...]
    author: str
    time: int
    message: str
    refs: tuple[str, ...]
    cut: str | None = None
    parts: tuple[str, ...] = ()
    changes: tuple[Change, ...] | None = None  # with --stat and --patch; null where the commit before is not here
    stat: bool = field(default=False, repr=False)


def log(
    expr: str,
    *,
    max_count: int | None = None,
    stat: bool = False,
    patch: Sequence[str] = (),
    store: str | None = None,
) -> Iterator[Entry]:
    """The commits that a revision reaches, newest first, read as they are asked for; with `patch` those that changed these paths.

    Raises NotFound, Usage.
    """
    if max_count is not None and max_count < 0:
        raise Usage("a number of commits is not negative")
    parsed = parse_expr(expr)
    repository = Repository(store).snapshot(parsed.package)
    if parsed.path:
        repository.require(parsed.package, part=True)
        raise Usage(f"'{expr}' names a part of a package", f"the log is of whole packages: dpk log {parsed.package}")
    try:
        _, start, _ = repository.resolve(parsed)
    except InPart as e:
        if not e.parts:
            raise
        return islice(_in_part(repository, e.parts), max_count)
    paths = (patch,) if isinstance(patch, str) else tuple(patch)
    entries = _entries(repository, parsed.package, start, None if paths else max_count)
    return islice(_compared(repository, entries, stat, paths), max_count) if stat or paths else entries


def _compared(repository: Repository, entries: Iterator[Entry], stat: bool, paths: tuple[str, ...]) -> Iterator[Entry]:
    """The entries with what changed, of `paths` only those in which they did."""
    from dpkg.diffing.history import commit_changes

    there = not paths
    for e in entries:
        changes = commit_changes(repository, e.commit, paths)
        there |= bool(changes)
        if changes or not paths:
            yield replace(e, changes=None if changes is None else tuple(changes), stat=stat)
    if not there:
        raise NotFound(f"no commit has {' or '.join(repr(p) for p in paths)}", "see 'dpk ls PACKAGE'")


def _in_part(repository: Repository, parts: Sequence[Part]) -> Iterator[Entry]:
    """The commits of a package of which only parts are here."""
    paths: dict[Oid, list[str]] = {}
    for part in parts:
        paths.setdefault(part.commit, []).append(part.path)
    commits = [(oid, repository.commit(oid)) for oid in paths]
    for oid, c in sorted(commits, key=lambda item: -item[1].time):
        yield Entry(oid, c.tree, c.parents, c.author, c.time, c.message, (), parts=tuple(sorted(set(paths[oid]))))


def _entries(repository: Repository, package: str, start: Oid, most: int | None) -> Iterator[Entry]:
    named: dict[Oid, list[str]] = {}
    for kind, found in (("heads", repository.refs.heads(package)), ("tags", repository.refs.tags(package))):
        for name in found:
            value = repository.refs.value(package, kind, name)
            if value:
                named.setdefault(value, []).append("latest" if (kind, name) == ("heads", MAIN) else name)
    for n, (oid, c) in enumerate(repository.history(start)):
        if most is not None and n >= most:
            return
        cut = repository.cut(package, oid) if oid in repository.refs.floor else None
        yield Entry(oid, c.tree, c.parents, c.author, c.time, c.message, tuple(named.get(oid, ())), cut)


def render(result: Iterator[Entry], oneline: bool = False) -> Iterator[Shown]:
    for n, e in enumerate(result):
        part = f"(only {', '.join(e.parts)} of it was installed, and its history is not here)" if e.parts else ""
        if oneline:
            refs = f" ({', '.join(e.refs)})" if e.refs else ""
            yield (("yellow", e.commit[:12]), ("green", refs), " ", e.message.splitlines()[0] if e.message else "")
            yield from _changes(e)
            yield from ((("dim", text),) for text in (part, e.cut) if text)
            continue
        if n:
            yield ""
        yield from _commit(e)
        if e.changes:
            yield ""
            yield from _changes(e)
        for text in (part, e.cut):
            if text:
                yield ""
                yield (("dim", text),)


def _commit(e: Entry) -> Iterator[Shown]:
    yield (("yellow", f"commit {e.commit}"), ("green", f" ({', '.join(e.refs)})" if e.refs else ""))
    yield f"tophash {e.tophash}"
    yield f"Author: {e.author}"
    yield f"Date:   {when(e.time)}"
    if e.message:
        yield ""
        for text in e.message.splitlines():
            yield f"    {text}".rstrip()


def _changes(e: Entry) -> Iterator[Shown]:
    if e.changes:
        from dpkg.diffing import shown

        yield from (shown.stat if e.stat else shown.shown)(e.changes)
