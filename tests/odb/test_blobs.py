"""Blobs of any size: large ones are stored once a chunk, read in parts, and never half there."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.errors import Corrupt, NotFound, Storage, Usage
from dpkg.objects import chunks, frame
from dpkg.odb import Odb, blobs, object_key
from dpkg.oid import Oid, digest
from dpkg.store.base import Backend
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend
from dpkg.transfer.copying import copy_blob

K, M = 1 << 10, 1 << 20
BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "local": lambda folder: LocalBackend(str(folder / "store")),
    "memory": lambda folder: MemoryBackend("test"),
}


@pytest.fixture(params=BACKENDS)
def odb(request: pytest.FixtureRequest, tmp_path: Path) -> Odb:
    return Odb(BACKENDS[request.param](tmp_path))


class Counting(MemoryBackend):
    """A store far away that notes which keys are read and written."""

    def __init__(self) -> None:
        super().__init__("counting")
        self.read: list[str] = []
        self.written: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        self.read.append(key)
        return super().get_range(key, start, length, etag)

    def put(self, key: str, data: bytes | io.IOBase) -> None:  # type: ignore[override]
        self.written.append(key)
        super().put(key, data)  # type: ignore[arg-type]


def made(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def keys(odb: Odb, oid: Oid) -> list[str]:
    """The keys of a large blob's chunks, in order."""
    return [object_key(chunk) for chunk in blobs.chunks(odb, oid)]


def stored(odb: Odb) -> int:
    return sum(size for _, _, size in odb.iter_oids())


@pytest.mark.spec("STO-30", "STO-31")
@pytest.mark.parametrize("length", [4 * M, 4 * M + 1, 9 * M, 40 * M + 5])
def test_round_trip(odb: Odb, tmp_path: Path, length: int) -> None:
    data = made(length)
    (tmp_path / "file").write_bytes(data)
    oid, size = odb.write_blob_file(str(tmp_path / "file"))
    assert (oid, size, odb.size(oid), odb.kind(oid)) == (digest("blob", data), length, length, "blob")
    assert odb.read(oid, "blob") == data
    pieces = list(odb.iter_blob(oid))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 4 * M
    parts = list(blobs.chunks(odb, oid))
    assert (parts == []) == (length <= 4 * M)
    assert b"".join(odb.read(part, "blob") for part in parts) == (data if parts else b"")
    assert all(odb.size(part) <= 4 * M for part in parts)
    assert odb.write("blob", data) == oid


def test_of_a_small_blob_nothing_is_read_for_its_chunks() -> None:
    assert list(blobs.chunks(Odb(MemoryBackend()), Oid("0" * 64), 4 * M)) == []


def test_text_is_compressed_and_what_cannot_be_is_not(odb: Odb) -> None:
    text = b"".join(b"%d,some words of a line,%d\n" % (i, i % 977) for i in range(300_000))
    odb.write("blob", text)
    assert stored(odb) < len(text) / 3
    before, data = stored(odb), made(9 * M)
    odb.write("blob", data)
    assert 0 < stored(odb) - before - len(data) < 4 * K


@pytest.mark.spec("STO-30")
def test_versions_and_files_share_what_they_have_in_common(odb: Odb) -> None:
    data = made(64 * M)
    odb.write("blob", data)
    before = stored(odb)
    odb.write("blob", data[: 31 * M] + b"a line more\n" + data[31 * M :])
    assert stored(odb) - before < 6 * M
    before = stored(odb)
    odb.write("blob", made(5 * M, 2) + data[10 * M : 50 * M])  # another file with a part of this one
    assert stored(odb) - before < 12 * M
    before = stored(odb)
    odb.write("blob", bytes(100 * M))
    assert stored(odb) - before < 20 * K


# Ranges


FAR = Odb(Counting())
BIG = made(20 * M, 3)
BIG_OID = FAR.write("blob", BIG)


@pytest.mark.spec("STO-31")
@settings(max_examples=60)
@given(st.integers(0, len(BIG) + 10), st.integers(0, 3 * M))
def test_a_range_touches_its_chunks_alone(start: int, length: int) -> None:
    assert isinstance(FAR.backend, Counting)
    ends, FAR.backend.read = [], []
    assert FAR.read_range(BIG_OID, start, length) == BIG[start : start + length]
    read, FAR.backend.read = FAR.backend.read, []
    _, found = FAR.load(BIG_OID)
    assert isinstance(found, chunks.ChunkList)
    ends = [object_key(c.oid) for c in found if c.start < start + length and c.end > start and length]
    assert sorted(read) == sorted([object_key(BIG_OID), *ends])


def test_ranges_of_small_blobs_and_wrong_ranges(odb: Odb) -> None:
    oid = odb.write("blob", b"0123456789")
    assert [odb.read_range(oid, *r) for r in ((0, 3), (8, 5), (20, 5), (2, 0))] == [b"012", b"89", b"", b""]
    for wrong in ((-1, 3), (1, -3)):
        with pytest.raises(Usage):
            odb.read_range(oid, *wrong)
    node = odb.write("node", b"{}")
    with pytest.raises(Corrupt, match="node where a blob"):
        odb.read_range(node, 0, 1)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, len(BIG)), st.integers(0, 100_000)), max_size=8))
def test_an_open_blob_is_a_file(steps: list[tuple[int, int, int]]) -> None:
    plain, file = io.BytesIO(BIG), FAR.open_blob(BIG_OID)
    for whence, offset, length in steps:
        offset = -offset if whence == io.SEEK_END else offset // 10 if whence == io.SEEK_CUR else offset
        assert file.seek(offset, whence) == plain.seek(offset, whence)
        assert file.read(length) == plain.read(length)
        assert file.tell() == plain.tell()
    file.seek(0)
    assert file.read() == BIG


def test_parquet_in_a_blob_is_read_where_it_is() -> None:
    """The end and the columns asked for, not the whole file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: np.random.default_rng(i).integers(0, 2**62, 700_000) for i, name in enumerate("abcd")}
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, use_dictionary=False, compression="none")
    odb = Odb(backend := Counting())
    oid = odb.write("blob", out.getvalue())
    everything = len(keys(odb, oid))
    backend.read = []
    table = pq.read_table(odb.open_blob(oid), columns=["b"])
    assert table["b"].to_numpy().tolist() == columns["b"].tolist()
    assert len(set(backend.read)) < everything * 2 / 3


# What goes wrong


class Broken(io.BytesIO):
    def readinto(self, buffer: object) -> int:  # type: ignore[override]
        if self.tell() > 30 * M:
            raise OSError(5, "Input/output error")
        return super().readinto(buffer)  # type: ignore[arg-type]


@pytest.mark.spec("STO-9")
def test_a_source_that_fails_leaves_no_list(odb: Odb) -> None:
    with pytest.raises(Storage, match="Input/output error"):
        odb.write_blob_file(Broken(made(50 * M)))
    assert all(odb.size(oid) <= 4 * M for _, oid, _ in odb.iter_oids())


@pytest.mark.spec("STO-9")
def test_a_store_that_fails_in_the_middle_gets_no_list_and_goes_on_where_it_was() -> None:
    backend, data = Counting(), made(50 * M)
    odb = Odb(backend)

    def full(key: str, data: bytes) -> None:
        if len(backend.written) >= 20:
            raise Storage("the disk is full", "free some space")
        Counting.put(backend, key, data)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "put", full)
        with pytest.raises(Storage, match="full"):
            odb.write("blob", data)
    there = list(backend.written)
    assert len(there) >= 20
    assert all(odb.size(oid) <= 4 * M for _, oid, _ in odb.iter_oids())
    oid = odb.write("blob", data)
    assert len(backend.written) == len(set(backend.written)), "a chunk that was there was written again"
    assert backend.written[-1] == object_key(oid), "the list is last"
    assert sorted(backend.written[:-1]) == sorted(keys(odb, oid))


@pytest.mark.spec("STO-9")
def test_a_kill_leaves_chunks_that_need_not_be_written_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(made(120 * M))
    code = (
        "import os, sys, time, threading\n"
        "from dpkg.odb import Odb\nfrom dpkg.store.local import LocalBackend\n"
        "backend = LocalBackend(sys.argv[2])\nadopt, n = backend.adopt, [0]\n"
        "def counted(key, file):\n    n[0] += 1\n    if n[0] > 40:\n        os._exit(9)\n    adopt(key, file)\n"
        "backend.adopt = counted\nOdb(backend).write_blob_file(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file"), str(tmp_path / "s")], check=False)
    assert done.returncode == 9
    odb = Odb(LocalBackend(str(tmp_path / "s")))
    there = {oid for _, oid, _ in odb.iter_oids()}
    assert len(there) >= 39
    assert all(odb.size(oid) <= 4 * M for oid in there)
    times = {oid: os.stat(odb.backend.local_path(object_key(oid)) or "").st_ino for oid in there}
    oid, _ = odb.write_blob_file(str(tmp_path / "file"))
    assert {o: os.stat(odb.backend.local_path(object_key(o)) or "").st_ino for o in there} == times
    assert there < set(blobs.chunks(odb, oid))
    assert b"".join(odb.iter_blob(oid)) == (tmp_path / "file").read_bytes()


def forged(odb: Odb, oid: Oid, parts: list[tuple[Oid, int]]) -> None:
    odb.put_frame(oid, chunks.pack(parts))


@pytest.mark.spec("STO-31")
def test_damaged_and_missing_chunks_are_named(odb: Odb) -> None:
    data = made(20 * M)
    oid = odb.write("blob", data)
    where = keys(odb, oid)
    good = odb.backend.get(where[4])
    bad = {
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "cut off": good[:-1],
        "empty": b"",
        "another blob": frame.pack("blob", b"x"),
        "no blob": frame.pack("node", b"{}"),
        "a list": odb.backend.get(object_key(oid)),
    }
    for what, frame_bytes in [*bad.items(), ("missing", None)]:
        if frame_bytes is None:
            odb.backend.delete(where[4])
        else:
            odb.backend.put(where[4], frame_bytes)
        for read in (
            lambda: odb.read(oid, "blob"),
            lambda: b"".join(odb.iter_blob(oid)),
            lambda: odb.read_range(oid, 0, len(data)),
            lambda: odb.open_blob(oid).read(),
        ):
            with pytest.raises(NotFound if what == "missing" else Corrupt, match=oid) as caught:
                read()
                pytest.fail(what)
            assert where[4].replace("/", "")[7:] in caught.value.message.replace("/", "")
            assert caught.value.hint
        assert odb.read_range(oid, 0, 100) == data[:100]


@pytest.mark.spec("STO-31")
def test_a_list_of_another_blobs_chunks(odb: Odb) -> None:
    """Each chunk is right; all together they are not the blob: the last piece never comes."""
    parts = [(odb.write("blob", made(2 * M, i)), 2 * M) for i in range(4)]
    oid = Oid("77" * 32)
    forged(odb, oid, parts)
    got = b""
    with pytest.raises(Corrupt, match=oid):
        for piece in odb.iter_blob(oid):
            got += piece
    assert len(got) == 6 * M


# From store to store


NEAR: dict[str, Callable[[], Backend]] = {"far": Counting, "near": lambda: MemoryBackend("near")}


@pytest.fixture
def source() -> Odb:
    return Odb(Counting())


@pytest.fixture(params=["folder", "far"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Odb:
    return Odb(LocalBackend(str(tmp_path / "target")) if request.param == "folder" else Counting())


@pytest.mark.spec("STO-9", "STO-31")
@pytest.mark.parametrize("packing", [False, True])
def test_copying_moves_what_is_lacking(source: Odb, target: Odb, packing: bool) -> None:
    data = made(60 * M)
    first = source.write("blob", data)
    second = source.write("blob", data[: 20 * M] + b"changed" + data[20 * M :])
    if packing:
        with target.packing():
            assert copy_blob(source, target, first, len(data)) > 60 * M
            assert copy_blob(source, target, second, len(data) + 7) < 6 * M
            target.sync()
    else:
        assert copy_blob(source, target, first, len(data)) > 60 * M
        assert copy_blob(source, target, second, None) < 6 * M
    assert b"".join(target.iter_blob(first)) == data
    assert copy_blob(source, target, first, len(data)) == 0
    assert {oid for _, oid, _ in target.iter_oids()} == {oid for _, oid, _ in source.iter_oids()}


def test_copying_goes_on_where_it_was_and_mends(source: Odb, target: Odb) -> None:
    """Chunks that are there stay; one that is lacking under a list that is there comes; in a folder so does a damaged one."""
    data = made(30 * M)
    oid = source.write("blob", data)
    copy_blob(source, target, oid, len(data))
    where = keys(target, oid)
    target.backend.delete(where[3])
    if target.backend.local_path("x"):
        target.backend.put(where[5], b"x" * 100)
    copy_blob(source, target, oid, len(data))
    assert b"".join(target.iter_blob(oid)) == data


@pytest.mark.spec("STO-31")
def test_what_is_forged_is_not_kept(source: Odb, target: Odb) -> None:
    parts = [(source.write("blob", made(2 * M, i)), 2 * M) for i in range(4)]
    whole = digest("blob", b"".join(made(2 * M, i) for i in range(4)))
    nodes = source.write("node", b"{}")
    absent = Oid("5" * 64)
    lists: dict[str, tuple[Oid, list[tuple[Oid, int]], int | None]] = {
        "another blob's chunks": (Oid("1" * 64), parts, 8 * M),
        "in another order": (whole, parts[::-1], 8 * M),
        "a size that lies": (whole, parts, 8 * M + 1),
        "of a size that is small": (whole, parts, 5 * M),
        "names itself": (whole, [(whole, 2 * M)] * 4, 8 * M),
        "a missing chunk": (whole, [*parts[:3], (absent, 2 * M)], 8 * M),
        "a chunk that is a node": (whole, [*parts[:3], (nodes, 2 * M)], 8 * M),
        "a chunk that is shorter": (whole, [*parts[:3], (parts[0][0], 2 * M + 1)], None),
        "a chunk that is longer": (whole, [*parts[:3], (parts[0][0], M)], None),
    }
    for what, (oid, listed, size) in lists.items():
        forged(source, oid, listed)
        with pytest.raises((Corrupt, NotFound)) as caught:
            copy_blob(source, target, oid, size)
            pytest.fail(what)
        assert source.backend.url in caught.value.message
        assert caught.value.hint
        assert not target.has(oid), what
    forged(source, whole, parts)
    copy_blob(source, target, whole, 8 * M)
    assert target.size(whole) == 8 * M


def test_a_bomb_among_the_chunks(source: Odb, target: Odb) -> None:
    import zstandard
    from blake3 import blake3

    oid = source.write("blob", made(8 * M))
    key = keys(source, oid)[2]
    length = source.size(list(blobs.chunks(source, oid))[2])
    bomb = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(300 * M))
    start = b"dpkgobj\0" + bytes([0, 1, 1]) + bytes(5) + length.to_bytes(8, "little") + len(bomb).to_bytes(8, "little")
    source.backend.put(key, start + blake3(start + blake3(bomb).digest()).digest() + bomb)
    with pytest.raises(Corrupt, match="more bytes"):
        copy_blob(source, target, oid, 8 * M)
    with pytest.raises(Corrupt, match="more bytes"):
        source.read(oid, "blob")


# Memory


@pytest.mark.long
def test_a_file_larger_than_memory(tmp_path: Path) -> None:
    """2.5 GB through a process that may take 700 MB: written, copied, and read."""
    with open(tmp_path / "file", "wb") as out:
        for i in range(2500):
            out.write(random.Random(i % 900).randbytes(1_000_000))
    code = (
        "import resource, sys\n"
        "from dpkg.transfer.copying import copy_blob\nfrom dpkg.odb import Odb\nfrom dpkg.store.local import LocalBackend\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (700 << 20, 700 << 20))\n"
        "one, two = (Odb(LocalBackend(f'{sys.argv[2]}/{n}')) for n in 'ab')\n"
        "with one.packing():\n    oid, size = one.write_blob_file(sys.argv[1])\n"
        "with two.packing():\n    copy_blob(one, two, oid, size)\n"
        "assert sum(map(len, two.iter_blob(oid))) == size == 2_500_000_000\n"
        "import re\nprint(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"  # ru_maxrss is inherited
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "file"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 400 << 10
