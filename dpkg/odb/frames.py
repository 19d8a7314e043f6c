"""Where the frames of objects are: under keys of their own, in packs, or on their way into one."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from dpkg.errors import Corrupt, NotFound
from dpkg.objects import frame, pack
from dpkg.objects.pack import Packed
from dpkg.odb.ahead import Ahead
from dpkg.odb.layout import OBJECTS, fragment_key, object_key, oid_of_key, place_of
from dpkg.odb.packs import Packs
from dpkg.store.base import is_remote
from dpkg.store.local import LocalBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dpkg.objects.frame import Read
    from dpkg.odb.packing import Packer
    from dpkg.odb.packs import Found
    from dpkg.oid import Oid
    from dpkg.store.base import Backend

_END = 64  # bytes at the end of a frame: zeros where a power cut took its last page
_MISSING = "check the id, or get what is missing from the store that it came from"


class Run(NamedTuple):
    """Frames that lie near each other in one stored file: they are read at once."""

    key: str
    start: int
    length: int
    oids: tuple[Oid, ...]
    ends: tuple[tuple[int, int], ...]  # of each frame: where it begins and ends in the run


_GAP = 64 << 10  # bytes between two frames that are read along rather than asked for apart
_RUN = 4 << 20  # bytes read at once
_WORTH = 256 << 10  # bytes; in a folder a larger frame is not worth packing, which would copy and hash it once more
_FEW = 8  # objects


def _ignore(_: str) -> None:
    """No gc log is watched."""


class Frames:
    """The frames in `backend`, by oid; unverified. As thread-safe as the backend.

    In a folder packs are looked into first. Across a network only once they were listed, or where an object has no key
    of its own: that costs no request where there are no packs.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.packs = Packs(backend)
        self._packer: Packer | None = None
        self.note: Callable[[str], object] = (
            _ignore  # told the keys that a writer counts on or writes (dpkg/maintenance/gclog.py)
        )
        self._local = not is_remote(backend)
        self._ahead = None if self._local else Ahead(backend)

    # Reading

    def get(self, oid: Oid, most: int | None = None) -> bytes:
        """The bytes of a frame, or the first `most` of them. Raises NotFound."""
        found = self.known(oid, most)
        if found is not None:
            return found
        try:
            return self.loose(oid, most)
        except NotFound:
            return self.sought(oid, most)

    def known(self, oid: Oid, most: int | None = None) -> bytes | None:
        """As `get`, of a frame that is on its way into a pack, or in one as far as that is known."""
        if self._packer is not None and (pending := self._packer.get(oid)) is not None:
            return pending[:most]
        found = self._known(oid) or self.packs.hints.get(oid)
        if found is not None:
            with suppress(NotFound):  # repacked since
                return self._cut(found, most)
        return None

    def sought(self, oid: Oid, most: int | None = None) -> bytes:
        """As `get`, of a packed frame, after a look at the packs as they are now. Raises NotFound."""
        return self._cut(self._sought(oid), most)

    def loose(self, oid: Oid, most: int | None = None) -> bytes:
        """As `get`, of the copy under a key of its own. Raises NotFound."""
        key = object_key(oid)
        return self.backend.get(key) if most is None else self.backend.get_range(key, 0, most)

    def copies(self, oid: Oid, most: int | None = None) -> Iterator[bytes]:
        """Every copy of a frame that is stored, for when one is damaged: the loose one, which a repair made, first.

        Of a fragment also its own file, as a frame.
        """
        with suppress(NotFound):
            yield self.loose(oid, most)
        for found in self.packs.copies(oid):
            with suppress(NotFound):
                yield self._cut(found, most)
        with suppress(NotFound):
            yield frame.pack(frame.FRAGMENT, self.backend.get(fragment_key(oid)))

    def open(self, oid: Oid) -> tuple[Read, int]:
        """What reads ranges of a frame, and its length. One request for a small one. Raises NotFound."""
        if self.find(oid) is not None:
            data = self.get(oid)
            return (lambda start, length: data[start : start + length]), len(data)
        key = object_key(oid)
        try:
            first = self.backend.get_range(key, 0, frame.RANGE)
        except NotFound:
            self._sought(oid)
            return self.open(oid)
        size = len(first) if len(first) < frame.RANGE else self.loose_size(oid)

        def read(start: int, length: int) -> bytes:
            if start + length <= len(first) or len(first) == size:
                return first[start : start + length]
            return self.backend.get_range(key, start, length)

        return read, size

    def runs(self, oids: Iterable[Oid]) -> tuple[list[Run], list[Oid]]:
        """How to read many frames with few requests: runs in packs, and the objects that are in none that is known."""
        oids = list(oids)
        if len(oids) < _FEW and not self._local and not self.packs.listed:
            return [], oids  # to list the packs would cost more than it saves
        packed: dict[str, list[Packed]] = {}
        other = []
        for oid in oids:
            found = None if self._packer and self._packer.get(oid) else self.packs.find(oid)
            if found is None:
                other.append(oid)
            else:
                packed.setdefault(found.key, []).append(found.entry)
        return [run for key, entries in packed.items() for run in runs_of(key, entries)], other

    def read_run(self, run: Run) -> Iterator[tuple[Oid, bytes]]:
        """The frames of a run, with one request."""
        try:
            data = memoryview(self.backend.get_range(run.key, run.start, run.length))
        except NotFound:  # repacked since
            yield from ((oid, self.get(oid)) for oid in run.oids)
            return
        for oid, (start, end) in zip(run.oids, run.ends, strict=True):
            yield oid, bytes(data[start:end])

    def has(self, oid: Oid) -> bool:
        """Whether an object is stored, or on its way into a pack. One listing of the packs, if there was none yet."""
        found = self.find(oid)
        if found is not None:
            return found.kind != frame.FRAGMENT
        return self.has_loose(oid) or (not self.packs.listed and self.packed(oid) and self.has(oid))

    def packed(self, oid: Oid) -> bool:
        """Whether an object or fragment is in a pack. One listing of the packs, if there was none yet."""
        found = self.packs.find(oid)
        if found is not None:
            self.note(found.key)
        return found is not None

    def find(self, oid: Oid) -> Packed | None:
        """The record of an object or fragment that is in a known pack, or on its way into one."""
        if self._packer is not None and (data := self._packer.get(oid)) is not None:
            header = frame.parse_header(data)
            return Packed(oid, header.kind, 0, len(data), header.length)
        found = self._known(oid)
        if found is None:
            return None
        self.note(found.key)
        return found.entry

    def has_loose(self, oid: Oid, length: int = -1) -> bool:
        """Whether a frame is under a key of its own; in a folder also that a power cut took neither its beginning nor its end.

        `length` is that of its payload, if it is known.
        """
        size = self.loose_size(oid)
        if size < frame.HEADER.size or not self._local:
            return size >= frame.HEADER.size

        def read(start: int, wanted: int) -> bytes:
            return self.backend.get_range(object_key(oid), start, wanted)

        try:
            header = frame.parse_header(read(0, frame.HEADER.size), size)
            if not any(read(max(0, size - _END), _END)):
                frame.check_stream(read, size)  # zeros that were written, or pages that were not
        except (Corrupt, NotFound):
            return False
        return length in (-1, header.length)

    def loose_size(self, oid: Oid) -> int:
        """The length of the frame under a key of its own, -1 if there is none."""
        key = object_key(oid)
        stat = self.backend.stat(key)
        if stat is None:
            return -1
        self.note(key)
        return stat.size

    def __iter__(self) -> Iterator[tuple[Oid, int]]:
        """All objects that are stored, with the lengths of their frames, in the order of oids."""
        packed = ((entry.oid, entry.size) for entry in self.packs if entry.kind != frame.FRAGMENT)
        for oid, copies in groupby(merge(self._all_loose(), packed, key=itemgetter(0)), itemgetter(0)):
            yield oid, next(copies)[1]

    def starting(self, prefix: str) -> list[Oid]:
        """The objects whose oids begin with some hexadecimal digits, at least two, in order."""
        loose = self.backend.list(f"{OBJECTS}{prefix[:2]}/{prefix[2:]}")
        found = {oid for stat in loose if (oid := oid_of_key(stat.key)) is not None}
        packed = self.packs.starting(prefix)
        return sorted(found.union(entry.oid for entry in packed if entry.kind != frame.FRAGMENT))

    def _all_loose(self) -> Iterator[tuple[Oid, int]]:
        for stat in self.backend.list(OBJECTS):
            oid = oid_of_key(stat.key)
            if oid is not None:
                yield oid, stat.size if stat.size >= 0 else self.loose_size(oid)

    def _known(self, oid: Oid) -> Found | None:
        return self.packs.find(oid) if self._local or self.packs.listed else None

    def _sought(self, oid: Oid) -> Found:
        """Where a packed object is, after a look at the packs as they are now. Raises NotFound."""
        found = None if self.packs.listed else self.packs.find(oid)
        if found is None and self.packs.refresh():
            found = self.packs.find(oid)
        if found is None:
            damaged = self.packs.damaged
            hint = f"{len(damaged)} packs there are damaged: run 'dpk verify'" if damaged else _MISSING
            raise NotFound(f"object {oid} is not in {self.backend.url}", hint)
        return found

    def _cut(self, found: Found, most: int | None) -> bytes:
        size = found.entry.size if most is None else min(most, found.entry.size)
        if self._ahead is not None:
            return self._ahead.get(found.key, found.entry, size)
        return self.backend.get_range(found.key, found.entry.offset, size)

    # Writing

    @property
    def is_packing(self) -> bool:
        """Whether frames that are put are gathered into packs."""
        return self._packer is not None

    def put(self, oid: Oid, *parts: bytes | memoryview) -> None:
        """Store a frame, given in one part or several, also over a damaged one."""
        if self._packer is not None and sum(map(len, parts)) <= (_WORTH if self._local else pack.MOST_BYTES):
            self._packer.add(oid, b"".join(parts))
            return
        if frame.is_fragment(parts[0]):
            key, file = place_of(oid, b"".join(parts))
            self.note(key)
            self.backend.put(key, file)
            return
        key = object_key(oid)
        self.note(key)
        if isinstance(self.backend, LocalBackend):
            self.backend.put_parts(key, parts)
        else:
            self.backend.put(key, b"".join(parts))

    @contextmanager
    def packing(self) -> Iterator[None]:
        """While this lasts, frames are gathered into packs; `sync` stores those that wait.

        They can be read at once. What was not stored yet when an error ends it is forgotten.
        """
        if self._packer is not None:
            yield
            return
        from dpkg.odb.packing import Packer

        packer = self._packer = Packer(self.backend, self.packs, self.note)
        try:
            yield
            packer.flush()
        finally:
            self._packer = None
            packer.close()

    def flush(self) -> None:
        """Store the frames that wait for a pack."""
        if self._packer is not None:
            self._packer.flush()

    def sync(self) -> None:
        """When this returns, all that was put survives a power cut."""
        self.flush()
        self.backend.sync()


def runs_of(key: str, entries: list[Packed]) -> Iterator[Run]:
    """Entries of one pack as runs, none longer than `_RUN` but for a single frame."""
    entries.sort(key=attrgetter("offset"))
    begin = 0
    for i, entry in enumerate(entries):
        start, after = entries[begin].offset, entries[i + 1] if i + 1 < len(entries) else None
        if after is None or after.offset - entry.offset - entry.size > _GAP or after.offset + after.size - start > _RUN:
            of = entries[begin : i + 1]
            ends = tuple((e.offset - start, e.offset - start + e.size) for e in of)
            yield Run(key, start, entry.offset + entry.size - start, tuple(e.oid for e in of), ends)
            begin = i + 1
