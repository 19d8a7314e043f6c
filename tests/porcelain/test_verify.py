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

import dpkg
from dpkg import tables
from dpkg.arrow import fragment
from dpkg.arrow.stats import stats_batch, stats_row, stats_schema
from dpkg.cli.main import main
from dpkg.errors import Corrupt, Format, NotFound
from dpkg.index import build_tree, find, read_node
from dpkg.objects.node import FRAGMENTS, TREE
from dpkg.odb import fragment_key, object_key
from dpkg.repository import Repository
from dpkg.verifying import Check

PKG = "acme/x"


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
    assert 0 < len(stored(full.url)) - len(needed & stored(full.url).keys()) < 10
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
                found = dpkg.verify()
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
        check = Check(repository, False)
        check.run(package)
        needed |= {object_key(oid) for oid in check.odb.objects} | {fragment_key(oid) for oid in check.odb.fragments}
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


# Repair


def test_repair_brings_back_what_another_store_has(
    full: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = str(tmp_path / "remote")
    dpkg.push(PKG, remote)
    needed = stored(remote)
    before = {key: Path(full.url, key).read_bytes() for key in stored(full.url)}
    for i, key in enumerate(needed):
        path = Path(full.url, key)
        path.unlink() if i % 2 else flip(path, -30)
    assert main(["verify", PKG]) == 6
    assert "dpk verify --repair REMOTE" in capsys.readouterr().out
    assert main(["verify", PKG, "--repair", remote, "--deep"]) == 0
    assert f"repaired {len(needed)} files" in capsys.readouterr().out
    assert {key: Path(full.url, key).read_bytes() for key in before} == before
    done = dpkg.verify(repair=remote)
    assert (done.repaired, done.problems) == (0, ())


def test_repair_from_a_store_that_is_damaged_too(full: Any, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    dpkg.push(PKG, remote)
    for url in (full.url, remote):
        for key in stored(remote):
            flip(Path(url, key), 40)
    broken = {key: Path(full.url, key).read_bytes() for key in stored(full.url)}
    done = dpkg.verify(repair=remote)
    assert done.repaired == 0
    assert done.problems
    assert {key: Path(full.url, key).read_bytes() for key in stored(full.url)} == broken
    with pytest.raises(NotFound, match="there is no store"):
        dpkg.verify(repair=str(tmp_path / "nope"))


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
