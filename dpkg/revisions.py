"""Which commit a revision of a package names: latest, a branch, a tag, the start of a commit or tophash (spec/terms.md)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dpkg.errors import NotFound, Usage
from dpkg.names import LATEST, MAIN

if TYPE_CHECKING:
    from dpkg.objects.commit import Commit
    from dpkg.oid import Oid
    from dpkg.repository import Repository

_STEPS = re.compile(r"~(\d*)$")
_HEX = frozenset("0123456789abcdef")


def find(repository: Repository, package: str, revision: str) -> Oid:
    """The commit that a revision of a package names: latest, branch, tag, prefix of a commit or tophash, each with ~N.

    Raises NotFound; Usage for a prefix of several, listing them.
    """
    steps = 0
    base = revision
    while found := _STEPS.search(base):
        steps += int(found.group(1) or 1)
        base = base[: found.start()]
    oid = _named(repository, package, base or LATEST)
    for done in range(steps):
        parents = repository.commit(oid).parents
        if oid in repository.refs.floor:
            raise NotFound(f"'{package}@{revision}': {repository.cut(package, oid)}", f"see 'dpk log {package}'")
        if not parents:
            raise NotFound(f"'{package}@{revision}': the history has only {done + 1} commit(s) from '{base}' back")
        oid = parents[0]
    return oid


def _named(repository: Repository, package: str, name: str) -> Oid:
    if name == LATEST:
        oid = repository.tip(package)
        if oid is None:
            raise NotFound(
                f"'{package}' has no commits on {MAIN}",
                f"see 'dpk log {package}' and its tags with 'dpk ls {package}'",
            )
        return oid
    for kind in ("tags", "heads"):
        try:
            oid = repository.refs.value(package, kind, name)
        except Usage:
            oid = None
        if oid is not None:
            return oid
    if len(name) >= 4 and _HEX.issuperset(name) and len(name) <= 64:
        return _prefixed(repository, package, name)
    tags = sorted(repository.refs.tags(package))
    hint = f"tags: {', '.join(tags[-10:])}" if tags else f"see 'dpk log {package}'"
    raise NotFound(f"'{package}' has no revision '{name}'", hint)


def _prefixed(repository: Repository, package: str, prefix: str) -> Oid:
    """The newest commit whose oid or tophash starts with `prefix`: of those that refs reach, else of those that they once did."""
    for source in (repository.all_commits, repository.former_commits):
        commits: dict[Oid, Commit] = {}
        trees: dict[Oid, Oid] = {}
        for oid, commit in source(package):
            if oid.startswith(prefix):
                commits[oid] = commit
            if commit.tree.startswith(prefix):
                trees.setdefault(commit.tree, oid)
        if len(commits) + len(trees) == 1:
            return next(iter(commits or trees.values()))
        if commits or trees:
            lines = [f"commit  {oid}  {c.message.splitlines()[0] if c.message else ''}" for oid, c in commits.items()]
            lines += [f"tophash {tree}  of commit {oid[:12]}" for tree, oid in trees.items()]
            raise Usage(f"'{prefix}' is ambiguous in '{package}'", "\n".join(["it may be:", *lines]))
    cut = f", and {repository.cut(package, min(repository.refs.floor))}" if repository.refs.floor else ""
    raise NotFound(f"no commit or tophash of '{package}' starts with '{prefix}'{cut}", f"see 'dpk log {package}'")
