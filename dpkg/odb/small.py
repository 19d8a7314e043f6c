"""Many small blobs at once: what is paid for each object else is paid for a batch of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpkg.objects import frame
from dpkg.oid import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpkg.odb.odb import Odb
    from dpkg.oid import Oid


def write(odb: Odb, payloads: Sequence[bytes]) -> list[Oid]:
    """Store blobs, each of at most `frame.CHUNK` bytes, those that are not there: their oids."""
    oids = [digest(frame.BLOB, payload) for payload in payloads]
    new = {oid: data for oid, data in zip(oids, payloads, strict=True) if not odb.stored(oid, len(data))}
    for oid, packed in zip(new, frame.pack_all(frame.BLOB, list(new.values())), strict=True):
        odb.put_frame(oid, packed)
    return oids
