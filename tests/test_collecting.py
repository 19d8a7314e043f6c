"""Collecting while others write, and collectors that die: at each operation on the store."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "porcelain"))
from faults import Counter, stored, watching

import dpkg
from dpkg.errors import Conflict, DpkgError
from dpkg.maintenance.gclog import GcLog
from dpkg.repository import Repository
from dpkg.store import open_backend

PKG, OTHER = "acme/x", "acme/y"
SHARED = {"t": {"id": [1, 2, 3]}, "all": b"all"}


EVERY = pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.long), 4])  # operation, or so many


def healthy(url: str) -> bool:
    """Whether all that refs name is there, and whole."""
    assert dpkg.verify(store=url).problems == ()
    return True


def state(url: str) -> str:
    """The event of the newest entry of the gc log."""
    tail = GcLog(open_backend(url), "0f" * 16).tail()
    return tail.event if tail else ""


@pytest.fixture
def dead(store: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    """Makes a store, in a place of its own, of a package that lives and one that was removed, which shared nothing."""
    monkeypatch.setattr("dpkg.maintenance.gclog.PATIENCE", 0.0)

    def make(n: int) -> str:
        url = f"{store.url}-{n}"
        made = type(store)(url)
        made.commit(PKG, {"mine": b"mine", "u": {"id": [7]}}, "lives")
        made.commit(OTHER, SHARED, "dies")
        dpkg.rm(OTHER, store=url)
        return url

    return make


class Killed(Counter):
    """A process that is killed: from its operation number `at` on, it does nothing any more."""

    def __call__(self, name: str, key: str) -> None:
        if self.count >= self.at - 1:
            self.at = self.count + 1
        super().__call__(name, key)


@pytest.mark.spec("STO-23")
@EVERY
@pytest.mark.parametrize("hook", [Killed, Counter])
def test_a_collector_that_stops_at_any_operation_is_resumed(
    dead: Any, monkeypatch: Any, hook: type[Counter], every: int
) -> None:
    """Killed, or stopped with Ctrl-C, which leaves the log in good order where that can be."""
    seen = set()
    for n in range(1, 500, every):
        url = dead(n)
        counter = hook(n)
        with watching(monkeypatch, url, counter):
            try:
                dpkg.gc(store=url)
                break
            except KeyboardInterrupt:
                seen.add(state(url))
        assert healthy(url)
        is_open = state(url) not in ("", "closed")
        assert (dpkg.gc(resume=True, store=url).resumed is not None) == is_open
        assert healthy(url)
        assert not any(b"all" in open_backend(url).get(key) for key in stored(url))
        assert dpkg.gc(store=url).files == 0
    assert n > 40
    assert seen >= ({"", "condemned", "delete"} if hook is Killed else {"", "closed"})


@pytest.mark.spec("STO-20", "STO-22")
@EVERY
@pytest.mark.parametrize("act", ["build", "push", "tag"])
def test_writers_come_in_at_any_operation_of_a_collector(
    dead: Any, monkeypatch: Any, tmp_path: Path, store: Any, act: str, every: int
) -> None:
    """What they publish is complete, or they say that gc is under way and succeed later; it shares all with what goes."""
    src = tmp_path / "src"
    src.mkdir()
    (src / "all").write_bytes(b"all")
    (src / "t.csv").write_text("id\n1\n2\n3\n")
    store.commit("acme/new", SHARED, "again")
    told = 0

    def write(url: str) -> None:
        if act == "build":
            dpkg.build("acme/new", str(src), store=url)
        elif act == "push":
            dpkg.push("acme/new", url, store=store.url)
        else:
            dpkg.tag(PKG, "v1", store=url)
            dpkg.rm(PKG, store=url)

    for n in range(1, 500, every):
        url = dead(n)
        busy = False

        def hook(name: str, key: str, url: str = url, counter: Counter = Counter()) -> None:  # noqa: B008
            nonlocal busy, told
            if busy:
                return
            counter.count += 1
            if counter.count == n:  # noqa: B023
                busy = True
                try:
                    write(url)
                except Conflict as error:
                    told += "is under way" in error.message
                finally:
                    busy = False

        hook.__defaults__ = (url, counter := Counter())
        with watching(monkeypatch, url, hook):
            dpkg.gc(store=url)
        assert healthy(url)
        if act != "tag":
            write(url)
            assert list(dpkg.load("acme/new/t", store=url)()["id"]) == [1, 2, 3]
        assert healthy(url)
        if counter.count < n:
            break
    assert n > 40
    assert told > 0 or every > 1


@pytest.mark.spec("STO-20", "STO-21")
@EVERY
@pytest.mark.parametrize("act", ["build", "push", "tag", "update-ref"])
def test_a_collection_comes_in_at_any_operation_of_a_writer(
    dead: Any, monkeypatch: Any, tmp_path: Path, store: Any, act: str, every: int
) -> None:
    src = tmp_path / "src"
    src.mkdir()
    (src / "all").write_bytes(b"all")
    (src / "t.csv").write_text("id\n1\n2\n3\n")
    store.commit("acme/new", SHARED, "again")
    collected = 0
    for n in range(1, 500, every):
        url = dead(n)
        commit = Repository(url).tip(PKG)
        busy = False
        counter = Counter()

        def hook(name: str, key: str) -> None:
            nonlocal busy, collected
            if busy:
                return
            counter.count += 1  # noqa: B023
            if counter.count == n:  # noqa: B023
                busy = True
                if act in ("tag", "update-ref"):
                    dpkg.rm(PKG, store=url)  # noqa: B023
                collected += dpkg.gc(store=url).files  # noqa: B023
                busy = False

        with watching(monkeypatch, url, hook):
            try:
                if act == "build":
                    dpkg.build("acme/new", str(src), store=url)
                elif act == "push":
                    dpkg.push("acme/new", url, store=store.url)
                elif act == "tag":
                    dpkg.tag(PKG, "v1", store=url)
                else:
                    dpkg.plumbing.update_ref("acme/moved", str(commit), store=url)
            except DpkgError:  # the commit is gone
                if act in ("build", "push"):
                    raise
        assert healthy(url)
        if counter.count < n:
            break
    assert n > 15
    assert collected > 0


PUSHER = """
import pathlib, sys
import dpkg
source, target = sys.argv[1:]
src, name = pathlib.Path(source + "-src"), f"acme/p{source[-1]}"
src.mkdir()
for i in range(9):
    (src / "t.csv").write_text("id,x\\n" + "".join(f"{k},{k % 7}\\n" for k in range(50)))
    (src / "n").write_text(f"{i % 3}")  # comes back: what was dead is stored again
    dpkg.build(name, str(src), store=source)
    dpkg.push(name, target, force=True, store=source)
    if i % 2:
        dpkg.rm(name, store=target)
"""


@pytest.mark.spec("STO-20", "STO-22")
def test_a_crowd_of_pushes_and_collections(store: Any, tmp_path: Path) -> None:
    """Real processes: four push and remove packages of the same contents, while this one collects."""
    dpkg.init(store.url)
    crowd = [
        subprocess.Popen([sys.executable, "-c", PUSHER, str(tmp_path / f"s{i}"), store.url], stderr=subprocess.PIPE)
        for i in range(4)
    ]
    runs = 0
    while any(process.poll() is None for process in crowd):
        dpkg.gc(store=store.url)
        runs += 1
        time.sleep(0.2)  # who never lets anyone end what they began starves them
    assert [process.communicate()[1].decode() for process in crowd] == [""] * 4
    assert runs > 1
    assert healthy(store.url)
    for i in range(4):
        assert len(dpkg.load(f"acme/p{i}/t", store=store.url)()) == 50
