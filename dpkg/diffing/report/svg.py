"""Charts of both sides as inline SVG: OLD is an outline, NEW is filled, so that nobody needs the colours to tell them apart.

Heights are shares of each side's own values: sides with different numbers of rows compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from dpkg.diffing.report import figures

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary
    from dpkg.drift.columns import Category, ColumnDrift

WIDTH, HEIGHT = 400, 120  # units of a chart, which is as wide as its place: its labels are HTML beside it
CATEGORIES = 12  # that are shown


class Bars:
    """Bins of equal width with the shares of both sides; `old` or `new` is empty where there is one side."""

    def __init__(self, lows: Sequence[object], highs: Sequence[object], old: Sequence[int], new: Sequence[int]) -> None:
        self.lows, self.highs = lows, highs
        self.old, self.new = (_shares(old), _shares(new))
        self.top = max([*self.old, *self.new], default=0.0)

    def heights(self, shares: Sequence[float], height: int) -> list[int]:
        """In whole units; what is there is seen."""
        most = self.top or 1.0
        return [max(1, round(height * s / most)) if s else 0 for s in shares]


def of_both(column: ColumnDrift) -> Bars | None:
    """The histogram of a column, of one side where that is all there is."""
    if bins := column.histogram:
        return Bars(*([getattr(b, part) for b in bins] for part in ("low", "high", "old", "new")))
    if column.old is None or column.new is None:
        return of_one(column.new or column.old, column.old is None)
    return None


def of_any(column: ColumnDrift) -> Bars | None:
    """As `of_both`, or how often the categories occur."""
    if column.histogram or not (found := column.categories):
        return of_both(column)
    values = [c.value for c in found]
    return Bars(values, values, [c.old for c in found], [c.new for c in found])


def of_one(side: Summary | None, new: bool) -> Bars | None:
    """The histogram of one side."""
    if side is None or not side.histogram:
        return None
    lows, highs, counts = ([getattr(b, part) for b in side.histogram] for part in ("low", "high", "count"))
    return Bars(lows, highs, [] if new else counts, counts if new else [])


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [n / total for n in counts] if total else []


def histogram(bars: Bars, name: str, id: str) -> str:
    """A chart with a title and what it shows in words; each bin says its figures where the mouse rests on it."""
    many = len(bars.lows)
    edges = [round(i * WIDTH / many) for i in range(many + 1)]
    most = figures.moments([*bars.lows, *bars.highs])
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="{id}-t {id}-d">'
        f'<title id="{id}-t">Histogram of {escape(name)}</title><desc id="{id}-d">{escape(_words(bars, most))}</desc>'
    ]
    heights = bars.heights(bars.new, HEIGHT - 4)
    for i, (left, right) in enumerate(pairwise(edges)):
        said = _bin(bars, i, most)
        parts.append(f'<g><title>{escape(said)}</title><path class="h" d="M{left},0H{right}V{HEIGHT}H{left}z"/>')
        if heights and heights[i]:
            parts.append(f'<path class="b" d="M{left + 1},{HEIGHT}V{HEIGHT - heights[i]}H{right - 1}V{HEIGHT}z"/>')
        parts.append("</g>")
    if bars.old:
        parts.append(f'<path class="o" d="{_outline(edges, bars.heights(bars.old, HEIGHT - 4), HEIGHT)}"/>')
    return "".join([*parts, "</svg>"])


def spark(bars: Bars, name: str) -> str:
    """A small chart, without figures."""
    many, width, height = len(bars.lows), 5, 28
    edges = [i * width for i in range(many + 1)]
    new = "".join(
        f"M{left},{height}v-{h}h{width - 1}v{h}z"
        for left, h in zip(edges, bars.heights(bars.new, height - 2), strict=False)
        if h
    )
    old = _outline(edges, bars.heights(bars.old, height - 2), height) if bars.old else ""
    return (
        f'<svg class="spark" viewBox="0 0 {edges[-1]} {height}" preserveAspectRatio="none" role="img">'
        f"<title>Histogram of {escape(name)}</title>"
        + (f'<path class="b" d="{new}"/>' if new else "")
        + (f'<path class="o" d="{old}"/>' if old else "")
        + "</svg>"
    )


def _outline(edges: Sequence[int], heights: Sequence[int], height: int) -> str:
    """The upper edge of bars, as steps from the ground to the ground."""
    steps = "".join(f"V{height - h}H{right}" for right, h in zip(edges[1:], heights, strict=True))
    return f"M{edges[0]},{height}{steps}V{height}"


def _bin(bars: Bars, i: int, most: int) -> str:
    low, high = (figures.at(v[i], most) for v in (bars.lows, bars.highs))
    where = f"up to {high}" if i == 0 else f"above {low}" if i == len(bars.lows) - 1 else f"{low} to {high}"
    shares = [figures.percent(s[i]) for s in (bars.old, bars.new) if s]
    return f"{where}: {' → '.join(shares)}"


def _words(bars: Bars, most: int) -> str:
    """What a chart shows, for those who do not see it."""
    said = []
    for name, shares in (("old", bars.old), ("new", bars.new)):
        if shares:
            at = max(range(len(shares)), key=shares.__getitem__)
            said.append(f"Most {name} values: {_bin(bars, at, most).partition(':')[0]}, {figures.percent(shares[at])}.")
    low, high = figures.at(bars.lows[0], most), figures.at(bars.highs[-1], most)
    return f"Shares of the values in {len(bars.lows)} bins from {low} to {high}. {' '.join(said)}"


class Pair(NamedTuple):
    """A category, or all others, with its share on each side."""

    name: str
    old: float | None
    new: float | None
    rest: bool = False

    @property
    def most(self) -> float:
        return max(self.old or 0.0, self.new or 0.0)


def pairs(column: ColumnDrift) -> list[Pair]:
    """The categories of a column: numbers in their order, texts by how often they occur; and all others."""
    found = figures.categories(column)
    present = [s.rows - s.nulls - s.nans or 1 if s else None for s in (column.old, column.new)]
    had, has = present
    shown = sorted(found, key=lambda c: -max(c.old / (had or 1), c.new / (has or 1)))[:CATEGORIES]
    if all(isinstance(c.value, int | float) for c in shown):
        shown.sort(key=_value)
    out = [Pair(figures.spelt(c.value), had and c.old / had, has and c.new / has) for c in shown]
    others = Pair(
        "all others",
        had and max(0.0, 1 - sum(p.old or 0 for p in out)),
        has and max(0.0, 1 - sum(p.new or 0 for p in out)),
        rest=True,
    )
    return [*out, others] if out and others.most > 1e-9 else out


def _value(c: Category) -> float:
    return float(c.value)


def bars(pair: Pair, top: float) -> str:
    """The shares of a category, OLD above NEW; their figures are beside it."""
    old, new = (round(100 * (share or 0) / (top or 1), 1) for share in (pair.old, pair.new))
    return (
        '<svg class="pair" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        + (f'<path class="o" d="M0,1.5H{old:g}V6H0"/>' if pair.old else "")
        + (f'<path class="b" d="M0,8H{new:g}V13H0z"/>' if pair.new else "")
        + "</svg>"
    )
