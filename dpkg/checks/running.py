"""All rules of a table in one pass over its parts, by a few threads; in memory a few parts, and what evaluators say they hold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from dpkg.checks.rules import ERROR, Rule, allowed
from dpkg.checks.tables import Part, Profiled, StoredTables, Tables, find
from dpkg.errors import Usage
from dpkg.threads import in_order

if TYPE_CHECKING:
    from dpkg.arrow.checks.base import Evaluator, Outcome
    from dpkg.arrow.schema import Schema
    from dpkg.checks.kept import Kept

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
WORKERS = max(2, min(8, os.cpu_count() or 2))
ROWS = 5  # that are shown of those that break a rule


@dataclass(frozen=True)
class BrokenRow:
    """A row that breaks a check: its number in the table, from 1 (0 where a query returned it); its file and line there,
    if it is text (else 0); its value."""

    row: int
    file: str
    line: int
    value: str


@dataclass(frozen=True)
class Result:
    """What became of one check. `bad` rows break it, or 1 does where it is about a figure."""

    path: str
    check: str
    severity: str
    status: str  # passed, failed or skipped
    bad: int
    figure: str  # what was found; where it was skipped, why
    rows: tuple[BrokenRow, ...] = ()
    where: str = ""  # in build.yml
    rule: dict[str, Any] = field(default_factory=dict)  # as in the commit

    @property
    def fails(self) -> bool:
        """Whether nothing may be published."""
        return self.status == FAILED and self.severity == ERROR


@dataclass(frozen=True)
class Before:
    """What a table was in the parent commit."""

    schema: Schema
    rows: int
    profiled: Callable[[], Profiled]


@dataclass(frozen=True)
class Setting:
    """What checks run in."""

    tables: Tables
    before: Callable[[str], Before | None] = lambda path: None
    kept: Kept | None = None
    most: int = ROWS
    now: int = field(default_factory=time.time_ns)
    misfits: list[Usage] = field(default_factory=list)  # rules that do not fit their tables: told when all is done
    watched: Mapping[str, Watch] = field(default_factory=dict)  # by path, what looked at tables when they were made
    workers: int = WORKERS


def check_table(path: str, rules: Sequence[Rule], setting: Setting) -> list[Result]:
    """What becomes of each rule of a table, but of those that do not fit it (`misfits`). Raises what readers raise."""
    return setting.tables.parts(path, lambda schema, parts: _check(path, rules, setting, schema, parts))


@dataclass(eq=False)
class _Bound:
    """A rule, and what finds out about it, or why nothing does."""

    rule: Rule
    evaluator: Evaluator | None = None
    why: str = ""


def _check(path: str, rules: Sequence[Rule], setting: Setting, schema: Schema, parts: Iterator[Part]) -> list[Result]:
    bound = _bind(path, rules, setting, schema)
    done = _seen(bound, setting.watched.get(path))
    working = [b for b in bound if b.evaluator is not None and b not in done]
    rows = 0
    for count, measured in in_order(lambda part: _measure(part, working, setting.kept), parts, setting.workers):
        for one, found in zip(working, measured, strict=True):
            assert one.evaluator is not None
            one.evaluator.add(found, rows)
        rows += count
    return [_result(path, one, rows) for one in bound]


def _seen(bound: Sequence[_Bound], watch: Watch | None) -> list[_Bound]:
    """Those whose evaluators have seen all rows before."""
    found = []
    for one in bound if watch else ():
        assert watch is not None
        if (evaluator := watch.take(one.rule)) is not None:
            one.evaluator = evaluator
            found.append(one)
    return found


def _bind(path: str, rules: Sequence[Rule], setting: Setting, schema: Schema) -> list[_Bound]:
    from dpkg.arrow.checks.make import Skipped, Surroundings, make

    at = Surroundings(
        setting.most,
        setting.now,
        lambda: setting.before(path),
        lru_cache(None)(lambda table, column: _known(path, table, column, setting)),
        lambda sql: _query(path, sql, setting),
        lambda args: _drift(path, args, setting),
    )
    bound = []
    for rule in rules:
        try:
            bound.append(_Bound(rule, make(rule.kind, rule.column, rule.args, schema, at)))
        except Skipped as e:
            bound.append(_Bound(rule, why=str(e)))
        except Usage as e:
            where = f"{rule.where}: " if rule.where else ""
            setting.misfits.append(Usage(f"{where}the check '{rule}' of '{path}': {e.message}", e.hint))
    return bound


def _measure(part: Part, bound: Sequence[_Bound], kept: Kept | None) -> tuple[int, list[Any]]:
    """What each rule finds in a part: what is known of the fragment already, else by reading the columns that are needed."""
    evaluators = [b.evaluator for b in bound if b.evaluator is not None]
    keeps = kept is not None and part.oid is not None and any(e.kept for e in evaluators)
    known = kept.load(part.oid) if keeps and kept is not None and part.oid is not None else {}
    found: list[Any] = [known.get(b.rule.digest) if e.kept else None for b, e in zip(bound, evaluators, strict=True)]
    lacking = [i for i, one in enumerate(found) if one is None]
    names = sorted({name for i in lacking for name in evaluators[i].columns})
    columns = part.read(names) if names else {}
    for i in lacking:
        found[i] = evaluators[i].measure(columns, part.rows)
    passed = {bound[i].rule.digest: found[i] for i in lacking if evaluators[i].kept and evaluators[i].passed(found[i])}
    if keeps and passed and kept is not None and part.oid is not None:
        kept.store(part.oid, known | passed)
    return part.rows, found


class Watch:
    """Looks at the fragments of a table while they are made (dpkg.tables), so that they need not be read again for most rules.

    What is found of a fragment alone is kept; what needs all rows is held here, until `check_table` takes it. A rule that
    does not fit the schema is left to that.
    """

    def __init__(self, rules: Sequence[Rule], kept: Kept) -> None:
        self._rules, self._kept = rules, kept
        self._whole: dict[str, Evaluator] = {}  # by the digests of their rules
        self._lock = Lock()

    def begin(self, schema: Schema) -> Callable[[int, Any], None]:
        """For the fragments of a table of this schema; what was found before is forgotten."""
        from dpkg.arrow.checks.make import ALONE, WHOLE

        setting = Setting(StoredTables(self._kept.odb, {}), kept=self._kept)
        bound = _bind("", [rule for rule in self._rules if rule.kind in ALONE | WHOLE], setting, schema)
        alone = [b for b in bound if b.rule.kind in ALONE and b.evaluator is not None]
        self._whole = {b.rule.digest: b.evaluator for b in bound if b.rule.kind in WHOLE and b.evaluator is not None}
        whole = list(self._whole.values())

        def one(start: int, made: Any) -> None:
            columns = dict(zip(schema.names, made.columns, strict=True))
            _measure(Part(made.entry.oid, made.entry.rows, lambda names: columns), alone, self._kept)
            for evaluator in whole:
                found = evaluator.measure(columns, made.entry.rows)
                with self._lock:
                    evaluator.add(found, start)

        return one

    def take(self, rule: Rule) -> Evaluator | None:
        """What has seen all rows, once."""
        return self._whole.pop(rule.digest, None)


def _result(path: str, bound: _Bound, rows: int) -> Result:
    rule = bound.rule
    blank = Result(path, str(rule), rule.severity, SKIPPED, 0, bound.why, where=rule.where, rule=rule.json)
    if bound.evaluator is None:
        return blank
    outcome: Outcome = bound.evaluator.outcome()
    good = outcome.bad <= (allowed(rule.allow, rows) if rule.allow else 0)
    broken = tuple(BrokenRow(one.row + 1, "", 0, one.value) for one in outcome.rows)
    status = PASSED if good else FAILED
    return replace(blank, status=status, bad=outcome.bad, figure=outcome.figure, rows=broken)


def _known(path: str, table: str, column: str, setting: Setting) -> Any:
    """The keys of a column of another table."""
    from dpkg.arrow.checks.binding import column_type
    from dpkg.arrow.checks.whole import Known

    target = find(setting.tables, path, table)

    def consume(schema: Schema, parts: Iterator[Part]) -> Known:
        t = column_type(schema, column)
        return Known((part.read([column])[column] for part in parts), t)

    return setting.tables.parts(target, consume)


def _query(path: str, sql: str, setting: Setting) -> Outcome:
    """A query over the tables of the build, each named by its path, and by what is after the last slash where that is its own."""
    from dpkg.arrow.checks import sql as running

    def feed(name: str) -> Callable[[Any], None]:
        def give(load: Callable[[Schema, Iterator[Mapping[str, Any]]], None]) -> None:
            setting.tables.parts(name, lambda schema, parts: load(schema, (part.read(schema.names) for part in parts)))

        return give

    last = [p.rpartition("/")[2] for p in setting.tables.paths]
    relations = {p: feed(p) for p in setting.tables.paths}
    relations |= {n: feed(p) for p, n in zip(setting.tables.paths, last, strict=True) if last.count(n) == 1}
    relations |= {path.rpartition("/")[2]: feed(path)}  # its own name is always its own
    return running.query(sql, relations, setting.most)


def _drift(path: str, args: Mapping[str, Any], setting: Setting) -> Outcome:
    """How far a table is from what it was in the parent commit. Raises Usage for a column that neither has."""
    from dpkg.arrow.checks.base import Outcome
    from dpkg.arrow.checks.binding import column_type
    from dpkg.checks.rules import LEVELS
    from dpkg.drift.columns import table_drift
    from dpkg.drift.verdicts import VERDICTS, judge, of_check
    from dpkg.objects.schemadiff import ColumnChange

    before = setting.before(path)
    assert before is not None
    old, new = before.profiled(), setting.tables.profiled(path)
    for name in args.get("columns", ()):
        if name not in old.schema.names:
            column_type(new.schema, name)
    drift = table_drift(old.schema, old.columns, new.schema, new.columns)
    keys = [] if old.key == new.key else [ColumnChange("key", "", ", ".join(old.key), ", ".join(new.key))]
    found = judge(drift, keys, of_check(args))
    bad = VERDICTS.index(found.verdict) >= VERDICTS.index(args.get("at", LEVELS[-1]))
    return Outcome(int(bad), f"{found.verdict} drift: {found.reason}" if found.reason else "no drift")
