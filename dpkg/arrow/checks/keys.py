"""Values and rows as keys of 128 bits: equal values have equal keys, and different ones different keys.

Exact for numbers, dates and times. Of texts, binaries and whole rows they are digests: that two different ones of n have
one key is about n^2 / 2^129 likely, where nobody made them to. NaN equals NaN, and -0.0 is 0.0.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from dpkg.arrow.mix import TAIL, cells, unaligned
from dpkg.arrow.normal import rebased
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, slots, spans, stream, width_of

U64 = np.uint64
Keys = tuple[Any, Any]  # the two halves, uint64 each
# Two lanes, each with the seed and the two odd factors of its own; the steps are those of MurmurHash3's finalizer.
_LANES = (
    (U64(0x243F6A8885A308D3), U64(0xFF51AFD7ED558CCD), U64(0xC4CEB9FE1A85EC53)),
    (U64(0x13198A2E03707344), U64(0xBF58476D1CE4E5B9), U64(0x94D049BB133111EB)),
)
_NULL = U64(0x9E3779B97F4A7C15)
_LONG = 512  # bytes; longer ones are digested one by one
_BLOCK = 8192  # rows


def keys(array: pa.Array, t: Type) -> Keys:
    """The key of each value of a plain array; below nulls, anything."""
    t = t.storage
    n = len(array)
    if not n or t.kind == "null":
        return np.zeros(n, U64), np.zeros(n, U64)
    if t.items:
        return _slowly(array, t)
    if t.kind in ("utf8", "binary", "fixed_binary"):
        return _texts(*spans(array))
    if t.kind == "decimal":
        words = slots(array, U64, width_of(t) // 8).reshape(n, -1)
        parts = [
            words[:, i] for i in (range(words.shape[1]) if sys.byteorder == "little" else range(words.shape[1])[::-1])
        ]
        mixed = _folded([(word, None) for word in parts])
        return (mixed[0], parts[0]) if len(parts) == 2 else mixed  # of 16 bytes no digest: each step can be undone
    high = cells(array, t)
    if t.kind in FLOATS:
        high = np.where(high == U64(1) << U64(8 * width_of(t) - 1), U64(0), high)
    low = (high >> U64(63)) if t.kind == "uint64" else np.zeros(n, U64)  # unlike a negative number of the same bits
    return high, low


def row_keys(columns: list[pa.Array], types: list[Type]) -> Keys:
    """The key of each row over some columns; null equals null."""
    return _folded([_with_nulls(array, t) for array, t in zip(columns, types, strict=True)])


def _with_nulls(array: pa.Array, t: Type) -> tuple[Any, Any]:
    """The halves of each value's key, and other ones for null; None for a second half that is 0 throughout."""
    high, low = keys(array, t)
    if array.null_count:
        null = pc.is_null(array).to_numpy(zero_copy_only=False)
        high, low = np.where(null, U64(0), high), np.where(null, _NULL, low)
    return high, low if low.any() else None


def _folded(halves: list[tuple[Any, Any]]) -> Keys:
    """One key of several; None for a second half is 0 throughout."""
    n = len(halves[0][0])
    out = []
    for seed, a, b in _LANES:
        h = np.full(n, seed)
        for start in range(0, n, _BLOCK):
            part = h[start : start + _BLOCK]
            for high, low in halves:
                part = _step(part, high[start : start + _BLOCK], a, b)
                if low is not None:
                    part += low[start : start + _BLOCK] * a
            h[start : start + _BLOCK] = part
        out.append(h)
    return out[0], out[1]


def _step(h: Any, word: Any, a: Any, b: Any) -> Any:
    x = (h ^ word) * a
    x = (x ^ (x >> U64(29))) * b
    return x ^ (x >> U64(32))


def _texts(data: Any, starts: Any, lengths: Any) -> Keys:
    high, low = np.empty(len(lengths), U64), np.empty(len(lengths), U64)
    for start in range(0, len(lengths), _BLOCK):
        part = slice(start, start + _BLOCK)
        high[part], low[part] = _some_texts(data, starts[part], lengths[part])
    return high, low


def _some_texts(data: Any, starts: Any, lengths: Any) -> Keys:
    """Word by word over all that are so long; sorted by length, so that each word is one run of rows."""
    n = len(lengths)
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    long = int(np.searchsorted(-lengths, -_LONG))  # so many are longer
    lanes = [np.empty(n, U64), np.empty(n, U64)]
    for i in range(long):
        digest = blake3(memoryview(data)[starts[i] : starts[i] + lengths[i]]).digest()
        lanes[0][i], lanes[1][i] = np.frombuffer(digest[:16], "<u8")
    starts, lengths = starts[long:], lengths[long:]
    most = int(lengths[0]) if len(lengths) else 0
    if most:
        words, starts = unaligned(data, starts, lengths)
    made = [_step(np.full(n - long, seed), lengths.view(U64), a, b) for seed, a, b in _LANES]
    for k in range(-(-most // 8)):
        stop = int(np.searchsorted(-lengths, -8 * k))  # longer than 8 k bytes
        full = int(np.searchsorted(-lengths, -(8 * k + 7)))
        word = words[starts[:stop] + 8 * k]
        word[full:] &= TAIL[lengths[full:stop] - 8 * k]
        for lane, (_, a, b) in zip(made, _LANES, strict=True):
            lane[:stop] = _step(lane[:stop], word, a, b)
    out = [np.empty(n, U64), np.empty(n, U64)]
    for whole, lane, found in zip(out, lanes, made, strict=True):
        lane[long:] = found
        whole[order] = lane
    return out[0], out[1]


def _slowly(array: pa.Array, t: Type) -> Keys:
    """Of nested values: the digest of each."""
    array = rebased(array)
    out = np.zeros((len(array), 2), U64)
    for i in range(len(array)):
        hasher = blake3()
        stream(array.slice(i, 1), t, hasher.update)
        out[i] = np.frombuffer(hasher.digest()[:16], "<u8")
    return out[:, 0], out[:, 1]
