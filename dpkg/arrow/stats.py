"""Statistics rows: min, max and null count of each column of a fragment (spec/index.md, IDX-6 to IDX-8)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS

CUT = 32  # bytes of a string that a bound keeps
_SURROGATES = range(0xD800, 0xE000)
_INTS = {"date": pa.int32(), "time_ms": pa.int32()} | dict.fromkeys(
    ("time_us", "time_ns", "timestamp", "duration"), pa.int64()
)


def stats_type(t: Type) -> Type | None:
    """S of IDX-6: the type of `min` and `max`, or None where a column has none."""
    if t.items or t.kind == "null":
        return None
    return Type("binary") if t.kind == "fixed_binary" else t


def stats_schema(schema: Schema) -> Schema:
    """The schema of a table's statistics fragments."""
    types = []
    for t in schema.types:
        bound = stats_type(t)
        fields = [("min", bound), ("max", bound)] if bound else []
        names, items = zip(*[*fields, ("nulls", Type("int64"))], strict=True)
        types.append(Type("struct", names=names, items=items))
    return Schema(schema.names, tuple(types))


StatsRow = list[dict[str, Any]]  # for each column {"min": scalar, "max": scalar, "nulls": int}


def stats_row(columns: list[pa.Array], schema: Schema, occurring: dict[int, pa.Array] | None = None) -> StatsRow:
    """The statistics of one fragment's columns (plain arrays). `occurring`, by place: the values in a column of few."""
    out = []
    for i, (array, t) in enumerate(zip(columns, schema.types, strict=True)):
        row: dict[str, Any] = {"nulls": array.null_count if t.storage.kind != "null" else len(array)}
        bound = stats_type(t)
        if bound:
            row["min"], row["max"] = _bounds((occurring or {}).get(i, array), t, bound.plain)
        out.append(row)
    return out


def stats_batch(rows: list[StatsRow], schema: Schema) -> pa.RecordBatch:
    """Statistics rows as one plain batch of `stats_schema(schema)`."""
    made = stats_schema(schema)
    columns = []
    for i, t in enumerate(made.types):
        items = [pa.array([r[i][n] for r in rows], it.plain) for n, it in zip(t.names, t.items, strict=True)]
        columns.append(pa.StructArray.from_arrays(items, fields=list(t.plain)))
    return pa.RecordBatch.from_arrays(columns, schema=made.plain)


def _bounds(array: pa.Array, t: Type, plain: pa.DataType) -> tuple[Any, Any]:
    """(min, max) as scalars or Python values that pa.array takes for the bound's type; None where there is none."""
    if array.null_count == len(array):
        return None, None
    if t.kind in FLOATS:
        return _floats(array.drop_null().to_numpy())
    if t.kind in ("utf8", "binary", "fixed_binary"):
        found = pc.min_max(array.cast(pa.binary()) if t.kind == "fixed_binary" else array)
        return _strings(found["min"].as_py(), found["max"].as_py())
    if t.kind in _INTS:
        found = pc.min_max(array.view(_INTS[t.kind]))
        return found["min"].cast(plain), found["max"].cast(plain)
    found = pc.min_max(array)
    return found["min"], found["max"]


def _floats(values: Any) -> tuple[Any, Any]:
    """In the total order: -0.0 before 0.0, NaN last."""
    nan = np.isnan(values)
    most = values[nan][:1] if nan.any() else values.max(keepdims=True)
    numbers = values[~nan] if nan.any() else values
    least = numbers.min(keepdims=True) if len(numbers) else most
    return _zero(least, numbers, signed=True), _zero(most, numbers, signed=False)


def _zero(bound: Any, numbers: Any, *, signed: bool) -> Any:
    """A bound as a scalar; a zero gets the sign that the order asks for, of those that are there."""
    if bound[0] != 0:
        return bound[0]
    signs = np.signbit(numbers[numbers == 0])
    negative = signs.any() if signed else signs.all()
    return bound.dtype.type(-0.0 if negative else 0.0)


def _strings(least: Any, most: Any) -> tuple[Any, Any]:
    if isinstance(least, bytes):
        return least[:CUT], most if len(most) <= CUT else _raise_bytes(most[:CUT])
    cut = least.encode()[:CUT].decode(errors="ignore")
    if len(most.encode()) <= CUT:
        return cut, most
    return cut, _raise_text(most.encode()[:CUT].decode(errors="ignore"))


def _raise_bytes(prefix: bytes) -> bytes | None:
    prefix = prefix.rstrip(b"\xff")
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def _raise_text(prefix: str) -> str | None:
    prefix = prefix.rstrip("\U0010ffff")
    if not prefix:
        return None
    code = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)
