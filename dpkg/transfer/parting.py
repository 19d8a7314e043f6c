"""Install of a part of a package: one table, folder or file, and of the rest only the commit and the nodes on the way to it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dpkg.errors import NotFound, Usage
from dpkg.index import lookup, on_the_way
from dpkg.names import LATEST, MAIN
from dpkg.parts import Part
from dpkg.refs import PARTS
from dpkg.transfer.sync import Synced, Syncing
from dpkg.transfer.transfer import Moved, Transfer, agree, sums

if TYPE_CHECKING:
    from dpkg.names import Expr
    from dpkg.objects.node import TreeEntry
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository


def install(local: Repository, remote: Repository, expr: Expr) -> Synced:
    """Bring what an expression with a path names. Nothing is brought that a branch, a tag or this part has already.

    Raises NotFound, Usage where all of the package is here, and no other revision is named.
    """
    return _Install(local, remote, expr).run()


class _Install(Syncing):
    def __init__(self, local: Repository, remote: Repository, expr: Expr) -> None:
        super().__init__(local, remote, local, expr.package, False)
        assert expr.path is not None
        self.expr, self.path = expr, expr.path

    def _attempt(self) -> Synced:
        _, theirs, _, _ = self.remote.entry(self.expr)
        part = Part(self._revision(theirs), self.path, theirs)
        log = (self.package, PARTS, part.ref)
        old = self._found(theirs if self._is_whole(theirs) else self.local.refs.value(*log))
        if old != theirs:
            tail = self._start(PARTS, part.ref)
            self.there.begin()
            old = self.local.refs.value(*log)
            _Transfer(self.remote.odb, self.local.odb, deep=True, moved=self.moved).part(theirs, self.path, old)
            self._move(PARTS, part.ref, theirs, old, tail, f"install from {self.remote.url}", part=part.text)
        return Synced(old, theirs, theirs, self.moved, (), (), 0)

    def _revision(self, commit: Oid) -> str:
        """What the part is asked for by: the remote's branch or tag that was named, else the commit's oid."""
        name = self.expr.revision or LATEST
        if name in (LATEST, MAIN):
            return MAIN
        for kind in ("tags", "heads"):
            with suppress(Usage):  # `v1~2` is no ref
                if self.remote.refs.value(self.package, kind, name) == commit:
                    return name
        return commit

    def _is_whole(self, commit: Oid) -> bool:
        """Whether a branch or tag of the local package reaches a commit. Usage where it has another newest one."""
        local = self.local
        if local.odb.has(commit) and any(oid == commit for oid, _ in local.all_commits(self.package)):
            return True
        if self.expr.revision is None and local.tip(self.package) is not None:
            raise Usage(
                f"all of '{self.package}' is installed in {local.url}, at another commit than the remote's",
                f"'dpk install {self.package}' brings what is new; for this part alone as it is there, write"
                f" {self.package}@{commit.short}/{self.path}",
            )
        return False


class _Transfer(Transfer):
    def part(self, commit: Oid, path: str, old: Oid | None = None) -> Moved:
        """Move what is at a path of a commit's tree, and the commit; the target has that of the commit `old`."""
        with self._checkers, self._crew, self.target.packing():
            tree = self._commit(commit).tree
            before = None if old is None else _entry_of(self.target, self._commit(old).tree, path)
            entry: TreeEntry | None = None
            nodes = []
            for oid, node, found in on_the_way(self.source, tree, path):
                if entry is not None and oid == entry.oid:  # the root of a folder on the way
                    agree(entry, sums(node))
                nodes.append(oid)
                entry = found if found is not None else entry
            assert entry is not None
            self._entry(entry, before, path.count("/"))
            self._flush()
            self._containers.update((oid, "node") for oid in reversed(nodes))
            self._flush()
            self._write([commit] if self._presence.lacking("object", [commit]) else [])
            self.target.sync()
            return self.moved


def _entry_of(odb: Odb, tree: Oid, path: str) -> TreeEntry | None:
    with suppress(NotFound):
        return lookup(odb, tree, path)
    return None
