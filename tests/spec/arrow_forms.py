"""Arrow arrays from plain values (reader.py) in the forms that data arrives in, and plain values from Arrow arrays.

It knows the types of spec/types.md on its own: nothing here is taken from dpkg.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

Json = Any
WIDTHS = {"date": 32, "time_ms": 32, "time_us": 64, "time_ns": 64, "timestamp": 64, "duration": 64}
BITS = {"float16": pa.uint16(), "float32": pa.uint32(), "float64": pa.uint64()}
FLAT: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for bits in (8, 16, 32, 64) for sign in ("", "u")},
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "utf8": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time_ms": pa.time32("ms"),
    "time_us": pa.time64("us"),
    "time_ns": pa.time64("ns"),
}


class Extension(pa.ExtensionType):
    """An extension type that Arrow does not have registered; `extension_type` makes one of any name."""

    NAME = ""

    def __init__(self, storage: pa.DataType, data: bytes) -> None:
        self._data = data
        super().__init__(storage, self.NAME)

    def __arrow_ext_serialize__(self) -> bytes:
        return self._data

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, data: bytes) -> Extension:
        return cls(storage, data)


@cache
def _class_named(name: str) -> type[Extension]:
    return type("Named", (Extension,), {"NAME": name})


def extension_type(name: str, data: bytes, storage: pa.DataType) -> pa.BaseExtensionType:
    """The extension type of a name, metadata and storage: Arrow's own where there is one."""
    built_in = {"arrow.uuid": pa.uuid, "arrow.json": pa.json_}.get(name)
    return built_in() if built_in else _class_named(name)(storage, data)


@dataclass(frozen=True)
class Form:
    """How values are spelled in Arrow, at every depth."""

    large: bool = False  # large_string, large_list, decimal256
    view: bool = False  # string_view, list_view
    coded: str = ""  # flat values "dictionary" or "run_end" encoded
    small: bool = False  # decimal32 and 64, seconds and date64 where they can say it, maps said to be sorted
    junk: int = 0  # so many values before and after, cut off by an offset, and other values under nulls
    names: bool = False  # other child names, not nullable where no null is, metadata of no meaning
    typed: bool = False  # extensions as Arrow types, not as metadata of fields


FORMS = {
    "plain": Form(),
    "large": Form(large=True),
    "view": Form(view=True),
    "dictionary": Form(coded="dictionary"),
    "large dictionary": Form(large=True, coded="dictionary", junk=3),
    "run-end": Form(coded="run_end"),
    "run-end slices": Form(coded="run_end", junk=2),
    "small": Form(small=True),
    "slices and junk": Form(junk=3),
    "view slices": Form(view=True, junk=5),
    "names": Form(names=True, typed=True),
    "typed": Form(typed=True, junk=1),
}


def kind_of(t: Json) -> tuple[str, Any]:
    """The first word of a type, and what stands behind it."""
    return (t, None) if isinstance(t, str) else next(iter(t.items()))


def column(name: str, values: Sequence[Any], t: Json, form: Form = FORMS["plain"]) -> tuple[pa.Field, pa.Array]:
    """A column of values, and its field."""
    array = _sliced(values, t, form)
    return _field(name, array, t, form), array


def batch(
    schema: Json, columns: Sequence[Sequence[Any]], form: Form = FORMS["plain"]
) -> pa.RecordBatch:  # with the schema that has the fields' metadata
    """A table as one record batch."""
    parts = [column(name, values, t, form) for (name, t), values in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays([array for _, array in parts], schema=pa.schema([field for field, _ in parts]))


def _field(name: str, array: pa.Array, t: Json, form: Form) -> pa.Field:
    kind, p = kind_of(t)
    metadata: dict[str | bytes, str | bytes] = {"nothing": "of meaning"} if form.names else {}
    if kind == "extension" and not isinstance(array.type, pa.BaseExtensionType):
        data = base64.b64decode(p[1])
        metadata |= {"ARROW:extension:name": p[0], "ARROW:extension:metadata": data}
    nullable = not form.names or array.null_count > 0 or array.type == pa.null()
    return pa.field(name, array.type, nullable, metadata or None)


def _sliced(values: Sequence[Any], t: Json, form: Form) -> pa.Array:
    """The array, cut out of a longer one if the form says so."""
    if not form.junk:
        return _array(values, t, form)
    junk = [value for value in values if value is not None][:1] * form.junk
    return _array([*junk, *values, *junk], t, form).slice(len(junk), len(values))


def _array(values: Sequence[Any], t: Json, form: Form) -> pa.Array:
    kind, p = kind_of(t)
    if kind == "extension":
        return _extension(values, p, form)
    if kind in ("list", "fixed_list", "struct", "map"):
        return _nested(values, t, form)
    array = _small(values, t) if form.small else None
    if array is None:
        array = _flat(values, t, form)
    if form.coded == "dictionary" and kind != "null":
        return _dictionary(array)
    if form.coded == "run_end" and len(array) and kind != "null":
        return _run_ends(array)
    return array


def _flat(values: Sequence[Any], t: Json, form: Form) -> pa.Array:
    kind, p = kind_of(t)
    if kind in BITS:
        return pa.array(values, BITS[kind]).view(FLAT[kind])
    if kind in WIDTHS:
        flat = {"timestamp": lambda: pa.timestamp(*p), "duration": lambda: pa.duration(p)}
        wanted = flat[kind]() if kind in flat else FLAT[kind]
        return pa.array(values, pa.int32() if WIDTHS[kind] == 32 else pa.int64()).view(wanted)
    if kind == "decimal":
        return _decimal(values, p, 32 if p[0] > 38 or form.large else 16)
    if kind == "fixed_binary":
        return pa.array(values, pa.binary(p))
    wide = {"utf8": (pa.large_string(), pa.string_view()), "binary": (pa.large_binary(), pa.binary_view())}
    if kind in wide and (form.large or form.view):
        return pa.array(values, wide[kind][form.view])
    return pa.array(values, FLAT[kind])


def _decimal(values: Sequence[int | None], p: Json, width: int) -> pa.Array:
    made = {4: pa.decimal32, 8: pa.decimal64, 16: pa.decimal128, 32: pa.decimal256}[width](*p)
    data = b"".join((v or 0).to_bytes(width, "little", signed=True) for v in values)
    return pa.Array.from_buffers(made, len(values), [_validity(values), pa.py_buffer(data)])


def _small(values: Sequence[Any], t: Json) -> pa.Array | None:
    """A smaller or coarser Arrow type that says the same, or None where there is none."""
    kind, p = kind_of(t)
    if kind == "decimal" and p[0] <= 18:
        return _decimal(values, p, 4 if p[0] <= 9 else 8)
    factor = 86_400_000 if kind == "date" else 1000
    if kind == "date":
        coarse, width = pa.date64(), pa.int64()
        scaled = [v if v is None else v * factor for v in values]
        return pa.array(scaled, width).view(coarse)
    if any(v is not None and v % factor for v in values) if kind in WIDTHS else True:
        return None
    seconds = [v if v is None else v // factor for v in values]
    if kind == "time_ms":
        return pa.array(seconds, pa.int32()).view(pa.time32("s"))
    if kind == "timestamp" and p[0] == "ms":
        return pa.array(seconds, pa.int64()).view(pa.timestamp("s", *p[1:]))
    if kind == "duration" and p == "ms":
        return pa.array(seconds, pa.int64()).view(pa.duration("s"))
    return None


def _dictionary(array: pa.Array) -> pa.Array:
    """The array, dictionary encoded, with the dictionary turned round and a null value in it."""
    n = len(array)
    index = pa.array([None if i % 2 and not array[i].is_valid else n - 1 - i for i in range(n)], pa.int16())
    return pa.DictionaryArray.from_arrays(index, array[::-1])


def _run_ends(array: pa.Array) -> pa.Array:
    """The array, run-end encoded, a run for each value."""
    return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(array) + 1), pa.int32()), array)


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    present = [value is not None for value in values]
    return None if all(present) else pa.py_buffer(np.packbits(present, bitorder="little").tobytes())


def _extension(values: Sequence[Any], p: Json, form: Form) -> pa.Array:
    storage = _array(values, p[2], form)
    if not form.typed:
        return storage
    wanted = extension_type(p[0], base64.b64decode(p[1]), storage.type)
    return pa.ExtensionArray.from_storage(wanted, storage)


def _nested(values: Sequence[Any], t: Json, form: Form) -> pa.Array:
    kind, p = kind_of(t)
    mask = pa.array([value is None for value in values]) if any(value is None for value in values) else None
    if kind == "struct":
        # under a null lies what the row before holds
        filled = _filled(values, [None] * len(p), form)
        items = [_sliced([row[i] for row in filled], item, form) for i, (_, item) in enumerate(p)]
        fields = [_field(name, array, item, form) for (name, item), array in zip(p, items, strict=True)]
        return pa.StructArray.from_arrays(items, fields=fields, mask=mask)
    if kind == "fixed_list":
        n, item = p
        filled = _filled(values, [None] * n, form)
        child = _sliced([x for row in filled for x in row], item, form)
        wanted = pa.list_(_child("item", child, item, form), n)
        return pa.FixedSizeListArray.from_arrays(child, type=wanted, mask=mask)
    filled = _filled(values, [], form)
    offsets = [0, *accumulate(map(len, filled))]
    items = [x for row in filled for x in row]
    if kind == "map":
        keys, entries = (_sliced([pair[i] for pair in items], p[i], form) for i in (0, 1))
        key_field = _field("key", keys, p[0], form).with_nullable(False)
        wanted = pa.map_(key_field, _child("value", entries, p[1], form), keys_sorted=form.small)
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, entries, type=wanted, mask=mask)
    return _list(offsets, _sliced(items, p, form), p, mask, form)


def _list(offsets: list[int], child: pa.Array, item: Json, mask: pa.Array | None, form: Form) -> pa.Array:
    field = _child("item", child, item, form)
    width = pa.int64() if form.large else pa.int32()
    starts = pa.array(offsets, width)
    if form.view:
        made, wanted = (pa.LargeListViewArray, pa.large_list_view) if form.large else (pa.ListViewArray, pa.list_view)
        sizes = pa.array(np.diff(offsets), width)
        return made.from_arrays(starts[:-1], sizes, child, type=wanted(field), mask=mask)
    if form.large:
        return pa.LargeListArray.from_arrays(starts, child, type=pa.large_list(field), mask=mask)
    return pa.ListArray.from_arrays(starts, child, type=pa.list_(field), mask=mask)


def _child(name: str, array: pa.Array, t: Json, form: Form) -> pa.Field:
    return _field("other" if form.names else name, array, t, form)


def _filled(values: Sequence[Any], empty: list[Any], form: Form) -> list[Any]:
    """Values with something in the place of each null: empty, or the value before if the form wants junk."""
    out: list[Any] = []
    for value in values:
        out.append(value if value is not None else out[-1] if form.junk and out else empty)
    return out


# ------------------------------------------------------------------------------------------------------- plain values


def values_of(array: pa.Array, t: Json) -> list[Any]:
    """The plain values of an array that is in the first Arrow form of its type, or has its extensions."""
    kind, p = kind_of(t)
    if kind == "extension":
        return values_of(array.storage if isinstance(array, pa.ExtensionArray) else array, p[2])
    present = [scalar.is_valid for scalar in array]
    if kind in BITS:
        values = array.view(BITS[kind]).to_pylist()
    elif kind in WIDTHS:
        values = array.view(pa.int32() if WIDTHS[kind] == 32 else pa.int64()).to_pylist()
    elif kind == "decimal":
        width = 16 if p[0] <= 38 else 32
        raw = array.view(pa.binary(width)).to_pylist()
        values = [v if v is None else int.from_bytes(v, "little", signed=True) for v in raw]
    elif kind == "struct":
        items = [values_of(array.field(i), item) for i, (_, item) in enumerate(p)]
        values = [list(row) for row in zip(*items, strict=True)]
    elif kind in ("list", "fixed_list"):
        values = [values_of(s.values, p if kind == "list" else p[1]) if s.is_valid else None for s in array]
    elif kind == "map":
        pair = {"struct": [["key", p[0]], ["value", p[1]]]}
        values = [values_of(s.values, pair) if s.is_valid else None for s in array]
    else:
        values = array.to_pylist()
    return [value if there else None for value, there in zip(values, present, strict=True)]
