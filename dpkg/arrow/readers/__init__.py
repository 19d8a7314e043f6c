"""Every source file as a stream of Arrow record batches of one schema.

    source = open_source("sales.csv", "csv", ReadOptions())
    rows = stream(source, lambda schema, batches: sum(b.num_rows for b in batches))
    source.widened, source.schema

`stream` calls its consumer again, from the start, where a CSV's types turn out wider than its first rows suggested.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import BinaryIO

from dpkg.arrow.options import ColumnRule, ReadOptions, Widened, format_of
from dpkg.arrow.readers import columnar, spool
from dpkg.arrow.readers.base import Restart, Source, stream
from dpkg.arrow.readers.csvlines import Place
from dpkg.arrow.readers.csvsource import CsvSource
from dpkg.arrow.readers.jsonsource import JsonSource
from dpkg.errors import Usage

__all__ = [
    "FORMATS",
    "ColumnRule",
    "ReadOptions",
    "Restart",
    "Source",
    "Widened",
    "format_of",
    "open_source",
    "open_stream",
    "stream",
]

FORMATS = ("csv", "tsv", "parquet", "arrow", "jsonl")


def open_source(path: str, format: str, options: ReadOptions | None = None) -> Source:
    """A file as a source. Text is decompressed if the name ends with .gz or .zst.

    Raises NotFound, Storage, Usage, or Format, which names file and line; so do the source's methods.
    """
    return _open(path, format, options or ReadOptions(), None)


def open_stream(
    stream: BinaryIO, format: str | None = None, options: ReadOptions | None = None, name: str = "standard input"
) -> Source:
    """A byte stream as a source: Parquet, Arrow file or stream by their first bytes, else CSV, unless `format` says.

    Close the source to remove its temporary file. An Arrow stream is not stored: its `batches()` can be called once.
    """
    _check(format or "csv")
    return spool.open_stream(stream, options or ReadOptions(), format, name, _open)


def _check(format: str) -> None:
    if format not in FORMATS:
        near = get_close_matches(format, FORMATS, 1)
        raise Usage(f"'{format}' is no format of tables", f"did you mean '{near[0]}'?" if near else ", ".join(FORMATS))


def _open(path: str, format: str, options: ReadOptions, codec: str | None) -> Source:
    _check(format)
    if format == "parquet":
        return columnar.parquet(path, options)
    if format == "arrow":
        return columnar.arrow(path, options)
    if format == "jsonl":
        return JsonSource(path, options, codec)
    delimiter = options.delimiter or {"csv": ",", "tsv": "\t"}[format]
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise Usage(f"{delimiter!r} cannot be a delimiter", "one ASCII character, such as ';'")
    return CsvSource(Place(path, delimiter, options.encoding, codec), options)
