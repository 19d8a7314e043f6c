"""One suite for every backend, also those that only read: what dpkg.store.base promises of reading."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import places
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg.errors import Denied, DpkgError, NotFound, Storage, Usage
from dpkg.store import s3
from dpkg.store.base import Backend

Holding = Callable[[str, Mapping[str, bytes]], Any]
READ_ONLY = [kind for kind in places.READING if kind.startswith("http")]
VALUES = {"x": b"0123456789", "empty": b"", "a/b/c": b"one", "a/d": b"two", "big": os.urandom(300_000)}


@pytest.fixture(params=places.READING)
def backend(request: pytest.FixtureRequest, holding: Holding) -> Backend:
    found: Backend = holding(request.param, VALUES)
    return found


def listed(backend: Backend, *args: Any) -> list[str]:
    """The keys of a listing, but for what dpkg itself keeps in `derived/`."""
    return [stat.key for stat in backend.list(*args) if not stat.key.startswith("derived/")]


def test_values(backend: Backend) -> None:
    for key, value in VALUES.items():
        assert backend.get(key) == value
        stat = backend.stat(key)
        assert stat is not None
        assert (stat.key, stat.size) == (key, len(value))


def test_what_is_absent(backend: Backend) -> None:
    for key in ("nope", "a", "a/b", "a/b/c/d", "x/y", "nope/x"):
        assert backend.stat(key) is None
        for read in (backend.get, lambda k: backend.get_range(k, 0, 1), lambda k: backend.get_tail(k, 1)):
            with pytest.raises(NotFound):
                read(key)
    assert listed(backend, "nope") == listed(backend, "nope/") == []


@pytest.mark.parametrize(
    ("start", "length", "want"),
    [
        (0, 3, b"012"),
        (8, 9, b"89"),
        (9, 1, b"9"),
        (10, 5, b""),
        (99, 5, b""),
        (2, 0, b""),
        (2, -1, b""),
        (-3, 2, b"78"),
        (-3, 9, b"789"),
        (-99, 4, b"0123"),
    ],
)
def test_get_range(backend: Backend, start: int, length: int, want: bytes) -> None:
    assert backend.get_range("x", start, length) == want


def test_parts_of_a_larger_value(backend: Backend) -> None:
    big = VALUES["big"]
    assert backend.get_range("big", 100_000, 150_000) == big[100_000:250_000]
    assert backend.get_range("big", -100, 1000) == big[-100:]
    assert backend.get_range("empty", 0, 5) == backend.get_range("empty", -5, 5) == b""


def test_get_tail(backend: Backend) -> None:
    for length in (0, 1, 3, 10, 99):
        tail = backend.get_tail("x", length)
        assert (tail.data, tail.size) == (VALUES["x"][10 - min(10, length) :], 10)
        assert backend.get_range("x", 2, 3, tail.etag) == b"234"
    empty = backend.get_tail("empty", 5)
    assert (empty.data, empty.size) == (b"", 0)


@pytest.mark.spec("STO-15")
@pytest.mark.parametrize("kind", ["memory", "s3", "http-ranges", "http-denied-listings"])
def test_parts_of_two_values_are_not_mixed(kind: str, holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a value piece by piece says which value; a replaced one is told, not mixed in."""
    folders: list[Any] = []
    real = places.fill
    monkeypatch.setattr(places, "fill", lambda backend, values: folders.append(backend) or real(backend, values))
    backend = holding(kind, {"x": b"0123456789"})
    etag = backend.get_tail("x", 2).etag
    assert etag
    assert backend.get_range("x", 0, 2, etag) == b"01"
    folders[0].put("x", b"abcdefghij")
    if path := folders[0].local_path("x"):
        os.utime(path, (0, 0))  # web servers tell times in whole seconds
    with pytest.raises(Storage, match="was replaced while it was read"):
        backend.get_range("x", 0, 2, etag)
    assert backend.get_range("x", 0, 2, backend.get_tail("x", 1).etag) == b"ab"


@pytest.mark.parametrize("kind", READ_ONLY)
def test_what_only_reads(kind: str, holding: Holding) -> None:
    backend = holding(kind, {"a": b"1"})
    assert not backend.atomic_create
    backend.sync()
    for write in (lambda: backend.put("a", b"2"), lambda: backend.create("b", b"2"), lambda: backend.delete("a")):
        with pytest.raises(Denied, match="can only be read"):
            write()
    assert backend.get("a") == b"1"
    assert backend.local_path("a") is None


@pytest.mark.parametrize("kind", READ_ONLY)
def test_keys_are_checked(kind: str, holding: Holding) -> None:
    backend = holding(kind, {"a": b"1"})
    for key in (
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../outside",
        "a/../b",
        "a b",
        "a\0",
        "ä",
        "a?b",
        "tmp/x",
        "%2e",
    ):
        for call in (backend.get, backend.stat, lambda k: backend.get_range(k, 0, 1), lambda k: backend.put(k, b"")):
            with pytest.raises(Usage):
                call(key)


# List

PARTS = st.text("aB0-._", min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))
KEYS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
MANY, FEW = ("local", "memory", "fsspec-memory"), [kind for kind in places.READING if kind not in ("local", "memory")]


def listing(most: int) -> Any:
    """Runs a test with keys, and what to ask of their listing."""

    def wrap(test: Any) -> Any:
        given_ = given(
            keys=st.lists(KEYS, max_size=15),
            prefixes=st.lists(KEYS, max_size=5),
            limit=st.integers(0, 5),
            cut=st.integers(0, 4),
            after=st.one_of(st.just(""), KEYS, st.text("aB0-._/", max_size=5)),
        )
        quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        return settings(max_examples=most, deadline=None, suppress_health_check=quiet)(given_(test))

    return wrap


@pytest.mark.parametrize("kind", MANY)
@listing(60)
def test_list_is_that_of_a_sorted_dict(kind: str, holding: Holding, **asked: Any) -> None:
    check_listing(kind, holding, **asked)


@pytest.mark.parametrize("kind", FEW)
@listing(6)
def test_list_is_that_of_a_sorted_dict_elsewhere(kind: str, holding: Holding, **asked: Any) -> None:
    check_listing(kind, holding, **asked)


def check_listing(
    kind: str, holding: Holding, keys: list[str], prefixes: list[str], limit: int, cut: int, after: str
) -> None:
    values: dict[str, bytes] = {}
    for i, key in enumerate(keys):
        folders = {key[:at] for at in range(len(key)) if key[at] == "/"}
        if not any(other in folders or other.startswith(key + "/") for other in values):
            values[key] = b"x" * i
    backend = holding(kind, values)
    tries = [
        "",
        *prefixes,
        *(key[:cut] for key in values if "//" not in key[:cut]),
        *(key.rpartition("/")[0] + "/" for key in values if "/" in key),
    ]
    for prefix in tries:
        want = [key for key in places.in_order(kind, list(values)) if key.startswith(prefix)]
        found = [stat for stat in backend.list(prefix) if not stat.key.startswith("derived/")]
        assert [stat.key for stat in found] == want
        assert all(stat.size in (len(values[stat.key]), -1) for stat in found)
        if kind != "s3":
            assert listed(backend, prefix, limit) == want[:limit]
            assert listed(backend, prefix, None, after) == [key for key in want if key > after]
            assert listed(backend, prefix, limit, after) == [key for key in want if key > after][:limit]


def test_order_is_of_the_whole_key(request: pytest.FixtureRequest, holding: Holding) -> None:
    keys = ["a-b", "a.b", "a/b-c", "a0", "a/b.c/d", "a_", "A", "a-/x", "a/b/x"]
    for kind in places.READING:
        backend = holding(kind, dict.fromkeys(keys, b""))
        assert listed(backend, "") == places.in_order(kind, keys)


def test_a_log_is_listed_from_any_entry(backend: Backend, holding: Holding, request: pytest.FixtureRequest) -> None:
    """What refs ask: names of one length in one folder, the newest, those after one, whatever lies beside it."""
    kind = request.node.callspec.params["backend"]
    names = [f"refs/o/p/heads/main/{n:016x}" for n in range(20, 40)]
    beside = ["refs/o/p/heads/main-2/0", "refs/o/p/heads/main.x/0", "refs/o/p/heads/mai/0", "refs/o/p/tags/v/0"]
    log = holding(kind, dict.fromkeys([*names, *beside], b""))
    folder = "refs/o/p/heads/main/"
    assert listed(log, folder) == names
    assert listed(log, folder, 1) == names[:1]
    assert listed(log, folder, 3, names[4]) == names[5:8]
    assert listed(log, folder, None, names[-1]) == []


def test_more_keys_than_a_page(holding: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 lists a page at a time; a thousand keys, where it is not told to make it fewer."""
    monkeypatch.setattr(s3, "_PAGE", 20)
    keys = [f"many/{n:04}" for n in range(90)]
    backend = holding("s3", dict.fromkeys([*keys, "many-2", "many.x/a"], b"x"))
    assert listed(backend, "many/") == keys
    assert listed(backend, "many/", 60) == keys[:60]
    assert listed(backend, "many/", None, keys[69]) == keys[70:]
    assert len(listed(backend, "")) == 92


def test_other_files_are_not_listed(request: pytest.FixtureRequest, holding: Holding) -> None:
    """What somebody else put into the bucket is no key; a page of nothing else does not end the listing."""
    server = request.getfixturevalue("seaweedfs")
    backend = holding("s3", {"a": b"1", "z": b"1"})
    prefix = backend.url.partition("?")[0].removeprefix("s3://")
    for name in ("b%20c", "d%C3%A4", "tmp/x", "e%281%29"):
        assert server.request("PUT", f"/{prefix}/{name}", b"x") == 200
    assert listed(backend, "") == ["a", "z"]
    assert [stat.key for stat in backend.list("", 3)] == ["a", "derived/create-if-absent", "z"]


def test_errors_are_ours(holding: Holding, tmp_path: Any) -> None:
    for kind in ("fsspec-local", "zip"):
        backend = holding(kind, {"a": b"1"})
        with pytest.raises(DpkgError):
            backend.get("b")
