"""All copies of an object in one store, for when the first that was found is damaged: every whole one is as good."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, Format
from dpkg.objects import chunks, frame
from dpkg.oid import digest

if TYPE_CHECKING:
    from dpkg.odb.frames import Frames
    from dpkg.oid import Oid


def whole(frames: Frames, oid: Oid) -> bytes | None:
    """The frame of an object, from whichever copy is whole; None if there is none."""
    for data in frames.copies(oid):
        with suppress(Corrupt):
            check(oid, data)
            return data
    return None


def check_fragment(oid: Oid, file: bytes) -> None:
    """That a file is that of a fragment, to its last value. Raises Corrupt."""
    from dpkg.arrow import checking

    try:
        checking.check_alone(file, oid)
    except Format as error:
        raise Corrupt(error.message) from None


def oid_of(data: bytes) -> Oid:
    """The oid of what is in a frame, which is not in chunks. Raises Corrupt."""
    kind, payload = frame.unpack(data)
    if kind != frame.FRAGMENT:
        return digest(kind, payload)
    from dpkg.arrow import fragment

    oid = fragment.oid_of(BytesIO(payload))
    check_fragment(oid, payload)
    return oid


def check(oid: Oid, data: bytes) -> None:
    """That a frame is whole and that of an object or fragment; of a blob in chunks, that its list is. Raises Corrupt."""
    if frame.is_fragment(data):
        check_fragment(oid, frame.unpack(data)[1])
        return
    if frame.check(data)[0].codec == frame.CHUNKS:
        chunks.unpack(data)
        return
    frame.unpack_as(oid, data)
