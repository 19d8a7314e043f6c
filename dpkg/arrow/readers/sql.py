"""The rows of a PostgreSQL query as a `Source`, through ADBC: Arrow all the way, in bounded memory, one statement that only reads.

Types are PostgreSQL's, whatever the rows hold. numeric(p, s) is decimal(p, s); a numeric of which the server knows no
precision, as sum(x), is refused unless the schema declares it: a type must not depend on today's rows. json and jsonb are
arrow.json. What has no Arrow type is refused, and so are values that ADBC would change without a word: infinite times, 24:00,
arrays of more than one dimension.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.options import ColumnRule, ReadOptions
from dpkg.arrow.readers.base import unique
from dpkg.arrow.readers.columnar import ColumnarSource
from dpkg.arrow.readers.declared import type_of
from dpkg.database import bare, line_in, quoted
from dpkg.errors import Denied, DpkgError, Format, Storage, Usage

if TYPE_CHECKING:
    from dpkg.database import Database

_BATCH = {"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)}
_REFUSED = {"money": "numeric(20, 2)", "oid": "int8", "interval": "text"}  # and what to cast them to
# What infinite dates and times become, and 24:00; nothing else is beyond: PostgreSQL's years begin with 4714 BC.
_LEAST = {pa.date32(): -2_500_000, pa.timestamp("us"): -220 * 10**15, pa.timestamp("us", "UTC"): -220 * 10**15}
_MOST = {pa.time64("us"): 86_400 * 10**6 - 1}


def postgres(database: Database, sql: str, options: ReadOptions) -> ColumnarSource:
    """The rows of a query. Raises Usage for SQL that does not work, Format for what has no place in a table, Storage, Denied."""
    with _connected(database) as cursor:
        found = list(cursor.adbc_execute_schema(sql))
        if not found:
            raise Usage(f"{database.shown}: the SQL gives no columns", "write one SELECT")
        unique([field.name for field in found], database.shown)
        _check_arrays(cursor, database, sql, [f.name for f in found if pa.types.is_list(f.type)])
    schema = pa.schema([_field(f, database) for f in found])
    rules = _rules(database, found, options.schema)

    def read() -> Iterator[pa.RecordBatch]:
        with _connected(database) as cursor:
            cursor.adbc_statement.set_options(**_BATCH)
            cursor.execute(sql)
            for batch in cursor.fetch_record_batch():
                columns = [_column(c, f, database) for c, f in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return ColumnarSource(database.shown, schema, read, replace(options, schema=rules), "PostgreSQL result")


@contextmanager
def _connected(database: Database) -> Iterator[Any]:
    """A cursor in a transaction of one snapshot that only reads."""
    connect = driver("postgresql")
    with said(database), closing(connect(database.url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor


def driver(kind: str) -> Any:
    """An ADBC driver's `connect`. Raises Usage where it is not installed."""
    from importlib import import_module

    try:
        return import_module(f"adbc_driver_{kind}.dbapi").connect
    except ImportError:
        extra = {"postgresql": "postgres"}.get(kind, kind)
        message = f"reading from such a database needs adbc-driver-{kind}, which is not installed"
        raise Usage(message, f"pip install 'dpkg-data[{extra}]'") from None


@contextmanager
def said(database: Database) -> Iterator[None]:
    """What a driver or server says of what went wrong, as our error."""
    from adbc_driver_manager import Error

    try:
        yield
    except (Error, pa.ArrowException, OSError) as error:
        raise _failure(error, database) from None


def _failure(error: Exception, database: Database) -> DpkgError:
    """One sentence, without secrets."""
    found = re.search(r"SQLSTATE: (\w{5})", str(error))  # an error amid the rows has no member of that name
    state = found.group(1) if found else ""
    wrong = "ERROR:" in str(error) and "canceling statement" not in str(error)
    text = re.split(r"\n|\s*\.? SQLSTATE: ", database.clean(str(error)).strip())[0]
    text = re.sub(r"^[A-Z_]+: (\[\w+\] )?|^\[\w+\] ", "", text)
    text = f"{database.shown}: {re.sub(r'^.*?(ERROR|FATAL):  ', '', text)}{line_in(str(error))}"
    if state.startswith("25"):
        return Usage(text, "the SQL is one statement that only reads: a SELECT")
    if state == "42501" or "authentication failed" in text:
        return Denied(text, "is it the right user, and may it read this?")
    if state[:2] in ("0A", "21", "22", "42") or (wrong and not state) or "prepare query" in text:
        return Usage(text, "try the SQL in the database's own client")
    return Storage(text, "is the database there, and is its address right?")


# Types


def _opaque(kind: pa.DataType) -> str:
    """PostgreSQL's name of a type that Arrow has none for; else nothing."""
    return str(kind.type_name) if getattr(kind, "extension_name", "") == "arrow.opaque" else ""


def _is_numeric(kind: pa.DataType) -> bool:
    return _opaque(kind.value_type if pa.types.is_list(kind) else kind) == "numeric"


def _field(field: pa.Field, database: Database) -> pa.Field:
    """The field that ADBC's becomes: numbers as texts first."""
    kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    if _is_numeric(field.type):
        return pa.field(field.name, pa.list_(pa.string()) if pa.types.is_list(field.type) else pa.string())
    inner = field.type.value_type if pa.types.is_list(field.type) else field.type
    if _opaque(inner) or kind.removeprefix("_") in _REFUSED:
        other = _REFUSED.get(kind.removeprefix("_"), "text") + ("[]" if kind.startswith("_") else "")
        message = f"{database.shown}: column '{field.name}' is {kind.removeprefix('_')}, which has no Arrow type"
        raise Format(message, f"cast it in the SQL: {field.name}::{other}")
    return field.remove_metadata()


def _rules(database: Database, fields: list[pa.Field], rules: Mapping[str, ColumnRule]) -> dict[str, ColumnRule]:
    """`rules` with the types of numeric columns for which they have none. Raises Format where the server knows none either."""
    made = dict(rules)
    for field in fields:
        rule = made.get(field.name, ColumnRule())
        if not _is_numeric(field.type) or type_of(rule) is not None:
            continue
        kind = _decimal(int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1")))
        if kind is None:
            declared = f"schema: {{{json.dumps(field.name)}: '{_example(field)}'}}"
            message = f"{database.shown}: column '{field.name}' is numeric without a precision and scale"
            raise Format(message, f"declare them, for example {declared}, or cast it in the SQL")
        made[field.name] = replace(rule, type=kind)
    return made


def _example(field: pa.Field) -> str:
    return "list<decimal(38, 6)>" if pa.types.is_list(field.type) else "decimal(38, 6)"


def _decimal(modifier: int) -> pa.DataType | None:
    """The decimal of a numeric's type modifier: 16 bits precision, 11 of a scale that may be negative, 4 added to all."""
    precision, scale = (modifier - 4) >> 16, (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400
    if modifier < 4 or not 0 <= scale <= precision <= 76:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


# Values


def _column(cells: pa.Array, field: pa.Field, database: Database) -> pa.Array:
    if cells.type == field.type:
        _check_times(cells, field.name, database)
        return cells
    return (cells.storage if isinstance(cells, pa.ExtensionArray) else cells).cast(field.type)


def _check_times(cells: pa.Array, name: str, database: Database) -> None:
    """Raises Format for infinite dates and times, and 24:00, which came as something else."""
    kind = cells.type
    if kind not in _LEAST and kind not in _MOST:
        return
    ends = pc.min_max(cells.cast(pa.int32() if kind == pa.date32() else pa.int64())).as_py()
    if ends["min"] is None:
        return
    if ends["min"] < _LEAST.get(kind, 0) or ends["max"] > _MOST.get(kind, ends["max"]):
        what = "24:00" if kind in _MOST else "infinity or -infinity"
        message = f"{database.shown}: column '{name}' holds {what}, which Arrow cannot"
        raise Format(message, f"leave it out or replace it in the SQL, for example with nullif({name}, …)")


def _check_arrays(cursor: Any, database: Database, sql: str, names: list[str]) -> None:
    """Raises Format for arrays of more than one dimension, of which ADBC makes one."""
    if not names:
        return
    tests = ", ".join(f"coalesce(bool_or(array_ndims({quoted(name)}) > 1), false)" for name in names)
    cursor.execute(f"SELECT {tests} FROM (\n{bare(sql)}\n) AS q")
    (found,) = cursor.fetchall()
    for name, deep in zip(names, found, strict=True):
        if deep:
            message = (
                f"{database.shown}: column '{name}' holds arrays of more than one dimension, of which Arrow has none"
            )
            raise Format(message, f"cast it in the SQL: to_json({name}), or {name}::text")
