"""The indexes of many packs as one, for when much is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dpkg.objects.pack import RECORD

if TYPE_CHECKING:
    from dpkg.objects.pack import Index, Packed
    from dpkg.oid import Oid


class Merged:
    """Finds an object in any of some packs by one binary search. Memory: 20 bytes an object beside the indexes."""

    def __init__(self, indexes: Mapping[Oid, Index]) -> None:
        self._ids = list(indexes)
        self._indexes = [indexes[i] for i in self._ids]
        self.packs = frozenset(self._ids)
        starts = [np.frombuffer(x.records, dtype=">u8")[:: RECORD.size // 8] for x in self._indexes]
        owners = [np.full(len(s), i, dtype=np.uint32) for i, s in enumerate(starts)]
        places = [np.arange(len(s), dtype=np.uint32) for s in starts]
        all_starts = np.concatenate(starts).astype(np.uint64) if starts else np.empty(0, np.uint64)
        order = np.argsort(all_starts, kind="stable")
        self._starts = all_starts[order]  # the first 8 bytes of oids, as numbers
        self._owners = np.concatenate(owners)[order] if starts else np.empty(0, np.uint32)
        self._places = np.concatenate(places)[order] if starts else np.empty(0, np.uint32)

    def find(self, oid: Oid) -> tuple[Oid, Packed] | None:
        """The pack that an object is in, and where."""
        start = np.uint64(int(oid[:16], 16))
        at = int(self._starts.searchsorted(start))
        while at < len(self._starts) and self._starts[at] == start:
            owner = int(self._owners[at])
            entry = self._indexes[owner].at(int(self._places[at]))
            if entry.oid == oid:
                return self._ids[owner], entry
            at += 1
        return None
