"""Building an index: entries in order go in, nodes go out to the odb (spec/index.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg.errors import Format
from dpkg.objects import node
from dpkg.oid import Oid

if TYPE_CHECKING:
    from typing import Any

WriteNode = Callable[[bytes], Oid]
_LEVELS = [bytes([level]) for level in range(node.MAX_LEVELS)]
LeafStats = Callable[[int], Oid]  # given a leaf's number of fragments, store and name their statistics


def splits(level: int, key: bytes) -> bool:
    """Whether an entry's key asks for a node to end after it: one key in 256 does (IDX-3)."""
    return int.from_bytes(blake3(_LEVELS[level] + key).digest(4), "little") < 1 << 24


class IndexBuilder:
    """Takes entries in order, writes each node when it is full. Memory: one open node a level."""

    def __init__(self, kind: str, write: WriteNode, leaf_stats: LeafStats | None = None) -> None:
        self._kind, self._write, self._leaf_stats = kind, write, leaf_stats
        self._levels: list[_Open] = [_Open()]

    def add(self, entry: Any, level: int = 0) -> None:
        """Append an entry to a level. Entries of level 0 come from outside, others from the level below."""
        data = entry.encode()
        open_ = self._levels[level]
        if open_.entries and open_.size + len(data) + 1 > node.MAX_BYTES:
            self._end(level)
        open_.entries.append(entry)
        open_.encoded.append(data)
        open_.size += len(data) + 1
        count = len(open_.entries)
        if count == node.MAX_ENTRIES or (count >= 2 and splits(level, entry.key_bytes)):
            self._end(level)

    def _end(self, level: int) -> None:
        """Write the open node of a level and hand its entry to the level above."""
        open_ = self._levels[level]
        open_.nodes.append(self._store(level, open_))
        open_.clear()
        if len(open_.nodes) > 1 or level + 1 < len(self._levels):
            self._raise(level)

    def _raise(self, level: int) -> None:
        """Give the level above what waits below it; a level is opened when there are two nodes for it."""
        if level + 1 == len(self._levels):
            if level + 1 >= node.MAX_LEVELS:
                raise Format("an index would have more than 16 levels")
            self._levels.append(_Open())
        waiting, self._levels[level].nodes = self._levels[level].nodes, []
        for entry in waiting:
            self.add(entry, level + 1)

    def _store(self, level: int, open_: _Open) -> node.InnerEntry:
        stats = None
        if self._leaf_stats and level == 0 and open_.entries:
            stats = self._leaf_stats(len(open_.entries))
        oid = self._write(node.join(self._kind, level, open_.encoded, stats))
        entries, rows, size = node.sums(open_.entries)
        key = open_.entries[-1].key if open_.entries else ""
        return node.InnerEntry(key, oid, entries, rows, size, self._kind)

    def finish(self) -> node.InnerEntry:
        """Write what is open and return the root with its sums (IDX-4)."""
        level = 0
        while True:
            open_ = self._levels[level]
            top = level + 1 == len(self._levels)
            if open_.entries or (top and not open_.nodes):
                if top and not open_.nodes:
                    return self._store(level, open_)
                self._end(level)
            elif top:
                return open_.nodes[0]
            level += 1


class _Open:
    """The open node of one level, and at the top level at most one finished node that waits for a second."""

    __slots__ = ("encoded", "entries", "nodes", "size")

    def __init__(self) -> None:
        self.nodes: list[node.InnerEntry] = []
        self.clear()

    def clear(self) -> None:
        self.entries: list[Any] = []
        self.encoded: list[bytes] = []
        self.size = 0


def build_tree(entries: Iterable[node.TreeEntry], write: WriteNode) -> node.InnerEntry:
    """The tree of some entries, in any order. Raises Format for a name that stands twice or is none."""
    builder = IndexBuilder(node.TREE, write)
    last = None
    found = list(entries)
    for entry in found:
        node.check_name(entry.name)
    for entry in sorted(found, key=attrgetter("name")):  # code points are in the order of their UTF-8
        if entry.name == last:
            raise Format(f"a tree has two entries named '{entry.name}'")
        last = entry.name
        builder.add(entry)
    return builder.finish()
