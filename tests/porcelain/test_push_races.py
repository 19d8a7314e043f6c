"""push while others push, and pushes that are stopped: no one's work is lost, and nothing is half-published."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from faults import Counter, healthy, stored, tip, watching
from packages import history, numbers

import dpkg
from dpkg.errors import Conflict, NotFound, Storage
from dpkg.names import parse_expr
from dpkg.repository import Repository
from dpkg.store import open_backend

PKG = "acme/x"


# Others push too


@pytest.mark.spec("STO-9")
def test_the_order_of_writes(store: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a commit reaches, in any order, synced before the commit, the ref last (STO-9)."""
    store.commit(PKG, {"t": numbers(), "s": {"b": b"b"}})
    log = Counter()
    with watching(monkeypatch, remote, log):
        dpkg.push(PKG, remote)
    kinds = []
    odb = Repository(remote).odb
    for name, key in log.calls:
        if name in ("sync", "adopt"):
            kind = (
                "sync" if name == "sync" else "rows" if key.startswith("frag") else str(odb.kind(key[8:10] + key[11:]))
            )  # type: ignore[arg-type]
            kinds.append(kind)
        elif name == "create":
            kinds.append("ref" if key.startswith("refs/") else key)
    assert kinds[:3] == ["format", "sync", "ref"]  # the birth of the log
    assert sorted(kinds[3:10]) == ["blob", "node", "node", "node", "rows", "rows", "table"]
    assert kinds[10:] == ["sync", "commit", "sync", "sync", "ref"]


def push_between(monkeypatch: pytest.MonkeyPatch, remote: str, who: Any, times: int = 1, **options: Any) -> Any:
    """Push, while somebody else pushes just before our ref entry is created."""
    done = []

    def hook(name: str, key: str) -> None:
        if name == "create" and "/heads/main/" in key and len(done) < times and not key.endswith("f" * 16):
            done.append(key)
            who.commit(PKG, {"a": b"0", "theirs": str(len(done)).encode()}, f"theirs {len(done)}")
            dpkg.push(PKG, remote, store=who.url)

    with watching(monkeypatch, remote, hook):
        return dpkg.push(PKG, remote, **options)


@pytest.fixture
def shared(store: Any, other: Any, remote: str) -> None:
    store.commit(PKG, {"a": b"0"}, "base")
    dpkg.push(PKG, remote)
    dpkg.install(PKG, remote, store=other.url)
    store.commit(PKG, {"a": b"0", "ours": b"1"}, "ours")


@pytest.mark.usefixtures("shared")
def test_a_race_that_is_lost(store: Any, other: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tip(store.url, PKG)
    with pytest.raises(Conflict, match="has 1 commit of 'acme/x' that you lack") as caught:
        push_between(monkeypatch, remote, other)
    assert "--rebase" in caught.value.hint
    assert history(remote) == ["theirs 1", "base"]
    assert tip(store.url, PKG) == ours
    dpkg.push(PKG, remote, rebase=True)
    assert history(remote) == ["ours", "theirs 1", "base"]
    assert healthy(remote)


@pytest.mark.usefixtures("shared")
def test_a_race_with_rebase_goes_on(store: Any, other: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = push_between(monkeypatch, remote, other, times=2, rebase=True)
    assert history(remote) == history(store.url) == ["ours", "theirs 2", "theirs 1", "base"]
    assert done.rebased
    assert healthy(remote)
    assert healthy(store.url)


@pytest.mark.usefixtures("shared")
def test_a_race_with_force_does_not_drop_what_no_one_saw(
    other: Any, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Conflict, match="was moved by someone else meanwhile"):
        push_between(monkeypatch, remote, other, force=True)
    assert history(remote) == ["theirs 1", "base"]


def test_the_same_commit_from_two_sides(store: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(PKG, {"a": b"0"}, "base")
    dpkg.push(PKG, remote)
    store.commit(PKG, {"a": b"1"}, "one")
    inner = []

    def hook(name: str, key: str) -> None:
        if name == "create" and not inner:
            inner.append(1)
            dpkg.push(PKG, remote)

    with watching(monkeypatch, remote, hook):
        done = dpkg.push(PKG, remote)
    assert tip(remote, PKG) == done.new
    assert history(remote) == ["one", "base"]


def test_what_gc_may_have_taken_is_sent_again(store: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is read before deciding what need not be sent; a barrier after that makes the push look again."""
    store.commit(PKG, {"a": b"0"})
    dpkg.push(PKG, remote)
    store.commit(PKG, {"a": b"0", "t": numbers()})
    before = stored(remote)
    taken = []

    def hook(name: str, key: str) -> None:
        if name == "create" and "/heads/main/" in key and not taken:
            taken.extend(key for key in stored(remote) if key not in before)
            repository = Repository(remote)
            tail = repository.refs.tip(PKG, "heads", "main")
            repository.refs.append(PKG, "heads", "main", "barrier", None, expected=tail, who="gc", why="")
            for lost in taken:
                Path(remote, lost).unlink()

    with watching(monkeypatch, remote, hook):
        done = dpkg.push(PKG, remote)
    assert len(taken) == done.objects // 2 + done.fragments // 2 == 6
    assert healthy(remote)


@pytest.mark.parametrize("count", [4])
def test_real_processes_push_at_once(store: Any, tmp_path: Path, remote: str, count: int) -> None:
    store.commit(PKG, {"base": b"0"}, "base")
    dpkg.push(PKG, remote)
    script = """
import sys, dpkg
from pathlib import Path
me, remote = sys.argv[1:]
dpkg.install("acme/x", remote, store=me)
for i in range(3):
    Path(me + "-src").mkdir(exist_ok=True)
    Path(me + "-src", f"{Path(me).name}-{i}").write_text("x")
    dpkg.build("acme/x", me + "-src", message=f"{Path(me).name} {i}", store=me)
    dpkg.push("acme/x", remote, rebase=True, store=me)
"""
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / f"p{i}"), remote], stderr=subprocess.PIPE)
        for i in range(count)
    ]
    errors = [p.communicate()[1].decode() for p in running]
    assert errors == [""] * count
    assert sorted(history(remote)) == sorted(["base", *(f"p{i} {j}" for i in range(count) for j in range(3))])
    assert healthy(remote)


# Stopped


def package(store: Any) -> None:
    store.commit(PKG, {"t": numbers(200), "s": {"b": b"b", "c": b"c" * 3000}}, "one")
    store.commit(PKG, {"t": numbers(200, 2), "s": {"b": b"b", "c": b"d" * 3000}}, "two")
    dpkg.tag(PKG, "v1", "latest~1", store=store.url)


@pytest.mark.spec("STO-9")
@pytest.mark.parametrize("error", [KeyboardInterrupt, lambda: Storage("no network")], ids=["stopped", "fails"])
def test_stopped_at_every_operation(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    """Wherever a push stops, the remote is whole, its ref is where it was or where it should be, and a second push ends it."""
    package(store)
    place = f"memory://{tmp_path}"
    total = Counter()
    with watching(monkeypatch, place, total):
        dpkg.push(PKG, place)
    assert total.count > 50
    for n in range(1, total.count + 1):
        url = f"{place}/{n}"
        with watching(monkeypatch, url, Counter(n, error)), pytest.raises((KeyboardInterrupt, Storage)):
            dpkg.push(PKG, url)
        if open_backend(url).stat("format"):
            assert tip(url, PKG) in (None, tip(store.url, PKG))
            assert dpkg.verify(store=url).problems == ()
        dpkg.push(PKG, url)
        assert tip(url, PKG) == tip(store.url, PKG)
        assert Repository(url).revision(PKG, "v1")
        assert dpkg.verify(store=url).problems == ()


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment(store: Any, remote: str, seed: int) -> None:
    contents = {f"b{i}": random.Random(i).randbytes(200_000) for i in range(60)}
    store.commit(PKG, {"t": numbers(60_000), **contents})
    command = [sys.executable, "-c", f"import dpkg; dpkg.push({PKG!r}, {remote!r})"]
    process = subprocess.Popen(command)
    limit = time.monotonic() + 10
    wanted = random.Random(seed).randint(0, 60)
    while process.poll() is None and len(stored(remote)) < wanted and time.monotonic() < limit:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if os.path.exists(f"{remote}/format"):
        assert dpkg.verify(store=remote).problems == ()
        assert tip(remote, PKG) in (None, tip(store.url, PKG))
    dpkg.push(PKG, remote)
    assert tip(remote, PKG) == tip(store.url, PKG)
    assert healthy(remote)


def test_a_damaged_local_file_is_not_sent(store: Any, remote: str) -> None:
    store.commit(PKG, {"t": numbers(), "b": b"b" * 3000, "big": random.Random(1).randbytes(5 << 20)})
    for key in stored(store.url):
        path = Path(store.url, key)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
        with pytest.raises(dpkg.DpkgError) as caught:
            dpkg.push(PKG, f"memory://damaged-{key}")
        assert caught.value.exit_code == 6
        assert parse_expr(PKG).package not in dict.fromkeys(Repository(f"memory://damaged-{key}").refs.packages())
        path.unlink()
        with pytest.raises(NotFound):
            dpkg.push(PKG, f"memory://damaged-{key}")
        path.write_bytes(whole)
    dpkg.push(PKG, remote)
