"""`dpk rev-list`: list commits, and what they reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.listing import NULL, records
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.commit import Commit

COMMAND = Command(
    "rev-list",
    "List the commits that revisions reach, newest first, parents after their children.",
    (
        Arg(
            "revisions",
            "owner/name[@revision], owner/name@a..b (what b has and a has not), an oid, OID..OID, or ^REVISION to leave"
            " out what that reaches",
            "REVISION",
            many=True,
            optional=True,
            completes="commit",
        ),
        Opt("--all", "all that branches and tags reach"),
        Opt("-n --max-count", "at most so many commits", int, "N"),
        Opt("--first-parent", "of a merge, only the first parent"),
        Opt("--reverse", "the oldest first"),
        Opt("--objects", "also each object and fragment that they reach, each once"),
        Opt("--count", "print only how many lines there would be"),
        NULL,
        STORE,
    ),
    output="""An oid a line; with --objects 'TYPE OID', where TYPE is commit, node, table, blob or fragment.
What a commit is the first to reach follows it. What excluded commits reach is left out.""",
    examples=(
        ("The commits since v1:", "dpk rev-list acme/sales@v1..latest"),
        ("Send all that another store may lack:", "dpk rev-list --objects --all | dpk send-objects REMOTE"),
    ),
    see=("send-objects", "fetch-objects", "for-each-ref"),
)


@dataclass(frozen=True)
class Reached:
    """A commit, or with --objects what it reaches."""

    type: str
    oid: Oid
    alone: bool = field(default=False, repr=False)  # only commits were asked for


@dataclass(frozen=True)
class Counted:
    """How many there are."""

    count: int


def rev_list(
    revisions: Sequence[str] = (),
    *,
    all: bool = False,
    max_count: int | None = None,
    first_parent: bool = False,
    reverse: bool = False,
    objects: bool = False,
    count: bool = False,
    store: str | None = None,
) -> Iterator[Reached] | Counted:
    """The commits, read as they are asked for where history is one line. Raises NotFound, Usage."""
    from dpkg.reaching import commits, select

    given = [revisions] if isinstance(revisions, str) else list(revisions)
    if not given and not all:
        raise Usage("no revision is named", "name a package, or give --all")
    if max_count is not None and max_count < 0:
        raise Usage(f"--max-count {max_count} is less than nothing", "give 0 or more")
    repository = Repository(store)
    wanted, unwanted = select(repository, given)
    if all or any("/" not in text for text in given):
        tips = _tips(repository)  # it also tells where histories end
        wanted += tips if all else []
    found: Iterator[tuple[Oid, Commit]] = islice(
        commits(repository.commit, wanted, unwanted, first_parent=first_parent, floor=repository.refs.floor), max_count
    )
    if reverse:
        found = iter([*found][::-1])
    lines = (
        _with_objects(repository, found, unwanted)
        if objects
        else (Reached("commit", oid, alone=True) for oid, _ in found)
    )
    return Counted(sum(1 for _ in lines)) if count else lines


def _tips(repository: Repository) -> list[Oid]:
    from dpkg.refs.patterns import each_ref

    return list(dict.fromkeys(ref.oid for ref in each_ref(repository.refs)))


def _with_objects(
    repository: Repository, found: Iterator[tuple[Oid, Commit]], unwanted: list[Oid]
) -> Iterator[Reached]:
    from dpkg.reaching import Objects

    below = Objects(repository.odb)
    below.exclude(repository.commit, unwanted, repository.refs.floor)
    for oid, commit in found:
        yield Reached("commit", oid)
        for kind, reached in below.tree(commit.tree):
            yield Reached(kind, reached)


def render(result: Iterator[Reached] | Counted, null: bool = False) -> Iterator[Shown]:
    if isinstance(result, Counted):
        yield from records([str(result.count)], null)
    else:
        yield from records((r.oid if r.alone else f"{r.type} {r.oid}" for r in result), null)
