"""From any Arrow array to the plain form of its canonical type, and from that to what readers get (spec/types.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type
from dpkg.errors import Format

DAY_MS = 86_400_000
MAX_BATCH = 1 << 28  # bytes; larger batches are cut first, so that 32-bit offsets suffice


def normalise(batch: pa.RecordBatch, schema: Schema) -> Iterator[pa.RecordBatch]:
    """A record batch as batches of `schema.plain`. Raises Format, naming the column, for values that are refused."""
    if batch.num_rows > 1 and decoded_size(batch) > MAX_BATCH:
        half = batch.num_rows // 2
        yield from normalise(batch.slice(0, half), schema)
        yield from normalise(batch.slice(half), schema)
        return
    columns = []
    for name, t, array in zip(schema.names, schema.types, batch.columns, strict=True):
        try:
            columns.append(to_plain(array, t))
        except (pa.ArrowException, OverflowError) as e:
            raise Format(f"column '{name}': {e}") from None
        except Format as e:
            raise Format(f"column '{name}': {e.message}", e.hint) from None
    yield pa.RecordBatch.from_arrays(columns, schema=schema.plain)


def decoded_bytes(array: pa.Array) -> int:
    """About how many bytes an array takes decoded.

    `nbytes` counts shared values of dictionaries and views once, and older Arrow refuses views at any depth.
    """
    if isinstance(array, pa.ExtensionArray):
        return decoded_bytes(array.storage)
    p, t, n = pa.types, array.type, len(array)
    if p.is_dictionary(t):
        values, at = array.dictionary, array.indices
        if _is_varying(values.type):
            return int(pc.sum(pc.binary_length(values).take(at)).as_py() or 0) + 4 * n
        return decoded_bytes(values) * n // max(len(values), 1)
    if p.is_run_end_encoded(t):
        return decoded_bytes(array.values) * n // max(len(array.values), 1)
    if p.is_string_view(t) or p.is_binary_view(t):
        return (
            int(np.frombuffer(array.buffers()[1], np.int32, 4 * n, 16 * array.offset)[::4].sum(dtype=np.int64)) + 4 * n
        )
    if p.is_struct(t):
        return sum(decoded_bytes(array.field(i)) for i in range(t.num_fields))
    if p.is_list(t) or p.is_large_list(t) or p.is_map(t):
        first, stop = (array.offsets[0].as_py(), array.offsets[-1].as_py()) if n else (0, 0)
        return decoded_bytes(array.values.slice(first, stop - first)) + 4 * n
    if p.is_fixed_size_list(t):
        return decoded_bytes(array.values.slice(array.offset * t.list_size, n * t.list_size))
    if p.is_list_view(t) or p.is_large_list_view(t):
        return decoded_bytes(array.values) * (pc.sum(array.sizes).as_py() or 0) // max(len(array.values), 1) + 4 * n
    return int(array.nbytes)


def decoded_size(batch: pa.RecordBatch) -> int:
    """About how many bytes a batch takes decoded."""
    return sum(map(decoded_bytes, batch.columns))


def _is_varying(t: pa.DataType) -> bool:
    p = pa.types
    return bool(p.is_string(t) or p.is_binary(t) or p.is_large_string(t) or p.is_large_binary(t))


def to_plain(array: pa.Array, t: Type) -> pa.Array:
    """`array` as `t.plain`: decoded, in canonical units; valid UTF-8. Raises Format or ArrowInvalid."""
    if pa.types.is_dictionary(array.type) or pa.types.is_run_end_encoded(array.type):
        return to_plain(_decoded(array, t), t)
    t = t.storage
    if isinstance(array, pa.ExtensionArray):
        return to_plain(array.storage, t)
    if t.items:
        return _nested(array, t)
    if array.type != t.plain:
        array = _narrow(array, t) if t.kind in ("utf8", "binary") else _units(array, t)
    if t.kind in ("utf8", "binary", "decimal"):
        array.validate(full=True)  # UTF-8, and digits within the precision
    return array


def _decoded(array: pa.Array, t: Type) -> pa.Array:
    """The values of a dictionary or of runs, one for each slot."""
    if pa.types.is_dictionary(array.type):
        values, at = array.dictionary, array.indices
    else:
        rows = np.arange(array.offset, array.offset + len(array))
        runs = np.searchsorted(array.run_ends.to_numpy(), rows, side="right")
        first, stop = (runs[0], runs[-1] + 1) if len(runs) else (0, 0)
        values, at = array.values.slice(first, stop - first), pa.array(runs - first)
    try:
        return take(values, at)
    except pa.ArrowException:  # Arrow takes no rows of views, nor of some lists
        return take(to_plain(values, t), at)


def _narrow(array: pa.Array, t: Type) -> pa.Array:
    forms = (pa.large_string(), pa.string_view()) if t.kind == "utf8" else (pa.large_binary(), pa.binary_view())
    if array.type not in forms:
        raise _other(array, t)
    try:
        return array.cast(t.plain)
    except pa.ArrowInvalid as e:
        if len(array) == 1 and "UTF" not in str(e):
            raise Format("a cell of 2^31 bytes or more is not supported") from None
        raise


def _other(array: pa.Array, t: Type) -> Format:
    return Format(f"a batch has values of type {array.type} where the first one has {t}", "give all batches one schema")


def _units(array: pa.Array, t: Type) -> pa.Array:
    """Seconds to milliseconds, date64 to date, decimals to their canonical width (TYPE-4)."""
    kind = array.type
    if t.kind == "date" and pa.types.is_date64(kind):
        days = pc.divide(array.cast(pa.int64()), DAY_MS)
        if not pc.all(pc.equal(pc.multiply(days, DAY_MS), array.cast(pa.int64())), min_count=0).as_py():
            raise Format("a date64 value is not a whole day", "use a timestamp column")
        return days.cast(pa.int32()).cast(t.plain)
    if t.kind in ("time_ms", "timestamp", "duration") and getattr(kind, "unit", "") == "s" and t.plain.unit == "ms":
        number = pa.int32() if t.kind == "time_ms" else pa.int64()
        return pc.multiply_checked(array.view(number), pa.scalar(1000, number)).view(t.plain)
    if t.kind == "decimal" and pa.types.is_decimal(kind) and (kind.precision, kind.scale) == t.params:
        return array.cast(t.plain)
    raise _other(array, t)


def mask_of(array: pa.Array) -> pa.Array | None:
    """Arrow's `mask=` for rebuilding a nested array: true where null, or None if nothing is."""
    return array.is_null() if array.null_count else None


def _nested(array: pa.Array, t: Type) -> pa.Array:
    """A nested array with its children made plain and nothing kept below nulls."""
    mask = mask_of(array)
    null = None if mask is None else mask.to_numpy(zero_copy_only=False)
    if t.kind == "struct":
        if not pa.types.is_struct(array.type) or array.type.num_fields != len(t.items):
            raise _other(array, t)
        items = [to_plain(_hide(array.field(i), null, it), it) for i, it in enumerate(t.items)]
        return pa.StructArray.from_arrays(items, fields=list(t.plain), mask=mask)
    if t.kind == "fixed_list":
        if not pa.types.is_fixed_size_list(array.type) or array.type.list_size != t.params[0]:
            raise _other(array, t)
        size = t.params[0]
        child = array.values.slice(array.offset * size, len(array) * size)
        item = to_plain(_hide(child, None if null is None else np.repeat(null, size), t.items[0]), t.items[0])
        return pa.FixedSizeListArray.from_arrays(item, type=t.plain, mask=mask)
    lengths, child, at = _elements(array, t)
    hidden = None
    if at is not None:
        hidden = np.ones(len(child), bool)
        hidden[at] = False
    children = [child.field(0), child.field(1)] if t.kind == "map" else [child]
    items = [to_plain(_hide(c, hidden, it), it) for c, it in zip(children, t.items, strict=True)]
    return join_list(lengths, [i if at is None else take(i, pa.array(at)) for i in items], t, mask)


def _hide(array: pa.Array, hidden: Any, t: Type) -> pa.Array:
    """The array with slots made null that no one can see, so that nothing is refused for what is in them."""
    if hidden is None:
        return array
    if pa.types.is_run_end_encoded(array.type):
        array = _decoded(array, t)
    return pa.StructArray.from_arrays([array], names=[""], mask=pa.array(hidden)).flatten()[0]


def unnest(array: pa.Array, t: Type) -> tuple[Any, list[pa.Array]]:
    """Of a plain list, fixed list or map: each slot's number of elements, 0 where null, and those of present slots."""
    if pa.types.is_fixed_size_list(array.type):
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        return lengths, [drop_null(array).flatten()]
    lengths, child, at = _elements(array, t)
    children = [child.field(0), child.field(1)] if t.kind == "map" else [child]
    return lengths, children if at is None else [take(c, pa.array(at)) for c in children]


def _elements(array: pa.Array, t: Type) -> tuple[Any, pa.Array, Any]:
    """Of a list or map: each slot's number of elements, what holds them, and at which places, in order (None: at all)."""
    p, kind = pa.types, array.type
    null = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if p.is_list(kind) or p.is_large_list(kind) or p.is_map(kind):
        offsets = array.offsets.to_numpy() if len(array) else np.zeros(1, np.int64)
        lengths, starts = np.diff(offsets), offsets[:-1]
        if null is None or not lengths[null].any():
            return lengths, array.values.slice(offsets[0], offsets[-1] - offsets[0]), None
    elif p.is_list_view(kind) or p.is_large_list_view(kind):
        lengths, starts = array.sizes.to_numpy(), array.offsets.to_numpy()
    else:
        raise _other(array, t)
    lengths = lengths.astype(np.int64) if null is None else np.where(null, 0, lengths)
    begin = np.cumsum(lengths) - lengths  # of each slot in the result
    return lengths, array.values, np.repeat(starts - begin, lengths) + np.arange(lengths.sum())


def join_list(lengths: Any, items: list[pa.Array], t: Type, mask: pa.Array | None) -> pa.Array:
    """A plain list, fixed list or map array from what `unnest` gives."""
    if t.kind == "fixed_list":
        return _spread_fixed(items[0], t, mask)
    if t.kind == "map":
        if items[0].null_count:
            raise Format("a map has a null key")
        return pa.MapArray.from_arrays(offsets_of(lengths), *items, type=t.plain, mask=mask)
    return pa.ListArray.from_arrays(offsets_of(lengths), items[0], type=t.plain, mask=mask)


def drop_null(array: pa.Array) -> pa.Array:
    """The slots that are not null."""
    return rebased(array).drop_null() if array.null_count else array


def take(array: pa.Array, at: pa.Array) -> pa.Array:
    """Rows of an array."""
    return rebased(array).take(at)


def rebased(array: pa.Array) -> pa.Array:
    """The array, fit for `take` and `filter`: Arrow takes wrong rows from slices of fixed lists of fixed lists."""
    return pa.concat_arrays([array, array.slice(0, 0)]) if _is_grid(array.type) else array


def _is_grid(t: pa.DataType) -> bool:
    """Whether fixed lists of fixed lists are anywhere in a type."""
    if isinstance(t, pa.BaseExtensionType):
        return _is_grid(t.storage_type)
    if pa.types.is_fixed_size_list(t) and pa.types.is_fixed_size_list(t.value_type):
        return True
    return any(_is_grid(t.field(i).type) for i in range(t.num_fields))


def _spread_fixed(child: pa.Array, t: Type, mask: pa.Array | None) -> pa.Array:
    """A fixed-size list array from the elements of its present slots."""
    if mask is not None:
        size, present = t.params[0], ~mask.to_numpy(zero_copy_only=False)
        first = np.cumsum(present) - 1
        index = (first[:, None] * size + np.arange(size)).reshape(-1)
        child = take(child, pa.array(index, pa.int64(), mask=np.repeat(~present, size)))
    return pa.FixedSizeListArray.from_arrays(child, type=t.plain, mask=mask)


def map_items(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Keys and values of a map array without nulls, of its slice only."""
    if not len(array):
        return array.keys.slice(0, 0), array.items.slice(0, 0)
    offsets = array.offsets
    start, stop = offsets[0].as_py(), offsets[-1].as_py()
    return array.keys.slice(start, stop - start), array.items.slice(start, stop - start)


def offsets_of(lengths: Any) -> pa.Array:
    """Arrow offsets of runs with these lengths. Raises Format beyond 32 bits."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] > 2**31 - 1:
        raise Format("a run of lists holds 2^31 or more elements")
    return pa.array(offsets.astype(np.int32), pa.int32())


def to_user(array: pa.Array, t: Type, field: pa.Field) -> pa.Array:
    """A plain array as a reader returns it: at every depth with extension types, or their metadata if unregistered."""
    if array.type.equals(field.type, check_metadata=True):
        return array
    if t.kind == "extension":
        inner = to_user(array, t.items[0], t.items[0].field(""))
        if isinstance(field.type, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(field.type, inner.cast(field.type.storage_type))
        return inner
    mask = mask_of(array)
    fields = _child_fields(field.type)
    if t.kind == "struct":
        items = [to_user(array.field(i), it, f) for i, (it, f) in enumerate(zip(t.items, fields, strict=True))]
        return pa.StructArray.from_arrays(items, fields=fields, mask=mask)
    if t.kind == "map":
        keys, values = to_user(array.keys, t.items[0], fields[0]), to_user(array.items, t.items[1], fields[1])
        return _reuse(array, field.type, pa.StructArray.from_arrays([keys, values], fields=fields))
    return _reuse(array, field.type, to_user(array.values, t.items[0], fields[0]))


def _child_fields(t: pa.DataType) -> list[pa.Field]:
    if pa.types.is_struct(t):
        return [t.field(i) for i in range(t.num_fields)]
    return [t.key_field, t.item_field] if pa.types.is_map(t) else [t.value_field]


def _reuse(array: pa.Array, t: pa.DataType, child: pa.Array) -> pa.Array:
    """A list-like array with its offsets and nulls, and another child."""
    buffers = array.buffers()[: 1 if pa.types.is_fixed_size_list(t) else 2]
    return pa.Array.from_buffers(t, len(array), buffers, array.null_count, array.offset, children=[child])


def to_table(batches: list[pa.RecordBatch], schema: Schema) -> pa.Table:
    """Plain batches as the table that a reader returns."""
    return pa.Table.from_batches([to_user_batch(b, schema) for b in batches], schema.arrow)


def to_user_batch(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """One plain batch with the types that a reader returns."""
    columns = [to_user(c, t, f) for c, t, f in zip(batch.columns, schema.types, schema.arrow, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema.arrow)
