"""All copies of an object in one store, for when the first that was found is damaged: every whole one is as good."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt
from dpkg.objects import chunks, frame

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


def check(oid: Oid, data: bytes) -> None:
    """That a frame is whole and that of an object; of a blob in chunks, that its list is. Raises Corrupt."""
    if frame.check(data)[0].codec == frame.CHUNKS:
        chunks.unpack(data)
        return
    frame.unpack_as(oid, data)
