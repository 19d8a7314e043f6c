"""What a report says of columns and entries, in words and figures: nothing in it is escaped yet."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dpkg.command import clean, count, elide, shorten
from dpkg.histograms import number

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary
    from dpkg.comparing import Change, MetadataChange
    from dpkg.diffing.sides import Side
    from dpkg.drift.columns import Category, ColumnDrift, Distance, OneSided
    from dpkg.drift.verdicts import ColumnVerdict, Finding, PackageVerdict, Verdict
    from dpkg.objects.schemadiff import ColumnChange

SIGNS = {"added": "+", "removed": "−", "changed": "~", "renamed": "→", "retyped": "~", "moved": "~", "key": "~"}
NAME, VALUE = 60, 24  # characters of a name and of a value that are shown
RANKS = {"major": 2, "moderate": 1, "none": 0}
_QUANTILES = {0.5: "median"}
_LASTS = re.compile(r"(-?)PT(\d+(?:\.\d+)?)S")  # a duration as JSON has it
_DURATIONS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))


class Row(NamedTuple):
    """A figure of both sides, and what became of it; `alike` if it is as it was. `of` is what is measured, of lengths."""

    name: str
    old: str
    new: str
    change: str
    alike: bool
    of: str = ""


class Looked(NamedTuple):
    """A column with what was found out of it. The verdict is none where it was not judged."""

    drift: ColumnDrift
    verdict: Verdict
    findings: tuple[Finding, ...]  # the worst first


def text(value: Any, most: int = VALUE) -> str:
    """A text of data in one line, without anything that steers, and at most so long."""
    said = value if isinstance(value, str) else str(value)
    if len(said) > 4 * most:  # not all of a long one is looked at
        said = f"{said[: 2 * most]}…{said[-2 * most :]}"
    return elide(clean(said.replace("\r\n", "⏎").replace("\n", "⏎")), most)


def title(old: Side | str, new: Side | str) -> tuple[str, str, str]:
    """What is compared: a package or nothing, and the names of both sides."""
    if not isinstance(old, str) and not isinstance(new, str) and old.package and old.package == new.package:
        parts = [f"{s.revision or 'latest'}{f'/{s.path}' if s.path else ''}" for s in (old, new)]
        return text(old.package, 100), text(parts[0], 100), text(parts[1], 100)
    return "", text(old, 100), text(new, 100)


def commit(side: Side | str) -> str:
    """The commit of a side, shortly."""
    return "" if isinstance(side, str) else side.commit[:12] if side.commit else "not built"


def headline(verdict: PackageVerdict | None) -> tuple[str, str]:
    """The verdict in two words, and why."""
    if verdict is None:
        return "Drift not measured", "it is with --drift"
    named = "No drift" if verdict.verdict == "none" else f"{verdict.verdict.capitalize()} drift"
    return named, text(verdict.line.removeprefix(f"{verdict.verdict} drift ").removeprefix("no drift"), 300)


def reason(f: Finding, most: int = 300) -> str:
    """Why, with the threshold; the words say by which rule."""
    return text(f.reason.replace(f"({f.rule} ", "("), most)


def totals(changes: Sequence[Change]) -> str:
    """`1 added, 2 changed`."""
    from dpkg.diffing import shown

    return shown.totals(changes)


def sizes(c: Change) -> str:
    """How large an entry was and is; nothing of folders."""
    if c.type == c.old_type == "tree":
        return ""
    had, has = (
        (count(rows, "row") if kind == "table" else shorten(size))
        for kind, rows, size in ((c.old_type, c.old_rows, c.old_bytes), (c.type, c.new_rows, c.new_bytes))
    )
    if c.what == "added" or (c.what == "renamed" and c.old_oid == c.new_oid):
        return has
    if c.what == "removed":
        return had
    if c.old_type == c.type == "table" and c.old_rows == c.new_rows:
        return f"{has} as before"
    if c.old_type == c.type == "table":
        return f"{c.old_rows:,} → {has} ({c.new_rows - c.old_rows:+,})"
    return f"{had} → {has}" if had != has else has


def remarks(c: Change) -> Iterator[str]:
    """What there is to say of a change beyond sizes and rows."""
    if c.what == "changed" and c.old_type != c.type:
        yield f"was a {c.old_type}"
    if c.blob and c.blob.kind != "text":
        kind = "not text" if c.blob.kind == "binary" else "too large to be compared"
        yield f"{c.blob.media}, {kind}" if c.blob.media else kind
    if c.table and c.table.schema:
        yield "schema"
    if c.metadata:
        yield "metadata"


def tally(c: Change) -> tuple[tuple[str, int], ...]:
    """(what, how many) rows or lines."""
    if r := c.row_changes:
        return (("added", r.added), ("removed", r.removed), ("changed", r.changed))
    return (("added", c.blob.added), ("removed", c.blob.removed)) if c.blob and c.blob.kind == "text" else ()


def metadata(m: MetadataChange) -> list[str]:
    """The values of a member of user metadata, before and after, where there are such."""
    values = {"added": [m.new], "removed": [m.old]}.get(m.what, [m.old, m.new])
    return [json.dumps(value, ensure_ascii=False) for value in values]


def schema(s: ColumnChange) -> tuple[str, str]:
    """(column, what became of it)."""
    if s.what == "renamed":
        return text(s.old, NAME), f"is now {text(s.new, NAME)}, as its values are alike"
    if s.what == "key":
        return "key", f"{text(s.old, 2 * NAME) or 'none'} → {text(s.new, 2 * NAME) or 'none'}"
    where = "place " if s.what == "moved" else ""
    return text(s.column, NAME), where + " → ".join(text(t, 2 * NAME) for t in (s.old, s.new) if t)


def looked(c: Change) -> list[Looked]:
    """The columns of a table, those with the worst verdicts first, by their figures; in order where they are alike."""
    if c.drift is None:
        return []
    found: Iterable[ColumnVerdict | None] = c.verdict.columns if c.verdict else [None] * len(c.drift.columns)
    out = []
    for column, said in zip(c.drift.columns, found, strict=True):
        out.append(Looked(column, said.verdict, said.findings) if said else Looked(column, "none", ()))
    return sorted(out, key=lambda x: (-RANKS[x.verdict], -_worst(x.drift) if x.verdict != "none" else 0.0))


def _worst(column: ColumnDrift) -> float:
    return max((d.js.value for d in column.distances), default=2.0)  # of those gone or of another type there is none


def names(column: ColumnDrift) -> str:
    """Its name, and where it was renamed the old one."""
    if column.renamed and column.old is not None:
        return f"{text(column.old.column, NAME)} → {text(column.column, NAME)}"
    return text(column.column, NAME)


def types(column: ColumnDrift) -> str:
    """Its type, or both."""
    said = [text(s.type, NAME) for s in (column.old, column.new) if s]
    return said[0] if len(set(said)) == 1 else " → ".join(said)


def percent(share: float) -> str:
    """A share in per cent: what is not all is never 100 %."""
    if 0 < share < 1e-4:
        return "<0.01\u00a0%"
    return f"{min(100 * share, 99.9) if share < 1 else 100:.3g}\u00a0%"


def distances(column: ColumnDrift) -> Iterator[tuple[str, str, str, str]]:
    """(name, figure, its bounds, of what if that is not clear)."""
    for d in column.distances:
        for name, figure in (("PSI", d.psi), ("JS", d.js), ("KS", d.ks)):
            if figure is not None:
                of = "" if d.of == "values" else measured(d)
                yield name, f"{figure.value:.3f}", f"{figure.low:.3f} and {figure.high:.3f}", of


def measured(d: Distance) -> str:
    """What a distance is of."""
    return d.of if d.of in ("values", "categories") else "lengths"


def categories(column: ColumnDrift) -> Sequence[Category]:
    """Its most frequent values; of a column on one side only where they are all."""
    from dpkg.drift.columns import Category

    side = column.new or column.old
    if column.categories or (column.old and column.new) or side is None:
        return column.categories
    if side.top_error or side.distinct != len(side.top):
        return ()
    return [Category(t.value, t.count if column.old else 0, t.count if column.new else 0) for t in side.top]


def one_sided(side: OneSided | None) -> str:
    """Categories of one side only: `2 (PT, CZ), 12 % of values`."""
    if side is None or not side.categories:
        return ""
    some = ", ".join(spelt(v, 24) for v in side.shown[:8]) + (", …" if side.categories > 8 else "")
    return f"{side.categories:,} ({some}): {percent(side.share)} of values"


def spelt(value: Any, most: int = VALUE) -> str:
    """A value as people see it."""
    if isinstance(value, str):
        return text(value, most) or '""'
    return "null" if value is None else number(value)


def moments(values: Iterable[Any]) -> int:
    """How many characters of times are shown beside one another: 10 are a day, 16 a minute, 19 a second; 0: these are no times."""
    said = [v for v in values if v is not None]
    if not said or not all(isinstance(v, str) and len(v) >= 19 and v[4] == v[7] == "-" and v[10] == "T" for v in said):
        return 0
    if all(v[11:19] == "00:00:00" for v in said):
        return 10
    return 16 if min(said)[:7] != max(said)[:7] else 19


def at(value: Any, most: int) -> str:
    """A value, of times so many characters, of durations in seconds what people say."""
    if most and isinstance(value, str):
        return value[:most].replace("T", " ")
    if isinstance(value, str) and (lasts := _LASTS.fullmatch(value)):
        return span(float(lasts[1] + lasts[2]))
    return spelt(value)


def span(seconds: float) -> str:
    """A length of time: `4.21 days`."""
    if not seconds:
        return "0 s"
    unit, name = next(((u, n) for u, n in _DURATIONS if abs(seconds) >= u), (1e-6, "µs"))
    return f"{seconds / unit:,.3g} {name}"


def rows(column: ColumnDrift) -> list[Row]:
    """The figures of both sides, those first that any column has."""
    sides = (column.old, column.new)
    present = [s for s in sides if s]
    out = [_row("nulls", [_rate(s, s.nulls) if s else None for s in sides], _points)]
    for name, said in (("nans", "NaN"), ("infinities", "infinite")):
        if any(getattr(s, name) for s in present):
            out.append(_row(said, [_rate(s, getattr(s, name)) if s else None for s in sides], _points))
    if any(s.distinct is not None for s in present):
        out.append(_row("distinct", [_distinct(s) if s else None for s in sides], _ratio))
    measures = {s.measure for s in present if s.measure}
    if measures != {"values"}:
        out += _some(column, ("min", "max"), "")
        if len(measures) == 1 and (column.histogram or not categories(column)):  # else the values themselves tell more
            (of,) = measures
            out += [*_quantiles(column, of), *_some(column, ("mean", "std"), of)]
        return out
    middle = [] if all(s.type == "bool" for s in present) else _quantiles(column, "")
    return [*out, *_some(column, ("min",), ""), *middle, *_some(column, ("max", "mean", "std"), "")]


def _quantiles(column: ColumnDrift, of: str) -> list[Row]:
    sides = (column.old, column.new)
    known = [{q.share: q.value for q in s.quantiles} if s else {} for s in sides]
    return [
        _row(_QUANTILES.get(share, f"{100 * share:g} %"), _shown(column, [k.get(share) for k in known]), _change, of)
        for share in dict.fromkeys(share for k in known for share in k)
    ]


def _some(column: ColumnDrift, names: Iterable[str], of: str) -> Iterator[Row]:
    """Figures by their names, those that a side has."""
    for name in names:
        values = [getattr(s, name) if s else None for s in (column.old, column.new)]
        if any(v is not None for v in values):
            said = (
                [_std(s) if s else None for s in (column.old, column.new)] if name == "std" else _shown(column, values)
            )
            yield _row(name, said, _change, of)


def _shown(column: ColumnDrift, values: Sequence[Any]) -> list[tuple[Any, str] | None]:
    """(what is compared, what is shown) of values of both sides."""
    sides = (column.old, column.new)
    most = moments(v for s in sides if s for v in (s.min, s.max))
    return [None if s is None or v is None else (_plain(v, s), at(v, most)) for s, v in zip(sides, values, strict=True)]


def _plain(value: Any, side: Summary) -> Any:
    """A value that can be compared: decimals and durations as numbers: as a text `0.10` is not 0.1."""
    if not isinstance(value, str):
        return value
    lasts = _LASTS.fullmatch(value) if side.type.startswith("duration") else None
    return float(lasts[1] + lasts[2]) if lasts else float(value) if side.type.startswith("decimal") else value


def _row(name: str, sides: Sequence[tuple[Any, str] | None], change: Callable[[Any, Any], str], of: str = "") -> Row:
    old, new = sides
    alike = bool(old and new and old[0] == new[0])
    said = change(old[0], new[0]) if old and new and not alike else ""
    return Row(name, old[1] if old else "", new[1] if new else "", said, alike, of)


def _rate(s: Summary, n: int) -> tuple[float, str]:
    share = n / s.rows if s.rows else 0.0
    return share, percent(share) if n else "0"


def _distinct(s: Summary) -> tuple[int, str] | None:
    if s.distinct is None:
        return None
    return s.distinct, f"{'~' if s.distinct_error else ''}{s.distinct:,}"


def _std(s: Summary) -> tuple[Any, str] | None:
    """The standard deviation, of times as a length of time."""
    if s.std is None:
        return None
    kind = s.type.partition("[")[0]
    timed = s.measure == "values" and (kind in ("timestamp", "duration", "date") or kind.startswith("time_"))
    unit = 86400 if kind == "date" else 1
    return s.std, span(unit * s.std) if timed else spelt(float(s.std))


def _points(old: float, new: float) -> str:
    return _signed(100 * (new - old), " points")


def _change(old: Any, new: Any) -> str:
    """By how much a number grew, or a time moved."""
    if isinstance(old, str) and isinstance(new, str):
        try:
            moved = (datetime.fromisoformat(new) - datetime.fromisoformat(old)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return ""
        return f"{'+' if moved > 0 else '−'}{span(abs(moved))}" if moved else ""
    return _ratio(old, new)


def _ratio(old: Any, new: Any) -> str:
    """In per cent, of what is more than doubled or less than halved as a factor."""
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in (old, new)):
        return ""
    if not old or not new or (old < 0) != (new < 0):
        return ""
    grown = new / old if abs(old) > 1e-300 else math.inf
    if not math.isfinite(grown):
        return ""
    return _signed(100 * (grown - 1), " %") if 0.5 < grown < 2 else f"×{grown:,.3g}"


def _signed(value: float, unit: str) -> str:
    """With a sign, and with no more digits than say something."""
    if abs(value) < 0.1:
        return "≈"
    return f"{value:+.{1 if abs(value) < 10 else 0}f}{unit}".replace("-", "−")
