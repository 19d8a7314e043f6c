"""The Arrow forms of plain values: `spell` chooses a field for a type, `build` makes an array of it, `plain` reads one.

Everything that must not matter is made to differ: dictionaries, run ends, views, large forms, seconds, widths of
decimals, slices at odd offsets, garbage below nulls and outside of slices, nullability, names of children, metadata.
"""

from __future__ import annotations

import base64
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from strategies import FLOATS, GARBAGE, INTS, Plain, cuts, kind, param, storage

_UNIT = {"ms": 10**3, "us": 10**6, "ns": 10**9}
NULL_KEYS = int(pa.__version__.split(".")[0]) > 25  # Arrow 25 aborts on null keys of maps, also where a null hides them


def arrow_type(t: Any) -> pa.DataType:
    """The Arrow type that spec/types.md gives a flat canonical type."""
    k = kind(t)
    if k in INTS or k in FLOATS:
        return getattr(pa, k)()
    if k == "decimal":
        return (pa.decimal128 if param(t)[0] <= 38 else pa.decimal256)(*param(t))
    if k == "fixed_binary":
        return pa.binary(param(t))
    if k in ("timestamp", "duration"):
        return getattr(pa, k)(*(param(t) if k == "timestamp" else [param(t)]))
    plain = {"null": pa.null(), "bool": pa.bool_(), "utf8": pa.string(), "binary": pa.binary(), "date": pa.date32()}
    return plain.get(k) or {"time_ms": pa.time32("ms"), "time_us": pa.time64("us"), "time_ns": pa.time64("ns")}[k]


def returned(name: str, t: Any) -> pa.Field:
    """The field that a reader returns, by the table of spec/types.md."""
    k = kind(t)
    if k == "list":
        return pa.field(name, pa.list_(returned("item", param(t))))
    if k == "fixed_list":
        return pa.field(name, pa.list_(returned("item", param(t)[1]), param(t)[0]))
    if k == "struct":
        return pa.field(name, pa.struct([returned(n, i) for n, i in param(t)]))
    if k == "map":
        key, item = param(t)
        return pa.field(name, pa.map_(returned("key", key).with_nullable(False), returned("value", item)))
    if k == "extension":
        return _extension_field(name, t, returned(name, param(t)[2]).type, True)
    return pa.field(name, arrow_type(t))


KNOWN = {
    "arrow.uuid": lambda s: pa.uuid(),
    "arrow.json": pa.json_,
    "arrow.bool8": lambda s: pa.bool8(),
    "arrow.fixed_shape_tensor": lambda s: pa.fixed_shape_tensor(s.value_type, [2, 1]),
    "arrow.opaque": lambda s: pa.opaque(s, "t", "v"),
}


def _extension_field(name: str, t: Any, below: pa.DataType, registered: bool) -> pa.Field:
    ext, meta, _ = param(t)
    if registered and ext in KNOWN:
        return pa.field(name, KNOWN[ext](below))
    return pa.field(
        name, below, metadata={"ARROW:extension:name": ext, "ARROW:extension:metadata": base64.b64decode(meta)}
    )


# --------------------------------------------------------------------------------------------------------------- spell


def spell(rng: random.Random, name: str, t: Any, values: list[Any]) -> pa.Field:
    """A field that may hold these values and whose canonical type is `t`."""
    k = kind(t)
    if k == "extension":
        below = returned(name, param(t)[2]).type
        if rng.random() < 0.5 and param(t)[0] not in KNOWN:
            below = spell(rng, name, param(t)[2], values).type
        return _extension_field(name, t, below, rng.random() < 0.6)
    made = (
        _spell_nested(rng, k, t, values)
        if k in ("list", "fixed_list", "struct", "map")
        else _spell_flat(rng, k, t, values)
    )
    nested = k in ("list", "fixed_list", "struct", "map")  # of these Arrow can hardly make dictionaries and runs itself
    if made != pa.null() and not nested and rng.random() < 0.4:
        wide = pa.int32()
        if rng.random() < 0.5:
            made = pa.run_end_encoded(rng.choice([pa.int16(), wide, pa.int64()]), made)
        else:
            made = pa.dictionary(
                rng.choice([pa.int8() if len(values) < 50 else wide, pa.uint16(), wide]), made, rng.random() < 0.3
            )
    nullable = (
        pa.types.is_run_end_encoded(made) or made == pa.null() or any(v is None for v in values) or rng.random() < 0.7
    )
    return pa.field(name, made, nullable=nullable, metadata=rng.choice([None, {"unit": "m"}]))


def _spell_nested(rng: random.Random, k: str, t: Any, values: list[Any]) -> pa.DataType:
    present = [v for v in values if v is not None]
    if k == "struct":
        return pa.struct([spell(rng, n, i, [v[at] for v in present]) for at, (n, i) in enumerate(param(t))])
    if k == "map":
        key, item = param(t)
        kf = spell(rng, rng.choice(["key", "k"]), key, [e[0] for v in present for e in v]).with_nullable(False)
        return pa.map_(
            kf, spell(rng, rng.choice(["value", "v"]), item, [e[1] for v in present for e in v]), rng.random() < 0.2
        )
    inner = param(t) if k == "list" else param(t)[1]
    item = spell(rng, rng.choice(["item", "element", "x"]), inner, [e for v in present for e in v])
    if k == "fixed_list":
        return pa.list_(item, param(t)[0])
    return rng.choice([pa.list_, pa.large_list, pa.list_view, pa.large_list_view])(item)


def _spell_flat(rng: random.Random, k: str, t: Any, values: list[Any]) -> pa.DataType:
    whole = all(v is None or v % 1000 == 0 for v in values) if k in ("time_ms", "timestamp", "duration") else False
    unit = "s" if whole and rng.random() < 0.7 else ""
    if k == "utf8":
        return rng.choice([pa.string(), pa.large_string(), pa.string_view()])
    if k == "binary":
        return rng.choice([pa.binary(), pa.large_binary(), pa.binary_view()])
    if k == "date":
        return rng.choice([pa.date32(), pa.date64()])
    if k == "time_ms" and unit:
        return pa.time32(unit)
    if k == "timestamp" and unit and param(t)[0] == "ms":
        return pa.timestamp(unit, *param(t)[1:])
    if k == "duration" and unit and param(t) == "ms":
        return pa.duration(unit)
    if k == "decimal":
        limits = {9: pa.decimal32, 18: pa.decimal64, 38: pa.decimal128, 76: pa.decimal256}
        return rng.choice([made for p, made in limits.items() if param(t)[0] <= p])(*param(t))
    return arrow_type(t)


# --------------------------------------------------------------------------------------------------------------- build


def build(rng: random.Random, made: pa.DataType, t: Any, values: list[Any]) -> pa.Array:
    """An array of the Arrow type `made` that holds these values of `t`, somewhere in the middle of a longer one."""
    if isinstance(made, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(made, build(rng, made.storage_type, storage(t), values))
    t = storage(t)
    before, after = (rng.choice([0, 0, 1, 3, 9]) for _ in range(2))
    hidden = [GARBAGE] * before + values + [GARBAGE] * after
    return _exact(rng, made, t, hidden).slice(before, len(values))


def _exact(rng: random.Random, made: pa.DataType, t: Any, values: list[Any]) -> pa.Array:
    p = pa.types
    if p.is_dictionary(made):
        return _dictionary(rng, made, t, values)
    if p.is_run_end_encoded(made):
        return _run_ends(rng, made, t, values)
    if p.is_null(made):
        return pa.nulls(len(values))
    if p.is_struct(made):
        return _struct(rng, made, t, values)
    if p.is_fixed_size_list(made):
        size = made.list_size
        rows = [[GARBAGE] * size if v is None or v is GARBAGE else v for v in values]
        child = build(rng, made.value_type, param(t)[1], [e for row in rows for e in row])
        return pa.Array.from_buffers(made, len(values), [_validity(rng, values)], children=[child])
    if p.is_list_view(made) or p.is_large_list_view(made):
        return _list_view(rng, made, t, values)
    if p.is_map(made) or p.is_list(made) or p.is_large_list(made):
        return _list(rng, made, t, values)
    if p.is_string_view(made) or p.is_binary_view(made):
        return pa.array([b"garbage" if v is GARBAGE else v for v in values], made)
    return _flat_array(rng, made, t, values)


def _validity(rng: random.Random, values: list[Any]) -> pa.Buffer | None:
    bits = [v is not None for v in values]
    if all(bits) and rng.random() < 0.5:
        return None
    return pa.py_buffer(np.packbits(np.array(bits, bool), bitorder="little").tobytes() + b"\xff")


def _dictionary(rng: random.Random, made: Any, t: Any, values: list[Any]) -> pa.Array:
    pool: list[Any] = []
    for v in values:
        if v is not None and v is not GARBAGE and (v not in pool or rng.random() < 0.2):
            pool.append(v)
    rng.shuffle(pool)
    hole = len(pool) if rng.random() < 0.3 else None  # a null in the dictionary
    indices = []
    for v in values:
        same = [i for i, x in enumerate(pool) if repr(x) == repr(v)]
        indices.append(rng.choice(same) if same else rng.choice([None, hole]) if v is None else len(pool) + 1)
    inner = build(rng, made.value_type, t, [*pool, None, GARBAGE])
    return pa.DictionaryArray.from_arrays(pa.array(indices, made.index_type), inner, ordered=made.ordered)


def _run_ends(rng: random.Random, made: Any, t: Any, values: list[Any]) -> pa.Array:
    ends: list[int] = []
    runs: list[Any] = []
    for i, v in enumerate(values):
        if runs and repr(runs[-1]) == repr(v) and rng.random() < 0.8:
            ends[-1] = i + 1
        else:
            ends.append(i + 1)
            runs.append(v)
    inner = build(rng, made.value_type, t, runs)
    return pa.Array.from_buffers(made, len(values), [None], children=[pa.array(ends, made.run_end_type), inner])


def _struct(rng: random.Random, made: Any, t: Any, values: list[Any]) -> pa.Array:
    children = []
    for i, (_, item) in enumerate(param(t)):
        column = [GARBAGE if v is None or v is GARBAGE else v[i] for v in values]
        children.append(build(rng, made.field(i).type, item, column))
    return pa.Array.from_buffers(made, len(values), [_validity(rng, values)], children=children)


def _list_view(rng: random.Random, made: Any, t: Any, values: list[Any]) -> pa.Array:
    order = list(range(len(values)))
    rng.shuffle(order)
    offsets, sizes, elements = [0] * len(values), [0] * len(values), [GARBAGE]
    for i in order:
        row = [GARBAGE] * rng.randint(0, 2) if values[i] is None or values[i] is GARBAGE else values[i]
        offsets[i], sizes[i] = len(elements), len(row)
        elements += row
    child = build(rng, made.value_type, param(t), elements)
    kind_ = np.int32 if pa.types.is_list_view(made) else np.int64
    buffers = [_validity(rng, values), *(pa.py_buffer(np.array(x, kind_)) for x in (offsets, sizes))]
    return pa.Array.from_buffers(made, len(values), buffers, children=[child])


def _list(rng: random.Random, made: Any, t: Any, values: list[Any]) -> pa.Array:
    is_map = pa.types.is_map(made)
    most = 0 if is_map and not NULL_KEYS else 2
    rows = [[GARBAGE] * rng.randint(0, most) if v is None or v is GARBAGE else v for v in values]
    lead = [GARBAGE] * rng.randint(0, most)
    elements = [*lead, *(e for row in rows for e in row), *lead]
    offsets = np.cumsum([len(lead), *(len(row) for row in rows)]).astype(
        np.int64 if pa.types.is_large_list(made) else np.int32
    )
    if is_map:
        fields = [made.key_field, made.item_field]
        parts = [[e if e is GARBAGE else e[i] for e in elements] for i in (0, 1)]
        arrays = [build(rng, f.type, x, part) for f, x, part in zip(fields, param(t), parts, strict=True)]
        assert NULL_KEYS or arrays[0].null_count == 0  # Arrow 25 aborts also where nobody has counted them yet
        child = pa.Array.from_buffers(pa.struct(fields), len(elements), [None], children=arrays)
    else:
        child = build(rng, made.value_type, param(t), elements)
    return pa.Array.from_buffers(made, len(values), [_validity(rng, values), pa.py_buffer(offsets)], children=[child])


def _flat_array(rng: random.Random, made: Any, t: Any, values: list[Any]) -> pa.Array:
    p = pa.types
    if p.is_boolean(made):
        bits = [rng.random() < 0.5 if v is None or v is GARBAGE else v for v in values]
        data = pa.py_buffer(np.packbits(np.array(bits, bool), bitorder="little").tobytes() + b"\xff")
        return pa.Array.from_buffers(made, len(values), [_validity(rng, values), data])
    if p.is_string(made) or p.is_large_string(made) or p.is_binary(made) or p.is_large_binary(made):
        cells = [
            rng.choice([b"", b"\xff\xfe"]) if v is None or v is GARBAGE else v.encode() if isinstance(v, str) else v
            for v in values
        ]
        lead = rng.choice([b"", b"\xffjunk"])
        wide = p.is_large_string(made) or p.is_large_binary(made)
        offsets = np.cumsum([len(lead), *(len(c) for c in cells)]).astype(np.int64 if wide else np.int32)
        buffers = [_validity(rng, values), pa.py_buffer(offsets), pa.py_buffer(lead + b"".join(cells) + b"tail")]
        return pa.Array.from_buffers(made, len(values), buffers)
    width = made.bit_width // 8
    data = b"".join(rng.randbytes(width) if v is None or v is GARBAGE else _fixed(made, t, v, width) for v in values)
    return pa.Array.from_buffers(made, len(values), [_validity(rng, values), pa.py_buffer(data)])


def _fixed(made: Any, t: Any, v: Any, width: int) -> bytes:
    if isinstance(v, bytes):
        return v
    if getattr(made, "unit", "") == "s":
        v //= 1000
    if pa.types.is_date64(made):
        v *= 86_400_000
    return int(v).to_bytes(width, "little", signed=kind(t) not in FLOATS and not kind(t).startswith("uint"))


def batches(rng: random.Random, table: Plain) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """The table as a stream of record batches of one schema, in any form."""
    fields = [spell(rng, n, t, c) for (n, t), c in zip(table.schema, table.columns, strict=True)]
    schema = pa.schema(fields, metadata=rng.choice([None, {"pandas": "{}"}]))
    out = []
    for start, stop in cuts(rng, table.rows):
        part = table.slice(start, stop)
        arrays = [build(rng, f.type, t, c) for f, (_, t), c in zip(fields, part.schema, part.columns, strict=True)]
        out.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return schema, out


# --------------------------------------------------------------------------------------------------------------- plain


def plain(array: Any, t: Any) -> list[Any]:
    """The values of an array of the Arrow type that a reader returns."""
    if isinstance(array, pa.ChunkedArray):
        return [v for chunk in array.chunks for v in plain(chunk, t)]
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    t = storage(t)
    k = kind(t)
    valid = array.is_valid().to_pylist()
    return [v if ok else None for v, ok in zip(_plain(array, t, k), valid, strict=True)]


def _plain(array: Any, t: Any, k: str) -> list[Any]:
    n, offset = len(array), array.offset
    if k in ("null", "bool", "utf8", "binary"):
        return array.to_pylist()
    if k == "struct":
        columns = [plain(array.field(i), item) for i, (_, item) in enumerate(param(t))]
        return [list(row) for row in zip(*columns, strict=True)]
    if k == "fixed_list":
        size, items = param(t)[0], plain(array.values, param(t)[1])
        return [items[i * size : (i + 1) * size] for i in range(offset, offset + n)]
    if k in ("list", "map"):
        if k == "map":
            keys, values = plain(array.keys, param(t)[0]), plain(array.items, param(t)[1])
            items: list[Any] = [list(e) for e in zip(keys, values, strict=True)]
        else:
            items = plain(array.values, param(t))
        at = array.offsets.to_pylist()
        return [items[a:b] for a, b in pairwise(at)]
    width = array.type.bit_width // 8
    raw = array.buffers()[1].to_pybytes() if n else b""
    cells = [raw[i * width : (i + 1) * width] for i in range(offset, offset + n)]
    if k == "fixed_binary":
        return cells
    signed = k not in FLOATS and not k.startswith("uint")
    return [int.from_bytes(c, "little", signed=signed) for c in cells]
