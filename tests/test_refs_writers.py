"""Refs with several writers at once: each change is accepted once, or refused; one chain."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dpkg.errors import Conflict, Denied
from dpkg.oid import Oid
from dpkg.refs import HEADS, TAGS, Refs
from dpkg.store.base import Backend
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend

ROOT = Path(__file__).parents[1]
BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": lambda folder: LocalBackend(str(folder / "store")),
    "memory": lambda folder: MemoryBackend("test"),
}
A, B, C = (Oid(digit * 64) for digit in "abc")
PKG = "acme/sales"
MAIN = (PKG, HEADS, "main")
LOG = "refs/acme/sales/heads/main/"
BY: Any = {"who": "Ada <ada@example.com>", "why": "build"}


@pytest.fixture(params=BACKENDS)
def refs(request: pytest.FixtureRequest, tmp_path: Path) -> Refs:
    return Refs(BACKENDS[request.param](tmp_path))


def events(refs: Refs, *ref: str) -> list[str]:
    return [entry.event for entry in refs.log(*ref)]


def test_a_lost_place_names_who_took_it(refs: Refs) -> None:
    tail = refs.start(*MAIN, who="Ada")
    Refs(refs.backend).update(*MAIN, A, None, who="Bob", why="push")
    with pytest.raises(Conflict, match="branch 'main' of acme/sales was moved to aaaaaaaaaaaa by Bob at 20"):
        refs.append(*MAIN, "commit", B, expected=tail, **BY)
    tail = refs.start(*MAIN, who="Ada")
    refs.append(*MAIN, "barrier", None, expected=tail, who="gc", why="")
    with pytest.raises(Conflict, match="given a barrier by gc"):  # the value is the same, but what is stored may not be
        refs.update(*MAIN, B, A, **BY, tail=tail)
    assert refs.value(*MAIN) == A
    refs.update(*MAIN, B, A, **BY, tail=refs.start(*MAIN, who="Ada"))
    assert refs.value(*MAIN) == B


class Lossy(MemoryBackend):
    """Its answers to `create` are lost: it says False even where it made the value."""

    def create(self, key: str, data: bytes) -> bool:
        super().create(key, data)
        return False


@pytest.mark.spec("STO-6")
def test_a_lost_answer_is_recognised() -> None:
    refs = Refs(Lossy())
    refs.update(*MAIN, A, None, **BY)
    entry = refs.update(*MAIN, B, A, **BY)
    assert refs.tip(*MAIN) == entry
    assert [e.n for e in refs.log(*MAIN)] == [2, 1, 0]
    with pytest.raises(Conflict):  # the same content, but not the same run
        Refs(refs.backend).append(*MAIN, "commit", B, expected=list(refs.log(*MAIN))[1], **BY)


def test_the_update_looks_again_when_the_value_is_the_same() -> None:
    class Busy(MemoryBackend):
        """A barrier comes in before the first two creates."""

        left = 2

        def create(self, key: str, data: bytes) -> bool:
            if self.left and b'"event":"commit"' in data:
                self.left -= 1
                other = Refs(self)
                other.append(*MAIN, "barrier", None, expected=other.tip(*MAIN), who="gc", why="")
            return super().create(key, data)

    refs = Refs(Busy())
    refs.update(*MAIN, A, None, **BY)
    assert events(refs, *MAIN) == ["commit", "barrier", "barrier", "birth"]


@pytest.mark.spec("STO-12")
def test_refs_are_read_only_without_an_atomic_create() -> None:
    backend = MemoryBackend("x")
    Refs(backend).update(*MAIN, A, None, **BY)
    backend.atomic_create = False
    refs = Refs(backend)
    assert refs.value(*MAIN) == A
    for call in (lambda: refs.update(*MAIN, B, A, **BY), lambda: refs.delete(*MAIN, **BY)):
        with pytest.raises(Denied, match="refs in memory://x are read-only"):
            call()


@pytest.mark.spec("STO-9")
def test_what_was_written_is_durable_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(str(tmp_path))
    order: list[str] = []
    sync, create = backend.sync, backend.create
    monkeypatch.setattr(backend, "sync", lambda: order.append("sync") or sync())
    monkeypatch.setattr(backend, "create", lambda *args: order.append("create") or create(*args))
    Refs(backend).update(*MAIN, A, None, **BY)
    assert order == ["sync", "create"] * 2


def test_threads_racing_are_each_accepted_once(refs: Refs) -> None:
    writers, rounds = 6, 12
    done: Counter[Oid] = Counter()
    failed: list[Exception] = []

    def write(me: int) -> None:
        try:
            for turn in range(rounds):
                mine = Oid(f"{me:02x}{turn:02x}" + "0" * 60)
                while True:
                    with suppress(Conflict):
                        refs.update(*MAIN, mine, refs.value(*MAIN), **BY)
                        done[mine] += 1
                        break
        except Exception as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=write, args=(me,)) for me in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    log = list(refs.log(*MAIN))
    assert [e.n for e in log] == list(range(len(log) - 1, -1, -1))
    assert Counter(e.oid for e in log if e.oid) == done
    assert len(done) == writers * rounds


RACER = """
import sys
sys.path.insert(0, sys.argv[1])
from dpkg.errors import Conflict
from dpkg.oid import Oid
from dpkg.refs import Refs
from dpkg.store.local import LocalBackend
refs, me = Refs(LocalBackend(sys.argv[2])), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(12):
    while True:
        try:
            refs.update("acme/sales", "heads", "main", Oid(f"{me:02x}{turn:02x}" + "0" * 60),
                refs.value("acme/sales", "heads", "main"), who=f"writer {me}", why="race")
            break
        except Conflict:
            pass
try:
    refs.create_tag("acme/sales", "v1", Oid(f"{me:064x}"), who=f"writer {me}")
    print("tagged")
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.spec("STO-6")
@pytest.mark.spec("OBJ-5")
def test_processes_racing_are_each_accepted_once(tmp_path: Path) -> None:
    refs = Refs(LocalBackend(str(tmp_path)))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(ROOT), str(tmp_path), str(me)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert sorted(said) == ["AlreadyExists"] * 3 + ["tagged"]
    assert refs.value(PKG, TAGS, "v1") == Oid(f"{said.index('tagged'):064x}")
    log = list(refs.log(*MAIN))
    assert [e.n for e in log] == list(range(len(log) - 1, -1, -1))
    accepted = Counter(e.oid for e in log if e.oid)
    assert accepted == {Oid(f"{me:02x}{turn:02x}" + "0" * 60): 1 for me in range(4) for turn in range(12)}
    for me in range(4):  # each writer's own come in its order
        mine = [e.oid for e in reversed(log) if e.oid and e.who == f"writer {me}"]
        assert mine == sorted(mine)
