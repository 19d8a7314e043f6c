"""Record batches as CSV, TSV, JSON lines, Arrow IPC or Parquet.

In text: dates, times and timestamps are ISO 8601 (`2020-01-01T10:00:00.5`; one with a zone is in UTC, with a `Z`),
durations are `PT1.5S`, decimals plain digits, floats the shortest digits that give the same value, and always with a
point or an exponent, binary values base64. CSV: a null is nothing, the empty string is `""`; lists, structs and maps
are JSON. JSON: decimals, durations, dates, times and binary values are strings, and so are `NaN`, `Infinity` and
`-Infinity`; a map is an array of pairs of key and value.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dpkg.arrow.normal import decoded_size
from dpkg.errors import Format, Usage

FORMATS = ("csv", "tsv", "jsonl", "arrow", "arrows", "parquet")
_ROWS = 8192  # made into text at once
_BYTES = 1 << 24
_GROUP_ROWS, _GROUP_BYTES = 1 << 17, 1 << 26
_t = pa.types


def write(batches: Iterable[pa.RecordBatch], schema: pa.Schema, format: str, out: BinaryIO) -> int:
    """Writes to a stream, which stays open; the number of bytes. Raises Usage, or Format for what cannot be written."""
    size = 0
    for chunk in to_chunks(batches, schema, format):
        out.write(chunk)
        size += len(chunk)
    return size


def to_chunks(batches: Iterable[pa.RecordBatch], schema: pa.Schema, format: str) -> Iterator[bytes]:
    """The bytes of `write`, in pieces, as the batches come. `arrow` is the IPC file format, `arrows` the stream's."""
    if format in ("csv", "tsv"):
        return _csv(batches, schema, "," if format == "csv" else "\t")
    if format == "jsonl":
        return _jsonl(batches, schema)
    if format in ("arrow", "arrows"):
        return _ipc(batches, schema, pa.ipc.new_file if format == "arrow" else pa.ipc.new_stream)
    if format == "parquet":
        return _parquet(batches, schema)
    raise Usage(f"'{format}' is not a format to write", f"formats: {', '.join(FORMATS)}")


def json_rows(rows: Any) -> Iterator[dict[str, Any]]:
    """The rows of a table, or of batches, as the objects that `jsonl` writes."""
    for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
        for chunk in _jsonl([batch], batch.schema):
            yield from map(json.loads, chunk.split(b"\n")[:-1])


class _Drain:
    """A file that keeps what is written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def _ipc(batches: Iterable[pa.RecordBatch], schema: pa.Schema, opened: Any) -> Iterator[bytes]:
    drain = _Drain()
    with opened(pa.PythonFile(drain, "w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield drain.take()
    yield drain.take()


def _parquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    drain = _Drain()
    held: list[pa.RecordBatch] = []
    rows = size = 0
    with pq.ParquetWriter(pa.PythonFile(drain, "w"), schema, compression="zstd") as writer:
        for batch in batches:
            _check_fixed_lists(batch)
            held.append(batch)
            rows, size = rows + batch.num_rows, size + decoded_size(batch)
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(held, schema))
                held, rows, size = [], 0, 0
                yield drain.take()
        if rows:
            writer.write_table(pa.Table.from_batches(held, schema))
    yield drain.take()


def _check_fixed_lists(batch: pa.RecordBatch) -> None:
    """Raises Format for null fixed-size lists: Parquet keeps no elements for them, and Arrow before 26 refuses the file."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if _holds_fixed_lists(column.type) and _has_null_fixed_list(column):
            message = f"column '{name}' has fixed-size lists that are null, which Parquet cannot hold"
            raise Format(message, "write Arrow or JSON lines")


def _holds_fixed_lists(kind: pa.DataType) -> bool:
    """At any depth."""
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_fixed_lists(kind.storage_type)
    return _t.is_fixed_size_list(kind) or any(_holds_fixed_lists(kind.field(i).type) for i in range(kind.num_fields))


def _has_null_fixed_list(array: pa.Array) -> bool:
    """At any depth; also where a struct is null around it."""
    if isinstance(array, pa.ExtensionArray):
        return _has_null_fixed_list(array.storage)
    if not len(array) or not _t.is_nested(array.type):
        return False
    if _t.is_fixed_size_list(array.type) and array.null_count:
        return True
    if _t.is_struct(array.type):
        return any(map(_has_null_fixed_list, array.flatten()))
    if _t.is_map(array.type):  # which Arrow does not flatten
        first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return _has_null_fixed_list(array.values.slice(first, last - first))
    return _has_null_fixed_list(array.flatten())


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Few enough rows that texts fit 32-bit offsets."""
    for batch in batches:
        step = max(1, min(_ROWS, _BYTES * batch.num_rows // max(1, decoded_size(batch))))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _data(texts: pa.Array) -> bytes:
    """All texts of an array, one after the other."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return data.slice(bounds[0], bounds[-1] - bounds[0]).to_pybytes() if data is not None else b""


def _join(parts: list[Any]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, delimiter: str) -> Iterator[bytes]:
    odd = delimiter if len(schema) > 1 else delimiter + ";|\t"  # what a reader might take for one
    names = _quoted(pa.array(schema.names, pa.string()), odd, "a column's name")
    yield (delimiter.join(names.to_pylist()) + "\n").encode()
    for batch in _pieces(batches):
        columns = [_csv_cells(c, delimiter, f"column '{n}'") for n, c in zip(schema.names, batch.columns, strict=True)]
        if len(columns) == 1 and batch.column(0).null_count:
            hint = "write JSON lines, Arrow or Parquet"
            raise Format(
                f"column '{schema.names[0]}' has nulls, which a CSV of one column cannot hold: no row is empty", hint
            )
        parts = list(chain.from_iterable((column, delimiter) for column in columns))
        yield _data(_join([*parts[:-1], "\n"]))


def texts(array: pa.Array) -> pa.Array:
    """Each value as text, as in CSV without quotes; nulls stay."""
    array = _plain(array)
    return pc.if_else(array.is_valid(), _json(array), None) if _t.is_nested(array.type) else _texts(array)


def _csv_cells(array: pa.Array, delimiter: str, what: str) -> pa.Array:
    array = _plain(array)
    made = texts(array)
    quotable = _t.is_nested(array.type) or _t.is_string(array.type) or _is_binary(array.type)
    return pc.fill_null(_quoted(made, delimiter, what) if quotable else made, "")


def _quoted(texts: pa.Array, delimiter: str, what: str) -> pa.Array:
    """With quotes where they are needed: also around nothing, which is not null, and a byte order mark."""
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        raise Format(f"{what} holds a NUL, which CSV cannot", "write JSON lines, Arrow or Parquet")
    needed = pc.match_substring_regex(texts, f'^$|^\ufeff|["\r\n{delimiter}]')
    if not pc.any(needed).as_py():
        return texts
    return pc.if_else(needed, _join(['"', pc.replace_substring(texts, '"', '""'), '"']), texts)


def _jsonl(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    keys = [json.dumps(name, ensure_ascii=False) + ":" for name in schema.names]
    for batch in _pieces(batches):
        parts: list[Any] = []
        for key, column in zip(keys, batch.columns, strict=True):
            parts += ["," + key if parts else "{" + key, _json(_plain(column))]
        yield _data(_join([*parts, "}\n"]))


def _plain(array: pa.Array) -> pa.Array:
    """Decoded: no extension, no dictionary, no run ends, no large or view form of strings."""
    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if _t.is_dictionary(array.type):
        return _plain(array.dictionary_decode())
    if _t.is_run_end_encoded(array.type):
        return _plain(pc.run_end_decode(array))
    if _t.is_large_string(array.type) or _t.is_string_view(array.type):
        return array.cast(pa.string())
    if _t.is_list_view(array.type) or _t.is_large_list_view(array.type):
        return array.cast(pa.large_list(array.type.value_type))
    return array.cast(pa.float32()) if _t.is_float16(array.type) else array


def _json(array: pa.Array) -> pa.Array:
    """Each value as JSON; no nulls."""
    array = _plain(array)
    kind = array.type
    if not len(array):
        return pa.array([], pa.string())
    if _t.is_null(kind):
        return pc.fill_null(array.cast(pa.string()), "null")
    if _t.is_struct(kind):
        texts = _json_struct(array)
    elif _t.is_nested(kind):
        texts = _json_list(array)
    elif _t.is_string(kind):
        texts = _join(['"', _escaped(array), '"'])
    else:
        texts = _texts(array)
        if _t.is_floating(kind):
            for spelled, name in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
                texts = pc.if_else(pc.equal(texts, spelled), f'"{name}"', texts)
        elif not (_t.is_integer(kind) or _t.is_boolean(kind)):
            texts = _join(['"', texts, '"'])
    return pc.if_else(array.is_valid(), texts, "null")


def _escaped(texts: pa.Array) -> pa.Array:
    for character in '\\"':
        texts = pc.replace_substring(texts, character, "\\" + character)
    if pc.any(pc.match_substring_regex(texts, "[\x00-\x1f]")).as_py():
        for code in range(0x20):
            texts = pc.replace_substring(texts, chr(code), json.dumps(chr(code))[1:-1])
    return texts


def _json_struct(array: pa.Array) -> pa.Array:
    parts: list[Any] = []
    for field, child in zip(array.type, array.flatten(), strict=True):
        key = json.dumps(field.name, ensure_ascii=False) + ":"
        parts += ["," + key if parts else "{" + key, _json(child)]
    return _join([*parts, "}"]) if parts else pa.array(["{}"] * len(array), pa.string())


def _json_list(array: pa.Array) -> pa.Array:
    """Of the buffers themselves: Arrow's flatten and casts of sliced lists with nulls make broken arrays."""
    kind, first, rows = array.type, array.offset, len(array)
    if _t.is_fixed_size_list(kind):
        bounds = np.arange(first, first + rows + 1, dtype=np.int64) * kind.list_size
    else:
        width = np.int64 if _t.is_large_list(kind) else np.int32
        bounds = np.frombuffer(array.buffers()[1], width)[first : first + rows + 1].astype(np.int64)
    start, length = int(bounds[0]), int(bounds[-1] - bounds[0])
    if _t.is_map(kind):
        key, value = (_json(child.slice(start, length)) for child in (array.keys, array.items))
        items = _join(["[", key, ",", value, "]"])
    else:
        items = _json(array.values.slice(start, length))
    texts = pa.ListArray.from_arrays(pa.array((bounds - start).astype(np.int32)), items)
    return _join(["[", pc.binary_join(texts, ","), "]"])


def _is_binary(kind: pa.DataType) -> bool:
    return any(of(kind) for of in (_t.is_binary, _t.is_large_binary, _t.is_fixed_size_binary, _t.is_binary_view))


def _texts(array: pa.Array) -> pa.Array:
    """Values of a type that is not nested as text; nulls stay."""
    kind = array.type
    if _t.is_string(kind):
        return array
    if _t.is_floating(kind):
        texts = array.cast(pa.string())
        whole = pc.match_substring_regex(texts, r"^-?[0-9]+$")
        return pc.if_else(whole, _join([texts, ".0"]), texts)
    if _t.is_decimal(kind):
        return _decimals(array)
    if _is_binary(kind):
        return pa.array([None if v is None else base64.b64encode(v).decode() for v in array.to_pylist()], pa.string())
    if _t.is_duration(kind):
        return _durations(array)
    if _t.is_timestamp(kind):
        texts = pc.replace_substring(array.view(pa.timestamp(kind.unit)).cast(pa.string()), " ", "T")
        return _join([_trimmed(texts), "Z"]) if kind.tz else _trimmed(texts)
    texts = array.cast(pa.string())
    return _trimmed(texts) if _t.is_time(kind) else texts


def _trimmed(texts: pa.Array) -> pa.Array:
    """Without the zeros at the end of a fraction."""
    return pc.replace_substring_regex(pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+$", r"\1"), r"\.$", "")


def _decimals(array: pa.Array) -> pa.Array:
    texts = array.cast(pa.string())
    small = pc.fill_null(pc.match_substring(texts, "E"), False)
    if not pc.any(small).as_py():
        return texts
    spelled = pa.array([f"{v:f}" for v in array.filter(small).to_pylist()], pa.string())
    return pc.replace_with_mask(texts, small, spelled)


def _durations(array: pa.Array) -> pa.Array:
    """Whole units, shifted by as many digits as the unit is below a second."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[array.type.unit]
    texts = array.view(pa.int64()).cast(pa.string())
    sign = pc.if_else(pc.starts_with(texts, "-"), "-", "")
    padded = pc.utf8_lpad(pc.replace_substring(texts, "-", ""), digits + 1, "0")
    if not digits:
        return _join([sign, "PT", padded, "S"])
    seconds = pc.utf8_slice_codeunits(padded, 0, -digits)
    return _join([sign, "PT", _trimmed(_join([seconds, ".", pc.utf8_slice_codeunits(padded, -digits)])), "S"])
