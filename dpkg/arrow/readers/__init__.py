"""Every source file as a stream of Arrow record batches of one schema.

    source = open_source("sales.csv", "csv", ReadOptions())
    rows = stream(source, lambda schema, batches: sum(b.num_rows for b in batches))
    source.widened, source.schema

`stream` calls its consumer again, from the start, where a CSV's types turn out wider than its first rows suggested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, BinaryIO

from dpkg.arrow.options import TRANSFORMS, ColumnRule, ReadOptions, Widened, format_of
from dpkg.arrow.readers import columnar, numpyfiles, parts, spool
from dpkg.arrow.readers.base import Restart, Source, stream
from dpkg.arrow.readers.csvlines import Place
from dpkg.arrow.readers.csvsource import CsvSource
from dpkg.arrow.readers.files import codec_of
from dpkg.arrow.readers.jsonlines import lines_in
from dpkg.arrow.readers.jsonsource import JsonSource
from dpkg.arrow.readers.picked import Picked
from dpkg.arrow.readers.records import records_in
from dpkg.errors import Usage, did_you_mean

if TYPE_CHECKING:
    from dpkg.arrow.readers.query import Feed
    from dpkg.database import Database

__all__ = [
    "FORMATS",
    "ColumnRule",
    "ReadOptions",
    "Restart",
    "Source",
    "Widened",
    "format_of",
    "open_copy",
    "open_database",
    "open_parts",
    "open_query",
    "open_source",
    "open_stream",
    "stream",
    "tables_in",
]

FORMATS = TRANSFORMS


_TYPED = {
    "parquet": columnar.parquet,
    "arrow": columnar.arrow,
    "orc": columnar.orc,
    "npy": numpyfiles.npy,
    "npz": numpyfiles.npz,
}
_JSON = {"jsonl": lines_in, "json": records_in}


def open_source(path: str, format: str, options: ReadOptions | None = None) -> Source:
    """A file as a source. Text is decompressed if the name ends with .gz or .zst.

    Raises NotFound, Storage, Usage, or Format, which names file and line; so do the source's methods.
    """
    return _open(path, format, options or ReadOptions(), None)


def open_database(database: Database, sql: str, options: ReadOptions | None = None) -> Source:
    """The rows that a SELECT gives of a PostgreSQL database. Raises Usage, Format, Storage, Denied."""
    from dpkg.arrow.readers.sql import postgres

    options = options or ReadOptions()
    source = postgres(database, sql, options)
    return Picked(source, options.columns, database.shown) if options.columns else source


def tables_in(sql: str) -> tuple[tuple[str, ...], str]:
    """The tables that a DuckDB query names, and DuckDB's version. Raises Usage for what is not one SELECT."""
    from dpkg.arrow.readers.query import tables_in

    return tables_in(sql)


def open_query(sql: str, feeds: Mapping[str, Feed], options: ReadOptions | None, where: str, keyed: bool) -> Source:
    """The rows of a DuckDB query over tables by their names. Raises Usage, Format."""
    from dpkg.arrow.readers.query import query

    options = options or ReadOptions()
    source = query(sql, feeds, options, where, keyed)
    return Picked(source, options.columns, where) if options.columns else source


def open_parts(
    paths: Sequence[str],
    format: str,
    options: ReadOptions | None,
    names: Sequence[str] = (),
    values: Sequence[Sequence[str | None]] = (),
    where: str = "",
) -> Source:
    """Several files, in this order, as one source: text as if it were one file, typed formats if their types are the same.

    `names` are columns that each file has one of the `values` of, as a text. `where` stands for all files in messages.
    """
    options = options or ReadOptions()
    _check(format)
    where = where or paths[0]

    def many(options: ReadOptions) -> parts.Many:
        if format in ("csv", "tsv"):
            return CsvSource([_place(path, format, options, None, i) for i, path in enumerate(paths)], options)
        if format in _JSON:
            return JsonSource(paths, options, reader=_JSON[format])
        return parts.Joined(paths, options, lambda path, options: _read(path, format, options, None))

    plain = replace(options, columns=())
    source = parts.partitioned(many, plain, names, values, where)
    return Picked(source, options.columns, where) if options.columns else source


def open_copy(
    fill: Callable[[IO[bytes]], None], format: str, options: ReadOptions | None, name: str, file: str
) -> Source:
    """What `fill` writes into a temporary file, as a source; `name` is for messages, `file` the original file's name.

    Close the source to remove the file.
    """
    return spool.Spooled(fill, options or ReadOptions(), format, name, codec_of(file), _open)


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
        raise Usage(f"'{format}' is no format of tables", did_you_mean(format, FORMATS, ", ".join(FORMATS)))


def _open(path: str, format: str, options: ReadOptions, codec: str | None) -> Source:
    if format != "sqlite":  # which is a file, and never a stream
        _check(format)
    source = _read(path, format, options, codec)
    return Picked(source, options.columns, path) if options.columns else source


def _read(path: str, format: str, options: ReadOptions, codec: str | None) -> Source:
    if format in _TYPED:
        return _TYPED[format](path, options)
    if format in _JSON:
        return JsonSource(path, options, codec, reader=_JSON[format])
    if format == "excel":
        from dpkg.arrow.readers.excel import ExcelSource

        return ExcelSource(path, options)
    if format == "sqlite":
        from dpkg.arrow.readers.sqlite import sqlite

        return sqlite(path, options)
    return CsvSource(_place(path, format, options, codec), options)


def _place(path: str, format: str, options: ReadOptions, codec: str | None, part: int = 0) -> Place:
    delimiter = options.delimiter or {"csv": ",", "tsv": "\t"}[format]
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise Usage(f"{delimiter!r} cannot be a delimiter", "one ASCII character, such as ';'")
    quote = options.quote_char or ""
    if len(quote) > 1 or not quote.isascii() or quote in (delimiter, "\r", "\n", "\0"):
        raise Usage(f"{quote!r} cannot be a quote", "one ASCII character other than the delimiter, or 'false' for none")
    place = Place(path, delimiter, options.encoding, codec, part, quote=quote, names=options.column_names)
    said = options.delimiter is not None
    return replace(place, skip=options.skip_rows, skip_after=options.skip_rows_after_names, said=said)
