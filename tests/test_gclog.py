"""The gc log: its entries, who may append what, and what a writer learns from it."""

from __future__ import annotations

from typing import Any

import pytest
from blake3 import blake3

from dpkg.errors import Conflict, Corrupt, DpkgError, Format, Storage
from dpkg.maintenance import gclog
from dpkg.maintenance.gclog import GcEntry, GcLog, Guard, entry_key
from dpkg.objects import canonical_json
from dpkg.store.memory import MemoryBackend

PUSH = "0f" * 16
KEYS = [f"objects/{i:02x}/{i:062x}" for i in range(200)]


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend("gclog")


@pytest.fixture
def log(backend: MemoryBackend) -> GcLog:
    return GcLog(backend, PUSH)


def opened(log: GcLog, keys: list[str]) -> GcEntry:
    return log.append("condemned", keys, log.tail(), "gc")


def guard(backend: MemoryBackend, who: str = "Ada") -> Guard:
    made = Guard(GcLog(backend, "1e" * 16), who)
    made.begin()
    return made


@pytest.mark.spec("STO-19")
def test_spelling_of_an_entry(log: GcLog, backend: MemoryBackend) -> None:
    entry = log.append("condemned", KEYS[1::-1], None, "Ada")
    rest = (
        f'"event":"condemned","keys":["{KEYS[0]}","{KEYS[1]}"],"list":null,"n":0,"prev":null,"push":"{PUSH}",'
        f'"time":{entry.time},"who":"Ada"}}'
    ).encode()
    said = blake3(b"{" + rest, derive_key_context="dpkg v1 2026-11 gc").hexdigest()
    assert backend.get("gc/ffffffffffffffff") == b'{"digest":"%s",' % said.encode() + rest
    assert GcEntry.decode(entry.encode()) == entry == log.tail()
    after = log.append("closed", [], entry, "Bob")
    assert (after.n, after.prev) == (1, said)
    assert [stat.key for stat in backend.list("gc/")] == ["gc/fffffffffffffffe", "gc/ffffffffffffffff"]


@pytest.mark.parametrize(
    "change",
    [
        {"event": "open"},
        {"n": -1},
        {"prev": "0" * 64},
        {"push": "1"},
        {"keys": [1]},
        {"keys": "a"},
        {"list": 1},
        {"x": 1},
    ],
)
def test_entries_of_another_form_are_refused(log: GcLog, change: dict[str, Any]) -> None:
    value = canonical_json.decode(log.append("condemned", KEYS[:1], None, "Ada").encode()) | change
    with pytest.raises((Format, Corrupt)):
        GcEntry.decode(canonical_json.encode(value))


@pytest.mark.spec("STO-19")
def test_long_lists_are_values_of_their_own(log: GcLog, backend: MemoryBackend) -> None:
    entry = opened(log, KEYS)
    assert entry.keys == ()
    data = backend.get(f"gc/lists/{entry.list}")
    assert data.decode().splitlines() == KEYS
    assert blake3(data).hexdigest() == entry.list
    assert log.keys(entry) == frozenset(KEYS)
    backend.put(f"gc/lists/{entry.list}", data[:-1])
    with pytest.raises(Corrupt, match="is damaged"):
        log.keys(entry)
    backend.delete(f"gc/lists/{entry.list}")
    with pytest.raises(Corrupt, match="is missing"):
        log.keys(entry)


def test_a_list_without_an_entry_is_no_entry(log: GcLog, backend: MemoryBackend) -> None:
    backend.put(f"gc/lists/{'0' * 64}", b"")
    backend.put("gc/.DS_Store", b"")
    assert log.tail() is None
    entry = opened(log, [])
    assert log.tail() == entry


@pytest.mark.spec("STO-19")
def test_one_entry_comes_behind_another(log: GcLog, backend: MemoryBackend) -> None:
    first = opened(log, KEYS[:2])
    other = GcLog(backend, "2d" * 16)
    other.append("rescue", KEYS[:1], first, "Bob")
    with pytest.raises(Conflict, match="Bob"):
        log.append("delete", KEYS[:2], first, "gc")
    assert log.append("delete", KEYS[1:2], log.tail(), "gc").n == 2


@pytest.mark.spec("STO-19", "STO-14")
@pytest.mark.parametrize("lost", [Storage("no answer"), None])
def test_a_lost_answer(log: GcLog, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch, lost: Any) -> None:
    """The entry was created, and the caller told that it failed, or that it was there."""
    real = backend.create

    def create(key: str, data: bytes) -> bool:
        real(key, data)
        if lost:
            raise lost
        return False

    monkeypatch.setattr(backend, "create", create)
    assert opened(log, KEYS[:1]) == log.tail()


@pytest.mark.spec("STO-7", "STO-19")
def test_a_damaged_log_is_told(log: GcLog, backend: MemoryBackend) -> None:
    first = opened(log, KEYS[:1])
    log.append("rescue", KEYS[:1], first, "Ada")
    backend.put(entry_key(0), GcEntry(0, "condemned", (), None, None, PUSH, 0, "Eve").encode())
    with pytest.raises(Corrupt, match="is broken before entry 1"):
        log.epoch(log.tail())
    backend.put(entry_key(1), b"{}")
    with pytest.raises(Corrupt, match="is damaged"):
        guard(backend)


# Writers


def test_nothing_is_written_where_there_never_was_a_gc(backend: MemoryBackend) -> None:
    found = guard(backend)
    found.note(KEYS[0])
    found.settle()
    assert not found.open
    assert list(backend.list("")) == []


@pytest.mark.spec("STO-20")
def test_only_what_is_condemned_and_used_is_rescued(log: GcLog, backend: MemoryBackend) -> None:
    opened(log, KEYS[:3])
    found, idle = guard(backend), guard(backend)
    for key in (KEYS[1], KEYS[7]):
        found.note(key)
    idle.note(KEYS[8])
    idle.settle()
    found.settle()
    found.settle()
    tail = log.tail()
    assert tail is not None
    assert (tail.n, tail.event, tail.keys, tail.who) == (1, "rescue", (KEYS[1],), "Ada")


@pytest.mark.spec("STO-20")
def test_a_rescue_that_comes_late(log: GcLog, backend: MemoryBackend) -> None:
    """What is written down to go is counted on by nobody; what is not may be."""
    opened(log, KEYS)
    loser, winner = guard(backend), guard(backend)
    loser.note(KEYS[0])
    winner.note(KEYS[1])
    going = log.append("delete", KEYS[:1] + KEYS[2:], log.tail(), "gc")
    with pytest.raises(Conflict, match="removes what this counted on"):
        loser.settle()
    winner.settle()
    assert log.tail() == going
    log.append("closed", [], going, "gc")
    with pytest.raises(Conflict, match="removes what this counted on"):
        loser.settle()
    backend.delete(f"gc/lists/{going.list}")
    with pytest.raises(Conflict, match="removes what this counted on"):  # it may have been
        loser.settle()


@pytest.mark.spec("STO-20")
def test_two_rescues_at_once(log: GcLog, backend: MemoryBackend) -> None:
    opened(log, KEYS[:2])
    one, two = guard(backend, "Ada"), guard(backend, "Bob")
    one.note(KEYS[0])
    two.note(KEYS[1])
    one.settle()
    two.settle()
    epoch = log.epoch(log.tail())
    assert epoch is not None
    assert [(e.who, e.keys) for e in epoch.entries[1:]] == [("Ada", (KEYS[0],)), ("Bob", (KEYS[1],))]


@pytest.mark.spec("STO-20")
def test_a_writer_waits_for_what_is_deleted(
    log: GcLog, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = log.append("delete", KEYS[:1], opened(log, KEYS[:1]), "Gus")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            log.append("closed", [], going, "Gus")

    monkeypatch.setattr(gclog.time, "sleep", sleep)
    assert not guard(backend).open
    assert len(slept) == 3
    log.append("delete", [], opened(log, []), "Gus")
    monkeypatch.setattr(gclog, "PATIENCE", 0)
    with pytest.raises(DpkgError, match="begun by Gus") as error:
        guard(backend)
    assert "dpk gc --resume" in error.value.hint
