"""What stores keep under `derived/`: it spares requests, and nothing depends on it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

import dpkg
from dpkg.objects import frame
from dpkg.objects.commit import Commit
from dpkg.oid import Oid, digest
from dpkg.repository import Repository
from dpkg.transfer import prefetch

PKG = "acme/x"
CONTENTS = {"t": {"id": [1, 2, 3]}, "b": b"x" * 100, "d": {"e": {"u": {"id": [4]}}, "c": b"1"}}


@pytest.fixture
def remote(store: Any) -> str:
    """The URL of a store that has no paths, with two commits of a package and a tag."""
    url = f"memory://{secrets.token_hex(8)}"
    store.commit(PKG, CONTENTS, "one")
    dpkg.tag(PKG, "v1")
    store.commit(PKG, {**CONTENTS, "b": b"y"}, "two")
    dpkg.push(PKG, url)
    return url


def frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The objects in a prefetch value, read by what the page says."""
    while data:
        stored = int.from_bytes(data[24:32], "little")
        yield frame.unpack(data[: 64 + stored])
        data = data[64 + stored :]


def value_of(remote: str) -> tuple[str, bytes]:
    repository = Repository(remote)
    tip = repository.tip(PKG)
    assert tip is not None
    key = prefetch.prefetch_key(tip)
    return key, repository.backend.get(key)


@pytest.mark.spec("STO-11")
def test_what_is_in_a_prefetch_value(remote: str) -> None:
    """The commit, its tree, then the near before the far; all but blobs, each once."""
    key, data = value_of(remote)
    found = list(frames(data))
    repository = Repository(remote)
    kind, payload = found[0]
    assert (kind, digest(kind, payload)) == ("commit", key.rpartition("/")[2])
    commit = Commit.decode(payload)
    assert digest(*found[1]) == commit.tree
    kinds = [kind for kind, _ in found]
    assert " ".join(kinds) == "commit node node table node table node node"  # root, d, t, e, u, the indexes of t and u
    oids = {digest(kind, payload) for kind, payload in found}
    assert len(oids) == len(found)
    stored = [(oid, repository.odb.kind(oid)) for place, oid, _ in repository.odb.iter_oids() if place == "object"]
    assert oids <= {oid for oid, kind in stored if kind != "blob"}


@pytest.mark.spec("STO-11")
def test_a_prefetch_value_ends_before_it_is_too_large(remote: str, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(frames(value_of(remote)[1]))
    sizes = [len(frame.pack(kind, payload)) for kind, payload in whole]
    monkeypatch.setattr(prefetch, "MOST", sum(sizes[:3]) + 1)
    other = f"memory://{secrets.token_hex(8)}"
    dpkg.push(PKG, other)
    assert list(frames(value_of(other)[1])) == whole[:3]
    assert dpkg.load(PKG, store=other).d.e.u().to_dict("list") == {"id": [4]}


def seen(store: Any) -> tuple[str, Any]:
    """The one record of what was seen elsewhere."""
    (key,) = [stat.key for stat in store.repository.backend.list("derived/seen/")]
    return key, json.loads(store.repository.backend.get(key))


DAMAGE = {
    "absent": lambda data: None,
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) - 7],
    "flipped": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "noise": lambda data: b"\xff\x00" * 300,
    "another form": lambda data: b'{"version":2,"entries":[]}',
    "deep": lambda data: b"[" * 100_000,
    "other objects": lambda data: frame.pack("blob", b"no commit") + frame.pack("node", b"{}"),
}


@pytest.mark.spec("STO-10")
@pytest.mark.parametrize("name", DAMAGE)
def test_nothing_depends_on_derived_values(name: str, remote: str, store: Any, tmp_path: Any) -> None:
    """Whatever is in them, reading, push and install do what they do without them."""
    other = str(tmp_path / "other")
    dpkg.install(PKG, remote, store=other)
    for place in (remote, store.url, other):
        backend = Repository(place).backend
        for key in [stat.key for stat in backend.list("derived/")]:
            made = DAMAGE[name](backend.get(key))
            backend.delete(key) if made is None else backend.put(key, made)
    assert dpkg.load(PKG, store=remote).t().to_dict("list") == {"id": [1, 2, 3]}
    assert dpkg.install(PKG, remote, store=other).objects == 0
    store.commit(PKG, {"b": b"three"}, "three")
    dpkg.push(PKG, remote)
    dpkg.install(PKG, remote, store=other)
    tips = {Repository(place).tip(PKG) for place in (remote, store.url, other)}
    assert len(tips) == 1
    assert dpkg.verify(deep=True, store=other).problems == ()


@pytest.mark.spec("STO-11")
def test_what_was_seen_is_used_only_while_it_is_there(remote: str, store: Any) -> None:
    """An entry is known by its etag: a store that was made anew at the same address is looked at anew."""
    dpkg.push(PKG, remote)
    key, found = seen(store)
    tips = [entry for entry in found if "/heads/" in entry]
    assert tips
    for entry in found:
        etag, text = found[entry]
        assert text.encode() == Repository(remote).backend.get(entry)
        assert etag
    lie = {entry: ["another etag", text.replace('"who"', '"whoever"')] for entry, (_, text) in found.items()}
    store.repository.backend.put(key, json.dumps(lie).encode())
    assert dpkg.push(PKG, remote).objects == 0
    assert seen(store)[1] == found


@pytest.mark.spec("STO-11")
def test_objects_from_a_prefetch_value_are_checked(remote: str) -> None:
    """A value with an object of another name is of no use to whoever asks for this one."""
    key, _ = value_of(remote)
    repository = Repository(remote)
    repository.backend.put(key, frame.pack("commit", b"forged"))
    tip = Oid(key.rpartition("/")[2])
    prefetch.read(repository.odb, tip)
    assert repository.odb.held is not None
    assert repository.odb.held.get(tip) is None
    assert repository.commit(tip).message == "two"
