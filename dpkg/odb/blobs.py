"""Blobs of any size, to and from an odb, in bounded memory: those of more than `frame.LARGE` bytes are in chunks."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, cast

from dpkg import progress
from dpkg.errors import Corrupt, NotFound, Usage
from dpkg.objects import frame
from dpkg.objects.chunks import Chunk, ChunkList, cut, pack
from dpkg.oid import Oid, digest
from dpkg.store.base import is_remote
from dpkg.store.local import failure
from dpkg.threads import Crew, in_order

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Future
    from typing import BinaryIO

    from dpkg.odb.odb import Odb

_WRITERS = 2  # threads that hash, compress and store chunks; a third one reads and cuts
_WRITERS_REMOTE = 8
_AHEAD = 2  # chunks that are read at once
_AHEAD_REMOTE = 8


# Writing


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
        data = frame.read_full(source, frame.LARGE + 1)
        if len(data) <= frame.LARGE:
            return odb.write(frame.BLOB, data), len(data)
        return _write_chunks(odb, data, source)
    except OSError as error:
        raise failure(error, "read", str(getattr(source, "name", "the input"))) from error


def _write_chunks(odb: Odb, head: bytes, rest: BinaryIO) -> tuple[Oid, int]:
    """Store the chunks that are not there, then, once all of them are, their list (STO-9)."""
    hasher = frame.new_hasher(frame.BLOB)
    crew = Crew(_WRITERS_REMOTE if is_remote(odb.backend) else _WRITERS)
    begun: deque[list[Future[tuple[Oid, int]]]] = deque()
    stored: list[tuple[Oid, int]] = []
    name, position = str(getattr(rest, "name", "")), 0
    with crew:
        for views in cut(head, rest):
            begun.append(crew.begin(partial(_store, odb), views))
            for view in views:
                hasher.update(view)
                position += len(view)
            progress.reached(name, position)
            if len(begun) > 2:  # the memory of the first is needed now
                stored += crew.end(begun.popleft())
        for tasks in begun:
            stored += crew.end(tasks)
    oid, length = Oid(hasher.hexdigest()), sum(size for _, size in stored)
    data = pack(stored)
    # Another list of the same bytes may name chunks that are not there.
    if not odb.stored(oid, length) or odb.frames.get(oid, len(data) + 1) != data:
        odb.put_frame(oid, data)
    return oid, length


def _store(odb: Odb, view: memoryview) -> tuple[Oid, int]:
    oid = digest(frame.BLOB, view)
    if not odb.stored(oid, len(view)):
        odb.put_frame(oid, *frame.pack_parts(frame.BLOB, view, oid))
    return oid, len(view)


# Reading


def pieces(odb: Odb, oid: Oid) -> Iterator[bytes]:
    """The blob's bytes in pieces of at most 4 MiB. Raises NotFound; Corrupt comes before the last piece."""
    found = open_blob(odb, oid)
    if not isinstance(found, bytes):
        yield from joined(odb, oid, found)
    elif found:
        yield found


def joined(odb: Odb, oid: Oid, chunks: ChunkList) -> Iterator[bytes]:
    """The blob's bytes, chunk by chunk, the last one when all are known to be its own. Raises NotFound, Corrupt."""
    hasher, held = frame.new_hasher(frame.BLOB), b""
    with closing(_read_ahead(odb, oid, chunks)) as found:
        for piece in found:
            if held:
                yield held
            hasher.update(piece)
            held = piece
    if hasher.hexdigest() != oid:
        raise odb.damaged(oid, "its chunks are those of another blob")
    yield held


def read_range(odb: Odb, oid: Oid, start: int, length: int) -> bytes:
    """`length` bytes from `start`, fewer only where the blob ends. Only the chunks that hold them are read, and checked.

    Raises NotFound, Corrupt, Usage for negative numbers.
    """
    if start < 0 or length < 0:
        raise Usage("a range of a blob begins at 0 or later, and its length is not negative")
    found = open_blob(odb, oid)
    return found[start : start + length] if isinstance(found, bytes) else part(odb, oid, found, start, start + length)


def part(odb: Odb, oid: Oid, chunks: ChunkList, start: int, stop: int) -> bytes:
    """The bytes from `start` to `stop` of a blob in chunks."""
    wanted = list(chunks.between(start, stop)) if start < stop else []
    if not wanted:
        return b""
    with closing(_read_ahead(odb, oid, wanted)) as found:
        views = [memoryview(data) for data in found]
    views[-1] = views[-1][: max(0, stop - wanted[-1].start)]
    views[0] = views[0][start - wanted[0].start :]
    return b"".join(views)


def chunks(odb: Odb, oid: Oid, size: int | None = None) -> Iterator[Oid]:
    """The chunks that a blob of `size` bytes (None: not known) is made of, as its list says; none of a small one.

    Of one that is known to be small nothing is read. Raises NotFound, Corrupt.
    """
    if (odb.size(oid) if size is None else size) > frame.LARGE:
        found = open_blob(odb, oid)
        if not isinstance(found, bytes):
            yield from (chunk.oid for chunk in found)


def open_blob(odb: Odb, oid: Oid) -> bytes | ChunkList:
    """A small blob's bytes, or the chunks of a large one."""
    kind, found = odb.load(oid)
    if kind != frame.BLOB:
        raise Corrupt(f"object {oid} is a {kind} where a blob must be", "check what names it")
    return found


def _read_ahead(odb: Odb, oid: Oid, wanted: ChunkList | list[Chunk]) -> Generator[bytes, None, None]:
    if len(wanted) == 1:
        return (read_chunk(odb, oid, chunk) for chunk in wanted)
    workers = _AHEAD_REMOTE if is_remote(odb.backend) else _AHEAD
    return in_order(partial(read_chunk, odb, oid), wanted, min(workers, len(wanted)))


def read_chunk(odb: Odb, oid: Oid, chunk: Chunk) -> bytes:
    """The bytes of a chunk of the blob `oid`. Raises NotFound, Corrupt; both name the blob."""
    try:
        kind, found = odb.load(chunk.oid, frame.most_stored(chunk.length))
    except NotFound:
        raise NotFound(f"object {chunk.oid}, a chunk of blob {oid}, is not in {odb.backend.url}", _MISSING) from None
    except Corrupt as error:
        raise Corrupt(f"blob {oid} is damaged in a chunk: {error.message}", error.hint) from None
    if kind != frame.BLOB or not isinstance(found, bytes) or len(found) != chunk.length:
        raise odb.damaged(oid, f"its chunk {chunk.oid} is not a blob of {chunk.length:,} bytes")
    return found


_MISSING = "'dpk repair --from REMOTE' brings it from another store that has it"
