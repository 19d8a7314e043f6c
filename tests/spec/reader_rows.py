"""Second reader, part 3: row bytes, row mixes, window, boundaries, sorting by a key (rows.md)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from reader_json import (
    Refused,
)
from reader_values import (
    FLOATS,
    INFINITY,
    INTEGERS,
    TIMES,
    Schema,
    Type,
    Value,
    binary_of,
    canonical_float,
    decimal_bytes,
    is_nan,
    kind_of,
    parameter,
)

MASK = 2**64 - 1
SEED = 0x243F6A8885A308D3
NULL = 0x13198A2E03707344
K = 0x9E3779B97F4A7C15
STEPS = {
    1: 0xBF58476D1CE4E5B9,
    2: 0x94D049BB133111EB,
    4: 0xD6E8FEB86659FD93,
    8: 0xFF51AFD7ED558CCD,
    16: 0xC4CEB9FE1A85EC53,
}
MIB = 2**20
KEY_KINDS = {"bool", *INTEGERS, *FLOATS, *TIMES, "decimal", "utf8", "binary", "fixed_binary"}

# ---------------------------------------------------------------------------------------------------------- row bytes


def cell_bytes(value: Value, t: Type) -> int:
    """The bytes of a cell: 1 for a null, else 1 plus the payload."""
    return 1 if value is None else 1 + _payload(value, t)


def _payload(value: Value, t: Type) -> int:
    kind = kind_of(t)
    if kind == "bool":
        return 1
    if kind in INTEGERS:
        return INTEGERS[kind]
    if kind in FLOATS:
        return FLOATS[kind]
    if kind in TIMES:
        return TIMES[kind]
    if kind == "decimal":
        return len(decimal_bytes(value, t))
    if kind == "fixed_binary":
        return int(parameter(t))
    if kind in ("utf8", "binary"):
        return 4 + len(binary_of(value))
    if kind == "list":
        return 4 + sum(cell_bytes(item, parameter(t)) for item in value)
    if kind == "map":
        key_type, value_type = parameter(t)
        return 4 + sum(cell_bytes(k, key_type) + cell_bytes(v, value_type) for k, v in value)
    if kind == "fixed_list":
        return sum(cell_bytes(item, parameter(t)[1]) for item in value)
    if kind == "struct":
        return sum(cell_bytes(item, field[1]) for item, field in zip(value, parameter(t), strict=True))
    assert kind == "extension", kind
    return _payload(value, parameter(t)[2])


def row_bytes(schema: Schema, columns: Sequence[Sequence[Value]]) -> list[int]:
    """The bytes of each row (ROW-1 sums them)."""
    types = [field[1] for field in schema]
    return [sum(cell_bytes(v, t) for v, t in zip(row, types, strict=True)) for row in zip(*columns, strict=True)]


# ------------------------------------------------------------------------------------------------------------ row mix


def fold(h: int, w: int) -> int:
    """x = (h xor w) * K; the result is x xor (x >> 32)."""
    x = ((h ^ w) * K) & MASK
    return x ^ (x >> 32)


def fold_all(start: int, words: Sequence[int]) -> int:
    """fold of one word after the other."""
    c = start
    for word in words:
        c = fold(c, word)
    return c


def cell(value: Value, t: Type) -> int:
    """The 64-bit word of a cell."""
    if value is None:
        return NULL
    kind = kind_of(t)
    if kind == "bool":
        return 1 if value else 0
    if kind in INTEGERS or kind in TIMES:
        return int(value) & MASK
    if kind in FLOATS:
        return canonical_float(value, kind)
    if kind == "decimal":
        data = decimal_bytes(value, t)
        return fold_all(SEED, [_word(data, at) for at in range(0, len(data), 8)])
    if kind in ("utf8", "binary", "fixed_binary"):
        data = binary_of(value)
        return fold_all(fold(SEED, len(data)), sampled_words(data))
    if kind == "list":
        return _cells_in_order([cell(item, parameter(t)) for item in value])
    if kind == "fixed_list":
        return _cells_in_order([cell(item, parameter(t)[1]) for item in value])
    if kind == "map":
        key_type, value_type = parameter(t)
        return _cells_in_order([fold(fold(SEED, cell(k, key_type)), cell(v, value_type)) for k, v in value])
    if kind == "struct":
        return fold_all(SEED, [cell(item, field[1]) for item, field in zip(value, parameter(t), strict=True)])
    assert kind == "extension", kind
    return cell(value, parameter(t)[2])


def _word(data: bytes, at: int) -> int:
    """The little-endian 8-byte word at an offset, padded with zero bytes."""
    return int.from_bytes(data[at : at + 8], "little")


def sampled_words(data: bytes) -> list[int]:
    """The words of a string or binary that its cell is folded from."""
    length = len(data)
    if length <= 64:
        return [_word(data, at) for at in range(0, length, 8)]
    places = list(range(0, 64, 8))
    places += [min(64 + k * max(length - 72, 0) // 8, length - 8) for k in range(8)]
    places.append(length - 8)
    return [_word(data, at) for at in places]


def _cells_in_order(cells: list[int]) -> int:
    """list, fixed_list, map: fold(fold(SEED, n), S)."""
    total = sum(fold(fold(SEED, i), e) for i, e in enumerate(cells)) & MASK
    return fold(fold(SEED, len(cells)), total)


def row_mixes(schema: Schema, columns: Sequence[Sequence[Value]], key: Sequence[str] = ()) -> list[int]:
    """The mix of each row over the boundary columns (ROW-2)."""
    places = key_places(schema, key) or list(range(len(schema)))
    mixes = [SEED] * len(columns[0])
    for place in places:
        t = schema[place][1]
        mixes = [fold(h, cell(value, t)) for h, value in zip(mixes, columns[place], strict=True)]
    return mixes


# ------------------------------------------------------------------------------------------------------------- window


def window(mixes: Sequence[int]) -> list[int]:
    """w(32) of each row (ROW-3)."""
    w = list(mixes)
    for step, factor in STEPS.items():
        w = [(w[i] + (factor * w[i - step] if i >= step else 0)) & MASK for i in range(len(w))]
    return w


def window_values(mixes: Sequence[int]) -> list[int]:
    """The value of each row: (x xor (x >> 32)) * K of x = w(32)(i)."""
    return [((x ^ (x >> 32)) * K) & MASK for x in window(mixes)]


def levels(mixes: Sequence[int]) -> list[int]:
    """The level of each row: its value >> 32."""
    return [value >> 32 for value in window_values(mixes)]


# --------------------------------------------------------------------------------------------------------- boundaries


def target_rows(sizes: Sequence[int]) -> int:
    """target_rows of a table from the bytes of its rows in order (ROW-4)."""
    n = b = 0
    for size in sizes:
        n += 1
        b += size
        if n >= 65_536 or b >= 32 * MIB:
            break
    if n == 0:
        return 2**20
    q = max(1, 5 * MIB * n // (2 * b))
    # the nearest power of two; the larger one, which stands later, of two equally near
    nearest = min((1 << e for e in range(64)), key=lambda power: (abs(power - q), -power))
    return min(max(nearest, 4), 2**20)


def boundaries(sizes: Sequence[int], row_levels: Sequence[int], target: int) -> list[int]:
    """The row counts of the fragments (ROW-5)."""
    counts: list[int] = []
    r = 0  # rows in the open fragment
    b = 0  # bytes in the open fragment
    for i, (size, level) in enumerate(zip(sizes, row_levels, strict=True)):
        r += 1
        b += size
        if r > 1 and b > 32 * MIB:
            counts.append(r - 1)
            r, b = 1, size
        at_maximum = r == 4 * target
        easy = r >= target and level * target < 4 * 2**32
        hard = 4 * r >= target and r < target and 4 * level * target < 2**32
        if at_maximum or easy or hard or i == len(sizes) - 1:
            counts.append(r)
            r = b = 0
    return counts


# ------------------------------------------------------------------------------------------------------ sorting by key


def key_places(schema: Schema, key: Sequence[str]) -> list[int]:
    """The places of the key's columns; columns named twice and types that cannot be keys are refused (ROW-7)."""
    names = [field[0] for field in schema]
    places = []
    for i, name in enumerate(key):
        if name in key[:i]:
            raise Refused("ROW-7", f"column {name!r} twice")
        if name not in names:
            raise Refused("OBJ-1", f"no column {name!r}")
        places.append(names.index(name))
        if kind_of(schema[places[-1]][1]) not in KEY_KINDS:
            raise Refused("ROW-7", f"column {name!r} cannot be a key")
    return places


def order(value: Value, t: Type) -> tuple[Any, ...]:
    """What Python compares as ROW-6 orders values: nulls last, NaN after +inf, -0.0 before 0.0, strings bytewise."""
    if value is None:
        return (1,)
    kind = kind_of(t)
    if kind in FLOATS:
        return (0, total_order(value, kind))
    if kind in ("utf8", "binary", "fixed_binary"):
        return (0, binary_of(value))
    return (0, int(value))


def total_order(bits: int, t: str) -> int:
    """An integer that orders floats: -inf ... -0.0, 0.0 ... +inf, NaN (ROW-6)."""
    if is_nan(bits, t):
        return INFINITY[t] + 1
    sign = 1 << (8 * FLOATS[t] - 1)
    return -1 - (bits - sign) if bits >= sign else bits


class EqualKeys(Refused):
    """Two rows with equal keys (ROW-7); `key` is the first such key in sorted order."""

    def __init__(self, key: list[Value]) -> None:
        super().__init__("ROW-7", f"two rows with the key {key}")
        self.key = key


def _named(value: Value, t: Type) -> Value:
    """A value of a key as a message names it: every NaN is the same."""
    return canonical_float(value, t) if kind_of(t) in FLOATS and value is not None else value


def sorted_rows(schema: Schema, columns: Sequence[Sequence[Value]], key: Sequence[str]) -> list[int]:
    """The row numbers in the order of the key (ROW-6); equal keys are refused (ROW-7)."""
    places = key_places(schema, key)

    def key_of(row: int) -> tuple[Any, ...]:
        return tuple(order(columns[place][row], schema[place][1]) for place in places)

    rows = sorted(range(len(columns[0])), key=key_of)
    for above, below in pairwise(rows):
        if key_of(above) == key_of(below):
            raise EqualKeys([_named(columns[place][above], schema[place][1]) for place in places])
    return rows


def sort_by_key(schema: Schema, columns: Sequence[Sequence[Value]], key: Sequence[str]) -> list[list[Value]]:
    """The columns with their rows sorted by the key; as they are without one (ROW-6)."""
    if not key:
        return [list(column) for column in columns]
    rows = sorted_rows(schema, columns, key)
    return [[column[row] for row in rows] for column in columns]
