"""Fragments: files of their own, or in packs where they are small and many; either way they are the same fragments."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import dpkg
from dpkg.arrow import fragment
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.errors import Corrupt, Denied, NotFound
from dpkg.objects import frame
from dpkg.odb import Odb, fragment_key, places
from dpkg.odb.fragments import SMALL
from dpkg.odb.layout import pack_key
from dpkg.odb.packing import FEW
from dpkg.odb.packs import Found
from dpkg.oid import Oid, digest
from dpkg.repository import Repository
from dpkg.store.local import LocalBackend
from dpkg.store.memory import MemoryBackend

PKG = "acme/tables"


def files(count: int, values: int = 3) -> dict[Oid, bytes]:
    """Fragments of one column, with their files."""
    made = {}
    for i in range(count):
        batch = pa.record_batch({"n": pa.array(random.Random(i).sample(range(1 << 40), values), pa.int64())})
        schema = Schema.from_arrow(batch.schema)
        found = fragment.make(list(normalise(batch, schema)), schema)
        made[found.entry.oid] = fragment.encode(found, schema)
    return made


def stored(odb: Odb, found: dict[Oid, bytes]) -> None:
    with odb.packing():
        for oid, data in found.items():
            odb.write_fragment_file(oid, data)
            assert odb.has_fragment(oid)
            assert odb.read_fragment_file(oid) == data  # also on its way into a pack
    odb.sync()


def packs(odb: Odb) -> list[str]:
    return [stat.key for stat in odb.backend.list("packs/")]


def damage(odb: Odb, oid: Oid) -> None:
    """Change the last byte of a packed fragment."""
    found = odb.frames.packs.find(oid)
    assert found is not None
    data = bytearray(odb.backend.get(found.key))
    data[found.entry.offset + found.entry.size - 1] ^= 1
    odb.backend.put(found.key, bytes(data))


@pytest.fixture(params=["local", "memory"])
def odb(request: Any, tmp_path: Path) -> Odb:
    return Odb(LocalBackend(str(tmp_path / "store")) if request.param == "local" else MemoryBackend())


@pytest.mark.spec("STO-32")
def test_many_small_ones_are_in_a_pack_and_few_or_large_ones_are_files(odb: Odb) -> None:
    few, many, large = files(5), files(FEW + 10, 5), files(1, 20_000)
    assert all(len(data) > SMALL for data in large.values())
    stored(odb, few)
    assert packs(odb) == []
    stored(odb, many | large)
    assert len(packs(odb)) == 1
    assert {oid for oid, _ in odb.fragments.files()} == few.keys() | large.keys()
    again = Odb(odb.backend)
    everything = few | many | large
    assert [oid for place, oid, _ in again.iter_oids() if place == "fragment"] == sorted(everything)
    for oid, data in everything.items():
        assert again.has_fragment(oid)
        assert again.read_fragment_file(oid) == data
        assert again.fragments.open(oid).read() == data
    stored(again, everything)  # nothing is written twice
    assert len(packs(odb)) == 1


@pytest.mark.spec("STO-32")
def test_a_fragment_is_not_taken_for_an_object(odb: Odb) -> None:
    found = files(FEW + 1)
    stored(odb, found)
    oid = next(iter(found))
    for each in (odb, Odb(odb.backend)):
        assert not each.has(oid)
        assert each.resolve_prefix(oid[:8]) == []
        assert each.fragments.starting(oid[:8]) == [oid]
        assert each.backend.stat(fragment_key(oid)) is None
        with pytest.raises(NotFound, match=oid):
            each.read_any(oid)
    assert not odb.has_fragment(digest("blob", b"x"))


@pytest.mark.spec("STO-32", "STO-17")
def test_a_damaged_packed_copy_is_not_used(odb: Odb) -> None:
    found = files(FEW + 1)
    stored(odb, found)
    oid, data = next(iter(found.items()))
    damage(odb, oid)
    with pytest.raises(Corrupt, match=f"fragment {oid} is damaged in a pack"):
        Odb(odb.backend).read_fragment_file(oid)
    odb.put_fragment_file(oid, data)  # as a repair does
    assert odb.backend.get(fragment_key(oid)) == data
    assert Odb(odb.backend).read_fragment_file(oid) == data


def test_engines_get_a_file_of_a_packed_fragment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odb = Odb(LocalBackend(str(tmp_path / "store")))
    found = files(FEW + 1)
    stored(odb, found)
    (oid, data), (other, _) = list(found.items())[:2]
    path = odb.fragment_path(oid)
    assert path is not None
    assert Path(path).read_bytes() == data
    assert odb.fragment_path(oid) == path

    def refused(*_: object) -> None:
        raise Denied("the folder may not be written to")

    monkeypatch.setattr(odb.backend, "put", refused)
    with pytest.raises(Denied, match="is in a pack, and cannot be written out"):
        odb.fragment_path(other)
    assert Odb(MemoryBackend()).fragment_path(oid) is None


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A store with 40 small tables, and a copy of it in `copy`."""
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "store"))
    make(tmp_path)
    dpkg.push(PKG, str(tmp_path / "copy"))
    return Repository(str(tmp_path / "store"))


def make(folder: Path, note: str = "") -> None:
    (folder / "in").mkdir(exist_ok=True)
    for i in range(40):
        (folder / "in" / f"t{i:02}.csv").write_text(f"id,name\n{i},a{note}\n{i + 1},b\n")
    dpkg.build(PKG, str(folder / "in"))


def packed_fragments(odb: Odb) -> list[Oid]:
    odb.frames.packs.refresh()
    return [entry.oid for entry in odb.frames.packs if entry.kind == frame.FRAGMENT]


def test_a_pack_lives_while_a_fragment_in_it_lives(built: Repository, tmp_path: Path) -> None:
    before = set(packed_fragments(built.odb))
    assert len(before) == 80
    make(tmp_path, "!")
    dpkg.gc(keep_last=1)
    left = set(packed_fragments(Repository(built.url).odb))
    assert len(left) >= 80
    assert dpkg.verify(deep=True).problems == ()
    dpkg.rm(PKG)
    dpkg.gc()
    assert packs(Repository(built.url).odb) == []


@pytest.mark.parametrize("level", [{"quick": True}, {}, {"deep": True}])
def test_damage_of_a_packed_fragment_is_told_and_repaired(built: Repository, tmp_path: Path, level: Any) -> None:
    oid = packed_fragments(built.odb)[3]
    damage(built.odb, oid)
    problems = dpkg.verify(**level).problems
    assert any(oid in problem.message for problem in problems)
    assert any(problem.where.startswith("packs/") for problem in problems)
    done = dpkg.repair(from_=[str(tmp_path / "copy")])
    assert done.problems == ()
    assert dpkg.verify(deep=True).problems == ()
    assert oid in packed_fragments(Repository(built.url).odb)


def test_a_whole_copy_here_repairs_a_damaged_one(built: Repository) -> None:
    first, second = packed_fragments(built.odb)[:2]
    for oid in (first, second):
        assert built.odb.fragment_path(oid)
    damage(built.odb, first)
    Path(built.url, fragment_key(second)).write_bytes(b"damaged")
    problems = dpkg.verify(deep=True).problems
    assert len(problems) == 2  # the pack, and the file
    assert any("another copy of it is whole" in problem.message for problem in problems)
    assert dpkg.repair().problems == ()
    assert dpkg.verify(deep=True).problems == ()


@pytest.mark.spec("STO-11", "STO-10")
def test_wrong_hints_of_places_change_nothing(
    built: Repository, tmp_path: Path, through: str, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dpkg.push(PKG, through)
    (key,) = [r.key for r in proxy.seen("PUT", "/derived/prefetch/")]
    remote = Repository(through).odb
    prefetched = key[key.index("derived/") :]
    held = [*iter_frames(remote.backend.get(prefetched))]
    told = places.decode(frame.unpack(held.pop())[1])
    assert len(told) == 80
    found = list(told.values())
    lies = {
        "others": [Found(f.key, f.entry._replace(oid=g.entry.oid)) for f, g in pairwise(found)],
        "no such pack": [Found(pack_key(Oid("0" * 64)), f.entry) for f in found],
        "elsewhere": [Found(f.key, f.entry._replace(offset=f.entry.offset + 1)) for f in found],
    }
    for entries in lies.values():
        made = [*held, frame.pack("blob", places.encode(entries))]
        remote.backend.put(prefetched, b"".join(made))
        assert sorted(dpkg.load(f"{PKG}/t07", store=through)()["id"]) == [7, 8]
    remote.backend.put(prefetched, b"".join([*held, frame.pack("blob", b"no places")]))
    assert sorted(dpkg.load(f"{PKG}/t07", store=through)()["id"]) == [7, 8]


def iter_frames(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + frame.HEADER.size + frame.parse_header(data[at : at + frame.HEADER.size]).stored
        yield data[at:end]
        at = end


def test_repack_gathers_small_fragments(built: Repository, tmp_path: Path, dpk: Callable[..., Any]) -> None:
    (pack,) = packs(built.odb)
    dpk("unpack-objects", pack.removeprefix("packs/").removesuffix(".pack"))
    Path(built.url, pack).unlink()
    odb = Repository(built.url).odb
    assert len(list(odb.fragments.files())) == 80
    assert dpkg.verify(deep=True).problems == ()
    dpk("repack")
    odb = Repository(built.url).odb
    assert len(packed_fragments(odb)) == 80
    assert list(odb.fragments.files()) == []
    assert dpkg.verify(deep=True).problems == ()
    assert sorted(dpkg.load(f"{PKG}/t07")()["id"]) == [7, 8]
    shown = dpk("ls-fragments", "--paths", f"{PKG}/t07").out.split()
    assert all(Path(path).is_file() for path in shown)
    oid = dpk("ls-fragments", f"{PKG}/t09").out.split()[0]
    assert dpk("cat-fragment", oid[:10]).out.splitlines()[1] == "9,a"
