"""Networks that fail now and then: what can be asked again is, and nothing is lost, doubled or mixed up."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import faultproxy
import pytest
from faultproxy import FaultProxy

from dpkg.errors import DpkgError, Storage
from dpkg.refs import HEADS, Refs
from dpkg.store import open_backend, s3, web
from dpkg.store.base import Backend

FAULTS: dict[str, faultproxy.Fault] = {
    "reset": faultproxy.reset,
    "lost": faultproxy.lost_answer,
    "500": faultproxy.internal_error,
    "502": faultproxy.bad_gateway,
    "503": faultproxy.slow_down,
    "429": faultproxy.too_many,
}
BY: Any = {"who": "Ada", "why": "test"}
MAIN = ("acme/x", HEADS, "main")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_FIRST_WAIT", 0.01)


@pytest.fixture
def backend(through: str) -> Backend:
    return open_backend(through)


@pytest.mark.parametrize("name", FAULTS)
def test_one_failure_is_not_noticed(name: str, backend: Backend, proxy: FaultProxy) -> None:
    """Whatever is asked, whatever fails once; then twice in a row."""
    value = os.urandom(100_000)
    calls: list[Callable[[], object]] = [
        lambda: backend.put("a/x", value),
        lambda: backend.get("a/x") == value,
        lambda: backend.get_range("a/x", 1000, 10) == value[1000:1010],
        lambda: backend.get_tail("a/x", 10).data == value[-10:],
        lambda: backend.stat("a/x") is not None,
        lambda: [stat.key for stat in backend.list("a/")] == ["a/x"],
        lambda: backend.delete("a/x"),
        lambda: backend.stat("a/x") is None,
    ]
    for times in (1, 2):
        for call in calls:
            proxy.clear()
            rule = proxy.on(FAULTS[name], times=times)
            assert call() in (None, True)
            assert rule.hits == times


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_body_that_is_cut_off(share: float, backend: Backend, proxy: FaultProxy) -> None:
    value = os.urandom(300_000)
    backend.put("x", value)
    for read in (
        lambda: backend.get("x"),
        lambda: backend.get_range("x", 0, 300_000),
        lambda: backend.get_tail("x", 300_000).data,
    ):
        proxy.clear()
        rule = proxy.on(faultproxy.cut(share), method="GET")
        assert read() == value
        assert rule.hits == 1


def test_a_slow_body_is_waited_for(backend: Backend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is for silence, not for the whole of a value."""
    monkeypatch.setenv("DPK_TIMEOUT", "0.5")
    patient = open_backend(backend.url)
    patient.put("x", b"x" * 10_000)
    proxy.on(faultproxy.trickle(1000, 0.12), method="GET")
    assert patient.get("x") == b"x" * 10_000
    assert proxy.count("GET") == 1


def test_a_late_answer_is_asked_for_again(backend: Backend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_TIMEOUT", "0.5")
    hasty = open_backend(backend.url)
    hasty.put("x", b"1")
    proxy.on(faultproxy.stall(30), method="GET")
    assert hasty.get("x") == b"1"
    assert proxy.count("GET") == 2


def test_failures_that_last_end_in_an_error(backend: Backend, proxy: FaultProxy) -> None:
    proxy.on(faultproxy.reset, times=None)
    for call in (lambda: backend.get("x"), lambda: backend.put("x", b"1"), lambda: list(backend.list(""))):
        with pytest.raises(Storage):
            call()


# Create


@pytest.mark.parametrize("name", [*FAULTS, "409"])
def test_create_when_the_first_answer_fails(name: str, backend: Backend, proxy: FaultProxy) -> None:
    """The value is there once. Who lost the answer may be told that it was there already; `Refs` knows its own."""
    rule = proxy.on({**FAULTS, "409": faultproxy.conflicting}[name], method="PUT")
    assert backend.create("refs/x", b"mine") is (name != "lost")
    assert rule.hits == 1
    assert backend.get("refs/x") == b"mine"
    assert not backend.create("refs/x", b"other")


@pytest.mark.spec("STO-14")
def test_a_ref_whose_answer_was_lost_is_its_own(backend: Backend, proxy: FaultProxy) -> None:
    refs = Refs(backend)
    for n in range(2):
        proxy.on(faultproxy.lost_answer, method="PUT", key=f"refs/.*{2**64 - 1 - n:x}$")
    birth = refs.start(*MAIN, who="Ada")
    entry = refs.append(*MAIN, "commit", "a" * 64, expected=birth, **BY)
    assert [e.push for e in refs.log(*MAIN)] == [refs.push] * 2
    assert refs.tip(*MAIN) == entry


@pytest.mark.spec("STO-14")
def test_a_ref_that_another_made_is_not_its_own(backend: Backend, proxy: FaultProxy) -> None:
    """The request was lost, not the answer; when it is sent again another has been there."""
    ours, theirs = Refs(backend), Refs(backend)
    birth = ours.start(*MAIN, who="Ada")

    def late(request: Any, forward: Any, exchange: Any) -> Any:
        theirs.append(*MAIN, "commit", "b" * 64, expected=birth, **BY)
        raise faultproxy.Break

    proxy.on(late, method="PUT", key="refs/")
    with pytest.raises(DpkgError, match="was"):
        ours.append(*MAIN, "commit", "a" * 64, expected=birth, **BY)
    assert [e.push for e in ours.log(*MAIN)] == [theirs.push, ours.push]


# Large values


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Values go in parts from 5 MiB, the least that AWS takes as a part."""
    monkeypatch.setattr(s3, "PART", 5 << 20)
    return 5 << 20


@pytest.mark.parametrize("name", ["reset", "lost", "503"])
def test_a_large_value_in_parts(name: str, parts: int, backend: Backend, proxy: FaultProxy) -> None:
    value = os.urandom(2 * parts + 1000)
    for nth in range(1, 5):  # of start, three parts; the end is in the next test
        proxy.clear()
        proxy.on(FAULTS[name], method="PUT|POST", key="big", nth=nth)
        file = io.BytesIO(b"head" + value)
        file.seek(4)
        backend.put("big", file)
        stat = backend.stat("big")
        assert stat is not None
        assert stat.size == len(value)
    assert backend.get("big") == value


over = faultproxy.status(404, "NoSuchUpload", "The specified upload does not exist.")


@pytest.mark.parametrize("again", [None, over], ids=["ended-twice", "over"])
def test_the_end_of_a_large_value(
    again: faultproxy.Fault | None, parts: int, backend: Backend, proxy: FaultProxy
) -> None:
    """Its answer is lost. To end an upload again may be allowed, or refused as it is over: the value is there."""
    value = os.urandom(parts + 10)
    proxy.on(faultproxy.lost_answer, method="POST", key="big", nth=2)
    if again:
        proxy.on(again, method="POST", key="big", nth=2)
    backend.put("big", io.BytesIO(value))
    assert proxy.count("POST", "big") == 3
    assert backend.get("big") == value


def test_an_upload_that_somebody_gave_up(parts: int, backend: Backend, proxy: FaultProxy) -> None:
    proxy.on(over, method="POST", key="big", nth=2)
    with pytest.raises(Storage, match="was given up"):
        backend.put("big", io.BytesIO(os.urandom(parts + 10)))
    assert backend.stat("big") is None


def test_a_large_value_that_cannot_be_sent(parts: int, backend: Backend, proxy: FaultProxy) -> None:
    """Nothing of it is seen, and its parts are given up."""
    backend.put("big", b"old")
    proxy.clear()
    proxy.on(faultproxy.slow_down, method="PUT", nth=2, times=None)
    with pytest.raises(Storage, match="overloaded"):
        backend.put("big", io.BytesIO(os.urandom(parts + 10)))
    assert proxy.count("DELETE", "big") == 1
    assert backend.get("big") == b"old"


# Threads and processes


def test_many_threads(backend: Backend, proxy: FaultProxy) -> None:
    """One request of seven fails."""
    seen = iter(range(1_000_000))

    def sometimes(request: Any, forward: Any, exchange: Any) -> Any:
        return faultproxy.slow_down(request, forward, exchange) if next(seen) % 7 == 0 else forward(request)

    proxy.on(sometimes, times=None)
    failed: list[str] = []

    def work(me: int) -> None:
        for i in range(10):
            value = f"{me}-{i}".encode() * 100
            try:
                backend.put(f"t/{me}/{i}", value)
                if backend.get(f"t/{me}/{i}") != value:
                    failed.append(f"{me}-{i}")
            except DpkgError as error:
                failed.append(error.message)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert len(list(backend.list("t/"))) == 80


def _child(url: str, backend: Backend, queue: Any) -> None:
    queue.put((backend.get("x"), open_backend(url).get("x")))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point
def test_after_a_fork(backend: Backend) -> None:
    """A process that was forked from one with open connections has its own."""
    backend.put("x", b"1")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(backend.url, backend, queue))
    child.start()
    assert queue.get(timeout=30) == (b"1", b"1")
    child.join(30)
    assert child.exitcode == 0
    began = time.monotonic()
    assert backend.get("x") == b"1"
    assert time.monotonic() - began < 20  # the child's end does not cut the parent's connections
