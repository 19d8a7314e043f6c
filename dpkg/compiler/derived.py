"""Entries of a build.yml that are derived from others: `query:`, one SELECT of DuckDB over the package's other tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg.compiler.composed import Composed
from dpkg.compiler.plan import UNKNOWN
from dpkg.compiler.provenance import text_of
from dpkg.errors import DpkgError, NotFound, Usage, did_you_mean
from dpkg.index import lookup
from dpkg.oid import Oid

if TYPE_CHECKING:
    from typing import Any

    from dpkg.arrow.readers import Source
    from dpkg.compiler.buildfile import Entry, Planner
    from dpkg.compiler.compile import Compiled
    from dpkg.compiler.plan import Item
    from dpkg.odb import Odb


@dataclass(frozen=True)
class Input:
    """A table that a query reads: its path in the package, the item that makes it, and what is below that, if it is a folder."""

    path: str
    item: Item
    rest: str = ""


@dataclass(frozen=True)
class Query:
    """An `Origin`: the rows of a query. `made`: the tables that its inputs became, by path, once they were compiled."""

    sql: str
    names: tuple[str, ...]  # of tables, as the SQL has them
    version: str  # of DuckDB
    inputs: tuple[Input, ...] = ()
    made: dict[str, Oid] = field(default_factory=dict, compare=False)
    kept: dict[bytes, Compiled] = field(default_factory=dict, compare=False)  # of the last build, by its stamp then

    def stamp(self) -> bytes:
        """A digest of all that the rows depend on: SQL, DuckDB and the tables it reads; UNKNOWN until these are known."""
        if any(i.path not in self.made for i in self.inputs):
            return UNKNOWN
        return blake3(json.dumps([self.version, self.sql, sorted(self.made.items())]).encode()).digest()

    def said(self) -> Any:
        return [i.path for i in self.inputs]

    def files(self) -> Sequence[str]:
        return ()

    def source(self) -> dict[str, Any]:
        return {"inputs": dict(self.made), "query": text_of(self.sql)}

    def rows(self, odb: Odb, item: Item) -> Source:
        """Inputs that were not compiled are compiled into `odb`."""
        from dpkg import tables
        from dpkg.arrow.readers import open_query
        from dpkg.compiler.compile import compile_table

        for i in self.inputs:
            if i.path not in self.made:
                if isinstance(i.item.origin, Composed):
                    message = f"'{i.path}' is of another package, which is read only where this one is built"
                    raise Usage(message, "build it: checks run before anything is published")
                self.made[i.path] = compile_table(odb, i.item)[0]
        found = {path: tables.read_table_object(odb, oid) for path, oid in self.made.items()}
        feeds = {
            path: (tables.user_schema(table), lambda table=table: tables.scan(odb, table))
            for path, table in found.items()
        }
        return open_query(self.sql, feeds, item.options, item.source, bool(item.key))

    def blob(self, odb: Odb, item: Item) -> tuple[Oid, int]:
        raise AssertionError("a query is no blob")


def from_query(planner: Planner, entry: Entry) -> None:
    """The item of an entry with `query`; `arranged` finds its inputs. Raises Usage."""
    from dpkg.arrow.readers import tables_in
    from dpkg.compiler.shape import as_table  # which needs pyarrow, and builds of blobs do not

    yml, node = planner.yml, entry.own["query"][1]
    sql = yml.text(node, "'query'")
    try:
        names, version = tables_in(sql)
    except DpkgError as e:
        raise yml.error(node, e.message, e.hint) from None
    item = as_table(yml, entry, planner.item(entry, f"the query '{entry.name}'"), "query")
    query = Query(sql, names, version)
    planner.items.append(item._replace(origin=query, where=yml.place(node)))


def arranged(items: list[Item]) -> list[Item]:
    """Items with the inputs of queries, in the same order. Raises NotFound for a table that is not there, Usage for a cycle."""
    if not any(isinstance(item.origin, Query) for item in items):
        return items
    return _Arranging(items).all()


class _Arranging:
    def __init__(self, items: list[Item]) -> None:
        self._items = items
        self._done: dict[int, Item] = {}
        self._begun: list[int] = []
        self._places: dict[str, list[int]] = {}  # DuckDB takes Sales and sales for the same
        for i, item in enumerate(items):
            self._places.setdefault(item.name.casefold(), []).append(i)

    def all(self) -> list[Item]:
        return [self._item(i) for i in range(len(self._items))]

    def _item(self, i: int) -> Item:
        item = self._items[i]
        if i in self._done or not isinstance(item.origin, Query):
            return self._done.get(i, item)
        if i in self._begun:
            round = [self._items[j].name for j in (*self._begun[self._begun.index(i) :], i)]
            raise Usage(f"{item.where}: the query of '{item.name}' needs itself: {' → '.join(round)}")
        self._begun.append(i)
        inputs = tuple(self._input(item, name) for name in item.origin.names)
        self._begun.pop()
        query = Query(item.origin.sql, item.origin.names, item.origin.version, inputs)
        self._done[i] = item._replace(origin=query)
        return self._done[i]

    def _input(self, item: Item, name: str) -> Input:
        names = name.split("/")
        for n in range(len(names), 0, -1):
            found = self._places.get("/".join(names[:n]).casefold(), [])
            if len(found) > 1:
                both = " and ".join(f"'{self._items[j].name}'" for j in found[:2])
                raise Usage(
                    f"{item.where}: '{name}' may be {both}: DuckDB takes them for the same", "rename one of them"
                )
            if found:
                return self._found(item, name, found[0], "/".join(names[n:]))
        tables = [other.name for other in self._items if other.format is not None and other.name != item.name]
        hint = did_you_mean(name, tables, f"tables here: {', '.join(tables[:20]) or 'none'}")
        raise NotFound(f"{item.where}: the query names '{name}', and the package has no such table", hint)

    def _found(self, item: Item, name: str, i: int, rest: str) -> Input:
        other = self._item(i)
        if isinstance(other.origin, Composed):
            return Input(f"{other.name}/{rest}" if rest else other.name, other, rest)
        if rest or other.format is None:
            message = (
                f"{item.where}: the query names '{name}', and '{other.name}' is no {'folder' if rest else 'table'}"
            )
            raise Usage(message, 'tables are named by their path from the root, in quotes: FROM "folder/table"')
        return Input(other.name, other)


# Compiling


def in_order(items: Sequence[Item]) -> list[int]:
    """The places of the queries of a plan, each after those that it needs."""
    places = {item.name: i for i, item in enumerate(items) if isinstance(item.origin, Query)}
    done: dict[int, None] = {}

    def visit(i: int) -> None:
        for path in _needs(items[i]):
            if path in places and places[path] not in done:
                visit(places[path])
        done[i] = None

    for i in places.values():
        if i not in done:
            visit(i)
    return list(done)


def _needs(item: Item) -> Iterator[str]:
    assert isinstance(item.origin, Query)
    return (i.item.name for i in item.origin.inputs)


def supply(odb: Odb, item: Item, made: Mapping[str, Compiled]) -> None:
    """Tell a query what its inputs became. Raises Usage for one of another package that is no table."""
    assert isinstance(item.origin, Query)
    for i in item.origin.inputs:
        done = made[i.item.name]
        oid, kind = done.oid, done.type
        if i.rest:
            try:
                entry = lookup(odb, done.oid, i.rest)
            except NotFound as e:
                raise NotFound(f"{item.where}: {e.message}", e.hint) from None
            oid, kind = entry.oid, entry.type
        if kind != "table":
            raise Usage(f"{item.where}: the query names '{i.path}', which is a {kind}", "a query reads tables")
        item.origin.made[i.path] = oid


def settle(odb: Odb, items: Sequence[Item], known: list[Compiled | None]) -> None:
    """Add to `known` the queries of which all inputs are known, and are those that the last build had. Raises Usage, NotFound."""
    made = {done.path: done for done in known if done is not None} if any(map(is_query, items)) else {}
    for q in in_order(items) if made else ():
        if all(path in made for path in _needs(items[q])) and (done := recalled(odb, items[q], made)):
            made[done.path] = known[q] = done


def recalled(odb: Odb, item: Item, made: Mapping[str, Compiled]) -> Compiled | None:
    """What the last build made of a query, if its inputs became the same."""
    assert isinstance(item.origin, Query)
    supply(odb, item, made)
    return item.origin.kept.get(item.origin.stamp())


def stamp_of(item: Item) -> bytes:
    """That of a query, once its inputs are known."""
    assert isinstance(item.origin, Query)
    return item.origin.stamp()


def remember(item: Item, stamp: bytes, done: Compiled | None) -> None:
    """What the last build made of a query, if it is stored."""
    assert isinstance(item.origin, Query)
    item.origin.kept.clear()
    if done is not None and stamp != UNKNOWN:
        item.origin.kept[stamp] = done


def is_query(item: Item) -> bool:
    return isinstance(item.origin, Query)
