"""Blobs of any size, to and from an odb, in bounded memory."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from dpkg.errors import Corrupt, NotFound
from dpkg.objects import frame
from dpkg.store.local import failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from dpkg.objects.frame import Read
    from dpkg.odb.odb import Odb
    from dpkg.oid import Oid


def write(odb: Odb, source: str | BinaryIO) -> tuple[Oid, int]:
    """Store the file at the path `source`, or what an open binary file holds from its position on: oid and length."""
    if not isinstance(source, str):
        return _write(odb, source)
    try:
        with open(source, "rb", buffering=0) as file:
            return _write(odb, cast("BinaryIO", file))
    except FileNotFoundError:
        raise NotFound(f"there is no file '{source}'") from None
    except OSError as error:
        raise failure(error, "read", source) from error


def _write(odb: Odb, source: BinaryIO) -> tuple[Oid, int]:
    try:
        data = frame.read_full(source, frame.CHUNK)
        if len(data) < frame.CHUNK:
            return odb.write(frame.BLOB, data), len(data)
        return _write_large(odb, cast("BinaryIO", _Joined(data, source)))
    except OSError as error:
        raise failure(error, "read", str(getattr(source, "name", "the input"))) from error


def _write_large(odb: Odb, source: BinaryIO) -> tuple[Oid, int]:
    """Pack into a file: the frame takes its name once its oid is known."""
    out = odb.new_frame()
    try:
        oid, length = frame.pack_file(frame.BLOB, source, out)
        if odb.stored(oid, length):
            odb.discard_frame(out)
        else:
            odb.adopt_frame(oid, out)
    except BaseException:
        odb.discard_frame(out)
        raise
    return oid, length


def pieces(odb: Odb, oid: Oid) -> Iterator[bytes]:
    """The blob's bytes in pieces, in bounded memory. Raises NotFound; Corrupt comes before the last piece."""
    begun = False
    try:
        read, size = odb.open_frame(oid)
        if size <= frame.RANGE:  # damage is known before the first piece: then another copy may be whole
            frame.check(read(0, size))
        for piece in payload(oid, read, size):
            begun = True
            yield piece
    except Corrupt as error:
        copy = None if begun else _whole_copy(odb, oid)
        if copy is None:
            raise odb.damaged(oid, error.message) from None
        yield from payload(oid, *copy)
    except NotFound:
        raise odb.missing(oid) from None


def _whole_copy(odb: Odb, oid: Oid) -> tuple[Read, int] | None:
    """What reads a copy of a blob that is not damaged, where there is one and it is not too large for memory."""
    from dpkg.odb.packfile import check_frame, reading

    for data in odb.frames.copies(oid, frame.RANGE):
        with suppress(Corrupt):
            check_frame(oid, reading(data), len(data))
            return reading(data), len(data)
    return None


def payload(oid: Oid, read: Read, size: int) -> Iterator[bytes]:
    """A blob's bytes out of its frame, in pieces, the last one once all are known to be its own. Raises Corrupt."""
    header = frame.parse_header(read(0, frame.HEADER.size), size)
    if header.kind != frame.BLOB:
        raise Corrupt(f"it is a {header.kind} where a blob must be")
    hasher = frame.new_hasher(frame.BLOB)
    held = b""
    for chunk in frame.iter_payload(read, size):
        if held:
            yield held
        hasher.update(chunk)
        held = chunk
    if hasher.hexdigest() != oid:
        raise Corrupt("its bytes are those of another object")
    if held:
        yield held


class _Joined:
    """A file of which the first bytes have been read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._rest.read(size)
