"""A review as Markdown for a pull request: GitHub's flavour, short enough for a comment, and data mentions nobody (spec/diff.md)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from dpkg.command import count
from dpkg.diffing.drifted import unmeasured
from dpkg.diffing.report import figures
from dpkg.diffing.shown import apart

if TYPE_CHECKING:
    from dpkg.comparing import BlobChange, Change, RowChange, RowChanges
    from dpkg.diffing.report.figures import Looked
    from dpkg.diffing.sides import Side
    from dpkg.drift.verdicts import PackageVerdict
    from dpkg.objects.schemadiff import ColumnChange

MOST = 65_000  # characters: GitHub takes 65,536 in a comment
_MARKS = {"major": "🔴", "moderate": "🟡", "none": "⚪"}
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#+\-.!|~^$&@:/'\"=]")  # what may mean something, also to GitHub
_STEERS = re.compile(r"[\\`*\[<|~$&]|(?<![^\W_])_|_(?![^\W_])")
_THRESHOLD = re.compile(r" \(\w+ (?:moderate|major) from [^()]*\)$")  # of a reason
_TOLD = {  # by which figures a rule is told
    "null_rate": ("nulls",),
    "nan_rate": ("NaN", "infinite"),
    "range": ("min", "max"),
    "reach": ("min", "max"),
    **dict.fromkeys(("cardinality", "new_categories", "vanished_categories"), ("distinct",)),
}
_USUAL = ("median", "mean", "distinct")
_CELLS = 8  # columns of rows that came and went


class Limits(NamedTuple):
    """How much is said."""

    entries: int
    details: int  # entries that have more than a line
    columns: int
    rows: int
    lines: int  # of a text
    width: int  # characters of a value


_LIMITS = (
    Limits(200, 50, 60, 10, 100, 60),
    Limits(100, 25, 30, 5, 40, 40),
    Limits(60, 12, 15, 3, 20, 30),
    Limits(30, 6, 8, 2, 10, 24),
    Limits(15, 0, 0, 0, 0, 24),
)


def lines(
    old: Side | str, new: Side | str, changes: Sequence[Change], verdict: PackageVerdict | None = None
) -> Iterator[str]:
    """The lines of the comment, of at most MOST characters together; what is left out is said."""
    ranked = sorted(changes, key=lambda c: -figures.RANKS[c.verdict.verdict] if c.verdict else 0)
    for limits in _LIMITS:
        made, size = [], 0
        for line in _all(old, new, changes if len(changes) <= limits.entries else ranked, verdict, limits):
            made.append(line)
            size += len(line) + 1
            if size > MOST and limits is not _LIMITS[-1]:
                break
        else:
            break
    yield from made


def _all(
    old: Side | str, new: Side | str, changes: Sequence[Change], verdict: PackageVerdict | None, limits: Limits
) -> Iterator[str]:
    words, why = figures.headline(verdict)
    mark = _MARKS[verdict.verdict] if verdict and changes else "⚪"
    yield f"{mark} **{words if changes else 'No difference'}** {prose(why) if changes else ''}".rstrip()
    yield ""
    package, a, b = figures.title(old, new)
    name = f"{code(package)}: " if package else ""
    yield f"{name}{code(a)} → {code(b)}" + (f", {figures.totals(changes)}" if changes else "")
    if unknown := unmeasured(changes) if verdict else []:
        yield from ("", f"The drift of {count(len(unknown), 'table')} is not measured without `--drift`.")
    if changes:
        yield from _summary(changes[: limits.entries])
    more = [c for c in changes if c.table or c.drift or (c.blob and c.blob.lines)]
    for c in more[: limits.details]:
        yield from _entry(c, limits)
    left = max(0, len(changes) - limits.entries)
    hidden = max(0, len(more) - limits.details)
    if left or hidden or limits is not _LIMITS[0]:
        said = [f"{count(left, 'entry', 'entries')}"] if left else []
        said += [f"what became of {count(hidden, 'entry', 'entries')}"] if hidden else []
        said += ["columns, rows and lines beyond the first"] if limits is not _LIMITS[0] else []
        yield from (
            "",
            f"Left out, as a comment has room for {MOST:,} characters: {'; '.join(said)}. `--html FILE` has more.",
        )


def _summary(changes: Sequence[Change]) -> Iterator[str]:
    yield from ("", "| | entry | what | drift |", "|---|---|---|---|")
    for c in changes:
        old = f"{code(c.old_path, 100)} → " if c.old_path else ""
        parts = [f"{c.type} {figures.sizes(c)}".rstrip(), _tally(c), *figures.remarks(c)]
        said = ", ".join(prose(part) for part in parts if part)
        drift = f"{_MARKS[c.verdict.verdict]} {c.verdict.verdict}" if c.verdict else ""
        yield f"| {figures.SIGNS[c.what]} | {old}{code(c.path, 100)} | {said} | {drift} |"


def _tally(c: Change) -> str:
    """`+620 −3 ~97 rows`."""
    said = " ".join(f"{figures.SIGNS[what]}{n:,}" for what, n in figures.tally(c) if n)
    return f"{said} {'rows' if c.row_changes else 'lines'}" if said else ""


def _entry(c: Change, limits: Limits) -> Iterator[str]:
    """All that is said of an entry, closed until it is asked for."""
    found = figures.looked(c)
    counts = Counter(x.verdict for x in found)
    said = [f"{_MARKS[v]} {counts[v]:,} {v}" for v in ("major", "moderate") if counts[v]]
    if said:
        said[-1] += f" of {count(len(found), 'column')}"
    summary = ", ".join(filter(None, [*said, _tally(c)]))
    name = escape(figures.text(c.path, 100))
    yield from ("", f"<details><summary><code>{name}</code>{': ' if summary else ''}{escape(summary)}</summary>")
    if c.verdict:
        for f in c.verdict.findings:
            yield from ("", f"{_MARKS[f.verdict]} {prose(figures.reason(f))}")
    if c.table:
        yield from _schema(c.table.schema, limits)
    if found:
        yield from _drift(found, limits)
    if c.table and c.row_changes is None:
        yield from ("", "Rows are not compared without `--rows N`.")
    if c.row_changes:
        renamed = {s.new: s.old for s in c.table.schema if s.what == "renamed"} if c.table else {}
        yield from _rows(c.row_changes, renamed, limits)
    if c.blob and c.blob.lines:
        yield from _lines(c.blob, limits)
    yield from ("", "</details>")


def _schema(changes: Sequence[ColumnChange], limits: Limits) -> Iterator[str]:
    if not changes:
        return
    yield from ("", "| schema | column | |", "|---|---|---|")
    for s in changes[: limits.columns]:
        column, said = figures.schema(s)
        yield f"| {figures.SIGNS[s.what]} {s.what} | {code(column)} | {prose(said)} |"
    yield from _more(len(changes) - limits.columns, "change")


def _drift(found: Sequence[Looked], limits: Limits) -> Iterator[str]:
    loud = [x for x in found if x.verdict != "none"]
    if loud:
        yield from ("", "| column | drift | what | old → new |", "|---|---|---|---|")
    for x in loud[: limits.columns]:
        why = "; ".join(prose(figures.text(_THRESHOLD.sub("", f.reason), 200)) for f in x.findings[:4])
        yield f"| {code(figures.names(x.drift))} | {_MARKS[x.verdict]} {x.verdict} | {why} | {_told(x)} |"
    yield from _more(len(loud) - limits.columns, "column with drift", "columns with drift")
    if quiet := found[len(loud) :]:
        names = ", ".join(code(x.drift.column) for x in quiet[: limits.columns])
        more = f", … {len(quiet) - limits.columns:,} more" if len(quiet) > limits.columns else ""
        yield from ("", f"{count(len(quiet), 'column')} without drift: {names}{more}")


def _told(x: Looked) -> str:
    """Those figures of a column that say most of what changed."""
    rows = {r.name: r for r in figures.rows(x.drift) if r.old and r.new and not r.alike}
    names = dict.fromkeys([n for f in x.findings for n in _TOLD.get(f.rule, ())] + list(_USUAL))
    said = [rows[name] for name in names if name in rows][:3]
    return "<br>".join(
        f"{r.name} {prose(r.old)} → {prose(r.new)}{f' {r.of}' if r.of else ''}{f' ({r.change})' if r.change else ''}"
        for r in said
    )


def _rows(r: RowChanges, was: dict[str, str], limits: Limits) -> Iterator[str]:
    head = r.head[: limits.rows]
    changed = [x for x in head if x.what == "changed"]
    yield from _whole([x for x in head if x.what != "changed"], was, limits)
    if changed:
        by = [n for n in changed[0].new or () if n not in changed[0].cells][:_CELLS]
        yield from (
            "",
            f"| row | {''.join(f'{code(n)} | ' for n in by)}column | old | new |",
            f"|---|{'---|' * (len(by) + 3)}",
        )
    for x in changed:
        old, new = x.old or {}, x.new or {}
        place = f"{_place(x)} | {''.join(f'{_value(new.get(n), limits)} | ' for n in by)}"
        for n in x.cells[: max(_CELLS, limits.rows)]:
            values = [_value(v, limits) for v in apart(old.get(was.get(n, n)), new.get(n), limits.width)]
            yield f"| {place}{code(n)} | {values[0]} | {values[1]} |"
            place = "| " * (len(by) + 1)
        if len(x.cells) > max(_CELLS, limits.rows):
            yield f"| {place}… {len(x.cells) - max(_CELLS, limits.rows):,} more | | |"
    yield from _more(r.added + r.removed + r.changed - len(head), "row")


def _whole(rows: Sequence[RowChange], was: dict[str, str], limits: Limits) -> Iterator[str]:
    """Rows that came and went."""
    if not rows:
        return
    now = {old: new for new, old in was.items()}
    values = [r.new if r.new is not None else {now.get(n, n): v for n, v in (r.old or {}).items()} for r in rows]
    every = list(dict.fromkeys(n for v in values for n in v))
    names = every[:_CELLS]
    more = [f"… {len(every) - _CELLS:,} more"] if len(every) > _CELLS else []
    yield from (
        "",
        f"| | row | {' | '.join([*(code(n) for n in names), *more])} |",
        f"|---|---|{'---|' * len([*names, *more])}",
    )
    for r, found in zip(rows, values, strict=True):
        cells = [_value(found[n], limits) if n in found else "" for n in names]
        yield f"| {figures.SIGNS[r.what]} | {_place(r)} | {' | '.join([*cells, *('' for _ in more)])} |"


def _value(value: Any, limits: Limits) -> str:
    if value is None:
        return "*null*"
    if isinstance(value, int | float):
        return prose(str(value))
    return code(value, limits.width)


def _place(r: RowChange) -> str:
    at = r.old_row if r.new_row is None else r.new_row
    return f"{(at or 0) + 1:,}"


def _lines(b: BlobChange, limits: Limits) -> Iterator[str]:
    """The lines of a unified diff, in a fence that none of them ends."""
    said = [figures.text(line.expandtabs(4), 200) for line in b.lines[: limits.lines]]
    fence = "`" * max(3, 1 + max((len(run) for line in said for run in re.findall("`+", line)), default=0))
    yield from ("", f"{fence}diff", *said, fence)
    yield from _more(b.more + len(b.lines) - len(said), "line")


def _more(n: int, noun: str, plural: str = "") -> Iterator[str]:
    if n > 0:
        yield from ("", f"… {count(n, f'more {noun}', plural and f'more {plural}')}")


def code(value: Any, most: int = figures.NAME) -> str:
    """Text of data as code: there GitHub looks for no names, links or numbers of issues. What a code span can't hold is written in HTML."""
    said = figures.text(value, most)
    if said and not re.search(r"[`|\\]|^ | $", said):
        return f"`{said}`"
    return f"<code>{_SPECIAL.sub(_entity, said)}</code>"


def prose(text: str) -> str:
    """A sentence with text of data in it: nothing is markup, a link, or somebody's name."""
    said = _STEERS.sub(_entity, text)
    said = re.sub(r"(?<!&)([@#])(?=\w)", "\\1&#8203;", said)
    return said.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
