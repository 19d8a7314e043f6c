"""Changes as people see them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dpkg.command import CELL, Grid, cell, count, cut, elide, grid, shorten
from dpkg.diffing.shown_drift import drift_lines
from dpkg.listing import quote

if TYPE_CHECKING:
    from typing import Any

    from dpkg.command import Line, Part, Shown
    from dpkg.comparing import BlobChange, Change, MetadataChange, RowChange, RowChanges, TableChange

_STYLE = {"added": ("green", "+"), "removed": ("red", "-"), "changed": ("yellow", "~"), "renamed": ("blue", ">")}
_COLUMN = {**_STYLE, "retyped": ("yellow", "~"), "moved": ("yellow", "~")}
_LINE = {"+": "green", "-": "red", "@": "cyan", "\\": "dim"}
_COLUMNS, _NAMED = 200, 6  # of a table: columns that are shown, those that are named where cells are counted
_LONG = 60  # characters of a cell that changed
_INDENT = "    "


def shown(changes: Sequence[Change], figures: bool = False) -> Iterator[Shown]:
    """All that is known of changes, and how many there are; with `figures` those of every column."""
    for change in changes:
        yield from _change(change)
        if change.drift and change.verdict:
            yield from drift_lines(change.drift, change.verdict, figures)
    yield ""
    yield totals(changes)


def names(changes: Sequence[Change]) -> Iterator[Line]:
    """Their paths, a line each; of what was renamed the new one."""
    for change in changes:
        yield quote(change.path)


def stat(changes: Sequence[Change]) -> Iterator[Shown]:
    """A line for each, and how many there are."""
    rows: list[tuple[Part, ...]] = []
    for c in changes:
        style, sign = _STYLE[c.what]
        name = f"{c.old_path} → {c.path}" if c.old_path else c.path
        rows.append(((style, f"{sign} {c.type}"), (style, name), ", ".join(_stat(c))))
    yield from grid(rows, give="1")
    yield totals(changes)


def totals(changes: Sequence[Change]) -> str:
    """`1 added, 2 changed`."""
    counts = {what: sum(c.what == what for c in changes) for what in _STYLE}
    return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n) or "no difference"


def _stat(c: Change) -> Iterator[str]:
    if c.row_changes:
        r = c.row_changes
        yield f"+{r.added:,} -{r.removed:,} ~{r.changed:,} rows"
    elif c.blob and c.blob.kind == "text":
        yield f"+{c.blob.added:,} -{c.blob.removed:,} lines"
    else:
        yield from _said(c)
    if c.table and c.table.schema:
        yield "schema"
    if c.metadata:
        yield "metadata"
    if c.verdict and c.verdict.verdict != "none":
        yield f"{c.verdict.verdict} drift"


def _change(c: Change) -> Iterator[Shown]:
    style, sign = _STYLE[c.what]
    paths = [c.old_path, f"→ {c.path}"] if c.old_path else [c.path]
    said = ", ".join([*_said(c), *(["metadata changed"] if c.metadata else [])])
    named = [(style, path) for path in paths]
    yield from grid([((style, f"{sign} {c.type:<5}"), *named, said)], give=range(1, 1 + len(named)))
    yield from _metadata(c.metadata_changes)
    if c.table:
        yield from _table(c.table)
        yield from _rows(c.row_changes, c.table)
    if c.blob:
        yield from _lines(c.blob)


def _metadata(changes: Sequence[MetadataChange]) -> Iterator[Shown]:
    rows: list[tuple[Part, ...]] = []
    for m in changes:
        style, sign = _STYLE[m.what]
        old, new = (cell(json.dumps(v, ensure_ascii=False), _LONG) for v in (m.old, m.new))
        said = f"{old} → {new}" if m.what == "changed" else old if m.what == "removed" else new
        rows.append(((style, f"{_INDENT}{sign} metadata {elide(m.name, CELL)}"), said))
    yield from grid(rows, give="1")


def _said(c: Change) -> Iterator[str]:
    """What there is to say of a change in a line."""
    if c.what == "added":
        yield f"{count(c.new_rows, 'row')}, {shorten(c.new_bytes)}" if c.type == "table" else shorten(c.new_bytes)
    elif c.what == "removed":
        yield f"{count(c.old_rows, 'row')}, {shorten(c.old_bytes)}" if c.type == "table" else shorten(c.old_bytes)
    elif c.what == "changed" and c.old_type != c.type:
        yield f"was a {c.old_type}"
    elif c.what == "changed" and c.table is None:
        if c.old_oid != c.new_oid:
            yield f"{shorten(c.old_bytes)} → {shorten(c.new_bytes)}"
        if c.blob and c.blob.kind != "text":
            kind = "not text" if c.blob.kind == "binary" else "too large to be compared"
            yield f"{c.blob.media}, {kind}" if c.blob.media else kind
    elif c.what == "changed" and c.old_rows == c.new_rows:
        yield f"{count(c.new_rows, 'row')} as before"
    elif c.what == "changed":
        yield f"{c.old_rows:,} → {count(c.new_rows, 'row')} ({c.new_rows - c.old_rows:+,})"


def _table(t: TableChange) -> Iterator[Shown]:
    for s in t.schema:
        if s.what == "key":
            yield (("yellow", f"{_INDENT}~ key  "), f"{s.old or 'none'} → {s.new or 'none'}")
            continue
        style, sign = _COLUMN[s.what]
        said = f"{s.old} → {s.new}" if s.old and s.new else s.old or s.new
        if s.what == "renamed":
            yield ((style, f"{_INDENT}{sign} column {s.old}  "), f"→ {s.new}, as its values are alike")
            continue
        yield ((style, f"{_INDENT}{sign} column {s.column}  "), f"place {said}" if s.what == "moved" else said)
    total = count(t.fragments_kept + t.fragments_added, "fragment")
    new, gone = f"{t.fragments_added:,} of {total} new ({shorten(t.bytes_added)})", f"{t.fragments_removed:,} gone"
    yield f"{_INDENT}{new}, {gone} ({shorten(t.bytes_removed)})"


def _rows(r: RowChanges | None, t: TableChange) -> Iterator[Shown]:
    """How many rows differ, and the first of them."""
    if r is None:
        yield (
            ("dim", f"{_INDENT}rows of {shorten(t.bytes_added + t.bytes_removed)} are not compared without --rows N"),
        )
        return
    said = [f"{n:,} {what}" for n, what in ((r.added, "added"), (r.removed, "removed"), (r.changed, "changed")) if n]
    if not said:
        yield f"{_INDENT}rows: none differ in the columns that both have"
        return
    text = f"{_INDENT}rows: {', '.join(said)}"
    if r.moved:
        text += f"; {r.moved:,} of them only moved"
    if r.cells:
        most = sorted(r.cells.items(), key=lambda c: -c[1])
        named = ", ".join(f"{name} {n:,}" for name, n in most[:_NAMED])
        text += f" ({named}{f', … {len(most) - _NAMED:,} columns more' if len(most) > _NAMED else ''})"
    yield Grid([(text,)], give=frozenset((0,)), short=cut)
    now = {s.old: s.new for s in t.schema if s.what == "renamed"}
    yield from _head([_renamed(row, now) for row in r.head] if now else r.head)
    left = r.added + r.removed + r.changed - len(r.head)
    if r.head and left:
        yield (("dim", f"{_INDENT}  … {left:,} more"),)


def _head(head: Sequence[RowChange]) -> Iterator[Grid]:
    """Rows that came and went as a table, on a narrow terminal without its last columns; then of those that changed each cell."""
    whole = [r for r in head if r.what != "changed"]
    columns = list(dict.fromkeys(n for r in whole for n in (r.new or r.old or ())))[:_COLUMNS]
    rows: list[tuple[Part, ...]] = [("", ("dim", "row"), *(("cyan", elide(n, CELL)) for n in columns))]
    values = [r.new or r.old or {} for r in whole]
    for r, found in zip(whole, values, strict=True):
        style, sign = _STYLE[r.what]
        cells = ((style, cell(found[n]) if n in found else "") for n in columns)
        rows.append(((style, f"{_INDENT}  {sign}"), ("dim", _place(r)), *cells))
    right = [i for i, n in enumerate(columns, 2) if all(_is_number(v.get(n)) for v in values)]
    yield from grid(rows if whole else [], right=[1, *right], drop=True)
    yield from _cells([r for r in head if r.what == "changed"])


def _cells(changed: Sequence[RowChange]) -> list[Grid]:
    """The cells that changed, a line each, behind what tells their rows apart."""
    if not changed:
        return []
    by = [n for n in changed[0].new or () if n not in changed[0].cells]
    rows: list[tuple[Part, ...]] = [
        (
            "",
            ("dim", "row"),
            *(("cyan", elide(n, CELL)) for n in by),
            ("dim", "column"),
            ("dim", "old"),
            "",
            ("dim", "new"),
        )
    ]
    for r in changed:
        old, new = r.old or {}, r.new or {}
        head: list[Part] = [("yellow", f"{_INDENT}  ~"), ("dim", _place(r)), *(cell(new.get(n)) for n in by)]
        for n in r.cells:
            was, now = apart(old.get(n), new.get(n))
            said = ("red", cell(was, _LONG)), "→", ("green", cell(now, _LONG))
            rows.append((*head, ("cyan", elide(n, CELL)), *said))
            head = [""] * len(head)
    right = [i for i, n in enumerate(by, 2) if all(_is_number((r.new or {}).get(n)) for r in changed)]
    last = len(by) + 2
    return grid(rows, right=[1, *right], give=[*range(2, last + 2), last + 3])


def apart(old: Any, new: Any, most: int = _LONG) -> tuple[Any, Any]:
    """Two values, of long texts what is around their first difference."""
    if not (isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > most):
        return old, new
    low, high = 0, min(len(old), len(new))
    while low < high:  # by halves: texts may have millions of characters
        half = (low + high + 1) // 2
        if old[low:half] == new[low:half]:
            low = half
        else:
            high = half - 1
    start = low - most // 3
    return (old, new) if start <= 0 else (f"…{old[start:]}", f"…{new[start:]}")


def _place(r: RowChange) -> str:
    """The number of a row, counted from 1, in the table in which it is."""
    at = r.old_row if r.new_row is None else r.new_row
    return f"{(at or 0) + 1:,}"


def _renamed(r: RowChange, now: dict[str, str]) -> RowChange:
    """With the old values under the names that columns have now."""
    return replace(r, old={now.get(n, n): v for n, v in r.old.items()}) if r.old else r


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _lines(b: BlobChange) -> Iterator[Shown]:
    rows = [((_LINE.get(line[:1], ""), f"{_INDENT}{line.expandtabs(4)}"),) for line in b.lines]
    if rows:
        yield Grid([row if row[0][0] else (row[0][1],) for row in rows], give=frozenset((0,)), short=cut)
    if b.more:
        yield (("dim", f"{_INDENT}… {count(b.more, 'line')} more"),)
