"""Parquet and Arrow IPC as `Source`s: their schemas are known, declared types are safe casts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dpkg import progress
from dpkg.arrow.normal import decoded_size
from dpkg.arrow.options import ColumnRule, ReadOptions
from dpkg.arrow.readers.base import Settled, label, rules_of, unique
from dpkg.arrow.readers.declared import converter, type_of
from dpkg.arrow.readers.files import open_file
from dpkg.arrow.readers.refusals import refused
from dpkg.arrow.readers.texts import first_bad
from dpkg.errors import Format, Usage

PARQUET, ARROW, ORC = "Parquet file", "Arrow data", "ORC file"
_ROWS = 1 << 16
_BYTES = 4 << 20  # of a batch, about
_MAPPED = 64 << 20  # Arrow files with larger batches are mapped, not read
_WHOLE = pa.decimal128(20, 0)  # holds every integer of 64 bits
BROKEN = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)  # lengths may be anything


class ColumnarSource(Settled):
    """A source of batches of a known schema. `read` gives them anew each time."""

    def __init__(
        self,
        path: str,
        schema: pa.Schema,
        read: Callable[[], Iterator[pa.RecordBatch]],
        options: ReadOptions,
        what: str,
        rows: int = 0,
    ) -> None:
        """`rows` are how many there are, to tell how far reading is; 0 where nobody knows."""
        self._path, self._read, self._what, self._rows = path, read, what, rows
        try:
            names = [field.name for field in schema if str(field.type) is not None]  # also those within must be UTF-8
        except UnicodeDecodeError as e:
            raise damaged(path, what, e) from None
        unique(names, path)
        self._rules = rules_of(options, names, path)
        self._fields = list(schema)
        for field, rule in zip(self._fields, self._rules, strict=True):
            self._check(field, rule)
        self._schema = pa.schema([_field(f, r) for f, r in zip(self._fields, self._rules, strict=True)])

    def batches(self) -> Iterator[pa.RecordBatch]:
        schema, done = self.schema, 0
        batches = self._read()
        size = os.path.getsize(self._path) if self._rows else 0
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
            except BROKEN as e:
                raise damaged(self._path, self._what, e) from None
            columns = [self._column(i, c, done) for i, c in enumerate(batch.columns)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
            done += batch.num_rows
            if size:
                progress.reached(self._path, size * done // self._rows)

    def _check(self, field: pa.Field, rule: ColumnRule) -> None:
        """Raises Usage for a declared type that nothing of the column's could be."""
        kind = type_of(rule)
        if kind is None or (field.type == kind and rule.format is None):
            return
        empty = decoded(pa.array([], field.type))
        try:
            _caster(empty.type, kind, rule)(empty)
        except pa.ArrowNotImplementedError:
            message = (
                f"{self._path}: column '{field.name}' is {label(field.type)}, which cannot be read as {label(kind)}"
            )
            raise Usage(message, "declare another type") from None

    def _column(self, i: int, cells: pa.Array, done: int) -> pa.Array:
        rule = self._rules[i]
        kind = type_of(rule)
        if kind is None or (cells.type == kind and rule.format is None):
            return cells
        cells = decoded(cells)
        make = _caster(cells.type, kind, rule)
        values = make(cells)
        if values is None:
            row = first_bad(lambda part: make(part) is not None, cells)
            raise refused(
                f"{self._path}, row {done + row + 1}",
                self._fields[i].name,
                cells[row].as_py(),
                kind,
                rule.format,
                nulls=False,
            )
        return values


def _field(field: pa.Field, rule: ColumnRule) -> pa.Field:
    kind = type_of(rule)
    field = field if rule.name is None else field.with_name(rule.name)
    return field if kind is None or field.type == kind else pa.field(field.name, kind)


def decoded(cells: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(cells.type):
        return cells.dictionary_decode()
    return pc.run_end_decode(cells) if pa.types.is_run_end_encoded(cells.type) else cells


def _caster(found: pa.DataType, kind: pa.DataType, rule: ColumnRule) -> Callable[[pa.Array], pa.Array | None]:
    t = pa.types
    if t.is_floating(found) and t.is_decimal(kind):  # the shortest text that names the float: a cast would round
        return lambda cells: converter(kind)(cells.cast(pa.string()))
    if not (t.is_string(found) or t.is_large_string(found) or t.is_string_view(found)) or t.is_string(kind):

        def cast(cells: pa.Array) -> pa.Array | None:
            try:
                if t.is_integer(found) and t.is_decimal(kind):  # else Arrow asks for room for all integers of the type
                    cells = pc.cast(cells, _WHOLE)
                return pc.cast(cells, kind)
            except pa.ArrowInvalid:
                return None

        return cast
    make = converter(kind, rule.format)

    def parse(cells: pa.Array) -> pa.Array | None:
        texts = pc.if_else(cells.is_valid(), cells, None) if cells.null_count else cells  # nothing under nulls
        return make(texts.cast(pa.string()))

    return parse


def damaged(path: str, what: str, e: BaseException) -> Format:
    return Format(
        f"{path} is no readable {what}: {str(e).splitlines()[0] if str(e) else type(e).__name__}", "is it damaged?"
    )


def parquet(path: str, options: ReadOptions) -> ColumnarSource:
    _check_magic(path)
    try:
        with open_file(path) as source:
            file = pq.ParquetFile(source)
            schema, footer = file.schema_arrow, file.metadata
    except BROKEN as e:
        raise damaged(path, PARQUET, e) from None
    size = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    rows = max(1024, min(_ROWS, _BYTES * max(1, footer.num_rows) // max(1, size)))

    def read() -> Iterator[pa.RecordBatch]:
        with open_file(path) as source:
            # Without pre_buffer and with a buffer, a row group is read page by page, however large it is.
            yield from pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 16).iter_batches(rows)

    return ColumnarSource(path, schema, read, options, PARQUET, footer.num_rows)


def orc(path: str, options: ReadOptions) -> ColumnarSource:
    from pyarrow import orc

    def opened() -> Any:
        return orc.ORCFile(open_file(path))

    try:
        file = opened()
        schema, rows = file.schema, file.nrows
    except BROKEN as e:
        raise damaged(path, ORC, e) from None

    def read() -> Iterator[pa.RecordBatch]:
        file = opened()
        for i in range(file.nstripes):
            yield from sliced([file.read_stripe(i)], is_file=False)

    return ColumnarSource(path, schema, read, options, ORC, rows)


def arrow(path: str, options: ReadOptions) -> ColumnarSource:
    """An Arrow file or stream, Feather 2 among them."""
    with open_file(path) as source:
        start = source.read(8)
    if start[:4] == b"FEA1":
        raise Format(f"{path} is a Feather 1 file, which is not read here", "write it again as Feather 2 or Parquet")
    is_file = start[:6] == b"ARROW1"
    opener = pa.ipc.open_file if is_file else pa.ipc.open_stream
    try:
        with open_file(path) as source:
            reader = opener(source)
            schema = reader.schema
            mapped = is_file and os.path.getsize(path) // max(1, reader.num_record_batches) > _MAPPED
    except BROKEN as e:
        if not is_file and start[:4] != b"\xff\xff\xff\xff":
            raise Format(
                f"{path} is no Arrow file or stream: it starts with {start[:6]!r}", "is it of another format?"
            ) from None
        raise damaged(path, ARROW, e) from None

    def read() -> Iterator[pa.RecordBatch]:
        with pa.memory_map(os.fsencode(path)) if mapped else open_file(path) as source:
            yield from sliced(opener(source), is_file)

    return ColumnarSource(path, schema, read, options, ARROW)


def sliced(reader: Any, is_file: bool) -> Iterator[pa.RecordBatch]:
    """Its batches, checked (IPC takes offsets into buffers as they come), in slices."""
    batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else reader
    for batch in batches:
        batch.validate(full=True)
        step = max(1024, min(_ROWS, _BYTES * max(1, batch.num_rows) // max(1, decoded_size(batch))))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _check_magic(path: str) -> None:
    with open_file(path) as source:
        start, size = source.read(4), source.size()
        source.seek(max(0, size - 4))
        end = source.read(4)
    if start != b"PAR1":
        raise Format(f"{path} is no Parquet file: it starts with {start!r}", "is it of another format?")
    if end != b"PAR1" or size < 12:
        raise Format(f"{path} is a Parquet file that is cut short", "fetch it again")
