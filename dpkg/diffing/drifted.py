"""Drift of the tables that changed, from their profiles (spec/diff.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dpkg import profiles, tables
from dpkg.diffing.columns import find_renamed, schema_changes
from dpkg.drift.columns import table_drift
from dpkg.drift.verdicts import PackageVerdict, Thresholds, judge, judge_package

if TYPE_CHECKING:
    from dpkg.comparing import Change
    from dpkg.odb import Odb


def with_drift(
    odb_a: Odb, odb_b: Odb, changes: Iterable[Change], by: Callable[[str], Thresholds], budget: profiles.Budget
) -> list[Change]:
    """Changes with the drift of their tables and the verdicts on it, by the thresholds of each path.

    Where profiles are not stored they are made, as far as the `budget` goes, the smallest tables first; beyond it there is no drift.
    """
    found = list(changes)
    sized = sorted((c.old_bytes + c.new_bytes, i) for i, c in enumerate(found) if c.table)
    for _, i in sized:
        found[i] = _measured(odb_a, odb_b, found[i], by(found[i].path), budget)
    return found


def _measured(odb_a: Odb, odb_b: Odb, change: Change, by: Thresholds, budget: profiles.Budget) -> Change:
    assert change.table is not None
    assert change.old_oid is not None
    assert change.new_oid is not None
    old, new = tables.read_table_object(odb_a, change.old_oid), tables.read_table_object(odb_b, change.new_oid)
    had = profiles.of_table(odb_a, old, budget)
    has = None if had is None else profiles.of_table(odb_b, new, budget)
    if had is None or has is None:
        return change
    schema = change.table.schema
    renamed = {c.new: c.old for c in schema if c.what == "renamed"}
    if change.row_changes is None and {"added", "removed"} <= {c.what for c in schema}:  # nobody looked for them yet
        renamed = find_renamed(odb_a, old, odb_b, new)
        schema = schema_changes(old, new, renamed)
    drift = table_drift(tables.schema_of(old), had, tables.schema_of(new), has, renamed)
    return replace(change, table=replace(change.table, schema=schema), drift=drift, verdict=judge(drift, schema, by))


def verdict(changes: Sequence[Change]) -> PackageVerdict | None:
    """The verdict on all tables; None where drift was not measured of any that changed, and no other came or went."""
    judged = {c.path: c.verdict for c in changes if c.verdict is not None}
    came = [c.path for c in changes if c.type == "table" and (c.what == "added" or c.old_type not in (None, "table"))]
    gone = [c.path for c in changes if c.old_type == "table" and (c.what == "removed" or c.type != "table")]
    if not (judged or came or gone) and unmeasured(changes):
        return None
    return judge_package(judged, came, gone)


def unmeasured(changes: Iterable[Change]) -> list[str]:
    """The tables that changed, and whose drift is not known."""
    return [c.path for c in changes if c.table is not None and c.verdict is None]
