"""Push and install: packages between stores. Objects first, the ref last, and only forward unless forced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import count
from dpkg.errors import AlreadyExists, Conflict
from dpkg.repository import MAIN, Repository
from dpkg.transfer import Moved, Transfer

if TYPE_CHECKING:
    from dpkg.objects.commit import Commit
    from dpkg.oid import Oid


@dataclass(frozen=True)
class Synced:
    """What push or install did. `ahead`: commits that the other side has beyond this one's."""

    old: Oid | None
    new: Oid
    moved: Moved
    tags: tuple[str, ...]  # tags that were created
    kept_tags: tuple[str, ...] = ()  # tags that differ and were left as they are
    ahead: int = 0
    rebased: int = 0  # commits that got new parents


def push(local: Repository, remote: Repository, package: str, *, rebase: bool = False, force: bool = False) -> Synced:
    """Send a package's branch and tags. Raises Conflict where the remote has what the local lacks, AlreadyExists for a tag that differs."""
    local.require(package)
    ours, tags = local.tip(package), _new_tags(local, remote, package)
    # What the remote has is decided upon only after this entry of its log; the ref moves only if it is still the newest.
    tail = remote.refs.start(package, "heads", MAIN, who=local.author()) if ours else None
    theirs = remote.tip(package)
    if ours is None:
        moved = Transfer(local.odb, remote.odb, deep=False).commits(tags.values())
        _make_tags(remote, package, tags, local.author())
        return Synced(theirs, next(iter(tags.values())), moved, tuple(tags))
    rebased = 0
    if theirs is not None and not local.odb.has(theirs) or theirs is not None and not local.is_ancestor(theirs, ours):
        ahead = _ahead(remote, local, theirs)
        if remote.odb.has(ours) and remote.is_ancestor(ours, theirs):
            moved = Transfer(local.odb, remote.odb, deep=False).commits(tags.values())
            _make_tags(remote, package, tags, local.author())
            return Synced(theirs, theirs, moved, tuple(tags), ahead=len(ahead))
        if rebase:
            ours, rebased = _rebase(local, remote, package, ours, theirs)
        elif not force:
            raise _diverged(package, remote, ahead)
    moved = Transfer(local.odb, remote.odb, deep=False).commits([ours, *tags.values()])
    if theirs != ours:
        why = "push --force" if force else "push"
        remote.refs.update(package, "heads", MAIN, ours, theirs, who=local.author(), why=why, tail=tail)
    _make_tags(remote, package, tags, local.author())
    return Synced(theirs, ours, moved, tuple(tags), rebased=rebased)


def _diverged(package: str, remote: Repository, ahead: list[tuple[Oid, Commit]]) -> Conflict:
    shown = [f"  {oid[:12]} {c.author}: {c.message.splitlines()[0] if c.message else ''}" for oid, c in ahead[:5]]
    more = [f"  … and {len(ahead) - 5} more"] if len(ahead) > 5 else []
    return Conflict(
        f"{remote.url} has {count(len(ahead), 'commit')} of '{package}' that you lack:\n" + "\n".join([*shown, *more]),
        f"put yours on top of them:  dpk push {package} {remote.url} --rebase\nor drop theirs:            dpk push {package} {remote.url} --force",
    )


def _ahead(there: Repository, here: Repository, tip: Oid) -> list[tuple[Oid, Commit]]:
    """Commits of `there` up to `tip` that `here` lacks."""
    return [(oid, c) for oid, c in there.history(tip) if not here.odb.has(oid)]


def _rebase(local: Repository, remote: Repository, package: str, ours: Oid, theirs: Oid) -> tuple[Oid, int]:
    """Give the local commits that the remote lacks the remote's tip as their parent; each keeps its tree, author, time and message."""
    Transfer(remote.odb, local.odb, deep=True).commits([theirs])
    base = {oid for oid, _ in local.history(theirs)}
    mine = [(oid, c) for oid, c in local.history(ours) if oid not in base]
    tip = theirs
    for _, commit in sorted(mine, key=lambda pair: pair[1].time):
        if commit.tree != local.commit(tip).tree:
            made = type(commit)(commit.tree, (tip,), commit.author, commit.time, commit.message, commit.provenance, commit.checks)
            tip = local.odb.write("commit", made.encode())
    local.move(package, tip, ours, f"rebase on {remote.url}")
    return tip, len(mine)


def _new_tags(here: Repository, there: Repository, package: str) -> dict[str, Oid]:
    """Tags that `there` lacks. Raises AlreadyExists where it has another value."""
    out = {}
    for name in here.refs.tags(package):
        value = here.refs.value(package, "tags", name)
        other = there.refs.value(package, "tags", name)
        if value is not None and other is None:
            out[name] = value
        elif value is not None and other != value:
            raise AlreadyExists(f"{there.url} has a tag '{name}' of '{package}' on another commit", "a tag never moves: choose another name")
    return out


def _make_tags(there: Repository, package: str, tags: dict[str, Oid], who: str) -> None:
    for name, value in tags.items():
        there.refs.create_tag(package, name, value, who=who, why="push")


def install(local: Repository, remote: Repository, package: str, revision: str | None = None, *, force: bool = False) -> Synced:
    """Bring a revision of a package with its history and tags; the local branch moves only forward.

    Raises Conflict over local commits that the remote does not have, unless forced; these then stay in the ref log.
    """
    remote.require(package)
    theirs = remote.revision(package, revision or "latest")
    ours = local.tip(package)
    known = ours is not None and local.odb.has(theirs)
    behind = ours is None or (remote.odb.has(ours) and remote.is_ancestor(ours, theirs))
    ahead = known and ours is not None and local.is_ancestor(theirs, ours)
    if not behind and not ahead and not force:
        raise _unpushed(local, remote, package, ours, theirs)
    moved = Transfer(remote.odb, local.odb, deep=True).commits([theirs])
    new = ours if ahead and ours is not None and not force else theirs
    if new != ours:
        local.move(package, new, ours, f"install from {remote.url}")
    made, kept = _bring_tags(local, remote, package, theirs)
    extra = len([1 for oid, _ in local.history(ours) if not remote.odb.has(oid)]) if ahead and ours is not None and ours != theirs else 0
    return Synced(ours, theirs, moved, made, kept, ahead=extra)


def _bring_tags(local: Repository, remote: Repository, package: str, tip: Oid) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Create the remote's tags on commits that are now here; (made, left alone because the local one differs)."""
    made, kept = [], []
    for name in remote.refs.tags(package):
        value, mine = remote.refs.value(package, "tags", name), local.refs.value(package, "tags", name)
        if value is None or mine == value:
            continue
        if mine is not None:
            kept.append(name)
        elif local.odb.has(value):
            local.refs.create_tag(package, name, value, who=local.author(), why=f"install from {remote.url}")
            made.append(name)
    return tuple(made), tuple(kept)


def _unpushed(local: Repository, remote: Repository, package: str, ours: Oid | None, theirs: Oid) -> Conflict:
    assert ours is not None
    mine = [oid for oid, _ in local.history(ours) if not remote.odb.has(oid)]
    return Conflict(
        f"'{package}' has {count(len(mine), 'local commit')} that {remote.url} does not have, and the two have parted",
        f"put yours on top of theirs:  dpk push {package} {remote.url} --rebase\n"
        f"or take theirs:              dpk install {package} {remote.url} --force   (yours stay reachable as {package}@{ours[:12]})",
    )
