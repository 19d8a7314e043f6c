"""repair: what is damaged or missing comes back, from this store's other copies or from other stores; nothing whole is lost."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from faults import Counter, flip, healthy, stored, watching
from packages import packed

import dpkg
from dpkg.cli.main import main
from dpkg.errors import NotFound, Usage
from dpkg.odb import blobs, object_key
from dpkg.repository import Repository

PKG, PACKED = "acme/x", "acme/p"


@pytest.fixture
def full(store: Any) -> Any:
    """A store with tables, metadata, a large blob, and what no ref reaches."""
    rows = {"id": list(range(300)), "s": [f"row {i}" for i in range(300)]}
    store.commit(PKG, {"t": rows, "d": {"b": (b"b" * 300, {"lang": "en"})}}, "one")
    store.commit(PKG, {"t": {**rows, "id": list(range(1, 301))}, "big": random.Random(0).randbytes(3 << 19)}, "two")
    store.tree({"loose": b"no ref reaches this", "t": {"x": [1]}})
    return store


def files(url: str) -> dict[str, bytes]:
    """All that is stored, but derived values."""
    found = {str(p.relative_to(url)): p.read_bytes() for p in Path(url).rglob("*") if p.is_file()}
    return {key: data for key, data in found.items() if not key.startswith(("derived/", "tmp/"))}


def test_what_another_store_has_comes_back(full: Any, remote: str, capsys: pytest.CaptureFixture[str]) -> None:
    dpkg.push(PKG, remote)
    needed, before = stored(remote), files(full.url)
    for i, key in enumerate(needed):
        path = Path(full.url, key)
        path.unlink() if i % 2 else flip(path, -30)
    assert main(["verify", PKG]) == 6
    assert "dpk repair --from REMOTE" in capsys.readouterr().out
    assert main(["repair", PKG, "--from", remote]) == 0
    assert "repaired " in capsys.readouterr().out
    assert healthy(full.url)
    assert files(full.url).keys() == before.keys()
    done = dpkg.repair(from_=(remote,))
    assert (done.objects, done.fragments, done.packs, done.problems) == (0, 0, 0, ())


def test_from_a_store_that_is_damaged_too(full: Any, remote: str, tmp_path: Path) -> None:
    dpkg.push(PKG, remote)
    for url in (full.url, remote):
        for key in stored(remote):
            flip(Path(url, key), 40)
    broken = files(full.url)
    done = dpkg.repair(from_=(remote,))
    assert (done.objects, done.fragments) == (0, 0)
    assert done.exit_code == 6
    assert files(full.url) == broken
    with pytest.raises(NotFound, match="there is no store"):
        dpkg.repair(from_=(str(tmp_path / "nope"),))
    with pytest.raises(Usage, match="this store itself"):
        dpkg.repair(from_=(full.url,))


def test_each_of_several_stores_has_a_part(full: Any, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    dpkg.push(PKG, one)
    dpkg.push(PKG, two)
    for i, key in enumerate(stored(one)):
        flip(Path(full.url, key), -1)
        flip(Path((one, two)[i % 2], key), -1)
    assert dpkg.repair(from_=(one,)).exit_code == 6
    assert dpkg.repair(from_=(one, two)).exit_code == 0
    assert healthy(full.url)


def test_what_no_ref_reaches_stays_damaged(full: Any, remote: str) -> None:
    dpkg.push(PKG, remote)
    (key,) = [key for key in stored(full.url) if b"no ref reaches this" in Path(full.url, key).read_bytes()]
    flip(Path(full.url, key), 70)
    done = dpkg.repair(from_=(remote,))
    assert [p.where for p in done.problems] == [f"{key} (no ref reaches it)"]


def test_a_ref_log_is_left_alone(full: Any, remote: str) -> None:
    dpkg.push(PKG, remote)
    entry = min(Path(full.url, "refs", PKG, "heads", "main").iterdir())
    flip(entry, 20)
    broken = files(full.url)
    (problem,) = dpkg.repair(from_=(remote,)).problems
    assert "restore it from a copy of the store" in problem.message
    assert files(full.url) == broken


# Packs


@pytest.fixture
def pack(store: Any, tmp_path: Path, remote: str) -> Path:
    """The one pack of a store; `remote` has its package, too."""
    (path,) = packed(tmp_path / "src")
    dpkg.push(PACKED, remote)
    return path


@pytest.mark.parametrize("how", ["front", "frame", "index", "trailer", "half", "empty", "gone", "longer"])
@pytest.mark.parametrize("package", [None, PACKED])
def test_a_damaged_pack(pack: Path, remote: str, store: Any, how: str, package: str | None) -> None:
    whole = pack.read_bytes()
    cut = {"half": whole[: len(whole) // 2], "empty": b"", "longer": whole + b"more"}
    at = {"front": 3, "frame": 500, "index": len(whole) - 1000, "trailer": len(whole) - 3}
    if how == "gone":
        pack.unlink()
    elif how in cut:
        pack.write_bytes(cut[how])
    else:
        flip(pack, at[how])
    assert dpkg.verify().exit_code == 6
    done = dpkg.repair(package, from_=(remote,))
    assert dpkg.verify(PACKED).exit_code == 0 or package
    if package is None or how in ("front", "frame", "index", "trailer"):
        assert done.problems == ()
        assert healthy(store.url)
    if how in at:
        assert pack.read_bytes() == whole  # the same frames in the same order are the same pack
    dpkg.export(PACKED, str(pack.parent.parent.parent / "out"))


def test_a_damaged_pack_of_which_every_object_is_elsewhere(pack: Path, store: Any) -> None:
    """No other store is needed."""
    odb = Repository(store.url).odb
    for oid in [oid for place, oid, _ in odb.iter_oids() if place == "object"]:
        odb.backend.put(object_key(oid), odb.frames.get(oid))
    whole = pack.read_bytes()
    for i in range(100, len(whole) - 5000, 150):
        flip(pack, i)
    done = dpkg.repair()
    assert (done.packs, done.problems) == (1, ())
    assert healthy(store.url)


def test_a_pack_without_its_index_gives_up_what_is_whole(pack: Path, store: Any) -> None:
    """Cut off behind the last frame: all frames are there, and nothing else is needed."""
    whole = pack.read_bytes()
    pack.write_bytes(whole[:-300])
    assert dpkg.verify(PACKED).exit_code == 6
    assert dpkg.repair().problems == ()
    assert pack.read_bytes() == whole
    assert healthy(store.url)


def test_a_pack_stays_while_something_alive_is_in_it_alone(pack: Path, store: Any, remote: str) -> None:
    """What cannot be brought is alive: the other objects of the pack are not lost either."""
    odb = Repository(store.url).odb
    lost = odb.frames.packs.index(odb.frames.packs.ids()[0]).at(5)
    flip(pack, lost.offset + 80)
    for path in Path(remote, "packs").iterdir():
        path.unlink()
    broken = pack.read_bytes()
    done = dpkg.repair(from_=(remote,))
    assert done.exit_code == 6
    assert pack.read_bytes() == broken
    assert sum(lost.oid in p.message for p in done.problems) == 1
    assert dpkg.repair(from_=(remote,)).problems == done.problems


def test_repair_can_be_stopped_anywhere(
    pack: Path, store: Any, remote: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed at each operation that writes: what was whole stays so, and the next repair ends well."""
    store.commit(PKG, {"t": {"x": list(range(50))}, "b": b"blob"})
    dpkg.push(PKG, remote)
    whole = files(store.url)
    for key, data in stored(store.url).items():
        Path(store.url, key).unlink() if data % 2 else flip(Path(store.url, key), -20)
    data = pack.read_bytes()
    pack.write_bytes(data[:400] + bytes(50) + data[450:-200])
    broken = files(store.url)
    counter = Counter()
    with watching(monkeypatch, store.url, counter):
        assert dpkg.repair(from_=(remote,)).problems == ()
    writes = [i for i, (name, _) in enumerate(counter.calls, 1) if name in ("put", "delete", "sync", "adopt")]
    assert len(writes) > 5
    for at in writes:
        for path in [p for p in Path(store.url).rglob("*") if p.is_file()]:
            path.unlink()
        for key, content in broken.items():
            Path(store.url, key).parent.mkdir(parents=True, exist_ok=True)
            Path(store.url, key).write_bytes(content)
        with watching(monkeypatch, store.url, Counter(at)), pytest.raises(KeyboardInterrupt):
            dpkg.repair(from_=(remote,))
        assert dpkg.repair(from_=(remote,)).problems == ()
        assert healthy(store.url)
    assert {k for k in whole if k.startswith("refs/")} == {k for k in files(store.url) if k.startswith("refs/")}


def test_a_chunk_of_a_large_blob(store: Any, remote: str) -> None:
    """A blob in chunks needs each of them: damaged or missing, a chunk comes back alone."""
    big = random.Random(3).randbytes(9 << 20)
    tree = Path(store.url).parent / "tree"
    tree.mkdir()
    (tree / "big.bin").write_bytes(big)
    dpkg.build(PKG, str(tree))
    dpkg.push(PKG, remote)
    odb = Repository(store.url).odb
    blob = next(oid for _, oid, _ in odb.iter_oids() if odb.kind(oid) == "blob" and odb.size(oid) == len(big))
    chunks = [*blobs.chunks(odb, blob)]
    before = files(store.url)
    for damage in (lambda path, at: flip(path, at), lambda path, at: path.unlink()):
        for chunk in (chunks[0], chunks[-1]):
            found = odb.frames.packs.find(chunk)
            path = Path(store.url, found.key if found else object_key(chunk))
            damage(path, found.entry.offset + 100 if found else 100)
        for quick in (True, False):
            where = {p.where.rpartition(", ")[2] for p in dpkg.verify(PKG, quick=quick).problems}
            assert "big.bin" in where
        assert dpkg.repair(PKG, from_=(remote,)).problems == ()
        assert healthy(store.url)
        for key, data in before.items():
            if not Path(store.url, key).exists():  # moved into another place
                assert key.startswith(("packs/", "objects/"))
            elif key.startswith("objects/"):
                assert Path(store.url, key).read_bytes() == data
