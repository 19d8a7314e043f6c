"""Hashes of whole texts and binary values, many at once: for counting distinct ones, not for identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from blake3 import blake3

from dpkg.arrow.mix import BLOCK, SEED, TAIL, fold, unaligned
from dpkg.arrow.values import spans
from dpkg.sketches.distinct import scattered

_LONG = 4096  # bytes; longer values are few in a fragment, and hashed one by one


def text_hashes(array: pa.Array) -> Any:
    """A uint64 for each value of a plain utf8 or binary array without nulls: of its length and all of its bytes."""
    out = np.empty(len(array), np.uint64)
    for start in range(0, len(array), BLOCK):  # temporaries stay in the cache
        out[start : start + BLOCK] = _block(array.slice(start, BLOCK))
    return out


def _block(array: pa.Array) -> Any:
    n = len(array)
    data, begin, lengths = spans(array)
    order = np.argsort(-np.minimum(lengths, _LONG + 1).astype(np.int16), kind="stable")  # each word is one run of rows
    words, starts = unaligned(data, begin, lengths)
    starts, lengths = starts[order], lengths[order]
    shorter = -np.minimum(lengths, _LONG + 1)
    long = int(np.searchsorted(shorter, -_LONG))
    h = fold(np.full(n, SEED), lengths.view(np.uint64))
    for at in range(0, min(int(lengths[0]), _LONG), 8):
        stop = int(np.searchsorted(shorter, -at))  # those that go on here come before
        full = int(np.searchsorted(shorter, -(at + 7)))
        if stop <= long:
            break
        w = words[starts[long:stop] + at]
        part = max(full, long)
        w[part - long :] &= TAIL[lengths[part:stop] - at]
        h[long:stop] = fold(h[long:stop], w)
    out = np.empty(n, np.uint64)
    out[order] = h
    for i, start, length in zip(order[:long], begin[order[:long]], lengths, strict=False):
        out[i] = int.from_bytes(blake3(memoryview(data)[start : start + length]).digest(8), "little")
    return scattered(out)
