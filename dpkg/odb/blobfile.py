"""A blob as a file to read and seek in; of a large one only the chunks that are read are got."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import TYPE_CHECKING, cast

from dpkg.errors import Usage
from dpkg.odb import blobs

if TYPE_CHECKING:
    from typing import BinaryIO

    from dpkg.objects.chunks import Chunk, ChunkList
    from dpkg.odb.odb import Odb
    from dpkg.oid import Oid

_KEPT = 8  # chunks that were read lately
_BUFFER = 64 << 10  # bytes; smaller reads are served from it


def open_blob(odb: Odb, oid: Oid) -> BinaryIO:
    """A binary file, read-only. It belongs to one thread at a time. Raises NotFound, Corrupt, also when it is read."""
    found = blobs.open_blob(odb, oid)
    if isinstance(found, bytes):
        return io.BytesIO(found)
    return cast("BinaryIO", io.BufferedReader(BlobFile(odb, oid, found), _BUFFER))


class BlobFile(io.RawIOBase):
    """A blob in chunks; each chunk that is read is checked against its own oid (STO-31)."""

    def __init__(self, odb: Odb, oid: Oid, chunks: ChunkList) -> None:
        self._odb, self._oid, self._chunks = odb, oid, chunks
        self._kept: OrderedDict[int, bytes] = OrderedDict()  # by where they begin
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._chunks.length}[whence]
        if base + offset < 0:
            raise Usage("a position in a file is not negative")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`, as far as there is more."""
        view = memoryview(buffer).cast("B")
        begin, stop = self._at, self._at + len(view)
        for chunk in self._chunks.between(begin, stop):
            data = memoryview(self._read(chunk))[max(0, self._at - chunk.start) : stop - chunk.start]
            view[self._at - begin : self._at - begin + len(data)] = data
            self._at += len(data)
        return self._at - begin

    def _read(self, chunk: Chunk) -> bytes:
        found = self._kept.get(chunk.start)
        if found is None:
            found = self._kept[chunk.start] = blobs.read_chunk(self._odb, self._oid, chunk)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(chunk.start)
        return found
