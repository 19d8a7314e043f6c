"""SQL of others in DuckDB, in this process: one SELECT, that reaches nothing but the tables that it is given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dpkg.errors import Usage

# Of functions in FROM only these: others read files, run SQL that is in a text, or take addresses in memory.
_TABLES = ("generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest")


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
