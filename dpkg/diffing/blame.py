"""Which commit last changed a row of a table: versions of the table, newest first, and what became of the row in each.

A version is looked into only where it is another table, and there only in fragments that the newer one has not and
whose statistics say that the row may be in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dpkg import tables
from dpkg.arrow import lookup, rowdiff
from dpkg.arrow.checks.binding import column_type
from dpkg.arrow.values import column_digest
from dpkg.comparing import tree_pairs
from dpkg.diffing.columns import Column, find_renamed, matched
from dpkg.errors import Usage
from dpkg.index import entry_at
from dpkg.index import lookup as named_entry
from dpkg.index.reader import differing
from dpkg.objects.node import FRAGMENTS, FragmentEntry, Node

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.objects.commit import Commit
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository

MOST = 100  # rows that are followed at once
ADDED, REMOVED, CHANGED, OLDER = "added", "removed", "changed", "older"


@dataclass(frozen=True)
class Row:
    """A row of a version of a table. `asked`: the number of the row at the start that it was, if what put that there is not known yet."""

    schema: Schema
    values: lookup.Row
    asked: int = 0

    @cached_property
    def identity(self) -> tuple[bytes, ...]:
        """Its values as a table's identity has them, a digest each."""
        return tuple(column_digest(a, t) for a, t in zip(self.values, self.schema.types, strict=True))

    def json(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Its values as JSON, of some columns or all."""
        chosen = list(self.schema.names if names is None else names)
        return lookup.json([self.values[self.schema.names.index(n)] for n in chosen], self.schema.select(chosen))


@dataclass(frozen=True)
class Version:
    """A table at a commit, and the rows in it that are followed, by fragments: how often each is there, and its rows."""

    table: Table | None  # None: it is not there
    wanted: lookup.Wanted | None  # None: no row of this schema can have the values
    found: Mapping[Oid, tuple[int, list[lookup.Row]]]
    renamed: Mapping[str, str] = field(default_factory=dict)  # of columns of the version after it, what they are here

    @cached_property
    def schema(self) -> Schema | None:
        return None if self.table is None else tables.schema_of(self.table)

    @cached_property
    def rows(self) -> list[Row]:
        """Different rows, in no order that means anything."""
        out: dict[tuple[bytes, ...], Row] = {}
        for values in (values for _, rows in self.found.values() for values in rows):
            assert self.schema is not None
            row = Row(self.schema, values)
            out.setdefault(row.identity, row)
        return list(out.values())


@dataclass(frozen=True)
class Event:
    """What a commit did to a row: added, changed or removed it; older: it was there already in the oldest commit that is here."""

    what: str
    commit: Oid
    made: Commit
    path: str  # of the table, in the commit
    old: Row | None
    new: Row | None
    cells: tuple[tuple[str, str | None], ...] = ()  # columns that changed, new and old name


def wanted(schema: Schema, key: Sequence[str], said: Sequence[str]) -> lookup.Wanted:
    """The values that `COLUMN=VALUE` texts, or the value alone of a key of one column, ask for. Raises Usage."""
    known = ", ".join(key)
    out: dict[str, str | None] = {}
    for text in said:
        name, value = _named(schema, key, text)
        if name in out:
            raise Usage(f"column '{name}' is given twice", "write each column once")
        if key and name not in key:
            raise Usage(f"column '{name}' is not of the table's key", f"the key is {known}")
        out[name] = _null(value)
    if not out:
        hint = f"the key is {known}" if key else f"it has no key: name columns of it, {', '.join(schema.names[:20])}"
        raise Usage("which row? no --key is given", f"write --key COLUMN=VALUE; {hint}")
    if lacking := [n for n in key if n not in out]:
        raise Usage(f"column '{lacking[0]}' of the key is not given", f"the key is {known}")
    return lookup.wanted(schema, out)


def _named(schema: Schema, key: Sequence[str], text: str) -> tuple[str, str]:
    """The column and the value that `--key` names."""
    named = max((n for n in schema.names if text.startswith(f"{n}=")), key=len, default=None)
    if named is not None:
        return named, text[len(named) + 1 :]
    name, equals, _ = text.partition("=")
    if equals:
        column_type(schema, name)  # which raises
    if len(key) == 1:
        return key[0], text
    raise Usage(f"'{text[:60]}' does not say of which column it is", f"write --key {(key or schema.names)[0]}={text}")


def _null(text: str) -> str | None:
    """As in CSV nothing is null, and two quotes the empty text."""
    return None if text == "" else "" if text == '""' else text


class Blame:
    """The history of rows of a table, by first parents, newest first."""

    def __init__(
        self, repository: Repository, commit: Oid, path: str, keys: Sequence[str], alone: bool = False
    ) -> None:
        """`alone`: the commits before are not here. Raises NotFound, Usage."""
        self.repository, self.odb, self.start, self.path, self.alone = repository, repository.odb, commit, path, alone
        entry = named_entry(self.odb, repository.commit(commit).tree, path)
        if entry.type != "table":
            raise Usage(f"'{path}' is a {entry.type}, and rows are of tables", f"see 'dpk log PACKAGE -p {path}'")
        table = tables.read_table_object(self.odb, entry.oid)
        asked = wanted(tables.schema_of(table), table.key, keys)
        self.asked = asked.json()
        self.first = self._whole(table, asked)
        self.rows = [replace(row, asked=n) for n, row in enumerate(self.first.rows, 1)]

    def last(self) -> Iterator[Event]:
        """For each row that is there at the start, what put it there as it is."""
        done = {0}
        for event in self._events(history=False):
            if event.new and event.new.asked not in done:
                done.add(event.new.asked)
                yield event

    def history(self) -> Iterator[Event]:
        """All that became of the rows."""
        return self._events(history=True)

    # Walking

    def _events(self, history: bool) -> Iterator[Event]:
        oid, path, now, rows = self.start, self.path, self.first, self.rows
        while history or any(row.asked for row in rows):
            made = self.repository.commit(oid)
            cut = self.alone or oid in self.repository.refs.floor
            if cut or not made.parents:
                yield from (Event(OLDER if cut else ADDED, oid, made, path, None, row) for row in rows)
                return
            parent = made.parents[0]
            before, old_path = self._before(now, path, made.tree, self.repository.commit(parent).tree)
            if before is not now:
                events, rows = _compare(now, rows, before)
                yield from (Event(what, oid, made, path, old, new, cells) for what, old, new, cells in events)
            oid, path, now = parent, old_path, before

    def _before(self, now: Version, path: str, tree: Oid, old_tree: Oid) -> tuple[Version, str]:
        """The table in the tree before, and its path there; the same version where it is the same table."""
        if tree == old_tree:
            return now, path
        entry = entry_at(self.odb, old_tree, path)
        if entry is None and now.table is not None:
            path = _renamed(self.odb, old_tree, tree, now.table, path) or path
            entry = entry_at(self.odb, old_tree, path)
        if entry is None or entry.type != "table":
            return (Version(None, now.wanted, {}) if now.table is not None else now), path
        if now.table is not None and entry.oid == now.table.oid:
            return now, path
        table = tables.read_table_object(self.odb, entry.oid)
        return self._older(now, table), path

    # Looking for rows

    def _older(self, now: Version, table: Table) -> Version:
        """The version before `now`."""
        asked = now.wanted or self.first.wanted
        assert asked is not None
        if now.table is None or now.wanted is None or now.table.schema != table.schema:
            renamed = find_renamed(self.odb, table, self.odb, now.table) if now.table is not None else {}
            return self._whole(table, asked.cast(tables.schema_of(table), renamed), renamed)
        gone, came, leaves = _apart(self.odb, table, now.table)
        unique = set(table.key) == set(now.wanted.names)
        kept = {oid: (n - came[oid], rows) for oid, (n, rows) in now.found.items() if n > came[oid]}
        if unique and kept:
            return Version(table, now.wanted, kept)
        found = self._look(now.wanted, leaves, gone, unique)
        for oid, (n, rows) in kept.items():
            found[oid] = n + found.get(oid, (0, rows))[0], rows
        return Version(table, now.wanted, found)

    def _whole(
        self, table: Table, asked: lookup.Wanted | None, renamed: Mapping[str, str] = MappingProxyType({})
    ) -> Version:
        if asked is None:
            return Version(table, None, {}, renamed)
        unique = set(table.key) == set(asked.names)
        return Version(table, asked, self._look(asked, tables.table_leaves(self.odb, table), None, unique), renamed)

    def _look(
        self, asked: lookup.Wanted, leaves: Iterator[Node] | list[Node], among: Counter[Oid] | None, unique: bool
    ) -> dict[Oid, tuple[int, list[lookup.Row]]]:
        """The rows in fragments of some leaves, all or those that are `among` some; with `unique` there is at most one."""
        out: dict[Oid, tuple[int, list[lookup.Row]]] = {}
        left = MOST
        for entry, times in _candidates(self.odb, leaves, asked, among):
            if entry.oid in out:
                out[entry.oid] = out[entry.oid][0] + times, out[entry.oid][1]
                continue
            rows = lookup.find(tables.open_fragment(self.odb, entry, asked.schema, False), asked, left)
            if rows is None:
                raise Usage(f"more than {MOST} rows have these values", "name more columns with --key")
            left -= len(rows)
            if rows:
                out[entry.oid] = times, rows
            if rows and unique:
                break
        return out


def _candidates(
    odb: Odb, leaves: Iterator[Node] | list[Node], asked: lookup.Wanted, among: Counter[Oid] | None
) -> Iterator[tuple[FragmentEntry, int]]:
    """Fragments that may have the rows, each with how often it is there."""
    done: set[Oid] = set()
    for leaf in leaves:
        if among is not None and not any(among[e.oid] for e in leaf.entries):
            continue
        stats = tables.leaf_stats(odb, leaf, asked.schema, asked.names)
        kept = lookup.may_hold(stats, asked) if stats is not None else []
        for entry, may in zip(leaf.entries, kept, strict=True):
            if may and among is None:
                yield entry, 1
            elif may and among is not None and among[entry.oid] and entry.oid not in done:
                done.add(entry.oid)
                yield entry, among[entry.oid]


def _apart(odb: Odb, old: Table, new: Table) -> tuple[Counter[Oid], Counter[Oid], list[Node]]:
    """The fragments that only the old table has, those that only the new one has, and the leaves that have the former."""
    left, right = differing(odb, old.fragments, odb, new.fragments, FRAGMENTS)
    had, has = (Counter(e.oid for n in nodes for e in n.entries) for nodes in (left, right))
    return had - has, has - had, left


def _renamed(odb: Odb, old_tree: Oid, tree: Oid, table: Table, path: str) -> str | None:
    """Where a table was that came to a path as it is; of several places the one with the same last name."""
    pairs = tree_pairs(odb, old_tree, odb, tree)
    gone = [p for p, old, new in pairs if old and not new and old.type == "table" and old.oid == table.oid]
    return min(gone, key=lambda p: (p.rpartition("/")[2] != path.rpartition("/")[2], p), default=None)


# What became of rows

Became = tuple[str, Row | None, Row | None, tuple[tuple[str, str | None], ...]]


def _compare(now: Version, rows: list[Row], before: Version) -> tuple[list[Became], list[Row]]:
    """What became of rows between two versions, and the rows of the one before: of those that stayed, what is asked."""
    columns = _columns(now, before)
    came, gone, out = rows, before.rows, before.rows
    if columns:
        newer = {_identity(row, None): row for row in rows}
        older = [(_identity(row, columns), row) for row in before.rows]
        out = [replace(row, asked=newer[i].asked) if i in newer else row for i, row in older]
        known = {i for i, _ in older}
        still = {row.asked for row in out}  # where a column went, several may be what one was
        came = [replace(row, asked=0) if row.asked in still else row for i, row in newer.items() if i not in known]
        gone = [row for i, row in older if i not in newer]
    if columns and len(came) == len(gone) == 1:
        return [(CHANGED, gone[0], came[0], _cells(gone[0], came[0], columns))], out
    added: list[Became] = [(ADDED, None, row, ()) for row in came]
    return [*added, *((REMOVED, row, None, ()) for row in gone)], out


def _columns(now: Version, before: Version) -> list[Column]:
    """The columns of `now` and where they were before; none where either is no table."""
    return matched(before.schema, now.schema, dict(before.renamed)) if now.schema and before.schema else []


def _identity(row: Row, columns: list[Column] | None) -> tuple[bytes | None, ...]:
    """A row's values; with `columns` as they would be in those of a newer version: None is a value that cannot be in it."""
    if columns is None or all(c.old == c.new and c.old_type == c.type for c in columns):
        return row.identity if columns is None else row.identity[: len(columns)]
    return tuple(_digest(row, c) for c in columns)


def _digest(row: Row, column: Column) -> bytes | None:
    """The identity of the value of an older row in a column; of one that it has not, that of null."""
    if column.old is None:
        return column_digest(rowdiff.nulls(1, column.type), column.type)
    array, lost = column.cast(row.values[column.old])
    return None if lost is not None else column_digest(array, column.type)


def _cells(old: Row, new: Row, columns: list[Column]) -> tuple[tuple[str, str | None], ...]:
    """The columns in which two rows differ, with their new names, and the old ones where they were there."""
    return tuple(
        (c.name, None if c.old is None else old.schema.names[c.old])
        for c in columns
        if _digest(old, c) != new.identity[c.new]
    )
