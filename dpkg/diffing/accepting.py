"""Diffs that people accepted: entries in the log of a branch that leave it where it is (spec/diff.md, Reviews)."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from dpkg.errors import CheckFailed, Conflict, NotFound
from dpkg.objects import canonical_json
from dpkg.oid import Oid, digest
from dpkg.refs import HEADS, TAGS
from dpkg.repository import MAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dpkg.refs import RefEntry, Refs
    from dpkg.repository import Repository

_ATTEMPTS = 10
_HEX = "[0-9a-f]{64}"
_WHY = re.compile(rf"accepted ({_HEX}) ({_HEX}|-) ({_HEX}) ([a-z]+|-): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A diff that was accepted: from the tophash `old` (None: nothing was before) to `new`."""

    digest: Oid
    old: Oid | None
    new: Oid
    verdict: str | None  # on the drift; None: not known
    message: str
    who: str
    time: int
    branch: str  # in whose log it is


def diff_digest(old: Oid | None, new: Oid) -> Oid:
    """The digest of the diff of two tophashes (REV-1)."""
    return digest("diff", canonical_json.encode({"new": str(new), "old": None if old is None else str(old)}))


def why(old: Oid | None, new: Oid, verdict: str | None, message: str) -> str:
    """What the entry of an acceptance says (REV-2)."""
    return f"accepted {diff_digest(old, new)} {old or '-'} {new} {verdict or '-'}: {message}"


def read(entry: RefEntry, branch: str) -> Acceptance | None:
    """The acceptance that an entry spells; None if it spells none, or not that of its own digest."""
    found = _WHY.fullmatch(entry.why) if entry.event == "commit" else None
    if found is None:
        return None
    old, new = None if found[2] == "-" else Oid(found[2]), Oid(found[3])
    said, verdict = diff_digest(old, new), None if found[4] == "-" else found[4]
    return Acceptance(said, old, new, verdict, found[5], entry.who, entry.time, branch) if said == found[1] else None


def acceptances(refs: Refs, package: str) -> Iterator[Acceptance]:
    """All acceptances in the logs of a package's branches, of each the newest first. An entry that moved its branch is none (REV-3)."""
    for branch in refs.logs(package, HEADS):
        found: tuple[Acceptance, Oid | None] | None = None
        for entry in refs.log(package, HEADS, branch):
            if entry.event not in ("commit", "deleted", "birth"):
                continue
            if found and found[1] == entry.oid:
                yield found[0]
            made = read(entry, branch)
            found = (made, entry.oid) if made else None


def accept(
    repository: Repository, package: str, old: Oid | None, commit: Oid, verdict: str | None, message: str
) -> tuple[Acceptance, bool]:
    """Note that the diff from a tophash to that of a commit was accepted; False: it was already, and nothing is written.

    Raises NotFound if no branch reaches the commit, Conflict if the log does not stop moving.
    """
    new = repository.commit(commit).tree
    said, text = diff_digest(old, new), why(old, new, verdict, message)
    for _ in range(_ATTEMPTS):
        branch, tip = _branch(repository, package, commit)
        tail = repository.start(package, branch)
        before = next((a for a in acceptances(repository.refs, package) if a.digest == said), None)
        if before:
            return before, False
        if repository.tip(package, branch) != tip:
            continue
        with suppress(Conflict):  # someone was quicker: look again where the branch is
            repository.settle()
            entry = repository.refs.update(
                package, HEADS, branch, tip, tip, who=repository.author(), why=text, tail=tail
            )
            return Acceptance(said, old, new, verdict, message, entry.who, entry.time, branch), True
    raise Conflict(f"the log of '{package}' does not stop moving", "try again later")


def _branch(repository: Repository, package: str, commit: Oid) -> tuple[str, Oid]:
    """A branch that reaches a commit, main if it does, and where it is."""
    for name in dict.fromkeys((MAIN, *repository.refs.heads(package))):
        tip = repository.tip(package, name)
        if tip is not None and repository.is_ancestor(commit, tip):
            return name, tip
    raise NotFound(
        f"no branch of '{package}' has the commit {commit.short}", "what is accepted is noted in the log of a branch"
    )


def tagged(repository: Repository, package: str) -> dict[Oid, str]:
    """The commits of a package that have a tag, each with the name of one."""
    refs = repository.refs
    values = ((name, refs.value(package, TAGS, name)) for name in refs.tags(package))
    return {value: name for name, value in values if value}


def baseline(repository: Repository, package: str, commit: Oid) -> Oid | None:
    """The tagged commit that a commit is compared with: the nearest before it, by first parents.

    Where retention cut the history before there was one, that of the package's newest tag that does not come after the
    commit. None: there is none.
    """
    tags = tagged(repository, package)
    at = commit
    for at in _before(repository, commit):
        if at in tags:
            return at
    if at not in repository.refs.floor:
        return None
    others = sorted(((repository.commit(oid).time, name, oid) for oid, name in tags.items()), reverse=True)
    return next((oid for _, _, oid in others if not repository.is_ancestor(commit, oid)), None)


def _before(repository: Repository, commit: Oid) -> Iterator[Oid]:
    """The commits before one, by first parents, as far as retention left them."""
    while commit not in repository.refs.floor and (parents := repository.commit(commit).parents):
        commit = parents[0]
        yield commit


def require(repository: Repository, package: str, commit: Oid, store: str | None = None) -> None:
    """Raises CheckFailed unless all that a commit has was accepted: step by step from the tag before it, or from nothing (REV-5)."""
    base, wanted = baseline(repository, package, commit), repository.commit(commit).tree
    starts = {None, repository.commit(base).tree if base else None}
    known = reached(starts, acceptances(repository.refs, package))
    if wanted in known:
        return
    more = f" --store {quote(store)}" if store else ""
    near = next((oid for oid in _before(repository, commit) if repository.commit(oid).tree in known), base)
    if near is None:
        what = f"{package}@{commit.short}"
        said, look = f"what is in '{what}' was not accepted, and no tag came before it", f"dpk show {what}"
    else:
        what = f"{package}@{tagged(repository, package).get(near, near.short)}..{commit.short}"
        said, look = f"the diff '{what}' was not accepted", f"dpk diff {what}"
    raise CheckFailed(said, f"look at it, then accept it:\n{look}{more}\ndpk review accept {what} -m MESSAGE{more}")


def reached(starts: Iterable[Oid | None], accepted: Iterable[Acceptance]) -> set[Oid | None]:
    """The tophashes to which accepted diffs lead."""
    steps: dict[Oid | None, list[Oid]] = {}
    for a in accepted:
        steps.setdefault(a.old, []).append(a.new)
    out = set(starts)
    todo = [*out]
    while todo:
        for new in steps.get(todo.pop(), ()):
            if new not in out:
                out.add(new)
                todo.append(new)
    return out
