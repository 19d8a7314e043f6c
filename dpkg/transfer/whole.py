"""What an odb has whole: an index with all that is below it, to compare another version with."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, NotFound
from dpkg.index.reader import read_node
from dpkg.odb import Odb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.objects.frame import Kind
    from dpkg.objects.node import InnerEntry, Node, TreeEntry
    from dpkg.oid import Oid


class Near(Odb):
    """What a remote odb has, read from one near by where that has it too: most of what was there before came from it."""

    def __init__(self, near: Odb, far: Odb) -> None:
        super().__init__(far.backend)
        self._odbs = (near, far)

    def read(self, oid: Oid, kind: Kind) -> bytes:
        near, far = self._odbs
        with suppress(NotFound, Corrupt):
            return near.read(oid, kind)
        return far.read(oid, kind)


class Whole:
    """An index that an odb holds whole, with everything below it."""

    def __init__(self, odb: Odb, oid: Oid, kind: str) -> None:
        self.oid = oid
        self._read = lru_cache(16)(partial(read_node, odb, kind=kind))
        self.root: Node = self._read(oid)
        self.inner = frozenset(self._inner(self.root))

    def _inner(self, node: Node) -> Iterator[InnerEntry]:
        """The entries of all nodes above the leaves."""
        for entry in node.entries if node.level else ():
            yield entry
            if node.level > 1:
                yield from self._inner(self._read(entry.oid))

    def entry(self, name: str) -> TreeEntry | None:
        """The entry of a tree with this name. Names that come in order cost one read a node."""
        node, key = self.root, name.encode()
        while True:
            at = bisect_left(node.entries, key, key=lambda e: e.key_bytes)
            if at == len(node.entries):
                return None
            found = node.entries[at]
            if not node.level:
                return found if found.name == name else None
            node = self._read(found.oid)

    def leaves(self, shared: set[InnerEntry]) -> Iterator[Node]:
        """The leaves but for those under one of the entries `shared`."""

        def below(node: Node) -> Iterator[Node]:
            if not node.level:
                yield node
            for entry in node.entries if node.level else ():
                if entry not in shared:
                    yield from below(self._read(entry.oid))

        return below(self.root)
