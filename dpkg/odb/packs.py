"""Which packs a store has, and what is in them."""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import suppress
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from dpkg.errors import Corrupt, Denied, DpkgError, NotFound
from dpkg.objects import pack
from dpkg.odb.layout import PACKS, pack_key, pack_of_key
from dpkg.store.base import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dpkg.objects.pack import Index, Packed
    from dpkg.odb.merged import Merged
    from dpkg.oid import Oid
    from dpkg.store.base import Backend, Stat

_MERGE = 8192  # indexes that were looked into one by one until they are merged into one
_THREADS = 8
FAR_INDEXES = "derived/packs/"  # kept near by, of packs of other stores


class Found(NamedTuple):
    """An object in a pack of a store."""

    key: str  # of the pack
    entry: Packed


class Packs:
    """The packs in `backend`. They are listed when something is first looked for, and when `refresh` is called."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.cache: Backend | None = None  # a store near by that keeps the indexes of packs that are far away
        self._indexes: dict[Oid, Index] = {}
        self.damaged: dict[Oid, str] = {}  # packs that nothing can be found in, and why
        self.hints: dict[Oid, Found] = {}  # where others say that objects are: to be read there, never to be counted on
        self._merged: Merged | None = None
        self._work = 0
        self._listed = False
        self._lock = allocate_lock()

    @property
    def listed(self) -> bool:
        """Whether it is known what packs there are."""
        return self._listed

    def ids(self) -> list[Oid]:
        """The packs, sorted."""
        self._load()
        return sorted(self._indexes)

    def index(self, pack_id: Oid) -> Index:
        """The index of a pack. Raises NotFound, Corrupt."""
        self._load()
        if pack_id in self.damaged:
            raise Corrupt(f"pack {pack_id} is damaged: {self.damaged[pack_id]}", "run 'dpk verify'")
        if pack_id not in self._indexes:
            raise NotFound(f"there is no pack {pack_id} in {self._backend.url}", "check the id: 'dpk count-objects -v'")
        return self._indexes[pack_id]

    def find(self, oid: Oid) -> Found | None:
        """Where an object is, as far as the packs were listed."""
        self._load()
        return self._find(oid)

    def at_hand(self, oid: Oid) -> Found | None:
        """Where an object was, as far as that is known without a request. Not to be counted on."""
        return self._find(oid) or self.hints.get(oid)

    def _find(self, oid: Oid) -> Found | None:
        if self._work > _MERGE:
            self._merge()
        merged = self._merged
        if merged is not None and (hit := merged.find(oid)) is not None:
            return Found(pack_key(hit[0]), hit[1])
        for pack_id, index in list(self._indexes.items()):
            if merged is None or pack_id not in merged.packs:
                self._work += 1
                if (entry := index.find(oid)) is not None:
                    return Found(pack_key(pack_id), entry)
        return None

    def copies(self, oid: Oid) -> list[Found]:
        """Everywhere an object is."""
        self._load()
        found = ((pack_key(pack_id), index.find(oid)) for pack_id, index in list(self._indexes.items()))
        return [Found(key, entry) for key, entry in found if entry is not None]

    def starting(self, prefix: str) -> Iterator[Packed]:
        """What is packed under oids that begin with some hexadecimal digits, in no order."""
        self._load()
        return chain.from_iterable(index.starting(prefix) for index in list(self._indexes.values()))

    def __iter__(self) -> Iterator[Packed]:
        """All packed objects in the order of oids; one that is in several packs comes as often."""
        self._load()
        return merge(*self._indexes.values())

    def add(self, pack_id: Oid, index: Index) -> None:
        """Know a pack that was just stored."""
        with self._lock:
            self._indexes[pack_id] = index
            self.damaged.pop(pack_id, None)

    def refresh(self) -> bool:
        """Look again which packs there are. Whether any came or went."""
        with self._lock:
            before = set(self._indexes)
            self._list()
            if before - set(self._indexes):
                self._merged = None
            return before != set(self._indexes)

    def _load(self) -> None:
        if not self._listed:
            with self._lock:
                if not self._listed:
                    self._list()

    def _list(self) -> None:
        try:
            stats = [stat for stat in self._backend.list(PACKS) if pack_of_key(stat.key)]
        except Denied:  # a store that may be read but not listed is used without its packs
            stats = []
        there = {pack_of_key(stat.key): stat for stat in stats}
        self.damaged = {}
        new = [(pack_id, stat) for pack_id, stat in there.items() if pack_id and pack_id not in self._indexes]
        read = {i: index for (i, _), index in zip(new, self._read(new), strict=True) if index is not None}
        self._indexes = {i: x for i, x in self._indexes.items() if i in there} | read
        self._listed = True

    def _read(self, new: Sequence[tuple[Oid, Stat]]) -> list[Index | None]:
        if len(new) < 2 or not is_remote(self._backend):
            return [self._index(*item) for item in new]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="dpkg-packs") as pool:
            return list(pool.map(lambda item: self._index(*item), new))

    def _index(self, pack_id: Oid, stat: Stat) -> Index | None:
        """The index of a pack; None, and a note, where it is damaged."""
        if not is_remote(self._backend):
            self._backend.stat(stat.key)  # who wrote it may have been killed: what is found is synced with the rest
        try:
            if self.cache is None or not is_remote(self._backend):
                return read_index(self._backend, stat.key)
            return self._cached(self.cache, pack_id, stat)
        except NotFound:
            return None  # removed since it was listed
        except Corrupt as error:
            self.damaged[pack_id] = error.message
            return None

    def _cached(self, cache: Backend, pack_id: Oid, stat: Stat) -> Index:
        """A pack's index from the store near by, which is given it if it lacks it (STO-11). Raises NotFound, Corrupt."""
        key = f"{FAR_INDEXES}{pack_id}"
        with suppress(DpkgError):
            tail = cache.get_range(key, 0, pack.TAIL)
            return pack.parse_tail(tail, max(stat.size, len(tail) + pack.HEADER.size))
        index = read_index(self._backend, stat.key)
        with suppress(DpkgError):
            cache.put(key, index.records + pack.trailer(index.records))
        return index

    def _merge(self) -> None:
        from dpkg.odb.merged import Merged

        with self._lock:
            self._work = 0
            if self._merged is None or len(self._indexes) > len(self._merged.packs) + 8:
                self._merged = Merged(self._indexes)


def read_index(backend: Backend, key: str) -> Index:
    """The index of a stored pack, with one request where that is a network's. Raises NotFound, Corrupt."""
    if is_remote(backend):
        tail = backend.get_tail(key, pack.TAIL)
    else:
        tail = backend.get_tail(key, pack.TRAILER.size)
        tail = backend.get_tail(key, pack.index_length(tail.data, tail.size) + pack.TRAILER.size)
    return pack.parse_tail(tail.data, tail.size)
