"""What a file's name says of it, how it may be read, and what reading it tells: without pyarrow, which blobs do not need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

# Every file name that is a table, by its end.
_TEXT = {"csv": "csv", "tsv": "tsv", "jsonl": "jsonl", "ndjson": "jsonl"}
_BINARY = {
    "parquet": "parquet",
    "pq": "parquet",
    "arrow": "arrow",
    "arrows": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
    "orc": "orc",
}
_ENDS = {**_TEXT, **_BINARY}
# Those that may be tables, if someone says so: a .json is rarely a list of records.
_MAYBE = {
    "json": "json",
    **dict.fromkeys(("xlsx", "xlsm", "xlsb", "xls", "ods"), "excel"),
    "npy": "npy",
    "npz": "npz",
    **dict.fromkeys(("sqlite", "sqlite3", "db"), "sqlite"),
}
_MAYBE_TEXT = {**_TEXT, "json": "json"}
TRANSFORMS = tuple(dict.fromkeys((*_ENDS.values(), *_MAYBE.values())))  # the formats, by name
TYPED = ("parquet", "arrow", "orc", "npy", "npz", "sqlite", "sql", "query")  # their columns have types
_COMPRESSED = ("gz", "zst")  # after the end of a text


@dataclass(frozen=True)
class Widened:
    """A column whose type became wider than its first 1,000 rows suggested, and the cell that made it so [TXT-3]."""

    column: str
    first: str
    final: str
    line: int
    value: str
    file: str = ""  # that the line is of, where a table is made of several


# What may be said of a column.
COLUMN_KEYS = {
    "type": "The column's type: int64, utf8, date, decimal(12, 2), timestamp[us, UTC], list<int64>, …",
    "name": "The column's name in the table.",
    "format": "How dates and times are written (strptime), or binary values (base64, hex).",
}


@dataclass(frozen=True)
class ColumnRule:
    """What is declared of a column: its name in the table, its type, and how dates and times (strptime) or binary
    values (`base64`, `hex`) are written in text."""

    name: str | None = None
    type: pa.DataType | None = None
    format: str | None = None


@dataclass(frozen=True)
class ReadOptions:
    """How to read a source. `schema` is keyed by the columns' names in the source."""

    nulls: tuple[str, ...] = ("",)
    schema: Mapping[str, ColumnRule] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str = "utf-8"
    usual: frozenset[str] = frozenset()  # columns of `schema` that need not be there: it is for many tables
    columns: tuple[str, ...] = ()  # those that the table has, in this order; empty: all
    quote_char: str | None = '"'  # None: a quote is a character as any other
    skip_rows: int = 0  # lines before the names
    skip_rows_after_names: int = 0
    column_names: tuple[str, ...] = ()  # where the file has none
    sheet: str | None = None
    range: str | None = None
    table: str | None = None  # of an SQLite file; None: its only one
    sql: str | None = None  # in place of a table


class Option(NamedTuple):
    """A reader option of build.yml: its name as pyarrow has it, how its value looks, the formats that take it."""

    name: str
    shape: str  # "text", "texts", "count", "character" (or false)
    formats: tuple[str, ...]
    help: str
    field: str = ""  # of ReadOptions, if it has another name there


_CSV = ("csv", "tsv")
OPTIONS = (
    Option("delimiter", "text", _CSV, "What stands between cells: one ASCII character."),
    Option("encoding", "text", (*_CSV, "jsonl", "json"), "The file's encoding: utf-8, latin-1, cp1252, utf-16, …"),
    Option("null_values", "texts", (*_CSV, "excel"), "Unquoted cells that are null; as 'nulls'.", "nulls"),
    Option("quote_char", "character", _CSV, "What stands around cells: one ASCII character; false: nothing does."),
    Option("column_names", "texts", (*_CSV, "excel", "npy"), "The columns' names, where the file has none."),
    Option("skip_rows", "count", (*_CSV, "excel"), "Lines, or rows of a sheet, before the names that are left out."),
    Option("skip_rows_after_names", "count", _CSV, "Rows after the names that are left out."),
    Option("sheet", "text", ("excel",), "The sheet, if there are several."),
    Option("range", "text", ("excel",), "The cells, names included: A3:F20, or A3:F down to the last row."),
)
OPTION_NAMES = {option.name: option for option in OPTIONS}
# Those of pyarrow that are not here, and why.
REFUSED = {
    "escape_char": "a quote within quotes is doubled; write the file so",
    "autogenerate_column_names": "name the columns: 'column_names'",
    "decimal_point": "a number has a point; declare the column utf8, or write the file so",
    "true_values": "true and false are bools; declare the type bool for 1 and 0",
    "false_values": "true and false are bools; declare the type bool for 1 and 0",
    "double_quote": "a quote within quotes is always doubled",
    "newlines_in_values": "quoted cells may always hold newlines",
    "ignore_empty_lines": "empty lines are always ignored",
    "column_types": "that is 'schema', beside 'options'",
    "include_columns": "that is 'columns', beside 'options'",
    "include_missing_columns": "a column that is not there is an error",
    "explicit_schema": "that is 'schema', beside 'options'",
    "timestamp_parsers": "that is 'format' of a column, in 'schema'",
    "strings_can_be_null": "unquoted cells may always be null; name the texts in 'nulls'",
    "quoted_strings_can_be_null": "quoted cells are never null",
    "auto_dict_encode": "how columns are stored is not for options to say",
    "use_threads": "that changes no table",
    "block_size": "that changes no table",
    "check_utf8": "text is always checked",
}


def format_of(filename: str, maybe: bool = False) -> tuple[str, str] | None:
    """The format that a file's name says, and the name without its end; None if it is not a table's.

    `maybe`: also the formats that are tables only where someone says so.
    """
    stem, _, end = filename.rpartition(".")
    end = end.lower()
    known = {**_ENDS, **_MAYBE} if maybe else _ENDS
    if end in _COMPRESSED:
        stem, _, end = stem.rpartition(".")
        end, known = end.lower(), _MAYBE_TEXT if maybe else _TEXT
    if end not in known or not stem or stem.endswith("/"):
        return None
    return known[end], stem
