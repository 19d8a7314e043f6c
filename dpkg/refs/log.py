"""Refs: branches and tags, each an append-only log in which every entry names the one before (spec/storage.md).

The entry that is created first under a number is the one: that is the compare-and-set. No entry is ever changed or
removed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dpkg.errors import AlreadyExists, Conflict, Corrupt, Denied, Format, NotFound, Storage
from dpkg.names import valid_package
from dpkg.objects import canonical_json
from dpkg.refs.entry import (
    HEADS,
    PARTS,
    PREFIX,
    TAGS,
    WORDS,
    RefEntry,
    entry_key,
    folder_of,
    new_push,
    newest,
    number_of,
    part_name,
    valid_kind,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dpkg.oid import Oid
    from dpkg.refs.entry import Event
    from dpkg.store.base import Backend

_ATTEMPTS = 100


class Refs:
    """The refs in `backend`. `push` names this run of the writer in what it appends."""

    def __init__(self, backend: Backend, push: str | None = None) -> None:
        self.backend = backend
        self.push = push or new_push()
        self.floor: set[Oid] = set()  # of all entries that were read: there histories may end (STO-18)

    # What there is

    def packages(self, *, deleted: bool = False) -> Iterator[str]:
        """Packages that have a branch or tag, in the order of keys; `deleted`: also those that had one."""
        last = ""
        for package, kind, name, n in self._logs(PREFIX):
            if package != last and (deleted or self._value_at(folder_of(package, kind, name), n) is not None):
                yield package
                last = package

    def heads(self, package: str) -> dict[str, RefEntry]:
        """The branches of a package, sorted, each with the newest entry of its log; not the deleted ones."""
        return self._live(package, HEADS)

    def tags(self, package: str) -> dict[str, RefEntry]:
        """The tags of a package, sorted, each with the newest entry of its log; not the deleted ones."""
        return self._live(package, TAGS)

    def logs(self, package: str, kind: str) -> Iterator[str]:
        """The names of all branches or tags that ever were, in the order of keys."""
        prefix = f"{PREFIX}{valid_package(package)}/{valid_kind(kind)}/"
        return (name for _, _, name, _ in self._logs(prefix))

    def all_logs(self) -> Iterator[tuple[str, str, str]]:
        """Every log in the store, also of what was deleted: package, kind, name."""
        return (log[:3] for log in self._logs(PREFIX))

    def standing(self, log: tuple[str, str, str]) -> tuple[RefEntry | None, Oid | None, tuple[Oid, ...]]:
        """Of a log the newest entry, its value, and where the history of that ends."""
        tip = self.tip(*log)
        return (None, None, ()) if tip is None else (tip, self._last(folder_of(*log), tip).oid, tip.floor)

    def tip(self, package: str, kind: str, name: str) -> RefEntry | None:
        """The newest entry of a ref's log, or None. One LIST and one GET."""
        folder = folder_of(package, kind, name)
        first = next(self.backend.list(folder, 1), None)
        if first is None:
            return None
        n = number_of(first.key)
        if n is None:  # something else lies about in the folder
            n = next((n for stat in self.backend.list(folder) if (n := number_of(stat.key)) is not None), None)
        return None if n is None else self._entry(folder, n)

    def look(self, package: str, kind: str, name: str) -> None:
        """What was read of this log before does not count: these are always as they are now (but see RefsSnapshot)."""

    def value(self, package: str, kind: str, name: str) -> Oid | None:
        """The commit that a ref names, or None if there is no such ref, or no longer (STO-8)."""
        tip = self.tip(package, kind, name)
        return None if tip is None else self._last(folder_of(package, kind, name), tip).oid

    def parts(self, package: str) -> dict[str, RefEntry]:
        """The parts of a package that are here alone, sorted by names, each with the entry that says what it is."""
        folders = {name: folder_of(package, PARTS, name) for name in self.logs(package, PARTS)}
        found = {name: self._last(f, tip) for name, f in folders.items() if (tip := self.tip(package, PARTS, name))}
        return {name: entry for name, entry in sorted(found.items()) if entry.oid is not None}

    def log(self, package: str, kind: str, name: str) -> Iterator[RefEntry]:
        """All entries of a ref's log, newest first. Raises Corrupt where one is not what the next one names (STO-7)."""
        tip = self.tip(package, kind, name)
        if tip is not None:
            yield from self._back(folder_of(package, kind, name), tip)

    def cut(self, package: str, commit: Oid) -> RefEntry | None:
        """The entry that made a commit the end of a history in this package."""
        for kind in (HEADS, TAGS):
            for name in self.logs(package, kind):
                found = None
                for entry in self.log(package, kind, name):
                    if commit not in entry.floor:
                        break
                    found = entry
                if found:
                    return found
        return None

    # Changing it

    def start(self, package: str, kind: str, name: str, *, who: str) -> RefEntry:
        """The newest entry of a ref's log, which gets its birth if there is none.

        A writer calls this before it decides what it need not store, and appends after exactly this entry: had anyone
        cleaned up in between, the append would fail.
        """
        for _ in range(_ATTEMPTS):
            tip = self.tip(package, kind, name)
            if tip is not None:
                return tip
            try:
                return self.append(package, kind, name, "birth", None, expected=None, who=who, why="")
            except Conflict:
                continue  # someone else gave birth to it
        raise Conflict(f"the log of {_title(package, kind, name)} cannot be begun", "try again")

    def append(
        self,
        package: str,
        kind: str,
        name: str,
        event: Event,
        oid: Oid | None,
        *,
        expected: RefEntry | None,
        who: str,
        why: str,
        push: str | None = None,
        floor: Iterable[Oid] | None = None,
        part: str | None = None,
    ) -> RefEntry:
        """Create the entry after `expected` (None: the birth); Conflict if another has that place. A tag has one value.

        What the backend has not made durable yet is made so first: an entry never names what a power cut takes away.
        The floor is that of the entry before, if none is given.
        """
        folder = folder_of(package, kind, name)
        if not self.backend.atomic_create:
            raise Denied(
                f"refs in {self.backend.url} are read-only: it is not known to create atomically",
                "use a folder, or a bucket that honours If-None-Match",
            )
        if kind == TAGS and event == "commit" and expected is not None:
            self._refuse_second_value(package, name, self._last(folder, expected))
        n, prev = (0, None) if expected is None else (expected.n + 1, expected.digest)
        below = tuple(sorted(set(floor))) if floor is not None else expected.floor if expected else ()
        entry = RefEntry(n, event, oid, prev, push or self.push, int(time.time()), who, why, below, part)
        data, key = entry.encode(), entry_key(folder, n)
        self.backend.sync()
        try:
            made = self.backend.create(key, data)
        except Storage:
            if not self._is(key, data):
                raise
            return entry
        if made or self._is(key, data):
            return entry
        raise _moved(package, kind, name, self._entry(folder, n))

    def _is(self, key: str, data: bytes) -> bool:
        """Whether an entry is ours, and only the answer to its creation was lost: its push id is no one else's."""
        with suppress(NotFound, Storage):
            return self.backend.get(key) == data
        return False

    def update(
        self,
        package: str,
        kind: str,
        name: str,
        new: Oid,
        old: Oid | None,
        *,
        who: str,
        why: str,
        tail: RefEntry | None = None,
        floor: Iterable[Oid] = (),
        part: str | None = None,
    ) -> RefEntry:
        """Move a ref from `old` (None: it has no value) to `new`. Conflict if it has another value than `old`.

        With `tail`, what `start` returned: Conflict also if anything was appended to the log since. `floor` is added to the log's.
        """
        return self._change(
            package, kind, name, "commit", new, old, who=who, why=why, tail=tail, floor=floor, part=part
        )

    def create_tag(
        self,
        package: str,
        name: str,
        oid: Oid,
        *,
        who: str,
        why: str = "",
        tail: RefEntry | None = None,
        floor: Iterable[Oid] = (),
    ) -> RefEntry:
        """Give a tag its value. AlreadyExists if it has or had one: that never changes (OBJ-5). `tail`, `floor` as for `update`."""
        return self._change(package, TAGS, name, "commit", oid, None, who=who, why=why, tail=tail, floor=floor)

    def delete(self, package: str, kind: str, name: str, *, who: str, why: str, old: Oid | None = None) -> RefEntry:
        """Delete a ref; its log stays. NotFound if it has no value, Conflict if that is not `old` (None: any)."""
        value = self.value(package, kind, name)
        if value is None:
            raise NotFound(f"there is no {_title(package, kind, name)}", "check the name")
        return self._change(package, kind, name, "deleted", None, old or value, who=who, why=why)

    def _change(
        self,
        package: str,
        kind: str,
        name: str,
        event: Event,
        oid: Oid | None,
        old: Oid | None,
        *,
        who: str,
        why: str,
        tail: RefEntry | None = None,
        floor: Iterable[Oid] = (),
        part: str | None = None,
    ) -> RefEntry:
        """Append `event` to a log in which the value is `old`."""
        folder = folder_of(package, kind, name)
        for _ in range(_ATTEMPTS):
            tip = tail or self.start(package, kind, name, who=who)
            last = self._last(folder, tip)
            if kind == TAGS and event == "commit":
                self._refuse_second_value(package, name, last)
            if last.oid != old:
                raise _moved(package, kind, name, last)
            try:
                below = {*tip.floor, *floor}
                return self.append(
                    package, kind, name, event, oid, expected=tip, who=who, why=why, floor=below, part=part
                )
            except Conflict:
                if tail is not None:
                    raise
                # else look again: what came in between may have left the value as it was
        raise Conflict(f"{_title(package, kind, name)} does not stop moving", "try again later")

    # Helpers

    def _live(self, package: str, kind: str) -> dict[str, RefEntry]:
        found = {}
        for _, _, name, n in self._logs(f"{PREFIX}{valid_package(package)}/{kind}/"):
            folder = folder_of(package, kind, name)
            tip = self._entry(folder, n)
            if self._last(folder, tip).oid is not None:
                found[name] = tip
        return dict(sorted(found.items()))  # keys sort `a-b/` before `a/`

    def _logs(self, prefix: str) -> Iterator[tuple[str, str, str, int]]:
        """Package, kind, name and newest number of each log under `prefix`."""
        return (log for log, _ in newest(self.backend, prefix))

    def _entry(self, folder: str, n: int) -> RefEntry:
        """Entry `n` of a log that has it. Raises Corrupt."""
        key = entry_key(folder, n)
        where = f"the ref entry '{key}' in {self.backend.url}"
        hint = "the ref's log is damaged; restore it from a copy of the store"
        try:
            entry = RefEntry.decode(self.backend.get_range(key, 0, canonical_json.MAX_BYTES + 1))
        except NotFound:
            raise Corrupt(f"{where} is missing", hint) from None
        except (Format, Corrupt) as error:
            raise Corrupt(f"{where} is damaged: {error.message}", hint) from None
        if entry.n != n:
            raise Corrupt(f"{where} is damaged: it is entry {entry.n}", hint)
        kind, name = folder.split("/")[3:5]
        expected = part_name(entry.part) if entry.part is not None else None
        if entry.event == "commit" and expected != (name if kind == PARTS else None):
            raise Corrupt(f"{where} is damaged: it is not the entry of a {WORDS[kind]} of this name", hint)
        self.floor.update(entry.floor)
        return entry

    def _back(self, folder: str, entry: RefEntry) -> Iterator[RefEntry]:
        """`entry` and all before it."""
        yield entry
        while entry.n > 0:
            before = self._entry(folder, entry.n - 1)
            if before.digest != entry.prev:
                raise Corrupt(
                    f"the ref log '{folder}' in {self.backend.url} is broken: entry {before.n} is not the one that"
                    f" entry {entry.n} names",
                    "the ref's log is damaged; restore it from a copy of the store",
                )
            entry = before
            yield entry

    def _last(self, folder: str, tip: RefEntry) -> RefEntry:
        """The newest entry, from `tip` back, that says what the value is: a commit, or none after deletion or birth."""
        return next(e for e in self._back(folder, tip) if e.event in ("commit", "deleted", "birth"))

    def _value_at(self, folder: str, n: int) -> Oid | None:
        return self._last(folder, self._entry(folder, n)).oid

    def _refuse_second_value(self, package: str, name: str, last: RefEntry) -> None:
        if last.event == "deleted":
            message = f"tag '{name}' of {package} was {last}, and the name of a tag is not used again"
            raise AlreadyExists(message, "choose another name")
        if last.oid is not None:
            message = f"tag '{name}' of {package} is at {last.oid.short} already (by {last.who} at {when(last.time)})"
            raise AlreadyExists(message, "a tag never moves: choose another name")


def _moved(package: str, kind: str, name: str, entry: RefEntry) -> Conflict:
    title = _title(package, kind, name)
    if entry.event == "birth":
        return Conflict(f"{title} does not exist (its log was {entry})", "look at what there is, then try again")
    return Conflict(f"{title} was {entry}", "get the new state, then try again")


def _title(package: str, kind: str, name: str) -> str:
    return f"{WORDS[kind]} '{name}' of {package}"
