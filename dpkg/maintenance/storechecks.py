"""Checking the files of a store, every byte of each: which objects and fragments are whole in them, and which are not.

Who needs them is not looked at here (dpkg/maintenance/verifying.py). In memory: 32 bytes and a number for each object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from dpkg import progress
from dpkg.errors import Corrupt, Format, NotFound, Storage
from dpkg.maintenance.packchecks import check_pack
from dpkg.objects import frame
from dpkg.objects.chunks import ChunkList
from dpkg.odb import fragment_key, is_remote, object_key
from dpkg.odb.layout import FRAGMENTS, OBJECTS, PACKS, oid_of_key, pack_key, pack_of_key
from dpkg.oid import Oid
from dpkg.threads import in_order

if TYPE_CHECKING:
    from dpkg.odb import Odb
    from dpkg.odb.packs import Found

WORKERS = max(2, os.cpu_count() or 2)
REMOTE_WORKERS = 8  # requests at once: they mostly wait
DAMAGED, MISSING = "damaged", "missing"
_BATCH = 64  # loose objects that are one task
_KINDS = {code: kind for kind, code in frame.CODES.items()}


class Level(IntEnum):
    """How much of a file is checked: its bytes; also what they decode to; also all values, and what they add up to."""

    QUICK = 0
    FULL = 1
    DEEP = 2


class Damage(NamedTuple):
    """What is wrong with a file, or with an object in it."""

    what: str  # DAMAGED or MISSING
    where: str  # the file's key, and for an object in a pack its place there
    message: str


class Facts(NamedTuple):
    """What the file of a whole fragment says of it, for what names the fragment to be compared with.

    `size`, its row bytes, and `stats`, the digest of its statistics row, are known once its values were decoded.
    """

    rows: int
    schema: Oid  # its digest
    size: int = 0
    stats: bytes = b""


class StoreChecks:
    """What was found out about the files of an odb. Oids are 32 raw bytes here: there may be millions."""

    def __init__(self, odb: Odb, level: Level) -> None:
        self.odb, self.level = odb, level
        self.objects: dict[bytes, int] = {}  # those of which a copy is whole; the value: see `kind_of`, `length_of`
        self.fragments: dict[bytes, Facts | None] = {}  # the whole ones; no facts where nothing was decoded
        self.lists: dict[bytes, bytes] = {}  # the lists of blobs in chunks
        self.loose: dict[bytes, Damage] = {}  # damaged copies under keys of their own
        self.packed: dict[bytes, Damage] = {}  # damaged copies in packs, one of each
        self.bad_lists: dict[bytes, tuple[int, Damage]] = {}  # blobs that their chunks do not make up
        self.packs: dict[Oid, Damage] = {}  # damaged packs
        self.bad_fragments: dict[bytes, Damage] = {}
        self.lacking: set[bytes] = set()  # chunks that a list names and that are nowhere whole
        self.checked_packs: set[Oid] = set()
        self.bytes = 0  # that were read
        self._remote = is_remote(odb.backend)
        self._lock = Lock()

    # What to check

    def everything(self) -> None:
        """Check every file there is."""
        self._run(self._tasks())
        self._new_packs()
        self._whole_lists(list(self.lists))

    def only(self, objects: Iterable[bytes], fragments: Iterable[bytes]) -> None:
        """Check the files that hold these, packs as a whole, and of blobs in chunks the chunks."""
        wanted = list(objects)
        self._holders(wanted, list(fragments))
        self._whole_lists([raw for raw in wanted if raw in self.lists])

    def again(self, objects: Iterable[bytes], fragments: Iterable[bytes]) -> None:
        """Look once more for what was not there: it may have been written, or moved into another pack, meanwhile."""
        self._new_packs()
        self.only(
            [raw for raw in objects if raw not in self.objects], [f for f in fragments if f not in self.fragments]
        )

    def renew(self, objects: Iterable[bytes], fragments: Iterable[bytes]) -> None:
        """Check again every file that was damaged, and look for what was not there."""
        packs, loose, bad, lists = self.packs, self.loose, self.bad_fragments, self.bad_lists
        self.packs, self.loose, self.bad_fragments, self.bad_lists = {}, {}, {}, {}
        self.packed, self.lacking = {}, set()
        self.objects.update((raw, value) for raw, (value, _) in lists.items())
        self.checked_packs -= packs.keys()
        self._run(partial(self._pack, pack_key(i)) for i in packs)
        self._run(partial(self._loose, [object_key(Oid(raw.hex()))]) for raw in loose)
        self._run(partial(self._fragment, fragment_key(Oid(raw.hex()))) for raw in bad)
        self.again(objects, fragments)
        self._whole_lists([raw for raw in lists if raw in self.objects])

    def damage(self, raw: bytes) -> Damage | None:
        """What is wrong with an object or fragment of which no copy is whole; None if there is no copy."""
        listed = self.bad_lists.get(raw)
        return listed[1] if listed else self.packed.get(raw) or self.loose.get(raw) or self.bad_fragments.get(raw)

    def kind_of(self, raw: bytes) -> str:
        """The kind of a whole object."""
        return _KINDS[self.objects[raw] & 7]

    def length_of(self, raw: bytes) -> int:
        """The length of a whole object's payload."""
        return self.objects[raw] >> 3

    def _tasks(self) -> Iterator[Callable[[], None]]:
        backend = self.odb.backend
        for stat in backend.list(PACKS):
            if pack_of_key(stat.key):
                yield partial(self._pack, stat.key)
        loose = (stat.key for stat in backend.list(OBJECTS) if oid_of_key(stat.key))
        size = 1 if self._remote else _BATCH
        while batch := list(islice(loose, size)):
            yield partial(self._loose, batch)
        for stat in backend.list(FRAGMENTS):
            if oid_of_key(stat.key):
                yield partial(self._fragment, stat.key)

    def _run(self, tasks: Iterable[Callable[[], None]]) -> None:
        for _ in in_order(lambda task: task(), tasks, REMOTE_WORKERS if self._remote else WORKERS):
            pass

    def _holders(self, objects: list[bytes], fragments: Sequence[bytes] = ()) -> None:
        """Check the packs that hold these; then what is in none, or damaged there, under keys of their own."""
        packs = self.odb.frames.packs
        keys: set[str] = set()
        for raw in (*objects, *fragments):
            found: Found | None = None if self._whole(raw) else packs.find(Oid(raw.hex()))
            if found is not None and pack_of_key(found.key) not in self.checked_packs:
                keys.add(found.key)
        self._run(partial(self._pack, key) for key in sorted(keys))
        rest = iter([object_key(Oid(raw.hex())) for raw in objects if raw not in self.objects])
        size = 1 if self._remote else _BATCH
        self._run(partial(self._loose, batch) for batch in iter(lambda: list(islice(rest, size)), []))
        self._run(
            partial(self._fragment, fragment_key(Oid(raw.hex()))) for raw in fragments if raw not in self.fragments
        )
        lost = [Oid(raw.hex()) for raw in (*objects, *fragments) if not self._whole(raw)]
        if lost:  # damaged in one pack, and perhaps whole in another; or in one that is damaged so that nothing is found in it
            held = [i for i in packs.ids() if i not in self.checked_packs and any(map(packs.index(i).find, lost))]
            self._run(partial(self._pack, pack_key(i)) for i in (*held, *(packs.damaged.keys() - self.checked_packs)))

    def _new_packs(self) -> None:
        """Check the packs that came since they were listed: what was loose, or in another, may be in them now."""
        packs = self.odb.frames.packs
        packs.refresh()
        new = [i for i in packs.ids() if i not in self.checked_packs]
        self._run(partial(self._pack, pack_key(i)) for i in new)

    # Each file

    def _pack(self, key: str) -> None:
        pack_id = pack_of_key(key)
        assert pack_id is not None
        self.checked_packs.add(pack_id)
        facts: dict[bytes, Facts | None] = {}
        decode = partial(self._decoded, facts)
        try:
            found = check_pack(self.odb.backend, pack_id, decode, self.level > Level.QUICK, self._count)
        except NotFound:
            return  # gone since it was listed: what was in it is looked for where it is needed
        except Storage as error:
            if self._remote:
                raise
            self.packs[pack_id] = Damage(DAMAGED, key, error.message)
            return
        fragments = [raw for raw, value in found.whole.items() if value & 7 == frame.CODES[frame.FRAGMENT]]
        for raw in fragments:
            del found.whole[raw]
            self.fragments[raw] = facts.get(raw)
        self.objects.update(found.whole)
        self.lists.update(found.lists)
        for raw, at, why in found.damaged:
            self.packed[raw] = Damage(DAMAGED, f"{key} at {at}", _damaged(raw, why, f"{self._path(key)} at {at}"))
        if found.why:
            count = f"; {len(found.damaged):,} of its objects are damaged" if found.damaged else ""
            self.packs[pack_id] = Damage(DAMAGED, key, f"{found.why}{count} ({self._path(key)})")

    def _loose(self, keys: list[str]) -> None:
        for key in keys:
            oid = oid_of_key(key)
            assert oid is not None
            raw = oid.raw
            try:
                data = self.odb.backend.get(key)
                self.objects[raw] = self._object(oid, data)
                self.loose.pop(raw, None)
            except NotFound:
                continue  # gone since it was listed
            except Corrupt as error:
                self.loose[raw] = Damage(DAMAGED, key, _damaged(raw, error.message, self._path(key)))
            except Storage as error:
                if self._remote:
                    raise
                self.loose[raw] = Damage(DAMAGED, key, error.message)

    def _object(self, oid: Oid, data: bytes) -> int:
        self._count(len(data))
        header, stored = frame.check(data)
        if header.kind == frame.FRAGMENT:
            raise Corrupt("it is a fragment, which is no object")
        if header.codec == frame.CHUNKS:
            self.lists[oid.raw] = data[frame.HEADER.size :]
        elif (header.kind, header.codec) == (frame.BLOB, frame.NONE):
            if stored != oid.raw:
                raise Corrupt("its bytes are those of another object")
        elif self.level > Level.QUICK:
            self._decoded({}, oid, data)
        return header.length << 3 | frame.CODES[header.kind]

    def _decoded(self, facts: dict[bytes, Facts | None], oid: Oid, data: bytes) -> None:
        """That a frame, of which the header was looked at, holds an object, or a fragment: `facts` is told of that. Raises Corrupt."""
        if frame.is_fragment(data):
            try:
                facts[oid.raw] = self._facts(oid, frame.unpack(data)[1])
            except Format as error:
                raise Corrupt(error.message) from None
            return
        kind, payload = frame.unpack_as(oid, data)
        if self.odb.held is not None and kind != frame.BLOB:
            self.odb.held.put(oid, kind, payload)  # it will be read when what refs reach is looked at

    def _fragment(self, key: str) -> None:
        oid = oid_of_key(key)
        assert oid is not None
        try:
            data = self.odb.backend.get(key)
            self._count(len(data))
            self.fragments[oid.raw] = self._facts(oid, data)
            self.bad_fragments.pop(oid.raw, None)
        except NotFound:
            return
        except (Corrupt, Format) as error:
            self.bad_fragments[oid.raw] = Damage(DAMAGED, key, f"{error.message} ({self._path(key)})")
        except Storage as error:
            if self._remote:
                raise
            self.bad_fragments[oid.raw] = Damage(DAMAGED, key, error.message)

    def _facts(self, oid: Oid, data: bytes) -> Facts | None:
        from dpkg.arrow import checking, fragment

        if self.level == Level.QUICK:
            try:
                fragment.check_seal(data)
            except Corrupt as error:
                raise Corrupt(f"fragment {oid} is damaged: {error.message}") from None
            return None
        return Facts(*checking.facts(data, oid, self.level == Level.DEEP))

    # Blobs in chunks

    def _records(self, raw: bytes) -> list[tuple[bytes, int]]:
        return list(frame.CHUNK_RECORD.iter_unpack(self.lists[raw]))

    def _whole_lists(self, lists: list[bytes]) -> None:
        """Check blobs in chunks, once the chunks were: that all are there, of the right lengths, and make up the blob."""
        absent = {chunk for raw in lists for chunk, _ in self._records(raw) if chunk not in self.objects}
        if absent:  # as they were listed: some may have been written since
            self._new_packs()
            self._holders(list(absent))
        self._run(partial(self._list, raw) for raw in lists)

    def _list(self, raw: bytes) -> None:
        oid, before = Oid(raw.hex()), 0
        try:
            ChunkList(self.lists[raw], self.length_of(raw))
            for chunk, end in self._records(raw):
                if chunk not in self.objects:
                    self.lacking.add(chunk)
                    bad = self.damage(chunk)
                    raise Corrupt(bad.message if bad else f"chunk {chunk.hex()} of it is missing")
                if self.length_of(chunk) != end - before:
                    raise Corrupt(
                        f"chunk {chunk.hex()} has {self.length_of(chunk):,} bytes, not the {end - before:,} that its list says"
                    )
                before = end
            if self.level > Level.QUICK:
                for _ in self.odb.iter_blob(oid):
                    pass
        except NotFound:
            pass
        except Corrupt as error:
            found = Damage(DAMAGED, object_key(oid), f"blob {oid} is damaged: {error.message}")
            self.bad_lists[raw] = self.objects.pop(raw), found

    # Helpers

    def _whole(self, raw: bytes) -> bool:
        return raw in self.objects or raw in self.fragments

    def _path(self, key: str) -> str:
        return self.odb.backend.local_path(key) or f"{self.odb.backend.url}/{key}"

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes += size
        progress.advance("verified", size, None, "bytes")


def _damaged(raw: bytes, why: str, where: str) -> str:
    return f"object {raw.hex()} is damaged: {why} ({where})"
