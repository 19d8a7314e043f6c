"""Many files as one `Source`, with columns of what their folders say (Hive: year=2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import pyarrow as pa

from dpkg.arrow.options import ColumnRule, ReadOptions, Widened
from dpkg.arrow.readers.base import Lines, Settled, Source, check_same, label, lines_of
from dpkg.arrow.readers.declared import converter, type_of
from dpkg.arrow.readers.kinds import START
from dpkg.arrow.readers.texts import convert, widen
from dpkg.errors import Format, Usage

Opener = Callable[[str, ReadOptions], Source]


class Many(Source, Protocol):
    """A source of several files. `part` is the one that the last batch is from."""

    part: int


class Joined(Settled):
    """Files whose columns have types, one after the other: all must be of the first one's."""

    def __init__(self, paths: Sequence[str], options: ReadOptions, opener: Opener) -> None:
        self._paths, self._options, self._opener = paths, options, opener
        self.part = 0
        first = opener(paths[0], options)
        try:
            self._schema = first.schema.remove_metadata()
        finally:
            first.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises Format where a file has other columns, or of other types."""
        names = self._schema.names
        for part, path in enumerate(self._paths):
            source = self._opener(path, self._options)
            try:
                self._check(path, source.schema)
                for batch in source.batches():
                    self.part = part
                    columns = [batch.column(name) for name in names]
                    yield pa.RecordBatch.from_arrays(columns, schema=self._schema)
            finally:
                source.close()

    def _check(self, path: str, found: pa.Schema) -> None:
        first = self._paths[0]
        check_same(first, self._schema.names, path, found.names)
        for field in self._schema:
            other = found.field(field.name).type
            if other != field.type:
                message = f"{path}: column '{field.name}' is {label(other)}, and in {first} it is {label(field.type)}"
                raise Format(message, f"declare its type: schema: {{{field.name}: {label(field.type)}}}")


class Partitioned:
    """A `Source` of files with more columns, that have one value in each file."""

    def __init__(self, source: Many, columns: Sequence[tuple[str, pa.Array]], where: str) -> None:
        self._source, self._columns, self._where = source, columns, where

    @property
    def schema(self) -> pa.Schema:
        """Raises Usage where a file has a column that its folder names too."""
        found = self._source.schema
        for name, _ in self._columns:
            if name in found.names:
                hint = f"rename the one in the files: schema: {{{name}: {{name: other}}}}"
                raise Usage(f"{self._where}: column '{name}' is both in the files and in the names of folders", hint)
        return pa.schema([*found, *(pa.field(name, values.type) for name, values in self._columns)])

    @property
    def widened(self) -> list[Widened]:
        return self._source.widened

    def lines(self, rows: Sequence[int]) -> Lines:
        return lines_of(self._source, rows)

    def close(self) -> None:
        self._source.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches():
            at = pa.repeat(pa.scalar(self._source.part), batch.num_rows)
            more = [values.take(at) for _, values in self._columns]
            yield pa.RecordBatch.from_arrays([*batch.columns, *more], schema=self.schema)


def partitioned(
    open_many: Callable[[ReadOptions], Many],
    options: ReadOptions,
    names: Sequence[str],
    values: Sequence[Sequence[str | None]],
    where: str,
) -> Source:
    """The source that `open_many` gives, with columns `names` of the `values` of each file. Raises Usage."""
    if not names:
        return open_many(options)
    rules = {name: options.schema[name] for name in names if name in options.schema}
    rest = {name: rule for name, rule in options.schema.items() if name not in names}
    columns = []
    for i, name in enumerate(names):
        rule = rules.get(name, ColumnRule())
        columns.append((rule.name or name, _typed(pa.array([v[i] for v in values], pa.string()), name, rule, where)))
    return Partitioned(open_many(replace(options, schema=rest)), columns, where)


def _typed(texts: pa.Array, name: str, rule: ColumnRule, where: str) -> pa.Array:
    """The values of a folder's column: as declared, else of the type of text cells [TXT-1]."""
    kind = type_of(rule)
    if kind is None:
        *_, state = START, *(wider for _, wider in widen(START, texts))
        return convert(state, texts)[0]
    make = converter(kind, rule.format)
    values = make(texts)
    if values is None:
        bad = next(t.as_py() for t in texts if make(pa.array([t.as_py()], pa.string())) is None)
        message = f"{where}: column '{name}' is {label(kind)}, and a folder is named '{name}={bad}'"
        raise Format(message, "declare another type, or rename the folder")
    return values
