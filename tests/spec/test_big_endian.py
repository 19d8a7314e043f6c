"""Byte order moves no digest (VAL-3): what a big-endian machine wrote, and what dpkg would do on one.

Three ways: Arrow IPC streams that say that they are big-endian, made here byte for byte, for all types; numpy arrays in
the other byte order; and dpkg's own code for big-endian machines, run on buffers that lie in memory as they would
there, for all types that need no help from Arrow (offsets in the other order are of no use to Arrow on this machine).

`make test-big-endian` runs the second reader and what needs no Arrow on an emulated s390x. There is no pyarrow for it,
so this is what shows how dpkg reads Arrow's buffers there. Code that went round the patched numpy would give other
digests here, and fail.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import reader
from arrow_forms import BITS, FLAT, WIDTHS, batch, kind_of
from vector_cases import Json

from dpkg import tables
from dpkg.arrow import mix, values
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend

pytestmark = pytest.mark.skipif(sys.byteorder == "big", reason="it plays a big-endian machine on a little-endian one")

INTEGERS = [f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")]


def width_of(t: Json) -> int:
    """Bytes of a number in Arrow; 0 for bools, texts, nested types."""
    kind, p = kind_of(t)
    if kind == "decimal":
        return 16 if p[0] <= 38 else 32
    if kind in WIDTHS:
        return WIDTHS[kind] // 8
    return FLAT[kind].bit_width // 8 if kind in INTEGERS or kind in BITS else 0


def turned(data: bytes, width: int) -> bytes:
    """The bytes with each number of so many bytes turned round."""
    return data if width < 2 else np.frombuffer(data, np.uint8).reshape(-1, width)[:, ::-1].tobytes()


# --------------------------------------------------------------------------------------------------------- IPC streams


def big_endian_stream(rows: pa.RecordBatch, schema: Json) -> bytes:
    """The batch as a stream that a big-endian machine writes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema.remove_metadata()) as writer:
        writer.write_batch(rows)
    stream = sink.getvalue().to_pybytes()
    at = 0
    out = []
    while (size := struct.unpack_from("<i", stream, at + 4)[0]) > 0:
        message = stream[at + 8 : at + 8 + size]
        root = struct.unpack_from("<I", message)[0]
        body = struct.unpack_from("<q", message, field(message, root, 3))[0] if field(message, root, 3) else 0
        body_at = at + 8 + size
        if message[field(message, root, 1)] == 1:
            message = big_endian_schema(message)
        data = turned_body(message, stream[body_at : body_at + body], schema) if body else b""
        out.append(struct.pack("<Ii", 0xFFFFFFFF, len(message)) + message + data)
        at = body_at + body
    return b"".join([*out, stream[at:]])


def field(message: bytes, table: int, number: int) -> int:
    """Where the field of a flatbuffer's table lies; 0 if it has its default."""
    vtable = table - struct.unpack_from("<i", message, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", message, vtable)[0]:
        return 0
    offset = struct.unpack_from("<H", message, vtable + 4 + 2 * number)[0]
    return table + offset if offset else 0


def follow(message: bytes, at: int) -> int:
    return int(at + struct.unpack_from("<I", message, at)[0])


def big_endian_schema(message: bytes) -> bytes:
    """The message of a schema, with endianness Big: two new tables before the old ones, with the old fields."""
    root = follow(message, 0)
    fields = follow(message, field(message, follow(message, field(message, root, 2)), 1))
    new = struct.pack("<I", 16)  # the root: the table Message
    new += struct.pack("<5H2x", 10, 12, 8, 10, 4)  # its vtable: version, header's type, header
    new += struct.pack("<iIhBx", 12, 16, 4, 1)  # metadata version 5, Schema
    new += struct.pack("<4H", 8, 12, 8, 4)  # vtable of Schema: endianness, fields
    new += struct.pack("<iIh2x", 8, 48 + fields - 40, 1)
    assert len(new) == 48
    return new + message


def turned_body(message: bytes, body: bytes, schema: Json) -> bytes:
    """The buffers of a record batch in big-endian byte order."""
    record_batch = follow(message, field(message, follow(message, 0), 2))
    buffers = follow(message, field(message, record_batch, 2))
    widths = [width for _, t in schema for width in widths_of(t)]
    assert struct.unpack_from("<I", message, buffers)[0] == len(widths)
    out = bytearray(body)
    for i, width in enumerate(widths):
        start, size = struct.unpack_from("<qq", message, buffers + 4 + (buffers + 4) % 8 + 16 * i)
        out[start : start + size] = turned(body[start : start + size], width)
    return bytes(out)


CHILDREN: dict[str, Callable[[Any], list[Json]]] = {
    "list": lambda p: [p],
    "fixed_list": lambda p: [p[1]],
    "map": lambda p: [{"struct": [["key", p[0]], ["value", p[1]]]}],
    "struct": lambda p: [item for _, item in p],
}


def widths_of(t: Json) -> Iterator[int]:
    """Of each Arrow buffer of a type, in their order: bytes of its numbers."""
    kind, p = kind_of(t)
    if kind == "extension":
        yield from widths_of(p[2])
    elif kind != "null":
        yield 0
        if kind in ("utf8", "binary", "list", "map"):
            yield 4
        if kind not in ("struct", "fixed_list", "list", "map"):
            yield width_of(t)
    for item in CHILDREN.get(kind, lambda _: [])(p):
        yield from widths_of(item)


@pytest.mark.spec("VAL-3")
def test_columns_of_big_endian_streams() -> None:
    for case in reader.load_vectors("columns"):
        t, expected = case["input"]["type"], case["expected"]
        rows = batch([["a", t]], [reader.column_of(case["input"]["values"], t)])
        arrived = pa.ipc.open_stream(big_endian_stream(rows, [["a", t]])).read_all()
        schema = Schema.from_arrow(arrived.schema)
        assert schema.json == [["a", t]]
        (plain,) = [p for b in arrived.to_batches() for p in normalise(b, schema)] or [plain_of_none(schema)]
        assert values.column_digest(plain.column(0), schema.types[0]).hex() == expected["digest"], case["name"]
        assert [f"{word:016x}" for word in mix.cells(plain.column(0), schema.types[0])] == expected["cells"]


def plain_of_none(schema: Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, t) for t in schema.plain.types], schema=schema.plain)


@pytest.mark.spec("VAL-3")
@pytest.mark.parametrize("name", ["all types, 9 rows", "nested columns", "a key of two columns"])
def test_tables_of_big_endian_streams(name: str) -> None:
    case = next(case for case in reader.load_vectors("boundaries") if case["name"] == name)
    schema, columns = reader.table_of(case["input"])
    rows = batch(schema, columns)
    arrived = pa.ipc.open_stream(big_endian_stream(rows, schema))
    oid, _ = tables.write_table(Odb(MemoryBackend()), arrived, arrived.schema, tuple(case["input"]["key"]))
    assert oid == case["expected"]["table"]["oid"]


# ------------------------------------------------------------------------------------------------- numpy's other order


@pytest.mark.spec("VAL-3")
@pytest.mark.parametrize("t", [*INTEGERS, *BITS])
def test_byte_swapped_numpy(t: str) -> None:
    """Arrow takes no such array; made native, its values are those of the vectors."""
    case = next(c for c in reader.load_vectors("columns") if c["input"]["type"] == t and c["name"].endswith("no nulls"))
    column = reader.column_of(case["input"]["values"], t)
    native = pa.array(column, BITS.get(t, FLAT[t])).to_numpy().view(FLAT[t].to_pandas_dtype())
    foreign = native.astype(native.dtype.newbyteorder(">"))
    if native.dtype.itemsize > 1:
        assert foreign.tobytes() == turned(native.tobytes(), native.dtype.itemsize)
        with pytest.raises(pa.ArrowNotImplementedError):
            pa.array(foreign)
    arrived = pa.record_batch([pa.array(foreign.astype(native.dtype), from_pandas=False)], ["a"])
    schema = Schema.from_arrow(arrived.schema)
    (plain,) = normalise(arrived, schema)
    assert values.column_digest(plain.column(0), schema.types[0]).hex() == case["expected"]["digest"]


# ----------------------------------------------------------------------------------------- dpkg on a big-endian machine


class BigNumpy:
    """numpy as it reads buffers on a big-endian machine. Its arrays are in that order, or (`native`) turned round."""

    uint32 = np.dtype(">u4")

    def __init__(self, native: bool) -> None:
        self._native = native

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def frombuffer(self, data: Any, dtype: Any, *more: Any) -> Any:
        array = np.frombuffer(data, np.dtype(dtype).newbyteorder(">"), *more)
        return array.astype(array.dtype.newbyteorder("<")) if self._native else array


def _native_slots(*given: Any) -> Any:
    """What numpy makes of a buffer there, turned round: numbers of this machine's order."""
    array = values.slots(*given)
    return array.astype(array.dtype.newbyteorder("<"))


@pytest.fixture
def big_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    """dpkg.arrow.values and mix as on a big-endian machine."""
    monkeypatch.setattr(values, "np", BigNumpy(native=False))
    monkeypatch.setattr(mix, "np", BigNumpy(native=True))
    monkeypatch.setattr(mix, "slots", _native_slots)
    for module in (values, mix):
        monkeypatch.setattr(module, "sys", SimpleNamespace(byteorder="big"), raising=False)
    big = {width: (np.dtype(uint).newbyteorder(">"), np.dtype(real).newbyteorder(">"), nan)
           for width, (uint, real, nan) in values.NANS.items()}  # fmt: skip
    monkeypatch.setattr(values, "NANS", big)


def big_endian_array(array: pa.Array, t: Json) -> pa.Array | None:
    """A flat array as it lies in memory on a big-endian machine; None where Arrow could not work with it here."""
    kind, _ = kind_of(t)
    if kind in ("utf8", "binary") and not array.null_count:
        valid, offsets, data = array.buffers()
        memory = np.frombuffer(offsets, np.int32)[: len(array) + 1].copy()
        array = pa.Array.from_buffers(array.type, len(array), [valid, pa.py_buffer(memory), data], 0)
        memory.byteswap(inplace=True)  # not before: Arrow checks them
        return array
    width = width_of(t)
    if kind not in ("null", "bool", "fixed_binary") and not width:
        return None
    buffers = array.buffers()
    if width and buffers[1] is not None:
        buffers[1] = pa.py_buffer(turned(buffers[1].to_pybytes()[: width * len(array)], width))
    return pa.Array.from_buffers(array.type, len(array), buffers, array.null_count)


@pytest.mark.spec("VAL-3")
def test_columns_on_a_big_endian_machine(big_endian: None) -> None:
    kinds = set()
    for case in reader.load_vectors("columns"):
        t, expected = case["input"]["type"], case["expected"]
        made = Schema.from_json([["a", t]]).types[0]
        if kind_of(t)[0] not in (*FLAT, *WIDTHS, "decimal", "fixed_binary"):
            continue
        array = big_endian_array(batch([["a", t]], [reader.column_of(case["input"]["values"], t)]).column(0), t)
        if array is None:
            continue
        kinds.add(kind_of(t)[0])
        assert values.column_digest(array, made).hex() == expected["digest"], case["name"]
        assert [f"{word:016x}" for word in mix.cells(array, made)] == expected["cells"], case["name"]
    assert kinds == {*FLAT, *WIDTHS, "decimal", "fixed_binary"}
