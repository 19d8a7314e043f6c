"""dpk repack: small files become well-filled packs, whoever reads and writes meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg.errors import Corrupt, NotFound
from dpkg.maintenance import collecting, repacking
from dpkg.maintenance.gclog import GcLog, Guard
from dpkg.objects import pack
from dpkg.odb import Odb, object_key
from dpkg.odb.layout import pack_key
from dpkg.oid import Oid
from dpkg.repository import Repository
from dpkg.store.local import LocalBackend


def packs(store: Any) -> dict[str, pack.Index]:
    return repacking.Held(Odb(LocalBackend(store.url))).packs


def loose(store: Any) -> list[Path]:
    return [p for p in Path(store.url, "objects").rglob("*") if p.is_file()]


def damage(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.spec("STO-16")
def test_loose_objects_become_a_pack_from_which_all_is_read(dpk: Callable[..., Any], sales: Any) -> None:
    before = dpk("rev-list", "--objects", "--all").out
    files = loose(sales)
    tried = dpk("repack", "--dry-run", "--json").json
    assert packs(sales) == {}
    size = sum(p.stat().st_size for p in files)
    done = dpk("repack", "--json").json
    (key,) = packs(sales)
    assert done["new_bytes"] == Path(sales.url, key).stat().st_size
    removed = {"removed": len(files), "removed_bytes": size}
    assert done == tried | {"dry_run": False, "new_bytes": done["new_bytes"]} | removed
    assert (done["loose"], done["packs"], done["objects"], done["new_packs"]) == (len(files), 0, len(files), 1)
    assert (done["redundant"], done["redundant_bytes"]) == (len(files), size)
    assert loose(sales) == []
    assert dpk("rev-list", "--objects", "--all").out == before
    assert dpk("verify", "--deep").code == 0
    assert dpk("verify-pack").code == 0


def test_what_is_read_together_lies_together(dpk: Callable[..., Any], sales: Any) -> None:
    odb = sales.repository.odb
    lost = [odb.write("blob", b"reached by nothing %d" % i) for i in range(5)]
    dpk("repack")
    lines = [line.split() for line in dpk("verify-pack", "-v").out.splitlines()[:-1]]
    types = [kind for _, kind, *_ in lines[: -len(lost)]]
    reached = [line.split() for line in dpk("rev-list", "--objects", "--all").out.splitlines()]
    assert types == sorted(
        types,
        key=lambda t: ("commit", "node table", "blob").index(
            next(g for g in ("commit", "node table", "blob") if t in g)
        ),
    )
    assert [oid for oid, kind, *_ in lines if kind == "commit"] == [oid for kind, oid in reached if kind == "commit"]
    blobs = [oid for oid, kind, *_ in lines if kind == "blob"]
    assert blobs == [oid for kind, oid in reached if kind == "blob"] + sorted(lost)


def test_what_no_ref_reaches_can_be_left_alone(dpk: Callable[..., Any], sales: Any) -> None:
    lost = sales.repository.odb.write("blob", b"reached by nothing")
    done = dpk("repack", "--reached-only", "--json").json
    assert done["objects"] == done["loose"] - 1
    assert [path.name for path in loose(sales)] == [lost[2:]]
    assert all(index.find(lost) is None for index in packs(sales).values())
    assert done["redundant"] == done["objects"]


def test_again_there_is_nothing_to_do(dpk: Callable[..., Any], sales: Any) -> None:
    dpk("repack", "--keep")
    found, files = packs(sales), loose(sales)
    done = dpk("repack", "--keep", "--json").json
    assert (done["new_packs"], done["redundant"], done["removed"]) == (0, len(files), 0)
    assert loose(sales) == files
    done = dpk("repack", "--json").json
    assert (done["new_packs"], done["removed"]) == (0, len(files))
    assert "nothing to pack" in dpk("repack").out
    assert list(packs(sales)) == list(found)
    dpk("repack", "--all")
    assert list(packs(sales)) == list(found)  # the same objects in the same order are the same pack


def test_small_packs_are_joined_and_full_ones_stay(
    dpk: Callable[..., Any], store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repacking, "FULL_OBJECTS", 40)
    odb = store.repository.odb
    for size in (50, 33, 34):
        with odb.packing():
            for i in range(size):
                odb.write("blob", b"%d of %d" % (i, size))
    (full,) = [key for key, index in packs(store).items() if len(index) == 50]
    one = odb.write("blob", b"loose")
    held = repacking.Held(odb)
    done = dpk("repack", "--json").json
    assert (done["objects"], done["new_packs"], done["redundant"]) == (68, 1, 3)
    assert full in packs(store)
    (new,) = packs(store).keys() - held.packs.keys()
    assert packs(store)[new].find(one) is not None
    safe = {e.oid for e in packs(store)[new]}
    assert sorted(held.redundant(safe, held.packs)) == sorted([object_key(one), *(held.packs.keys() - {full})])


def test_a_store_of_many_objects_has_packs_of_bounded_size(
    dpk: Callable[..., Any], store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "MOST_BYTES", 20_000)
    odb = store.repository.odb
    oids = [odb.write("blob", os.urandom(1000 + i)) for i in range(100)]
    big = odb.write("blob", os.urandom(30_000))
    dpk("repack")
    assert sum(map(len, packs(store).values())) == 100
    assert all(size < 20_000 + 64 * 20 + 100 for size in repacking.Held(odb).sizes.values())
    assert Path(store.url, object_key(big)).exists()
    assert len(loose(store)) == 1
    assert all(Odb(odb.backend).has(oid) for oid in [*oids, big])


def test_what_lives_of_packs_is_rewritten(store: Any) -> None:
    """For gc: a pack goes only once all that lives of it is in another."""
    odb = store.repository.odb
    oids = []
    for number in range(3):
        with odb.packing():
            oids.append([odb.write("blob", b"%d of %d" % (i, number) * 9) for i in range(50)])
    ids = odb.frames.packs.ids()
    (damaged,) = (i for i in ids if odb.frames.packs.index(i).find(oids[0][1]))
    (entire,) = (i for i in ids if odb.frames.packs.index(i).find(oids[1][0]))
    entry = odb.frames.packs.index(damaged).find(oids[0][1])
    damage(Path(store.url, pack_key(damaged)), entry.offset + entry.size - 1)
    living = {*oids[0][:2], *oids[1], *oids[2][:7]}
    gone = repacking.rewrite(odb, ids, living.__contains__)
    assert sorted(gone) == sorted(set(ids) - {damaged})
    for pack_id in gone:
        Path(store.url, pack_key(pack_id)).unlink()
    fresh = Odb(odb.backend)
    assert {oid for oid in living if fresh.has(oid)} == living
    assert entire in gone
    assert not fresh.has(oids[2][7])
    with pytest.raises(Corrupt):
        fresh.read(oids[0][1], "blob")
    assert repacking.rewrite(odb, [], living.__contains__) == []


# Damage


def test_what_is_damaged_is_left_and_named(dpk: Callable[..., Any], sales: Any) -> None:
    blob = next(line.split()[1] for line in dpk("rev-list", "--objects", "--all").out.splitlines() if "blob" in line)
    path = Path(sales.url, object_key(Oid(blob)))
    damage(path)
    ran = dpk("repack", code=6)
    assert blob in ran.out
    done = dpk("repack", "--json", code=6).json
    assert [d["oid"] for d in done["damaged"]] == [blob]
    assert path.exists()
    assert all(index.find(Oid(blob)) is None for index in packs(sales).values())


def test_a_good_copy_is_taken_where_another_is_damaged(dpk: Callable[..., Any], sales: Any) -> None:
    """A loose copy, such as a repair makes, goes into a pack that takes the place of the damaged one."""
    dpk("repack", "--keep")
    sales.repository.odb.write("blob", b"more")
    (key,) = packs(sales)
    entry = next(iter(packs(sales)[key]))
    damage(Path(sales.url, key), entry.offset + entry.size - 1)
    for path in loose(sales):
        if path != Path(sales.url, object_key(entry.oid)) and path.stat().st_size > 64 + 4:
            path.unlink()
    done = dpk("repack", "--json").json
    (new,) = packs(sales)
    assert new != key
    assert (done["objects"], done["redundant"], done["removed"]) == (len(packs(sales)[new]), 3, 3)
    assert loose(sales) == []
    assert dpk("verify", "--deep").code == 0
    assert dpk("verify-pack").code == 0
    assert list(packs(sales)) == [new]


def test_a_damaged_pack_is_made_anew_of_whole_copies(dpk: Callable[..., Any], sales: Any) -> None:
    """The same objects are the same pack: it takes its place."""
    dpk("repack", "--keep")
    (key,) = packs(sales)
    damage(Path(sales.url, key), 100)
    assert dpk("repack", "--json").json["removed"] > 0
    assert loose(sales) == []
    assert dpk("verify-pack", "-v").out.splitlines()[-1].startswith("ok ")
    assert dpk("verify", "--deep").code == 0


def test_a_pack_without_its_index_is_left(dpk: Callable[..., Any], sales: Any) -> None:
    dpk("repack", "--keep")
    (key,) = packs(sales)
    other = sales.repository.odb.write("blob", b"more")
    damage(Path(sales.url, key))
    done = dpk("repack", "--json").json
    assert (done["new_packs"], done["removed"]) == (1, done["loose"])
    assert Path(sales.url, key).exists()
    assert Repository(sales.url).odb.has(other)
    assert dpk("verify", code=6).out.count("damaged") == 1


def test_a_missing_object_that_a_ref_reaches_is_said(dpk: Callable[..., Any], sales: Any) -> None:
    tree = dpk("rev-parse", "--tophash", "acme/sales").out.strip()
    Path(sales.url, object_key(Oid(tree))).unlink()
    assert tree in dpk("repack", code=3).err
    assert packs(sales) == {}


# Others at the same time


def test_a_run_that_is_killed_loses_nothing(
    dpk: Callable[..., Any], sales: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "MOST_OBJECTS", 3)
    real = LocalBackend.put
    moments = len(loose(sales)) // 3 + 1
    for moment in range(moments):
        calls = iter(range(moment + 1))

        def put(self: LocalBackend, key: str, data: Any, calls: Iterator[int] = calls) -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            real(self, key, data)

        monkeypatch.setattr(LocalBackend, "put", put)
        assert dpk("repack", code=None).code in (130, 0)
        monkeypatch.setattr(LocalBackend, "put", real)
        assert dpk("verify", "--deep").code == 0
    assert dpk("repack").code == 0
    assert loose(sales) == []
    assert dpk("verify", "--deep").code == 0


def test_an_object_that_goes_meanwhile_is_no_error(sales: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when gc removes what no ref reaches."""
    gone = sales.repository.odb.write("blob", b"reached by nothing")
    real = repacking.batches

    def batches(*args: Any) -> Any:
        Path(sales.url, object_key(gone)).unlink(missing_ok=True)
        return real(*args)

    monkeypatch.setattr(repacking, "batches", batches)
    done = dpkg.repack()
    assert (done.exit_code, done.objects) == (0, done.loose - 1)
    with pytest.raises(NotFound):
        Repository(sales.url).odb.kind(gone)


def test_two_at_once_and_a_writer(sales: Any) -> None:
    """Both make the same packs; what a writer adds stays readable."""
    errors: list[BaseException] = []

    def work(run: Callable[[], object]) -> None:
        try:
            for _ in range(3):
                run()
        except BaseException as e:  # noqa: BLE001
            errors.append(e)

    tasks = [dpkg.repack, lambda: dpkg.repack(all=True), lambda: sales.commit("acme/sales", {"b": os.urandom(99)})]
    threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert dpkg.verify(deep=True).problems == ()
    dpkg.repack()
    assert loose(sales) == []
    assert dpkg.verify(deep=True).problems == ()


def test_a_bucket(dpk: Callable[..., Any], sales: Any, s3_url: str) -> None:
    for number in range(3):
        sales.commit("acme/sales", {"b": b"%d" % number, "c": b"c%d" % number})
        dpk("push", "acme/sales", s3_url)
    held = repacking.Held(Repository(s3_url).odb)
    done = dpk("repack", "--store", s3_url, "--json").json
    assert done["new_packs"] == 1
    assert done["loose"] == len(held.loose)
    assert done["removed"] == done["loose"]
    assert repacking.Held(Repository(s3_url).odb).loose == {}
    assert dpk("verify", "--deep", "--store", s3_url).code == 0


# Removing


def test_while_a_gc_is_under_way_old_files_stay(dpk: Callable[..., Any], sales: Any) -> None:
    repository = sales.repository
    log = GcLog(repository.backend, repository.refs.push)
    opened = log.append("condemned", [], log.tail(), "Ada")
    files = loose(sales)
    done = dpk("repack", "--json").json
    assert (done["new_packs"], done["redundant"], done["removed"]) == (1, len(files), 0)
    assert "under way" in done["busy"]
    assert loose(sales) == files
    log.append("closed", [], opened, "Ada")
    assert "next 'dpk repack'" not in dpk("repack").out
    assert loose(sales) == []


def test_what_a_writer_counts_on_stays(sales: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that found an object loose while it is condemned rescues the file: it is not removed under its eyes."""
    files = {str(p.relative_to(sales.url)) for p in loose(sales)}
    real = collecting.Collector._barriers

    def barriers(self: collecting.Collector) -> None:
        real(self)
        guard = Guard(GcLog(LocalBackend(sales.url), "1" * 32), "Bob")
        guard.begin()
        for key in sorted(files)[:3]:
            guard.note(key)
        guard.settle()

    monkeypatch.setattr(collecting.Collector, "_barriers", barriers)
    done = dpkg.repack()
    assert (done.redundant, done.removed) == (len(files), len(files) - 3)
    assert {str(p.relative_to(sales.url)) for p in loose(sales)} == set(sorted(files)[:3])


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_copy_is_looked_at_once_more_before_the_other_goes(
    sales: Any, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """Whatever became of the new pack meanwhile, nothing is removed that is not whole elsewhere."""
    files = loose(sales)
    real = collecting.Collector._barriers

    def barriers(self: collecting.Collector) -> None:
        real(self)
        for key in packs(sales):
            if harm == "gone":
                Path(sales.url, key).unlink()
            else:
                damage(Path(sales.url, key), 100)

    monkeypatch.setattr(collecting.Collector, "_barriers", barriers)
    done = dpkg.repack()
    assert done.removed == (0 if harm == "gone" else len(files) - 1)
    assert dpkg.verify(deep=True).problems == () or harm == "damaged"
    tip = sales.repository.tip("acme/sales")
    assert [oid for oid, _ in sales.repository.history(tip)]


def test_what_only_a_log_tells_of_is_not_lost(dpk: Callable[..., Any], sales: Any) -> None:
    """Repacking removes copies, and no object: what gc would remove is in the pack."""
    lost = sales.repository.odb.write("blob", b"reached by nothing")
    dpk("repack")
    assert loose(sales) == []
    assert sales.repository.odb.read(lost, "blob") == b"reached by nothing"


def test_a_reader_that_began_before_goes_on(dpk: Callable[..., Any], sales: Any) -> None:
    reader = sales.repository.odb
    oids = [oid for _, oid, _ in reader.iter_oids() if reader.has(oid)]
    dpk("repack")
    assert [reader.read_any(oid)[0] for oid in oids]
    for i in range(3):
        sales.repository.odb.write("blob", b"more %d" % i)
        dpk("repack")
        assert [reader.read_any(oid)[0] for oid in oids]
    assert len(packs(sales)) == 1


@pytest.mark.spec("STO-18")
def test_where_histories_were_cut(store: Any, dpk: Callable[..., Any]) -> None:
    for i in range(5):
        store.commit("acme/x", {"b": b"%d" % i}, f"m{i}")
    dpk("gc", "--keep-last", "2")
    before = dpk("rev-list", "--objects", "--all").out
    dpk("repack")
    assert loose(store) == []
    assert dpk("rev-list", "--objects", "--all").out == before
    assert dpk("verify", "--deep").code == 0
