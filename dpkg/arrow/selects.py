"""SQL of others in DuckDB, in this process: one SELECT, that reaches nothing but the tables that it is given."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from dpkg.database import quoted
from dpkg.errors import Usage

MEMORY = "1GB"
# Of functions in FROM only these: others read files, run SQL that is in a text, or take addresses in memory.
_TABLES = ("generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest")


def duckdb_for(needs: str) -> Any:
    """DuckDB's module. Raises Usage where it is not installed; `needs` says what needs it."""
    try:
        import duckdb
    except ImportError:
        raise Usage(needs, "pip install 'dpkg-data[sql]'") from None
    return duckdb


def config(**more: Any) -> dict[str, Any]:
    """A connection's settings: no extensions, no variables of Python as tables, within a limit of memory."""
    return {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": MEMORY,
        "python_enable_replacements": False,
        **more,
    }


@contextmanager
def database(duckdb: Any, name: str, **more: Any) -> Iterator[Any]:
    """A connection to an empty database in a temporary folder, where what does not fit into memory goes too."""
    with tempfile.TemporaryDirectory(prefix=f"dpkg-{name}-") as folder:
        settings = config(temp_directory=os.path.join(folder, "spill"), **more)
        with duckdb.connect(os.path.join(folder, f"{name}.db"), config=settings) as db:
            yield db


def close_up(db: Any) -> None:
    """Nothing but what it holds can be reached from a database, and no SQL changes that."""
    db.execute("SET TimeZone = 'UTC'")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def parse(duckdb: Any, db: Any, sql: str, why: str) -> dict[str, Any]:
    """One SELECT as DuckDB parses it; nothing is looked up. Raises Usage for others; `why` is the hint."""
    statements = db.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Usage("the query is not one SELECT", why)
    found: dict[str, Any] = json.loads(db.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0])
    if found.get("error"):
        raise Usage(f"the query cannot be read: {found.get('error_message', '?')}", "it is DuckDB's SQL")
    for value in parts(found):
        if value.get("type") == "TABLE_FUNCTION" and (name := _function(value)) not in _TABLES:
            message = f"the query reads {name}(…), and it sees the tables of the package and nothing else"
            raise Usage(message, f"what FROM may call: {', '.join(_TABLES)}")
    return found


def _function(value: dict[str, Any]) -> str:
    return str((value.get("function") or {}).get("function_name", "?")).lower()


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """All that a parsed statement consists of."""
    todo = [value]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            yield value
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def load(db: Any, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], again: bool = False) -> None:
    """Rows as a table of a database, `again`: in place of one that is there. Part by part: what reading raises stays what it is.

    Raises Usage for what DuckDB has no room for.
    """
    near = pa.schema([f.with_type(_near(f.type)) for f in schema])
    try:
        db.register("dpkg_part", near.empty_table())
        db.execute(f"CREATE {'OR REPLACE ' * again}TABLE {quoted(name)} AS SELECT * FROM dpkg_part")
        for batch in batches:
            db.register("dpkg_part", pa.Table.from_batches([batch]).cast(near))
            db.execute(f"INSERT INTO {quoted(name)} SELECT * FROM dpkg_part")
        db.unregister("dpkg_part")
    except pa.ArrowException as e:
        raise Usage(f"'{name}' cannot be a table of DuckDB: {e}") from None


def rows(duckdb: Any, db: Any, sql: str, most: int) -> pa.RecordBatchReader:
    """The rows of a query, at most so many at a time."""
    # sql() of version 1 leaves out the line where a value was wrong; execute() of version 2 copies rows once more, and says so.
    run = db.execute if duckdb.__version__.startswith("1.") else db.sql
    return run(sql).to_arrow_reader(most)


def _near(t: pa.DataType) -> pa.DataType:
    """A type, or of those that DuckDB lacks one near it."""
    if pa.types.is_decimal256(t):
        return pa.decimal128(38, t.scale) if t.precision <= 38 else pa.float64()
    return pa.float32() if pa.types.is_float16(t) else t
