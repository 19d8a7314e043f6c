"""Push and install: packages between stores. Objects first, the ref last, and only forward unless forced.

Each ref's log is begun, and its newest entry read, before anything is decided; the ref then moves only if that entry is still the
newest. Where it is not, what was decided is forgotten and the work starts again (FORMAT.md, gc).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dpkg.command import count
from dpkg.errors import AlreadyExists, Conflict, NotFound, Usage
from dpkg.repository import MAIN, Repository
from dpkg.transfer import Moved, Transfer

if TYPE_CHECKING:
    from dpkg.objects.commit import Commit
    from dpkg.oid import Oid
    from dpkg.refs import RefEntry

_ATTEMPTS = 10
HEADS, TAGS = "heads", "tags"


@dataclass(frozen=True)
class Synced:
    """What push or install did."""

    old: Oid | None  # the branch of the side that was written to, before
    new: Oid | None  # and after
    commit: Oid | None  # what was asked for: the local tip, or the revision that was installed
    moved: Moved = Moved()
    tags: tuple[str, ...] = ()  # tags that were created
    kept_tags: tuple[str, ...] = ()  # tags that the other side has otherwise, or had and deleted: left as they are
    ahead: int = 0  # commits that the side which did not change has beyond the other
    rebased: int = 0  # local commits that got new parents


class _Lost(Exception):
    """Someone appended to a ref's log meanwhile."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(conflict.message)
        self.conflict = conflict


def push(local: Repository, remote: Repository, package: str, *, rebase: bool = False, force: bool = False) -> Synced:
    """Send a package's branch and tags.

    Raises Conflict where the remote has what the local lacks, or is moved meanwhile; AlreadyExists for a tag that differs.
    """
    _check_places(local, remote)
    local.require(package)
    seen = remote.tip(package)

    def attempt() -> Synced:
        if force and remote.tip(package) != seen:  # do not drop what came in while this ran
            raise Conflict(f"{remote.url}: '{package}' was moved by someone else meanwhile", "look at what came in, then decide again")
        return _push(local, remote, package, rebase, force)

    return _again(attempt)


def _again(attempt: Callable[[], Synced]) -> Synced:
    """Try until no one else gets in between. What earlier attempts moved counts."""
    moved = Moved()
    for _ in range(_ATTEMPTS):
        transfers: list[Moved] = []
        try:
            done = attempt()
            return replace(done, moved=moved + done.moved)
        except _Lost as lost:
            last = lost.conflict
    raise last
