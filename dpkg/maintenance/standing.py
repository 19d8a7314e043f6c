"""Whether a commit that is stored already may be named by a ref: all that it reaches has to be there, and to stay."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dpkg import reaching
from dpkg.errors import NotFound
from dpkg.transfer.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.odb.odb import Place
    from dpkg.oid import Oid
    from dpkg.repository import Repository

_BATCH = 512


def count_on(repository: Repository, package: str, commit: Oid, base: Oid | None = None) -> None:
    """Make sure that a commit is whole and stays, once `repository.begin` was called. NotFound if it lacks anything.

    While no epoch of gc is open, it is enough that a ref of the package names the commit, or one after it. `base` is what
    the log names that is to be appended to: nothing that its history reaches need be looked at.
    """
    assert repository.guard is not None
    if repository.guard.open or not _named(repository, package, commit):
        _walk(repository, commit, [base] if base else [])


def _named(repository: Repository, package: str, commit: Oid) -> bool:
    """Whether the history of a ref has a commit now: what was read of that ref before does not count."""
    refs = repository.refs
    names = [("heads", name) for name in refs.heads(package)]
    if not any(refs.value(package, *ref) == commit for ref in names):
        names += [("tags", name) for name in refs.tags(package)]
    for ref in sorted(names, key=lambda ref: refs.value(package, *ref) != commit)[:1]:
        refs.look(package, *ref)
        value = refs.value(package, *ref)
        return value is not None and repository.is_ancestor(commit, value)
    return False


def _walk(repository: Repository, commit: Oid, bases: list[Oid]) -> None:
    """Look at everything that a commit reaches, so that the guard notes it."""
    presence = Presence(repository.odb)
    for place in ("object", "fragment"):
        found: Iterator[Oid] = (oid for where, oid in _below(repository, commit, bases) if where == place)
        while batch := list(islice(found, _BATCH)):
            for oid in presence.lacking(place, batch):
                raise NotFound(
                    f"{place} {oid}, which commit {commit} reaches, is not in {repository.url}",
                    "gc may have removed it, as no ref reached it: get the commit again from a store that has it",
                )


def _below(repository: Repository, commit: Oid, bases: list[Oid]) -> Iterator[tuple[Place, Oid]]:
    below = reaching.Objects(repository.odb)
    for oid, made in reaching.commits(repository.commit, [commit], bases, floor=repository.refs.floor):
        yield "object", oid
        for kind, found in below.tree(made.tree):
            yield ("fragment" if kind == "fragment" else "object"), found
