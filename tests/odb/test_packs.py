"""Objects in packs: written many at a time, read as any other, wherever the store is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dpkg.errors import Corrupt, NotFound
from dpkg.objects import frame, pack
from dpkg.odb import Odb, object_key
from dpkg.odb.packing import FEW
from dpkg.store.base import Backend
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend

BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": lambda folder: LocalBackend(str(folder / "store")),
    "memory": lambda folder: MemoryBackend("test"),
}


@pytest.fixture(params=BACKENDS)
def odb(request: pytest.FixtureRequest, tmp_path: Path) -> Odb:
    return Odb(BACKENDS[request.param](tmp_path))


def blobs(count: int) -> list[bytes]:
    return [b"blob %d " % i * 20 for i in range(count)]


def keys(odb: Odb, prefix: str = "") -> list[str]:
    return [stat.key for stat in odb.backend.list(prefix)]


@pytest.mark.spec("STO-16")
def test_many_objects_are_one_stored_file(odb: Odb) -> None:
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(200)]
        assert odb.read(oids[7], "blob") == blobs(8)[7]  # before it is stored
        assert odb.has(oids[7])
        assert odb.size(oids[7]) == len(blobs(8)[7])
    (key,) = keys(odb)
    assert key.startswith("packs/")
    again = Odb(odb.backend)
    assert [again.read(oid, "blob") for oid in oids] == blobs(200)
    assert all(again.has(oid) and again.kind(oid) == "blob" for oid in oids)
    assert [oid for _, oid, _ in again.iter_oids()] == sorted(oids)
    assert again.resolve_prefix(oids[0][:8]) == [oids[0]]
    assert b"".join(again.iter_blob(oids[3])) == blobs(4)[3]
    with again.packing():  # nothing is stored twice
        assert [again.write("blob", blob) for blob in blobs(200)] == oids
    assert keys(odb) == [key]


def test_few_objects_stay_loose(odb: Odb) -> None:
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(FEW - 1)]
        odb.sync()
        assert len(keys(odb, "objects/")) == FEW - 1
    assert sorted(keys(odb)) == sorted(object_key(oid) for oid in oids)


def test_a_full_pack_is_stored_and_the_next_begun(odb: Odb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "MOST_OBJECTS", 50)
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(201)]
    assert len(keys(odb, "packs/")) == 4
    assert keys(odb, "objects/") == [object_key(oids[200])]
    assert [Odb(odb.backend).read(oid, "blob") for oid in oids] == blobs(201)


def test_what_waits_when_an_error_ends_it_is_not_stored(odb: Odb) -> None:
    with pytest.raises(KeyboardInterrupt), odb.packing():
        oid = odb.write("blob", b"waits" * 30)
        raise KeyboardInterrupt
    assert keys(odb) == []
    assert not odb.has(oid)


def test_packs_of_another_writer_are_found(odb: Odb) -> None:
    reader = Odb(odb.backend)
    assert reader.has(odb.write("blob", b"loose" * 9))  # the packs are listed now: there is none
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(100)]
    assert reader.read(oids[0], "blob") == blobs(1)[0]
    for key in keys(odb, "packs/"):
        odb.backend.delete(key)  # repacked: the objects are loose now
    for blob in blobs(100):
        Odb(odb.backend).write("blob", blob)
    assert [reader.read(oid, "blob") for oid in oids] == blobs(100)


def test_an_object_damaged_in_a_pack_is_read_from_its_copy(odb: Odb) -> None:
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(100)]
    (key,) = keys(odb)
    data = bytearray(odb.backend.get(key))
    found = Odb(odb.backend).frames.packs.find(oids[5])
    assert found is not None
    data[found.entry.offset + found.entry.size - 1] ^= 1
    odb.backend.put(key, bytes(data))
    with pytest.raises(Corrupt, match=oids[5]):
        Odb(odb.backend).read(oids[5], "blob")
    whole = Odb(MemoryBackend("whole"))
    whole.write("blob", blobs(6)[5])
    odb.put_frame(oids[5], whole.backend.get(object_key(oids[5])))
    assert Odb(odb.backend).read(oids[5], "blob") == blobs(6)[5]
    assert b"".join(Odb(odb.backend).iter_blob(oids[5])) == blobs(6)[5]


def test_a_large_blob_damaged_in_a_pack_is_read_from_its_copy(odb: Odb) -> None:
    blob = os.urandom(3 << 20)
    with odb.packing():
        oid = odb.write("blob", blob)
    (key,) = keys(odb)
    data = odb.backend.get(key)
    odb.backend.put(key, data[: 2 << 20] + bytes([data[2 << 20] ^ 1]) + data[(2 << 20) + 1 :])
    with pytest.raises(Corrupt, match=oid):
        list(Odb(odb.backend).iter_blob(oid))
    odb.put_frame(oid, frame.pack("blob", blob))
    assert b"".join(Odb(odb.backend).iter_blob(oid)) == blob


def test_an_object_damaged_in_one_pack_is_read_from_another(odb: Odb) -> None:
    for more in (0, 1):
        writer = Odb(MemoryBackend("other"))
        with writer.packing():
            oids = [writer.write("blob", blob) for blob in blobs(100 + more)]
        (key,) = keys(writer)
        odb.backend.put(key, writer.backend.get(key))
    for key in keys(odb):
        data = odb.backend.get(key)
        entry = pack.parse_tail(data[-pack.TAIL :], len(data)).find(oids[5])
        assert entry is not None
        end = entry.offset + entry.size
        odb.backend.put(key, data[: end - 1] + bytes([data[end - 1] ^ 1]) + data[end:])
        if key == keys(odb)[0]:
            for _ in range(2):
                assert Odb(odb.backend).read(oids[5], "blob") == blobs(6)[5]
                assert b"".join(Odb(odb.backend).iter_blob(oids[5])) == blobs(6)[5]
    for read in (lambda: odb.read(oids[5], "blob"), lambda: list(odb.iter_blob(oids[5]))):
        with pytest.raises(Corrupt, match=oids[5]):
            read()


def test_a_pack_without_its_index_hides_nothing_else(odb: Odb) -> None:
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(100)]
    (key,) = keys(odb)
    odb.backend.put(key, odb.backend.get(key)[:-1])
    loose = odb.write("blob", b"beside" * 20)
    reader = Odb(odb.backend)
    assert reader.read(loose, "blob") == b"beside" * 20
    with pytest.raises(NotFound, match=oids[0]) as caught:
        reader.read(oids[0], "blob")
    assert "damaged" in caught.value.hint


def test_many_packs_are_looked_into_as_one(odb: Odb, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpkg.odb import packs

    monkeypatch.setattr(packs, "_MERGE", 20)
    monkeypatch.setattr(pack, "MOST_OBJECTS", 40)
    with odb.packing():
        oids = [odb.write("blob", blob) for blob in blobs(1000)]
    reader = Odb(odb.backend)
    assert [reader.read(oid, "blob") for oid in oids] == blobs(1000)
    assert reader.frames.packs._merged is not None
    with odb.packing():
        more = [odb.write("blob", blob + b"!") for blob in blobs(100)]
    assert [reader.read(oid, "blob") for oid in more] == [blob + b"!" for blob in blobs(100)]
