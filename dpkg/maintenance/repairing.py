"""Bringing back what is damaged or missing: from another copy in the same store, else from other stores.

Nothing is removed before all that is alive in it is stored elsewhere, and durable: a repair may stop at any moment, and
the next one goes on. Ref logs are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dpkg.errors import NotFound, Usage
from dpkg.maintenance.storechecks import Level
from dpkg.maintenance.verifying import Check
from dpkg.objects import frame, pack
from dpkg.odb import copies, object_key
from dpkg.odb.layout import pack_key, place_of
from dpkg.odb.salvage import Salvaged, salvage
from dpkg.oid import Oid
from dpkg.threads import in_order

if TYPE_CHECKING:
    from dpkg.repository import Repository

_WORKERS = 4
_ROUNDS = 10  # what was missing may have hidden more that is


class Repair:
    """One repair of a repository, or of one package of it, from `sources`, tried in turn. `check` says what is wrong still."""

    def __init__(self, repository: Repository, sources: Sequence[Repository]) -> None:
        for source in sources:
            if source.url == repository.url:
                raise Usage(f"{source.url} is this store itself", "name another store")
        repository.begin()  # what a repair writes, gc leaves alone
        self._repository = repository
        self.check = Check(repository, Level.FULL)
        self.odb = self.check.odb
        self.objects: set[bytes] = set()  # that were brought back
        self.fragments: set[bytes] = set()
        self.packs: set[Oid] = set()  # damaged ones that are whole again, or no more
        self._sources = [source.odb for source in sources]
        self._whole_store = True
        self._salvaged: set[Oid] = set()  # packs of which what readers cannot get was stored beside them
        self._removed: set[Oid] = set()  # packs that were made anew

    def run(self, package: str | None = None) -> None:
        """Check, repair, and check what was repaired, until there is nothing more to be done."""
        self._whole_store = package is None
        self.check.run(package)
        damaged = set(self.check.files.packs)
        for _ in range(_ROUNDS):
            if not self.check.problems or not self._round():
                break
            self.odb.sync()
            self._repository.settle()
            self.check.renew()
        self.packs = damaged - self.check.files.packs.keys()

    def _round(self) -> bool:
        """Repair what can be; whether anything was."""
        before = self._state()
        for pack_id in sorted(self.check.files.packs):
            self._pack(pack_id)
        self._loose()
        self._bring()
        for found in self._each(self._fragment, self.check.damaged_fragments()):
            self.fragments |= found
        return self._state() != before

    def _state(self) -> tuple[int, ...]:
        return len(self.objects), len(self.fragments), len(self._salvaged), len(self._removed)

    @staticmethod
    def _each(work: Callable[[bytes], set[bytes]], items: Iterable[bytes]) -> Iterable[set[bytes]]:
        return in_order(work, sorted(items), _WORKERS)

    # Objects

    def _bring(self) -> None:
        """Store what is whole nowhere in the store."""
        lost = self.check.damaged_objects() - self.check.files.loose.keys()
        with self.odb.packing():
            for found in self._each(self._missing, lost - self.objects):
                self.objects |= found

    def _missing(self, raw: bytes) -> set[bytes]:
        oid = Oid(raw.hex())
        here = copies.whole(self.odb.frames, oid)
        data = here or self._elsewhere(oid)
        if data is None:
            return set()
        brought = self._chunks(data)
        if here is None:
            self.odb.put_frame(oid, data)
        return brought | {raw}

    def _loose(self) -> None:
        """Write damaged files of objects anew."""
        for found in self._each(self._rewrite, self.check.files.loose.keys() & self.check.damaged_objects()):
            self.objects |= found

    def _rewrite(self, raw: bytes) -> set[bytes]:
        oid = Oid(raw.hex())
        data = self._other(oid)
        if data is None:
            return set()
        brought = self._chunks(data)
        self._put(object_key(oid), data)
        return brought | {raw}

    def _elsewhere(self, oid: Oid) -> bytes | None:
        for source in self._sources:
            if (data := copies.whole(source.frames, oid)) is not None:
                return data
        return None

    def _chunks(self, data: bytes) -> set[bytes]:
        """Bring the chunks of a blob that are not there; those that are were checked."""
        brought: set[bytes] = set()
        if frame.parse_header(data).codec == frame.CHUNKS:
            for raw, _ in frame.CHUNK_RECORD.iter_unpack(data[frame.HEADER.size :]):
                if raw not in self.check.files.objects and raw not in self.objects:
                    brought |= self._missing(raw)
        return brought

    def _fragment(self, raw: bytes) -> set[bytes]:
        oid = Oid(raw.hex())
        data = self._other(oid)
        if data is None:
            return set()
        self.odb.put_fragment_file(oid, frame.unpack(data)[1])
        return {raw}

    # Packs

    def _pack(self, pack_id: Oid) -> None:
        """Make a damaged pack anew, and remove it if it has another id then."""
        try:
            found = salvage(self.odb.backend, pack_id)
        except NotFound:
            return
        frames, lost = self._completed(found)
        if lost or not found.indexed:
            self._beside(pack_id, frames, found)
            # What nobody can bring is not alive once all that is alive is known, and whole.
            if not self._whole_store or self.check.lost:
                return
        if not frames or self._put_pack(frames) != pack_id:
            self.odb.backend.delete(pack_key(pack_id))
        self._removed.add(pack_id)

    def _completed(self, found: Salvaged) -> tuple[dict[Oid, bytes], bool]:
        """The frames of a damaged pack in their order, with whole ones for those that are damaged; whether any is lost."""
        damaged = {oid for oid, data in found.frames if data is None}
        others = dict(zip(damaged, in_order(self._other, damaged, _WORKERS), strict=True))
        frames = {oid: data or others[oid] for oid, data in found.frames}
        return {oid: data for oid, data in frames.items() if data is not None}, None in others.values()

    def _other(self, oid: Oid) -> bytes | None:
        return copies.whole(self.odb.frames, oid) or self._elsewhere(oid)

    def _beside(self, pack_id: Oid, frames: dict[Oid, bytes], found: Salvaged) -> None:
        """Store what readers cannot get of a damaged pack."""
        if pack_id in self._salvaged:
            return
        self._salvaged.add(pack_id)
        if not found.indexed and frames:
            self._put_pack(frames)
        for oid, data in found.frames:
            if data is None and oid in frames:
                self._put(*place_of(oid, frames[oid]))
                (self.fragments if frame.is_fragment(frames[oid]) else self.objects).add(oid.raw)

    def _put(self, key: str, data: bytes) -> None:
        self.odb.frames.note(key)
        self.odb.backend.put(key, data)

    def _put_pack(self, frames: dict[Oid, bytes]) -> Oid:
        new, data, index = pack.make(frames.items())
        self._put(pack_key(new), data)
        self.odb.sync()
        self._repository.settle()
        self.odb.frames.packs.add(new, index)
        return new
