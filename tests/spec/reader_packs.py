"""Second reader, part 7: packs (storage.md)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from reader_json import Refused, plain_blake3
from reader_objects import PACKED_KINDS, check_frame, decode_frame
from reader_parquet import file_oid

PACK_MAGIC, INDEX_MAGIC = b"dpkgpack", b"dpkgpidx"
MAX_PACK_OBJECTS = 8192


class Record(NamedTuple):
    """A record of a pack's index."""

    oid: str
    kind: int
    offset: int
    size: int
    length: int


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def encode_record(record: Record) -> bytes:
    """The 64 bytes of a record."""
    head = bytes.fromhex(record.oid) + bytes([record.kind]) + bytes(7)
    return head + number(record.offset) + number(record.size) + number(record.length)


def pack_trailer(records: bytes, count: int | None = None) -> bytes:
    """The trailer behind some records."""
    start = INDEX_MAGIC + number(len(records) // 64 if count is None else count) + bytes(16)
    return start + plain_blake3(records + start)


def encode_pack(frames: Iterable[tuple[str, bytes]]) -> bytes:
    """A pack of frames, in the order given, by their oids."""
    data, records = PACK_MAGIC + bytes(8), []
    for oid, frame in frames:
        length = int.from_bytes(frame[16:24], "little")
        records.append(encode_record(Record(oid, frame[9], len(data), len(frame), length)))
        data += frame
    index = b"".join(sorted(records))
    return data + index + pack_trailer(index)


def decode_index(data: bytes) -> list[Record]:
    """The records of a pack, of its last bytes, at least 524,352 where it has as many (STO-16, STO-17)."""
    trailer = data[-64:]
    if len(trailer) < 64 or trailer[:8] != INDEX_MAGIC or trailer[16:32] != bytes(16):
        raise Refused("STO-17", "no trailer")
    count = int.from_bytes(trailer[8:16], "little")
    if count > MAX_PACK_OBJECTS:
        raise Refused("STO-16", "more than 8,192 objects")
    if 64 * (count + 1) > len(data):
        raise Refused("STO-17", "the index is cut off")
    index = data[len(data) - 64 * (count + 1) : -64]
    if pack_trailer(index) != trailer:
        raise Refused("STO-17", "digest of the index")
    return [decode_record(index[at : at + 64]) for at in range(0, len(index), 64)]


def decode_record(data: bytes) -> Record:
    if data[32] not in PACKED_KINDS or data[33:40] != bytes(7):
        raise Refused("STO-17", "kind or reserved bytes of a record")
    offset, size, length = (int.from_bytes(data[at : at + 8], "little") for at in (40, 48, 56))
    return Record(data[:32].hex(), data[32], offset, size, length)


def check_pack(data: bytes, wanted: str, stored: dict[str, bytes] | None = None) -> list[tuple[Record, bytes]]:
    """Every object of the pack with the id `wanted`, with its payload, in the order of the frames.

    `stored` are the frames of objects by oid, for blobs in chunks.
    """
    if plain_blake3(data).hex() != wanted:
        raise Refused("STO-16", "id")
    if data[:8] != PACK_MAGIC or data[8:16] != bytes(8):
        raise Refused("STO-17", "magic, version or reserved bytes")
    records = decode_index(data)
    if any(a.oid >= b.oid for a, b in pairwise(records)):
        raise Refused("STO-16", "not sorted, or an object twice")
    found, at = [], 16
    for record in sorted(records, key=lambda r: r.offset):
        if record.offset != at or record.size < 64:
            raise Refused("STO-17", "the frames do not fill the pack")
        at += record.size
        found.append(record)
    if at + 64 * (len(records) + 1) != len(data):
        raise Refused("STO-17", "the frames do not fill the pack")
    return [(r, payload_of(r, data[r.offset : r.offset + r.size], stored)) for r in found]


def payload_of(record: Record, frame: bytes, stored: dict[str, bytes] | None = None) -> bytes:
    """The payload of a frame of which the record is right (STO-2, STO-3, STO-17)."""
    kind, payload = (
        read_fragment(frame, record.oid) if frame[9:10] == b"\5" else decode_frame(frame, record.oid, stored)
    )
    if (PACKED_KINDS[record.kind], record.length) != (kind, len(payload)):
        raise Refused("STO-17", "the record is wrong about its frame")
    return payload


def read_fragment(frame: bytes, wanted: str) -> tuple[str, bytes]:
    """The file of the fragment `wanted` in its frame (STO-32)."""
    check_frame(frame, PACKED_KINDS)
    if frame[10] != 0:
        raise Refused("STO-32", "codec")
    if file_oid(frame[64:]) != wanted:
        raise Refused("STO-32", "another fragment")
    return "fragment", frame[64:]
