"""Packs: many objects in one file, found by the index at its end (spec/storage.md, "Packs").

A pack is a header, the frames of its objects one directly after another, the index, and a trailer. Its id is the BLAKE3
of all its bytes. The index is one record for each object, sorted by oid: whoever has the last `TAIL` bytes has it whole.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from dpkg.errors import Corrupt
from dpkg.objects import frame
from dpkg.oid import Oid

if TYPE_CHECKING:
    from dpkg.objects.frame import Kind

HEADER = struct.Struct("<8sB7s")  # magic, version, zeros
RECORD = struct.Struct("<32sB7sQQQ")  # oid, kind, zeros, offset of the frame, its length, length of the payload
TRAILER = struct.Struct("<8sQ16s32s")  # magic, number of records, zeros, digest
MAGIC, INDEX_MAGIC, VERSION = b"dpkgpack", b"dpkgpidx", 0
MOST_OBJECTS = 8192
MOST_BYTES = 32 << 20  # of frames, until a pack is ended; one frame may be larger than that
TAIL = MOST_OBJECTS * RECORD.size + TRAILER.size
_START = HEADER.pack(MAGIC, VERSION, bytes(7))


class Packed(NamedTuple):
    """Where an object is in a pack. `offset` and `size` are those of its frame, `length` that of its payload."""

    oid: Oid
    kind: Kind
    offset: int
    size: int
    length: int


class Index:
    """The index of a pack: objects by oid."""

    def __init__(self, records: bytes) -> None:
        """Of records that `parse_tail` or `make` gave."""
        self.records = records

    def __len__(self) -> int:
        return len(self.records) // RECORD.size

    def __iter__(self) -> Iterator[Packed]:
        return (self.at(i) for i in range(len(self)))

    def at(self, i: int) -> Packed:
        """Record `i`. Raises Corrupt."""
        oid, code, zeros, offset, size, length = RECORD.unpack_from(self.records, i * RECORD.size)
        kind = frame.KINDS.get(code)
        if kind is None or zeros != bytes(7):
            raise Corrupt(f"record {i} of its index is malformed")
        return Packed(Oid(oid.hex()), kind, offset, size, length)

    def find(self, oid: Oid) -> Packed | None:
        """The object, if it is in the pack."""
        i = self.position(bytes.fromhex(oid))
        return self.at(i) if self.raw(i) == bytes.fromhex(oid) else None

    def position(self, start: bytes) -> int:
        """The number of the first record whose oid is not before `start`."""
        return bisect_left(range(len(self)), start, key=self.raw)

    def starting(self, prefix: str) -> Iterator[Packed]:
        """What has an oid that begins with some hexadecimal digits."""
        i = self.position(bytes.fromhex(prefix + "0" * (len(prefix) % 2)))
        while self.raw(i) and self.raw(i).hex().startswith(prefix):
            yield self.at(i)
            i += 1

    def raw(self, i: int) -> bytes:
        """The oid of record `i`, as its 32 bytes."""
        return self.records[i * RECORD.size : i * RECORD.size + 32]


def make(frames: Iterable[tuple[Oid, bytes]]) -> tuple[Oid, bytes, Index]:
    """A pack of frames, in the order given, each oid once: its id, its bytes, its index."""
    parts, found, at = [_START], [], len(_START)
    for oid, data in frames:
        header = frame.parse_header(data, len(data))
        code = frame.CODES[header.kind]
        found.append(RECORD.pack(bytes.fromhex(oid), code, bytes(7), at, len(data), header.length))
        parts.append(data)
        at += len(data)
    index = Index(b"".join(sorted(found)))
    parts += [index.records, trailer(index.records)]
    data = b"".join(parts)
    return Oid(blake3(data, max_threads=blake3.AUTO).hexdigest()), data, index


def trailer(records: bytes) -> bytes:
    """What follows the index that ends a pack."""
    start = TRAILER.pack(INDEX_MAGIC, len(records) // RECORD.size, bytes(16), bytes(32))[:32]
    return start + blake3(records).update(start).digest()


def parse_tail(tail: bytes, size: int) -> Index:
    """The index of a pack of `size` bytes, from its last ones: `TAIL`, or all where it has fewer. Raises Corrupt."""
    count = index_length(tail, size) // RECORD.size
    start = len(tail) - TRAILER.size - count * RECORD.size
    records = bytes(tail[start : len(tail) - TRAILER.size])
    if start < 0 or trailer(records) != tail[-TRAILER.size :]:
        raise Corrupt("the pack's index does not match its digest")
    return Index(records)


def index_length(tail: bytes, size: int) -> int:
    """The length of the index that ends a pack, from its last bytes, at least `TRAILER.size`. Raises Corrupt."""
    if len(tail) < TRAILER.size:
        raise Corrupt(f"the pack is cut off: it has {size:,} bytes")
    magic, count, zeros, _ = TRAILER.unpack_from(tail, len(tail) - TRAILER.size)
    if magic != INDEX_MAGIC or zeros != bytes(16):
        raise Corrupt("the pack does not end with its trailer")
    if count > MOST_OBJECTS or HEADER.size + count * RECORD.size + TRAILER.size > size:
        raise Corrupt(f"the pack cannot hold the {count:,} objects that it says")
    return int(count) * RECORD.size


def check_layout(start: bytes, index: Index, size: int) -> list[Packed]:
    """The objects of a pack of `size` bytes in the order of their frames, which fill it exactly (STO-17). Raises Corrupt.

    `start` is the pack's first `HEADER.size` bytes.
    """
    if start != _START:
        raise Corrupt("the pack does not begin with its magic bytes, or is of an unknown version")
    if any(a >= b for a, b in zip(_oids(index), _oids(index)[1:], strict=False)):
        raise Corrupt("the pack's index is not sorted")
    found = sorted(index, key=lambda entry: entry.offset)
    at = HEADER.size
    for entry in found:
        if entry.offset != at or entry.size < frame.HEADER.size:
            raise Corrupt(f"the pack's index is wrong about object {entry.oid}")
        at += entry.size
    if at + len(index.records) + TRAILER.size != size:
        raise Corrupt(f"the pack has {size:,} bytes, and its frames and index do not fill it")
    return found


def _oids(index: Index) -> list[bytes]:
    return [index.records[at : at + 32] for at in range(0, len(index.records), RECORD.size)]
