"""Stores across a network: others act between two requests, objects came by hand, and what spares requests is in the way."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg.errors import Conflict, NotFound
from dpkg.plumbing import fetch_objects, send_objects
from dpkg.repository import Repository
from dpkg.store.memory import MemoryBackend

PKG = "acme/x"


@pytest.fixture
def remote() -> str:
    """The URL of a store that has no paths."""
    url = f"memory://{secrets.token_hex(8)}"
    Repository(url, create=True)
    return url


@pytest.fixture
def meanwhile(remote: str, store: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`meanwhile(n, act)` calls `act` just before entry `n` of the log of the branch is created in `remote`."""

    def plan(n: int, act: Callable[[], Any]) -> None:
        real, waiting = MemoryBackend.create, [act]

        def create(self: MemoryBackend, key: str, data: bytes) -> bool:
            if self.url == remote and waiting and key.endswith(f"/main/{2**64 - 1 - n:016x}"):
                waiting.pop()()
            return real(self, key, data)

        monkeypatch.setattr(MemoryBackend, "create", create)

    return plan


def test_two_first_pushes_at_once(store: Any, remote: str, meanwhile: Callable[..., None]) -> None:
    """Whoever comes second learns that the package is there by now, in few requests."""
    other = type(store)(f"{store.url}-other")
    other.commit(PKG, {"b": b"theirs"}, "theirs")
    store.commit(PKG, {"b": b"ours"}, "ours")
    meanwhile(0, lambda: dpkg.push(PKG, remote, store=other.url))
    with pytest.raises(Conflict, match="has 1 commit of 'acme/x' that you lack"):
        dpkg.push(PKG, remote)
    assert Repository(remote).tip(PKG) == other.repository.tip(PKG)


def test_another_only_begins_the_log(store: Any, remote: str, meanwhile: Callable[..., None]) -> None:
    store.commit(PKG, {"b": b"ours"}, "ours")
    meanwhile(0, lambda: Repository(remote).start(PKG))
    dpkg.push(PKG, remote)
    assert Repository(remote).tip(PKG) == store.repository.tip(PKG)


def test_the_branch_moves_on_after_it_was_looked_at(store: Any, remote: str, meanwhile: Callable[..., None]) -> None:
    """Someone pushes what we have on top of ours: nothing is lost, and it is said how far ahead they are."""
    store.commit(PKG, {"b": b"one"}, "one")
    other = type(store)(f"{store.url}-other")
    dpkg.install(PKG, store.url, store=other.url)
    theirs = other.commit(PKG, {"b": b"two"}, "two")
    meanwhile(1, lambda: dpkg.push(PKG, remote, store=other.url))
    assert dpkg.push(PKG, remote).ahead == 1
    assert Repository(remote).tip(PKG) == theirs


def test_a_package_that_is_not_there(store: Any, remote: str) -> None:
    """What there is instead is said also of a store of which only one package was asked for."""
    store.commit(PKG, {"b": b"1"})
    dpkg.push(PKG, remote)
    for call in (lambda: dpkg.install("acme/y", remote), lambda: dpkg.load("acme/y", store=remote)):
        with pytest.raises(NotFound) as caught:
            call()
        assert caught.value.hint == f"there is: {PKG}"


@pytest.mark.spec("STO-9")
@pytest.mark.parametrize("alone", ["commit", "commit and tree"])
def test_a_commit_that_came_alone(alone: str, store: Any, remote: str, tmp_path: Path) -> None:
    """What no ref reaches may lack what it names: push and install look below it."""
    store.commit(PKG, {"t": {"id": [1]}}, "one")
    store.commit(PKG, {"t": {"id": [1, 2]}, "d": {"b": b"b"}}, "two")
    tip = store.repository.tip(PKG)
    sent = [str(tip)] + ([str(store.repository.commit(tip).tree)] if alone != "commit" else [])
    assert [s.what for s in send_objects(remote, sent)] == ["moved"] * len(sent)
    dpkg.push(PKG, remote)
    assert dpkg.verify(store=remote, deep=True).problems == ()
    here = str(tmp_path / "here")
    Repository(here, create=True)
    list(fetch_objects(remote, sent, store=here))
    dpkg.install(PKG, remote, store=here)
    assert dpkg.verify(store=here, deep=True).problems == ()


def test_metadata_that_is_also_a_file(store: Any, remote: str) -> None:
    """One blob by two names, of one of which the size is said."""
    store.commit(PKG, {"a": (b"1", {"k": 1}), "m": b'{"k":1}', "z": (b"2", {"k": 1})})
    dpkg.push(PKG, remote)
    assert dpkg.verify(store=remote).problems == ()


# What spares requests is never in the way


@pytest.mark.spec("STO-10")
def test_push_from_a_store_that_can_only_be_read(store: Any, remote: str, serve: Callable[..., str]) -> None:
    store.commit(PKG, {"b": b"1"})
    dpkg.push(PKG, remote)
    new = store.commit(PKG, {"b": b"2"})
    assert dpkg.push(PKG, remote, store=serve(store.url)).new == new


@pytest.mark.spec("STO-10")
def test_a_file_where_the_folder_of_derived_values_should_be(store: Any, remote: str) -> None:
    store.commit(PKG, {"b": b"1"})
    (Path(store.url) / "derived").write_bytes(b"")
    dpkg.push(PKG, remote)
    new = store.commit(PKG, {"b": b"2"})
    assert dpkg.push(PKG, remote).new == new


def test_what_was_seen_does_not_grow(store: Any, remote: str) -> None:
    """Of each log only the newest entry is kept."""
    for i in range(5):
        store.commit(PKG, {"b": b"%d" % i})
        dpkg.push(PKG, remote)
    (key,) = [stat.key for stat in store.repository.backend.list("derived/seen/")]
    assert len(json.loads(store.repository.backend.get(key))) == 1
