"""verify: every kind of damage is found, and said what it is and where."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from faults import flip, stored, tip
from packages import packed

import dpkg
from dpkg import tables
from dpkg.arrow import fragment
from dpkg.arrow.stats import stats_batch, stats_row, stats_schema
from dpkg.cli.main import main
from dpkg.errors import Corrupt, Format, NotFound, Usage
from dpkg.index import build_tree, find, read_node
from dpkg.maintenance.storechecks import Level, StoreChecks
from dpkg.maintenance.verifying import Check
from dpkg.maintenance.walking import Walk
from dpkg.objects.node import FRAGMENTS, TREE
from dpkg.objects.pack import make
from dpkg.odb import fragment_key, object_key
from dpkg.odb.layout import pack_key
from dpkg.oid import Oid
from dpkg.repository import Repository

PKG, PACKED = "acme/x", "acme/p"


@pytest.fixture
def full(store: Any) -> Any:
    """A store with something of everything: two commits, a tag, a deleted branch, metadata, a large blob, and what no ref reaches."""
    rows = {"id": list(range(300)), "s": [f"row {i}" for i in range(300)], "l": [[i] for i in range(300)]}
    store.commit(PKG, {"t": rows, "d": {"b": (b"b" * 300, {"lang": "en"})}}, "one")
    store.commit(PKG, {"t": {**rows, "id": list(range(1, 301))}, "big": random.Random(0).randbytes(3 << 19)}, "two")
    dpkg.tag(PKG, "v1")
    store.commit("acme/gone", {"g": b"gone"})
    dpkg.rm("acme/gone")
    store.tree({"loose": b"no ref reaches this", "t": {"x": [1]}})
    return store


def files(url: str) -> list[Path]:
    return sorted(p for p in Path(url).rglob("*") if p.is_file())


def test_a_whole_store(full: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for args in ([], ["--deep"], [PKG], [PKG, "--deep"]):
        assert main(["verify", *args]) == 0
        assert capsys.readouterr().out.startswith("all well: ")
    done = dpkg.verify()
    keys = list(stored(full.url))
    assert done.objects == len([k for k in keys if k.startswith("objects")])
    assert done.fragments == len([k for k in keys if k.startswith("fragments")])
    assert (done.refs, done.problems) == (3, ())


def test_what_is_not_there(store: Any) -> None:
    with pytest.raises(NotFound, match="there is no package"):
        dpkg.verify("acme/nope")
    with pytest.raises(NotFound, match="there is no store"):
        dpkg.verify(store=store.url + "-nope")


@pytest.mark.spec("STO-3", "STO-4", "STO-7")
def test_every_damage_is_found(full: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file: each of its first 80 bytes flipped, and some others; cut off; emptied; removed."""
    logs = [p for p in files(full.url) if "/refs/" in str(p)]
    newest = {min(p.parent.iterdir()) for p in logs}  # that a log's newest entry is gone, nothing can tell
    needed = reached(full.url) | {str(p.relative_to(full.url)) for p in logs if p not in newest}
    assert 0 < len(stored(full.url)) - len(needed & stored(full.url).keys()) < 15
    for path in files(full.url):
        key = str(path.relative_to(full.url))
        whole = path.read_bytes()
        at = {*range(0, min(len(whole), 80), 11), len(whole) // 2, len(whole) * 4 // 5, len(whole) - 1, len(whole) - 5}
        damages: list[Any] = [lambda i=i: flip(path, i) for i in at]  # noqa: B023
        damages += [lambda n=n: path.write_bytes(whole[:n]) for n in (len(whole) - 1, len(whole) // 2, 0)]  # noqa: B023
        damages.append(path.unlink)
        for damage in damages:
            damage()
            if key == "format":
                with pytest.raises((Corrupt, Format, NotFound)) as caught:
                    dpkg.verify()
                assert full.url in caught.value.message
            elif path.exists() or key in needed:
                for quick in (True, False):
                    found = dpkg.verify(quick=quick)
                    assert found.exit_code == 6, key
                    assert all(p.what in ("damaged", "missing") for p in found.problems)
                    assert any(named(key) in p.where + p.message for p in found.problems), (key, found.problems)
            path.write_bytes(whole)
    assert dpkg.verify().problems == ()


def reached(url: str) -> set[str]:
    """The files that some ref needs."""
    repository = Repository(url)
    needed: set[str] = set()
    for package in repository.refs.packages(deleted=True):
        check = Check(repository, Level.FULL)
        check.run(package)
        objects, fragments = check.reached
        needed |= {object_key(Oid(raw.hex())) for raw in objects} | {fragment_key(Oid(raw.hex())) for raw in fragments}
    return needed


def named(key: str) -> str:
    """What a finding on a file must hold: its oid, or its log."""
    if key.startswith("refs/"):
        return key.split("/")[4]
    return key.partition("/")[2].replace("/", "").removesuffix(".parquet")


def test_findings_say_who_needs_it(full: Any, capsys: pytest.CaptureFixture[str]) -> None:
    blob = find(Repository(full.url).odb, Repository(full.url).resolve(PKG)[2].tree, "big")
    assert blob
    path = Path(full.url, "objects", blob.oid[:2], blob.oid[2:])
    flip(path, 1 << 20)
    assert main(["verify", PKG]) == 6
    said = capsys.readouterr().out
    assert f"damaged: {PKG} heads/main, commit {(tip(full.url, PKG) or '')[:12]}, big: object {blob.oid}" in said
    assert str(path) in said
    assert "1 problem in" in said
    os.unlink(path)
    assert main(["verify", PKG, "--json"]) == 6
    assert '"what": "missing"' in capsys.readouterr().out
    assert main(["verify", "acme/gone"]) == 3


def test_all_problems_are_found_at_once(full: Any) -> None:
    for path in files(full.url):
        if "/fragments/" in str(path):
            flip(path, 100)
    oids = [
        key.partition("/")[2].replace("/", "").removesuffix(".parquet") for key in stored(full.url) if key[0] == "f"
    ]
    problems = dpkg.verify().problems
    for oid in oids:
        assert any(oid in p.message for p in problems)


def test_deep_finds_what_is_sealed_but_forged(store: Any) -> None:
    """Statistics that are not those of the rows: each file is whole, so only decoding tells."""
    store.commit(PKG, {"t": {"id": list(range(100))}})
    repository = Repository(store.url)
    odb, root = repository.odb, repository.resolve(PKG)[2].tree
    (entry,) = read_node(odb, root, TREE).entries
    table = tables.read_table_object(odb, entry.oid)
    schema = tables.schema_of(table)
    leaf = read_node(odb, table.fragments, FRAGMENTS)
    made = fragment.make([stats_batch([stats_row([pa.array(range(50))], schema)], schema)], stats_schema(schema))
    odb.write_fragment_file(made.entry.oid, fragment.encode(made, stats_schema(schema)))
    forged = replace(table, fragments=odb.write("node", replace(leaf, stats=made.entry.oid).encode()))
    lie = replace(entry, oid=odb.write("table", forged.encode()))
    tree = build_tree([lie], lambda data: odb.write("node", data))
    old = repository.tip(PKG)
    repository.move(PKG, repository.make_commit(tree.oid, (), "forged"), old, "forged")
    assert dpkg.verify().problems == ()
    (problem,) = dpkg.verify(deep=True).problems
    assert "are not those of the fragments" in problem.message


def test_shared_parts_are_read_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"id": list(range(100_000)), "x": [random.Random(1).random() for _ in range(100_000)]}
    for i in range(10):
        store.commit(PKG, {"t": table, "n": str(i).encode()})
    from dpkg.odb import Odb

    read: list[str] = []
    real = Odb.read_fragment_file
    monkeypatch.setattr(Odb, "read_fragment_file", lambda self, oid: (read.append(oid), real(self, oid))[1])
    assert dpkg.verify(deep=True).problems == ()
    assert len(read) == len(set(read))


def test_what_killed_runs_left_is_reported(sales: Any, tmp_path: Path, dpk: Any) -> None:
    """Of a day or older: younger files may be someone's at work. It is no problem of the store."""
    tmp = tmp_path / "store" / "tmp"
    tmp.mkdir(exist_ok=True)
    for name, age in (("old", 90_000), ("older", 900_000), ("young", 60)):
        (tmp / name).write_bytes(b"x" * 700)
        os.utime(tmp / name, (time.time() - age,) * 2)
    found = dpk("verify", "--json").json
    assert (found["leftovers"], found["leftover_bytes"], found["problems"]) == (2, 1400, [])
    assert f"2 files (1.4 kB) in {sales.url}/tmp: left by killed runs" in dpk("verify").out
    assert dpkg.verify("acme/sales").leftovers == 0
    assert (tmp / "old").exists()
    (tmp / "old").unlink()
    (tmp / "older").unlink()
    assert "killed runs" not in dpk("verify").out


# Packs


@pytest.mark.spec("STO-17")
def test_every_damage_of_a_pack_is_found(store: Any, tmp_path: Path) -> None:
    """Any byte flipped, cut off anywhere, emptied, removed: with and without decoding, of the store and of the package."""
    (path,) = packed(tmp_path / "src", count=40)
    whole, rng = path.read_bytes(), random.Random(1)
    at = {*range(0, 90, 7), *rng.sample(range(len(whole)), 60), *range(len(whole) - 200, len(whole), 13)}
    damages: list[Any] = [lambda i=i: flip(path, i) for i in sorted(at)]
    damages += [lambda n=n: path.write_bytes(whole[:n]) for n in (len(whole) - 1, len(whole) // 2, 64, 0)]
    damages += [lambda: path.write_bytes(whole + b"\0"), lambda: path.write_bytes(whole * 2), path.unlink]
    for damage in damages:
        damage()
        for package, quick in ((None, True), (None, False), (PACKED, True), (PACKED, False)):
            found = dpkg.verify(package, quick=quick)
            assert found.exit_code == 6
            assert not path.exists() or any(path.stem in p.where for p in found.problems)
        path.write_bytes(whole)
    assert dpkg.verify(deep=True).problems == ()
    done = dpkg.verify(PACKED, quick=True)
    assert (done.packs, done.problems) == (1, ())


def test_damage_in_a_pack_says_who_needs_it(store: Any, tmp_path: Path) -> None:
    (path,) = packed(tmp_path / "src")
    odb = Repository(store.url).odb
    wanted = find(odb, Repository(store.url).resolve(PACKED)[2].tree, "f07")
    assert wanted
    record = odb.frames.packs.find(wanted.oid)
    assert record
    flip(path, record.entry.offset + 100)
    pack, needed = sorted(dpkg.verify().problems, key=lambda p: p.where.startswith(PACKED))
    assert pack.where == f"packs/{path.name}"
    assert "do not match its id; 1 of its objects are damaged" in pack.message
    assert needed.where == f"{PACKED} heads/main, commit {(tip(store.url, PACKED) or '')[:12]}, f07"
    assert f"object {wanted.oid} is damaged" in needed.message
    assert f"{path} at {record.entry.offset}" in needed.message


def test_another_whole_copy_is_as_good(store: Any, tmp_path: Path) -> None:
    """Every object of a damaged pack is in the store a second time: the file is damaged, and no package is."""
    (path,) = packed(tmp_path / "src")
    odb = Repository(store.url).odb
    for oid in [oid for place, oid, _ in odb.iter_oids() if place == "object"]:
        odb.backend.put(object_key(oid), odb.frames.get(oid))
    whole = path.read_bytes()
    for i in range(100, len(whole) - 5000, 150):
        flip(path, i)
    for package in (None, PACKED):
        (problem,) = dpkg.verify(package).problems
        assert problem.where == f"packs/{path.name}"
    path.write_bytes(whole)
    loose = next(Path(store.url, "objects").rglob("[0-9a-f]" * 62))
    flip(loose, 70)
    (problem,) = dpkg.verify().problems
    assert problem.where == str(loose.relative_to(store.url))
    assert "another copy of it is whole" in problem.message


@pytest.mark.parametrize("package", [None, PKG, PACKED])
def test_packs_that_others_make_meanwhile(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str | None
) -> None:
    """Loose objects move into a pack, and a pack into another, after they were listed: nothing is missing."""
    store.commit(PKG, {f"n{i}": b"loose %d" % i for i in range(40)})
    (old,) = packed(tmp_path / "src")
    odb, real = Repository(store.url).odb, StoreChecks._run
    moved: list[int] = []

    def run(self: Any, tasks: Any) -> None:
        tasks = list(tasks)
        if not moved:
            moved.append(1)
            oids = [oid for place, oid, _ in odb.iter_oids() if place == "object"]
            frames = {oid: odb.frames.get(oid) for oid in oids}
            made, data, _ = make(frames.items())
            odb.backend.put(pack_key(made), data)
            for oid in oids:
                odb.backend.delete(object_key(oid))
            old.unlink()
        real(self, tasks)

    with monkeypatch.context() as patch:
        patch.setattr(StoreChecks, "_run", run)
        assert dpkg.verify(package).problems == ()
    assert moved
    assert not old.exists()
    assert dpkg.verify(deep=True).problems == ()


def test_what_is_pushed_meanwhile(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that came after the files were listed is checked, too."""
    store.commit(PKG, {"a": b"one"})
    real = StoreChecks.everything

    def everything(self: Any) -> None:
        real(self)
        store.commit("acme/new", {"b": b"two", "t": {"x": [1, 2]}})

    monkeypatch.setattr(StoreChecks, "everything", everything)
    done = dpkg.verify()
    assert (done.problems, done.refs, done.fragments) == ((), 2, 2)


def test_a_package_that_was_removed_meanwhile(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its commits named may be gone then, and that is no damage."""
    store.commit(PKG, {"a": b"one"})
    store.commit("acme/other", {"b": b"two"})
    tree = Repository(store.url).resolve(PKG)[2].tree
    real = Walk.package

    def package(self: Any, name: str) -> Any:
        found = list(real(self, name))
        if name == PKG and Repository(store.url).tip(PKG):
            dpkg.rm(PKG)
        return found

    Path(store.url, object_key(tree)).unlink()
    (problem,) = dpkg.verify().problems
    assert (problem.what, tree in problem.message) == ("missing", True)
    monkeypatch.setattr(Walk, "package", package)
    assert dpkg.verify().problems == ()


def test_levels_are_one_or_the_other(store: Any) -> None:
    with pytest.raises(Usage, match="not one check"):
        dpkg.verify(quick=True, deep=True)
