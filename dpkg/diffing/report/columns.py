"""Columns of a table in the HTML page: a card for each that drifted, a line for each that did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from dpkg.command import count
from dpkg.diffing.report import figures, svg
from dpkg.diffing.report.parts import MARKS, badge, box, named

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary
    from dpkg.comparing import Change
    from dpkg.diffing.report.figures import Looked, Row
    from dpkg.drift.columns import ColumnDrift
    from dpkg.drift.verdicts import Finding, TableVerdict

CARDS = 200  # columns of a table that have a card
SPARKS = 200  # of the others, those that have a small histogram
ROWS = 5000  # and those that have a line
NAMED = 6  # columns that are named at the top
_OLD, _NEW = '<span class="swatch o"></span>old', '<span class="swatch b"></span>new'


def drift(c: Change, id: str) -> Iterator[str]:
    """Those columns that drifted with all their figures, the others as a table that is closed."""
    found = figures.looked(c)
    loud = [x for x in found if x.verdict != "none"]
    cards, quiet = loud[:CARDS], found[len(loud) :]
    counts = Counter(x.verdict for x in found)
    said = ", ".join(f"{counts[v]:,} {v}" for v in ("major", "moderate", "none") if counts[v])
    yield f"<h3>Drift <small>{count(len(found), 'column')}: {said or 'not judged'}</small></h3>"
    if cards:
        links = "".join(
            f'<li><a href="#{id}c{i}"><span class="mark {x.verdict}">{MARKS[x.verdict]}</span> '
            f'<span class="hidden">{x.verdict}: </span>{named(x.drift.column)}</a></li>'
            for i, x in enumerate(cards)
        )
        yield f'<ul class="chips">{links}</ul>'
    for i, x in enumerate(cards):
        yield _card(x, f"{id}c{i}")
    if left := loud[CARDS:]:
        yield from _table(left, f"{count(len(left), 'more column')} with drift, without histograms", True, 0)
    if quiet:
        yield from _table(quiet, f"{count(len(quiet), 'column')} without drift", not loud and len(quiet) <= 40, SPARKS)


def tally(verdict: TableVerdict) -> str:
    """`▲ 3 ◆ 6`: how many columns drifted."""
    counts = Counter(c.verdict for c in verdict.columns)
    said = (
        f'<span class="n"><span class="mark {v}" aria-hidden="true">{MARKS[v]}</span> {counts[v]:,}'
        f'<span class="hidden"> {v}</span></span>'
        for v in ("major", "moderate")
        if counts[v]
    )
    return f'<span class="many">{" ".join(said)}</span>'


def named_worst(c: Change) -> str:
    """The columns that drifted most: `▲ country, amount ◆ email`."""
    found, out = figures.looked(c), []
    for v in ("major", "moderate"):
        mine = [named(x.drift.column, 32) for x in found if x.verdict == v]
        if mine:
            more = f", … {len(mine) - NAMED:,} more" if len(mine) > NAMED else ""
            mark = f'<span class="mark {v}" aria-hidden="true">{MARKS[v]}</span><span class="hidden">{v}: </span>'
            out.append(f"{mark}\u00a0{', '.join(mine[:NAMED])}{more}")
    return " ".join(out)


def findings(found: Sequence[Finding]) -> str:
    """What the rules say, the worst first."""
    lines = (
        f'<li><span class="mark {f.verdict}" title="{f.verdict}" aria-hidden="true">{MARKS[f.verdict]}</span>'
        f'<span><span class="hidden">{f.verdict}: </span>{escape(figures.reason(f))}</span></li>'
        for f in found
    )
    return f'<ul class="findings">{"".join(lines)}</ul>'


def _card(x: Looked, id: str) -> str:
    column = x.drift
    pairs = svg.pairs(column)
    chart = "" if pairs and not column.histogram else _chart(column, id)
    parts = (chart, _categories(column, pairs), _distances(column), _only(column))
    return (
        f'<details class="card {x.verdict}" id="{id}" open><summary><h4>{named(figures.names(column), 130)}</h4> '
        f'<span class="quiet">{escape(figures.types(column))}</span> {badge(x.verdict)}</summary>'
        f'<div class="two"><div>{findings(x.findings)}{"".join(parts)}</div>{_figures(column)}</div></details>'
    )


def _chart(column: ColumnDrift, id: str) -> str:
    """The histogram of both sides; of types that don't compare one of each."""
    name = figures.text(column.column, figures.NAME)
    if column.old and column.new and not column.comparable:
        both = ((svg.of_one(s, s is column.new), s, word) for s, word in ((column.old, "old"), (column.new, "new")))
        return "".join(_figure(bars, s, f"{name}, {word}", f"{id}{word}") for bars, s, word in both if bars)
    side, bars = column.new or column.old, svg.of_both(column)
    return _figure(bars, side, name, id) if bars and side else ""


def _figure(bars: svg.Bars, side: Summary, name: str, id: str) -> str:
    lengths = side.measure if side.measure != "values" else ""
    most = figures.moments([*bars.lows, *bars.highs])
    low, high = figures.at(bars.lows[0], most), figures.at(bars.highs[-1], most)
    if most and low[:10] != high[:10]:
        low, high = low[:10], high[:10]
    key = " ".join(k for k, shares in ((_OLD, bars.old), (_NEW, bars.new)) if shares)
    title = f"{lengths} of {name}" if lengths else name
    return (
        f'<figure><p class="peak"><span>{figures.percent(bars.top)}</span><span>{lengths}</span></p>'
        f'{svg.histogram(bars, title, id)}<figcaption><span>{escape(low)}</span><span class="keys">{key}</span>'
        f"<span>{escape(high)}</span></figcaption></figure>"
    )


def _categories(column: ColumnDrift, pairs: Sequence[svg.Pair]) -> str:
    """The most frequent values, their shares side by side."""
    if not pairs:
        return ""
    top = max(p.most for p in pairs if not p.rest)
    sides = [(side, name) for side, name in ((column.old, "old"), (column.new, "new")) if side]
    rows = []
    for p in pairs:
        shares = "".join(f'<td class="num">{figures.percent(s)}</td>' for s in (p.old, p.new) if s is not None)
        rest = ' class="rest"' if p.rest else ""
        rows.append(
            f'<tr{rest}><th scope="row">{named(p.name)}</th><td>{"" if p.rest else svg.bars(p, top)}</td>{shares}</tr>'
        )
    heads = "".join(f'<th scope="col" class="num">{name}</th>' for _, name in sides)
    key = f"{_OLD} {_NEW}" if len(sides) == 2 else ""
    return (
        f'<table class="categories"><thead><tr><th scope="col">value</th><td class="keys">{key}</td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _distances(column: ColumnDrift) -> str:
    said = "".join(
        f'<div title="between {escape(bounds)}"><dt>{name}<small> {escape(of)}</small></dt><dd>{figure}</dd></div>'
        for name, figure, bounds, of in figures.distances(column)
    )
    return f'<dl class="tiles">{said}</dl>' if said else ""


def _only(column: ColumnDrift) -> str:
    """Categories that came and went, where there are more of them than a finding names."""
    both = (("added", "New", column.new_categories), ("removed", "Vanished", column.vanished_categories))
    said = [(kind, name, figures.one_sided(s)) for kind, name, s in both if s and s.categories > 3]
    return "".join(f'<p class="{kind}"><b>{name} categories</b>: {escape(s)}</p>' for kind, name, s in said)


def _figures(column: ColumnDrift) -> str:
    """The figures of the sides that there are."""
    both = column.old is not None and column.new is not None
    names = ("old", "new", "change") if both else ("old",) if column.old else ("new",)
    rows, of = [], ""
    for r in figures.rows(column):
        if r.of != of:
            of = r.of
            rows.append(
                f'<tr class="sub"><th scope="colgroup" colspan="{1 + len(names)}">number of {escape(of)}</th></tr>'
            )
        cells = "".join(f'<td class="num">{_whole_days(escape(getattr(r, name)))}</td>' for name in names)
        alike = ' class="quiet"' if r.alike else ""
        rows.append(f'<tr{alike}><th scope="row">{escape(r.name)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col" class="num">{name}</th>' for name in names)
    return f'<table class="figures"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _whole_days(text: str) -> str:
    """A time that on a phone is broken before its hours, and not within its date."""
    day, space, hours = text.partition(" ")
    return f'<span class="n">{day}</span> {hours}' if space and day[4:5] == day[7:8] == "-" else text


def _table(found: Sequence[Looked], title: str, open: bool, sparks: int) -> Iterator[str]:
    """A line for each column."""
    heads = ("column", "type", "histogram" if sparks else "", "nulls", "distinct", "median", "PSI", "JS", "KS")
    right = ' class="num"'
    head = "".join(
        f'<th scope="col"{right if i > 2 else ""}>{name}</th>' if name else "<td></td>" for i, name in enumerate(heads)
    )
    yield f'<details class="others"{" open" if open else ""}><summary><h4>{title}</h4></summary>{box(title)}'
    yield f'<table class="columns"><thead><tr>{head}</tr></thead><tbody>'
    for i, x in enumerate(found[:ROWS]):
        yield _line(x, i < sparks)
    yield "</tbody></table></div>"
    if 0 < sparks < len(found):
        yield f'<p class="quiet">histograms of the first {sparks:,} columns only</p>'
    if len(found) > ROWS:
        yield f'<p class="quiet">… {len(found) - ROWS:,} more columns</p>'
    yield "</details>"


def _line(x: Looked, chart: bool) -> str:
    column = x.drift
    bars = svg.of_any(column) if chart else None
    drawn = svg.spark(bars, figures.text(column.column, figures.NAME)) if bars else ""
    told = {r.name: _pair(r) for r in figures.rows(column)}
    cells = "".join(f'<td class="num">{escape(told.get(name, ""))}</td>' for name in ("nulls", "distinct", "median"))
    far: dict[str, str] = {}
    for name, figure, *_ in figures.distances(column):
        far.setdefault(name, figure)
    cells += "".join(f'<td class="num">{far.get(name, "")}</td>' for name in ("PSI", "JS", "KS"))
    said = (
        f'<br><span class="why">{MARKS[x.verdict]} {escape(figures.reason(x.findings[0]))}</span>' if x.findings else ""
    )
    new = ' <span class="tag">new</span>' if column.old is None else ""
    return (
        f'<tr><th scope="row">{named(figures.names(column), 130)}{new}{said}</th><td class="quiet">{escape(figures.types(column))}</td>'
        f"<td>{drawn}</td>{cells}</tr>"
    )


def _pair(r: Row) -> str:
    """Both sides of a figure, or what it is on both."""
    said = f"{r.old} → {r.new}" if r.old != r.new and r.old and r.new else r.new or r.old
    return f"{said} {r.of}" if said and r.of else said
