"""JSON values, as Python has them, to arrays of a declared type. Numbers keep their text, so that no digit is lost."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

import pyarrow as pa


class Number(str):
    """A number as it was written."""


def parse(text: str) -> Any:
    """Raises ValueError for what is not JSON."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def values_of(values: list[Any], kind: pa.DataType, how: str | None = None) -> pa.Array:
    """An array of them; binary ones within others are base64. Raises ValueError for one that does not fit."""
    t = pa.types
    if t.is_struct(kind):
        return _structs(values, kind)
    if t.is_map(kind):
        return _maps(values, kind)
    if t.is_nested(kind):
        return _lists(values, kind)
    from dpkg.arrow.readers.declared import converter

    array = converter(kind, how)(pa.array([_text(v, kind) for v in values], pa.string()))
    if array is None:
        raise ValueError(f"not all are {kind}")
    return array


def _inner(values: list[Any], kind: pa.DataType) -> pa.Array:
    t = pa.types
    binary = t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind)
    return values_of(values, kind, "base64" if binary else None)


def _text(value: Any, kind: pa.DataType) -> str | None:
    if isinstance(value, bool) and (pa.types.is_boolean(kind) or pa.types.is_string(kind)):
        return "true" if value else "false"
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{type(value).__name__} for {kind}")


def _mask(values: list[Any]) -> pa.Array | None:
    return pa.array([v is None for v in values], pa.bool_()) if None in values else None


def _structs(values: list[Any], kind: Any) -> pa.Array:
    names = {field.name for field in kind}
    for value in values:
        if value is not None and not (isinstance(value, dict) and value.keys() <= names):
            raise ValueError(f"not an object with the members {sorted(names)}")
    children = [_inner([None if v is None else v.get(f.name) for v in values], f.type) for f in kind]
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=_mask(values))


def _check_lists(values: list[Any]) -> list[Any]:
    if not all(v is None or isinstance(v, list) for v in values):
        raise ValueError("not an array")
    return [item for v in values if v is not None for item in v]


def _offsets(values: list[Any], kind: pa.DataType) -> pa.Array:
    width = pa.int64() if pa.types.is_large_list(kind) else pa.int32()
    return pa.array([0, *accumulate(0 if v is None else len(v) for v in values)], width)


def _lists(values: list[Any], kind: Any) -> pa.Array:
    items = _check_lists(values)
    if pa.types.is_fixed_size_list(kind):
        if any(v is not None and len(v) != kind.list_size for v in values):
            raise ValueError(f"not {kind.list_size} items")
        items = [item for v in values for item in (v if v is not None else [None] * kind.list_size)]
        return pa.FixedSizeListArray.from_arrays(_inner(items, kind.value_type), type=kind, mask=_mask(values))
    made = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    return made.from_arrays(_offsets(values, kind), _inner(items, kind.value_type), type=kind, mask=_mask(values))


def _maps(values: list[Any], kind: Any) -> pa.Array:
    """From objects, or from arrays of pairs of key and value."""
    pairs = [list(map(list, v.items())) if isinstance(v, dict) else v for v in values]
    flat = _check_lists(pairs)
    if any(not isinstance(pair, list) or len(pair) != 2 or pair[0] is None for pair in flat):
        raise ValueError("not pairs of key and value")
    keys, items = _inner([p[0] for p in flat], kind.key_type), _inner([p[1] for p in flat], kind.item_type)
    return pa.MapArray.from_arrays(_offsets(pairs, kind), keys, items, type=kind, mask=_mask(values))
