"""Entries of a build.yml that are rows of a database: `sql:` with `url:`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dpkg import database
from dpkg.arrow.options import ReadOptions
from dpkg.compiler.plan import UNKNOWN, disk_name
from dpkg.compiler.plan import stamp as stamp_of
from dpkg.compiler.provenance import text_of
from dpkg.compiler.shape import as_table
from dpkg.errors import NotFound, Usage

if TYPE_CHECKING:
    from typing import Any

    from dpkg.arrow.readers import Source
    from dpkg.compiler.buildfile import Entry, Planner
    from dpkg.compiler.plan import Item
    from dpkg.compiler.yamlfile import YamlFile
    from dpkg.odb import Odb
    from dpkg.oid import Oid

SQLITE = "sqlite"


@dataclass(frozen=True)
class Rows:
    """An `Origin`: rows of a server. `url` is as it is written, variables and all; never what they hold."""

    url: str
    shown: str
    sql: str

    def stamp(self) -> bytes:
        return UNKNOWN

    def said(self) -> Any:
        return [self.shown, self.sql]

    def files(self) -> Sequence[str]:
        return ()

    def source(self) -> dict[str, Any]:
        return {"sql": text_of(self.sql), "url": self.shown}

    def rows(self, odb: Odb, item: Item) -> Source:
        from dpkg.arrow.readers import open_database

        return open_database(database.parse(self.url), self.sql, item.options)

    def blob(self, odb: Odb, item: Item) -> tuple[Oid, int]:
        raise AssertionError("rows are no blob")


def from_sql(planner: Planner, entry: Entry) -> None:
    """The item of an entry with `sql`. Raises Usage: for a password that stands there, or a variable that is not set."""
    yml = planner.yml
    node = entry.own["sql"][1]
    sql = yml.text(node, "'sql'")
    if not sql.strip():
        raise yml.error(node, "'sql' is empty", "write one SELECT")
    if "url" not in entry.own:
        raise yml.error(entry.place, f"'{entry.name}' has 'sql' and no 'url'", "say of which database: url: ${NAME}")
    node = entry.own["url"][1]
    url = yml.text(node, "'url'")
    try:
        database.check_literal(url)
        found = database.parse(url)
    except Usage as e:
        raise yml.error(node, e.message, e.hint) from None
    if found.kind != SQLITE:
        item = as_table(yml, entry, planner.item(entry, found.shown), "sql")
        planner.items.append(item._replace(origin=Rows(url, found.shown, sql)))
        return
    source = os.path.join(os.path.dirname(yml.path), disk_name(found.path))
    if not os.path.isfile(source):
        raise NotFound(f"{yml.place(node)}: there is no file '{source}'", "paths are relative to build.yml")
    item = as_table(yml, entry, planner.item(entry, source), SQLITE)
    options = replace(item.options or ReadOptions(), sql=sql)
    planner.items.append(item._replace(options=options, stamp=stamp(source)))


def stamp(path: str) -> bytes:
    """The stamp of an SQLite file; UNKNOWN where what was written last stands in a file beside it."""
    beside = (f"{path}-wal", f"{path}-journal")
    return UNKNOWN if any(os.path.exists(p) and os.path.getsize(p) for p in beside) else stamp_of(os.stat(path))


def refuse_passwords(yml: YamlFile) -> None:
    """Raises Usage for a URL with a password anywhere in a build.yml, also in its comments: it is kept with the package."""
    for number, line in enumerate(yml.data.decode(errors="replace").splitlines(), 1):
        if at := database.password_in(line):
            place = f"{yml.path}, line {number}, column {at}"
            raise Usage(f"{place}: {database.PASSWORD[0]}", database.PASSWORD[1])
