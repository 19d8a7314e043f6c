"""Checking a pack of a store, read once in order: its id, its layout, its records, and the objects in it (STO-17)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3

from dpkg.errors import Corrupt
from dpkg.objects import frame, pack
from dpkg.odb.layout import pack_key
from dpkg.oid import Oid

if TYPE_CHECKING:
    from typing import Any

    from dpkg.objects.pack import Index
    from dpkg.store.base import Backend

_RUN = 4 << 20  # bytes of frames that are read at once
_MOST = 256 << 20  # bytes that no frame has
_RECORD = np.dtype(
    [("oid", "u1", 32), ("kind", "u1"), ("zeros", "u1", 7), ("offset", "<u8"), ("size", "<u8"), ("length", "<u8")]
)
_HEADER = np.dtype(
    [
        ("magic", "u1", 9),
        ("kind", "u1"),
        ("codec", "u1"),
        ("zeros", "u1", 5),
        ("length", "<u8"),
        ("stored", "<u8"),
        ("digest", "u1", 32),
    ]
)
_MAGIC = np.frombuffer(frame.MAGIC + bytes([frame.VERSION]), np.uint8)


@dataclass
class Checked:
    """What is in a pack. `why` says what is wrong with it as a file, and is empty for a good one."""

    why: str = ""
    whole: dict[bytes, int] = field(default_factory=dict)  # objects: payload length << 3 | code of the kind
    lists: dict[bytes, bytes] = field(default_factory=dict)  # of blobs in chunks
    damaged: list[tuple[bytes, int, str]] = field(default_factory=list)  # objects: where their frames begin, and why


def check_pack(
    backend: Backend, pack_id: Oid, decode: Callable[[Oid, bytes], None], decoded: bool, count: Callable[[int], None]
) -> Checked:
    """What is in a pack; `count` is told bytes as they are read. Raises NotFound if it is gone, Storage.

    The id covers each stored byte. With `decoded`, or where it does not hold, each object is decoded by `decode`.
    """
    return _Check(backend, pack_id, decode, count).run(decoded)


class _Check:
    def __init__(
        self, backend: Backend, pack_id: Oid, decode: Callable[[Oid, bytes], None], count: Callable[[int], None]
    ) -> None:
        self._backend, self._id, self._key = backend, pack_id, pack_key(pack_id)
        self._decode, self._count = decode, count
        self._etag = ""

    def run(self, decoded: bool) -> Checked:
        tail = self._backend.get_tail(self._key, pack.TAIL)
        self._etag = tail.etag
        try:
            index = pack.parse_tail(tail.data, tail.size)
        except Corrupt as error:
            return Checked(f"{error.message}; nothing in it can be found")
        found = Checked()
        found.why = self._stream(index, tail.data, tail.size, decoded, found)
        if found.why:  # each object by itself
            found = Checked(found.why)
            for entry, data in self._frames(index):
                self._single(entry, data, found)
        return found

    def _read(self, start: int, length: int) -> bytes:
        data = self._backend.get_range(self._key, start, length, self._etag)
        self._count(len(data))
        return data

    def _stream(self, index: Index, tail: bytes, size: int, decoded: bool, found: Checked) -> str:
        """What is wrong with the file. Objects go into `found`."""
        records = np.frombuffer(index.records, _RECORD)
        order = np.argsort(records["offset"], kind="stable")
        start = self._read(0, pack.HEADER.size)
        try:
            if not _tiled(records[order], size) or not _sorted(index):
                pack.check_layout(start, index, size)
            pack.check_layout(start, pack.Index(b""), pack.HEADER.size + pack.TRAILER.size)
        except Corrupt as error:
            return error.message
        hasher = blake3(start)
        for run in _runs(records, order):
            first = int(records["offset"][run[0]])
            data = self._read(first, int(records["offset"][run[-1]] + records["size"][run[-1]]) - first)
            hasher.update(data)
            if why := self._agree(data, records[run], index.records, run, first, found):
                return why
            for i in run.tolist() if decoded else ():
                self._decoded(index, i, data, first, found)
        hasher.update(tail[len(tail) - len(index.records) - pack.TRAILER.size :])
        self._count(len(index.records) + pack.TRAILER.size)
        return "" if hasher.hexdigest() == self._id else "the pack's bytes do not match its id"

    def _agree(self, data: bytes, records: Any, raw: bytes, run: Any, first: int, found: Checked) -> str:
        """What is wrong with the records of some frames, or with the headers of these; else they are noted as whole."""
        starts = (records["offset"] - first).astype(np.int64)
        if int(starts[-1]) + int(records["size"][-1]) != len(data):
            return "the pack ended while it was read"
        view = np.frombuffer(data, np.uint8)
        headers = view[starts[:, None] + np.arange(frame.HEADER.size)].reshape(-1).view(_HEADER)
        good = (headers["magic"] == _MAGIC).all(axis=1) & ~headers["zeros"].any(axis=1) & ~records["zeros"].any(axis=1)
        good &= (headers["kind"] == records["kind"]) & (headers["length"] == records["length"])
        good &= headers["codec"] <= frame.CHUNKS
        good &= (headers["stored"] + np.uint64(frame.HEADER.size) == records["size"]) & (
            headers["kind"] <= max(frame.KINDS)
        )
        if not good.all():
            return "a record of the pack's index does not agree with its frame"
        places = [i * pack.RECORD.size for i in run.tolist()]
        oids = [raw[at : at + 32] for at in places]
        values = (records["length"].astype(np.int64) << 3 | records["kind"]).tolist()
        found.whole.update(zip(oids, values, strict=True))
        for i in np.flatnonzero(headers["codec"] == frame.CHUNKS).tolist():
            begin = int(starts[i])
            found.lists[oids[i]] = data[begin + frame.HEADER.size : begin + int(records["size"][i])]
        return ""

    def _decoded(self, index: Index, i: int, data: bytes, first: int, found: Checked) -> None:
        entry = index.at(i)
        begin = entry.offset - first
        raw = bytes.fromhex(entry.oid)
        try:
            if raw not in found.lists:
                self._decode(entry.oid, data[begin : begin + entry.size])
        except Corrupt as error:
            del found.whole[raw]
            found.damaged.append((raw, entry.offset, error.message))

    # Damaged packs

    def _frames(self, index: Index) -> Iterator[tuple[pack.Packed, bytes]]:
        for i in range(len(index)):
            try:
                entry = index.at(i)
            except Corrupt:
                continue  # no reader finds it
            yield entry, self._read(entry.offset, min(entry.size, _MOST))

    def _single(self, entry: pack.Packed, data: bytes, found: Checked) -> None:
        raw = bytes.fromhex(entry.oid)
        try:
            header, _ = frame.check(data)
            if (header.kind, header.length) != (entry.kind, entry.length):
                raise Corrupt("the pack's index is wrong about it")
            if header.codec == frame.CHUNKS:
                found.lists[raw] = data[frame.HEADER.size :]
            else:
                self._decode(entry.oid, data)
            found.whole[raw] = header.length << 3 | frame.CODES[header.kind]
        except Corrupt as error:
            found.damaged.append((raw, entry.offset, error.message))


def _tiled(records: Any, size: int) -> bool:
    """Whether frames, by where they begin, fill a pack of `size` bytes exactly."""
    if not len(records):
        return bool(size == pack.HEADER.size + pack.TRAILER.size)
    ends = records["offset"] + records["size"]
    sizes = records["size"]
    inner = (
        bool((records["offset"][1:] == ends[:-1]).all()) and frame.HEADER.size <= sizes.min() and sizes.max() <= _MOST
    )
    last = int(ends[-1]) + len(records) * pack.RECORD.size + pack.TRAILER.size
    return bool(inner) and int(records["offset"][0]) == pack.HEADER.size and last == size


def _sorted(index: Index) -> bool:
    oids = [index.records[at : at + 32] for at in range(0, len(index.records), pack.RECORD.size)]
    return all(a < b for a, b in pairwise(oids))


def _runs(records: Any, order: Any) -> Iterator[Any]:
    """The places of records in the order of their frames, in runs of at most `_RUN` bytes, or of one frame."""
    begin, held = 0, 0
    for i, size in enumerate(records["size"][order].tolist()):
        if i > begin and held + size > _RUN:
            yield order[begin:i]
            begin, held = i, 0
        held += size
    if len(order):
        yield order[begin:]
