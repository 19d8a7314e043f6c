"""push: only what is missing travels, the ref moves last and only forward, and no one's work is lost."""

from __future__ import annotations

import os
import random
import shlex
from typing import Any

import pytest
from faults import Counter, contents, healthy, refs, stored, tip, watching
from packages import history, numbers

import dpkg
from dpkg.cli.main import main
from dpkg.errors import AlreadyExists, Conflict, NotFound, Usage
from dpkg.oid import digest
from dpkg.refs import Refs
from dpkg.repository import Repository
from dpkg.store import open_backend

PKG = "acme/x"


# What travels


def test_only_what_is_missing_travels(store: Any, remote: str) -> None:
    contents: dict[str, Any] = {"t": numbers(), "docs": {"a": b"a" * 5000, "b": b"b"}}
    store.commit(PKG, contents)
    first = dpkg.push(PKG, remote)
    local = stored(store.url)
    assert stored(remote) == local
    assert (first.objects, first.fragments) == (7, 2)  # two blobs; leaf, table; two trees, commit; rows, statistics
    assert first.bytes == sum(local.values())
    new = store.commit(PKG, contents | {"docs": {"a": b"a" * 5000, "b": b"changed"}})
    before = stored(remote)
    second = dpkg.push(PKG, remote)
    assert (second.objects, second.fragments) == (4, 0)  # blob, two trees, commit
    assert second.bytes == sum(stored(remote).values()) - sum(before.values())
    assert (second.old, second.new) == (first.new, new)
    assert healthy(remote)


def test_a_push_that_has_nothing_to_do_says_so(store: Any, remote: str, capsys: pytest.CaptureFixture[str]) -> None:
    store.commit(PKG, {"a": b"a"})
    dpkg.push(PKG, remote)
    before = refs(remote)
    assert main(["push", PKG, remote]) == 0
    assert "is up to date" in capsys.readouterr().out
    assert refs(remote) == before
    done = dpkg.push(PKG, remote)
    assert (done.objects, done.fragments, done.bytes) == (0, 0, 0)


def test_nothing_is_read_below_what_the_remote_has(store: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change costs what changed, not what there is."""
    contents = {f"f{i:04}": str(i).encode() for i in range(1200)}
    store.commit(PKG, contents)
    dpkg.push(PKG, remote)
    store.commit(PKG, contents | {"f0700": b"changed"})
    there = Counter()
    with watching(monkeypatch, remote, there):
        done = dpkg.push(PKG, remote)
    assert done.objects <= 5
    assert len([c for c in there.calls if c[0] != "sync"]) < 420  # the entries of one leaf are looked at, not all 1,200


def test_a_package_that_is_not_there(store: Any, remote: str) -> None:
    with pytest.raises(NotFound):
        dpkg.push(PKG, remote)
    assert not os.path.exists(remote)
    store.commit(PKG, {"a": b"a"})
    with pytest.raises(Usage, match="names more than a package"):
        dpkg.push(f"{PKG}@latest", remote)
    with pytest.raises(Usage, match="this store itself"):
        dpkg.push(PKG, store.url)
    with pytest.raises(Usage, match="exclude each other"):
        dpkg.push(PKG, remote, rebase=True, force=True)


def test_push_to_memory(store: Any) -> None:
    """A backend that is no folder."""
    store.commit(PKG, {"t": numbers(), "big": random.Random(0).randbytes(9 << 20)})
    dpkg.push(PKG, "memory://push")
    assert contents("memory://push") == contents(store.url)
    assert healthy("memory://push")


# The remote has what is lacking here


@pytest.fixture
def diverged(store: Any, other: Any, remote: str) -> tuple[str, str]:
    """Both have two commits on top of a common one, and the remote has the others'; the tips (ours, theirs)."""
    store.commit(PKG, {"a": b"0"}, "base")
    dpkg.push(PKG, remote)
    dpkg.install(PKG, remote, store=other.url)
    for i in (1, 2):
        other.commit(PKG, {"a": b"0", "theirs": str(i).encode()}, f"theirs {i}")
        store.commit(PKG, {"a": b"0", "ours": str(i).encode()}, f"ours {i}")
    dpkg.push(PKG, remote, store=other.url)
    return tip(store.url, PKG) or "", tip(remote, PKG) or ""


def test_a_refused_push_says_what_is_ahead_and_what_to_do(
    diverged: tuple[str, str], store: Any, remote: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = refs(remote), stored(remote), refs(store.url)
    assert main(["push", PKG, remote]) == 5
    said = capsys.readouterr().err
    assert f"{remote} has 2 commits of 'acme/x' that you lack:" in said
    assert f"{diverged[1][:12]} Ada <ada@example.com>: theirs 2" in said
    assert (refs(remote), stored(remote), refs(store.url)) == before
    command = next(line.partition(":")[2] for line in said.splitlines() if "--rebase" in line)
    assert main(shlex.split(command)[1:]) == 0
    assert "put 2 commits on top of the remote's" in capsys.readouterr().out
    assert history(remote) == ["ours 2", "ours 1", "theirs 2", "theirs 1", "base"]
    assert tip(remote, PKG) == tip(store.url, PKG)
    assert healthy(remote)
    assert healthy(store.url)


def test_rebase_keeps_trees_authors_and_times(diverged: tuple[str, str], store: Any, remote: str) -> None:
    local = Repository(store.url)
    mine = [local.commit(diverged[0]), local.commit(local.commit(diverged[0]).parents[0])]
    done = dpkg.push(PKG, remote, rebase=True)
    assert (done.old, done.rebased) == (diverged[1], 2)
    new = local.commit(done.new or local.revision(PKG, "latest"))
    made = [new, local.commit(new.parents[0])]
    for old, moved in zip(mine, made, strict=True):
        assert (old.tree, old.author, old.time, old.message) == (moved.tree, moved.author, moved.time, moved.message)
    assert made[1].parents == (diverged[1],)
    assert local.revision(PKG, diverged[0][:8]) == diverged[0]  # the old line can still be had


@pytest.mark.spec("OBJ-3")
def test_rebase_drops_commits_that_change_nothing(store: Any, other: Any, remote: str) -> None:
    store.commit(PKG, {"a": b"0"}, "base")
    dpkg.push(PKG, remote)
    dpkg.install(PKG, remote, store=other.url)
    other.commit(PKG, {"a": b"1"}, "theirs")
    dpkg.push(PKG, remote, store=other.url)
    store.commit(PKG, {"a": b"1"}, "the same")
    done = dpkg.push(PKG, remote, rebase=True)
    assert (done.old, done.objects) == (done.new, 0)
    assert history(store.url) == history(remote) == ["theirs", "base"]


def test_rebase_of_an_unrelated_history(store: Any, other: Any, remote: str) -> None:
    other.commit(PKG, {"a": b"theirs"}, "theirs")
    dpkg.push(PKG, remote, store=other.url)
    store.commit(PKG, {"a": b"ours"}, "ours")
    with pytest.raises(Conflict):
        dpkg.push(PKG, remote)
    dpkg.push(PKG, remote, rebase=True)
    assert history(remote) == ["ours", "theirs"]


def test_force_drops_theirs_from_the_branch_not_from_the_log(
    diverged: tuple[str, str], store: Any, remote: str
) -> None:
    done = dpkg.push(PKG, remote, force=True)
    assert (done.old, done.new) == (diverged[1], diverged[0])
    entries = [e.oid for e in Refs(open_backend(remote)).log(PKG, "heads", "main")]
    assert entries[:2] == [diverged[0], diverged[1]]
    assert Repository(remote).revision(PKG, diverged[1][:10]) == diverged[1]
    assert healthy(remote)


def test_a_remote_that_is_ahead_is_left_alone(
    store: Any, other: Any, remote: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.commit(PKG, {"a": b"0"})
    dpkg.push(PKG, remote)
    dpkg.install(PKG, remote, store=other.url)
    theirs = other.commit(PKG, {"a": b"1"})
    dpkg.push(PKG, remote, store=other.url)
    done = dpkg.push(PKG, remote)
    assert (done.ahead, done.old, done.new) == (1, theirs, theirs)
    assert main(["push", PKG, remote]) == 0
    said = capsys.readouterr().out
    assert f"the remote is 1 commit ahead: dpk install {PKG} {remote}" in said


# Tags


def test_tags_travel(store: Any, remote: str) -> None:
    one = store.commit(PKG, {"a": b"1"})
    dpkg.tag(PKG, "v1")
    two = store.commit(PKG, {"a": b"2"})
    dpkg.tag(PKG, "v2")
    assert dpkg.push(PKG, remote).tags == ("v1", "v2")
    dpkg.tag(PKG, "v1.1", "v1")
    done = dpkg.push(PKG, remote)
    assert (done.tags, done.objects, done.old) == (("v1.1",), 0, done.new)
    repository = Repository(remote)
    assert [repository.revision(PKG, name) for name in ("v1", "v1.1", "v2")] == [one, one, two]


@pytest.mark.spec("OBJ-5")
def test_a_tag_that_differs_stops_before_anything_moves(store: Any, other: Any, remote: str) -> None:
    other.commit(PKG, {"a": b"theirs"})
    dpkg.tag(PKG, "v1", store=other.url)
    dpkg.push(PKG, remote, store=other.url)
    dpkg.install(PKG, remote)
    dpkg.rm(f"{PKG}@v1", store=other.url)
    dpkg.tag(PKG, "v3", store=other.url)
    store.commit(PKG, {"a": b"ours"})
    dpkg.tag(PKG, "v3")
    dpkg.push(PKG, remote, store=other.url)
    before = refs(remote), stored(remote)
    with pytest.raises(AlreadyExists, match="has the tag 'v3' of 'acme/x' on another commit") as caught:
        dpkg.push(PKG, remote)
    assert (refs(remote), stored(remote)) == before
    assert f"dpk rm {PKG}@v3" in caught.value.hint
    dpkg.rm(f"{PKG}@v3")
    assert dpkg.push(PKG, remote).objects == 3


def test_a_tag_deleted_there_is_not_made_again(store: Any, remote: str, capsys: pytest.CaptureFixture[str]) -> None:
    store.commit(PKG, {"a": b"1"})
    dpkg.tag(PKG, "v1")
    dpkg.push(PKG, remote)
    dpkg.rm(f"{PKG}@v1", store=remote)
    store.commit(PKG, {"a": b"2"})
    done = dpkg.push(PKG, remote)
    assert (done.tags, done.kept_tags) == ((), ("v1",))
    assert tip(remote, PKG) == done.new
    assert main(["push", PKG, remote]) == 0
    assert "'v1' was deleted at the remote" in capsys.readouterr().out


def test_a_package_of_tags_alone(store: Any, remote: str) -> None:
    commit = store.commit(PKG, {"a": b"1"}, branch="side")
    Repository(store.url).refs.create_tag(PKG, "v1", commit, who="Ada")
    done = dpkg.push(PKG, remote)
    assert (done.old, done.new, done.tags) == (None, None, ("v1",))
    assert dpkg.push(PKG, remote).objects == 0
    assert Repository(remote).revision(PKG, "v1") == commit


@pytest.mark.spec("STO-9")
def test_a_chunk_that_a_power_cut_took_is_sent_though_its_list_is_there(store: Any, remote: str) -> None:
    big = random.Random(4).randbytes(9 << 20)
    store.commit(PKG, {"big": big})
    here, there = store.repository.odb, Repository(remote, create=True).odb
    oid = digest("blob", big)
    there.put_frame(oid, here.frames.get(oid))  # the list alone
    dpkg.push(PKG, remote)
    assert b"".join(Repository(remote).odb.iter_blob(oid)) == big
