"""Which objects and fragments an odb lacks, with few requests where it is across a network."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dpkg.objects.frame import HEADER
from dpkg.odb import is_remote
from dpkg.odb.layout import FRAGMENTS, OBJECTS, fragment_key, object_key, oid_of_key

if TYPE_CHECKING:
    from dpkg.odb import Odb
    from dpkg.odb.odb import Place
    from dpkg.oid import Oid

_ASKED = 32  # oids looked for one by one before a listing is thought of
_PAGE = 1000  # keys in an answer to a listing
_WORTH = 8  # an answer to a listing costs as much as so many single looks
_MOST = 500_000  # keys of a listing that are kept in memory


class Presence:
    """What `odb` has. Looks one by one, until so many were asked for that listing all keys costs less.

    What others store after the listing is not seen: it is stored again, with the same bytes. `each` runs a function on
    items in threads, if it is given.
    """

    def __init__(self, odb: Odb, each: Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]] = map) -> None:
        self._odb, self._each = odb, each
        self._remote = is_remote(odb.backend)
        self._asked: dict[Place, int] = {"object": 0, "fragment": 0}
        self._pages: dict[Place, int] = {}  # requests that a listing would take, estimated
        self._listed: dict[Place, set[bytes]] = {}
        self._lock = allocate_lock()

    def lacking(self, place: Place, oids: Sequence[Oid]) -> set[Oid]:
        """Those of `oids` that are not stored."""
        has = self._odb.has if place == "object" else self._odb.has_fragment
        if not self._remote:
            return {oid for oid in oids if not has(oid)}
        packs = self._odb.frames.packs
        if packs.listed or self._asked[place] + len(oids) > _ASKED:
            # The packs are listed once, and what is in one need not be asked for. A few are rather sent again.
            oids = [oid for oid in oids if not self._odb.frames.packed(oid)]
        with self._lock:
            self._asked[place] += len(oids)
            listed = self._listing(place)
        if listed is not None:
            key_of = object_key if place == "object" else fragment_key
            lacking = {oid for oid in oids if bytes.fromhex(oid) not in listed}
            for oid in oids:
                if oid not in lacking:
                    self._odb.frames.note(key_of(oid))
            return lacking
        return {oid for oid, there in zip(oids, self._each(has, oids), strict=True) if not there}

    def _listing(self, place: Place) -> set[bytes] | None:
        """All that is stored, where that is worth its requests."""
        if place in self._listed:
            return self._listed[place]
        if self._asked[place] <= _ASKED:
            return None
        folder = OBJECTS if place == "object" else FRAGMENTS
        if place not in self._pages:  # oids are spread evenly: one of 256 folders tells of all
            found = sum(1 for _ in self._odb.backend.list(f"{folder}00/", 1 + _MOST // 256))
            self._pages[place] = 1 + 256 * found // _PAGE
        if self._asked[place] < _WORTH * self._pages[place] or self._pages[place] * _PAGE > _MOST:
            return None
        least = HEADER.size if place == "object" else 1  # as Odb.has and has_fragment
        keys = (oid_of_key(stat.key) for stat in self._odb.backend.list(folder) if stat.size >= least)
        self._listed[place] = {bytes.fromhex(oid) for oid in keys if oid is not None}
        return self._listed[place]
