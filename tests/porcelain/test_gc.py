"""`dpk gc`: what goes, what stays, what it says; in memory, in a folder and in a bucket."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from faults import healthy, stored
from packages import history, numbers

import dpkg
from dpkg.errors import Conflict, Corrupt, NotFound, Usage
from dpkg.index import build_tree
from dpkg.maintenance import repacking
from dpkg.maintenance.gclog import GcLog
from dpkg.objects.node import TreeEntry
from dpkg.repository import Repository
from dpkg.store import open_backend

PKG = "acme/x"


@pytest.fixture(params=["memory", "folder", "bucket"])
def url(request: pytest.FixtureRequest, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store of commands, in places of every kind."""
    found = {"memory": f"memory://{tmp_path}", "folder": store.url}.get(request.param)
    found = found or request.getfixturevalue("s3_url")
    monkeypatch.setenv("DPK_STORE", found)
    return found


def fill(make_store: Any, url: str, versions: int = 4) -> list[str]:
    """Commits that share a blob and a table, and have one of each of their own."""
    return [
        make_store(url).commit(PKG, {"t": numbers(50), "own": numbers(50, i), "all": b"all", "one": b"%d" % i}, f"m{i}")
        for i in range(versions)
    ]


def size(url: str) -> int:
    return sum(stat.size for stat in open_backend(url).list(""))


def test_what_was_removed_goes(url: str, make_store: Any) -> None:
    fill(make_store, url)
    make_store(url).commit("acme/stays", {"t": numbers(50), "all": b"all"})
    assert dpkg.gc().files == 0
    before, all_of_it = stored(url), size(url)
    dpkg.rm(PKG)
    said = dpkg.gc(dry_run=True)
    assert stored(url) == before
    assert not list(open_backend(url).list("gc/"))
    done = dpkg.gc()
    after = stored(url)
    assert (done.files, done.bytes, done.kinds) == (said.files, said.bytes, said.kinds)
    assert {k.kind: k.files for k in done.kinds if k.kind != "derived"} == {
        kind: sum(key.startswith(f"{kind}/") for key in before.keys() - after.keys())
        for kind in ("objects", "fragments")
    }
    assert after.items() <= before.items()
    assert size(url) < 0.7 * all_of_it
    assert healthy(url)
    assert list(dpkg.load("acme/stays").t()["id"]) == list(range(50))
    assert dpkg.gc().files == 0
    with pytest.raises(NotFound):
        dpkg.load(PKG)


def test_what_no_ref_reached_ever_goes(url: str, make_store: Any) -> None:
    """Left by a run that was stopped; and what is packed."""
    fill(make_store, url, 1)
    odb = Repository(url).odb
    odb.write("blob", b"nobody's")
    with odb.packing():
        for i in range(100):
            odb.write("blob", b"%d" % i * 10)
    done = dpkg.gc()
    assert {k.kind: k.files for k in done.kinds} == {"objects": 1, "packs": 1}
    assert healthy(url)


def pack_of_which_little_lives(repository: Repository) -> int:
    """A pack of files of a package and of what nothing reaches; the number of these files."""
    with repository.odb.packing():
        for i in range(100):
            repository.odb.write("blob", b"dead %d" % i)
        entries = [TreeEntry(f"{i:02}", "blob", repository.odb.write("blob", b"%02d" % i), 2) for i in range(40)]
        tree = build_tree(entries, lambda data: repository.odb.write("node", data))
    repository.move(PKG, repository.make_commit(tree.oid, (), ""), None, "")
    return len(entries)


def test_packs_of_which_little_lives_are_written_again(url: str, make_store: Any) -> None:
    few = pack_of_which_little_lives(make_store(url).repository)
    (before,) = open_backend(url).list("packs/")
    done = dpkg.gc()
    (after,) = open_backend(url).list("packs/")
    assert after.size < before.size
    assert [k.kind for k in done.kinds] == ["packs"]
    assert healthy(url)
    assert [dpkg.load(f"{PKG}/{i:02}").read() for i in range(few)] == [b"%02d" % i for i in range(few)]


def test_a_pack_that_was_written_again_stays_until_the_new_one_is_whole(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = pack_of_which_little_lives(store.repository)
    (old,) = Path(store.url, "packs").iterdir()

    def rewrite(*args: Any) -> Any:
        found = again(*args)
        (new,) = set(Path(store.url, "packs").iterdir()) - {old}
        data = bytearray(new.read_bytes())
        data[200] ^= 1
        new.chmod(0o644)
        new.write_bytes(data)
        return found

    again = repacking.rewrite
    monkeypatch.setattr(repacking, "rewrite", rewrite)
    dpkg.gc()
    assert old.is_file()
    assert [dpkg.load(f"{PKG}/{i:02}").read() for i in range(few)] == [b"%02d" % i for i in range(few)]


def test_a_store_that_is_not_whole_is_left_alone(url: str, make_store: Any) -> None:
    """What is below a missing object is not known, so that it might go."""
    fill(make_store, url)
    dpkg.rm(PKG, message="")
    fill(make_store, url, 1)
    tree = Repository(url).resolve(PKG)[2].tree
    open_backend(url).delete(f"objects/{tree[:2]}/{tree[2:]}")
    before = stored(url)
    with pytest.raises(Corrupt, match="is not whole") as error:
        dpkg.gc()
    assert "dpk repair" in error.value.hint
    assert stored(url) == before
    assert not list(open_backend(url).list("gc/"))


# Retention


@pytest.mark.spec("STO-18")
def test_the_newest_commits_are_kept(url: str, make_store: Any, run: Any) -> None:
    commits = fill(make_store, url, 6)
    dpkg.tag(PKG, "v1", "latest~4")
    (said,) = dpkg.gc(keep_last=2, dry_run=True).cuts
    assert len(history(url)) == 6
    done = dpkg.gc([PKG], keep_last=2)
    (cut,) = done.cuts
    assert cut == said
    assert (cut.kept, cut.dropped) == (3, 3)
    assert 0 < cut.bytes <= done.bytes
    assert [e.commit for e in dpkg.log(PKG)] == [commits[5], commits[4]]
    assert [e.commit for e in dpkg.log(f"{PKG}@v1")] == [commits[1]]
    for expr in (f"{PKG}@latest~2", f"{PKG}@v1~1"):
        assert "older commits were removed by retention (by Ada <ada@example.com> at 2" in run("show", expr, code=3).err
    assert "removed by retention" in run("show", f"{PKG}@{commits[0][:12]}", code=3).err
    shown = run("log", PKG).out
    assert shown.count("older commits were removed by retention (by Ada") == 1
    assert shown.rstrip().endswith(" UTC)")
    assert healthy(url)
    assert {r.oid for r in dpkg.plumbing.rev_list(all=True)} == {commits[5], commits[4], commits[1]}
    assert [r.oid for r in dpkg.plumbing.rev_list([commits[5]])] == [commits[5], commits[4]]
    assert {r.refname for r in dpkg.plumbing.for_each_ref()} == {f"{PKG}/heads/main", f"{PKG}/tags/v1"}
    assert {c.path for c in dpkg.diff(f"{PKG}@v1..latest").changes} == {"one", "own"}
    again = dpkg.gc(keep_last=2)
    assert (again.files, again.cuts[0].dropped) == (0, 0)
    new = make_store(url).commit(PKG, {"one": b"new"}, "new")
    assert [e.commit for e in dpkg.log(PKG)] == [new, commits[5], commits[4]]
    assert healthy(url)


@pytest.mark.spec("STO-18")
def test_a_cut_history_travels(url: str, make_store: Any, tmp_path: Path, remote: str) -> None:
    commits = fill(make_store, url, 5)
    dpkg.tag(PKG, "v1", "latest~4")
    dpkg.push(PKG, str(tmp_path / "whole"))
    dpkg.gc(keep_last=2)
    dpkg.push(PKG, remote)
    dpkg.install(PKG, url, store=str(tmp_path / "other"))
    for place in (remote, str(tmp_path / "other")):
        assert [e.commit for e in dpkg.log(PKG, store=place)] == [commits[4], commits[3]]
        assert [e.commit for e in dpkg.log(f"{PKG}@v1", store=place)] == [commits[0]]
        assert dpkg.verify(store=place, deep=True).problems == ()
        assert dpkg.gc(store=place).files == 0
    new = make_store(url).commit(PKG, {"one": b"new"}, "new")
    for place in (remote, str(tmp_path / "whole")):
        dpkg.push(PKG, place)
        assert dpkg.gc(store=place).files == 0
        assert dpkg.verify(store=place).problems == ()
    assert [e.commit for e in dpkg.log(PKG, store=remote)] == [new, commits[4], commits[3]]
    assert len(list(dpkg.log(PKG, store=str(tmp_path / "whole")))) == 6  # one store's retention is not another's


def test_commits_are_kept_by_their_age(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for days in (400, 40, 20, 1):
        monkeypatch.setattr("dpkg.repository.time.time", lambda days=days: now - days * 86400)
        store.commit(PKG, {"a": b"%d" % days}, f"{days}")
    monkeypatch.undo()
    monkeypatch.setenv("DPK_STORE", store.url)
    for rule, left in (("30d", ["1", "20"]), ("12h", ["1"])):
        dpkg.gc(keep_within=rule)
        assert [e.message for e in dpkg.log(PKG)] == left
    assert dpkg.gc(keep_last=1, keep_within="1y").cuts[0].kept == 1


def test_a_merge_keeps_both_its_sides(store: Any) -> None:
    """A history ends at a commit, never between it and one of its parents."""
    first = store.commit(PKG, {"a": b"0"}, "root")
    left = store.commit(PKG, {"a": b"1"}, "left")
    repository = store.repository
    right = repository.make_commit(store.tree({"a": b"2"}), (first,), "right")
    merged = repository.make_commit(store.tree({"a": b"3"}), (left, right), "merge")
    repository.move(PKG, merged, left, "merge")
    dpkg.gc(keep_last=2)
    assert {e.message for e in dpkg.log(PKG)} == {"merge", "left", "right"}
    assert healthy(store.url)


def test_of_two_branches_each_keeps_its_own(store: Any) -> None:
    commits = [store.commit(PKG, {"a": b"%d" % i}, f"m{i}") for i in range(5)]
    dpkg.plumbing.update_ref(PKG, commits[1], branch="old")
    dpkg.gc(keep_last=2)
    assert [e.commit for e in dpkg.log(PKG)] == [commits[4], commits[3]]
    assert [e.commit for e in dpkg.log(f"{PKG}@old")] == [commits[1], commits[0]]
    assert healthy(store.url)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"keep_last": 0}, "keeps nothing"),
        ({"keep_within": "3 days"}, "not an age"),
        ({"packages": [PKG]}, "not what to keep"),
    ],
)
def test_rules_that_are_none(sales: Any, args: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage, match=said):
        dpkg.gc(**args)


# Others at work


@pytest.mark.spec("STO-23")
def test_another_collector(store: Any, make_store: Any, run: Any) -> None:
    """One that is at work is left alone; one that died is resumed, an hour later unasked."""
    fill(make_store, store.url)
    dpkg.rm(PKG)
    log = GcLog(open_backend(store.url), "0f" * 16)
    log.append("condemned", list(stored(store.url)), None, "Gus")
    with pytest.raises(Conflict, match="is under way: begun by Gus") as error:
        dpkg.gc()
    assert "dpk gc --resume" in error.value.hint
    out = run("gc", "--resume").out
    assert "ended the gc that was begun by Gus" in out
    assert stored(store.url) == {}
    fill(make_store, store.url, 1)
    dpkg.rm(PKG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dpkg.maintenance.gclog.time.time", lambda: time.monotonic())
        log.append("delete", list(stored(store.url)), log.append("condemned", [], log.tail(), "Old"), "Old")
    assert dpkg.gc().resumed is not None
    assert stored(store.url) == {}


@pytest.mark.spec("STO-21")
def test_a_ref_of_what_is_gone_in_part_is_refused(store: Any, make_store: Any) -> None:
    *_, commit = fill(make_store, store.url)
    blob = Repository(store.url).entry(f"{PKG}/one")[3]
    dpkg.rm(PKG)
    open_backend(store.url).delete(f"objects/{blob.oid[:2]}/{blob.oid[2:]}")
    for more in ({"branch": "main"}, {"tag": "v1"}):
        with pytest.raises(NotFound, match=f"object {blob.oid}, which commit {commit} reaches"):
            dpkg.plumbing.update_ref(PKG, commit, **more)
    assert list(dpkg.ls()) == []


def test_what_killed_runs_left_goes(sales: Any) -> None:
    path = Path(sales.url, "tmp", "1-ab")
    path.write_bytes(b"x" * 100)
    assert dpkg.gc().files == 0
    os.utime(path, (0, 0))
    assert [(k.kind, k.files, k.bytes) for k in dpkg.gc().kinds] == [("temporary", 1, 100)]
    assert not path.exists()


def test_what_it_says(store: Any, make_store: Any, run: Any) -> None:
    fill(make_store, store.url)
    assert run("gc").out == f"nothing to remove in {store.url}\n"
    shown = run("gc", "-n", "--keep-last", "1").out.splitlines()
    assert shown[0].startswith(f"{PKG} would lose 3 commits (")
    assert shown[0].endswith(", and keeps 1 commit")
    assert shown[-1].startswith("would remove ")
    assert run("gc", "--keep-last", "1").out.splitlines()[-1].startswith("removed ")
