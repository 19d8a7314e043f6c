"""The object database: what is written is read, verified; what is damaged or missing is named."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg.errors import Corrupt, Denied, Format, NotFound, Storage, Usage
from dpkg.objects import frame
from dpkg.odb import Odb, create_store, fragment_key, object_key, open_store
from dpkg.oid import Oid, digest
from dpkg.store.base import Backend
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend

BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": lambda folder: LocalBackend(str(folder / "store")),
    "memory": lambda folder: MemoryBackend("test"),
}
ABSENT = Oid("0" * 64)
PARQUET = b"PAR1 data footer" + (6).to_bytes(4, "little") + b"PAR1"  # the frame of a Parquet file


@pytest.fixture(params=BACKENDS)
def odb(request: pytest.FixtureRequest, tmp_path: Path) -> Odb:
    return Odb(BACKENDS[request.param](tmp_path))


@pytest.mark.spec("OID-2")
def test_write_and_read(odb: Odb) -> None:
    oid = odb.write("blob", b"hello")
    assert oid == blake3(b"hello").hexdigest()
    assert odb.read(oid, "blob") == b"hello"
    assert odb.read_any(oid) == ("blob", b"hello")
    assert (odb.has(oid), odb.size(oid), odb.kind(oid)) == (True, 5, "blob")
    assert odb.write("blob", b"hello") == oid
    assert odb.backend.get(f"objects/{oid[:2]}/{oid[2:]}") == frame.pack("blob", b"hello")
    odb.sync()


@pytest.mark.spec("OID-3")
def test_kinds_have_oids_of_their_own(odb: Odb) -> None:
    oids = {odb.write(kind, b"{}") for kind in frame.OBJECTS}
    assert len(oids) == 4
    assert [place for place, _, _ in odb.iter_oids()] == ["object"] * 4


def test_absent(odb: Odb) -> None:
    assert not odb.has(ABSENT)
    assert not odb.has_fragment(ABSENT)
    for call in (lambda: odb.read(ABSENT, "blob"), lambda: odb.size(ABSENT), lambda: list(odb.iter_blob(ABSENT))):
        with pytest.raises(NotFound, match=ABSENT) as caught:
            call()
        assert odb.backend.url in caught.value.message
        assert caught.value.hint
    with pytest.raises(NotFound, match=ABSENT):
        odb.read_fragment_file(ABSENT)


def test_another_kind(odb: Odb) -> None:
    oid = odb.write("node", b"{}")
    with pytest.raises(Corrupt, match=f"{oid} is a node where a commit must be"):
        odb.read(oid, "commit")
    with pytest.raises(Corrupt, match="node where a blob"):
        list(odb.iter_blob(oid))


@pytest.mark.spec("STO-2")
def test_damage_is_named(odb: Odb) -> None:
    for payload in (b"hello", b"hello " * 1000):
        oid = odb.write("blob", payload)
        key = object_key(oid)
        good = odb.backend.get(key)
        flipped = bytearray(good)
        flipped[-1] ^= 1
        frames = [
            bytes(flipped),
            good[:-1],
            good + b"x",
            b"",
            good[:40],
            frame.pack("blob", b"another"),
            frame.pack("node", payload),
        ]
        for bad in frames:
            odb.backend.put(key, bad)
            for call in (lambda: odb.read(oid, "blob"), lambda: list(odb.iter_blob(oid))):  # noqa: B023
                with pytest.raises(Corrupt, match=oid) as caught:
                    call()
                assert key in caught.value.message
                assert caught.value.hint
        odb.backend.put(key, good)
        assert b"".join(odb.iter_blob(oid)) == payload


def test_a_lost_object_is_written_again(odb: Odb) -> None:
    """A power cut can leave an empty file, in a folder also one cut off."""
    oid = odb.write("blob", b"hello " * 1000)
    odb.backend.put(object_key(oid), b"")
    assert not odb.has(oid)
    odb.write("blob", b"hello " * 1000)
    assert odb.read(oid, "blob") == b"hello " * 1000
    if odb.backend.local_path("x"):
        odb.backend.put(object_key(oid), odb.backend.get(object_key(oid))[:70])
        odb.write("blob", b"hello " * 1000)
        assert odb.read(oid, "blob") == b"hello " * 1000


def test_nothing_is_written_twice(odb: Odb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    big = os.urandom(2 * frame.LARGE)
    (tmp_path / "big").write_bytes(big)
    odb.write("blob", b"small")
    odb.write_blob_file(str(tmp_path / "big"))
    odb.write_fragment_file(ABSENT, PARQUET)

    def refused(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(odb.backend, "put", refused)
    monkeypatch.setattr(odb.backend, "adopt", refused, raising=False)
    odb.write("blob", b"small")
    odb.write_blob_file(str(tmp_path / "big"))
    odb.write_fragment_file(ABSENT, b"other bytes of the same values")
    if isinstance(odb.backend, LocalBackend):
        assert os.listdir(f"{odb.backend.url}/tmp") == []


@pytest.mark.parametrize("length", [0, 10, frame.LARGE, frame.LARGE + 1, 5 * frame.LARGE + 3])
@pytest.mark.parametrize("shrinks", [True, False])
def test_blob_files(odb: Odb, tmp_path: Path, length: int, shrinks: bool) -> None:
    data = (b"0123456789abcdef\n" * (length // 17 + 1))[:length] if shrinks else random.Random(length).randbytes(length)
    path = tmp_path / "input"
    path.write_bytes(data)
    oid, size = odb.write_blob_file(str(path))
    assert (oid, size) == (digest("blob", data), length)
    assert b"".join(odb.iter_blob(oid)) == data
    assert odb.read(oid, "blob") == data
    assert odb.size(oid) == length
    odb.backend.delete(object_key(oid))
    source = io.BytesIO(b"before" + data)
    source.seek(6)
    assert odb.write_blob_file(source) == (oid, length)
    assert odb.read(oid, "blob") == data
    frame.check(odb.backend.get(object_key(oid)))


def test_damage_comes_before_the_last_piece(odb: Odb) -> None:
    data = random.Random(7).randbytes(3 * frame.LARGE)
    oid = odb.write("blob", data)
    other = odb.write("blob", data[:-1] + b"?")
    odb.backend.put(object_key(oid), odb.backend.get(object_key(other)))
    got = b""
    with pytest.raises(Corrupt, match=oid):
        for chunk in odb.iter_blob(oid):
            got += chunk
    assert len(got) < len(data)
    assert data.startswith(got)


def test_sources_that_fail(odb: Odb, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        odb.write_blob_file(str(tmp_path / "missing"))
    with pytest.raises(Storage, match="cannot read"):
        odb.write_blob_file(str(tmp_path))

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > frame.LARGE // 2:
                raise OSError(5, "Input/output error")
            return super().read(min(size or 0, 1 << 20))

    with pytest.raises(Storage, match="Input/output error"):
        odb.write_blob_file(Broken(bytes(2 * frame.LARGE)))
    assert list(odb.iter_oids()) == []
    if isinstance(odb.backend, LocalBackend):
        assert not os.path.exists(odb.backend.url), "nothing was made, not even a folder"


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 11, 14, 17, len(PARQUET) - 1])
def test_a_fragment_cut_short_by_a_power_cut_is_written_again(tmp_path: Path, kept: int) -> None:
    odb = Odb(LocalBackend(str(tmp_path)))
    for left in (PARQUET[:kept], PARQUET[:kept].ljust(len(PARQUET), b"\0")):  # some file systems keep the length
        odb.backend.put(fragment_key(ABSENT), left)
        assert not odb.has_fragment(ABSENT)
        odb.write_fragment_file(ABSENT, PARQUET)
        assert odb.read_fragment_file(ABSENT) == PARQUET
        assert odb.has_fragment(ABSENT)


def test_elsewhere_a_fragment_costs_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in a folder a power cut can leave a part; across a network a look is a request."""
    odb = Odb(MemoryBackend())
    odb.write_fragment_file(ABSENT, PARQUET)
    monkeypatch.delattr(MemoryBackend, "get")
    monkeypatch.delattr(MemoryBackend, "get_range")
    assert odb.has_fragment(ABSENT)


def test_fragments(odb: Odb) -> None:
    odb.write_fragment_file(ABSENT, PARQUET)
    assert odb.read_fragment_file(ABSENT) == PARQUET
    assert odb.has_fragment(ABSENT)
    assert not odb.has(ABSENT)
    key = f"fragments/00/{'0' * 62}.parquet"
    assert fragment_key(ABSENT) == key
    path = odb.fragment_path(ABSENT)
    if isinstance(odb.backend, LocalBackend):
        assert path is not None
        assert Path(path).read_bytes() == PARQUET
    else:
        assert path is None
    assert list(odb.iter_oids()) == [("fragment", ABSENT, len(PARQUET))]
    odb.backend.put(key, b"")
    assert not odb.has_fragment(ABSENT)


def test_iter_oids_leaves_out_what_is_none(odb: Odb) -> None:
    oids = sorted(odb.write("blob", b"%02d" % i) for i in range(50))
    odb.write_fragment_file(ABSENT, PARQUET)
    for key in ("objects/ab/short", f"objects/zz/{'0' * 62}", f"objects/{'0' * 64}", f"objects/00/{'0' * 62}.parquet"):
        odb.backend.put(key, b"")
    odb.backend.put(f"fragments/11/{'1' * 62}", b"")
    odb.backend.put(f"objects/0/{'0' * 63}", b"")
    assert list(odb.iter_oids()) == [*(("object", oid, 66) for oid in oids), ("fragment", ABSENT, len(PARQUET))]


def test_resolve_prefix(odb: Odb) -> None:
    oids = sorted(odb.write("blob", b"%d" % i) for i in range(300))
    odb.backend.put(f"objects/{oids[0][:2]}/stray", b"")
    for oid in oids[:20]:
        for length in (4, 5, 20, 64):
            assert odb.resolve_prefix(oid[:length]) == [other for other in oids if other.startswith(oid[:length])]
    assert odb.resolve_prefix("f" * 64) == []
    for bad in ("", "abc", "ABCD", "xyzw", "a" * 65, "../.."):
        with pytest.raises(Usage):
            odb.resolve_prefix(bad)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(st.tuples(st.sampled_from(frame.OBJECTS), st.binary(max_size=600)), max_size=8))
def test_is_a_map_from_oids(odb: Odb, payloads: list[tuple[frame.Kind, bytes]]) -> None:
    model = {odb.write(kind, payload): (kind, payload) for kind, payload in payloads}
    for oid, value in model.items():
        assert odb.read_any(oid) == value
    assert model.keys() <= {oid for _, oid, _ in odb.iter_oids()}


# The store


@pytest.mark.spec("STO-1")
def test_create_and_open(odb: Odb) -> None:
    with pytest.raises(NotFound, match="there is no store at") as caught:
        open_store(odb.backend)
    assert odb.backend.url in caught.value.message
    assert "init" in caught.value.hint
    create_store(odb.backend)
    create_store(odb.backend)
    open_store(odb.backend)
    assert odb.backend.get("format") == b'{"format":"dpkg v1","requires":[]}'


@pytest.mark.spec("STO-1")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"format":"dpkg 7","requires":[]}', "is of the format 'dpkg 7', and this dpkg reads 'dpkg v1'"),
        (b'{"format":"dpkg 7","requires":{},"new":1}', "is of the format 'dpkg 7'"),
        (b'{"format":"dpkg 8"}', "is of the format 'dpkg 8'"),
        (
            b'{"format":"dpkg v1","requires":["packs","dust"]}',
            "requires packs, dust, which this dpkg does not know",
        ),
        (b'{"format":"dpkg v1","requires":[1]}', "requires 1"),
        (b'{"format":"dpkg v1","requires":{}}', "damaged"),
        (b'{"format":"dpkg v1","requires":[],"more":1}', "damaged"),
        (b'{"format":"dpkg v1"}', "damaged"),
        (b"", "damaged"),  # a power cut may leave this
        (b"[]", "damaged"),
        (b"\xff", "damaged"),
        (b"[" * 70_000, "damaged"),
    ],
)
def test_other_formats_are_refused_in_words(odb: Odb, data: bytes, words: str) -> None:
    odb.backend.put("format", data)
    for call in (open_store, create_store):
        with pytest.raises(Corrupt if words == "damaged" else Format, match=words) as caught:
            call(odb.backend)
        assert odb.backend.url in caught.value.message
        assert caught.value.hint
    assert odb.backend.get("format") == data


def test_create_where_create_is_not_atomic() -> None:
    backend = MemoryBackend("x")
    backend.atomic_create = False
    with pytest.raises(Denied, match="refs there are read-only"):
        create_store(backend)
    backend.atomic_create = True
    create_store(backend)
    backend.atomic_create = False
    create_store(backend)  # it is there already
    open_store(backend)
