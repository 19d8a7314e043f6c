"""The keys of build.yml in one table: what an entry may have, of which shape, with a line of help (spec/build.md).

A build.yml is read by it, and spec/json/build.yml.schema.json, by which editors complete and check, is made of it.
"""

from __future__ import annotations

from typing import NamedTuple

from dpkg.arrow.options import COLUMN_KEYS, TRANSFORMS

TOP = "top"  # the file itself

# What an entry is, by the one of these keys that it has. Each has a function in `buildfile.HANDLERS`.
KINDS = {
    "contents": "a folder",
    "file": "made of a file",
    "files": "made of many files",
    "sql": "made of rows of a database",
    "query": "derived from other tables of the package",
    "package": "of another package",
}
FOLDER = ("contents",)
FILES = ("file", "files")
TABLES = (*FILES, "sql", "query")  # what may become a table


class Key(NamedTuple):
    """A key: `shape` is one of SHAPES, `on` the kinds of entries that may have it (and TOP)."""

    name: str
    shape: str
    help: str
    on: tuple[str, ...]
    choices: tuple[str, ...] = ()
    down: bool = False  # what a folder says holds for the entries below, unless they say otherwise


# How a value looks.
SHAPES = {
    "text": "a text",
    "texts": "a list of texts, or one text",
    "flag": "true or false",
    "choice": "one of a few words",
    "any": "anything that JSON can hold",
    "contents": "entries by their names",
    "schema": "types, or more, by the columns' names",
    "options": "reader options by their names",
    "checks": "what must hold, by the names of checks (spec/checks.md)",
}
_READ = (TOP, *FOLDER, *FILES)
_ALL = (TOP, *FOLDER, *TABLES)

KEYS = (
    Key("contents", "contents", "The entries of the package, or of a folder in it, by their names.", (TOP, *FOLDER)),
    Key(
        "file",
        "text",
        "The file: a path relative to build.yml, or a URL; ${NAME} in it is a variable of the environment.",
        ("file",),
    ),
    Key("files", "text", "Files by a pattern (*, ?, [a-z], **), read in sorted order as one table.", ("files",)),
    Key("sql", "text", "One SELECT, the rows of which are the table.", ("sql",)),
    Key(
        "url",
        "text",
        "The database of 'sql': postgresql://user@host/database, sqlite:///file.db, or ${NAME}, a variable of the environment.",
        ("sql",),
    ),
    Key(
        "query",
        "text",
        "One SELECT of DuckDB over other tables of the package, which are named by their paths.",
        ("query",),
    ),
    Key("package", "text", "owner/name@revision[/path]: what another package of the store has there.", ("package",)),
    Key("table", "text", "The table of an SQLite file.", ("file",)),
    Key("keep_source", "flag", "The file itself stands beside its table, under its own name.", FILES),
    Key("each", "flag", "Each of the files is an entry of its own, rather than a part of one table.", ("files",)),
    Key(
        "transform",
        "choice",
        "How files are read; else their names' ends say so. id: kept as they are.",
        _READ,
        (*TRANSFORMS, "id"),
        True,
    ),
    Key("as", "choice", "blob keeps the bytes as they are, table insists on a table.", FILES, ("blob", "table")),
    Key("options", "options", "How files are read, by the names of pyarrow's own options.", _READ, down=True),
    Key("nulls", "texts", "Unquoted cells that are null; the option null_values.", _READ, down=True),
    Key("schema", "schema", "Types of columns, by their names in the file.", _ALL, down=True),
    Key("columns", "texts", "The columns that the table has, in this order.", TABLES),
    Key("key", "texts", "Columns that are unique together; rows are sorted by them.", _ALL, down=True),
    Key("checks", "checks", "What must hold of the data before it is committed.", TABLES),
    Key("meta", "any", "Metadata of your own.", (*FOLDER, *TABLES, "package")),
)
BY_NAME = {key.name: key for key in KEYS}

COLUMN = tuple(COLUMN_KEYS)


def keys_of(kind: str) -> tuple[str, ...]:
    """The keys that an entry of a kind may have."""
    return tuple(key.name for key in KEYS if kind in key.on)


def entry_keys() -> tuple[str, ...]:
    """Those that any entry may have."""
    return tuple(key.name for key in KEYS if key.on != (TOP,))


def handed_down() -> tuple[str, ...]:
    """Those that hold for all entries of a folder."""
    return tuple(key.name for key in KEYS if key.down)
