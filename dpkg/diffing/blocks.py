"""A walk through two tables side by side in blocks, each within one fragment of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dpkg.arrow.rowdiff import ADDED, CHANGED, REMOVED
from dpkg.diffing.align import Pairs
from dpkg.diffing.regions import Placed


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `old_rows` of one fragment and `new_rows` of another (start and stop; None: of none), and their pairs."""

    old: Placed | None
    new: Placed | None
    old_rows: tuple[int, int]
    new_rows: tuple[int, int]
    pairs: Pairs


def blocks(old: list[Placed], new: list[Placed], pairs: Pairs) -> Iterator[Block]:
    """The blocks of two runs of adjacent fragments, in order; every row is in one of them, and no pair is parted."""
    i, j = pairs
    first = (old[0].start if old else 0), (new[0].start if new else 0)
    last = (old[-1].stop if old else first[0]), (new[-1].stop if new else first[1])
    cuts = {last}
    for p in old:  # to the end of an old fragment: before rows that are only new
        k = int(np.searchsorted(i, p.stop))
        cuts.add((p.stop, int(j[k - 1]) + 1 if k else first[1]))
    for q in new:  # to the end of a new one: after rows that are only old
        k = int(np.searchsorted(j, q.stop))
        cuts.add((int(i[k]) if k < len(i) else last[0], q.stop))
    at, a, b = first, 0, 0
    for cut in sorted(cuts):
        if cut == at:
            continue
        while a < len(old) - 1 and old[a].stop <= at[0]:
            a += 1
        while b < len(new) - 1 and new[b].stop <= at[1]:
            b += 1
        low, high = np.searchsorted(i, (at[0], cut[0]))
        some = np.array(i[low:high]), np.array(j[low:high])
        yield Block(
            old[a] if cut[0] > at[0] else None,
            new[b] if cut[1] > at[1] else None,
            (at[0], cut[0]),
            (at[1], cut[1]),
            some,
        )
        at = cut


def changes(block: Block, bad: Any, differing: Any) -> tuple[Any, Any, Any, Any]:
    """What happened in a block, in order: kinds (places in KINDS), old rows, new rows (-1: none), which pair (-1: none).

    `bad` says for each pair whether it is none after all; `differing` are the places of pairs of changed rows.
    """
    i, j = block.pairs
    good = np.flatnonzero(~bad)
    gone, came = _others(*block.old_rows, i[good]), _others(*block.new_rows, j[good])
    at = differing[~bad[differing]]
    none = [np.full(len(x), -1, np.int64) for x in (gone, came)]
    kinds = np.repeat([REMOVED, ADDED, CHANGED], [len(gone), len(came), len(at)])
    old_rows, new_rows = np.concatenate([gone, none[1], i[at]]), np.concatenate([none[0], came, j[at]])
    which = np.concatenate([*none, at])
    gap = np.concatenate([np.searchsorted(i[good], gone), np.searchsorted(j[good], came), np.searchsorted(good, at)])
    order = np.lexsort((kinds, gap))  # stable: within a gap and a kind they ascend
    return kinds[order], old_rows[order], new_rows[order], which[order]


def _others(start: int, stop: int, rows: Any) -> Any:
    """The rows of a range that are not among some of it."""
    others = np.ones(stop - start, bool)
    others[rows - start] = False
    return np.flatnonzero(others) + start
