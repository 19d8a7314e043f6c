"""install: everything that arrives is verified, the branch moves only forward, and local work is never lost."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faults import Counter, contents, healthy, refs, stored, tip, watching
from packages import numbers

import dpkg
from dpkg.cli.main import main
from dpkg.errors import AlreadyExists, Conflict, Corrupt, Format, NotFound, Storage
from dpkg.repository import Repository
from dpkg.store import open_backend

PKG = "acme/x"


@pytest.fixture
def remote(tmp_path: Path, store: Any) -> Any:
    """Where packages come from; `store` is where they go."""
    return type(store)(str(tmp_path / "remote"))


# What travels


def test_only_what_is_missing_travels(store: Any, remote: Any) -> None:
    contents: dict[str, Any] = {"t": numbers(), "docs": {"a": b"a" * 5000, "b": b"b"}}
    remote.commit(PKG, contents)
    first = dpkg.install(PKG, remote.url)
    assert stored(store.url) == stored(remote.url)
    assert (first.objects, first.fragments, first.bytes) == (7, 2, sum(stored(remote.url).values()))
    new = remote.commit(PKG, contents | {"docs": {"a": b"a" * 5000, "b": b"changed"}})
    second = dpkg.install(PKG, remote.url)
    assert (second.objects, second.fragments, second.changed) == (4, 0, True)
    assert tip(store.url, PKG) == second.commit == new
    assert healthy(store.url)


def test_a_second_install_is_a_no_op_that_says_so(store: Any, remote: Any, capsys: pytest.CaptureFixture[str]) -> None:
    remote.commit(PKG, {"t": numbers()})
    assert main(["install", PKG, remote.url]) == 0
    assert "installed acme/x" in capsys.readouterr().out
    before = refs(store.url)
    assert main(["install", PKG, remote.url]) == 0
    assert "is installed already; nothing was brought" in capsys.readouterr().out
    done = dpkg.install(PKG, remote.url)
    assert (done.changed, done.objects, done.fragments, done.bytes) == (False, 0, 0, 0)
    assert refs(store.url) == before


def test_objects_of_another_package_do_not_travel_again(store: Any, remote: Any) -> None:
    """A table that was moved: nothing travels, but what is here is checked against what is said of it."""
    remote.commit(PKG, {"t": numbers(), "b": b"blob"})
    dpkg.install(PKG, remote.url)
    remote.commit("acme/y", {"deep": {"u": numbers()}, "c": b"blob"})
    done = dpkg.install("acme/y", remote.url)
    assert (done.objects, done.fragments, done.changed) == (3, 0, True)  # two trees and the commit
    assert healthy(store.url)


def test_a_change_of_a_table_does_not_decode_the_rest_of_it(
    store: Any, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dpkg.arrow import checking

    table = numbers(400_000)
    remote.commit(PKG, {"t": table})
    dpkg.install(PKG, remote.url)
    table["x"][200_000] = 2.0  # the greatest: statistics change too
    remote.commit(PKG, {"t": table})
    real, decoded = checking.check_values, []
    monkeypatch.setattr(checking, "check_values", lambda reader: (decoded.append(reader.entry.oid), real(reader))[1])
    done = dpkg.install(PKG, remote.url)
    assert len(decoded) == done.fragments - 1 <= 3  # those that came; one fragment is the new statistics
    assert healthy(store.url)


def test_install_makes_a_store(remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote.commit(PKG, {"a": b"a"})
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "new" / "store"))
    dpkg.install(PKG, remote.url)
    assert healthy(str(tmp_path / "new" / "store"))


def test_what_is_not_there_makes_no_store(remote: Any, tmp_path: Path) -> None:
    new = str(tmp_path / "new")
    remote.commit(PKG, {"a": b"a"})
    for name, place, said in (
        ("acme/z", remote.url, "there is no package 'acme/z'"),
        (PKG, str(tmp_path / "nothing"), "there is no store at"),
        (PKG, "nowhere", "there is no remote 'nowhere'"),
    ):
        with pytest.raises(NotFound, match=said):
            dpkg.install(name, place, store=new)
    with pytest.raises(NotFound, match="there is no 'b' in the package"):
        dpkg.install(f"{PKG}/b", remote.url, store=new)
    assert not os.path.exists(new)
    with pytest.raises(NotFound, match="has no revision 'v9'"):
        dpkg.install(f"{PKG}@v9", remote.url, store=new)
    assert list(Repository(new).refs.packages()) == []


def test_install_from_memory(store: Any) -> None:
    there = type(store)("memory://install")
    there.commit(PKG, {"t": numbers(), "big": random.Random(0).randbytes(9 << 20)})
    dpkg.install(PKG, "memory://install", store="memory://installed")
    assert contents("memory://installed") == contents("memory://install")
    dpkg.install(PKG, "memory://install")
    assert healthy(store.url)


@pytest.mark.spec("STO-1")
def test_a_store_of_an_unknown_format(store: Any, remote: Any) -> None:
    remote.commit(PKG, {"a": b"a"})
    for text, said in (
        ('{"format":"dpkg 9","requires":[]}', "is of the format 'dpkg 9'"),
        ('{"format":"dpkg v1","requires":["packs"]}', "requires packs"),
        ("{", "damaged"),
    ):
        Path(remote.url, "format").write_text(text)
        for call in (
            lambda: dpkg.install(PKG, remote.url),
            lambda: dpkg.verify(store=remote.url),
            lambda: dpkg.push(PKG, store.url, store=remote.url),
        ):
            with pytest.raises(Corrupt if said == "damaged" else Format, match=said):
                call()
    assert refs(store.url) == {}


# Revisions and tags


@pytest.fixture
def three(remote: Any) -> list[str]:
    commits = []
    for i in (1, 2, 3):
        commits.append(remote.commit(PKG, {"a": str(i).encode()}, f"commit {i}"))
        dpkg.tag(PKG, f"v{i}", store=remote.url)
    return commits


def test_a_revision_comes_with_its_history_and_tags(store: Any, remote: Any, three: list[str]) -> None:
    done = dpkg.install(f"{PKG}@v2", remote.url)
    assert (done.commit, done.tags, tip(store.url, PKG)) == (three[1], ("v1", "v2"), three[1])
    assert not Repository(store.url).odb.has(three[2])  # type: ignore[arg-type]
    assert dpkg.install(f"{PKG}@{three[0][:8]}", remote.url).changed is False
    assert tip(store.url, PKG) == three[1]  # only forward
    done = dpkg.install(PKG, remote.url)
    assert (done.commit, done.tags, tip(store.url, PKG)) == (three[2], ("v3",), three[2])
    again = dpkg.install(f"{PKG}@v1", remote.url)
    assert (again.commit, again.changed, again.ahead, tip(store.url, PKG)) == (three[0], False, 0, three[2])


def test_tags_on_other_lines_come_too(store: Any, remote: Any, three: list[str]) -> None:
    side = remote.commit(PKG, {"side": b"s"}, branch="side")
    Repository(remote.url).refs.create_tag(PKG, "aside", side, who="Ada")
    assert dpkg.install(PKG, remote.url).tags == ("aside", "v1", "v2", "v3")
    assert Repository(store.url).revision(PKG, "aside") == side
    assert tip(store.url, PKG) == three[2]
    assert dpkg.install(f"{PKG}@aside", remote.url).commit == side
    assert tip(store.url, PKG) == three[2]


def test_a_tag_that_differs_here_is_left(
    store: Any, remote: Any, three: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dpkg.install(f"{PKG}@v1", remote.url)
    dpkg.tag(PKG, "v3")
    dpkg.rm(f"{PKG}@v1")
    assert main(["install", PKG, remote.url]) == 0
    assert "the remote's tag 'v3'" in capsys.readouterr().out
    done = dpkg.install(PKG, remote.url)
    assert (done.kept_tags, done.changed) == (("v1", "v3"), False)
    assert Repository(store.url).revision(PKG, "v3") == three[0]


def test_into(store: Any, remote: Any, three: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out" / "here"
    assert main(["install", f"{PKG}@v2", remote.url, "--into", str(target)]) == 0
    assert (target / "a").read_text() == "2"
    assert f"exported into {target}" in capsys.readouterr().out
    with pytest.raises(AlreadyExists, match="is not empty"):  # before anything travels
        dpkg.install("acme/unknown", remote.url, into=str(target))


# Local commits


@pytest.fixture
def parted(store: Any, remote: Any) -> tuple[str, str]:
    remote.commit(PKG, {"a": b"0"}, "base")
    dpkg.install(PKG, remote.url)
    ours = store.commit(PKG, {"a": b"ours"}, "ours")
    theirs = remote.commit(PKG, {"a": b"0", "b": b"theirs"}, "theirs")
    return ours, theirs


def test_local_commits_are_not_lost(
    store: Any, remote: Any, parted: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = refs(store.url), stored(store.url)
    assert main(["install", PKG, remote.url]) == 5
    said = capsys.readouterr().err
    assert f"'acme/x' has 1 local commit that {remote.url} lacks, and the two have parted" in said
    assert (refs(store.url), stored(store.url)) == before
    out = next(line.partition(":")[2] for line in said.splitlines() if "--rebase" in line)
    assert main(shlex.split(out)[1:]) == 0
    assert tip(store.url, PKG) == tip(remote.url, PKG)
    assert [c.message for _, c in Repository(store.url).history(Repository(store.url).revision(PKG, "latest"))] == [
        "ours",
        "theirs",
        "base",
    ]


def test_force_takes_theirs_and_ours_can_still_be_had(
    store: Any, remote: Any, parted: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", PKG, remote.url]) == 5
    said = capsys.readouterr().err
    out = next(line.partition(":")[2].partition("(")[0] for line in said.splitlines() if "--force" in line)
    assert main(shlex.split(out)[1:]) == 0
    assert tip(store.url, PKG) == parted[1]
    expr = f"{PKG}@{parted[0][:12]}"
    assert expr in said
    assert Repository(store.url).resolve(expr)[1] == parted[0]


def test_local_commits_ahead_stay(store: Any, remote: Any, capsys: pytest.CaptureFixture[str]) -> None:
    remote.commit(PKG, {"a": b"0"})
    dpkg.install(PKG, remote.url)
    ours = store.commit(PKG, {"a": b"1"})
    done = dpkg.install(PKG, remote.url)
    assert (done.ahead, done.changed, tip(store.url, PKG)) == (1, False, ours)
    assert main(["install", PKG, remote.url]) == 0
    assert f"you are 1 commit ahead: dpk push {PKG} {remote.url}" in capsys.readouterr().out


def test_a_remote_that_was_forced_back(store: Any, remote: Any) -> None:
    remote.commit(PKG, {"a": b"0"})
    dpkg.install(PKG, remote.url)
    other = type(store)(store.url + "2")
    other.commit(PKG, {"a": b"another"})
    dpkg.push(PKG, remote.url, force=True, store=other.url)
    with pytest.raises(Conflict, match="1 local commit"):
        dpkg.install(PKG, remote.url)


def test_the_local_branch_moves_meanwhile(store: Any, remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    remote.commit(PKG, {"a": b"0"})
    dpkg.install(PKG, remote.url)
    remote.commit(PKG, {"a": b"1"})
    for force in (False, True):
        made = []

        def hook(name: str, key: str, made: list[str] = made) -> None:
            if name == "create" and "/heads/main/" in key and not made:
                made.append("")
                made.append(store.commit(PKG, {"mine": os.urandom(4)}))

        with watching(monkeypatch, store.url, hook), pytest.raises(Conflict):
            dpkg.install(PKG, remote.url, force=force)
        assert tip(store.url, PKG) == made[1]


# Stopped


@pytest.mark.spec("STO-9")
@pytest.mark.parametrize("error", [KeyboardInterrupt, lambda: Storage("no network")], ids=["stopped", "fails"])
@pytest.mark.parametrize("side", ["here", "there"])
def test_stopped_at_every_operation(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any, side: str
) -> None:
    place = f"memory://{tmp_path}"
    there = type(store)(f"{place}/remote")
    there.commit(PKG, {"t": numbers(200), "s": {"b": b"b", "c": b"c" * 3000}})
    new = there.commit(PKG, {"t": numbers(200, 2), "s": {"b": b"b", "c": b"d" * 3000}})
    dpkg.tag(PKG, "v1", "latest~1", store=there.url)
    n = 0
    while True:
        n += 1
        url = f"{place}/{n}"
        counter = Counter(n, error)
        at = url if side == "here" else there.url
        with watching(monkeypatch, at, counter), suppress(KeyboardInterrupt, Storage):
            dpkg.install(PKG, there.url, store=url)
        if counter.count < n:
            break
        if open_backend(url).stat("format"):
            assert tip(url, PKG) in (None, new)
            assert dpkg.verify(store=url).problems == ()
        dpkg.install(PKG, there.url, store=url)
        assert (tip(url, PKG), Repository(url).revision(PKG, "v1")) == (new, Repository(there.url).revision(PKG, "v1"))
        assert dpkg.verify(store=url).problems == ()
    assert n > 20
    assert healthy(there.url)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment(store: Any, remote: Any, seed: int) -> None:
    contents = {f"b{i}": random.Random(i).randbytes(200_000) for i in range(60)}
    new = remote.commit(PKG, {"t": numbers(60_000), **contents})
    process = subprocess.Popen([sys.executable, "-c", f"import dpkg; dpkg.install({PKG!r}, {remote.url!r})"])
    wanted, limit = random.Random(seed).randint(0, 60), time.monotonic() + 10
    while process.poll() is None and len(stored(store.url)) < wanted and time.monotonic() < limit:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert dpkg.verify().problems == ()
    assert tip(store.url, PKG) in (None, new)
    dpkg.install(PKG, remote.url)
    assert tip(store.url, PKG) == new
    assert healthy(store.url)
