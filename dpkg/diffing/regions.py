"""Where two tables may differ: runs of fragments between those that both have in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from dpkg.diffing.align import align_items
from dpkg.index.reader import child, read_node
from dpkg.objects.node import FRAGMENTS, FragmentEntry, Node

if TYPE_CHECKING:
    from dpkg.odb import Odb
    from dpkg.oid import Oid


@dataclass(frozen=True, slots=True)
class Placed:
    """A fragment and the number of its first row in the table."""

    start: int
    entry: FragmentEntry

    @property
    def stop(self) -> int:
        return self.start + self.entry.rows


@dataclass(frozen=True, slots=True)
class Region:
    """Runs of fragments that stand in the place of one another; one of the two may be empty."""

    old: list[Placed]
    new: list[Placed]


@dataclass(frozen=True, slots=True)
class _Item:
    """An entry of a node on the way down: read as late as can be."""

    start: int
    oid: Oid
    node: Node | None = None
    entry: Any = None

    def below(self, odb: Odb) -> list[_Item]:
        node = self.node
        assert node is not None
        starts = accumulate((e.rows for e in node.entries), initial=self.start)
        if not node.level:
            return [_Item(s, e.oid, None, e) for s, e in zip(starts, node.entries, strict=False)]
        return [_Item(s, e.oid, node, e) for s, e in zip(starts, node.entries, strict=False)]

    def opened(self, odb: Odb) -> _Item:
        """With its own node, where it came from the node above."""
        if self.entry is None or self.node is None:
            return self
        return _Item(self.start, self.oid, child(odb, self.node, self.entry))


Runs = tuple[list[_Item], list[_Item]]


def regions(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid) -> Iterator[Region]:
    """The runs of fragments of two indexes that differ, in order. Reads nodes in proportion to what differs."""
    tops = [_Item(0, root, read_node(odb, root, FRAGMENTS)) for odb, root in ((odb_a, a), (odb_b, b))]
    height = max(t.node.level for t in tops if t.node)
    runs: list[Runs] = [([tops[0]], [tops[1]])]
    for level in range(height, -1, -1):
        below: list[Runs] = []
        for left, right in (r for run in runs for r in _unlike(run)):
            below.append((_down(odb_a, left, level), _down(odb_b, right, level)))
        runs = below
    for left, right in (r for run in runs for r in _unlike(run)):
        yield Region([Placed(i.start, i.entry) for i in left], [Placed(i.start, i.entry) for i in right])


def _down(odb: Odb, items: list[_Item], level: int) -> list[_Item]:
    """The items of the level below; those of a lower index wait for the other."""
    out: list[_Item] = []
    for item in items:
        opened = item.opened(odb)
        assert opened.node is not None
        out += opened.below(odb) if opened.node.level == level else [opened]
    return out


def _unlike(run: Runs) -> Iterator[Runs]:
    """The parts of a run between the items that are on both sides."""
    left, right = run
    i, j = align_items([x.oid for x in left], [x.oid for x in right])
    at_a = at_b = 0
    for x, y in [*zip(i.tolist(), j.tolist(), strict=True), (len(left), len(right))]:
        if x > at_a or y > at_b:
            yield left[at_a:x], right[at_b:y]
        at_a, at_b = x + 1, y + 1
