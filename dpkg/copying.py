"""One stored file from an odb to another: its bytes as they are, checked whole before they are kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dpkg import progress
from dpkg.errors import Corrupt, NotFound
from dpkg.objects import frame
from dpkg.objects.canonical_json import MAX_BYTES
from dpkg.odb import object_key
from dpkg.oid import digest

if TYPE_CHECKING:
    from typing import BinaryIO

    from dpkg.objects.frame import Kind
    from dpkg.odb import Odb
    from dpkg.oid import Oid

LARGE = 4 << 20  # bytes of payload; larger blobs go through a file
_DAMAGED = "'dpk verify --repair REMOTE' there brings it from another store; nothing was published here"
_MISSING = "the store that it should come from is not complete: 'dpk verify' there says what is missing"


def copy_object(source: Odb, target: Odb, oid: Oid, kind: Kind, size: int | None = None) -> int:
    """Copy an object of `size` bytes of payload (None: any); the bytes stored. Raises NotFound, Corrupt, Storage."""
    if source.held is not None and kind != frame.BLOB and (held := source.held.get(oid)) is not None:
        return keep_object(source, target, oid, kind, frame.pack(*held), size)
    most = MAX_BYTES if size is None else size
    try:  # zstd's worst case is a little more than its input
        data = source.frames.get(oid, frame.HEADER.size + most + (most >> 7) + 1024)
    except NotFound:
        raise _missing(source, oid) from None
    return keep_object(source, target, oid, kind, data, size)


def keep_object(source: Odb, target: Odb, oid: Oid, kind: Kind, data: bytes, size: int | None = None) -> int:
    """Store the frame of an object that was read from `source`, once it was checked; the bytes stored. Raises Corrupt."""
    most = MAX_BYTES if size is None else size
    try:
        header = frame.parse_header(data)
        if header.length > most or size not in (None, header.length):
            raise Corrupt(f"it has {header.length:,} bytes, and {most:,} were said")
        found, payload = frame.unpack(data)
    except Corrupt as error:
        raise _damaged(source, oid, error.message) from None
    if found != kind or digest(found, payload) != oid:
        raise _damaged(source, oid, "its bytes are those of another object")
    target.put_frame(oid, data)
    progress.advance("moved", len(data), None, "bytes")
    return len(data)


def copy_blob(source: Odb, target: Odb, oid: Oid, size: int | None) -> int:
    """Copy a blob of `size` bytes (None: any), in bounded memory; the bytes stored. Raises NotFound, Corrupt, Storage."""
    held = source.size(oid) if size is None else size
    if held <= LARGE:
        return copy_object(source, target, oid, frame.BLOB, held)
    stat = source.backend.stat(object_key(oid))
    if stat is None:
        raise _missing(source, oid)
    file = target.new_frame()
    try:
        _fetch(source, oid, stat.size, file)
        _check(source, oid, held, stat.size, file)
        target.adopt_frame(oid, file)
    finally:
        target.discard_frame(file)
    return stat.size


def copy_fragment(source: Odb, target: Odb, oid: Oid) -> int:
    """Copy a fragment's file, also over a damaged one, without knowing its table; the bytes stored. Raises NotFound, Corrupt, Storage."""
    from dpkg.arrow import checking

    data = source.read_fragment_file(oid)
    checking.check_alone(data, oid)
    target.put_fragment_file(oid, data)
    return len(data)


def _fetch(source: Odb, oid: Oid, size: int, out: BinaryIO) -> None:
    for start in range(0, size, frame.RANGE):
        data = source.backend.get_range(object_key(oid), start, min(frame.RANGE, size - start))
        out.write(data)
        progress.advance("moved", len(data), None, "bytes")
    out.flush()


def _check(source: Odb, oid: Oid, length: int, size: int, file: BinaryIO) -> None:
    """That a file holds a whole frame, of this blob: what is kept is what was checked."""

    def read(start: int, wanted: int) -> bytes:
        return os.pread(file.fileno(), wanted, start)

    try:
        header = frame.check_stream(read, size)
        if header.kind != frame.BLOB or header.length != length:
            raise Corrupt(f"it is a {header.kind} of {header.length:,} bytes, not a blob of {length:,}")
        hasher = frame.new_hasher(frame.BLOB)
        for chunk in frame.iter_payload(read, size):
            hasher.update(chunk)
    except Corrupt as error:
        raise _damaged(source, oid, error.message) from None
    if hasher.hexdigest() != oid:
        raise _damaged(source, oid, "its bytes are those of another object")


def _missing(source: Odb, oid: Oid) -> NotFound:
    return NotFound(f"object {oid} is not in {source.backend.url}", _MISSING)


def _damaged(source: Odb, oid: Oid, why: str) -> Corrupt:
    return Corrupt(f"object {oid} in {source.backend.url} is damaged: {why}", _DAMAGED)
