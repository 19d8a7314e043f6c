"""Two sequences side by side: which items of the one are which of the other, in order (as in patience diff)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

ROUNDS = 8  # in each, what is between the pairs found is looked at again
MANY_RUNS = 1 << 20  # beyond so many runs of adjacent pairs, the shortest are left out
_SPREAD, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(42)
Pairs = tuple[Any, Any]  # places in the one and the other, both ascending


def align_items(a: Sequence[Any], b: Sequence[Any]) -> Pairs:
    """Pairs of equal items (hashable) of two sequences."""
    ids: dict[Any, int] = {}
    x, y = (np.array([ids.setdefault(i, len(ids)) for i in side], np.uint64) for side in (a, b))
    return align(x, np.arange(len(x)), y, np.arange(len(y)))


def align(a: Any, at_a: Any, b: Any, at_b: Any, known: Pairs | None = None) -> Pairs:
    """Pairs of places that hold equal numbers (uint64), `known` ones among them.

    `at_a` and `at_b` are the ascending places of the numbers; those of `known` pairs are not among them.
    """
    nothing = np.zeros(0, np.int64)
    pairs = known or (nothing, nothing)
    if known is None:
        ends, inner = _ends(a, b)
        pairs = at_a[ends[0]], at_b[ends[1]]
        a, at_a, b, at_b = a[inner[0]], at_a[inner[0]], b[inner[1]], at_b[inner[1]]
    in_a, in_b = _shared(a, b)
    a, at_a, b, at_b = a[in_a], at_a[in_a], b[in_b], at_b[in_b]
    _, ids = np.unique(np.concatenate([a, b]), return_inverse=True)
    a, b = ids[: len(a)].astype(np.uint64), ids[len(a) :].astype(np.uint64)
    both = np.zeros(len(ids) + 1, np.uint8)
    both[a] = 1
    both[b] |= 2
    a, at_a = a[both[a] == 3], at_a[both[a] == 3]
    b, at_b = b[both[b] == 3], at_b[both[b] == 3]
    for n in range(ROUNDS):
        if not (len(a) and len(b)):
            break
        once = n == 0 and known is None  # first those that there is one of; then by gap, the first with the first
        gap_a, gap_b = (
            np.searchsorted(p, at).astype(np.uint64) << np.uint64(32) for p, at in zip(pairs, (at_a, at_b), strict=True)
        )
        i, j = pair_up(a, b, True) if once else pair_up(a | gap_a, b | gap_b)
        kept = heaviest_chain(i, j)
        i, j = i[kept], j[kept]
        if not len(i) and not once:
            break
        pairs = _merged(pairs, (at_a[i], at_b[j]))
        a, at_a, b, at_b = np.delete(a, i), np.delete(at_a, i), np.delete(b, j), np.delete(at_b, j)
    return pairs


def _ends(a: Any, b: Any) -> tuple[Pairs, tuple[slice, slice]]:
    """The pairs of the common beginning and end, and what is between them on both sides."""
    n = min(len(a), len(b))
    unlike = np.flatnonzero(a[:n] != b[:n])
    head = int(unlike[0]) if len(unlike) else n
    unlike = np.flatnonzero((a[len(a) - n :] != b[len(b) - n :])[::-1][: n - head])
    tail = int(unlike[0]) if len(unlike) else n - head
    left, right = len(a) - tail, len(b) - tail
    first = np.arange(head)
    ends = np.concatenate([first, np.arange(left, len(a))]), np.concatenate([first, np.arange(right, len(b))])
    return ends, (slice(head, left), slice(head, right))


def _merged(x: Pairs, y: Pairs) -> Pairs:
    i, j = np.concatenate([x[0], y[0]]), np.concatenate([x[1], y[1]])
    order = np.argsort(i, kind="stable")
    return i[order], j[order]


def pair_up(a: Any, b: Any, once: bool = False) -> Pairs:
    """Places of equal numbers, the first with the first and so on; sorted by the first sequence.

    `once`: only of numbers that are in both sequences once.
    """
    in_a, in_b = _shared(a, b)
    order_a, order_b = (at[np.argsort(x[at], kind="stable")] for x, at in ((a, in_a), (b, in_b)))
    (values_a, first_a, count_a), (values_b, first_b, count_b) = (
        np.unique(x, return_index=True, return_counts=True) for x in (a[order_a], b[order_b])
    )
    _, x, y = np.intersect1d(values_a, values_b, assume_unique=True, return_indices=True)
    counts = np.minimum(count_a[x], count_b[y])
    if once:
        counts = np.where((count_a[x] == 1) & (count_b[y] == 1), 1, 0)
    group = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    i, j = order_a[first_a[x][group] + nth], order_b[first_b[y][group] + nth]
    order = np.argsort(i)
    return i[order], j[order]


def _shared(a: Any, b: Any) -> Pairs:
    """The places of numbers that may be in both sequences: all that are, and few others. Quicker than sorting."""
    x, y = ((side * _SPREAD) >> _SHIFT for side in (a, b))
    seen = np.zeros(1 << 22, np.uint8)
    seen[x] = 1
    seen[y] |= 2
    return np.flatnonzero(seen[x] == 3), np.flatnonzero(seen[y] == 3)


def heaviest_chain(i: Any, j: Any, weights: Any = None) -> Any:
    """Of pairs sorted by `i`, in which no place comes twice, the places of most of those whose `j` ascends too.

    Most, as the shortest of very many runs are not looked at. `weights`: what each pair counts for, if not one.
    """
    if len(j) < 2 or (np.diff(j) > 0).all():
        return np.arange(len(j))
    rank = np.empty(len(j), np.int64)
    rank[np.argsort(j)] = np.arange(len(j))
    starts = np.concatenate([[0], np.flatnonzero(np.diff(rank) != 1) + 1])
    sizes = np.diff(np.append(starts, len(j)))
    weights = sizes if weights is None else np.add.reduceat(weights, starts)
    if len(starts) > MANY_RUNS:
        longest = np.sort(np.argpartition(-weights, MANY_RUNS)[:MANY_RUNS])
        starts, sizes, weights = starts[longest], sizes[longest], weights[longest]
    chosen = _chain(rank[starts].tolist(), weights.tolist())
    return np.concatenate([np.arange(starts[c], starts[c] + sizes[c]) for c in chosen])


def _chain(ranks: list[int], weights: list[int]) -> list[int]:
    """The ascending ranks of the greatest sum of weights, as their places."""
    ends: list[int] = []  # of the chains worth going on from, their last ranks: both these and their weights ascend
    sums: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, (rank, weight) in enumerate(zip(ranks, weights, strict=True)):
        at = bisect_left(ends, rank)
        total = weight + (sums[at - 1] if at else 0)
        before.append(places[at - 1] if at else -1)
        stop = at
        while stop < len(sums) and sums[stop] <= total:
            stop += 1
        ends[at:stop], sums[at:stop], places[at:stop] = [rank], [total], [place]
    out, place = [], places[-1]
    while place >= 0:
        out.append(place)
        place = before[place]
    return out[::-1]
