"""What is published in a store: each ref entry, commit, tree, blob and row is read. Simple, and without dpkg's own walks."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from dpkg import tables
from dpkg.arrow import fragment
from dpkg.objects.commit import Commit
from dpkg.objects.node import Node
from dpkg.objects.table import Table
from dpkg.odb import Odb
from dpkg.oid import Oid
from dpkg.refs import RefEntry
from dpkg.store import open_backend

TOP = 2**64 - 1
Contents = dict[str, Any]  # by path: bytes of a blob, rows of a table


class Walker:
    """The store at `url`, seen for the first time. What is missing or damaged raises."""

    def __init__(self, url: str) -> None:
        self.backend = open_backend(url)
        self.odb = Odb(self.backend)
        self._trees: dict[Oid, Contents] = {}
        self.commits: dict[Oid, Contents] = {}

    def logs(self) -> dict[str, list[RefEntry]]:
        """Each ref's log, oldest entry first: numbered without a gap, each naming the one before."""
        found: dict[str, dict[int, RefEntry]] = defaultdict(dict)
        for key in [stat.key for stat in self.backend.list("refs/")]:
            folder, _, number = key.rpartition("/")
            entry = RefEntry.decode(self.backend.get(key))
            assert entry.n == TOP - int(number, 16)
            found[folder.removeprefix("refs/")][entry.n] = entry
        logs = {}
        for name, entries in found.items():
            log = [entries[n] for n in range(len(entries))]
            assert [e.prev for e in log] == [None, *(e.digest for e in log[:-1])], name
            logs[name] = log
        return logs

    def published(self) -> dict[str, Oid]:
        """The refs that have a value. All that they reach was read, as far as their histories go."""
        values: dict[str, Oid] = {}
        for name, log in self.logs().items():
            last = next((e for e in reversed(log) if e.event in ("commit", "deleted")), None)
            if last and last.oid:
                self.commit(last.oid, frozenset(log[-1].floor))
                values[name] = last.oid
        assert not values or self.backend.stat("format")
        return values

    def commit(self, start: Oid, floor: frozenset[Oid] = frozenset()) -> Contents:
        """What is in a commit; those before it, down to `floor`, are whole as well."""
        todo, seen = [start], set()
        while todo:
            oid = todo.pop()
            if oid not in seen:
                seen.add(oid)
                commit = Commit.decode(self.odb.read(oid, "commit"))
                self.commits[oid] = self.tree(commit.tree)
                todo += commit.parents if oid not in floor else ()
        return self.commits[start]

    def tree(self, root: Oid) -> Contents:
        if root not in self._trees:
            out: Contents = {}
            for entry in self._entries(root):
                if entry.meta:
                    out[f"{entry.name} (metadata)"] = b"".join(self.odb.iter_blob(entry.meta))
                if entry.type == "tree":
                    out |= {f"{entry.name}/{path}": value for path, value in self.tree(entry.oid).items()}
                elif entry.type == "blob":
                    out[entry.name] = b"".join(self.odb.iter_blob(entry.oid))
                else:
                    out[entry.name] = self._rows(entry.oid)
            self._trees[root] = out
        return self._trees[root]

    def _entries(self, oid: Oid) -> Any:
        node = Node.decode(self.odb.read(oid, "node"))
        for entry in node.entries:
            yield from self._entries(entry.oid) if node.level else [entry]

    def _rows(self, oid: Oid) -> list[dict[str, Any]]:
        table = Table.decode(self.odb.read(oid, "table"))
        for node in self._leaves(table.fragments):
            if node.stats:
                fragment.check_seal(self.odb.read_fragment_file(node.stats))
            for entry in node.entries:
                fragment.check_seal(self.odb.read_fragment_file(entry.oid))
        return [row for batch in tables.scan(self.odb, table) for row in batch.to_pylist()]

    def _leaves(self, oid: Oid) -> Any:
        node = Node.decode(self.odb.read(oid, "node"))
        if node.level:
            for entry in node.entries:
                yield from self._leaves(entry.oid)
        else:
            yield node


def published(url: str) -> dict[str, Oid]:
    """The refs of a store that have a value; everything below them was read."""
    return Walker(url).published()
