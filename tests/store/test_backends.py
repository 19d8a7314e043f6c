"""One suite for every backend: what dpkg.store.base promises."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg.errors import NotFound, Usage
from dpkg.store import open_backend
from dpkg.store.base import Backend, Stat
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend

ROOT = Path(__file__).parents[2]
BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": lambda folder: LocalBackend(str(folder / "store")),
    "memory": lambda folder: MemoryBackend("test"),
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    return LocalBackend(str(tmp_path / "store"))


# Values


def test_empty(backend: Backend) -> None:
    assert backend.stat("a/b") is None
    assert list(backend.list("")) == []
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
    assert backend.stat("a/b/c") == Stat("a/b/c", 3)
    backend.put("a/b/c", b"another")
    backend.sync()
    assert backend.get("a/b/c") == b"another"
    backend.delete("a/b/c")
    assert backend.stat("a/b/c") is None
    assert [stat.key for stat in backend.list("")] == ["a/d"]
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


@pytest.mark.parametrize(
    ("start", "length", "want"),
    [(0, 3, b"012"), (8, 9, b"89"), (10, 5, b""), (99, 5, b""), (-3, 2, b"78"), (-3, 9, b"789"), (-99, 4, b"0123")],
)
def test_get_range(backend: Backend, start: int, length: int, want: bytes) -> None:
    backend.put("x", b"0123456789")
    assert backend.get_range("x", 2, 0) == backend.get_range("x", 2, -1) == b""
    assert backend.get_range("x", start, length) == want


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


def test_create(backend: Backend) -> None:
    assert backend.atomic_create
    assert backend.create("a/b", b"one")
    assert not backend.create("a/b", b"two")
    assert backend.get("a/b") == b"one"
    backend.put("a/c", b"")
    assert not backend.create("a/c", b"two")
    backend.delete("a/b")
    assert backend.create("a/b", b"three")
    assert backend.get("a/b") == b"three"


def test_threads_racing_to_create_have_one_winner(backend: Backend) -> None:
    rounds, racers = 40, 8
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
from dpkg.store.local import LocalBackend
backend = LocalBackend(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print([i for i in range(60) if backend.create(f"race/{i}/x", sys.argv[3].encode() * 1000)])
"""


def test_processes_racing_to_create_have_one_winner(local: LocalBackend) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(ROOT), local.url, str(me)],
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
    assert sorted(i for turns in won for i in turns) == list(range(60))
    for me, turns in enumerate(won):
        assert all(local.get(f"race/{i}/x") == b"%d" % me * 1000 for i in turns)
    assert os.listdir(f"{local.url}/tmp") == []


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
        for _ in range(40):
            for value in values:
                backend.put("x", value)
        stop.set()

    _run_threads([read, read, write])
    assert seen == []


# List

PARTS = st.text("aB0-._", min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))
KEYS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.lists(KEYS, max_size=15),
    prefixes=st.lists(KEYS, max_size=5),
    limit=st.integers(0, 5),
    cut=st.integers(0, 4),
)
def test_list_is_that_of_a_sorted_dict(
    name: str, tmp_path: Path, keys: list[str], prefixes: list[str], limit: int, cut: int
) -> None:
    backend = BACKENDS[name](tmp_path / os.urandom(8).hex())
    model: dict[str, int] = {}
    for i, key in enumerate(keys):
        folders = {key[:at] for at in range(len(key)) if key[at] == "/"}
        if not any(other in folders or other.startswith(key + "/") for other in model):
            backend.put(key, b"x" * i)
            model[key] = i
    tries = [
        "",
        *prefixes,
        *(key[:cut] for key in keys if "//" not in key[:cut]),
        *(key.rpartition("/")[0] + "/" for key in keys if "/" in key),
    ]
    for prefix in tries:
        want = [Stat(key, model[key]) for key in sorted(model) if key.startswith(prefix)]
        assert list(backend.list(prefix)) == want
        assert list(backend.list(prefix, limit)) == want[:limit]


def test_order_is_bytewise_on_the_whole_key(backend: Backend) -> None:
    keys = ["a-b", "a.b", "a/b", "a/b-c", "a0", "a/b.c/d", "a_", "A", "a-/x"]
    for key in keys:
        if key != "a/b":
            backend.put(key, b"")
    backend.put("a/b/x", b"")
    got = [stat.key for stat in backend.list("")]
    assert got == sorted(got)
    assert len(got) == len(keys)


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
    for url in ("", "s3://bucket/x", "http://host/", "file://host/x", "file://x", "a\0b"):
        with pytest.raises(Usage):
            open_backend(url)
    with pytest.raises(Usage, match="not supported yet: use a folder"):
        open_backend("s3://bucket")


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
