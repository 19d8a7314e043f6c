"""What single commits changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dpkg.comparing import Change, Pair, all_pairs, apart, diff_pairs, pairs_at, tree_pairs
from dpkg.diffing.review import review

if TYPE_CHECKING:
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository


def commit_changes(repository: Repository, oid: Oid, paths: Sequence[str] = ()) -> list[Change] | None:
    """What a commit changed against its first parent, at and below `paths`; None where that was removed by retention.

    In the first commit all is added.
    """
    odb, commit, paths = repository.odb, repository.commit(oid), apart(paths)
    if not commit.parents:
        pairs: Iterator[Pair] = (p for p in all_pairs(odb, commit.tree) if not paths or _below(p[0], paths))
        return diff_pairs(odb, odb, pairs)
    if oid in repository.refs.floor:
        return None
    before = repository.commit(commit.parents[0]).tree
    pairs = _pairs(odb, before, commit.tree, paths) if paths else tree_pairs(odb, before, odb, commit.tree)
    return review(odb, odb, diff_pairs(odb, odb, pairs), None, asked=False)


def _below(path: str, paths: Sequence[str]) -> bool:
    return any(f"{path}/".startswith(f"{p}/") for p in paths)


def _pairs(odb: Odb, a: Oid, b: Oid, paths: Sequence[str]) -> Iterator[Pair]:
    """Nothing of a path that neither tree has: it is not of every commit."""
    for path in paths:
        yield from pairs_at(odb, a, odb, b, path)
