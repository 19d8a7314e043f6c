"""Many small blobs at once: what is paid for each object else is paid for a batch of them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from dpkg.objects import frame, pack
from dpkg.odb.layout import OBJECTS, object_key
from dpkg.oid import digest
from dpkg.store.base import is_remote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpkg.odb.odb import Odb
    from dpkg.oid import Oid

_FIRST = struct.Struct(f"<I{pack.RECORD.size - 4}x")  # the first bytes of an oid in a pack's index
_SPARSE = 16  # places in the filter for each packed object


class SmallBlobs:
    """Stores blobs of at most `frame.CHUNK` bytes, those that are not there. Thread-safe.

    For a folder it looks once what there is, to tell most of what is not there without asking. What comes meanwhile may
    be stored twice.
    """

    def __init__(self, odb: Odb) -> None:
        self._odb = odb
        self._written: set[Oid] = set()
        self._loose: dict[str, set[str]] | None = None if is_remote(odb.backend) else {}
        self._packed = bytearray()
        if self._loose is not None:
            packs = odb.frames.packs
            records = [packs.index(pack_id).records for pack_id in packs.ids()]
            self._packed = bytearray(1 << (sum(map(len, records)) // pack.RECORD.size * _SPARSE).bit_length())
            for index in records:
                for (first,) in _FIRST.iter_unpack(index):
                    self._packed[first % len(self._packed)] = 1

    def write(self, payloads: Sequence[bytes]) -> list[Oid]:
        """The oids of blobs, which last once the odb's `sync` returns."""
        oids = [digest(frame.BLOB, payload) for payload in payloads]
        new = {
            oid: data
            for oid, data in zip(oids, payloads, strict=True)
            if oid not in self._written and not (self._may_be_there(oid) and self._odb.stored(oid, len(data)))
        }
        for oid, packed in zip(new, frame.pack_all(frame.BLOB, list(new.values()), list(new)), strict=True):
            self._odb.put_frame(oid, packed)
        self._written.update(new)
        return oids

    def _may_be_there(self, oid: Oid) -> bool:
        if self._loose is None or self._packed[int.from_bytes(bytes.fromhex(oid[:8]), "little") % len(self._packed)]:
            return True
        key = object_key(oid)
        folder = oid[:2]
        if folder not in self._loose:
            self._loose[folder] = {stat.key for stat in self._odb.backend.list(f"{OBJECTS}{folder}/")}
        return key in self._loose[folder]
