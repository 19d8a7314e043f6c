"""One object or fragment from an odb to another: its stored bytes as they are, checked whole before they are kept."""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import closing, suppress
from itertools import islice
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from dpkg import progress
from dpkg.errors import Corrupt, NotFound
from dpkg.objects import frame
from dpkg.objects.canonical_json import MAX_BYTES
from dpkg.objects.chunks import is_listed, unpack
from dpkg.odb import blobs, is_remote
from dpkg.threads import in_order
from dpkg.transfer.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from dpkg.objects.chunks import Chunk, ChunkList
    from dpkg.objects.frame import Kind
    from dpkg.odb import Odb
    from dpkg.oid import Oid

LARGE = frame.LARGE  # bytes of payload; larger blobs are in chunks
_ASKED = 1000  # chunks of which the target is asked at once
_AHEAD, _AHEAD_REMOTE = 2, 8  # chunks of a blob that are on their way at once
_few = BoundedSemaphore(4)  # large blobs that are on their way at once: their chunks are in memory
_DAMAGED = "'dpk repair --from REMOTE' there brings it from another store; nothing was published here"
_MISSING = "the store that it should come from is not complete: 'dpk verify' there says what is missing"


def copy_object(source: Odb, target: Odb, oid: Oid, kind: Kind, size: int | None = None) -> int:
    """Copy an object of `size` bytes of payload (None: any); the bytes stored. Raises NotFound, Corrupt, Storage."""
    if source.held is not None and kind != frame.BLOB and (held := source.held.get(oid)) is not None:
        return keep_object(source, target, oid, kind, frame.pack(*held), size)
    most = MAX_BYTES if size is None else size
    try:
        data = source.frames.get(oid, frame.most_stored(most))
    except NotFound:
        raise _missing(source, oid) from None
    return keep_object(source, target, oid, kind, data, size)


def keep_object(source: Odb, target: Odb, oid: Oid, kind: Kind, data: bytes, size: int | None = None) -> int:
    """Store the frame of an object that was read from `source`, once it was checked; the bytes stored. Raises Corrupt."""
    _payload(source, oid, kind, data, size)
    target.put_frame(oid, data)
    progress.advance("moved", len(data), None, "bytes")
    return len(data)


def _payload(source: Odb, oid: Oid, kind: Kind, data: bytes, size: int | None) -> bytes:
    """What the frame of an object holds, all checked. Raises Corrupt."""
    most = MAX_BYTES if size is None else size
    try:
        header = frame.parse_header(data)
        if header.length > most or size not in (None, header.length):
            raise Corrupt(f"it has {header.length:,} bytes, and {most:,} were said")
        found, payload = frame.unpack_as(oid, data)
    except Corrupt as error:
        raise _damaged(source, oid, error.message) from None
    if found != kind:
        raise _damaged(source, oid, "its bytes are those of another object")
    return payload


def copy_blob(source: Odb, target: Odb, oid: Oid, size: int | None) -> int:
    """Copy a blob of `size` bytes (None: any), in bounded memory; the bytes stored. Raises NotFound, Corrupt, Storage.

    Of a large one the chunks that the target lacks, or has damaged, then the list, if need be: a list that is there does not
    say that the chunks are (STO-9). All of it is read and checked against its oid, what the target has from there if it is near.
    """
    if size is not None and size <= LARGE:
        return copy_object(source, target, oid, frame.BLOB, size)
    try:
        data = source.frames.get(oid, frame.most_stored(size or 1 << 63))
    except NotFound:
        raise _missing(source, oid) from None
    if not is_listed(data):
        return keep_object(source, target, oid, frame.BLOB, data, size)
    try:
        found = unpack(data)
    except Corrupt as error:
        raise _damaged(source, oid, error.message) from None
    if size not in (None, found.length):
        raise _damaged(source, oid, f"it has {found.length:,} bytes, and {size:,} were said")
    with _few:
        moved = _copy_chunks(source, target, oid, found)
    if not target.has(oid) or target.frames.get(oid, len(data) + 1) != data:
        target.put_frame(oid, data)
        moved += len(data)
    return moved


def _copy_chunks(source: Odb, target: Odb, oid: Oid, found: ChunkList) -> int:
    """Copy the chunks that the target lacks; the bytes stored. Raises Corrupt unless all together are the blob `oid`."""
    remote = is_remote(source.backend) or is_remote(target.backend)
    copy = _Chunks(source, target, oid)
    hasher = frame.new_hasher(frame.BLOB)
    with closing(in_order(copy.one, copy.marked(found), _AHEAD_REMOTE if remote else _AHEAD)) as pieces:
        for piece in pieces:
            hasher.update(piece)
    if hasher.hexdigest() != oid:
        raise _damaged(source, oid, "its chunks are those of another blob")
    return copy.moved


class _Chunks:
    """The chunks of one blob on their way from `source` to `target`."""

    def __init__(self, source: Odb, target: Odb, blob: Oid) -> None:
        self.source, self.target, self.blob, self.moved = source, target, blob, 0
        self._lock = allocate_lock()
        self._presence = Presence(target, _each)
        self._near = not is_remote(target.backend)

    def marked(self, found: ChunkList) -> Iterator[tuple[Chunk, bool]]:
        """Each chunk, and whether it is to be copied: the first time, if the target lacks it."""
        seen: set[Oid] = set()
        chunks = iter(found)
        while some := list(islice(chunks, _ASKED)):
            new = list(dict.fromkeys(chunk.oid for chunk in some if chunk.oid not in seen))
            lacking = self._presence.lacking("object", [o for o in new if self.target.frames.find(o) is None])
            seen.update(new)
            for chunk in some:
                yield chunk, chunk.oid in lacking
                lacking.discard(chunk.oid)

    def one(self, item: tuple[Chunk, bool]) -> bytes:
        """The bytes of a chunk, which the target has then, checked against the chunk's oid."""
        chunk, lacking = item
        if not lacking and self._near:
            with suppress(NotFound, Corrupt):
                return blobs.read_chunk(self.target, self.blob, chunk)
            lacking = True  # what is there is damaged
        try:
            data = self.source.frames.get(chunk.oid, frame.most_stored(chunk.length))
            payload = _payload(self.source, chunk.oid, frame.BLOB, data, chunk.length)
        except NotFound:
            raise _missing(self.source, chunk.oid, f", a chunk of blob {self.blob},") from None
        except Corrupt as error:
            raise _damaged(self.source, self.blob, f"in a chunk: {error.message}") from None
        if lacking:
            self.target.put_frame(chunk.oid, data)
            with self._lock:
                self.moved += len(data)
            progress.advance("moved", len(data), None, "bytes")
        return payload


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    with closing(in_order(work, items, _AHEAD_REMOTE)) as done:
        return list(done)


def copy_fragment(source: Odb, target: Odb, oid: Oid) -> int:
    """Copy a fragment's file, also over a damaged one, without knowing its table; the bytes stored. Raises NotFound, Corrupt, Storage."""
    from dpkg.arrow import checking

    data = source.read_fragment_file(oid)
    checking.check_alone(data, oid)
    target.put_fragment_file(oid, data)
    return len(data)


def _missing(source: Odb, oid: Oid, what: str = "") -> NotFound:
    return NotFound(f"object {oid}{what} is not in {source.backend.url}", _MISSING)


def _damaged(source: Odb, oid: Oid, why: str) -> Corrupt:
    return Corrupt(f"object {oid} in {source.backend.url} is damaged: {why}", _DAMAGED)
