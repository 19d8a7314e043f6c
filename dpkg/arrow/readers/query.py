"""The rows of a DuckDB query over tables of a package, as a `Source`.

It runs in this process, in a database of its own in a temporary folder, that sees the tables it names and nothing else: no
files, no network, no extensions, under a configuration that it cannot change, within a limit of memory.

The same query over the same tables gives the same rows in the same order: one thread, so that sums of floats do not
depend on who was first; a fixed limit of memory; UTC; no random(), no now(). A result without an order of its own, by
ORDER BY or by the table's key, is sorted by all its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.options import ReadOptions
from dpkg.arrow.readers.base import label, unique
from dpkg.arrow.readers.columnar import ColumnarSource
from dpkg.arrow.selects import MEMORY, close_up, config, database, duckdb_for, load, parse, parts, rows
from dpkg.database import bare, line_in, quoted
from dpkg.errors import DpkgError, Format, Usage

_NEEDS = "a query needs DuckDB, which is not installed"
_CONFIG = {"preserve_insertion_order": True, "threads": 1, "arrow_lossless_conversion": True}
_ROWS = 1 << 14
# A table's schema, and what gives its rows.
Feed = tuple[pa.Schema, Callable[[], Iterator[pa.RecordBatch]]]
_UNSTABLE = (
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
)
# Those of whom DuckDB says otherwise, or nothing; and those that look at the process, not at tables.
_CLOCKS = ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_localtime")
_LOOKING = ("current_", "pg_", "duckdb_", "pragma_", "getvariable")
_HUGE = ("HUGEINT", "UHUGEINT")


def tables_in(sql: str) -> tuple[tuple[str, ...], str]:
    """The tables that one SELECT names, sorted; and the version of DuckDB. Raises Usage for any other SQL."""
    duckdb = duckdb_for(_NEEDS)
    with duckdb.connect(":memory:", config=config(**_CONFIG)) as db:
        try:
            close_up(db)
            return tuple(sorted(set(_named(_parsed(duckdb, db, sql), frozenset())))), str(duckdb.__version__)
        except duckdb.Error as e:
            raise _failure(e) from None
        except RecursionError:
            raise Usage("the query nests too deep", "give its parts names: WITH name AS (…)") from None


def query(sql: str, feeds: Mapping[str, Feed], options: ReadOptions, where: str, keyed: bool) -> ColumnarSource:
    """The rows of a SELECT over tables by their names; `keyed`: somebody sorts them. Raises Usage, Format."""
    return _QuerySource(sql, feeds, options, where, keyed)


class _QuerySource(ColumnarSource):
    def __init__(self, sql: str, feeds: Mapping[str, Feed], options: ReadOptions, where: str, keyed: bool) -> None:
        self._duckdb = duckdb_for(_NEEDS)
        with ExitStack() as stack:
            self._db = stack.enter_context(database(self._duckdb, "query", **_CONFIG))
            try:
                close_up(self._db)
                node = _parsed(self._duckdb, self._db, sql)
                ordered = any(m.get("type") == "ORDER_MODIFIER" for m in node.get("modifiers", ()))
                for name, feed in feeds.items():
                    _load(self._db, name, feed)
                self._sql = self._statement(sql, ordered or keyed)
                schema = rows(self._duckdb, self._db, f"SELECT * FROM (\n{self._sql}\n) LIMIT 0", 1).schema
            except self._duckdb.Error as e:
                raise _failure(e, 1) from None
            super().__init__(where, schema, self._result, options, "result of a query")
            self._open = stack.pop_all()

    def close(self) -> None:
        self._open.close()

    def _statement(self, sql: str, ordered: bool) -> str:
        """The query, sorted if need be; integers of 128 bits, that sums of integers are, as decimals. Raises Usage, Format."""
        sql = bare(sql)
        try:
            columns = self._db.execute(f"DESCRIBE {sql}").fetchall()
        except self._duckdb.Error as e:
            raise _failure(e) from None
        unique([name for name, *_ in columns], "the query")
        wide = [name for name, kind, *_ in columns if kind in _HUGE]
        casts = ", ".join(f"{quoted(name)}::DECIMAL(38, 0) AS {quoted(name)}" for name in wide)
        replaced = f"REPLACE ({casts}) " if wide else ""
        return f"SELECT * {replaced}FROM (\n{sql}\n){'' if ordered else ' ORDER BY ALL'}"

    def _result(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in rows(self._duckdb, self._db, self._sql, _ROWS):
                _check_times(batch)
                yield batch
        except (self._duckdb.Error, pa.ArrowException, OSError) as e:
            raise _failure(e, 1) from None


def _parsed(duckdb: Any, db: Any, sql: str) -> dict[str, Any]:
    """One SELECT as DuckDB parses it. Raises Usage for other statements, and those that give other rows each time."""
    found = parse(duckdb, db, sql, "it reads tables of the package, and changes nothing")
    _check_stable(found, {name for (name,) in db.execute(_UNSTABLE).fetchall()})
    node: dict[str, Any] = found["statements"][0]["node"]
    return node


def _check_stable(found: Any, unstable: set[str]) -> None:
    hint = "a package is the same whenever it is built: write the value out"
    for value in parts(found):
        names: list[str] = value.get("column_names") or []
        clock = names[0].lower() if value.get("class") == "COLUMN_REF" and len(names) == 1 else ""
        called = str(value.get("function_name", "")).lower()
        given = value.get("arguments", value.get("children", ()))  # of DuckDB 2, and of 1
        age = called == "age" and len(given) == 1  # until today
        if called in unstable or called.startswith(_LOOKING) or age or clock in _CLOCKS:
            raise Usage(f"the query calls {called or clock}, which gives something else each time", hint)
        if value.get("sample"):
            raise Usage("the query takes a sample, which is another one each time", "choose rows by what is in them")


def _named(value: Any, hidden: frozenset[str]) -> Iterator[str]:
    """The tables that a part of a statement names, but for those `hidden` by WITH. (DuckDB's own list fails at USING.)"""
    if isinstance(value, list):
        for part in value:
            yield from _named(part, hidden)
    if not isinstance(value, dict):
        return
    if value.get("type") == "BASE_TABLE":
        name = str(value["table_name"])
        if value.get("schema_name") or value.get("catalog_name"):
            message = f"the query names '{value.get('schema_name')}.{name}', and there are no schemas"
            raise Usage(message, 'a table is named by its path, in quotes: FROM "folder/table"')
        if name.casefold() not in hidden:
            yield name
    for part in (value.get("cte_map") or {}).get("map", ()):
        name, query = str(part["key"]).casefold(), part["value"]
        node = query.get("query_node") or (query.get("query") or {}).get("node", {})  # of DuckDB 2, and of 1
        itself = node.get("type") == "RECURSIVE_CTE_NODE"
        yield from _named(query, hidden | {name} if itself else hidden)
        hidden |= {name}
    yield from _named([part for key, part in value.items() if key != "cte_map"], hidden)


def _load(db: Any, name: str, feed: Feed) -> None:
    """Rows as a table of the database. Raises Usage."""
    schema, read = feed
    for field in schema:
        if _is_cut(field.type):
            message = f"column '{field.name}' of '{name}' is {label(field.type)}, of which DuckDB keeps only a part"
            raise Usage(
                message,
                "declare another type for it in its own entry, for example timestamp[us, UTC] or decimal(38, 6)",
            )
    load(db, name, schema, read())


def _is_cut(kind: pa.DataType) -> bool:
    """Whether DuckDB would cut values of a type, or has no room for them: it has microseconds, and 38 digits."""
    t = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _is_cut(kind.storage_type)
    if t.is_dictionary(kind):
        return _is_cut(kind.value_type)
    if (t.is_timestamp(kind) and kind.tz) or t.is_duration(kind):
        return bool(kind.unit == "ns")
    return t.is_decimal256(kind) or any(_is_cut(kind.field(i).type) for i in range(kind.num_fields))


def _check_times(batch: pa.RecordBatch) -> None:
    """Raises Format for infinite dates and times, and 24:00, of which Arrow makes something else."""
    for name, cells in zip(batch.schema.names, batch.columns, strict=True):
        days, clock = cells.type == pa.date32(), pa.types.is_time64(cells.type)
        if not (days or clock or pa.types.is_timestamp(cells.type)):
            continue
        ends = pc.min_max(cells.cast(pa.int32() if days else pa.int64())).as_py()
        if ends["min"] is None:
            continue
        end = 86_400 * (10**9 if cells.type.unit == "ns" else 10**6) if clock else 2 ** (31 if days else 63) - 1
        if ends["max"] >= end or ends["min"] <= -end:
            what = "24:00" if clock else "infinity or -infinity"
            message = f"the query: column '{name}' holds {what}, which Arrow cannot"
            raise Format(message, f"leave it out or replace it, for example with nullif({name}, …)")


def _failure(error: Exception, before: int = 0) -> DpkgError:
    """One sentence; `before` are lines of ours that stand before the query."""
    said = str(error).strip().splitlines()[0][:300]
    if "Out of Memory" in said:
        return Format(f"the query needs more than {MEMORY} of memory", "let it read or keep less")
    text = f"the query fails: {said}{line_in(str(error), before)}"
    return Usage(text, 'it is DuckDB\'s SQL; a table in a folder is "folder/table"')
