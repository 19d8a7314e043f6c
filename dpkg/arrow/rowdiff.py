"""Rows of two tables side by side: in which cells they differ, and the batches of a row diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.normal import take, unnest
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, WIDTH, float_bits, slots

CHANGE, OLD_ROW, NEW_ROW, CELLS = "_change", "_old_row", "_new_row", "_cells"
OLD, NEW = "old.", "new."  # in front of the names of columns
KINDS = ("removed", "added", "changed")
REMOVED, ADDED, CHANGED = range(3)  # places in KINDS
_HEAD = Schema(
    (CHANGE, OLD_ROW, NEW_ROW, CELLS), (Type("utf8"), Type("int64"), Type("int64"), Type("list", items=(Type("utf8"),)))
)


def differing(a: pa.Array, b: pa.Array, t: Type) -> Any:
    """For each slot of two plain arrays of one type, whether they hold different values.

    As in a table's identity: NaN is NaN, 0.0 is not -0.0, null is null.
    """
    t, n = t.storage, len(a)
    if t.kind == "null" or not n:
        return np.zeros(n, bool)
    if t.kind == "struct":
        out = np.zeros(n, bool)
        for i, item in enumerate(t.items):
            out |= differing(a.field(i), b.field(i), item)
    elif t.items:
        out = _differing_lists(a, b, t)
    elif t.kind in FLOATS:
        out = float_bits(a, WIDTH[t.kind]) != float_bits(b, WIDTH[t.kind])
    elif t.kind in WIDTH:
        out = slots(a, f"u{WIDTH[t.kind]}") != slots(b, f"u{WIDTH[t.kind]}")
    else:
        out = np.array(pc.fill_null(pc.not_equal(a, b), False).to_numpy(zero_copy_only=False))
    if a.null_count or b.null_count:
        x, y = (side.is_valid().to_numpy(zero_copy_only=False) for side in (a, b))
        out = (out & x & y) | (x != y)
    return out


def _differing_lists(a: pa.Array, b: pa.Array, t: Type) -> Any:
    (size_a, items_a), (size_b, items_b) = unnest(a, t), unnest(b, t)
    out = np.asarray(size_a != size_b)
    slot = np.repeat(np.arange(len(out)), np.where(out, 0, size_a))
    pick_a, pick_b = (pa.array(np.flatnonzero(np.repeat(~out, size))) for size in (size_a, size_b))
    for x, y, item in zip(items_a, items_b, t.items, strict=True):
        out[slot[differing(take(x, pick_a), take(y, pick_b), item)]] = True
    return out


def as_type(array: pa.Array, old: Type, new: Type) -> tuple[pa.Array, Any]:
    """A plain array in another type, and where a value was lost: one that does not come back as it was (None: nowhere)."""
    if old.storage == new.storage:
        return array, None
    try:
        made = _cast(array, new.storage, exact=old.storage.kind in ("utf8", "binary"))
        lost = differing(made.cast(array.type, safe=False), array, old)
    except pa.ArrowException:  # there is no cast, or no way back
        made, lost = nulls(len(array), new), array.is_valid().to_numpy(zero_copy_only=False)
    return made, lost if lost.any() else None


def _cast(array: pa.Array, t: Type, exact: bool) -> pa.Array:
    """A cast in which one value that cannot be cast becomes null, and spoils no other."""
    try:
        return array.cast(t.plain, safe=exact)
    except pa.ArrowNotImplementedError:
        raise
    except pa.ArrowInvalid:
        if len(array) == 1:
            return nulls(1, t)
        half = len(array) // 2
        return pa.concat_arrays([_cast(array.slice(0, half), t, exact), _cast(array.slice(half), t, exact)])


def nulls(n: int, t: Type) -> pa.Array:
    """A plain array of nulls."""
    return pa.nulls(n, t.plain)


def empty(t: Type) -> pa.Array:
    """A plain array of nothing."""
    return pa.array([], t.plain)


def pick(array: pa.Array, rows: Any) -> pa.Array:
    """Rows of an array, in the order given; no copy where they are adjacent."""
    n = len(rows)
    if n and rows[-1] - rows[0] == n - 1 and (n < 3 or (np.diff(rows) == 1).all()):
        return array.slice(int(rows[0]), n)
    return take(array, pa.array(rows, pa.int64()))


def spread(array: pa.Array, t: Type, places: Any, rows: int) -> pa.Array:
    """An array's values at ascending places among `rows` slots, null at the others."""
    if len(places) == rows:
        return array
    if not len(places):
        return nulls(rows, t)
    index = np.zeros(rows, np.int64)
    index[places] = np.arange(len(places))
    absent = np.ones(rows, bool)
    absent[places] = False
    return take(array, pa.array(index, pa.int64(), mask=absent))


def patch_schema(old: Schema, new: Schema) -> Schema:
    """The schema of a row diff: what happened where, the cells that changed, each column before and after."""
    names = (*_HEAD.names, *(OLD + n for n in old.names), *(NEW + n for n in new.names))
    return Schema(names, (*_HEAD.types, *old.types, *new.types))


def change_batch(
    schema: Schema, kinds: Any, old_rows: Any, new_rows: Any, cells: Any, names: Sequence[str], columns: list[pa.Array]
) -> pa.RecordBatch:
    """One batch of a row diff: rows are -1 where there are none; `cells` says for each row which of `names` changed."""
    at, which = np.nonzero(cells)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(kinds)))]).astype(np.int32)
    listed = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        take(pa.array(names, pa.string()), pa.array(which, pa.int64())),
        type=_HEAD.types[3].plain,
    )
    head = [
        take(pa.array(KINDS), pa.array(kinds, pa.int64())),
        pa.array(old_rows, pa.int64(), mask=old_rows < 0),
        pa.array(new_rows, pa.int64(), mask=new_rows < 0),
        listed,
    ]
    return pa.RecordBatch.from_arrays([*head, *columns], schema=schema.plain)


def cell_counts(batch: pa.RecordBatch) -> dict[str, int]:
    """In how many rows of a batch of a row diff a column changed."""
    cells = batch.column(batch.schema.get_field_index(CELLS))
    return {str(c["values"]): c["counts"].as_py() for c in pc.value_counts(pc.list_flatten(cells))}


def read_head(batch: pa.RecordBatch) -> tuple[Any, Any, Any]:
    """Of a plain batch of a row diff: what happened (a place in KINDS, else -1), the old row and the new (-1: none)."""
    kinds = pc.index_in(batch.column(0), pa.array(KINDS)).fill_null(-1).to_numpy(zero_copy_only=False)
    old, new = (batch.column(i).fill_null(-1).to_numpy(zero_copy_only=False) for i in (1, 2))
    return kinds, old, new


def joined(a: pa.Array, b: pa.Array) -> pa.Array:
    """Two arrays as one."""
    return pa.concat_arrays([a, b]) if len(b) else a


def batch(columns: list[pa.Array], schema: Schema) -> pa.RecordBatch:
    """Plain columns as a batch."""
    return pa.RecordBatch.from_arrays(columns, schema=schema.plain)
