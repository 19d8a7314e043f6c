"""One suite for every backend that writes: what dpkg.store.base promises. Reading is in test_reading.py."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import places
import pytest

from dpkg.errors import NotFound, Storage, Usage
from dpkg.store import open_backend
from dpkg.store.base import Backend
from dpkg.store.local import LocalBackend
from dpkg.store.s3 import S3Backend

ROOT = Path(__file__).parents[2]
Place = Callable[[str], Backend]


@pytest.fixture(params=places.WRITING)
def backend(request: pytest.FixtureRequest, place: Place) -> Backend:
    return place(request.param)


@pytest.fixture(params=places.CREATING)
def creating(request: pytest.FixtureRequest, place: Place) -> Backend:
    return place(request.param)


# Values


def test_empty(backend: Backend) -> None:
    assert backend.stat("a/b") is None
    assert keys(backend) == []
    backend.delete("a/b")
    backend.sync()
    with pytest.raises(NotFound):
        backend.get("a/b")
    with pytest.raises(NotFound):
        backend.get_range("a/b", 0, 1)


def test_put_get_stat_delete(backend: Backend) -> None:
    backend.put("a/b/c", b"one")
    backend.put("a/d", b"")
    assert backend.get("a/b/c") == b"one"
    assert backend.get("a/d") == b""
    assert size(backend, "a/b/c") == 3
    backend.put("a/b/c", b"another")
    backend.sync()
    assert backend.get("a/b/c") == b"another"
    backend.delete("a/b/c")
    assert backend.stat("a/b/c") is None
    assert keys(backend) == ["a/d"]
    backend.sync()


def test_a_folder_of_keys_is_no_key(backend: Backend) -> None:
    backend.put("a/b/c", b"one")
    assert backend.stat("a/b") is None
    backend.delete("a/b")
    for key in ("a/b", "a/b/c/d"):
        with pytest.raises(NotFound):
            backend.get(key)
        with pytest.raises(NotFound):
            backend.get_range(key, 0, 1)
        assert backend.stat(key) is None
        backend.delete(key)
    assert backend.get("a/b/c") == b"one"


def test_put_of_a_file_starts_at_its_position(backend: Backend, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    file = io.BytesIO(b"skipped" + data)
    file.seek(7)
    backend.put("big", file)
    assert backend.get("big") == data
    (tmp_path / "input").write_bytes(data)
    with open(tmp_path / "input", "rb") as real:
        backend.put("big2", real)
    assert backend.get("big2") == data


def test_keys_are_checked(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    bad = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../outside",
        "a/../b",
        "a/./b",
        "a b",
        "a\0",
        "ä",
        "a\\b",
        "tmp/x",
        "tmp",
    ]
    calls: list[Callable[[str], object]] = [
        backend.get,
        backend.stat,
        backend.delete,
        backend.local_path,
        lambda key: backend.put(key, b""),
        lambda key: backend.get_tail(key, 1),
        lambda key: backend.create(key, b""),
        lambda key: backend.get_range(key, 0, 1),
    ]
    for call in calls:
        for key in bad:
            with pytest.raises(Usage):
                call(key)
    for prefix in ("../", "a//", "./", "/", "a b"):
        with pytest.raises(Usage):
            backend.list(prefix)
    assert (tmp_path / "outside").read_bytes() == b"secret"
    backend.put("tmp2/x", b"")
    backend.put("a/tmp/x", b"")


# Create


def test_create(creating: Backend) -> None:
    assert creating.atomic_create
    assert creating.create("a/b", b"one")
    assert not creating.create("a/b", b"two")
    assert creating.get("a/b") == b"one"
    creating.put("a/c", b"")
    assert not creating.create("a/c", b"two")
    creating.delete("a/b")
    assert creating.create("a/b", b"three")
    assert creating.get("a/b") == b"three"


@pytest.mark.spec("STO-12")
@pytest.mark.parametrize("kind", sorted(set(places.WRITING) - set(places.CREATING)))
def test_what_is_not_proven_does_not_create(kind: str, place: Place) -> None:
    backend = place(kind)
    assert not backend.atomic_create
    with pytest.raises(Storage, match="not known to create atomically") as caught:
        backend.create("a", b"1")
    assert "s3://" in caught.value.hint
    assert backend.stat("a") is None


@pytest.mark.spec("STO-12")
@pytest.mark.parametrize(("kind", "rounds", "racers"), [("local", 40, 8), ("memory", 40, 8), ("s3", 4, 4)])
def test_threads_racing_to_create_have_one_winner(kind: str, rounds: int, racers: int, place: Place) -> None:
    backend = place(kind)
    barrier = threading.Barrier(racers)
    won: list[list[int]] = [[] for _ in range(rounds)]

    def race(me: int) -> None:
        for turn in range(rounds):
            barrier.wait()
            if backend.create(f"new/{turn}/key", b"%d" % me * 100):
                won[turn].append(me)

    _run_threads([partial(race, me) for me in range(racers)])
    for turn in range(rounds):
        assert len(won[turn]) == 1
        assert backend.get(f"new/{turn}/key") == b"%d" % won[turn][0] * 100


RACER = """
import sys
sys.path.insert(0, sys.argv[1])
from dpkg.store import open_backend
backend = open_backend(sys.argv[2])
backend.stat("ready")
print("ready", flush=True)
sys.stdin.readline()
print([i for i in range(int(sys.argv[4])) if backend.create(f"race/{i}/x", sys.argv[3].encode() * 1000)])
"""


@pytest.mark.parametrize(("kind", "rounds"), [("local", 60), ("s3", 2)])
def test_processes_racing_to_create_have_one_winner(kind: str, rounds: int, place: Place) -> None:
    backend = place(kind)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(ROOT), backend.url, str(me), str(rounds)],
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
    won = [eval(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sorted(i for turns in won for i in turns) == list(range(rounds))
    for me, turns in enumerate(won):
        assert all(backend.get(f"race/{i}/x") == b"%d" % me * 1000 for i in turns)
    if isinstance(backend, LocalBackend):
        assert os.listdir(f"{backend.url}/tmp") == []


def test_a_reader_sees_a_whole_value(backend: Backend) -> None:
    values = [bytes([65 + i]) * (200_000 + i) for i in range(4)]
    backend.put("x", values[0])
    stop = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not stop.is_set():
            value = backend.get("x")
            if value not in values:
                seen.append(value[:10])

    def write() -> None:
        for _ in range(5 if isinstance(backend, S3Backend) else 40):
            for value in values:
                backend.put("x", value)
        stop.set()

    _run_threads([read, read, write])
    assert seen == []


# Addresses


def test_open_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for url in (str(folder), "a b", "./a b", "~/a b", f"file://{tmp_path}/a%20b", f"file://localhost{tmp_path}/a b"):
        assert open_backend(url).url == str(folder)
    assert not folder.exists()
    assert open_backend("memory://x") is open_backend("memory://x")
    assert open_backend("memory://x") is not open_backend("memory://y")
    assert open_backend("memory://x").local_path("a") is None
    for url in ("", "file://host/x", "file://x", "a\0b", "s3://", "s3:///x", "http://", "nonsense://x"):
        with pytest.raises(Usage):
            open_backend(url)


def size(backend: Backend, key: str) -> int | None:
    found = backend.stat(key)
    return None if found is None else found.size


def keys(backend: Backend) -> list[str]:
    return [stat.key for stat in backend.list("") if not stat.key.startswith("derived/")]


def _run_threads(jobs: list[Callable[[], None]]) -> None:
    failed: list[Exception] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
