"""Refs: an append-only log for each, one chain whoever writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.errors import AlreadyExists, Conflict, Corrupt, DpkgError, Format, NotFound, Usage
from dpkg.objects import canonical_json
from dpkg.oid import Oid
from dpkg.refs import HEADS, TAGS, RefEntry, Refs, new_push
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


# Entries


@pytest.mark.spec("OID-3")
@pytest.mark.spec("JSON-6")
def test_spelling_of_an_entry() -> None:
    entry = RefEntry(1, "commit", A, B, "0f" * 16, 1_700_000_000, "Ada", "build", (A, B))
    rest = (
        f'"event":"commit","floor":["{A}","{B}"],"n":1,"oid":"{A}","prev":"{B}","push":"{"0f" * 16}",'
        '"time":1700000000,"who":"Ada","why":"build"}'
    ).encode()
    digest = blake3(b"{" + rest, derive_key_context="dpkg v1 2026-11 ref").hexdigest()
    assert entry.digest == digest
    assert entry.encode() == b'{"digest":"%s",' % digest.encode() + rest
    assert RefEntry.decode(entry.encode()) == entry
    assert len(new_push()) == 32
    assert new_push() != new_push()
    assert str(entry) == "moved to aaaaaaaaaaaa by Ada at 2023-11-14 22:13:20 UTC"


@pytest.mark.spec("STO-6")
@pytest.mark.spec("JSON-6")
@pytest.mark.parametrize(
    "change",
    [
        {"n": 0},
        {"n": -1},
        {"n": True},
        {"n": "1"},
        {"event": "birth"},
        {"event": "moved"},
        {"event": "barrier"},
        {"event": "deleted"},
        {"oid": None},
        {"oid": "a"},
        {"oid": 1},
        {"prev": None},
        {"prev": "B" * 64},
        {"push": "0f"},
        {"push": "0F" * 16},
        {"time": None},
        {"who": None},
        {"why": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_wrong_entries_are_refused(change: dict[str, Any]) -> None:
    value = json.loads(RefEntry(1, "commit", A, B, "0f" * 16, 0, "Ada", "build").encode()) | change
    del value["digest"]
    text = canonical_json.encode(value)
    digest = blake3(text, derive_key_context="dpkg v1 2026-11 ref").hexdigest()
    with pytest.raises(Format):
        RefEntry.decode(canonical_json.encode(value | {"digest": digest}))


@pytest.mark.spec("STO-7")
@given(st.integers(0), st.integers(1, 255))
def test_every_flipped_byte_of_an_entry_is_found(at: int, flip: int) -> None:
    data = bytearray(RefEntry(1, "commit", A, B, "0f" * 16, 5, "Ada", "build").encode())
    data[at % len(data)] ^= flip
    with pytest.raises((Format, Corrupt)):
        RefEntry.decode(bytes(data))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_only_format(data: bytes) -> None:
    with pytest.raises(Format):
        RefEntry.decode(data)


# One writer


def test_nothing_there(refs: Refs) -> None:
    assert list(refs.packages()) == []
    assert refs.heads(PKG) == refs.tags(PKG) == {}
    assert refs.tip(*MAIN) is None
    assert refs.value(*MAIN) is None
    assert list(refs.log(*MAIN)) == []
    with pytest.raises(NotFound, match="there is no branch 'main' of acme/sales"):
        refs.delete(*MAIN, **BY)
    assert list(refs.backend.list("")) == []


@pytest.mark.spec("STO-6")
@pytest.mark.spec("STO-8")
def test_update_and_log(refs: Refs) -> None:
    first = refs.update(*MAIN, A, None, **BY)
    second = refs.update(*MAIN, B, A, **BY)
    assert refs.value(*MAIN) == B
    assert refs.tip(*MAIN) == second
    log = list(refs.log(*MAIN))
    assert [(e.n, e.event, e.oid) for e in log] == [(2, "commit", B), (1, "commit", A), (0, "birth", None)]
    assert log[1] == first
    assert [e.prev for e in log] == [log[1].digest, log[2].digest, None]
    assert {e.push for e in log} == {refs.push}
    assert (second.who, second.why) == (BY["who"], "build")
    keys = [stat.key for stat in refs.backend.list("")]
    assert keys == [LOG + f"{2**64 - 1 - n:016x}" for n in (2, 1, 0)]
    assert refs.heads(PKG) == {"main": second}
    assert list(refs.packages()) == [PKG]


def test_update_from_another_value_is_a_conflict(refs: Refs) -> None:
    with pytest.raises(Conflict, match="branch 'main' of acme/sales does not exist"):
        refs.update(*MAIN, B, A, **BY)
    refs.update(*MAIN, A, None, **BY)
    for old in (None, C):
        with pytest.raises(Conflict) as caught:
            refs.update(*MAIN, B, old, **BY)
        message = caught.value.message
        assert message.startswith(
            "branch 'main' of acme/sales was moved to aaaaaaaaaaaa by Ada <ada@example.com> at 20"
        )
        assert caught.value.hint
    assert refs.value(*MAIN) == A


@pytest.mark.spec("STO-8")
def test_barriers_and_floors_leave_the_value(refs: Refs) -> None:
    tip = refs.start(*MAIN, who="gc")
    assert refs.value(*MAIN) is None
    tip = refs.append(*MAIN, "barrier", None, expected=tip, **BY)
    assert refs.value(*MAIN) is None
    assert refs.heads(PKG) == {}
    refs.update(*MAIN, A, None, **BY)
    for event in ("barrier", "floor", "barrier"):
        tip = refs.tip(*MAIN)
        refs.append(*MAIN, event, None, expected=tip, **BY)
    assert refs.value(*MAIN) == A
    assert refs.heads(PKG)["main"].event == "barrier"
    refs.update(*MAIN, B, A, **BY)
    assert refs.value(*MAIN) == B
    assert events(refs, *MAIN) == ["commit", "barrier", "floor", "barrier", "commit", "barrier", "birth"]


@pytest.mark.spec("STO-6")
@pytest.mark.spec("STO-8")
def test_delete_and_write_again(refs: Refs) -> None:
    refs.update(*MAIN, A, None, **BY)
    with pytest.raises(Conflict):
        refs.delete(*MAIN, **BY, old=B)
    refs.delete(*MAIN, **BY)
    assert refs.value(*MAIN) is None
    assert refs.heads(PKG) == {}
    assert list(refs.packages()) == []
    assert list(refs.packages(deleted=True)) == [PKG]
    assert list(refs.logs(PKG, HEADS)) == ["main"]
    with pytest.raises(NotFound):
        refs.delete(*MAIN, **BY)
    with pytest.raises(Conflict, match="was deleted by Ada"):
        refs.update(*MAIN, B, A, **BY)
    refs.append(*MAIN, "barrier", None, expected=refs.tip(*MAIN), **BY)
    assert refs.value(*MAIN) is None
    refs.update(*MAIN, B, None, **BY)
    assert refs.value(*MAIN) == B
    assert events(refs, *MAIN) == ["commit", "barrier", "deleted", "commit", "birth"]


@pytest.mark.spec("OBJ-5")
def test_a_tag_has_one_value_for_ever(refs: Refs) -> None:
    entry = refs.create_tag(PKG, "v1", A, **BY)
    assert events(refs, PKG, TAGS, "v1") == ["commit", "birth"]
    assert refs.value(PKG, TAGS, "v1") == A
    assert refs.tags(PKG) == {"v1": entry}
    refs.append(PKG, TAGS, "v1", "barrier", None, expected=entry, **BY)
    tip = refs.tip(PKG, TAGS, "v1")
    for call in (
        lambda: refs.create_tag(PKG, "v1", A, **BY),
        lambda: refs.create_tag(PKG, "v1", B, **BY),
        lambda: refs.update(PKG, TAGS, "v1", B, A, **BY),
        lambda: refs.append(PKG, TAGS, "v1", "commit", B, expected=tip, **BY),
    ):
        with pytest.raises(AlreadyExists, match="tag 'v1' of acme/sales is at aaaaaaaaaaaa already") as caught:
            call()
        assert caught.value.hint
    refs.delete(PKG, TAGS, "v1", **BY)
    assert refs.tags(PKG) == {}
    with pytest.raises(AlreadyExists, match="name of a tag is not used again"):
        refs.create_tag(PKG, "v1", A, **BY)
    with pytest.raises(AlreadyExists):
        refs.update(PKG, TAGS, "v1", A, None, **BY)


def test_a_tag_only_born_can_get_its_value(refs: Refs) -> None:
    tip = refs.start(PKG, TAGS, "v1", who="killed")
    refs.append(PKG, TAGS, "v1", "barrier", None, expected=tip, **BY)
    refs.create_tag(PKG, "v1", A, **BY)
    assert refs.value(PKG, TAGS, "v1") == A


def test_many_packages_and_refs(refs: Refs) -> None:
    packages = ["a-b/x", "a/b", "a/b-c", "a.b/x", "b/a"]
    for package in packages:
        for branch in ("main", "main-2", "Main", "v1.0"):
            refs.update(package, HEADS, branch, A, None, **BY)
            refs.update(package, HEADS, branch, B, A, **BY)
        refs.create_tag(package, "main", C, **BY)
    assert sorted(refs.packages()) == sorted(packages)
    assert list(refs.heads("a/b")) == ["Main", "main", "main-2", "v1.0"]
    assert all(entry.oid == B for entry in refs.heads("a/b").values())
    assert list(refs.tags("a/b")) == ["main"]
    assert sorted(refs.logs("a/b", HEADS)) == ["Main", "main", "main-2", "v1.0"]


def test_names_are_checked(refs: Refs) -> None:
    bad = [
        ("sales", HEADS, "main"),
        (PKG, "branches", "main"),
        (PKG, HEADS, "latest"),
        (PKG, HEADS, "a/b"),
        ("../x", HEADS, "m"),
    ]
    for ref in bad:
        calls: list[Callable[[], object]] = [
            lambda ref=ref: refs.tip(*ref),
            lambda ref=ref: refs.value(*ref),
            lambda ref=ref: list(refs.log(*ref)),
            lambda ref=ref: refs.start(*ref, who=""),
            lambda ref=ref: refs.update(*ref, A, None, **BY),
            lambda ref=ref: refs.delete(*ref, **BY),
        ]
        for call in calls:
            with pytest.raises(Usage):
                call()
    with pytest.raises(Usage):
        refs.heads("x")
    assert list(refs.backend.list("")) == []


def test_one_list_and_one_get_find_the_tip(refs: Refs, monkeypatch: pytest.MonkeyPatch) -> None:
    value = None
    for oid in (A, B, A, C):
        refs.update(*MAIN, oid, value, **BY)
        value = oid
    calls: list[tuple[object, ...]] = []
    list_keys, get = refs.backend.list, refs.backend.get_range
    monkeypatch.setattr(refs.backend, "list", lambda *args: calls.append(("list", *args)) or list_keys(*args))
    monkeypatch.setattr(refs.backend, "get_range", lambda *args: calls.append(("get", args[0])) or get(*args))
    assert refs.value(*MAIN) == C
    assert calls == [("list", LOG, 1), ("get", LOG + f"{2**64 - 1 - 4:016x}")]


def test_strays_are_passed_over(refs: Refs) -> None:
    refs.update(*MAIN, A, None, **BY)
    for key in (
        LOG + ".DS_Store",
        LOG + "0000000000000000",
        LOG + "0",
        "refs/x",
        "refs/A/b/heads/main/x",
        "refs/a/b/heads/x",
    ):
        refs.backend.put(key, b"")
    refs.backend.put("refs/a/c/heads/latest/ffffffffffffffff", b"")
    refs.backend.put(f"refs/a/d/{'x' * 5}/main/ffffffffffffffff", b"")
    assert refs.value(*MAIN) == A
    assert list(refs.packages()) == [PKG]
    assert list(refs.heads(PKG)) == ["main"]


# Damage


@pytest.mark.spec("STO-7")
def test_damaged_logs_are_found(refs: Refs) -> None:
    value = None
    for oid in (A, B, C):
        refs.update(*MAIN, oid, value, **BY)
        value = oid
    keys = {n: LOG + f"{2**64 - 1 - n:016x}" for n in range(4)}
    good = {n: refs.backend.get(key) for n, key in keys.items()}
    other = Refs(MemoryBackend())
    other.update(*MAIN, A, None, **BY)
    another_one = other.backend.get(keys[1])
    for n in range(4):
        for bad in (good[n].replace(b"Ada", b"Eve"), b"", good[(n + 1) % 4], b"{}", another_one if n == 1 else b"[]"):
            refs.backend.put(keys[n], bad)
            with pytest.raises(Corrupt) as caught:
                list(refs.log(*MAIN))
            assert LOG in caught.value.message
            assert caught.value.hint
            if n == 3:
                with pytest.raises(Corrupt):
                    refs.value(*MAIN)
        refs.backend.put(keys[n], good[n])
    refs.backend.delete(keys[1])
    with pytest.raises(Corrupt, match="is missing"):
        list(refs.log(*MAIN))
    assert refs.value(*MAIN) == C


# Against a model

OPS = st.sampled_from(["update", "wrong", "delete", "barrier", "floor", "stale", "reopen"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(OPS, st.sampled_from([A, B, C])), max_size=15))
def test_is_a_value_with_compare_and_set(ops: list[tuple[str, Oid]]) -> None:
    refs = Refs(MemoryBackend())
    value: Oid | None = None
    stale: RefEntry | None = None
    for op, oid in ops:
        if op == "update":
            refs.update(*MAIN, oid, value, **BY)
            value = oid
        elif op == "wrong" and oid != value:
            with pytest.raises(Conflict):
                refs.update(*MAIN, oid, oid, **BY)
        elif op == "delete" and value is not None:
            refs.delete(*MAIN, **BY)
            value = None
        elif op in ("barrier", "floor"):
            refs.append(*MAIN, op, None, expected=refs.start(*MAIN, who="gc"), **BY)
        elif op == "stale" and stale is not None and stale != refs.tip(*MAIN):
            with pytest.raises(DpkgError):
                # in other words: the very same entry by the same run would count as its own, answered late
                refs.append(*MAIN, "commit", oid, expected=stale, **{**BY, "why": "stale"})
        elif op == "reopen":
            refs = Refs(refs.backend)
            stale = refs.tip(*MAIN)
        assert refs.value(*MAIN) == value
        assert (MAIN[2] in refs.heads(PKG)) == (value is not None)
    log = list(refs.log(*MAIN))
    assert all(after.prev == before.digest for after, before in pairwise(log))
