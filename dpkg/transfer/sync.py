"""Push and install: packages between stores. Objects first, the ref last, and only forward unless forced.

Each ref's log is begun, and its newest entry read, before anything is decided; the ref moves only if that entry is still the newest
then. Where it is not, what was decided is forgotten and the work starts again: little of it is left to do (FORMAT.md, gc).
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING

from dpkg import parts
from dpkg.command import count
from dpkg.errors import AlreadyExists, Conflict, Usage
from dpkg.names import LATEST, MAIN
from dpkg.odb import is_remote
from dpkg.refs import seen
from dpkg.repository import Repository
from dpkg.transfer import prefetch
from dpkg.transfer.transfer import Moved, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpkg.objects.commit import Commit
    from dpkg.oid import Oid
    from dpkg.refs import RefEntry

HEADS, TAGS = "heads", "tags"
_ATTEMPTS = 10
_PAUSE = 0.2  # seconds, at most, before the second attempt; more before later ones


@dataclass(frozen=True)
class Synced:
    """What push or install did."""

    old: Oid | None  # the branch of the side that was written to, before
    new: Oid | None  # and after
    commit: Oid | None  # what was asked for: the local tip, or the revision to install
    moved: Moved
    tags: tuple[str, ...]  # tags that were created
    kept_tags: tuple[str, ...]  # tags that are another commit's on the side that was written to, or were deleted there
    ahead: int  # commits that the side written to has beyond the other
    rebased: int = 0  # local commits that were put on top of the remote's


def push(local: Repository, remote: Repository, package: str, *, rebase: bool = False, force: bool = False) -> Synced:
    """Send a package's branch and tags. Raises Conflict where the remote has what the local lacks, AlreadyExists for a tag that differs."""
    local.require(package)
    return _Push(local, remote, package, force, rebase).run()


def install(
    local: Repository, remote: Repository, package: str, revision: str | None = None, *, force: bool = False
) -> Synced:
    """Bring a revision of a package with its history and tags; the local branch moves only forward.

    Raises Conflict over local commits that the remote does not have, unless forced; these stay in the ref log.
    """
    done = _Install(local, remote, package, force, revision).run()
    parts.forget(local, package)
    return done


class _Lost(Exception):
    """Someone appended to a ref's log meanwhile."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(conflict.message)
        self.conflict = conflict


class Syncing(ABC):
    """One push or install: refs of `there` are written to. State is what goes into the result."""

    def __init__(self, local: Repository, remote: Repository, there: Repository, package: str, force: bool) -> None:
        if local.url == remote.url:
            raise Usage(f"{remote.url} is this store itself", "name another store")
        self.local, self.remote, self.there, self.package, self.force = local, remote, there, package, force
        remote.odb.frames.packs.cache = local.backend
        self.who = local.author()
        self.moved = Moved()
        self.tags: list[str] = []
        self._looks: list[Oid | None] = []  # the branch of `there`, each time that it was looked at or moved

    def run(self) -> Synced:
        place, at = self.remote, (self.local.backend, self.remote.url, self.package)
        known = seen.load(*at) if is_remote(place.backend) else {}
        before = dict(known)
        for attempt in range(_ATTEMPTS):
            if attempt:  # others were quicker; who waits for different times does not meet them again
                time.sleep(_PAUSE * attempt * random.random())
            # The refs as they are now. What is decided holds only as long: appending to a log that moved on fails.
            self.remote = place.snapshot(self.package, known)
            if self.there is not self.local:
                self.there = self.remote
            try:
                done = self._attempt()
            except _Lost as e:
                lost = e
                continue
            if known != before:
                seen.save(*at, known)
            return replace(done, old=self._looks[0])
        raise lost.conflict

    @abstractmethod
    def _attempt(self) -> Synced: ...

    def _start(self, kind: str, name: str) -> RefEntry:
        return self.there.refs.start(self.package, kind, name, who=self.who)

    def _begin(self, tags: dict[str, Oid], moves: bool) -> bool:
        """Look what gc is about to remove, if refs are to be written; whether what other refs name may be counted on.

        A tag relies on a branch that is not appended to: that is looked at again, as it may have been removed before.
        """
        if not tags and not moves:
            return True
        self.there.begin()
        if tags and not moves:
            main, refs = (self.package, HEADS, MAIN), self.there.refs
            before = refs.tip(*main)
            refs.look(*main)
            if refs.tip(*main) != before:
                raise _Lost(Conflict(f"'{self.package}' in {self.there.url} does not stop moving", "try again later"))
        return not (tags and self.there.guard and self.there.guard.open)

    def _floor(self) -> frozenset[Oid]:
        """Where histories end, here or there."""
        return frozenset(self.local.refs.floor | self.remote.refs.floor)

    def _found(self, tip: Oid | None) -> Oid | None:
        """`tip` of the branch that is to move. What came in since the first look is not dropped, even if forced."""
        if self.force and self._looks and tip != self._looks[-1]:
            raise Conflict(
                f"'{self.package}' in {self.there.url} was moved by someone else meanwhile",
                "look at it, then decide again",
            )
        self._looks.append(tip)
        return tip

    def _move(
        self,
        kind: str,
        name: str,
        new: Oid,
        old: Oid | None,
        tail: RefEntry,
        why: str,
        ends: Iterable[Oid] = (),
        part: str | None = None,
    ) -> None:
        try:
            self.there.settle()
            self.there.refs.update(
                self.package, kind, name, new, old, who=self.who, why=why, tail=tail, floor=ends, part=part
            )
        except Conflict as e:
            raise _Lost(e) from None
        if kind == HEADS:
            self._looks.append(new)

    def _make_tags(self, here: Repository, tags: dict[str, Oid], tails: dict[str, RefEntry], why: str) -> None:
        for name, value in tags.items():
            self._move(TAGS, name, value, None, tails[name], why, here.ends(value))
            self.tags.append(name)

    def _new_tags(self, here: Repository, names: Iterable[str]) -> tuple[dict[str, Oid], tuple[str, ...]]:
        """Tags of `here` that `there` can be given, and the names of those that it has, or had, otherwise."""
        new: dict[str, Oid] = {}
        kept = []
        for name in names:
            value = here.refs.value(self.package, TAGS, name)
            log = self.there.refs.log(self.package, TAGS, name)
            last = next((e for e in log if e.event in ("commit", "deleted")), None)
            if value is None or (last and last.oid == value):
                continue
            if last is None:
                new[name] = value
            else:
                kept.append(name)
        return new, tuple(kept)


class _Push(Syncing):
    def __init__(self, local: Repository, remote: Repository, package: str, force: bool, rebase: bool) -> None:
        super().__init__(local, remote, remote, package, force)
        self.rebase = rebase
        self.rebased = 0

    def _attempt(self) -> Synced:
        ours = self.local.tip(self.package)
        tags, kept = self._new_tags(self.local, self.local.refs.tags(self.package))
        self._refuse_other_values(kept)
        tails = {name: self._start(TAGS, name) for name in tags}
        tail = self._start(HEADS, MAIN) if ours else None
        theirs = self._found(self.remote.tip(self.package))
        new, ahead = self._decide(ours, theirs)
        wanted = [new] if new and new != theirs else []
        whole = [theirs] if self._begin(tags, bool(wanted)) else []
        Transfer(self.local.odb, self.remote.odb, deep=False, moved=self.moved, floor=self._floor()).commits(
            [*wanted, *tags.values()], whole
        )
        self._prefetch({*wanted, *tags.values()})
        if new and new != theirs and tail:
            why = "push --force" if self.force else "push"
            self._move(HEADS, MAIN, new, theirs, tail, why, self.local.ends(new, theirs))
        self._make_tags(self.local, tags, tails, "push")
        return Synced(theirs, new, ours, self.moved, tuple(self.tags), kept, ahead, self.rebased)

    def _prefetch(self, commits: set[Oid]) -> None:
        """Put what readers of these commits need first where they get it at once."""
        for oid in commits if is_remote(self.remote.backend) else ():
            prefetch.write(self.local.odb, self.remote.odb, oid)

    def _refuse_other_values(self, kept: tuple[str, ...]) -> None:
        for name in kept:
            if self.remote.refs.value(self.package, TAGS, name) is not None:
                hint = f"a tag never moves: remove yours ('dpk rm {self.package}@{name}'), and choose another name"
                raise AlreadyExists(
                    f"{self.remote.url} has the tag '{name}' of '{self.package}' on another commit", hint
                )

    def _decide(self, ours: Oid | None, theirs: Oid | None) -> tuple[Oid | None, int]:
        """Where the remote's branch is to be, and how many commits it is ahead."""
        if ours is None or theirs is None or _contains(self.local, ours, theirs):
            return ours or theirs, 0
        ahead = _beyond(self.remote, theirs, self.local, ours)
        if self.force:
            return ours, 0
        if _contains(self.remote, theirs, ours):
            return theirs, len(ahead)
        if self.rebase:
            return self._rebase(ours, theirs), 0
        shown = [f"  {oid[:12]} {c.author}: {_title(c)}" for oid, c in ahead[:5]]
        more = [f"  … and {len(ahead) - 5} more"] if len(ahead) > 5 else []
        again = f"dpk push {self.package} {quote(self.remote.url)}"
        raise Conflict(
            "\n".join(
                [
                    f"{self.remote.url} has {count(len(ahead), 'commit')} of '{self.package}' that you lack:",
                    *shown,
                    *more,
                ]
            ),
            f"put yours on top of them:  {again} --rebase\nor drop theirs:            {again} --force",
        )

    def _rebase(self, ours: Oid, theirs: Oid) -> Oid:
        """Put the local commits that the remote lacks on top of its tip: each keeps its tree, author, time and message."""
        local = self.local
        tail = local.start(self.package)
        Transfer(self.remote.odb, local.odb, deep=True, floor=self._floor()).commits([theirs], [ours])
        base = {oid for oid, _ in local.history(theirs)}
        mine: list[Commit] = []
        at: Oid | None = ours
        while at and at not in base:
            mine.append(local.commit(at))
            at = next(iter(mine[-1].parents), None)
        tip, tree = theirs, local.commit(theirs).tree
        for commit in reversed(mine):
            if commit.tree != tree:  # OBJ-3
                tip, tree = local.odb.write("commit", replace(commit, parents=(tip,)).encode()), commit.tree
        try:
            local.move(self.package, tip, ours, f"rebase on {self.remote.url}", tail=tail)
        except Conflict as e:
            raise _Lost(e) from None
        self.rebased += len(mine)
        return tip


class _Install(Syncing):
    def __init__(self, local: Repository, remote: Repository, package: str, force: bool, revision: str | None) -> None:
        super().__init__(local, remote, local, package, force)
        self.revision = revision

    def _attempt(self) -> Synced:
        self.remote.require(self.package)
        theirs = self.remote.revision(self.package, self.revision or LATEST)
        if is_remote(self.remote.backend) and theirs != self.local.tip(self.package):
            prefetch.read(self.remote.odb, theirs)
        tags, kept = self._new_tags(self.remote, self._wanted_tags(theirs))
        tails = {name: self._start(TAGS, name) for name in tags}
        tail = self._start(HEADS, MAIN)
        ours = self._found(self.local.tip(self.package))
        new, ahead = self._decide(ours, theirs)
        whole = [ours] if self._begin(tags, new != ours) else []
        Transfer(self.remote.odb, self.local.odb, deep=True, moved=self.moved, floor=self._floor()).commits(
            [theirs, *tags.values()], whole
        )
        why = f"install from {self.remote.url}"
        if new != ours:
            self._move(HEADS, MAIN, new, ours, tail, why, self.remote.ends(new, ours))
        self._make_tags(self.remote, tags, tails, why)
        return Synced(ours, new, theirs, self.moved, tuple(self.tags), kept, ahead)

    def _wanted_tags(self, theirs: Oid) -> list[str]:
        """All of the remote's tags; with a revision those on its history."""
        tags = self.remote.refs.tags(self.package)
        if self.revision is None or not tags:
            return list(tags)
        reached = {oid for oid, _ in self.remote.history(theirs)}
        return [name for name in tags if self.remote.refs.value(self.package, TAGS, name) in reached]

    def _decide(self, ours: Oid | None, theirs: Oid) -> tuple[Oid, int]:
        """Where the local branch is to be, and how many commits it is ahead."""
        if ours is None or self.force or _contains(self.remote, theirs, ours):
            return theirs, 0
        if _contains(self.local, ours, theirs):
            return ours, 0 if self.revision else len(_beyond(self.local, ours, self.remote, theirs))
        tip = self.remote.tip(self.package)
        if self.revision and tip and _contains(self.remote, tip, ours):
            return ours, 0  # the revision is on another line; ours is the remote's own
        mine = _beyond(self.local, ours, self.remote, theirs)
        name, place = self.package, quote(self.remote.url)
        raise Conflict(
            f"'{name}' has {count(len(mine), 'local commit')} that {self.remote.url} lacks, and the two have parted",
            f"put yours on top of theirs:  dpk push {name} {place} --rebase\n"
            f"or take theirs:              dpk install {name} {place} --force   (yours can still be had as {name}@{ours[:12]})",
        )


def _contains(side: Repository, tip: Oid, oid: Oid) -> bool:
    """Whether a commit is in the history of `tip`."""
    return oid == tip or (side.odb.has(oid) and side.is_ancestor(oid, tip))


def _beyond(side: Repository, tip: Oid, other: Repository, base: Oid) -> list[tuple[Oid, Commit]]:
    """Commits of `side` up to `tip` that are not in the history of `other`'s `base`."""
    known = {oid for oid, _ in other.history(base)}
    return [(oid, commit) for oid, commit in side.history(tip) if oid not in known]


def _title(commit: Commit) -> str:
    return next(iter(commit.message.splitlines()), "")
