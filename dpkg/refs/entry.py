"""Entries of ref logs: what they say, and the keys that they are under (spec/storage.md)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg.errors import Corrupt, DpkgError, Format, Usage
from dpkg.names import valid_package, valid_ref
from dpkg.objects import canonical_json
from dpkg.oid import Oid, digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal

    from dpkg.store.base import Backend, Stat

    Event = Literal["birth", "commit", "barrier", "floor", "deleted"]

HEADS, TAGS, PARTS = "heads", "tags", "parts"
WORDS = {HEADS: "branch", TAGS: "tag", PARTS: "part"}
EVENTS = frozenset(("birth", "commit", "barrier", "floor", "deleted"))

PREFIX = "refs/"
_TOP = 2**64 - 1
_HEX = frozenset("0123456789abcdef")
_PASSED = 500  # keys of one log that are listed before the rest is jumped over
_NULL = type(None)
_PART = {"part": str}  # a member of commits of parts only
_TYPES: dict[str, type | tuple[type, ...]] = {
    "event": str,
    "floor": list,
    "n": int,
    "oid": (str, _NULL),
    "prev": (str, _NULL),
    "push": str,
    "time": int,
    "who": str,
    "why": str,
}


def new_push() -> str:
    """A name for one run of a writer: 32 random hexadecimal digits."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class RefEntry:
    """One entry of a ref's log. Only a `commit` has an oid; only the birth, n = 0, has no entry before it."""

    n: int
    event: Event
    oid: Oid | None
    prev: Oid | None  # the digest of entry n - 1
    push: str
    time: int  # seconds since 1970-01-01 UTC
    who: str
    why: str
    floor: tuple[Oid, ...] = ()  # the oldest commits that are kept, in order: what their parents were is gone
    part: str | None = None  # `revision/path`, of which alone is here (dpkg/parts.py)
    digest: Oid = field(init=False)

    def __post_init__(self) -> None:
        value = canonical_json.members(self._members(), "ref entry", _TYPES | (_PART if self.part is not None else {}))
        if self.event not in EVENTS:
            raise Format(f"a ref entry has the unknown event '{self.event[:80]}'")
        if self.n < 0 or (self.n == 0) != (self.event == "birth") or (self.n == 0) != (self.prev is None):
            raise Format("a ref's log does not begin with its birth")
        if list(self.floor) != sorted({Oid(oid) for oid in self.floor}):
            raise Format("the floor of a ref entry is not sorted")
        if (self.oid is not None) != (self.event == "commit"):
            raise Format(f"a ref entry of the event '{self.event}' has {'an' if self.oid else 'no'} oid")
        if self.part is not None and (self.event != "commit" or not all(self.part.partition("/"))):
            raise Format("a ref entry of a part is no commit, or lacks a revision or path")
        if len(self.push) != 32 or not _HEX.issuperset(self.push):
            raise Format("the push id of a ref entry is not 32 hexadecimal digits")
        object.__setattr__(self, "digest", digest("ref", canonical_json.encode(value)))

    def _members(self) -> dict[str, Any]:
        part = {} if self.part is None else {"part": _plain(self.part)}
        return {name: _plain(getattr(self, name)) for name in _TYPES} | part

    def encode(self) -> bytes:
        """Canonical JSON, with the entry's digest."""
        return canonical_json.encode(self._members() | {"digest": self.digest})

    @classmethod
    def decode(cls, data: bytes) -> RefEntry:
        """The entry that `data` spells. Whatever the bytes: Format if it is none, Corrupt if its digest is wrong."""
        found, types = canonical_json.decode(data), _TYPES | {"digest": str}
        if isinstance(found, dict) and "part" in found:
            types |= _PART
        value = canonical_json.members(found, "ref entry", types)
        claimed = value.pop("digest")
        value["floor"] = tuple(Oid(oid) if isinstance(oid, str) else _no_oid() for oid in value["floor"])
        for name in ("oid", "prev"):
            value[name] = None if value[name] is None else Oid(value[name])
        entry = cls(**value)
        if entry.digest != claimed:
            raise Corrupt("its digest is not that of its bytes")
        return entry

    def __str__(self) -> str:
        """For people: what was done, by whom, when."""
        done = {"commit": f"moved to {(self.oid or '')[:12]}", "birth": "created", "deleted": "deleted"}
        return f"{done.get(self.event, f'given a {self.event}')} by {self.who} at {when(self.time)}"


def when(seconds: int) -> str:
    """A time of an entry for people."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [str(oid) for oid in value]
    return str(value) if isinstance(value, str) else value  # an Oid is a str of its own type


def _no_oid() -> Oid:
    raise Format("the floor of a ref entry holds what is no object id")


def valid_kind(kind: str) -> str:
    """`kind`, if it is one. Raises Usage."""
    if kind not in WORDS:
        raise Usage(f"'{kind}' is no kind of ref", "heads, tags or parts")
    return kind


def folder_of(package: str, kind: str, name: str) -> str:
    """What the keys of a ref's log begin with. Raises Usage."""
    return f"{PREFIX}{valid_package(package)}/{valid_kind(kind)}/{valid_ref(name)}/"


def entry_key(folder: str, n: int) -> str:
    """The key of entry `n` of a log: the newest sorts first."""
    return f"{folder}{_TOP - n:016x}"


def part_name(part: str) -> str:
    """The name of the ref of a part, which is given as `revision/path`."""
    return blake3(part.encode(errors="surrogatepass")).hexdigest()[:32]


def number_of(key: str) -> int | None:
    """The number of the entry under `key`, or None if it is none."""
    name = key.rpartition("/")[2]
    if len(name) != 16 or not _HEX.issuperset(name):
        return None
    n = _TOP - int(name, 16)
    return n if n <= canonical_json.MAX_INT else None


def newest(backend: Backend, prefix: str) -> Iterator[tuple[tuple[str, str, str, int], Stat]]:
    """Package, kind, name and newest number of each log under `prefix`, with that entry's place.

    Of a long log only the first keys are listed: a service lists a thousand at once, and the rest is jumped over.
    """
    after = ""
    while True:
        folder, passed = "", 0
        for stat in backend.list(prefix, after=after):
            if folder and stat.key.startswith(folder):
                passed += 1
                if passed < _PASSED:
                    continue
                after = folder + "~"  # behind all keys of the folder
                break
            parsed = _parse(stat)
            if parsed is not None:
                folder, passed = folder_of(*parsed[:3]), 0
                yield parsed, stat
        else:
            return


def _parse(stat: Stat) -> tuple[str, str, str, int] | None:
    """What the key of an entry says, or None if it is not one."""
    parts = stat.key.split("/")
    n = number_of(stat.key)
    if len(parts) != 6 or n is None:
        return None
    package, kind, name = f"{parts[1]}/{parts[2]}", parts[3], parts[4]
    try:
        folder_of(package, kind, name)
    except DpkgError:
        return None
    return package, kind, name, n
