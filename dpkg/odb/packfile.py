"""Packs as files on this machine: written object by object, and checked whole before anything in one is believed.

A pack may be larger than memory, and come from anyone.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, cast

from blake3 import blake3

from dpkg.errors import Corrupt, Format, NotFound, Usage
from dpkg.objects import frame, pack
from dpkg.objects.chunks import unpack
from dpkg.objects.pack import Packed
from dpkg.odb import copies
from dpkg.odb.layout import PACKS, pack_key, pack_of_key
from dpkg.oid import Oid
from dpkg.store.local import LocalBackend, Scratch, failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from dpkg.objects.frame import Header, Read
    from dpkg.objects.pack import Index
    from dpkg.odb.odb import Odb
    from dpkg.odb.packs import Packs
    from dpkg.store.base import Backend

_AGAIN = "get it again from where it came from"
_ID = re.compile("[0-9a-f]{4,64}")


def check_frame(oid: Oid, read: Read, size: int) -> Header:
    """The header of the frame of `size` bytes that `read` gives, which is whole and that of `oid`. Raises Corrupt.

    Every stored byte is checked, and what it decodes to. Of a blob in chunks the list is: its chunks may be elsewhere, so that
    who reads the blob checks whether they are it.
    """
    header, data = _frame(read, size)
    if header.codec == frame.CHUNKS:
        unpack(data)
        return header
    if header.kind == frame.FRAGMENT:
        copies.check(oid, data)
        return header
    frame.unpack_as(oid, data)
    return header


def _frame(read: Read, size: int) -> tuple[Header, bytes]:
    """A frame of `size` bytes, and its header, which is right about that; no more is read than such an object takes."""
    header = frame.parse_header(read(0, frame.HEADER.size), size)
    if size > frame.most_stored(header.length):
        raise Corrupt(f"it takes {size:,} bytes, and has {header.length:,}")
    return header, read(0, size)


def reading(data: bytes) -> Read:
    """What reads ranges of bytes."""
    return lambda start, length: data[start : start + length]


class PackFile:
    """A pack in an open file. What it says of itself is believed only as far as it was checked. Thread-safe."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size

    def require_pack(self, name: str) -> None:
        """Raises Format if this is something else than a pack."""
        if self._read(0, len(pack.MAGIC)) != pack.MAGIC:
            raise Format(
                f"{name} is not a pack", "give a file that 'dpk pack-objects' wrote, or from packs/ of a store"
            )

    def id(self) -> Oid:
        """The BLAKE3 of the whole file."""
        hasher = blake3(max_threads=blake3.AUTO)
        for at in range(0, self.size, frame.RANGE):
            hasher.update(self._read(at, frame.RANGE))
        return Oid(hasher.hexdigest())

    def index(self) -> Index:
        """Its index, whose digest is right. Raises Corrupt."""
        return pack.parse_tail(self._read(max(0, self.size - pack.TAIL), pack.TAIL), self.size)

    def layout(self) -> list[Packed]:
        """Its objects in the order of their frames, which fill it exactly. Raises Corrupt."""
        return pack.check_layout(self._read(0, pack.HEADER.size), self.index(), self.size)

    def reader(self, entry: Packed) -> Read:
        """What reads ranges of an object's frame."""
        return lambda start, length: self._read(entry.offset + start, min(length, entry.size - start))

    def check(self, entry: Packed) -> None:
        """That an object's frame is whole, and that its record is right (STO-17). Raises Corrupt."""
        header = check_frame(entry.oid, self.reader(entry), entry.size)
        if (header.kind, header.length) != (entry.kind, entry.length):
            raise Corrupt(f"it is a {header.kind} of {header.length:,} bytes, and the pack's index says otherwise")

    def scan(self) -> Iterator[Packed]:
        """The whole objects that are found without the index, in their order: for a pack that is damaged."""
        at = self._find(0)
        while at >= 0:
            entry = self._object_at(at)
            if entry is not None:
                yield entry
            at = self._find(at + (entry.size if entry else 1))

    def _find(self, at: int) -> int:
        """Where the next frame may begin, or -1."""
        while data := self._read(at, frame.RANGE):
            found = data.find(frame.MAGIC)
            if found >= 0:
                return at + found
            at += max(1, len(data) - len(frame.MAGIC) + 1)
        return -1

    def _object_at(self, at: int) -> Packed | None:
        try:
            header = frame.parse_header(self._read(at, frame.HEADER.size))
            entry = Packed(Oid("0" * 64), header.kind, at, frame.HEADER.size + header.stored, header.length)
            if at + entry.size > self.size:
                return None
            return entry._replace(oid=copies.oid_of(_frame(self.reader(entry), entry.size)[1]))
        except Corrupt:  # also a list of chunks: which blob's it is, it does not say
            return None

    def _read(self, at: int, length: int) -> bytes:
        try:
            return os.pread(self.file.fileno(), length, at)
        except OSError as error:
            raise failure(error, "read", str(self.file.name)) from error


class PackWriter:
    """Writes a pack to a file, object by object. What is put in is checked before the file is kept."""

    def __init__(self, out: BinaryIO, path: str) -> None:
        self._out, self._path, self._hasher, self._at = out, path, blake3(), 0
        self._records: list[bytes] = []
        self._write(pack.HEADER.pack(pack.MAGIC, pack.VERSION, bytes(7)))

    def add(self, oid: Oid, read: Read, size: int) -> None:
        """Put in an object, which is not in it yet, by its frame. Raises Corrupt."""
        header = frame.parse_header(read(0, frame.HEADER.size), size)
        code = frame.CODES[header.kind]
        self._records.append(pack.RECORD.pack(bytes.fromhex(oid), code, bytes(7), self._at, size, header.length))
        for at in range(0, size, frame.RANGE):
            self._write(read(at, min(frame.RANGE, size - at)))

    def end(self) -> Oid:
        """Write the index; the pack's id."""
        records = b"".join(sorted(self._records))
        self._write(records + pack.trailer(records))
        return Oid(self._hasher.hexdigest())

    def keep(self, path: str) -> int:
        """Check every object, and give the file its name for good, also over another; its length. Raises Corrupt, Storage."""
        self._out.flush()
        found = PackFile(self._out)
        for entry, why in check_all(found, found.layout()):
            if why:
                raise Corrupt(
                    f"object {entry.oid} is damaged: {why}", "'dpk repair --from REMOTE' brings it from another store"
                )
        try:
            os.fsync(self._out.fileno())
            os.replace(self._path, path)
        except OSError as error:
            raise failure(error, "write", path) from error
        return self._at

    def _write(self, data: bytes) -> None:
        try:
            self._out.write(data)
        except OSError as error:
            raise failure(error, "write", self._path) from error
        self._hasher.update(data)
        self._at += len(data)


@contextmanager
def new_pack(folder: str) -> Iterator[PackWriter]:
    """A pack to be written in a folder, which is made where there is none; it is gone at the end unless it was kept. Raises Storage."""
    path = os.path.join(folder, f".dpk-{os.getpid()}-{os.urandom(8).hex()}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        out = open(path, "x+b")  # noqa: SIM115
    except OSError as error:
        raise failure(error, "write", path) from error
    try:
        with out:
            yield PackWriter(cast("BinaryIO", out), path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


# Files that packs come from and go to


@contextmanager
def opened(path: str) -> Iterator[PackFile]:
    """The pack in a file. Raises NotFound, Storage, Usage."""
    try:
        with open(path, "rb", buffering=0) as file:
            if not file.seekable():
                raise Usage(f"'{path}' cannot be read at any place, as a pack is", "copy it into a file")
            yield PackFile(cast("BinaryIO", file))
    except FileNotFoundError:
        raise NotFound(f"there is no file '{path}'") from None
    except OSError as error:
        raise failure(error, "read", path) from error


@contextmanager
def copied(source: str | BinaryIO, backend: Backend | None = None) -> Iterator[PackFile]:
    """A copy of a file that nobody else writes to, where `adopt` can take it from; it goes at the end. Raises NotFound, Storage."""
    out = _scratch(backend)
    try:
        try:
            if isinstance(source, str):
                with open(source, "rb", buffering=0) as file:
                    _pour(cast("BinaryIO", file), out)
            else:
                _pour(source, out)
        except FileNotFoundError:
            raise NotFound(f"there is no file '{source}'") from None
        except OSError as error:
            raise failure(error, "read", source if isinstance(source, str) else "the input") from error
        out.flush()
        yield PackFile(out)
    finally:
        _discard(backend, out)


@contextmanager
def stored(backend: Backend, pack_id: Oid) -> Iterator[PackFile]:
    """A pack of a store, which is fetched where the store is far away. Raises NotFound."""
    key = pack_key(pack_id)
    path = backend.local_path(key)
    if path is not None:
        with opened(path) as found:
            yield found
        return
    with TemporaryFile() as out:
        tail = backend.get_tail(key, pack.TRAILER.size)
        for at in range(0, tail.size, frame.RANGE):
            out.write(backend.get_range(key, at, frame.RANGE, tail.etag))
        out.flush()
        yield PackFile(cast("BinaryIO", out))


def adopt(backend: Backend, pack_id: Oid, found: PackFile) -> None:
    """Store a pack of `copied`, which was checked."""
    if isinstance(found.file, Scratch):
        cast("LocalBackend", backend).adopt(pack_key(pack_id), found.file)
    else:
        found.file.seek(0)
        backend.put(pack_key(pack_id), found.file)


def keep_frame(odb: Odb, oid: Oid, read: Read, size: int) -> None:
    """Store a frame that was checked."""
    odb.put_frame(oid, read(0, size))


def is_id(text: str) -> bool:
    """Whether a text is the id of a pack, or how one may begin, and not the name of a file."""
    return _ID.fullmatch(text) is not None


def all_ids(packs: Packs) -> list[Oid]:
    """The packs of a store, also those whose index is damaged, sorted."""
    return sorted({*packs.ids(), *packs.damaged})


def named(packs: Packs, start: str) -> Oid:
    """The pack of a store whose id begins with some digits. Raises NotFound, Usage."""
    found = [pack_id for pack_id in all_ids(packs) if pack_id.startswith(start)]
    if not found:
        raise NotFound(
            f"there is no pack {start} in the store", "'dpk verify-pack -v' lists the packs; a file is named ./FILE"
        )
    if len(found) > 1:
        raise Usage(f"'{start}' is ambiguous", "\n".join(["it may be:", *found[:20]]))
    return found[0]


def check_name(path: str, pack_id: Oid) -> None:
    """Raises Corrupt if a file is named as another pack."""
    said = pack_of_key(f"{PACKS}{os.path.basename(path)}")
    if said not in (None, pack_id):
        raise Corrupt(f"its bytes are those of pack {pack_id}, not of the one that its name says", _AGAIN)


def _scratch(backend: Backend | None) -> BinaryIO:
    if isinstance(backend, LocalBackend):
        return cast("BinaryIO", backend.scratch())
    return cast("BinaryIO", TemporaryFile())


def _discard(backend: Backend | None, file: BinaryIO) -> None:
    if isinstance(file, Scratch):
        cast("LocalBackend", backend).discard(file)
    else:
        file.close()


def _pour(source: BinaryIO, out: BinaryIO) -> None:
    while data := source.read(frame.CHUNK):
        out.write(data)


def check_all(found: PackFile, entries: Iterable[Packed]) -> Iterator[tuple[Packed, str]]:
    """Each object of a pack, and what is wrong with it, or nothing. By a few threads, in order."""
    from dpkg.threads import in_order

    def check(entry: Packed) -> tuple[Packed, str]:
        try:
            found.check(entry)
        except Corrupt as error:
            return entry, error.message
        return entry, ""

    return in_order(check, entries, 4)
