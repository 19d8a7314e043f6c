"""What an odb lacks: asked one by one or by a listing, with the same answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from dpkg.odb import Odb, object_key
from dpkg.oid import Oid
from dpkg.store.base import Stat
from dpkg.store.memory import MemoryBackend
from dpkg.transfer import presence
from dpkg.transfer.presence import Presence


def oids(count: int) -> list[Oid]:
    return [Oid(os.urandom(32).hex()) for _ in range(count)]


class Counting(MemoryBackend):
    """Counts listings and the keys that they give."""

    listed: list[tuple[str, int]]

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        found = list(super().list(prefix, limit, after))
        self.listed = [*getattr(self, "listed", []), (prefix, len(found))]
        return iter(found)


@pytest.mark.parametrize("asked", [10, 2000])
def test_what_is_cut_off_is_lacking(asked: int) -> None:
    """As `Odb.has` says, also where a listing answers; and what else lies about does not count."""
    odb, whole, cut, absent = Odb(Counting()), *(oids(asked) for _ in range(3))
    for oid in whole:
        odb.backend.put(object_key(oid), bytes(64))
    for oid in cut:
        odb.backend.put(object_key(oid), b"cut")
    odb.backend.put("objects/readme", b"x" * 100)
    odb.backend.put(f"objects/00/{'g' * 62}", b"x" * 100)
    assert Presence(odb).lacking("object", [*whole, *cut, *absent]) == {*cut, *absent}
    listed = [prefix for prefix, _ in getattr(odb.backend, "listed", [])]
    assert ("objects/" in listed) == (asked > 32)


def test_a_store_with_too_many_objects_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any number of keys a few thousand are listed, and none kept, where all would not fit in memory."""
    monkeypatch.setattr(presence, "_MOST", 256 * 20)
    monkeypatch.setattr(presence, "_PAGE", 10)
    backend: Any = Counting()
    for oid in oids(256 * 40):
        backend.put(object_key(oid), bytes(64))
    odb, asked = Odb(backend), oids(3000)
    assert Presence(odb).lacking("object", asked) == set(asked)
    assert [prefix for prefix, _ in backend.listed] == ["packs/", "objects/00/"]
