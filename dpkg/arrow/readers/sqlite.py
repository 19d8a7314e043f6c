"""Rows of an SQLite file as a `Source`, through ADBC.

SQLite's columns have no types, their cells do. As in text [TXT-1] the type of a column depends on all of its cells, and on
nothing else: integers are int64, reals float64, texts utf8, blobs binary, nulls alone null, integers and reals together
float64; other mixtures are refused. ADBC looks at the first batch alone, and takes nulls for integers: so a first pass asks
for the classes of the cells, and where there are nulls a value stands in, beside a column that says where they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.options import ReadOptions
from dpkg.arrow.readers.columnar import ColumnarSource
from dpkg.arrow.readers.files import open_file
from dpkg.arrow.readers.sql import driver, said
from dpkg.database import Database, bare, quoted
from dpkg.errors import Format, NotFound, Usage, did_you_mean

_MAGIC = b"SQLite format 3\0"
_ROWS, _BYTES = 1 << 14, 64 << 20  # of a batch, at most, unless a row alone has more
_EXACT = 1 << 53
# Classes of cells: the type, SQL's name for it, and what stands in for a null.
_CLASSES = {
    "integer": (pa.int64(), "INTEGER", "0"),
    "real": (pa.float64(), "REAL", "0.0"),
    "text": (pa.string(), "TEXT", "''"),
    "blob": (pa.binary(), "BLOB", "x''"),
}


@dataclass(frozen=True)
class _Column:
    """A column: the class of its cells (nothing if all are null), and whether there are nulls."""

    name: str
    kind: str
    nulls: bool

    @property
    def field(self) -> pa.Field:
        return pa.field(self.name, _CLASSES[self.kind][0] if self.kind else pa.null())

    @property
    def sql(self) -> list[str]:
        """What to select: its values, and where the nulls are, if there are any."""
        name = quoted(self.name)
        if not self.kind:
            return [f"1 AS {name}"]
        _, cast, instead = _CLASSES[self.kind]
        value = f"CAST({name} AS {cast})" if self.kind == "real" else name
        return [f"coalesce({value}, {instead})", f"{name} IS NULL"] if self.nulls else [value]

    def take(self, columns: Iterator[pa.Array]) -> pa.Array:
        """The column, of what was selected."""
        cells = next(columns)
        if not self.kind:
            return pa.nulls(len(cells))
        if self.nulls:
            cells = pc.if_else(next(columns).cast(pa.bool_()), None, cells)
        return cells.cast(self.field.type)


def sqlite(path: str, options: ReadOptions) -> ColumnarSource:
    """The rows that the SQL of the options gives, or those of their table. Raises NotFound, Usage, Format."""
    _check_magic(path)
    file = Database("sqlite", path, path, path, ())
    with _connected(file) as cursor:
        sql = _statement(cursor, file, options)
        columns, rows = _columns(cursor, file, sql)
    schema = pa.schema([c.field for c in columns])
    selected = ", ".join(part for c in columns for part in c.sql)

    def read() -> Iterator[pa.RecordBatch]:
        with _connected(file) as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
            cursor.execute(f"SELECT {selected} FROM (\n{sql}\n)")
            for batch in cursor.fetch_record_batch():
                found = iter(batch.columns)
                yield pa.RecordBatch.from_arrays([c.take(found) for c in columns], schema=schema)

    return ColumnarSource(path, schema, read, options, "SQLite file")


def _check_magic(path: str) -> None:
    with open_file(path) as source:
        start = source.read(16)
    if start != _MAGIC:
        raise Format(f"{path} is no SQLite file: it starts with {start!r}", "is it of another format?")


@contextmanager
def _connected(file: Database) -> Iterator[Any]:
    """A cursor on a file that is only read."""
    url = f"file:{quote(os.path.abspath(file.path))}?mode=ro"
    connect = driver("sqlite")
    with said(file), closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        yield cursor


def _statement(cursor: Any, file: Database, options: ReadOptions) -> str:
    """One statement that only reads."""
    if options.sql is None:
        return f"SELECT * FROM {quoted(_table(cursor, file, options.table))}"
    import sqlite3

    # First by itself, so that it cannot end what it is put into; explained, so that nothing is done.
    with closing(sqlite3.connect(f"file:{quote(os.path.abspath(file.path))}?mode=ro", uri=True)) as connection:
        try:
            connection.execute(f"EXPLAIN {options.sql}")
            connection.execute(f"EXPLAIN SELECT * FROM (\n{bare(options.sql)}\n)")
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise Usage(f"{file.shown}: {error}", "the SQL is one statement that only reads: a SELECT") from None
    return bare(options.sql)


def _table(cursor: Any, file: Database, name: str | None) -> str:
    """The table or view of a name, or the only one. Raises NotFound, Usage."""
    cursor.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    names = [found for (found,) in cursor.fetchall()]
    if name is None and len(names) == 1:
        return str(names[0])
    known = f"tables: {', '.join(names[:20])}" if names else "it holds no table"
    if name is None:
        raise Usage(f"{file.shown} holds {len(names)} tables", f"say which with 'table:'; {known}")
    if name not in names:
        raise NotFound(f"{file.shown} has no table '{name}'", did_you_mean(name, names, known))
    return name


def _columns(cursor: Any, file: Database, sql: str) -> tuple[list[_Column], int]:
    """The columns with the classes of their cells, and how many rows to read at once."""
    cursor.execute(f"SELECT * FROM (\n{sql}\n) LIMIT 0")
    names = list(cursor.fetch_record_batch().schema.names)
    columns = [quoted(name) for name in names]
    asked = [f"group_concat(DISTINCT typeof({name}))" for name in columns]
    size = " + ".join(f"coalesce(length({name}), 0)" for name in columns)
    cursor.execute(f"SELECT {', '.join(asked)}, max({size}) FROM (\n{sql}\n)")
    (row,) = cursor.fetchall()
    found = [_class(cursor, file, sql, name, str(said or "")) for name, said in zip(names, row, strict=False)]
    return found, max(1, min(_ROWS, _BYTES // max(1, 4 * int(row[-1] or 0))))


def _class(cursor: Any, file: Database, sql: str, name: str, found: str) -> _Column:
    kinds = set(found.split(",")) - {"null", ""}
    if kinds == {"integer", "real"}:
        cell = quoted(name)
        cursor.execute(
            f"SELECT count(*) FROM (\n{sql}\n) WHERE typeof({cell}) = 'integer' AND {cell} NOT BETWEEN {-_EXACT} AND {_EXACT}"
        )
        if cursor.fetchall()[0][0] == 0:
            kinds = {"real"}
    if len(kinds) > 1:
        raise Format(
            f"{file.shown}: column '{name}' holds cells of several types: {', '.join(sorted(kinds))}",
            f"write 'sql: SELECT CAST({quoted(name)} AS TEXT) AS {quoted(name)}, … FROM …' in place of 'table:'",
        )
    return _Column(name, next(iter(kinds), ""), "null" in found.split(","))
