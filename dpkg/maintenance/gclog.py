"""The gc log: what a collector is about to remove, and what writers need of that (spec/storage.md, gc).

A log like those of refs: an entry is created under its number if there is none, names the entry before by its digest, and is
never changed. So a decision that was made after one entry is only valid right behind it. The events of an epoch:

    condemned   the keys that may go; opens it
    rescue      keys among them that a writer needs
    delete      the keys that do go, decided right behind the entry before
    closed      they are gone
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg.errors import Conflict, Corrupt, Format, NotFound, Storage
from dpkg.objects import canonical_json
from dpkg.oid import Oid, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal

    from dpkg.store.base import Backend

    Event = Literal["condemned", "rescue", "delete", "closed"]

PREFIX, LISTS = "gc/", "gc/lists/"
EVENTS = frozenset(("condemned", "rescue", "delete", "closed"))
_FEW = 100  # keys that are in the entry itself
_TOP = 2**64 - 1
_HEX = frozenset("0123456789abcdef")
_NULL = type(None)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "event": str,
    "keys": list,
    "list": (str, _NULL),
    "n": int,
    "prev": (str, _NULL),
    "push": str,
    "time": int,
    "who": str,
}
PATIENCE = 300.0  # seconds that a writer waits for a collector that is deleting
_DAMAGED = "the gc log is damaged; restore 'gc/' from a copy of the store"


@dataclass(frozen=True, slots=True)
class GcEntry:
    """One entry. Its keys are in it, or where there are many, in the value of which `list` is the BLAKE3."""

    n: int
    event: Event
    keys: tuple[str, ...]
    list: str | None
    prev: Oid | None
    push: str
    time: int  # seconds since 1970-01-01 UTC
    who: str
    digest: Oid = field(init=False)

    def __post_init__(self) -> None:
        value = canonical_json.members(self._members(), "gc entry", _TYPES)
        if self.event not in EVENTS or not all(isinstance(key, str) for key in self.keys):
            raise Format(f"a gc entry has the unknown event '{str(self.event)[:80]}', or keys that are none")
        if self.n < 0 or (self.n == 0) != (self.prev is None) or (self.keys and self.list is not None):
            raise Format("a gc entry is not of its form")
        if len(self.push) != 32 or not _HEX.issuperset(self.push):
            raise Format("the push id of a gc entry is not 32 hexadecimal digits")
        object.__setattr__(self, "digest", digest("gc", canonical_json.encode(value)))

    def _members(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in _TYPES}
        return found | {"keys": [*self.keys], "prev": None if self.prev is None else str(self.prev)}

    def encode(self) -> bytes:
        """Canonical JSON, with the entry's digest."""
        return canonical_json.encode(self._members() | {"digest": str(self.digest)})

    @classmethod
    def decode(cls, data: bytes) -> GcEntry:
        """The entry that `data` spells. Whatever the bytes: Format if it is none, Corrupt if its digest is wrong."""
        value = canonical_json.members(canonical_json.decode(data), "gc entry", _TYPES | {"digest": str})
        claimed = value.pop("digest")
        value["keys"] = tuple(value["keys"])
        value["prev"] = None if value["prev"] is None else Oid(value["prev"])
        entry = cls(**value)
        if entry.digest != claimed:
            raise Corrupt("its digest is not that of its bytes")
        return entry

    def __str__(self) -> str:
        """For people: whose it is, and when."""
        return f"{self.who} at {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(max(0, min(self.time, 2**35))))}"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is under way: all entries since it was opened, and the number of the last."""

    entries: tuple[GcEntry, ...]

    @property
    def opened(self) -> GcEntry:
        """Its first entry."""
        return self.entries[0]

    @property
    def deleting(self) -> GcEntry | None:
        """The entry that says what goes, if that was decided."""
        return next((e for e in self.entries if e.event == "delete"), None)


class GcLog:
    """The gc log of a store. `push` names this run in what it appends."""

    def __init__(self, backend: Backend, push: str) -> None:
        self.backend, self.push = backend, push

    def tail(self) -> GcEntry | None:
        """The newest entry: one LIST, and a GET where there is one."""
        for stat in self.backend.list(PREFIX, 1):
            n = _number(stat.key)
            if n is None:  # something else lies about, or a list without an entry
                found = (_number(other.key) for other in self.backend.list(PREFIX))
                n = next((n for n in found if n is not None), None)
            return None if n is None else self.entry(n)
        return None

    def epoch(self, tail: GcEntry | None) -> Epoch | None:
        """The epoch that is open at an entry, or None."""
        if tail is None or tail.event == "closed":
            return None
        entries = [tail]
        while entries[-1].event != "condemned":
            if entries[-1].n == 0:
                raise Corrupt(f"the gc log in {self.backend.url} begins with '{entries[-1].event}'", _DAMAGED)
            entries.append(self._before(entries[-1]))
        return Epoch(tuple(reversed(entries)))

    def since(self, tail: GcEntry, first: int) -> Iterator[GcEntry]:
        """The entries up to `tail` from number `first` on, newest first."""
        while tail.n >= first:
            yield tail
            if tail.n == 0:
                return
            tail = self._before(tail)

    def keys(self, entry: GcEntry) -> frozenset[str]:
        """The keys that an entry names. Raises Corrupt."""
        if entry.list is None:
            return frozenset(entry.keys)
        key = LISTS + entry.list
        try:
            data = self.backend.get(key)
        except NotFound:
            raise Corrupt(f"'{key}' in {self.backend.url} is missing", "run 'dpk gc --resume'") from None
        if blake3(data).hexdigest() != entry.list:
            raise Corrupt(f"'{key}' in {self.backend.url} is damaged", "run 'dpk gc --resume'")
        return frozenset(data.decode().splitlines())

    def append(self, event: Event, keys: Iterable[str], after: GcEntry | None, who: str) -> GcEntry:
        """Create the entry behind `after`. Conflict if another has that place."""
        names = tuple(sorted(keys))
        stored = None
        if len(names) > _FEW:
            data = "".join(f"{name}\n" for name in names).encode()
            stored, names = blake3(data).hexdigest(), ()
            self.backend.put(LISTS + stored, data)
        n, prev = (0, None) if after is None else (after.n + 1, after.digest)
        entry = GcEntry(n, event, names, stored, prev, self.push, int(time.time()), who)
        self.backend.sync()
        if self._created(entry_key(n), entry.encode()):
            return entry
        raise Conflict(f"gc of {self.backend.url} went on meanwhile: {self.entry(n)}", "run the same command again")

    def _created(self, key: str, data: bytes) -> bool:
        """Whether the value is there and ours: an answer may have been lost, and `push` is no one else's (STO-14)."""
        try:
            if self.backend.create(key, data):
                return True
        except Storage:
            if not self._is(key, data):
                raise
            return True
        return self._is(key, data)

    def _is(self, key: str, data: bytes) -> bool:
        with suppress(NotFound, Storage):
            return self.backend.get(key) == data
        return False

    def entry(self, n: int) -> GcEntry:
        """Entry `n`, which is there. Raises Corrupt."""
        where = f"the gc entry '{entry_key(n)}' in {self.backend.url}"
        try:
            entry = GcEntry.decode(self.backend.get(entry_key(n)))
        except NotFound:
            raise Corrupt(f"{where} is missing", _DAMAGED) from None
        except (Format, Corrupt) as error:
            raise Corrupt(f"{where} is damaged: {error.message}", _DAMAGED) from None
        if entry.n != n:
            raise Corrupt(f"{where} is damaged: it is entry {entry.n}", _DAMAGED)
        return entry

    def _before(self, entry: GcEntry) -> GcEntry:
        before = self.entry(entry.n - 1)
        if before.digest != entry.prev:
            raise Corrupt(f"the gc log in {self.backend.url} is broken before entry {entry.n}", _DAMAGED)
        return before


class Guard:
    """What keeps a writer and a collector from harming each other: the keys that the writer uses. Thread-safe.

    `begin` after the tail of the ref's log was read, and before anything is decided; `note` each key that is counted on or
    written; `settle` before the ref's entry is created.
    """

    def __init__(self, log: GcLog, who: str) -> None:
        self._log, self._who = log, who
        self._at: GcEntry | None = None  # where an open epoch was when this began
        self._condemned: frozenset[str] = frozenset()
        self._noted: set[str] = set()

    @property
    def open(self) -> bool:
        """Whether an epoch was open when this began: then nothing may be counted on that is not noted."""
        return self._at is not None

    def begin(self) -> None:
        """Look what is condemned; wait while a collector deletes. Conflict if that takes too long."""
        self._at, self._condemned, self._noted = None, frozenset(), set()
        until, pause = time.monotonic() + PATIENCE, 0.05
        while True:
            tail = self._log.tail()
            if tail is None or tail.event == "closed":
                return
            if tail.event != "delete":
                epoch = self._log.epoch(tail)
                assert epoch is not None
                try:
                    self._condemned = self._log.keys(epoch.opened)
                except Corrupt:
                    if self._log.tail() == tail:
                        raise
                    continue  # the epoch ended, and the next one took its list away
                self._at = tail
                return
            if time.monotonic() > until:
                raise Conflict(
                    f"gc of {self._log.backend.url} is under way and has not ended: begun by {tail}",
                    "if it is still running, try again later; if it died, 'dpk gc --resume' there ends it",
                )
            time.sleep(pause)
            pause = min(2.0, 2 * pause)

    def note(self, key: str) -> None:
        """A key is counted on, or was written."""
        if key in self._condemned:
            self._noted.add(key)

    def settle(self) -> None:
        """Rescue what was noted. Conflict if it goes already: then all that was decided is to be forgotten."""
        while self._at is not None and self._noted:
            tail = self._log.tail()
            if tail is None:
                raise Corrupt(f"the gc log in {self._log.backend.url} is gone", _DAMAGED)
            later = [*self._log.since(tail, self._at.n + 1)]
            for entry in later:
                if entry.event == "delete" and self._names_noted(entry):
                    raise Conflict(f"gc by {entry} removes what this counted on", "run the same command again")
            if not any(entry.event in ("delete", "closed") for entry in later):
                try:
                    self._log.append("rescue", self._noted, tail, self._who)
                except Conflict:
                    continue
            self._noted = set()  # it stays

    def _names_noted(self, entry: GcEntry) -> bool:
        try:
            return not self._noted.isdisjoint(self._log.keys(entry))
        except Corrupt:  # its list was removed since
            return True


def entry_key(n: int) -> str:
    """The key of entry `n`: the newest sorts first."""
    return f"{PREFIX}{_TOP - n:016x}"


def _number(key: str) -> int | None:
    name = key.removeprefix(PREFIX)
    if len(name) != 16 or not _HEX.issuperset(name):
        return None
    n = _TOP - int(name, 16)
    return n if n <= canonical_json.MAX_INT else None
