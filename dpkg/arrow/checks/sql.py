"""`sql:` checks: a query of DuckDB over a build's own tables, of which each row is a violation.

It runs in this process, in a database of its own in a temporary folder, without extensions, files or network
(enable_external_access), under a configuration that it cannot change, and within a limit of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from dpkg.arrow.checks.base import Broken, Outcome, short
from dpkg.arrow.normal import to_user_batch
from dpkg.arrow.schema import Schema
from dpkg.arrow.selects import close_up, database, duckdb_for, load, parse
from dpkg.errors import Usage

_THREADS = 2
Batches = Iterator[Mapping[str, pa.Array]]
# Gives a relation's schema and rows to a function, which may be called again from the start.
Feed = Callable[[Callable[[Schema, Batches], None]], None]


def query(sql: str, relations: Mapping[str, Feed], most: int) -> Outcome:
    """The rows that a query returns over the relations that it names. Raises Usage where it does not work."""
    duckdb = duckdb_for("'sql' checks need DuckDB")
    try:
        with database(duckdb, "checks", threads=_THREADS) as db:
            return _run(duckdb, db, sql, relations, most)
    except duckdb.Error as e:
        raise Usage(f"the query fails: {str(e).splitlines()[0][:200]}", _hint(str(e), relations)) from None


def _hint(said: str, relations: Mapping[str, Feed]) -> str:
    return f"tables here: {', '.join(list(relations)[:20])}" if "Table with name" in said else "it is DuckDB's SQL"


def _run(duckdb: Any, db: Any, sql: str, relations: Mapping[str, Feed], most: int) -> Outcome:
    close_up(db)  # before its names are asked for: that opens files
    parse(duckdb, db, sql, "a check only reads; each row that it returns is a violation")
    named = {name.casefold() for name in db.get_table_names(sql)}
    for name, feed in relations.items():
        if name.casefold() in named:
            feed(lambda schema, batches, name=name: _load(db, name, schema, batches))  # type: ignore[misc]
    db.execute(f"CREATE TABLE main.dpkg_violations AS {db.extract_statements(sql)[0].query}")
    bad = db.execute("SELECT count(*) FROM main.dpkg_violations").fetchone()[0]
    found = db.execute(f"SELECT COLUMNS(*)::VARCHAR FROM main.dpkg_violations LIMIT {most}")
    names = [column[0] for column in found.description]
    rows = tuple(
        Broken(-1, short(", ".join(f"{n}={'null' if v is None else v}" for n, v in zip(names, row, strict=True))))
        for row in found.fetchall()
    )
    return Outcome(bad, f"{bad:,} row{'s' * (bad != 1)} returned", rows)


def _load(db: Any, name: str, schema: Schema, batches: Batches) -> None:
    # Without metadata: a cell of an extension that Arrow does not know is shown as it is stored.
    bare = pa.schema([pa.field(f.name, f.type) for f in schema.arrow])
    load(db, name, bare, (_user_batch(columns, schema) for columns in batches), again=True)


def _user_batch(columns: Mapping[str, pa.Array], schema: Schema) -> pa.RecordBatch:
    plain = pa.RecordBatch.from_arrays([columns[n] for n in schema.names], schema=schema.plain)
    return to_user_batch(plain, schema)
