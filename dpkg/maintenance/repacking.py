"""Packs made of objects that a store has already, and which files are not needed then.

A frame goes from where it is into a pack as it is, once it was checked. Nothing is removed here: an old file may go only
when nobody counts on it any more, which is for gc to find out (dpkg/maintenance/collecting.py).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from dpkg import reaching
from dpkg.errors import Corrupt, DpkgError, NotFound
from dpkg.objects import pack
from dpkg.objects.frame import HEADER
from dpkg.odb import fragment_key, is_remote, object_key
from dpkg.odb.fragments import SMALL
from dpkg.odb.frames import runs_of
from dpkg.odb.layout import OBJECTS, oid_of_key, pack_key
from dpkg.odb.packfile import check_frame, reading
from dpkg.odb.packing import FEW
from dpkg.refs.patterns import each_ref
from dpkg.threads import in_order

if TYPE_CHECKING:
    from dpkg.objects.pack import Index
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository

FULL_BYTES, FULL_OBJECTS = pack.MOST_BYTES // 2, pack.MOST_OBJECTS // 2  # a pack of so many is well filled
_WORKERS = 8  # requests at once


class Made(NamedTuple):
    """A pack that was stored: its key, its length, its objects."""

    key: str
    bytes: int
    objects: Index


class Held:
    """What a store holds, as it is listed now: loose objects and small fragments with the lengths of their frames, and packs."""

    def __init__(self, odb: Odb) -> None:
        packs = odb.frames.packs
        packs.refresh()
        self.packs: dict[str, Index] = {pack_key(i): packs.index(i) for i in packs.ids()}
        self.sizes = {key: _length(index) for key, index in self.packs.items()}
        self.fragments = {oid: size + HEADER.size for oid, size in odb.fragments.files() if 0 < size <= SMALL}
        self.loose: dict[Oid, int] = {}
        for stat in odb.backend.list(OBJECTS):
            oid = oid_of_key(stat.key)
            if oid is not None:
                self.loose[oid] = stat.size if stat.size >= 0 else odb.frames.loose_size(oid)

    def small(self) -> set[str]:
        """The packs that are not well filled."""
        return {k for k, x in self.packs.items() if len(x) < FULL_OBJECTS and self.sizes[k] < FULL_BYTES}

    def redundant(self, safe: Container[Oid], old: Container[str]) -> list[str]:
        """Files that hold nothing of which there is no `safe` copy elsewhere: `old` packs, then those of objects and fragments.

        A copy is safe that was checked, in a pack that is not `old`.
        """
        packs = [key for key, index in self.packs.items() if key in old and all(e.oid in safe for e in index)]
        return packs + [key for key, (oid, _) in self._files() if oid in safe]

    def sizes_of(self, keys: Iterable[str]) -> dict[str, int]:
        """The lengths of packs and of the files of loose objects and small fragments, by key."""
        loose = dict(self._files())
        return {key: self.sizes[key] if key in self.sizes else loose[key][1] for key in keys}

    def _files(self) -> Iterator[tuple[str, tuple[Oid, int]]]:
        """The files of loose objects and small fragments, with their oids and lengths."""
        yield from ((object_key(oid), (oid, size)) for oid, size in self.loose.items())
        yield from ((fragment_key(oid), (oid, size - HEADER.size)) for oid, size in self.fragments.items())


def _length(index: Index) -> int:
    return pack.HEADER.size + sum(entry.size for entry in index) + len(index.records) + pack.TRAILER.size


# Making packs


def repack(
    odb: Odb, oids: Iterable[Oid], sizes: Mapping[Oid, int], left: dict[Oid, DpkgError] | None = None
) -> Iterator[Made]:
    """Store packs of objects, each once, in the order given: they last once `odb.sync` returns.

    `sizes` has the length of each one's frame. What is damaged in one place is taken from another. An object that is
    damaged everywhere, or gone, is noted in `left`; without that it ends this with Corrupt or NotFound. Memory: two packs.
    """
    for batch in batches(oids, sizes):
        frames = read_frames(odb, batch, left)
        if not frames:
            continue
        pack_id, data, index = pack.make((oid, frames[oid]) for oid in batch if oid in frames)
        del frames
        odb.backend.put(pack_key(pack_id), data)
        odb.frames.packs.add(pack_id, index)
        yield Made(pack_key(pack_id), len(data), index)


def batches(oids: Iterable[Oid], sizes: Mapping[Oid, int]) -> Iterator[list[Oid]]:
    """Objects as they fill packs."""
    batch: list[Oid] = []
    held = 0
    for oid in oids:
        if batch and (held + sizes[oid] > pack.MOST_BYTES or len(batch) >= pack.MOST_OBJECTS):
            yield batch
            batch, held = [], 0
        batch.append(oid)
        held += sizes[oid]
    if batch:
        yield batch


def read_frames(odb: Odb, oids: Iterable[Oid], left: dict[Oid, DpkgError] | None = None) -> dict[Oid, bytes]:
    """The frames of objects, each checked; those that lie together in a pack are read at once. `left` as for `repack`."""
    frames: dict[Oid, bytes] = {}

    def take(oid: Oid, read: Callable[[], bytes]) -> None:
        try:
            frames[oid] = _whole(odb, oid, read)
        except (NotFound, Corrupt) as error:
            if left is None:
                raise
            left[oid] = error

    def one(oid: Oid) -> None:
        take(oid, lambda: _loose_first(odb, oid))

    runs, other = odb.frames.runs(oids)
    for run in runs:
        for oid, data in odb.frames.read_run(run):
            take(oid, lambda data=data: data)  # type: ignore[misc]
    for _ in in_order(one, other, _WORKERS) if is_remote(odb.backend) else map(one, other):
        pass
    return frames


def _whole(odb: Odb, oid: Oid, read: Callable[[], bytes]) -> bytes:
    """An object's frame, of whichever copy is whole. Raises NotFound, Corrupt."""
    data = read()
    try:
        _check(oid, data)
        return data
    except Corrupt as error:
        why = error.message
    for data in odb.frames.copies(oid):
        with suppress(Corrupt):
            _check(oid, data)
            return data
    raise odb.damaged(oid, why)


def _loose_first(odb: Odb, oid: Oid) -> bytes:
    for data in odb.frames.copies(oid):
        return data
    return odb.frames.get(oid)


def _check(oid: Oid, data: bytes) -> None:
    check_frame(oid, reading(data), len(data))


def rewrite(odb: Odb, pack_ids: Iterable[Oid], lives: Callable[[Oid], bool]) -> list[Oid]:
    """Put what lives of some packs into new ones, which last when this returns; those packs of which nothing is needed then."""
    packs = {pack_id: odb.frames.packs.index(pack_id) for pack_id in pack_ids}
    entries = [e for index in packs.values() for e in sorted(index, key=attrgetter("offset")) if lives(e.oid)]
    sizes = {e.oid: e.size for e in entries if e.size <= pack.MOST_BYTES}
    left: dict[Oid, DpkgError] = {}
    made = {m.key: m.objects for m in repack(odb, sizes, sizes, left)}
    odb.sync()
    safe = {e.oid for index in made.values() for e in index}
    return [
        pack_id
        for pack_id, index in packs.items()
        if pack_key(pack_id) not in made and all(e.oid in safe for e in index if lives(e.oid))
    ]


# What is to be repacked, and in which order


class Plan(NamedTuple):
    """What goes into new packs, with the lengths of frames; packs that do not stay; and what is whole in packs that do."""

    held: Held
    sizes: dict[Oid, int]
    old: set[str]
    safe: set[Oid]

    def redundant(self, made: Iterable[Made]) -> list[str]:
        """The files that are not needed beside the packs that were made."""
        packs = {pack.key: pack.objects for pack in made}
        safe = self.safe.union(entry.oid for index in packs.values() for entry in index)
        return self.held.redundant(safe, self.old - packs.keys())


def plan(odb: Odb, everything: bool = False) -> Plan:
    """Loose objects, small fragments if they are many, and small packs, or `everything`; nothing if there is nothing to be gained.

    A loose object that is in a pack which stays is safe there, once that copy was checked; a pack where such a copy is
    damaged does not stay.
    """
    held = Held(odb)
    loose = {oid: size for oid, size in held.loose.items() if size <= pack.MOST_BYTES}
    if len(held.fragments) >= FEW:
        loose |= held.fragments
    places = {oid: found.key for oid in loose if (found := odb.frames.packs.find(oid))}
    old = set(held.packs) if everything else held.small()
    if not everything and len(old) < 2 and len(places) == len(loose):
        old = set()
    whole, broken = whole_in_packs(odb, places, old)
    old |= broken
    safe = {oid for oid, key in whole.items() if key not in old}
    sizes = {oid: size for oid, size in loose.items() if oid not in safe}
    for key in old & held.packs.keys():
        sizes.update((e.oid, e.size) for e in held.packs[key] if e.size <= pack.MOST_BYTES and e.oid not in safe)
    return Plan(held, sizes, old, safe)


def whole_in_packs(odb: Odb, oids: Iterable[Oid], leaving: Container[str] = ()) -> tuple[dict[Oid, str], set[str]]:
    """The packs, but for those that are `leaving`, in which objects are whole; and those where one is damaged.

    The packs are those that were listed last. The copies are read, and checked.
    """
    wanted = {oid.raw for oid in oids}
    whole: dict[Oid, str] = {}
    broken: set[str] = set()
    packs = odb.frames.packs
    for pack_id in packs.ids() if wanted else ():
        key, index = pack_key(pack_id), packs.index(pack_id)
        if key in leaving:
            continue
        entries = [index.at(i) for i in range(len(index)) if index.raw(i) in wanted]
        for run in runs_of(key, [entry for entry in entries if entry.oid not in whole]):
            try:
                data = odb.backend.get_range(run.key, run.start, run.length)  # this copy, and no other
            except NotFound:
                break
            for oid, (start, end) in zip(run.oids, run.ends, strict=True):
                try:
                    _check(oid, data[start:end])
                    whole[oid] = key
                except Corrupt:
                    broken.add(key)
    return whole, broken


def in_reading_order(repository: Repository, sizes: Mapping[Oid, int], reached_only: bool = False) -> list[Oid]:
    """Objects as they are read together: commits, nodes, tables, blobs and fragments as these name them; last what no ref reaches.

    Raises NotFound, Corrupt where a ref reaches what is not there.
    """
    commits: dict[Oid, None] = {}
    inner: dict[Oid, None] = {}
    blobs: dict[Oid, None] = {}
    fragments: dict[Oid, None] = {}
    below = reaching.Objects(repository.odb)
    tips = dict.fromkeys(ref.oid for ref in each_ref(repository.refs))
    for oid, commit in reaching.commits(repository.commit, tips, floor=repository.refs.floor):
        commits[oid] = None
        for kind, reached in below.tree(commit.tree):
            if reached in sizes:
                {"blob": blobs, "fragment": fragments}.get(kind, inner)[reached] = None
    found = [oid for oid in (*commits, *inner, *blobs, *fragments) if oid in sizes]
    if not reached_only:
        seen = frozenset(found)
        found += sorted(oid for oid in sizes if oid not in seen)
    return found
