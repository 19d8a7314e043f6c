"""What a reader of a commit needs first, in one value (spec/storage.md, STO-11): the commit, its tree, tables, their indexes, and where
small blobs and fragments are in packs.

Derived data: it may be missing or deleted at any time. Each object in it is checked against its own oid, as any other.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, Denied, NotFound
from dpkg.objects import frame
from dpkg.objects.commit import Commit
from dpkg.objects.node import TREE, Node
from dpkg.objects.table import Table
from dpkg.odb import places
from dpkg.oid import Oid, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.objects.frame import Kind
    from dpkg.odb import Odb

PREFIX = "derived/prefetch/"
MOST = 1 << 20  # bytes of the value
_MOST_UNPACKED = 64 << 20  # bytes of payloads that are taken from one


def prefetch_key(commit: Oid) -> str:
    """The key of the value for a commit."""
    return f"{PREFIX}{commit}"


def write(source: Odb, target: Odb, commit: Oid) -> None:
    """Put the value for a commit into `target`; `source` has the commit and what it reaches."""
    frames, size = [], 0
    leaves: dict[Oid, None] = {}
    for kind, payload in _nearest(source, commit, leaves):
        data = frame.pack(kind, payload)
        size += len(data)
        if size > MOST:
            break
        frames.append(data)
    found = (place for oid in leaves if (place := target.frames.packs.at_hand(oid)) is not None)
    if told := places.encode(found):
        frames.append(frame.pack(frame.BLOB, told))
        while sum(map(len, frames)) > MOST:
            del frames[-2]
    target.backend.put(prefetch_key(commit), b"".join(frames))


def read(odb: Odb, commit: Oid) -> None:
    """Let a remote odb hold what is near a commit, with one request. What is missing, damaged or foreign is left out."""
    if odb.held is None:
        return
    held = odb.held.get(commit)
    if held is not None and odb.held.get(Commit.decode(held[1]).tree) is not None:
        return
    try:
        data = odb.backend.get_range(prefetch_key(commit), 0, MOST)
    except (NotFound, Denied):  # buckets that may not be listed deny what is missing
        return
    try:
        for kind, payload in _frames(data):
            if kind == frame.BLOB:
                odb.frames.packs.hints.update(places.decode(payload))
                return
            odb.held.put(digest(kind, payload), kind, payload)
    except Corrupt:  # nothing depends on it: each object is also where it belongs
        return


def _frames(data: bytes) -> Iterator[tuple[Kind, bytes]]:
    at = size = 0
    while at < len(data):
        header = frame.parse_header(data[at : at + frame.HEADER.size])
        end, size = at + frame.HEADER.size + header.stored, size + header.length
        if size > _MOST_UNPACKED or header.kind == frame.FRAGMENT:
            raise Corrupt("a value to prefetch holds what does not belong there")
        yield frame.unpack(data[at:end])
        at = end


def _nearest(odb: Odb, commit: Oid, leaves: dict[Oid, None]) -> Iterator[tuple[Kind, bytes]]:
    """The objects that a commit reaches but for blobs, those of few steps first: trees and tables before indexes of tables.

    `leaves` is told the blobs and fragments that they name.
    """
    payload = odb.read(commit, frame.COMMIT)
    yield frame.COMMIT, payload
    near: deque[tuple[Oid, Kind]] = deque([(Commit.decode(payload).tree, frame.NODE)])
    far: deque[tuple[Oid, Kind]] = deque()
    seen = {commit}
    while near or far:
        oid, kind = (near or far).popleft()
        if oid in seen:
            continue
        seen.add(oid)
        try:
            payload = odb.read(oid, kind)
        except NotFound:  # a partial source; what is not here is not sent
            continue
        yield kind, payload
        if kind == frame.TABLE:
            far.append((Table.decode(payload).fragments, frame.NODE))
            continue
        node = Node.decode(payload)
        for entry in node.entries:
            if node.level:
                (near if node.kind == TREE else far).append((entry.oid, frame.NODE))
            elif node.kind == TREE and entry.type != "blob":
                near.append((entry.oid, frame.TABLE if entry.type == "table" else frame.NODE))
            else:
                leaves[entry.oid] = None
        if node.stats:
            leaves[node.stats] = None
