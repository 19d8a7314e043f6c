"""Lists of chunks: how a large blob is stored (spec/storage.md, "Chunks"). A chunk is a blob of its own.

Cuts follow the content, so that versions of a file have most chunks in common.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import cycle
from mmap import mmap
from typing import TYPE_CHECKING, NamedTuple

from dpkg.errors import Corrupt, Format
from dpkg.objects import frame
from dpkg.oid import Oid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    import pyfastcdc

_RECORD = frame.CHUNK_RECORD
_LEAST, _AVERAGE = 256 << 10, 1 << 20  # bytes of a chunk; the most is frame.LARGE
_LOAD = 16 << 20  # bytes read at a time
_RING = 3  # loads in memory


class Chunk(NamedTuple):
    """A part of a blob: the oid of its bytes, and where they begin and end."""

    oid: Oid
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class ChunkList:
    """The chunks of a blob of `length` bytes, in order, from the records in its frame."""

    def __init__(self, records: bytes, length: int) -> None:
        """Raises Corrupt for what cannot be such a list (STO-30)."""
        self.records, self.length = records, length
        self._check()

    def _check(self) -> None:
        before, last = 0, len(self) - 1
        for i, (_, end) in enumerate(_RECORD.iter_unpack(self.records)):
            if not (frame.CHUNK_LEAST if i < last else 1) <= end - before <= frame.LARGE:
                raise Corrupt(f"chunk {i:,} of it cannot have {end - before:,} bytes")
            before = end
        if before != self.length:
            raise Corrupt(f"its chunks have {before:,} bytes, and it has {self.length:,}")

    def __len__(self) -> int:
        return len(self.records) // _RECORD.size

    def __getitem__(self, i: int) -> Chunk:
        oid, end = _RECORD.unpack_from(self.records, i * _RECORD.size)
        return Chunk(Oid(oid.hex()), self._end(i - 1) if i else 0, end)

    def __iter__(self) -> Iterator[Chunk]:
        start = 0
        for oid, end in _RECORD.iter_unpack(self.records):
            yield Chunk(Oid(oid.hex()), start, end)
            start = end

    def between(self, start: int, stop: int) -> Iterator[Chunk]:
        """The chunks that hold the bytes from `start` to `stop`."""
        i = bisect_right(range(len(self)), start, key=self._end)
        while i < len(self) and (chunk := self[i]).start < stop:
            yield chunk
            i += 1

    def _end(self, i: int) -> int:
        end: int = _RECORD.unpack_from(self.records, i * _RECORD.size)[1]
        return end


def is_listed(data: bytes) -> bool:
    """Whether a frame says that it holds a list of chunks."""
    return data[10:11] == bytes([frame.CHUNKS])


def unpack(data: bytes) -> ChunkList:
    """The list in a frame, all of which is checked but what its chunks hold (STO-3, STO-30). Raises Corrupt."""
    header, _ = frame.check(data)
    if header.codec != frame.CHUNKS:
        raise Corrupt("it is no list of chunks")
    return ChunkList(data[frame.HEADER.size :], header.length)


def pack(chunks: Iterable[tuple[Oid, int]]) -> bytes:
    """The frame of a blob with these chunks, each its oid and length. Raises Format for too many."""
    records, end = bytearray(), 0
    for oid, length in chunks:
        end += length
        records += _RECORD.pack(oid.raw, end)
    if len(records) > frame.CHUNKS_MOST * _RECORD.size:
        raise Format(f"a file of {end:,} bytes has too many chunks", "split it into several files")
    return frame.pack_chunks(end, bytes(records))


# Cutting


def cutter() -> pyfastcdc.FastCDC:
    """What decides where chunks end, by the bytes alone: FastCDC of 2020."""
    from pyfastcdc import FastCDC

    return FastCDC(_AVERAGE, min_size=_LEAST, max_size=frame.LARGE, normalized_chunking=2, seed=0)


def cut(head: bytes, rest: BinaryIO) -> Iterator[list[memoryview]]:
    """The chunks of what begins with `head` and goes on with `rest`, some at a time; every byte is read once.

    Their memory is used again: they hold until two more lists were given.
    """
    cdc = cutter()
    left: bytes | memoryview = head
    for buffer in cycle([memoryview(mmap(-1, _LOAD)) for _ in range(_RING)]):
        buffer[: len(left)] = left
        size = _fill(rest, buffer, len(left))
        found, at = [], 0
        for chunk in cdc.cut_buf(buffer[:size]):
            found.append(chunk.data)
            at += chunk.length
            if size == _LOAD and size - at < frame.LARGE:  # what follows has a say in the next cut
                break
        left = buffer[at:size]
        if found:
            yield found
        if size < _LOAD:
            return


def _fill(source: BinaryIO, buffer: memoryview, at: int) -> int:
    """Read into `buffer` from `at` on, to its end or the source's; where that is."""
    into: Callable[[memoryview], int | None] | None = getattr(source, "readinto", None)
    while at < len(buffer):
        if into is not None:
            n = into(buffer[at:]) or 0
        else:
            data = source.read(len(buffer) - at)
            n = len(data)
            buffer[at : at + n] = data
        if not n:
            break
        at += n
    return at
