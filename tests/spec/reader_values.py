"""Second reader, part 2: canonical types (types.md) and canonical values (values.md).

See reader.py for the plain Python form of values.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from reader_json import Json, Refused, digest, encode, oid, utf8

Type = Any  # a type as canonical JSON writes it: "int64", {"list": "utf8"}, ...
Value = Any  # a plain value, see reader.py
Schema = Sequence[Sequence[Any]]  # [[name, type], ...]

# --------------------------------------------------------------------------------------------------------------- types

INTEGERS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}
FLOATS = {"float16": 2, "float32": 4, "float64": 8}
TIMES = {"date": 4, "time_ms": 4, "time_us": 8, "time_ns": 8, "timestamp": 8, "duration": 8}
NAN = {"float16": 0x7E00, "float32": 0x7FC00000, "float64": 0x7FF8000000000000}
INFINITY = {"float16": 0x7C00, "float32": 0x7F800000, "float64": 0x7FF0000000000000}
SIMPLE = {"null", "bool", *INTEGERS, *FLOATS, "utf8", "binary", "date", "time_ms", "time_us", "time_ns"}
UNITS = ("ms", "us", "ns")
MAX_TYPE_DEPTH = 32


def kind_of(t: Type) -> str:
    """The first word of a type: "int64", "list", "extension", ..."""
    return t if isinstance(t, str) else next(iter(t))


def parameter(t: Type) -> Any:
    """What stands behind the first word of a type that has parameters."""
    return next(iter(t.values()))


def check_type(t: Json, depth: int = 0) -> None:
    """Refuse what is not a canonical type (TYPE-1, TYPE-5); `depth` is that below the outermost type."""
    if depth > MAX_TYPE_DEPTH:
        raise Refused("TYPE-1", "nested more than 32 deep below the outermost")
    if isinstance(t, str) and t in SIMPLE:
        return
    if not isinstance(t, dict) or len(t) != 1:
        raise Refused("TYPE-1", f"no canonical type: {str(t)[:80]}")
    kind, p = kind_of(t), parameter(t)
    if kind in ("fixed_binary", "decimal", "timestamp", "duration"):
        _check_flat(kind, p)
    elif kind == "list":
        check_type(p, depth + 1)
    elif kind == "fixed_list":
        n, item = _items(p, 2)
        _check_width(n)
        check_type(item, depth + 1)
    elif kind == "struct":
        check_fields(p, depth + 1)
    elif kind == "map":
        for child in _items(p, 2):
            check_type(child, depth + 1)
    elif kind == "extension":
        name, metadata, storage = _items(p, 3)
        _check_extension(name, metadata)
        if isinstance(storage, dict) and "extension" in storage:
            raise Refused("TYPE-5", "an extension type that is stored as another one")
        check_type(storage, depth + 1)
    else:
        raise Refused("TYPE-1", f"no canonical type: {kind[:80]}")


def _check_flat(kind: str, p: Json) -> None:
    if kind == "fixed_binary":
        _check_width(p)
    elif kind == "decimal":
        precision, scale = (_integer(x) for x in _items(p, 2))
        if not 1 <= precision <= 76:
            raise Refused("TYPE-1", f"precision {precision}")
        if not 0 <= scale <= precision:
            raise Refused("TYPE-5", f"scale {scale} of precision {precision}")
    elif kind == "duration":
        if p not in UNITS:
            raise Refused("TYPE-1", f"unit {p}")
    elif not isinstance(p, list) or not 1 <= len(p) <= 2 or p[0] not in UNITS:
        raise Refused("TYPE-1", f"timestamp {p}")
    elif not isinstance(p[-1], str) or not p[-1]:
        raise Refused("TYPE-1", "a zone is a text of at least one character")


def _items(p: Json, n: int) -> list[Json]:
    if not isinstance(p, list) or len(p) != n:
        raise Refused("TYPE-1", f"not an array of {n}")
    return p


def _integer(n: Json) -> int:
    if not isinstance(n, int) or isinstance(n, bool):
        raise Refused("TYPE-1", f"not an integer: {n}")
    return n


def _check_width(n: Json) -> None:
    if _integer(n) < 1:
        raise Refused("TYPE-5", f"width {n}")


def _check_extension(name: Json, metadata: Json) -> None:
    if not isinstance(name, str) or not isinstance(metadata, str):
        raise Refused("TYPE-1", "extension name and metadata are strings")
    if name == "arrow.py_extension_type":
        raise Refused("TYPE-5", "pickled extension type")
    try:
        data = base64.b64decode(metadata, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("TYPE-1", "metadata is not base64") from None
    if base64.b64encode(data).decode() != metadata:
        raise Refused("TYPE-1", "metadata is not the base64 of RFC 4648")


def check_fields(fields: Json, depth: int = 0) -> None:
    """Refuse what is not the fields of a struct or the columns of a table: at least one, names unique (TYPE-5)."""
    if not isinstance(fields, list):
        raise Refused("TYPE-1", "fields are an array")
    if not fields:
        raise Refused("TYPE-5", "no fields or columns")
    names = []
    for name, t in (_items(field, 2) for field in fields):
        if not isinstance(name, str):
            raise Refused("TYPE-1", "a name is a string")
        names.append(utf8(name))
        check_type(t, depth)
    if len(set(names)) < len(names):
        raise Refused("TYPE-5", "duplicate names")


def schema_digest(schema: Schema) -> bytes:
    """The digest of kind schema over `[[name,T],...]` (TYPE-7)."""
    fields = [list(field) for field in schema]
    check_fields(fields)
    return digest("schema", encode(fields))


# -------------------------------------------------------------------------------------------------------------- values


def u32(n: int) -> bytes:
    return n.to_bytes(4, "little")


def u64(n: int) -> bytes:
    return n.to_bytes(8, "little")


def bitmap(bits: Sequence[bool]) -> bytes:
    """ceil(n/8) bytes, bit i of byte i/8, least significant first; unused bits 0."""
    out = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        if bit:
            out[i // 8] |= 1 << (i % 8)
    return bytes(out)


def is_nan(bits: int, t: str) -> bool:
    """Whether the bits of a float are those of a NaN."""
    sign = 1 << (8 * FLOATS[t] - 1)
    return bits & (sign - 1) > INFINITY[t]


def canonical_float(bits: int, t: str) -> int:
    """The bits of a float, those of the one NaN for every NaN."""
    return NAN[t] if is_nan(bits, t) else bits


def decimal_bytes(value: int, t: Type) -> bytes:
    """An unscaled value in two's complement, 16 bytes to p = 38, else 32."""
    return value.to_bytes(16 if parameter(t)[0] <= 38 else 32, "little", signed=True)


def binary_of(value: str | bytes) -> bytes:
    """The bytes of a utf8 or binary value."""
    return value.encode("utf-8") if isinstance(value, str) else value


def stream(values: Sequence[Value], t: Type) -> bytes:
    """`stream(A, T)` of values.md."""
    present = [value is not None for value in values]
    out = u64(len(values))
    if t != "null":
        out += b"\0" if all(present) else b"\1" + bitmap(present)
    return out + _stream_present([value for value in values if value is not None], t)


def _stream_present(p: list[Value], t: Type) -> bytes:
    """Step 3 of stream: the values that are present, by type."""
    kind = kind_of(t)
    if kind == "null":
        assert not p
        return b""
    if kind == "bool":
        return bitmap(p)
    if kind in INTEGERS:
        return b"".join(v.to_bytes(INTEGERS[kind], "little", signed=kind.startswith("int")) for v in p)
    if kind in FLOATS:
        return b"".join(canonical_float(v, kind).to_bytes(FLOATS[kind], "little") for v in p)
    if kind in TIMES:
        return b"".join(v.to_bytes(TIMES[kind], "little", signed=True) for v in p)
    if kind == "decimal":
        return b"".join(decimal_bytes(v, t) for v in p)
    if kind == "fixed_binary":
        assert all(len(v) == parameter(t) for v in p)
        return b"".join(p)
    if kind in ("utf8", "binary"):
        cells = [binary_of(v) for v in p]
        return b"".join(u32(len(cell)) for cell in cells) + b"".join(cells)
    return _stream_nested(p, t, kind)


def _stream_nested(p: list[Value], t: Type, kind: str) -> bytes:
    lengths = b"".join(u32(len(v)) for v in p) if kind in ("list", "map") else b""
    if kind == "list":
        return lengths + stream([item for v in p for item in v], parameter(t))
    if kind == "fixed_list":
        n, item_type = parameter(t)
        assert all(len(v) == n for v in p)
        return stream([item for v in p for item in v], item_type)
    if kind == "struct":
        return b"".join(stream([v[i] for v in p], field[1]) for i, field in enumerate(parameter(t)))
    if kind == "map":
        key_type, value_type = parameter(t)
        keys = [pair[0] for v in p for pair in v]
        if any(key is None for key in keys):
            raise Refused("VAL-5", "a map key is null")
        return lengths + stream(keys, key_type) + stream([pair[1] for v in p for pair in v], value_type)
    assert kind == "extension", kind
    return _stream_present(p, parameter(t)[2])


def column_digest(values: Sequence[Value], t: Type) -> bytes:
    """The digest of a column (VAL-1)."""
    check_type(t)
    text = encode(t)
    return digest("column", u32(len(text)) + text + stream(values, t))


def fragment_oid(schema: Schema, columns: Sequence[Sequence[Value]], rows: int | None = None) -> str:
    """The oid of a fragment (VAL-2)."""
    rows = len(columns[0]) if rows is None else rows
    assert len(columns) == len(schema)
    assert all(len(column) == rows for column in columns)
    digests = [column_digest(column, field[1]) for column, field in zip(columns, schema, strict=True)]
    return fragment_oid_of(schema_digest(schema), rows, digests)


def fragment_oid_of(schema: bytes, rows: int, columns: Sequence[bytes]) -> str:
    """The oid of a fragment from the digests of its schema and columns (VAL-2)."""
    return oid("fragment", schema + u64(rows) + b"".join(columns))
