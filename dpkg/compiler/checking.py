"""The checks of a plan: on what a build stored, or on the files themselves; and where in these the rows are that break them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dpkg.arrow.options import TYPED
from dpkg.checks.report import settled
from dpkg.checks.running import ROWS, Before, BrokenRow, Result, Setting, check_table
from dpkg.checks.tables import Part, SourceTables, StoredTables, profiled
from dpkg.compiler.compile import opened
from dpkg.errors import CheckFailed
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dpkg.arrow.readers.base import Lines
    from dpkg.arrow.schema import Schema
    from dpkg.checks.tables import Tables
    from dpkg.compiler.compile import Report
    from dpkg.compiler.plan import Item, Plan
    from dpkg.oid import Oid

Earlier = Callable[[str], "Before | None"]


def has_checks(plan: Plan) -> bool:
    return any(item.checks for item in plan.items)


def check_stored(odb: Odb, plan: Plan, report: Report, before: Oid | None, most: int = ROWS) -> list[Result]:
    """The checks of a plan on the tables that it became; `before` is the tree of the parent commit. Raises Usage, Corrupt."""
    from dpkg.checks.kept import Kept

    tables = StoredTables(odb, {e.path: e.oid for e in report.entries if e.type == "table"})
    setting = Setting(tables, before_in(odb, before), Kept(odb), most, watched=report.watched)
    return settled([r for item in plan.items if item.checks for r in _of_item(odb, item, setting)], setting.misfits)


def check_files(plan: Plan, before: Earlier, most: int = ROWS) -> list[Result]:
    """The checks of a plan on its files; nothing is stored. A key that is not unique is one more that failed."""
    odb = Odb(MemoryBackend())  # for origins that keep something while they are read
    sources = {i.name: (partial(opened, odb, i), i.key) for i in plan.items if i.format is not None}
    setting = Setting(SourceTables(sources), before, None, most)
    out: list[Result] = []
    for item in plan.items:
        if item.checks:
            try:
                out += _of_item(odb, item, setting)
            except CheckFailed as e:
                out.append(Result(item.name, f"key {', '.join(item.key)}", "error", "failed", 1, e.message))
    return settled(out, setting.misfits)


def before_in(odb: Odb, tree: Oid | None) -> Earlier:
    """What tables were in a tree."""

    def before(path: str) -> Before | None:
        from dpkg import tables
        from dpkg.index import entry_at

        entry = None if tree is None else entry_at(odb, tree, path)
        if entry is None or entry.type != "table":
            return None
        table = tables.read_table_object(odb, entry.oid)
        return Before(tables.schema_of(table), table.rows, lambda: profiled(odb, entry.oid))

    return before


def _of_item(odb: Odb, item: Item, setting: Setting) -> list[Result]:
    found = check_table(item.name, item.checks, setting)
    return located(found, odb, item, setting.tables)


def located(results: list[Result], odb: Odb, item: Item, tables: Tables) -> list[Result]:
    """The rows that broke a check with their lines in the file, where it has lines; and with their values, of those that have none."""
    broken = {row.row for r in results if r.status == "failed" for row in r.rows if row.row}
    if not broken:
        return results
    seen = tables.parts(item.name, lambda schema, parts: _look(schema, parts, broken, item.key))
    lines = _lines(odb, item, {row: keys for row, (_, keys) in seen.items()})
    out = []
    for r in results:
        columns = [str(r.rule["column"])] if "column" in r.rule else list(r.rule.get("args", {}).get("columns", ()))
        rows = tuple(
            BrokenRow(row.row, *lines.get(row.row, ("", 0)), row.value or _values(seen[row.row][0], columns))
            if row.row in seen
            else row
            for row in r.rows
        )
        out.append(replace(r, rows=rows))
    return out


def _look(schema: Schema, parts: Iterator[Part], broken: set[int], key: tuple[str, ...]) -> dict[int, Any]:
    """Of some rows, by number from 1: their values as text, and their key."""
    from dpkg.arrow.checks.lines import look

    found: dict[int, Any] = {}
    start = 1
    for part in parts:
        inside = sorted(row - start for row in broken if start <= row < start + part.rows)
        if inside:
            columns = part.read(list(schema.names))
            found |= {start + i: seen for i, seen in look(columns, schema, inside, key).items()}
        start += part.rows
        if len(found) == len(broken):
            break
    return found


def _values(values: dict[str, str], columns: list[str]) -> str:
    named = {n: v for n, v in values.items() if not columns or n in columns}
    if len(columns) == 1:
        return next(iter(named.values()), "")
    return ", ".join(f"{n}={v}" for n, v in list(named.items())[:8])


def _lines(odb: Odb, item: Item, keys: dict[int, Any]) -> Lines:
    """The files and lines of rows; nothing for a file that has no lines."""
    from dpkg.arrow.checks.lines import lines

    if item.format in TYPED:
        return {}
    source = opened(odb, item)
    try:
        return lines(source, keys, item.key)
    finally:
        source.close()
