"""dpkg gives what every vector of packs expects."""

from __future__ import annotations

from pathlib import Path

import pytest
import reader
from vector_cases import Case, cases, refused

from dpkg.errors import Corrupt, NotFound
from dpkg.objects import pack
from dpkg.odb import Odb, packfile
from dpkg.odb.layout import pack_key
from dpkg.oid import Oid, digest
from dpkg.store.memory import MemoryBackend


@pytest.mark.spec("STO-16", "STO-17", "STO-32")
@pytest.mark.parametrize("case", cases("packs"))
def test_packs(case: Case, tmp_path: Path) -> None:
    """A pack that is taken in, and one that is already there."""
    data, pack_id, expected = reader.pieces(case["input"]["pieces"]), Oid(case["input"]["id"]), case["expected"]
    path = tmp_path / f"{pack_id}.pack"
    path.write_bytes(data)
    with packfile.opened(str(path)) as found:

        def check() -> list[pack.Packed]:
            packfile.check_name(str(path), found.id())
            entries = found.layout()
            for entry in entries:
                found.check(entry)
            return entries

        if refused(expected, check):
            return
        entries = check()
    shown = [{"oid": e.oid, "kind": e.kind, "offset": e.offset, "size": e.size, "length": e.length} for e in entries]
    assert shown == expected["objects"]
    backend = MemoryBackend()
    backend.put(pack_key(pack_id), data)
    odb = Odb(backend)
    listed = [(place, oid) for place, oid, _ in odb.iter_oids()]
    assert sorted(oid for _, oid in listed) == sorted(e.oid for e in entries)
    assert {oid for place, oid in listed if place == "fragment"} == {e.oid for e in entries if e.kind == "fragment"}
    for e in entries:
        if e.kind == "fragment":
            assert odb.read_fragment_file(e.oid) == data[e.offset + 64 : e.offset + e.size]
            assert odb.has_fragment(e.oid)
            assert not odb.has(e.oid)
            continue
        kind, payload = odb.read_any(e.oid)
        assert (kind, digest(kind, payload)) == (e.kind, e.oid)
    made = pack.make((e.oid, data[e.offset : e.offset + e.size]) for e in entries)
    assert made[:2] == (pack_id, data)


@pytest.mark.spec("STO-17")
@pytest.mark.parametrize("case", cases("packs"))
def test_objects_of_any_pack(case: Case) -> None:
    """What a pack may be, an object read from it is the one that was asked for, or it is damaged or not there."""
    backend = MemoryBackend()
    backend.put(pack_key(Oid(case["input"]["id"])), reader.pieces(case["input"]["pieces"]))
    odb = Odb(backend)
    for data in (b"hello", b"", b"a" * 100):
        try:
            assert odb.read(digest("blob", data), "blob") == data
        except (Corrupt, NotFound):
            assert digest("blob", data) not in [e["oid"] for e in case["expected"].get("objects", ())]
