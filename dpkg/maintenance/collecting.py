"""Collecting: what no ref reaches goes, while others write (spec/storage.md, gc; dpkg/maintenance/gclog.py is what both sides agree on).

What may go is condemned in the gc log; a barrier in each ref's log then makes every writer look again that began before; what
refs reach after that, and what writers rescued, stays; the rest is written down, and removed. A collector may stop at any
moment: another one goes on from the log.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dpkg import progress
from dpkg.compiler.statcache import STAT_CACHES, stat_cache_key
from dpkg.errors import Conflict, Corrupt, DpkgError
from dpkg.maintenance import repacking
from dpkg.maintenance.gclog import LISTS, Epoch, GcLog
from dpkg.maintenance.marking import Marked, mark, reach
from dpkg.odb.layout import (
    CHECKED,
    FRAGMENTS,
    OBJECTS,
    PACKS,
    PROFILES,
    fragment_key,
    object_key,
    oid_of_key,
    pack_key,
    pack_of_key,
)
from dpkg.odb.packs import FAR_INDEXES
from dpkg.oid import Oid
from dpkg.store.local import LocalBackend
from dpkg.threads import in_order
from dpkg.transfer.prefetch import PREFIX as PREFETCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dpkg.maintenance.gclog import GcEntry
    from dpkg.maintenance.retention import Cut
    from dpkg.repository import Repository

DEAD_AFTER = 3600  # seconds without a new entry, until another collector may take over unasked
_MOST = 500_000  # keys that are condemned at once
_BATCH = 1000  # keys that are removed before the log is looked at again
_WORKERS = 8
_KINDS = {OBJECTS: "objects", FRAGMENTS: "fragments", PACKS: "packs"}


class Freed(NamedTuple):
    """Files of one kind, and their bytes."""

    files: int = 0
    bytes: int = 0


class Collector:
    """One collection of a store. `freed` tells what went, or would go: objects, fragments, packs, derived, temporary."""

    def __init__(self, repository: Repository, cuts: Sequence[Cut] = ()) -> None:
        """`cuts` are what retention did, or would do."""
        self.repository, self.backend, self.odb = repository, repository.backend, repository.odb
        self.log = GcLog(self.backend, repository.refs.push)
        self.who = repository.author()
        self.freed: dict[str, Freed] = defaultdict(Freed)
        self.resumed: GcEntry | None = None
        self.costs: list[int] = []  # of each cut the bytes of what only commits reach that go
        self._cuts = cuts
        self._sizes: dict[str, int] = {}  # of what was condemned

    def look(self) -> None:
        """Count what would go. Nothing is written."""
        floors = {(c.package, *ref): floor for c in self._cuts for ref, (_, floor) in c.floors.items()}
        marked = mark(self.repository, floors)
        self._sizes = dict(self._dead(marked))
        for key, size in self._sizes.items():
            self._count(_kind(key), size)
        self._price(marked)
        for _, size in self._derived(marked):
            self._count("derived", size)
        self._temporary(remove=False)

    def check(self, *, resume: bool) -> None:
        """Raises Conflict while another collector is at work, or may be: `resume` says that it is dead."""
        epoch = self.log.epoch(self.log.tail())
        if epoch is not None and not resume and time.time() - epoch.entries[-1].time < DEAD_AFTER:
            raise Conflict(
                f"gc of {self.backend.url} is under way: begun by {epoch.opened}",
                "if it is still running, wait for it; if it died, go on in its place: dpk gc --resume",
            )

    def run(self, *, resume: bool = False) -> None:
        """Remove it, after the collection of one that died. Conflict as for `check`."""
        self.check(resume=resume)
        tail = self.log.tail()
        epoch = self.log.epoch(tail)
        if epoch is not None:
            tail = self._resume(epoch)
        marked = mark(self.repository)
        while True:
            self._sizes = dict(islice(self._dead(marked, rewrite=True), _MOST))
            if not self.costs:
                self._price(marked)
            if not self._sizes:
                break
            found = len(self._sizes)
            tail = self.log.append("condemned", self._sizes, tail, self.who)
            tail, marked = self._finish(Epoch((tail,)))
            if found < _MOST:
                break
        self._remove("derived", self._derived(marked))
        self._temporary(remove=True)

    def drop(self, keys: Mapping[str, int]) -> None:
        """Remove files that hold nothing but copies of what is whole in packs, as far as that is so by then.

        `keys` have the sizes. Conflict as for `check`: nothing is removed then, and who comes later finds them again.
        """
        self.check(resume=False)
        tail = self.log.tail()
        epoch = self.log.epoch(tail)
        if epoch is not None:
            tail = self._resume(epoch)
        left = iter(keys.items())
        while part := dict(islice(left, _MOST)):
            self._sizes = part
            tail, _ = self._finish(Epoch((self.log.append("condemned", part, tail, self.who),)))

    # An epoch

    def _resume(self, epoch: Epoch) -> GcEntry:
        self.resumed = epoch.opened
        self._sizes = {s.key: s.size for p in _KINDS for s in self.backend.list(p)}  # what it condemned had some
        return self._finish(epoch)[0]

    def _finish(self, epoch: Epoch) -> tuple[GcEntry, Marked]:
        """Go on with an epoch to its end; where that is stopped, as far as it can be left in good order."""
        last, marked = epoch.entries[-1], Marked(set())
        try:
            if epoch.deleting is None:
                last, marked = self._decide(epoch)
            self._delete(last)
        except BaseException:
            with suppress(DpkgError):  # what is still there is found again; else the next collector resumes this one
                self._leave(epoch.opened, last)
            raise
        return self._close(last), marked

    def _leave(self, opened: GcEntry, last: GcEntry) -> None:
        """Close an epoch in which no more is removed, if it is still ours."""
        if last.event == "delete":
            self._close(last)
            return
        tail = self.log.tail()
        found = self.log.epoch(tail)
        if found is not None and found.opened == opened and not found.deleting:
            self._close(tail)

    def _decide(self, epoch: Epoch) -> tuple[GcEntry, Marked]:
        """Write down what goes."""
        try:
            condemned = self.log.keys(epoch.opened)
        except Corrupt:
            condemned = frozenset()  # then nothing goes this time
        self._barriers()
        marked = mark(self.repository)
        dead = condemned - self._needed(condemned, marked)
        while True:
            tail = self.log.tail()
            found = self.log.epoch(tail)
            if tail is None or found is None or found.opened != epoch.opened or found.deleting:
                raise Conflict(f"another collector went on in the place of this one: {tail}", "leave it to that one")
            rescued = frozenset[str]().union(*(self.log.keys(e) for e in found.entries if e.event == "rescue"))
            with suppress(Conflict):
                return self.log.append("delete", dead - rescued, tail, self.who), marked

    def _barriers(self) -> None:
        """Append to each ref's log that there is: who decided before cannot append to it any more."""
        refs = self.repository.refs

        def bar(log: tuple[str, str, str]) -> None:
            while True:
                tip = refs.tip(*log)
                if tip is None:
                    return
                with suppress(Conflict):
                    refs.append(*log, "barrier", None, expected=tip, who=self.who, why="gc")
                    return

        for _ in in_order(bar, refs.all_logs(), _WORKERS):
            pass

    def _delete(self, entry: GcEntry) -> None:
        """Remove what an entry names; Conflict where another collector went on meanwhile."""
        with suppress(Corrupt):  # a list that is lost: what it names is found again
            keys = sorted(self.log.keys(entry))
            for at in range(0, len(keys), _BATCH):
                if self.log.tail() != entry:
                    raise Conflict("another collector went on in the place of this one", "leave it to that one")
                batch = [key for key in keys[at : at + _BATCH] if _kind(key)]
                with closing(in_order(self._removed, batch, _WORKERS)) as removed:  # at its end nothing runs any more
                    for key in removed:
                        if key in self._sizes:
                            self._count(_kind(key), self._sizes[key])
                        progress.advance("removed", 1, len(keys), "files")
        self.odb.frames.packs.refresh()

    def _close(self, last: GcEntry | None) -> GcEntry:
        """End the epoch, of which `last` is the newest entry; lists of earlier ones are not needed any more."""
        assert last is not None
        if last.event == "delete":
            kept = {e.list for e in (self.log.epoch(last) or Epoch(())).entries}
            for stat in list(self.backend.list(LISTS)):
                if stat.key.removeprefix(LISTS) not in kept:
                    self.backend.delete(stat.key)
        return self.log.append("closed", (), last, self.who)

    # What is dead

    def _dead(self, marked: Marked, *, rewrite: bool = False) -> Iterator[tuple[str, int]]:
        """The keys of files in which nothing lives, with their sizes."""
        for prefix in (OBJECTS, FRAGMENTS):
            for stat in self.backend.list(prefix):
                oid = oid_of_key(stat.key)
                if oid is not None and oid.raw not in marked.oids:
                    yield stat.key, max(0, stat.size)
        packs = self.odb.frames.packs
        packs.refresh()
        sizes = {i: s.size for s in self.backend.list(PACKS) if (i := pack_of_key(s.key)) is not None}
        living = {i: sum(e.oid.raw in marked.oids for e in packs.index(i)) for i in packs.ids() if i in sizes}
        gone = {i for i, n in living.items() if not n}
        thin = [i for i, n in living.items() if 0 < 2 * n < len(packs.index(i))]
        if rewrite and thin:
            gone.update(repacking.rewrite(self.odb, thin, lambda oid: oid.raw in marked.oids))
        for pack_id in sorted(gone):
            yield f"{PACKS}{pack_id}.pack", sizes[pack_id]

    def _needed(self, condemned: Iterable[str], marked: Marked) -> set[str]:
        """Those of some files in which something lives that is in no pack that stays; what is there is read, and checked."""
        packs = self.odb.frames.packs
        packs.refresh()
        known = set(packs.ids())
        old = {i for key in condemned if (i := pack_of_key(key)) is not None and i in known}
        there = {e.oid.raw for i in old for e in packs.index(i)} & marked.oids
        elsewhere, _ = repacking.whole_in_packs(self.odb, map(Oid.of, there), {pack_key(i) for i in old})
        there -= {oid.raw for oid in elsewhere}
        needed = {f"{PACKS}{i}.pack" for i in old if any(e.oid.raw in there for e in packs.index(i))}
        living = {key: oid for key in condemned if (oid := oid_of_key(key)) is not None and oid.raw in marked.oids}
        copies, _ = repacking.whole_in_packs(self.odb, living.values(), {pack_key(i) for i in old} - needed)
        needed.update(key for key, oid in living.items() if oid not in copies)
        return needed

    def _derived(self, marked: Marked) -> Iterator[tuple[str, int]]:
        """Derived values of commits, fragments, leaves of tables and packages that no ref reaches: they may go at any time (STO-10)."""
        known = {stat_cache_key(package) for package in self.repository.refs.packages()}
        for prefix in (
            STAT_CACHES,
            FAR_INDEXES,
        ):  # of the latter all: whether those packs are still there is not known here
            for stat in self.backend.list(prefix):
                if stat.key not in known:
                    yield stat.key, max(0, stat.size)
        for prefix in (PREFETCHED, CHECKED, PROFILES):
            for stat in self.backend.list(prefix):
                with suppress(DpkgError):
                    if Oid(stat.key.rpartition("/")[2]).raw not in marked.oids:
                        yield stat.key, max(0, stat.size)

    # Helpers

    def _price(self, marked: Marked) -> None:
        """What each cut frees; what two of them do goes to the first."""
        counted = marked.oids
        for cut in self._cuts:
            gone: set[bytes] = set()
            reach(self.odb, cut.dropped, gone, counted)
            self.costs.append(sum(self._size(Oid.of(raw)) for raw in gone))
            counted = counted | gone if len(self._cuts) > 1 else counted

    def _size(self, oid: Oid) -> int:
        """How long the file of something dead is, or its frame in a pack."""
        loose = self._sizes.get(object_key(oid), 0) + self._sizes.get(fragment_key(oid), 0)
        found = None if loose else self.odb.frames.packs.find(oid)
        return found.entry.size if found else loose

    def _temporary(self, *, remove: bool) -> None:
        for stat in self.backend.stale_files(remove=remove) if isinstance(self.backend, LocalBackend) else ():
            self._count("temporary", stat.size)

    def _remove(self, kind: str, found: Iterable[tuple[str, int]]) -> None:
        for key, size in list(found):
            self.backend.delete(key)
            self._count(kind, size)

    def _removed(self, key: str) -> str:
        self.backend.delete(key)
        return key

    def _count(self, kind: str, size: int) -> None:
        files, total = self.freed[kind]
        self.freed[kind] = Freed(files + 1, total + size)


def _kind(key: str) -> str:
    """What kind of file a key is of; nothing for what gc never removes."""
    return next((kind for prefix, kind in _KINDS.items() if key.startswith(prefix)), "")
