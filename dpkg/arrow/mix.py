"""Row mixes and their window: the 64-bit values that decide where fragments end (spec/rows.md).

All in uint64 with wrap-around. Written for throughput: numpy over a few thousand rows at a time, so that they stay in
the cache.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from dpkg.arrow.normal import drop_null, map_items
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, WIDTH, float_bits, slots, spans, width_of

U64 = np.uint64
SEED, NULL, K = U64(0x243F6A8885A308D3), U64(0x13198A2E03707344), U64(0x9E3779B97F4A7C15)
WINDOW = {
    1: U64(0xBF58476D1CE4E5B9),
    2: U64(0x94D049BB133111EB),
    4: U64(0xD6E8FEB86659FD93),
    8: U64(0xFF51AFD7ED558CCD),
    16: U64(0xC4CEB9FE1A85EC53),
}
BLOCK = (
    4096  # rows; temporaries of 32 KiB stay in the cache and below malloc's mmap threshold (half the time of 16,384)
)
LONG, WORDS = 4096, 1 << 20  # in `_every`: bytes of a string that are not hashed by numpy, words taken at once
REACH = 31  # earlier rows that a row's value depends on
_32 = U64(32)
TAIL = np.array([0] + [(1 << 8 * i) - 1 for i in range(1, 8)], np.uint64)
_UNSIGNED = ("uint8", "uint16", "uint32", "uint64", *FLOATS)


def fold(h: Any, w: Any) -> Any:
    """fold(h, w) of spec/rows.md, elementwise."""
    x = np.bitwise_xor(h, w)
    x = np.multiply(x, K, out=x) if isinstance(x, np.ndarray) else U64(int(x) * int(K) & (2**64 - 1))
    return np.bitwise_xor(x, x >> _32, out=x) if isinstance(x, np.ndarray) else x ^ (x >> _32)


def row_mixes(columns: list[pa.Array], types: list[Type]) -> Any:
    """The mix of each row over the boundary columns (ROW-2), uint64."""
    out = np.full(len(columns[0]), SEED)
    for start in range(0, len(out), BLOCK):
        h = out[start : start + BLOCK]
        for array, t in zip(columns, types, strict=True):
            h = fold(h, cells(array.slice(start, BLOCK), t))
        out[start : start + BLOCK] = h
    return out


def row_digests(columns: list[pa.Array], types: list[Type], rows: int) -> Any:
    """64 bits of each row over every byte of the columns, uint64: equal rows have equal ones. Not of any format."""
    out = np.full(rows, SEED)
    for start in range(0, rows, BLOCK):
        h = out[start : start + BLOCK]
        for array, t in zip(columns, types, strict=True):
            h = fold(h, cells(array.slice(start, BLOCK), t, True))
        out[start : start + BLOCK] = h
    return out


def levels(mixes: Any, before: Any) -> Any:
    """`value >> 32` of each row; `before` holds the REACH mixes in front, zeros at the start of the table (ROW-3)."""
    w = np.concatenate([before, mixes])
    for s, c in WINDOW.items():
        w[s:] += w[:-s] * c
    w = w[REACH:]
    return ((w ^ (w >> _32)) * K) >> _32


def cells(array: pa.Array, t: Type, whole: bool = False) -> Any:
    """`cell(v)` of each value, uint64. `whole`: not those of spec/rows.md, but of every byte of long strings too."""
    t = t.storage
    if t.kind == "null":
        return np.full(len(array), NULL)
    if t.items and array.null_count:
        out = np.full(len(array), NULL)
        out[pc.is_valid(array).to_numpy(zero_copy_only=False)] = cells(drop_null(array), t, whole)
        return out
    out = _words(array, t, whole) if len(array) else np.zeros(0, U64)
    if array.null_count:
        out = np.where(pc.is_null(array).to_numpy(zero_copy_only=False), NULL, out)
    return out


def _words(array: pa.Array, t: Type, whole: bool) -> Any:
    if t.kind in ("utf8", "binary", "fixed_binary"):
        return _strings(*spans(array), whole)
    if t.kind == "bool":
        return np.asarray(array.fill_null(False).to_numpy(zero_copy_only=False), np.uint8).astype(U64)
    if t.kind == "decimal":
        return _decimals(array, width_of(t))
    if t.items:
        return _nested(array, t, whole)
    if t.kind in FLOATS:
        return float_bits(array, WIDTH[t.kind]).astype(U64)
    width = WIDTH[t.kind]
    kind = "u" if t.kind in _UNSIGNED else "i"
    values = slots(array, f"{kind}{width}")
    return values.view(U64) if width == 8 else values.astype(np.int64).view(U64)


def _decimals(array: pa.Array, width: int) -> Any:
    words = slots(array, U64, width // 8).reshape(-1, width // 8)
    h: Any = np.full(len(array), SEED)
    for i in range(width // 8) if sys.byteorder == "little" else reversed(range(width // 8)):
        h = fold(h, words[:, i])
    return h


def _nested(array: pa.Array, t: Type, whole: bool) -> Any:
    n = len(array)
    if t.kind == "struct":
        h: Any = np.full(n, SEED)
        for i, item in enumerate(t.items):
            h = fold(h, cells(array.field(i), item, whole))
        return h
    if t.kind == "fixed_list":
        element = cells(array.flatten(), t.items[0], whole)
        offsets = np.arange(n + 1, dtype=np.int64) * t.params[0]
    else:
        offsets = array.offsets.to_numpy().astype(np.int64)
        offsets = offsets - offsets[0]
        if t.kind == "map":
            keys, values = (cells(part, item, whole) for part, item in zip(map_items(array), t.items, strict=True))
            element = fold(fold(np.full(len(keys), SEED), keys), values)
        else:
            element = cells(array.flatten(), t.items[0], whole)
    counts = np.diff(offsets)
    place = np.arange(len(element), dtype=np.int64) - np.repeat(offsets[:-1], counts)
    element = fold(fold(np.full(len(element), SEED), place.view(U64)), element)
    sums = np.zeros(len(element) + 1, U64)
    np.cumsum(element, out=sums[1:])
    return fold(fold(np.full(n, SEED), counts.view(U64)), sums[offsets[1:]] - sums[offsets[:-1]])


def _strings(data: pa.Buffer | None, starts: Any, lengths: Any, whole: bool) -> Any:
    """Cells of byte strings: their length and sampled words. Sorted by length, so that each word is one run of rows."""
    n = len(lengths)
    longest, shortest = int(lengths.max()), int(lengths.min())
    if longest == 0:
        return fold(np.full(n, SEED), lengths.view(U64))
    words, starts = unaligned(data, starts, lengths)
    order = None
    if longest != shortest:
        order = np.argsort(-np.minimum(lengths, 65).astype(np.int8), kind="stable")
        starts, lengths = starts[order], lengths[order]
    h = fold(np.full(n, SEED), lengths.view(U64))
    capped = np.minimum(lengths, 65)
    for k in range(8):
        stop = int(np.searchsorted(-capped, -8 * k))  # rows longer than 8 k bytes come before
        if not stop:
            break
        full = int(np.searchsorted(-capped, -(8 * k + 7)))  # of them, those that fill word k
        w = words[starts[:stop] + 8 * k]
        w[full:] &= TAIL[lengths[full:stop] - 8 * k]
        h[:stop] = fold(h[:stop], w)
    long = int(np.searchsorted(-capped, -64))
    if long:
        h[:long] = (_every if whole else _sampled)(h[:long], words, starts[:long], lengths[:long])
    if order is None:
        return h
    out = np.empty(n, U64)
    out[order] = h
    return out


def _sampled(h: Any, words: Any, starts: Any, lengths: Any) -> Any:
    """Beyond 64 bytes: 8 evenly spaced words and the last."""
    spare = np.maximum(lengths - 72, 0)
    for k in range(8):
        h = fold(h, words[starts + np.minimum(64 + k * spare // 8, lengths - 8)])
    return fold(h, words[starts + lengths - 8])


def _every(h: Any, words: Any, starts: Any, lengths: Any) -> Any:
    """Beyond 64 bytes: the sum of all words, each folded with its place; of very long strings BLAKE3 is quicker."""
    out, size = np.zeros(len(h), U64), (lengths - 57) // 8  # words beyond the 8 first, the last one padded
    for i in np.flatnonzero(lengths > LONG):
        data = memoryview(words.base)[starts[i] : starts[i] + lengths[i]]
        out[i] = int.from_bytes(blake3(data).digest(8), "little")
    rows = np.flatnonzero(lengths <= LONG)
    for some in np.array_split(rows, int(size[rows].sum()) // WORDS + 1):
        counts = size[some]
        row = np.repeat(np.arange(len(some)), counts)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + 8
        left = lengths[some][row] - 8 * place
        w = words[starts[some][row] + 8 * place]
        w = np.where(left < 8, w & TAIL[np.minimum(left, 7)], w)
        sums = np.zeros(len(row) + 1, U64)
        np.cumsum(fold(fold(np.full(len(row), SEED), place.view(U64)), w), out=sums[1:])
        ends = np.cumsum(counts)
        out[some] = sums[ends] - sums[ends - counts]
    return fold(h, out)


def unaligned(data: pa.Buffer | None, starts: Any, lengths: Any) -> tuple[Any, Any]:
    """The strings' bytes as a little-endian word from each byte on (the last ones padded), and their new starts.

    For at least one string, in any order.
    """
    first = int(starts.min())
    size = int((starts + lengths).max()) - first
    raw = np.empty(size + 8, np.uint8)
    raw[:size] = np.frombuffer(data, np.uint8, size, first) if data is not None else 0
    raw[size:] = 0
    return np.ndarray((size + 1,), "<u8", buffer=raw, strides=(1,)), starts - first
