"""Drift as people see it: verdicts and their reasons, both histograms, figures of each column before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dpkg.command import Grid, cell, count, cut, elide, grid
from dpkg.histograms import distinct, share, spark

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary
    from dpkg.command import Part, Shown
    from dpkg.comparing import Change
    from dpkg.drift.columns import ColumnDrift, TableDrift
    from dpkg.drift.verdicts import ColumnVerdict, PackageVerdict, TableVerdict

STYLE = {"major": "red", "moderate": "yellow", "none": "green"}
_INDENT, _NAME, _BARS, _VALUE = "    ", 28, 10, 24
_FAR = ("psi", "js", "ks")
_HEAD = ("", "column", "", "type", "null", "distinct", "min", "median", "max", "mean", "std")


def judged(verdict: PackageVerdict | None, changes: Sequence[Change]) -> Iterator[Shown]:
    """The line on a whole package."""
    from dpkg.diffing.drifted import unmeasured

    left = unmeasured(changes)
    if verdict is not None and (left or any(c.verdict for c in changes) or verdict.verdict != "none"):
        yield Grid([((STYLE[verdict.verdict], verdict.line),)], give=frozenset((0,)), short=cut)
    if left:
        yield (("dim", f"the drift of {count(len(left), 'table')} is not measured without --drift"),)


def drift_lines(drift: TableDrift, verdict: TableVerdict, whole: bool) -> Iterator[Shown]:
    """The columns that drifted and why; with `whole` the figures of every column, too."""
    if verdict.verdict == "none" and not whole:
        return
    counts = Counter(c.verdict for c in verdict.columns)
    said = ", ".join(f"{counts[word]:,} {word}" for word in ("major", "moderate") if counts[word])
    columns = count(len(verdict.columns), "column")
    yield (
        f"{_INDENT}drift: ",
        (STYLE[verdict.verdict], verdict.verdict),
        f" ({said} of {columns})" if said else f" in {columns}",
    )
    for finding in verdict.findings:
        yield (f"{_INDENT}  ", (STYLE[finding.verdict], f"{finding.verdict}: "), finding.reason)
    looked = [(d, v) for d, v in zip(drift.columns, verdict.columns, strict=True) if v.findings]
    looked.sort(key=lambda pair: pair[1].verdict != "major")
    heads = grid([_head(d, v) for d, v in looked])
    lines = heads[0].lines() if heads else ()
    for head, (_, v) in zip(lines, looked, strict=True):
        yield head
        yield Grid([(f"{_INDENT}    {text}",) for text in _reasons(v)], give=frozenset((0,)), short=cut)
    if whole:
        yield _figures(drift)


def _head(drift: ColumnDrift, verdict: ColumnVerdict) -> tuple[Part, ...]:
    """A column, its verdict, and both histograms on one scale."""
    old, new = _shares(drift)
    most = max([*old, *new], default=0)
    name: Part = ("cyan", f"{_INDENT}  {elide(verdict.column, _NAME)}")
    bars = ("bars", spark(old, most)), "→" if old else "", ("bars", spark(new, most))
    return name, (STYLE[verdict.verdict], verdict.verdict), *bars


def _reasons(verdict: ColumnVerdict) -> Iterator[str]:
    """The findings, all distances in one line; without names of rules, which the words say."""
    said = [(f.rule in _FAR, f.reason.replace(f"({f.rule} ", "(")) for f in verdict.findings]
    if far := [text for is_far, text in said if is_far]:
        yield ", ".join(far)
    yield from (text for is_far, text in said if not is_far)


def _shares(drift: ColumnDrift) -> tuple[list[int], list[int]]:
    """Bars of both sides as parts of a million, of what is measured, or of the most frequent categories."""
    bins: Sequence[Any] = drift.histogram or drift.categories[:_BARS]
    if len(bins) > _BARS:
        old, new = ([sum(side[i : i + 2]) for i in range(0, len(side), 2)] for side in _sides(bins))
    else:
        old, new = _sides(bins)
    return _parts(old, drift.old), _parts(new, drift.new)


def _sides(bins: Sequence[Any]) -> tuple[list[int], list[int]]:
    return [b.old for b in bins], [b.new for b in bins]


def _parts(counts: list[int], summary: Summary | None) -> list[int]:
    present = summary.rows - summary.nulls - summary.nans if summary else 0
    return [n * 1_000_000 // present for n in counts] if present > 0 else counts


def _figures(drift: TableDrift) -> Grid:
    """Two lines for each column, before and after; one where it came or went."""
    rows: list[tuple[Part, ...]] = [tuple(("dim", text) for text in _HEAD)]
    for column in drift.columns:
        name: Part = ("cyan", elide(column.column, _NAME))
        for word, summary in (("old", column.old), ("new", column.new)):
            if summary is not None:
                rows.append((_INDENT, name, ("dim", word), *_line(summary)))
                name = ""
    return Grid(rows, right=frozenset(range(4, len(_HEAD))), drop=True)


def _line(s: Summary) -> Iterator[str]:
    yield elide(s.type, _NAME)
    yield share(s.nulls, s.rows)
    yield distinct(s)
    median = next((q.value for q in s.quantiles if q.share == 0.5), None)
    for value in (s.min, median, s.max, s.mean, s.std):
        yield "" if value is None else cell(f"{value:.6g}" if isinstance(value, float) else value, _VALUE)
