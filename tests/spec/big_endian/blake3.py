"""Stands in for the package blake3 where there is none, as on s390x: BLAKE3-256 in plain Python.

By chapter 2 of the BLAKE3 paper. The test test_plain_blake3.py compares it with the package. What is large goes to
the program b3sum if run.py has named one (B3SUM in the environment), which is as exact and much faster.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT, DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 1, 2, 4, 8, 32, 64
BLOCK, CHUNK = 64, 1024
MASK = 0xFFFFFFFF
B3SUM = os.environ.get("B3SUM", "").split()
LARGE = 1 << 14  # bytes from where on starting a program is faster
# The words that each of a round's eight mixings takes: the columns, then the diagonals.
QUARTERS = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)


class blake3:
    """As the package's class, as far as dpkg and the second reader use it."""

    AUTO = -1

    def __init__(
        self, data: bytes | memoryview = b"", derive_key_context: str | None = None, max_threads: int = 1
    ) -> None:
        self._data, self._context = bytearray(data), derive_key_context

    def update(self, data: bytes | memoryview) -> blake3:
        self._data += data
        return self

    def digest(self, length: int = 32) -> bytes:
        large = B3SUM and len(self._data) > LARGE
        return (_b3sum if large else plain)(bytes(self._data), self._context)[:length]

    def hexdigest(self) -> str:
        return self.digest().hex()


def plain(data: bytes, context: str | None = None) -> bytes:
    """The 32 bytes of BLAKE3, in derive-key mode if there is a context."""
    if context is None:
        return _hash(data, IV, 0)
    key = struct.unpack("<8I", _hash(context.encode(), IV, DERIVE_KEY_CONTEXT))
    return _hash(data, key, DERIVE_KEY_MATERIAL)


def _b3sum(data: bytes, context: str | None) -> bytes:
    derived = ["--derive-key", context] if context else []
    return subprocess.run([*B3SUM, "--raw", *derived], input=data, stdout=subprocess.PIPE, check=True).stdout


def _hash(data: bytes, key: Sequence[int], flags: int) -> bytes:
    chunks = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)] or [b""]
    if len(chunks) == 1:
        return _pack(_chunk(chunks[0], key, 0, flags, ROOT))
    # The tree of section 2.1: at each node the left half is the greatest power of two that leaves something right.
    level = [_chunk(chunk, key, i, flags, 0) for i, chunk in enumerate(chunks)]
    while len(level) > 2:
        pairs = [_parent(level[i], level[i + 1], key, flags) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) // 2 * 2 :]
    return _pack(_parent(level[0], level[1], key, flags | ROOT))


def _chunk(chunk: bytes, key: Sequence[int], number: int, flags: int, last: int) -> list[int]:
    """The chaining value of a chunk; `last` are flags of its last block alone."""
    value = list(key)
    blocks = [chunk[i : i + BLOCK] for i in range(0, len(chunk), BLOCK)] or [b""]
    for i, block in enumerate(blocks):
        more = (CHUNK_START if i == 0 else 0) | (CHUNK_END | last if i == len(blocks) - 1 else 0)
        words = struct.unpack("<16I", block.ljust(BLOCK, b"\0"))
        value = _compress(value, words, number, len(block), flags | more)
    return value


def _parent(left: list[int], right: list[int], key: Sequence[int], flags: int) -> list[int]:
    return _compress(key, (*left, *right), 0, BLOCK, flags | PARENT)


def _compress(value: Sequence[int], block: Sequence[int], number: int, length: int, flags: int) -> list[int]:
    v = [*value, *IV[:4], number & MASK, number >> 32, length, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(QUARTERS):
            _mix(v, a, b, c, d, block[2 * i], block[2 * i + 1])
        block = [block[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def _mix(v: list[int], a: int, b: int, c: int, d: int, x: int, y: int) -> None:
    v[a] = (v[a] + v[b] + x) & MASK
    v[d] = _right(v[d] ^ v[a], 16)
    v[c] = (v[c] + v[d]) & MASK
    v[b] = _right(v[b] ^ v[c], 12)
    v[a] = (v[a] + v[b] + y) & MASK
    v[d] = _right(v[d] ^ v[a], 8)
    v[c] = (v[c] + v[d]) & MASK
    v[b] = _right(v[b] ^ v[c], 7)


def _right(word: int, by: int) -> int:
    return (word >> by | word << 32 - by) & MASK


def _pack(words: Sequence[int]) -> bytes:
    return struct.pack("<8I", *words)
