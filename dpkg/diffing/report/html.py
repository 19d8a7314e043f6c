"""A review as one HTML page: nothing is fetched, no script runs, and all that comes from data is escaped (spec/diff.md)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from dpkg.command import count, shorten
from dpkg.diffing.drifted import unmeasured
from dpkg.diffing.report import columns, figures
from dpkg.diffing.report.parts import MARKS, badge, box, named, sign
from dpkg.diffing.shown import apart

if TYPE_CHECKING:
    from dpkg.comparing import BlobChange, Change, MetadataChange, RowChange, RowChanges, TableChange
    from dpkg.diffing.sides import Side
    from dpkg.drift.verdicts import PackageVerdict
    from dpkg.objects.schemadiff import ColumnChange

ROOM = 12 << 20  # characters of a page; what changed of further entries is left out
ENTRIES, LINES, ROWS = 2000, 2000, 500  # entries of the list; lines of a text and rows of a table that are shown
COLUMNS, CELLS = 40, 20  # columns of rows that came and went; cells of a row that changed
_SPARED, _NAMED = 12, 5  # columns that are named where cells are counted; tables at the top

_FOOT = """<footer><details><summary>How to read this</summary>
<p>In charts <b>old</b> is the outline and <b>new</b> is filled; heights are shares of each side's values, so versions with different
numbers of rows compare. What is far out is counted in the outermost bins.</p>
<p><b>PSI</b> is the population stability index, <b>JS</b> the Jensen-Shannon distance, <b>KS</b> the Kolmogorov-Smirnov statistic:
0 where both sides are alike. Figures come from profiles: <b>~</b> is an estimate. A verdict is that of the worst rule, and names it with
its threshold. There are no p-values: of a million rows each difference is significant.</p></details></footer>"""


def page(
    old: Side | str, new: Side | str, changes: Sequence[Change], verdict: PackageVerdict | None = None
) -> Iterator[str]:
    """The page, piece by piece: the verdict, what changed, and of each entry its schema, rows, drift or lines."""
    yield from _head(old, new, verdict)
    yield "<main>"
    yield from _top(old, new, changes, verdict)
    shown = {i: c for i, c in enumerate(changes[:ENTRIES]) if _has_more(c)}
    if changes:
        yield from _summary(changes, shown)
    room = ROOM
    for i, c in shown.items():
        if room <= 0:
            rest = [j for j in shown if j >= i]
            said = f"{count(len(rest), 'entry', 'entries')} more changed and are left out here: the page would be too large"
            anchors = "".join(f'<span id="e{j}"></span>' for j in rest)
            yield f'<p class="quiet">{anchors}{said}</p>'
            break
        for piece in _entry(c, f"e{i}"):
            room -= len(piece)
            yield piece
    yield f"</main>{_FOOT}</body></html>\n"


def _head(old: Side | str, new: Side | str, verdict: PackageVerdict | None) -> Iterator[str]:
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    package, a, b = figures.title(old, new)
    what = escape(f"{package} {a} → {b}: {figures.headline(verdict)[0]}".strip())
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{allowed}'; "
        "base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{what}</title><style>{style}</style></head>\n<body>"
    )


def _top(old: Side | str, new: Side | str, changes: Sequence[Change], verdict: PackageVerdict | None) -> Iterator[str]:
    """What is compared, and the verdict."""
    package, a, b = figures.title(old, new)
    name = f"{named(package)} " if package else ""
    yield f'<header><h1>{name}<span class="ends">{named(a)} <span class="to">→</span> {named(b)}</span></h1>'
    commits = [figures.commit(s) for s in (old, new)]
    if any(commits):
        yield f'<p class="quiet">{" → ".join(f"<code>{escape(c)}</code>" for c in commits)}</p>'
    if not changes:
        yield '<p class="verdict none"><b><span class="mark">○</span> No difference</b></p></header>'
        return
    kind = verdict.verdict if verdict else "unknown"
    words, why = figures.headline(verdict)
    yield f'<div class="verdict {kind}"><b><span class="mark">{MARKS.get(kind, "○")}</span> {words}</b>'
    if why:
        yield f"<p>{escape(why)}</p>"
    yield from _worst(changes, verdict is not None)
    yield "</div></header>"


def _worst(changes: Sequence[Change], judged: bool) -> Iterator[str]:
    """The columns that drifted, of some tables; how many were not looked at."""
    found = [(i, c) for i, c in enumerate(changes[:ENTRIES]) if c.verdict and c.verdict.verdict != "none"]
    found.sort(key=lambda x: -figures.RANKS[x[1].verdict.verdict if x[1].verdict else "none"])
    for i, c in found[:_NAMED]:
        yield f'<p class="worst"><a href="#e{i}">{named(c.path)}</a> {columns.named_worst(c)}</p>'
    if left := unmeasured(changes) if judged else []:
        yield f'<p class="worst">the drift of {count(len(left), "table")} is not measured without --drift</p>'
    if len(found) > _NAMED:
        yield f'<p class="worst">… {count(len(found) - _NAMED, "more table")} with drift</p>'


def _summary(changes: Sequence[Change], shown: dict[int, Change]) -> Iterator[str]:
    """A line for each entry."""
    yield f'<section aria-labelledby="changes"><h2 id="changes">What changed <small>{figures.totals(changes)}</small></h2>'
    rows = []
    for i, c in enumerate(changes[:ENTRIES]):
        old, path = (named(p, 100) if p else "" for p in (c.old_path, c.path))
        path = f'<a href="#e{i}">{path}</a>' if i in shown else path
        moved = f'{old} <span class="to">→</span> ' if old else ""
        said = " ".join(
            [
                escape(figures.sizes(c)),
                *_tally(c),
                *(f'<span class="tag">{escape(r)}</span>' for r in figures.remarks(c)),
            ]
        )
        drift = f"{badge(c.verdict.verdict)} {columns.tally(c.verdict)}" if c.verdict else ""
        rows.append(
            f'<tr><td>{sign(c.what)}</td><th scope="row">{moved}{path}</th><td class="quiet">{escape(c.type)}</td>'
            f"<td>{said}</td><td>{drift}</td></tr>"
        )
    head = (
        '<th scope="col"><span class="hidden">Change</span></th><th scope="col">Entry</th><th scope="col">Type</th>'
        '<th scope="col">What</th><th scope="col">Drift</th>'
    )
    yield f'<table class="entries"><thead><tr>{head}</tr></thead><tbody>'
    yield from rows
    yield "</tbody></table>"
    if len(changes) > ENTRIES:
        yield f'<p class="quiet">… {len(changes) - ENTRIES:,} more entries</p>'
    yield "</section>"


def _has_more(c: Change) -> bool:
    """Whether there is more to say of it than fits in a line."""
    return bool(c.table or c.drift or c.metadata_changes or (c.blob and c.blob.lines))


def _entry(c: Change, id: str) -> Iterator[str]:
    """All that is known of a change."""
    verdict = badge(c.verdict.verdict) if c.verdict else ""
    facts = [figures.sizes(c), *(["metadata changed"] if c.metadata else [])]
    if c.table:
        total = count(c.table.fragments_kept + c.table.fragments_added, "fragment")
        facts.append(f"{c.table.fragments_added:,} of {total} new ({shorten(c.table.bytes_added)})")
    yield (
        f'<section class="entry" aria-labelledby="{id}"><h2 id="{id}">{sign(c.what)} {named(c.path, 100)} '
        f'<small>{escape(c.type)}</small> {verdict}</h2><p class="quiet">{escape(" · ".join(facts))}</p>'
    )
    if c.verdict and c.verdict.findings:
        yield columns.findings(c.verdict.findings)
    yield from _metadata(c.metadata_changes)
    if c.table:
        yield from _schema(c.table.schema)
        yield from _rows(c.row_changes, c.table)
    if c.drift:
        yield from columns.drift(c, id)
    elif c.table:
        yield '<h3>Drift</h3><p class="quiet">not measured without --drift</p>'
    if c.blob:
        yield from _lines(c.blob)
    yield "</section>\n"


def _metadata(changes: Sequence[MetadataChange]) -> Iterator[str]:
    if changes:
        yield '<h3>Metadata</h3><div class="scroll"><table class="plain"><tbody>'
        for m in changes[: columns.ROWS]:
            said = " → ".join(figures.metadata(m))
            yield f'<tr class="{m.what}"><td>{sign(m.what)}</td><th scope="row">{named(m.name)}</th><td>{named(said, 200)}</td></tr>'
        yield "</tbody></table></div>"
        if len(changes) > columns.ROWS:
            yield f'<p class="quiet">… {len(changes) - columns.ROWS:,} more</p>'


def _schema(changes: Sequence[ColumnChange]) -> Iterator[str]:
    if not changes:
        return
    yield '<h3>Schema</h3><div class="scroll"><table class="plain"><tbody>'
    for s in changes[: columns.ROWS]:
        column, said = figures.schema(s)
        yield f'<tr><td>{sign(s.what)}</td><th scope="row">{named(column)}</th><td>{named(said, 200)}</td></tr>'
    yield "</tbody></table></div>"
    if len(changes) > columns.ROWS:
        yield f'<p class="quiet">… {len(changes) - columns.ROWS:,} more</p>'


def _tally(c: Change) -> list[str]:
    """`+620 −3 ~97`."""
    return [f'<span class="n {what}">{figures.SIGNS[what]}{n:,}</span>' for what, n in figures.tally(c) if n]


def _rows(r: RowChanges | None, t: TableChange) -> Iterator[str]:
    """How many rows differ, and the first of them."""
    yield "<h3>Rows</h3>"
    if r is None:
        yield f'<p class="quiet">{shorten(t.bytes_added + t.bytes_removed)} of rows are not compared without --rows N</p>'
        return
    counts = [(what, n) for what, n in (("added", r.added), ("removed", r.removed), ("changed", r.changed)) if n]
    if not counts:
        yield '<p class="quiet">none differ in the columns that both have</p>'
        return
    said = " ".join(f'<span class="n {what}">{figures.SIGNS[what]}{n:,} {what}</span>' for what, n in counts)
    yield f"<p>{said}{f'; {r.moved:,} of them only moved' if r.moved else ''}</p>"
    if r.cells:
        most = sorted(r.cells.items(), key=lambda c: -c[1])
        cells = ", ".join(f"{named(name)} {n:,}" for name, n in most[:_SPARED])
        more = f", … {len(most) - _SPARED:,} more columns" if len(most) > _SPARED else ""
        yield f'<p class="quiet">Cells that changed: {cells}{more}</p>'
    was = {s.new: s.old for s in t.schema if s.what == "renamed"}
    head = r.head[:ROWS]
    yield from _whole([x for x in head if x.what != "changed"], was)
    yield from _cells([x for x in head if x.what == "changed"], was)
    if left := r.added + r.removed + r.changed - len(head):
        yield f'<p class="quiet">… {left:,} more</p>'


def _whole(rows: Sequence[RowChange], was: dict[str, str]) -> Iterator[str]:
    """Rows that came and went."""
    if not rows:
        return
    now = {old: new for new, old in was.items()}
    values = [r.new if r.new is not None else {now.get(n, n): v for n, v in (r.old or {}).items()} for r in rows]
    every = list(dict.fromkeys(n for v in values for n in v))
    names = every[:COLUMNS]
    more = f'<th scope="col">… {len(every) - COLUMNS:,} more</th>' if len(every) > COLUMNS else ""
    head = "".join(f'<th scope="col">{named(n)}</th>' for n in names)
    yield box("Rows added and removed")
    yield f'<table class="rows"><thead><tr><td></td><th scope="col">row</th>{head}{more}</tr></thead><tbody>'
    for r, found in zip(rows, values, strict=True):
        cells = "".join(_cell(found[n]) if n in found else "<td></td>" for n in names)
        yield f'<tr class="{r.what}"><td>{sign(r.what)}</td><th scope="row" class="num">{_place(r)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _cells(rows: Sequence[RowChange], was: dict[str, str]) -> Iterator[str]:
    """The cells that changed, old → new, behind what tells their rows apart."""
    if not rows:
        return
    by = [n for n in rows[0].new or () if n not in rows[0].cells]
    head = "".join(f'<th scope="col">{named(n)}</th>' for n in by)
    yield box("Rows changed")
    yield (
        f'<table class="cells"><thead><tr><th scope="col" class="num">row</th>{head}<th scope="col">column</th>'
        '<th scope="col">old → new</th></tr></thead>'
    )
    for r in rows:
        old, new = r.old or {}, r.new or {}
        pairs = ((n, apart(old.get(was.get(n, n)), new.get(n))) for n in r.cells[:CELLS])
        lines = [
            f'<th scope="row">{named(n)}</th><td><div><del>{_said(x)}</del><span class="hidden"> → </span><ins>{_said(y)}</ins></div></td>'
            for n, (x, y) in pairs
        ]
        if len(r.cells) > CELLS:
            lines.append(f'<td colspan="2" class="quiet">… {len(r.cells) - CELLS:,} more cells</td>')
        span = f' rowspan="{len(lines)}"' if len(lines) > 1 else ""
        keys = "".join(_cell(new.get(n), span) for n in by)
        first = f'<th scope="rowgroup" class="num"{span}>{_place(r)}</th>{keys}'
        yield "<tbody>" + "".join(f"<tr>{first if i == 0 else ''}{x}</tr>" for i, x in enumerate(lines)) + "</tbody>"
    yield "</table></div>"


def _cell(value: object, span: str = "") -> str:
    """A value of a row, numbers to the right."""
    right = ' class="num"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td{right}{span}>{_said(value)}</td>"


def _said(value: object) -> str:
    """A value; null is told apart from the text `null`."""
    return '<i class="null">null</i>' if value is None else f"<bdi>{escape(figures.text(value, 60))}</bdi>"


def _place(r: RowChange) -> str:
    """The number of a row, counted from 1, in the table in which it is."""
    at = r.old_row if r.new_row is None else r.new_row
    return f"{(at or 0) + 1:,}"


def _lines(b: BlobChange) -> Iterator[str]:
    """The lines of a unified diff."""
    if not b.lines:
        return
    tags = {"+": "ins", "-": "del"}
    yield f'{box("Lines that changed")}<pre class="diff">'
    for line in b.lines[:LINES]:
        said = escape(figures.text(line.expandtabs(4), 1000)) or " "
        tag = tags.get(line[:1], "span")
        kind = ' class="at"' if line[:1] == "@" else ' class="same"' if tag == "span" else ""
        yield f"<{tag}{kind}>{said}</{tag}>"
    yield "</pre></div>"
    if more := b.more + max(0, len(b.lines) - LINES):
        yield f'<p class="quiet">… {count(more, "line")} more</p>'
