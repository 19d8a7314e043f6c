"""Profiles of columns as aligned text: a line for each, with a small histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dpkg.command import Grid, clean, elide

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary, Top
    from dpkg.command import Part

_BARS = "▁▂▃▄▅▆▇█"
_NAME, _VALUE, _WIDTH = 24, 24, 10  # columns of a name, a value, a histogram
_HEAD = ("", "column", "type", "null", "distinct", "histogram", "min .. median .. max, or most frequent")


def profile_grid(profile: Sequence[Summary]) -> list[Grid]:
    """The columns with their profiles. Where a terminal is narrow, what is last gives way first."""
    rows: list[tuple[Part, ...]] = [tuple(("dim", text) for text in _HEAD)]
    for column in profile:
        name, kind = ("cyan", elide(column.column, _NAME)), elide(column.type, _NAME)
        bars = ("bars", spark(_heights(column)))
        rows.append(("", name, kind, share(column.nulls, column.rows), distinct(column), bars, _values(column)))
    if not any(column.nulls for column in profile):
        rows = [row[:3] + row[4:] for row in rows]
    last = len(rows[0]) - 1
    return [Grid(rows, right=frozenset(range(3, last - 1)), give=frozenset((1, 2, last)), short=_short)]


def _short(text: str, width: int) -> str:
    """A cell in so many columns: without the median, or what comes last."""
    if len(text) <= width:
        return elide(text, width)
    least, _, rest = text.partition(" .. ")
    _, _, most = rest.partition(" .. ")
    if most and len(least) + len(most) + 4 <= width:
        return f"{least} .. {most}"
    if most:
        return f"{elide(least, width - 5)} .. …"
    kept = text[: width - 2].rpartition(", ")[0]
    return f"{kept}, …" if kept else elide(text, width)


def _heights(column: Summary) -> list[int]:
    """Of numbers a histogram; of texts how often the most frequent ones occur, where there are such, else one of lengths."""
    if column.measure in ("characters", "bytes") and column.top:
        return [top.count for top in column.top[:_WIDTH]]
    counts = [bin.count for bin in column.histogram]
    return [sum(counts[i : i + 2]) for i in range(0, len(counts), 2)] if len(counts) > _WIDTH else counts


def spark(counts: Sequence[int], most: int = 0) -> str:
    """Bars in one line: the height of each is its share of the highest, or of `most`; nothing is a space."""
    most = most or max(counts, default=0)
    return "".join(" " if not n else _BARS[min(len(_BARS) - 1, n * len(_BARS) // most)] for n in counts)


def share(part: int, whole: int) -> str:
    """A share as per cent: none is nothing, and what is not all is never 100 %."""
    if not part:
        return ""
    if part == whole:
        return "100%"
    percent = 100 * part / whole
    return "<0.1%" if percent < 0.1 else f"{min(percent, 99.9):.1f}%"


def distinct(column: Summary) -> str:
    """The number of distinct values; an estimate with two or three digits."""
    n = column.distinct
    if n is None:
        return ""
    if not column.distinct_error:
        return f"{n:,}"
    unit = next((unit for least, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if n >= least))
    size = n / {"G": 1e9, "M": 1e6, "k": 1e3}[unit]
    return f"~{size:.1f}{unit}" if size < 100 else f"~{size:,.0f}{unit}"


def _values(column: Summary) -> str:
    """The values in words: the most frequent where they are texts, and their lengths; else the least, median and greatest."""
    if column.nulls + column.nans == column.rows:
        return "NaN only" if column.nans else "no values" if column.rows else ""
    if not column.quantiles:
        return ""
    present = column.rows - column.nulls - column.nans
    if column.measure == "values":
        if column.type == "bool":
            return _top(column.top, present)
        middle = next(q.value for q in column.quantiles if q.share == 0.5)
        values = (column.min,) if column.min == column.max else _shortened((column.min, middle, column.max))
        found = " .. ".join(map(number, values))
        return f"{found}, {share(column.nans, column.rows)} NaN" if column.nans else found
    least, most = (number(q.value) for q in (column.quantiles[0], column.quantiles[-1]))
    unit = {"characters": "chars"}.get(column.measure, column.measure)
    unit = unit[:-1] if least == most == "1" else unit
    lengths = f"{least if least == most else f'{least}-{most}'} {unit}"
    return ", ".join(filter(None, [_top(column.top, present), lengths]))


def _shortened(values: Sequence[Any]) -> list[Any]:
    """Times without what does not matter beside a range of days."""
    texts = [v for v in values if isinstance(v, str) and len(v) > 10 and v[4:5] == v[7:8] == "-" and v[10] == "T"]
    if len(texts) < len(values):
        return list(values)
    most = next((most for most in (10, 19) if texts[0][:most] != texts[-1][:most]), None)
    return [text[:most] for text in texts]


def _top(top: Sequence[Top], present: int) -> str:
    """The most frequent values, of those that are at all frequent."""
    return ", ".join(f"{_text(t.value)} {share(t.count, present)}" for t in top[:3] if t.count * 100 >= present)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = clean(str(value).replace("\n", "⏎"))
    return elide(text or '""', _VALUE)


def number(value: Any) -> str:
    """A value for people: floats with few digits."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 or abs(value) >= 1e15 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)
