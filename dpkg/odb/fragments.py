"""The files of fragments: plain Parquet files, which engines read in place, or in packs if they are small and many."""

from __future__ import annotations

import os
from contextlib import suppress
from heapq import merge
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, Denied, NotFound, Storage
from dpkg.objects import frame
from dpkg.odb.layout import FRAGMENTS, fragment_key, oid_of_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.odb.frames import Frames
    from dpkg.oid import Oid
    from dpkg.store.ranged import RangedFile

SMALL = 64 << 10  # bytes; a larger file is never packed, for engines
_MISSING = "check the id, or get what is missing from the store that it came from"
_DAMAGED = "'dpk repair --from REMOTE' brings it from another store"


class Fragments:
    """The fragments among `frames`, and those in files of their own, as opaque bytes: dpkg.arrow knows what is in them.

    Where to look first is as for objects.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames, self._backend = frames, frames.backend

    # What is there

    def has(self, oid: Oid) -> bool:
        """Whether a fragment is stored; in a folder also that its end is there, which a power cut may have taken."""
        found = self._frames.find(oid)
        if found is not None and found.kind == frame.FRAGMENT:
            return True
        return self._has_file(oid) or (not self._frames.packs.listed and self._frames.packed(oid))

    def named(self, oid: Oid) -> bool:
        """Whether there is anything that is to be this fragment, if only a part of its file."""
        return self.size(oid) >= 0 or self.has(oid)

    def _has_file(self, oid: Oid) -> bool:
        size = self.size(oid)
        if size <= 0 or self._backend.local_path(fragment_key(oid)) is None:
            return size > 0
        try:
            end = self._backend.get_range(fragment_key(oid), -8, 8)
        except NotFound:
            return False
        return end[4:] == b"PAR1" and int.from_bytes(end[:4], "little") + 12 <= size

    def size(self, oid: Oid) -> int:
        """The length of a fragment's own file, -1 if there is none."""
        stat = self._backend.stat(fragment_key(oid))
        if stat is None:
            return -1
        self._frames.note(fragment_key(oid))
        return stat.size

    def __iter__(self) -> Iterator[tuple[Oid, int]]:
        """All fragments, with the lengths of their files, in the order of oids."""
        packed = ((entry.oid, entry.length) for entry in self._frames.packs if entry.kind == frame.FRAGMENT)
        for oid, copies in groupby(merge(self.files(), packed, key=itemgetter(0)), itemgetter(0)):
            yield oid, next(copies)[1]

    def files(self) -> Iterator[tuple[Oid, int]]:
        """The fragments that have files of their own, with the lengths of these, in the order of oids."""
        for stat in self._backend.list(FRAGMENTS):
            oid = oid_of_key(stat.key)
            if oid is not None:
                yield oid, stat.size if stat.size >= 0 else self.size(oid)

    def starting(self, prefix: str) -> list[Oid]:
        """The fragments whose oids begin with some hexadecimal digits, at least two, in order."""
        listed = self._backend.list(f"{FRAGMENTS}{prefix[:2]}/{prefix[2:]}")
        found = {oid for stat in listed if (oid := oid_of_key(stat.key)) is not None}
        packed = self._frames.packs.starting(prefix)
        return sorted(found.union(entry.oid for entry in packed if entry.kind == frame.FRAGMENT))

    # Reading

    def get(self, oid: Oid) -> bytes:
        """The bytes of a fragment's file. A packed one is as it was packed; else unverified. Raises NotFound, Corrupt."""
        data = self._packed(oid)
        if data is not None:
            return data
        try:
            return self._backend.get(fragment_key(oid))
        except NotFound:
            return self._sought(oid)

    def open(self, oid: Oid) -> RangedFile | BytesIO:
        """As `get`, as a file: of one that is not packed only what is asked for is got. Raises NotFound, Corrupt."""
        from dpkg.store.ranged import RangedFile

        data = self._packed(oid)
        if data is not None:
            return BytesIO(data)
        try:
            return RangedFile(self._backend, fragment_key(oid))
        except NotFound:
            return BytesIO(self._sought(oid))

    def source(self, oid: Oid, whole: bool) -> str | RangedFile | BytesIO:
        """As `get`, as what a reader takes: in a folder the path of the file, if it has one. `whole`: most of it will be read."""
        path = self._backend.local_path(fragment_key(oid))
        if path is None:
            return BytesIO(self.get(oid)) if whole else self.open(oid)
        data = self._packed(oid)
        if data is None and os.path.isfile(path):
            return path
        return BytesIO(self._sought(oid) if data is None else data)

    def path(self, oid: Oid) -> str | None:
        """Where engines can read a fragment in place, or None if the store is not a folder. A packed one gets a file for that.

        Raises NotFound, Corrupt, Denied.
        """
        path = self._backend.local_path(fragment_key(oid))
        if path is None or os.path.isfile(path):
            return path
        data = self.get(oid)
        try:
            self._backend.put(fragment_key(oid), data)
        except (Denied, Storage) as error:
            raise Denied(
                f"fragment {oid} is in a pack, and cannot be written out as a file: {error.message}",
                "install the package into a store that you may write to",
            ) from None
        return path

    def _packed(self, oid: Oid) -> bytes | None:
        """The file of a fragment that is in a pack, as far as it is known where."""
        data = self._frames.known(oid)
        return None if data is None else self._file(oid, data)

    def _sought(self, oid: Oid) -> bytes:
        try:
            return self._file(oid, self._frames.sought(oid))
        except NotFound as error:
            hint = error.hint or _MISSING
            raise NotFound(f"fragment {oid} is not in {self._backend.url}", hint) from None

    def _file(self, oid: Oid, data: bytes) -> bytes:
        """The file in a frame, or of another copy where this one is damaged: packed ones, then that with a file of its own."""
        try:
            file = _unpacked(data)
            if oid in self._frames.packs.hints:  # a hint may be wrong
                _check_named(oid, file)
            return file
        except Corrupt as error:
            why = error.message
        for found in self._frames.copies(oid):
            with suppress(Corrupt):
                return _unpacked(found)
        raise Corrupt(f"fragment {oid} is damaged in a pack of {self._backend.url}: {why}", _DAMAGED)

    # Writing

    def put(self, oid: Oid, data: bytes) -> None:
        """Store a fragment's file, which the caller has checked, also over a damaged one: in a pack, if any is being made."""
        if len(data) <= SMALL and self._frames.is_packing:
            self._frames.put(oid, frame.pack(frame.FRAGMENT, data))
            return
        self._frames.note(fragment_key(oid))
        self._backend.put(fragment_key(oid), data)


def _check_named(oid: Oid, file: bytes) -> None:
    from dpkg.arrow import fragment

    if fragment.oid_of(BytesIO(file)) != oid:
        raise Corrupt("it is that of another fragment")


def _unpacked(data: bytes) -> bytes:
    kind, payload = frame.unpack(data)
    if kind != frame.FRAGMENT:
        raise Corrupt("it is that of an object")
    return payload
