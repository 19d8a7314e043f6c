"""Where small frames are in packs, told by who wrote them (spec/storage.md, STO-11): spares a reader far away the packs' indexes."""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt
from dpkg.objects import frame, pack
from dpkg.odb.layout import pack_key, pack_of_key
from dpkg.odb.packs import Found
from dpkg.oid import Oid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpkg.objects.pack import Packed

MOST = 4096  # records
LARGEST = (64 << 10) + frame.HEADER.size  # bytes of a frame
_PART = struct.Struct("<32sQ")  # a pack's id, and how many records follow


def encode(found: Iterable[Found]) -> bytes:
    """The places of small frames, at most `MOST`, as bytes."""
    packs: dict[str, list[Packed]] = defaultdict(list)
    left = MOST
    for key, entry in found:
        if entry.size <= LARGEST and left:
            packs[key].append(entry)
            left -= 1
    parts = []
    for key, entries in packs.items():
        pack_id = pack_of_key(key)
        assert pack_id is not None
        parts.append(_PART.pack(pack_id.raw, len(entries)))
        parts += [pack.RECORD.pack(e.oid.raw, frame.CODES[e.kind], bytes(7), *e[2:]) for e in entries]
    return b"".join(parts)


def decode(data: bytes) -> dict[Oid, Found]:
    """What `encode` was given. Raises Corrupt."""
    found: dict[Oid, Found] = {}
    at = 0
    while at < len(data):
        if at + _PART.size > len(data):
            raise Corrupt("places are cut off")
        raw, count = _PART.unpack_from(data, at)
        at += _PART.size
        index = pack.Index(data[at : at + count * pack.RECORD.size])
        if len(index) != count or len(found) + count > MOST:
            raise Corrupt("places are cut off, or too many")
        key = pack_key(Oid.of(raw))
        found.update((entry.oid, Found(key, entry)) for entry in index if entry.size <= LARGEST)
        at += count * pack.RECORD.size
    return found
