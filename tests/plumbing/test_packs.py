"""pack-objects, index-pack, verify-pack, unpack-objects: packs are made, checked, taken in and taken apart."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

import dpkg
from dpkg.errors import Corrupt, DpkgError, Format
from dpkg.objects import frame, pack
from dpkg.odb import fragment_key, object_key
from dpkg.odb.layout import pack_key
from dpkg.odb.packfile import PackWriter, reading
from dpkg.oid import Oid, digest
from dpkg.repository import Repository
from dpkg.store.local import LocalBackend


@pytest.fixture
def listed(dpk: Callable[..., Any], sales: Any) -> list[str]:
    """What acme/sales reaches, `TYPE OID` each."""
    return dpk("rev-list", "--objects", "acme/sales").out.splitlines()


@pytest.fixture
def packed(dpk: Callable[..., Any], listed: list[str]) -> str:
    """The id of the pack `a.pack` of all objects of acme/sales."""
    line = dpk("pack-objects", "-o", "a.pack", stdin="\n".join(listed).encode()).out.splitlines()[-1]
    return str(line.split()[1])


def objects(listed: list[str]) -> list[str]:
    return [line.split()[1] for line in listed]


def keys(url: str, prefix: str) -> list[str]:
    return [stat.key for stat in LocalBackend(url).list(prefix)]


def forged(data: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """A pack with other records in its index, whose digest is right."""
    at = len(data) - pack.TRAILER.size - pack.index_length(data, len(data))
    records = data[at : -pack.TRAILER.size]
    joined = b"".join(change([records[i : i + 64] for i in range(0, len(records), 64)]))
    return data[:at] + joined + pack.trailer(joined)


# pack-objects


@pytest.mark.parametrize("named", ["TYPE OID", "OID"])
def test_objects_and_small_fragments_are_packed_in_their_order(
    dpk: Callable[..., Any], sales: Any, listed: list[str], named: str
) -> None:
    lines = listed if named == "TYPE OID" else [line.split()[1] for line in listed]
    out = dpk("pack-objects", stdin="".join(f"{line}\n{line}\n" for line in lines).encode()).out.splitlines()
    assert out[:-1] == []
    (key,) = keys(sales.url, "packs/")
    data = Path(sales.url, key).read_bytes()
    assert out[-1] == f"pack {blake3(data).hexdigest()} {len(objects(listed))} {len(data)}"
    assert key == pack_key(Oid(out[-1].split()[1]))
    shown = [line.split() for line in dpk("verify-pack", "-v").out.splitlines()]
    assert [oid for oid, *_ in shown[:-1]] == objects(listed)
    assert [f"{kind} {oid}" for oid, kind, *_ in shown[:-1]] == listed
    assert {kind for _, kind, *_ in shown[:-1]} == {"commit", "node", "table", "blob", "fragment"}
    for oid, _, length, size, offset in shown[:-1]:
        assert sales.repository.odb.size(Oid(oid)) == int(length)
        assert frame.check(data[int(offset) : int(offset) + int(size)])[0].length == int(length)
    for kind, oid in map(str.split, listed):  # the loose ones are not needed then
        Path(sales.url, (fragment_key if kind == "fragment" else object_key)(Oid(oid))).unlink()
    assert dpk("verify-object", "--stdin", stdin="\n".join(listed).encode()).code == 0


def test_a_pack_in_a_file_is_the_same_pack(dpk: Callable[..., Any], sales: Any, listed: list[str], packed: str) -> None:
    assert blake3(Path("a.pack").read_bytes()).hexdigest() == packed
    assert keys(sales.url, "packs/") == []
    dpk("pack-objects", *objects(listed), "-o", "folder/")
    assert Path("folder", f"{packed}.pack").read_bytes() == Path("a.pack").read_bytes()
    assert sorted(os.listdir()) == ["a.pack", "folder"]
    assert dpk("pack-objects", *objects(listed)).out.split()[1] == packed


def test_more_objects_than_a_pack_holds(
    dpk: Callable[..., Any], listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "MOST_OBJECTS", 4)
    found = objects(listed)
    assert "name a folder" in dpk("pack-objects", *found, "-o", "a.pack", code=2).err
    assert os.listdir() == []
    made = dpk("pack-objects", *found, "-o", "folder/", "--json").lines
    assert [m["objects"] for m in made] == [4] * (len(found) // 4) + [len(found) % 4] * bool(len(found) % 4)
    assert {f"{m['id']}.pack" for m in made} == set(os.listdir("folder"))
    assert [m["id"] for m in dpk("pack-objects", *found, "--json").lines] == [m["id"] for m in made]


def test_what_is_missing_or_damaged_is_not_packed(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    found = objects(listed)
    assert "f" * 64 in dpk("pack-objects", found[0], "f" * 64, code=3).err
    dpk("pack-objects", "not an oid", code=2)
    dpk("pack-objects", stdin=b"not an oid\n", code=7)
    path = Path(sales.url, object_key(Oid(found[1])))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for place in ([], ["-o", "a.pack"]):
        assert found[1] in dpk("pack-objects", *found, *place, code=6).err
    assert keys(sales.url, "packs/") == []
    assert os.listdir() == []


def test_nothing_to_pack_makes_no_pack(dpk: Callable[..., Any], sales: Any) -> None:
    assert dpk("pack-objects", stdin=b"").out == ""
    assert dpk("pack-objects", "-o", "a.pack", stdin=b"").out == ""
    assert os.listdir() == []


# index-pack


@pytest.mark.parametrize("through", ["file", "stdin", "name of its id"])
def test_a_pack_from_elsewhere_is_taken_in(
    dpk: Callable[..., Any], sales: Any, listed: list[str], packed: str, through: str
) -> None:
    data = Path("a.pack").read_bytes()
    Path(f"{packed}.pack").write_bytes(data)
    named = {"file": ["a.pack"], "stdin": ["--stdin"], "name of its id": [f"{packed}.pack"]}[through]
    out = dpk("index-pack", *named, "--store", "./other", stdin=data).out
    assert out == f"pack {packed} {len(objects(listed))} {len(data)}\n"
    other = Repository("./other").odb
    assert sorted(oid for _, oid, _ in other.iter_oids()) == sorted(objects(listed))
    fragments = [line.split()[1] for line in listed if line.startswith("fragment")]
    assert [oid for place, oid, _ in other.iter_oids() if place == "fragment"] == sorted(fragments) != []
    assert keys(other.backend.url, "") == ["format", pack_key(Oid(packed))]
    assert os.listdir("other/tmp") == []
    commit = objects(listed)[0]
    dpk("fetch-objects", sales.url, "--store", "./other", stdin="\n".join(listed).encode())
    dpk("update-ref", "acme/copy", commit, "none", "--store", "./other")
    assert dpk("verify", "--deep", "--store", "./other").code == 0


def test_a_pack_goes_through_a_bucket(
    dpk: Callable[..., Any], sales: Any, listed: list[str], packed: str, s3_url: str
) -> None:
    assert packed in dpk("index-pack", "a.pack", "--store", s3_url).out
    assert dpk("verify-pack", packed, "-v", "--store", s3_url).out.splitlines()[-1] == f"ok {packed}"
    dpk("unpack-objects", packed[:8], "--store", s3_url)
    remote = Repository(s3_url).odb
    for kind, oid in map(str.split, listed):
        assert (remote.fragments.size if kind == "fragment" else remote.frames.loose_size)(Oid(oid)) > 0
    assert dpk("pack-objects", *objects(listed), "--store", s3_url).out.split()[1] == packed
    dpk("pack-objects", *objects(listed), "-o", "b.pack", "--store", s3_url)
    assert Path("a.pack").read_bytes() == Path("b.pack").read_bytes()


def hostile(data: bytes) -> dict[str, tuple[bytes, int, str]]:
    """Packs that must not be taken in, with the exit code, and what is said."""
    size = len(data)

    def patched(at: int, value: int) -> Callable[[list[bytes]], list[bytes]]:
        return lambda rs: [rs[0][:at] + value.to_bytes(8, "little") + rs[0][at + 8 :], *rs[1:]]

    index = pack.parse_tail(data[-pack.TAIL :], size)
    first = min(index, key=lambda e: e.offset)
    flipped = bytearray(data)
    flipped[first.offset + first.size - 1] ^= 1
    count = bytearray(data)
    count[size - 56 : size - 48] = (2**63).to_bytes(8, "little")
    return {
        "no pack": (b"PACK" + bytes(100), 7, "is not a pack"),
        "nothing": (b"", 7, "is not a pack"),
        "only magic": (b"dpkgpack", 6, "cut off"),
        "cut off": (data[:-1], 6, "trailer"),
        "cut in the middle": (data[: size // 2], 6, "trailer"),
        "a byte more": (data + b"\0", 6, "trailer"),
        "huge count": (bytes(count), 6, "cannot hold"),
        "a flipped byte": (bytes(flipped), 6, f"object {first.oid} is damaged"),
        "an object twice": (forged(data, lambda rs: [rs[0], *rs]), 6, "not sorted"),
        "an object less": (forged(data, lambda rs: rs[1:]), 6, "index is wrong"),
        "an offset beyond": (forged(data, patched(40, 2**62)), 6, "index is wrong"),
        "a size beyond": (forged(data, patched(48, 2**62)), 6, "index is wrong"),
        "a length that lies": (forged(data, patched(56, 2**62)), 6, "index says otherwise"),
        "an oid that lies": (
            forged(data, lambda rs: sorted([b"\0" * 32 + rs[0][32:], *rs[1:]])),
            6,
            "is damaged",
        ),
        "a kind that lies": (
            forged(data, lambda rs: [rs[0][:32] + bytes([rs[0][32] % 5 + 1]) + rs[0][33:], *rs[1:]]),
            6,
            "index says otherwise",
        ),
    }


@pytest.mark.spec("STO-17")
def test_hostile_packs_are_refused_in_words(dpk: Callable[..., Any], sales: Any, packed: str) -> None:
    for name, (data, code, said) in hostile(Path("a.pack").read_bytes()).items():
        Path("bad.pack").write_bytes(data)
        ran = dpk("index-pack", "bad.pack", "--store", "./other", code=code)
        assert said in ran.err, name
        assert "bad.pack" in ran.err
        assert dpk("index-pack", "-", "--store", "./other", stdin=data, code=code).err
        assert dpk("unpack-objects", "bad.pack", "--store", "./third", code=code).err.count("dpk: ") == 1
        assert dpk("verify-pack", "bad.pack", code=code).code == code
        assert keys("other", "") == ["format"], name
        assert os.listdir("other/tmp") == [], name
        if code == 6:
            (line,) = {line.partition(" ")[0] for line in dpk("verify-pack", "bad.pack", code=6).out.splitlines()}
            assert line == "damaged"


@given(st.data())
def test_no_bytes_are_taken_for_a_pack_that_are_none(data: st.DataObject) -> None:
    """Whatever the bytes: our own errors only, and nothing is stored."""
    from tempfile import TemporaryDirectory

    blobs = data.draw(st.lists(st.binary(max_size=100), min_size=1, max_size=5, unique=True))
    whole = pack.make((digest("blob", b), frame.pack("blob", b)) for b in blobs)[1]
    at = data.draw(st.integers(0, len(whole) - 1))
    bad = whole[:at] + data.draw(st.binary(min_size=1, max_size=20)) + whole[at + data.draw(st.integers(0, 30)) :]
    with TemporaryDirectory() as folder:
        Path(folder, "bad.pack").write_bytes(bad)
        if bad == whole:
            return
        with pytest.raises((Corrupt, Format)):
            list(dpkg.plumbing.index_pack(f"{folder}/bad.pack", store=f"{folder}/store"))
        assert keys(f"{folder}/store", "") == ["format"]
        for item in dpkg.plumbing.unpack_objects(f"{folder}/bad.pack", recover=True, store=f"{folder}/store"):
            assert item.what == "damaged" or item.oid in {digest("blob", b) for b in blobs}


def test_a_pack_of_another_name_is_refused(dpk: Callable[..., Any], packed: str) -> None:
    os.rename("a.pack", f"{'0' * 64}.pack")
    assert packed in dpk("index-pack", f"{'0' * 64}.pack", "--store", "./other", code=6).err
    assert dpk("verify-pack", f"./{'0' * 64}.pack", code=6).out.startswith(f"damaged ./{'0' * 64}.pack ")


def test_those_before_a_damaged_pack_are_stored(dpk: Callable[..., Any], packed: str) -> None:
    Path("bad.pack").write_bytes(Path("a.pack").read_bytes()[:-1])
    ran = dpk("index-pack", "a.pack", "bad.pack", "--store", "./other", code=6)
    assert ran.out.startswith(f"pack {packed} ")
    assert keys("other", "packs/") == [pack_key(Oid(packed))]
    dpk("index-pack", code=2)
    dpk("index-pack", "none.pack", "--store", "./other", code=3)
    dpk("index-pack", ".", "--store", "./other", code=8)


LIMITED = """
import resource, sys
import dpkg.cli.main as m
from dpkg.cli import commands
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
sys.exit(m.main(sys.argv[2:]))
"""


def limited(*args: str) -> subprocess.CompletedProcess[str]:
    """A command in a process that may take 400 MB of address space more than an idle one."""
    most = 400 << 20
    code = [sys.executable, "-c", LIMITED, str(most), *args]
    return subprocess.run(code, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux" or not hasattr(resource, "RLIMIT_AS"), reason="limits of Linux")
def test_packs_may_be_larger_than_memory(dpk: Callable[..., Any], store: Any) -> None:
    """600 MiB of blobs, and a frame that says that it has as much."""
    odb = store.repository.odb
    oids = []
    with open("large.pack", "w+b") as out:
        writer = PackWriter(out, "large.pack")
        for i in range(150):
            payload = random.Random(i).randbytes(4 << 20)
            oids.append(digest("blob", payload))
            writer.add(oids[-1], reading(data := frame.pack("blob", payload)), len(data))
        writer.end()
    write_plain_pack("forged.pack", 600 << 20)
    for command in (["index-pack", "large.pack"], ["verify-pack", "large.pack"], ["unpack-objects", "large.pack"]):
        ran = limited(*command, "--store", store.url)
        assert (ran.returncode, ran.stderr) == (0, ""), command
    assert all(odb.has(oid) for oid in oids)
    ran = limited("index-pack", "forged.pack", "--store", store.url)
    assert ran.returncode == 6
    assert "in one piece" in ran.stderr


def write_plain_pack(path: str, length: int) -> Oid:
    """A pack of one blob of zeros that is not compressed, in a sparse file."""
    header = frame.Header("blob", frame.NONE, length, length, bytes(32)).pack()
    blob = blake3()
    for _ in range(length >> 20):
        blob.update(bytes(1 << 20))
    sealed = blake3(header[:32] + blob.digest())
    records = pack.RECORD.pack(blob.digest(), 1, bytes(7), 16, 64 + length, length)
    with open(path, "wb") as file:
        file.write(pack.HEADER.pack(pack.MAGIC, pack.VERSION, bytes(7)) + header[:32] + sealed.digest())
        file.seek(length, os.SEEK_CUR)
        file.write(records + pack.trailer(records))
    return Oid(blob.hexdigest())


# verify-pack


@pytest.mark.spec("STO-16", "STO-17")
def test_damaged_packs_of_a_store_are_named(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    ids = [dpk("pack-objects", *part).out.split()[1] for part in (objects(listed)[:3], objects(listed)[3:])]
    assert dpk("verify-pack").out == ""
    assert dpk("verify-pack", "-v", *ids).out.splitlines()[-1] == f"ok {ids[1]}"
    assert dpk("verify-pack", "-v", ids[0][:10]).out.splitlines()[-1] == f"ok {ids[0]}"
    path = Path(sales.url, pack_key(Oid(ids[0])))
    data = bytearray(path.read_bytes())
    for at, said in ((100, "not of the one that its name says"), (-1, "index does not match its digest")):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at:][1:])
        ran = dpk("verify-pack", code=6)
        assert ran.out.startswith(f"damaged {ids[0]} ")
        assert said in ran.out
        assert ran.out.count("\n") == 1
    assert dpk("verify-pack", "--json", code=6).lines[0]["what"] == "damaged"
    assert dpk("verify-pack", ids[1]).code == 0
    dpk("verify-pack", "0" * 64, code=3)
    dpk("verify-pack", "none.pack", code=3)


def test_files_need_no_store(dpk: Callable[..., Any], packed: str) -> None:
    shown = dpk("verify-pack", "-v", "a.pack", "--store", "./none").out
    assert shown.endswith("\nok a.pack\n")
    dpk("verify-pack", packed, "--store", "./none", code=3)


def test_ids_are_completed(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    from dpkg.cli.complete import FILES, candidates

    pack_id = dpk("pack-objects", *objects(listed)).out.split()[1]
    for command in ("verify-pack", "unpack-objects"):
        found = list(candidates([command, pack_id[:3]]))
        assert FILES in found
        assert [f.value for f in found if f != FILES] == [pack_id]


# unpack-objects


@pytest.mark.parametrize("through", ["file", "stdin", "id"])
def test_objects_of_a_pack_become_files(
    dpk: Callable[..., Any], sales: Any, listed: list[str], packed: str, through: str
) -> None:
    data = Path("a.pack").read_bytes()
    args = {"file": ["a.pack"], "stdin": [], "id": [packed[:6]]}[through]
    if through == "id":
        dpk("index-pack", "a.pack", "--store", "./other")
    else:
        Repository("./other", create=True)
    tried = dpk("unpack-objects", *args, "-n", "--store", "./other", stdin=data).out
    assert keys("other", "objects/") == []
    assert dpk("unpack-objects", *args, "--store", "./other", stdin=data).out == tried
    assert [line.rpartition(" ")[0] for line in tried.splitlines()] == [f"unpacked {line}" for line in listed]
    files = [(fragment_key if kind == "fragment" else object_key)(Oid(oid)) for kind, oid in map(str.split, listed)]
    for key in files:
        assert Path("other", key).read_bytes() == Path(sales.url, key).read_bytes()
    assert keys("other", "objects/") + keys("other", "fragments/") == sorted(
        files, key=lambda key: (key[0] == "f", key)
    )


@pytest.mark.parametrize("harm", ["a frame", "a frame's header", "the index", "cut off"])
def test_what_is_whole_of_a_damaged_pack_is_recovered(
    dpk: Callable[..., Any], listed: list[str], packed: str, harm: str
) -> None:
    data = bytearray(Path("a.pack").read_bytes())
    found = sorted(pack.parse_tail(bytes(data[-pack.TAIL :]), len(data)), key=lambda e: e.offset)
    lost, size = found[2], len(data)
    if harm == "cut off":
        lost = found[-1]
        del data[lost.offset + 100 :]
    else:
        data[
            {"a frame": lost.offset + lost.size - 1, "a frame's header": lost.offset + 10, "the index": size - 100}[
                harm
            ]
        ] ^= 1
    Path("bad.pack").write_bytes(data)
    dpk("unpack-objects", "bad.pack", "--store", "./first", code=6)
    ran = dpk("unpack-objects", "-r", "bad.pack", "--store", "./other", code=6)
    assert "damaged " in ran.out
    whole = [e.oid for e in found if harm == "the index" or e != lost]
    assert sorted(oid for _, oid, _ in Repository("./other").odb.iter_oids()) == sorted(whole)
    assert dpk("verify-object", *whole, "--store", "./other").code == 0


def test_a_store_that_fails_is_said(dpk: Callable[..., Any], packed: str) -> None:
    with pytest.raises(DpkgError):
        list(dpkg.plumbing.unpack_objects("a.pack", store="http://127.0.0.1:1/none"))
