"""What a file's name says of it, how it may be read, and what reading it tells: without pyarrow, which blobs do not need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
}
_ENDS = {**_TEXT, **_BINARY}
_COMPRESSED = ("gz", "zst")  # after the end of a text


@dataclass(frozen=True)
class Widened:
    """A column whose type became wider than its first 1,000 rows suggested, and the cell that made it so [TXT-3]."""

    column: str
    first: str
    final: str
    line: int
    value: str


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


def format_of(filename: str) -> tuple[str, str] | None:
    """The format that a file's name says, and the name without its end; None if it is not a table's."""
    stem, _, end = filename.rpartition(".")
    end = end.lower()
    known = _ENDS
    if end in _COMPRESSED:
        stem, _, end = stem.rpartition(".")
        end, known = end.lower(), _TEXT
    if end not in known or not stem or stem.endswith("/"):
        return None
    return known[end], stem
