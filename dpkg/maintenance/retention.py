"""Retention: how much of a package's history is kept. It moves no ref; the entries that it appends say where histories end."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dpkg.errors import Conflict, Usage
from dpkg.refs import HEADS, TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.objects.commit import Commit
    from dpkg.oid import Oid
    from dpkg.refs import RefEntry
    from dpkg.repository import Repository

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_AGE = re.compile(r"(\d{1,6})([hdwy])")


class Rule(NamedTuple):
    """What is kept of each branch: its newest commits, by number or by age in seconds; either is enough. Its tip always is."""

    last: int | None
    within: int | None


class Cut(NamedTuple):
    """What a rule makes of a package: how many commits stay, the trees of those that go, and where the history of each ref ends then."""

    package: str
    kept: int
    dropped: tuple[Oid, ...]
    floors: dict[tuple[str, str], tuple[RefEntry, frozenset[Oid]]]  # kind and name: the newest entry of the log


def age(text: str) -> int:
    """The seconds of `12h`, `30d`, `12w` or `1y`. Raises Usage."""
    found = _AGE.fullmatch(text)
    if not found:
        raise Usage(f"'{text[:40]}' is not an age", "write hours, days, weeks or years: 12h, 30d, 12w, 1y")
    return int(found[1]) * _UNITS[found[2]]


def plan(repository: Repository, package: str, rule: Rule) -> Cut:
    """What is kept of a package by a rule; nothing is written."""
    tips = {
        (kind, name): (entry, value)
        for kind, entries in ((HEADS, repository.refs.heads(package)), (TAGS, repository.refs.tags(package)))
        for name, entry in entries.items()
        if (value := repository.refs.value(package, kind, name))
    }
    commits: dict[Oid, Commit] = {}
    kept: set[Oid] = set()
    since = None if rule.within is None else int(time.time()) - rule.within
    for (kind, _), (_, value) in tips.items():
        for n, (oid, commit) in enumerate(repository.history(value)):
            commits[oid] = commit
            recent = n < (rule.last or 0) or (since is not None and commit.time >= since)
            if n == 0 or (kind == HEADS and recent):
                kept.add(oid)
    _close(kept, commits)
    ends = {oid for oid in kept if commits[oid].parents and not kept.intersection(commits[oid].parents)}
    floors = {}
    for ref, (entry, value) in tips.items():
        floor = frozenset(_ends(value, commits, ends))
        if floor != frozenset(entry.floor):
            floors[ref] = entry, floor
    return Cut(package, len(kept), tuple(c.tree for oid, c in commits.items() if oid not in kept), floors)


def _close(kept: set[Oid], commits: dict[Oid, Commit]) -> None:
    """Where one parent of a merge is kept, so are the others: a history ends at a commit, not between it and a parent."""
    todo = list(kept)
    while todo:
        parents = [p for p in commits[todo.pop()].parents if p in commits]
        if kept.intersection(parents):
            new = [p for p in parents if p not in kept]
            kept.update(new)
            todo = list(kept) if new else todo


def _ends(start: Oid, commits: dict[Oid, Commit], ends: set[Oid]) -> Iterator[Oid]:
    todo, seen = [start], {start}
    while todo:
        oid = todo.pop()
        if oid in ends:
            yield oid
            continue
        new = [p for p in commits[oid].parents if p in commits and p not in seen]
        seen.update(new)
        todo += new


def cut(repository: Repository, package: str, rule: Rule) -> Cut:
    """Say in the logs of a package's refs where histories end: the next gc removes what was before. Conflict if they do not stop moving."""
    for _ in range(10):
        found = plan(repository, package, rule)
        with suppress(Conflict):
            for (kind, name), (entry, floor) in found.floors.items():
                repository.refs.append(
                    package,
                    kind,
                    name,
                    "floor",
                    None,
                    expected=entry,
                    who=repository.author(),
                    why="retention",
                    floor=floor,
                )
            return found
    raise Conflict(f"the refs of '{package}' do not stop moving", "try again later")
