"""Whether drift is worth a look: thresholds, and a verdict with its reasons for columns, tables, packages (DRI-4, DRI-5).

No p-values: of a million rows each difference is significant, however small. What sampling alone shows of few rows is left out by
`chance` (spec/diff.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from dpkg.command import count
from dpkg.drift import chance
from dpkg.errors import Usage, did_you_mean

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary
    from dpkg.drift.columns import ColumnDrift, Distance, OneSided, TableDrift
    from dpkg.objects.schemadiff import ColumnChange

Verdict: TypeAlias = Literal["none", "moderate", "major"]
VERDICTS: tuple[Verdict, ...] = ("none", "moderate", "major")
_LENGTHS = ("characters", "bytes", "items")


class Limit(NamedTuple):
    """From what figure on drift is moderate, and major."""

    moderate: float
    major: float

    def verdict(self, figure: float) -> Verdict:
        return "major" if figure >= self.major else "moderate" if figure >= self.moderate else "none"


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "psi": Limit(0.1, 0.25),
        "js": Limit(0.1, 0.2),
        "ks": Limit(0.1, 0.2),
        "null_rate": Limit(0.05, 0.2),  # difference of the shares of nulls
        "nan_rate": Limit(0.05, 0.2),  # and of those of NaN and infinities
        "range": Limit(0.05, 0.25),  # share of the new values beyond the old least and greatest
        "reach": Limit(10.0, math.inf),  # how far beyond, in widths of the old range
        "cardinality": Limit(2.0, 10.0),  # by what factor there are more, or fewer, distinct values
        "new_categories": Limit(0.01, 0.1),  # share of the new values
        "vanished_categories": Limit(0.01, 0.1),  # share of the old values
        "rows": Limit(2.0, 10.0),  # by what factor there are more, or fewer, rows
    }
)
SCHEMA: Mapping[str, Verdict] = MappingProxyType(
    {
        "added": "none",
        "removed": "major",
        "renamed": "moderate",
        "retyped": "moderate",  # to a type whose values can be compared with the old ones
        "incomparable": "major",  # to any other type
        "moved": "none",
        "key": "moderate",
        "table_added": "none",
        "table_removed": "major",
    }
)
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")
CHANCE = 3.0  # how unlikely a figure must be of samples of the same, in standard deviations of a normal distribution


@dataclass(frozen=True)
class Thresholds:
    """What is moderate, and what is major."""

    limits: Mapping[str, Limit] = field(default_factory=lambda: LIMITS)
    schema: Mapping[str, Verdict] = field(default_factory=lambda: SCHEMA)
    chance: float = CHANCE
    columns: Mapping[str, Thresholds] = field(default_factory=dict)  # for columns that have their own


DEFAULT = Thresholds()


@dataclass(frozen=True)
class Finding:
    """What a rule says, where it says more than none."""

    rule: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class ColumnVerdict:
    """The worst that the rules say of a column; findings with the worst first."""

    column: str
    verdict: Verdict
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class TableVerdict:
    """The worst of a table and its columns; findings are of the table as a whole."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    columns: tuple[ColumnVerdict, ...]

    @property
    def reason(self) -> str:
        """The worst in words; empty where there is nothing."""
        for f in self.findings:
            if f.verdict == self.verdict:
                return f.reason
        worst = [c for c in self.columns if c.findings and c.verdict == self.verdict]
        if not worst:
            return ""
        more = f", and {count(len(worst) - 1, 'more column')}" if len(worst) > 1 else ""
        return f"{worst[0].column}: {worst[0].findings[0].reason}{more}"


@dataclass(frozen=True)
class PackageVerdict:
    """The worst of a package's tables, and a line that says so."""

    verdict: Verdict
    line: str


def thresholds(said: Mapping[str, Any], base: Thresholds = DEFAULT) -> Thresholds:
    """`base` with what is said: `psi: [0.1, 0.25]`, `psi: {moderate: 0.1, major: 0.25}`, `psi: off`, `removed: moderate`, `chance: 3`.

    Raises Usage for an unknown name, with the nearest, and for what is no limit.
    """
    limits, schema, beyond = dict(base.limits), dict(base.schema), base.chance
    for name, value in said.items():
        if name in limits:
            limits[name] = _limit(name, value, limits[name])
        elif name in schema:
            if value not in VERDICTS:
                raise Usage(f"'{name}: {value}' is no verdict", f"one of {', '.join(VERDICTS)}")
            schema[name] = value
        elif name == "chance":
            beyond = 0.0 if value is False or value == "off" else _number(name, value)
        else:
            raise _unknown(name, (*limits, *schema, "chance"))
    return replace(base, limits=limits, schema=schema, chance=beyond)


def of_check(args: Mapping[str, Any]) -> Thresholds:
    """Those of a `drift` check (spec/checks.md). Raises Usage."""
    base = thresholds(args.get("limits", {}))
    return replace(base, columns={name: thresholds(said, base) for name, said in args.get("columns", {}).items()})


def _limit(name: str, value: Any, base: Limit) -> Limit:
    if value is False or value == "off":  # YAML has `off` for false
        return Limit(math.inf, math.inf)
    if isinstance(value, Mapping):
        for key in value:
            if key not in Limit._fields:
                raise _unknown(key, Limit._fields)
        made = base._replace(**{k: _number(name, v) for k, v in value.items()})
    elif isinstance(value, list | tuple) and len(value) == 2:
        made = Limit(*(_number(name, v) for v in value))
    else:
        raise Usage(f"'{name}: {value}' is no threshold", f"write {name}: [MODERATE, MAJOR], or {name}: off")
    if made.moderate > made.major:
        raise Usage(f"'{name}' would be major before it is moderate", f"write {name}: [MODERATE, MAJOR]")
    return made


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and NUMBER.fullmatch(value):  # as it was written
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < 1e300 or value == math.inf):
        raise Usage(f"'{name}' has {value!r} where a number is wanted", "thresholds are numbers from 0 on")
    return float(value)


def _unknown(name: Any, known: Sequence[str]) -> Usage:
    return Usage(
        f"'{name}' is no threshold of drift", did_you_mean(str(name), known, f"known here: {', '.join(known)}")
    )


def judge(table: TableDrift, changes: Sequence[ColumnChange] = (), by: Thresholds = DEFAULT) -> TableVerdict:
    """The verdict of a table; of `changes` of its schema those are looked at that are of no single column."""
    columns = tuple(_column(column, by.columns.get(column.column, by)) for column in table.columns)
    found = [_said("rows", _rows(table), by, f"rows {table.old_rows:,} → {table.new_rows:,}")]
    for change in changes:
        if change.what == "key":
            found.append(Finding("key", by.schema["key"], f"key {change.old or 'none'} → {change.new or 'none'}"))
        elif change.what == "moved":
            where = f"column '{change.column}' moved from place {change.old} to {change.new}"
            found.append(Finding("moved", by.schema["moved"], where))
    findings = _worst_first(found)
    return TableVerdict(_worst([*findings, *columns]), findings, columns)


def judge_package(
    tables: Mapping[str, TableVerdict],
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
    by: Thresholds = DEFAULT,
) -> PackageVerdict:
    """The verdict of a package: of tables that are in both versions, by path, and of the paths of those in one only."""
    found = [Finding(path, t.verdict, f"{path}: {t.reason}") for path, t in tables.items()]
    found += [Finding(path, by.schema["table_added"], f"{path}: a new table") for path in added]
    found += [Finding(path, by.schema["table_removed"], f"{path}: the table is gone") for path in removed]
    findings = _worst_first(found)
    if not findings:
        return PackageVerdict("none", "no drift")
    worst = findings[0]
    more = sum(f.verdict == worst.verdict for f in findings) - 1
    rest = f"; and {count(more, 'more table')}" if more else ""
    return PackageVerdict(worst.verdict, f"{worst.verdict} drift in {worst.reason}{rest}")


def _column(column: ColumnDrift, by: Thresholds) -> ColumnVerdict:
    old, new = column.old, column.new
    if old is None or new is None:
        what = "added" if old is None else "removed"
        found = [Finding(what, by.schema[what], f"the column is {'new' if old is None else 'gone'}")]
    else:
        found = [*_schema(column, old, new, by), *_rates(old, new, by)]
        for distance in column.distances:
            found += _far(distance, by)
        found += [*_range(column, old, new, by), _cardinality(column, old, new, by)]
        for rule, side in (
            ("new_categories", column.new_categories),
            ("vanished_categories", column.vanished_categories),
        ):
            if side is not None and side.categories and side.chance <= chance.surprise(by.chance):
                found.append(_said(rule, side.share, by, _one_sided(rule, side)))
    findings = _worst_first(found)
    return ColumnVerdict(column.column, _worst(findings), findings)


def _schema(column: ColumnDrift, old: Summary, new: Summary, by: Thresholds) -> list[Finding]:
    out = []
    if column.renamed:
        out.append(Finding("renamed", by.schema["renamed"], f"name {old.column} → {new.column}"))
    if column.retyped:
        rule = "retyped" if column.comparable else "incomparable"
        out.append(Finding(rule, by.schema[rule], f"type {old.type} → {new.type}"))
    return out


def _rates(old: Summary, new: Summary, by: Thresholds) -> list[Finding]:
    if not old.rows or not new.rows:
        return []
    out = []
    for rule, name, had, has in (
        ("null_rate", "nulls", old.nulls, new.nulls),
        ("nan_rate", "NaN and infinities", old.nans + old.infinities, new.nans + new.infinities),
    ):
        p, q = had / old.rows, has / new.rows
        usual = chance.rate(had + has, old.rows, new.rows, by.chance)
        figure = abs(q - p) if abs(q - p) >= usual else 0.0
        out.append(_said(rule, figure, by, f"{name} {_percent(p)} → {_percent(q)}"))
    return out


def _far(d: Distance, by: Thresholds) -> list[Finding]:
    of = " of lengths" if d.of in _LENGTHS else " of categories" if d.of == "categories" else ""
    out, z = [], by.chance
    if d.psi.value >= chance.psi(d.bins, d.old, d.new, z):
        out.append(_said("psi", d.psi.value, by, f"PSI{of} {d.psi.value:.2f}"))
    if d.js.value >= chance.js(d.bins, d.old, d.new, z):
        out.append(_said("js", d.js.value, by, f"Jensen-Shannon distance{of} {d.js.value:.2f}"))
    if d.ks is not None and d.ks.value >= chance.ks(d.old, d.new, z):
        out.append(_said("ks", d.ks.value, by, f"Kolmogorov-Smirnov statistic{of} {d.ks.value:.2f}"))
    return out


def _range(column: ColumnDrift, old: Summary, new: Summary, by: Thresholds) -> list[Finding]:
    out = []
    n, m = (s.rows - s.nulls - s.nans for s in (old, new))
    if column.outside is not None and column.outside.value >= chance.outside(n, m, by.chance):
        share = column.outside.value
        out.append(_said("range", share, by, f"{_percent(share)} of values outside {old.min} .. {old.max}"))
    if column.reach and column.reach >= chance.reach(column.tails or math.inf, n, m, by.chance):
        how = f"range {old.min} .. {old.max} → {new.min} .. {new.max}"
        out.append(_said("reach", column.reach, by, how))
    return out


def _cardinality(column: ColumnDrift, old: Summary, new: Summary, by: Thresholds) -> Finding:
    """By what factor the number of distinct values changed, and their share of all values too: rows alone change only one of them."""
    from dpkg.drift.distances import FEW  # up to so many, categories tell more

    figure = 1.0
    if column.comparable and old.distinct and new.distinct and max(old.distinct, new.distinct) > FEW:
        many = math.log(new.distinct / old.distinct)
        present = [s.rows - s.nulls - s.nans for s in (old, new)]
        share = many - math.log(present[1] / present[0])
        figure = math.exp(min(abs(many), abs(share))) if many * share > 0 else 1.0
    return _said("cardinality", figure, by, f"distinct values {_about(old)} → {_about(new)}")


def _about(s: Summary) -> str:
    return f"{'~' if s.distinct_error else ''}{s.distinct:,}" if s.distinct is not None else "unknown"


def _one_sided(rule: str, side: OneSided) -> str:
    new = rule == "new_categories"
    many = f"{side.categories:,} {'category' if side.categories == 1 else 'categories'}"
    some = ", ".join(str(v)[:24] for v in side.shown[:3]) + (", …" if side.categories > 3 else "")
    return f"{many} {'new' if new else 'gone'} ({some}): {_percent(side.share)} of {'new' if new else 'old'} values"


def _rows(table: TableDrift) -> float:
    old, new = table.old_rows, table.new_rows
    if old == new:
        return 1.0
    return max(old, new) / min(old, new) if old and new else math.inf


def _said(rule: str, figure: float, by: Thresholds, reason: str) -> Finding:
    limit = by.limits[rule]
    verdict = limit.verdict(figure)
    return Finding(
        rule, verdict, reason if verdict == "none" else f"{reason} ({rule} {verdict} from {getattr(limit, verdict):g})"
    )


def _worst_first(found: Sequence[Finding]) -> tuple[Finding, ...]:
    kept = [f for f in found if f.verdict != "none"]
    return tuple(sorted(kept, key=lambda f: -VERDICTS.index(f.verdict)))


def _worst(found: Sequence[Finding | ColumnVerdict]) -> Verdict:
    return max((f.verdict for f in found), key=VERDICTS.index, default="none")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
