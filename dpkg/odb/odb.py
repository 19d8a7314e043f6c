"""Objects and fragments of one store, by oid. Nothing unverified is handed out; nothing is written twice."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, NotFound, Storage, Usage
from dpkg.objects import frame
from dpkg.objects.canonical_json import MAX_BYTES
from dpkg.objects.chunks import ChunkList, is_listed, unpack
from dpkg.odb import blobs
from dpkg.odb.fragments import Fragments
from dpkg.odb.frames import Frames
from dpkg.odb.held import Held
from dpkg.odb.layout import object_key
from dpkg.odb.small import SmallBlobs
from dpkg.oid import Oid, digest
from dpkg.store.base import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, BinaryIO, Literal

    from dpkg.objects.frame import Kind, Read
    from dpkg.odb.frames import Run
    from dpkg.store.base import Backend

    Place = Literal["object", "fragment"]

_HEX = frozenset("0123456789abcdef")
_MOST_STORED = frame.most_stored(MAX_BYTES)
_MOST_BLOB = frame.most_stored(1 << 63)  # the longest list of chunks
_DAMAGED = "get it again from another store that has it; other objects are not affected"
_MISSING = "check the id, or get what is missing from the store that it came from"


class Odb:
    """The objects and fragments in `backend`. As thread-safe as the backend. `held` spares a remote one requests."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.held = Held() if is_remote(backend) else None
        self.frames = Frames(backend)
        self.fragments = Fragments(self.frames)

    # What is there

    def has(self, oid: Oid) -> bool:
        """Whether the object is stored. Its bytes are not read."""
        return self.frames.has(oid)

    def has_fragment(self, oid: Oid) -> bool:
        """Whether the fragment is stored; in a folder also that its end is there, which a power cut may have taken."""
        return self.fragments.has(oid)

    def size(self, oid: Oid) -> int:
        """The length of the object's payload, from its header or a pack's index alone."""
        packed = self.frames.find(oid)
        return self._header(oid).length if packed is None else packed.length

    def kind(self, oid: Oid) -> Kind:
        """What kind of object it is, from its header or a pack's index alone."""
        packed = self.frames.find(oid)
        return self._header(oid).kind if packed is None else packed.kind

    def iter_oids(self) -> Iterator[tuple[Place, Oid, int]]:
        """All objects, then all fragments, each with its stored size, in the order of oids."""
        for oid, size in self.frames:
            yield "object", oid, size
        for oid, size in self.fragments:
            yield "fragment", oid, size

    def resolve_prefix(self, prefix: str) -> list[Oid]:
        """The oids of objects that start with `prefix`, of 4 to 64 hexadecimal digits, in order."""
        if not 4 <= len(prefix) <= 64 or not _HEX.issuperset(prefix):
            raise Usage(f"'{prefix[:80]}' is not the start of an object id", "give 4 to 64 digits 0-9 and a-f")
        return self.frames.starting(prefix)

    # Objects in memory

    def read(self, oid: Oid, kind: Kind) -> bytes:
        """The payload of the object, which is of `kind`. Raises NotFound, and Corrupt if its bytes are not its own."""
        # More than the most that such an object has is not taken from wherever this is (STO-2).
        found, payload = self._read(oid, _MOST_BLOB if kind == frame.BLOB else _MOST_STORED)
        if found != kind:
            raise Corrupt(f"object {oid} is a {found} where a {kind} must be", "check what names it")
        return payload

    def read_any(self, oid: Oid) -> tuple[Kind, bytes]:
        """The kind and the payload of the object. Raises NotFound, and Corrupt if its bytes are not its own."""
        return self._read(oid, _MOST_BLOB)

    def _read(self, oid: Oid, most: int) -> tuple[Kind, bytes]:
        if self.held is not None and (found := self.held.get(oid)) is not None:
            return found
        kind, payload = self.load(oid, most)
        if isinstance(payload, ChunkList):
            return kind, b"".join(blobs.joined(self, oid, payload))
        if self.held is not None:
            self.held.put(oid, kind, payload)
        return kind, payload

    def load(self, oid: Oid, most: int = _MOST_BLOB) -> tuple[Kind, bytes | ChunkList]:
        """The kind and the payload of an object as it is stored now, of a large blob its chunks. Raises NotFound, Corrupt.

        Of its frame no more than `most` bytes are taken.
        """
        data = self.frames.get(oid, most)
        try:
            return self._unpacked(oid, data)
        except Corrupt as error:
            found = self._whole_copy(oid, most)
            packed = self.frames.packs.at_hand(oid)
            if found is None and packed is not None and packed.entry.kind == frame.FRAGMENT:  # in packs alone it may be
                raise self.missing(oid) from None
            if found is None:
                raise self.damaged(oid, error.message) from None
            return found

    @staticmethod
    def _unpacked(oid: Oid, data: bytes) -> tuple[Kind, bytes | ChunkList]:
        if is_listed(data):
            return frame.BLOB, unpack(data)
        return frame.unpack_as(oid, data)

    def _whole_copy(self, oid: Oid, most: int) -> tuple[Kind, bytes | ChunkList] | None:
        """An object of which one copy is damaged, from another."""
        with suppress(Corrupt, Storage):  # the place may not list its packs: then there is no other copy
            for data in self.frames.copies(oid, most):
                with suppress(Corrupt):
                    return self._unpacked(oid, data)
        return None

    def warm(
        self, oids: Iterable[Oid], each: Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]] = map
    ) -> None:
        """Hold objects of a remote store that are read soon: many with one request, and by `each` in threads.

        What is missing or damaged is left to who reads it.
        """
        held = self.held
        if held is None:
            return
        cold = [oid for oid in oids if held.get(oid) is None]
        if len(cold) < 2:
            return
        runs, other = self.frames.runs(cold)

        def hold(run: Run) -> None:
            for oid, data in self.frames.read_run(run):
                with suppress(Corrupt):
                    kind, payload = self._unpacked(oid, data)
                    if isinstance(payload, bytes):
                        held.put(oid, kind, payload)

        def read(oid: Oid) -> None:
            with suppress(NotFound, Corrupt):
                self._read(oid, _MOST_STORED)

        list(each(hold, runs))
        list(each(read, other))

    def write(self, kind: Kind, payload: bytes) -> Oid:
        """Store an object, if it is not there; its oid. It lasts once `sync` returns."""
        if kind == frame.BLOB and len(payload) > frame.LARGE:
            return blobs.write(self, BytesIO(payload))[0]
        oid = digest(kind, payload)
        if not self.stored(oid, len(payload)):
            self.put_frame(oid, frame.pack(kind, payload))
        if self.held is not None and kind != frame.BLOB:
            self.held.put(oid, kind, payload)  # what was written is often read next
        return oid

    # Blobs of any size

    def write_blob_file(self, source: str | BinaryIO) -> tuple[Oid, int]:
        """Store the file at the path `source`, or what an open binary file holds from its position on: oid and length.

        One pass over the source, in bounded memory.
        """
        return blobs.write(self, source)

    def small_blobs(self) -> SmallBlobs:
        """What stores many small blobs quickly."""
        return SmallBlobs(self)

    def iter_blob(self, oid: Oid) -> Iterator[bytes]:
        """The blob's bytes in pieces, in bounded memory. Raises NotFound; Corrupt comes before the last piece."""
        return blobs.pieces(self, oid)

    def read_range(self, oid: Oid, start: int, length: int) -> bytes:
        """`length` bytes of a blob from `start`, fewer only where it ends; of a large one only chunks that hold them are read.

        Raises NotFound, Corrupt, Usage.
        """
        return blobs.read_range(self, oid, start, length)

    def open_blob(self, oid: Oid) -> BinaryIO:
        """The blob as a file to read and seek in: only what is read of a large one is got. Raises NotFound, Corrupt."""
        from dpkg.odb.blobfile import open_blob

        return open_blob(self, oid)

    def open_frame(self, oid: Oid) -> tuple[Read, int]:
        """What reads ranges of an object's stored bytes, and how many there are. One request for a small object."""
        return self.frames.open(oid)

    def put_frame(self, oid: Oid, *parts: bytes | memoryview) -> None:
        """Store an object's frame, which the caller has checked, also over a damaged one."""
        self.frames.put(oid, *parts)

    # Fragments, as opaque bytes: dpkg.arrow knows what is in them

    def read_fragment_file(self, oid: Oid) -> bytes:
        """The bytes of the fragment's file, unverified. Raises NotFound, Corrupt."""
        return self.fragments.get(oid)

    def write_fragment_file(self, oid: Oid, data: bytes) -> None:
        """Store a fragment's file, if it is not there. It lasts once `sync` returns."""
        if not self.has_fragment(oid):
            self.put_fragment_file(oid, data)

    def put_fragment_file(self, oid: Oid, data: bytes) -> None:
        """As `write_fragment_file`, also over a damaged one."""
        self.fragments.put(oid, data)

    def fragment_path(self, oid: Oid) -> str | None:
        """Where engines can read the fragment in place, or None if the store is not a folder. A packed one gets a file for that.

        Raises NotFound, Corrupt, Denied where that cannot be written.
        """
        return self.fragments.path(oid)

    # Packing and durability

    def packing(self) -> AbstractContextManager[None]:
        """While this lasts, objects that are written are gathered into packs; `sync` stores those that wait.

        They can be read here at once. What was not stored yet when an error ends it is forgotten.
        """
        return self.frames.packing()

    def flush(self) -> None:
        """Store the objects that wait for a pack."""
        self.frames.flush()

    def sync(self) -> None:
        """When this returns, everything written, or found already written, survives a power cut."""
        self.frames.sync()

    # Helpers

    def stored(self, oid: Oid, length: int) -> bool:
        """Whether the object is there, and not cut off by a power cut. `length` is that of its payload."""
        return self.frames.find(oid) is not None or self.frames.has_loose(oid, length)

    def _header(self, oid: Oid) -> frame.Header:
        try:
            return frame.parse_header(self.frames.get(oid, frame.HEADER.size))
        except Corrupt as error:
            raise self.damaged(oid, error.message) from None

    def missing(self, oid: Oid) -> NotFound:
        """What to raise for an object that is not stored."""
        return NotFound(f"object {oid} is not in {self.backend.url}", _MISSING)

    def damaged(self, oid: Oid, why: str) -> Corrupt:
        """What to raise for an object whose stored bytes are not as they were written."""
        key = object_key(oid)
        path = self.backend.local_path(key) or f"{self.backend.url}/{key}"
        return Corrupt(f"object {oid} is damaged: {why} ({path})", _DAMAGED)
