"""The frames that are whole in a damaged pack, whether its index is or not."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dpkg.errors import Corrupt
from dpkg.objects import frame, pack
from dpkg.objects.canonical_json import MAX_BYTES
from dpkg.odb import copies
from dpkg.odb.layout import pack_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.oid import Oid
    from dpkg.store.base import Backend


class Salvaged(NamedTuple):
    """What is in a damaged pack, in the order of frames; None for what is not whole there."""

    frames: list[tuple[Oid, bytes | None]]
    indexed: bool  # whether readers find these


def salvage(backend: Backend, pack_id: Oid) -> Salvaged:
    """All of a pack that is whole; without an index as far as frames follow one another. In memory. Raises NotFound."""
    data = backend.get(pack_key(pack_id))
    try:
        index = pack.parse_tail(data[-pack.TAIL :], len(data))
        entries = sorted(index, key=lambda entry: entry.offset)
    except Corrupt:
        return Salvaged(list(islice(_scan(data), pack.MOST_OBJECTS)), False)
    return Salvaged([(entry.oid, _whole(entry, data)) for entry in entries], True)


def _whole(entry: pack.Packed, data: bytes) -> bytes | None:
    found = data[entry.offset : entry.offset + entry.size]
    try:
        copies.check(entry.oid, found)
    except Corrupt:
        return None
    return found


def _scan(data: bytes) -> Iterator[tuple[Oid, bytes | None]]:
    """Frames that follow one another, or that begin further on where one is damaged."""
    at = pack.HEADER.size
    while (at := data.find(frame.MAGIC, at)) >= 0:
        try:
            header = frame.parse_header(data[at : at + frame.HEADER.size])
            found = data[at : at + frame.HEADER.size + header.stored]
            frame.check(found)
            if header.codec == frame.CHUNKS or header.length > MAX_BYTES:
                raise Corrupt("its oid cannot be told from its bytes")
            oid = copies.oid_of(found)
        except Corrupt:
            at += 1
            continue
        yield oid, found
        at += len(found)
