"""dpkg gives what every vector of stored objects expects: tables, nodes, commits, ref logs, frames."""

from __future__ import annotations

import blake3
import pytest
import reader
from vector_cases import Case, cases, refused

from dpkg import parts as dpkg_parts
from dpkg import refs
from dpkg.errors import Corrupt, DpkgError, NotFound
from dpkg.objects import canonical_json, chunks, frame
from dpkg.objects.commit import Commit
from dpkg.objects.node import Node
from dpkg.odb import Odb, blobs, object_key
from dpkg.oid import Oid, digest
from dpkg.store.memory import MemoryBackend
from dpkg.transfer.copying import copy_blob


@pytest.mark.spec("JSON-6", "OBJ-1", "OID-1", "TYPE-1", "ROW-7", "IDX-1", "IDX-4", "IDX-6")
@pytest.mark.parametrize("case", cases("objects"))
def test_objects(case: Case) -> None:
    from dpkg import tables  # needs Arrow: the other tests here run where it is not (big_endian/run.py)

    kind, data, odb = case["input"]["object"], case["input"]["text"].encode(), Odb(MemoryBackend())
    oid = odb.write(kind, data)

    def read() -> bytes:
        if kind == "node":
            return Node.decode(odb.read(oid, "node")).encode()
        table = tables.read_table_object(odb, oid)
        tables.schema_of(table)
        return table.encode()

    if not refused(case["expected"], read):
        assert oid == case["expected"]["oid"]
        assert read() == data


@pytest.mark.spec("OBJ-3", "OBJ-4", "JSON-6")
@pytest.mark.parametrize("case", cases("commits"))
def test_commits(case: Case) -> None:
    members, expected = case["input"]["commit"], case["expected"]

    def decoded() -> Commit:
        return Commit.decode(canonical_json.encode(members))

    if refused(expected, decoded):
        if set(members) == set(Commit.__dataclass_fields__):
            with pytest.raises((DpkgError, TypeError)):
                Commit(**members).encode()
        return
    commit = decoded()
    assert commit == Commit(**{**members, "parents": tuple(members["parents"])})
    assert commit.encode().decode() == expected["text"]
    assert commit.oid == expected["oid"]
    assert Odb(MemoryBackend()).write("commit", commit.encode()) == expected["oid"]


@pytest.mark.spec("STO-6", "STO-7", "STO-8", "JSON-6")
@pytest.mark.parametrize("case", cases("refs"))
def test_refs_read(case: Case) -> None:
    """Logs that lie in a store are read, or refused."""
    form, expected = case["input"], case["expected"]
    if "text" in form:
        data = form["text"].encode()
        if not refused(expected, lambda: refs.RefEntry.decode(data)):
            assert refs.RefEntry.decode(data).encode() == data
        return
    backend = MemoryBackend()
    folder = "refs/o/p/heads/main/"
    prev = None
    for n, members in enumerate(form["log"]):
        entry = {**members, "n": n, "prev": prev}
        prev = digest("ref", canonical_json.encode(entry))
        data = canonical_json.encode({**entry, "digest": prev})
        backend.create(f"{folder}{2**64 - 1 - n:016x}", data)
        if "refused" not in expected:
            assert data.decode() == expected["texts"][n]
            assert refs.Refs(backend).value("o/p", refs.HEADS, "main") == expected["values"][n]
            assert [e.encode().decode() for e in refs.Refs(backend).log("o/p", refs.HEADS, "main")] == [
                *reversed(expected["texts"][: n + 1])
            ]
    refused(expected, lambda: list(refs.Refs(backend).log("o/p", refs.HEADS, "main")))


@pytest.mark.spec("STO-6", "STO-8")
@pytest.mark.parametrize("case", [c for c in cases("refs") if "log" in c.values[0]["input"]])
def test_refs_written(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """What append makes of the same entries, where it takes them at all."""
    log, expected, backend = case["input"]["log"], case["expected"], MemoryBackend()
    if any(set(entry) != {"event", "floor", "oid", "push", "time", "who", "why"} for entry in log):
        return
    last = None

    def append(entry: Case) -> None:
        nonlocal last
        monkeypatch.setattr(refs.log.time, "time", lambda: entry["time"])
        more = {name: entry[name] for name in ("who", "why", "push")}
        assert entry["floor"] == sorted(set(map(Oid, entry["floor"])))  # append puts them in order
        more["floor"] = [Oid(commit) for commit in entry["floor"]]
        oid = None if entry["oid"] is None else Oid(entry["oid"])
        last = refs.Refs(backend).append("o/p", refs.HEADS, "main", entry["event"], oid, expected=last, **more)

    if "refused" in expected:
        with pytest.raises((DpkgError, ValueError, AssertionError, TypeError)):
            for entry in log:
                append(entry)
        return
    for entry in log:
        append(entry)
    stored = {stat.key: backend.get(stat.key).decode() for stat in backend.list("refs/")}
    assert stored == {
        f"refs/o/p/heads/main/{key}": text for key, text in zip(expected["keys"], expected["texts"], strict=True)
    }
    assert list(stored) == [f"refs/o/p/heads/main/{key}" for key in reversed(expected["keys"])]


@pytest.mark.spec("STO-40")
@pytest.mark.parametrize("case", cases("parts"))
def test_parts(case: Case) -> None:
    """Parts that lie in a store are read, or refused."""
    form, expected, backend = case["input"], case["expected"], MemoryBackend()
    prev = None
    for n, members in enumerate(form["log"]):
        entry = {**members, "n": n, "prev": prev}
        prev = digest("ref", canonical_json.encode(entry))
        data = canonical_json.encode({**entry, "digest": prev})
        backend.create(f"refs/o/p/{form['kind']}/{form['name']}/{2**64 - 1 - n:016x}", data)
    found = refs.Refs(backend)
    if refused(expected, lambda: list(found.log("o/p", form["kind"], form["name"]))):
        return
    known = [(part.revision, part.path, part.ref) for part in dpkg_parts.of(found, "o/p")]
    assert known == ([(expected["revision"], expected["path"], form["name"])] if expected["path"] else [])


@pytest.mark.spec("STO-2", "STO-3")
@pytest.mark.parametrize("case", cases("frames"))
def test_frames(case: Case) -> None:
    data, oid, expected = reader.pieces(case["input"]["pieces"]), Oid(case["input"]["oid"]), case["expected"]
    backend = MemoryBackend()
    backend.put(object_key(oid), data)
    odb = Odb(backend)
    if refused(expected, lambda: odb.read_any(oid)):
        with pytest.raises(Corrupt):
            odb.read(oid, "blob")
        return
    kind, payload = odb.read_any(oid)
    assert (kind, len(payload), blake3.blake3(payload).hexdigest()) == (
        expected["kind"],
        expected["length"],
        expected["payload"],
    )
    assert (odb.kind(oid), odb.size(oid)) == (kind, len(payload))
    assert frame.check(data)[0].kind == kind
    assert frame.check_stream(lambda start, length: data[start : start + length], len(data)).kind == kind
    again = frame.pack(kind, payload)  # compressed as dpkg likes, so not the same bytes
    assert reader.decode_frame(again, oid) == (kind, payload)
    assert frame.unpack(again) == (kind, payload)
    if kind == "blob":
        assert b"".join(odb.iter_blob(oid)) == payload


@pytest.mark.spec("STO-2")
@pytest.mark.parametrize("case", cases("frames"))
def test_frames_in_pieces(case: Case) -> None:
    """Blobs are read in pieces without the frame's digest, which is not what names them; all else is checked."""
    oid, expected = Oid(case["input"]["oid"]), case["expected"]
    if "refused" not in expected or case["name"] == "STO-3: digest":
        return
    backend = MemoryBackend()
    backend.put(object_key(oid), reader.pieces(case["input"]["pieces"]))
    with pytest.raises(Corrupt):
        b"".join(Odb(backend).iter_blob(oid))


@pytest.mark.spec("STO-3")
def test_every_flipped_bit_of_a_frame_is_found() -> None:
    for case in reader.load_vectors("frames"):
        data = reader.pieces(case["input"]["pieces"])
        if "refused" in case["expected"] or len(data) > 300:
            continue
        for bit in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(Corrupt):
                frame.check(bytes(damaged))


@pytest.mark.spec("STO-30", "STO-31")
@pytest.mark.parametrize("case", cases("chunks"))
def test_chunks(case: Case) -> None:
    oid, expected = Oid(case["input"]["oid"]), case["expected"]
    backend = MemoryBackend()
    for name, parts in case["input"]["stored"].items():
        backend.put(object_key(Oid(name)), reader.pieces(parts))
    backend.put(object_key(oid), reader.pieces(case["input"]["pieces"]))
    odb, other = Odb(backend), Odb(MemoryBackend())
    if "refused" in expected:
        for read in (
            lambda: odb.read(oid, "blob"),
            lambda: list(odb.iter_blob(oid)),
            lambda: copy_blob(odb, other, oid, None),
        ):
            with pytest.raises((Corrupt, NotFound)):
                read()
        assert not other.has(oid)
        return
    assert [str(chunk) for chunk in blobs.chunks(odb, oid)] == [name for name, _ in expected["chunks"]]
    assert len(odb.read(oid, "blob")) == expected["length"] == odb.size(oid)
    copy_blob(odb, other, oid, expected["length"])
    assert b"".join(other.iter_blob(oid)) == odb.read(oid, "blob")
    ends = [end for _, end in expected["chunks"]]
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    packed = chunks.pack((Oid(name), n) for (name, _), n in zip(expected["chunks"], lengths, strict=True))
    assert packed == reader.pieces(case["input"]["pieces"])
