"""Many processes push to one package at once: each push that was accepted is in the log once, each other was told, one chain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crowd
import faultproxy
import pytest
from faultproxy import FaultProxy
from walker import Walker

import dpkg
from dpkg.errors import DpkgError
from dpkg.objects.commit import Commit
from dpkg.repository import Repository

PKG = "acme/x"
MAIN = f"{PKG}/heads/main"
CONFLICT = 5


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where they all push to."""
    return str(tmp_path / "shared") if request.param == "folder" else request.getfixturevalue("s3_url")


def pusher(folder: str, me: int, place: str, rebase: bool, rounds: int) -> list[tuple[str, int]]:
    """A writer: what it built, and the exit code of each push."""
    here, src, done = f"{folder}/w{me}", Path(folder, f"src{me}"), []
    src.mkdir()
    dpkg.install(PKG, place, store=here)
    for i in range(rounds):
        (src / f"{me}-{i}").write_bytes(b"\0%d" % i)
        dpkg.build(PKG, str(src), message=f"{me} {i}", store=here)
        code = CONFLICT
        while code == CONFLICT:
            try:
                dpkg.push(PKG, place, rebase=rebase, store=here)
                code = 0
            except DpkgError as error:
                code = error.exit_code
            if not rebase:
                break  # else again: others were faster ten times
        done.append((f"{me} {i}", code))
    return done


def crowded(make_store: Any, folder: Path, place: str, writers: int, rebase: bool, rounds: int) -> None:
    make_store(str(folder / "first")).commit(PKG, {"base": b"0"}, "base")
    dpkg.push(PKG, place, store=str(folder / "first"))
    running = [crowd.start(pusher, str(folder), me, place, rebase, rounds) for me in range(writers)]
    said = dict(pair for process in running for pair in process.result())
    accepted = [message for message, code in said.items() if code == 0]
    assert accepted
    assert set(said.values()) <= {0, CONFLICT}
    if rebase:
        assert len(accepted) == len(said) == writers * rounds
    seen = Walker(place)
    log = seen.logs()[MAIN]  # a chain, without a gap
    tip = seen.published()[MAIN]  # everything is there
    moves = [entry.oid for entry in log if entry.event == "commit"]
    assert len(set(moves)) == len(moves) == len({e.push for e in log if e.event == "commit"})
    history = []
    at: Any = tip
    while at:
        commit = Commit.decode(seen.odb.read(at, "commit"))
        history.append((commit.message, at))
        at = next(iter(commit.parents), None)
    messages = [message for message, _ in history]
    assert len(set(messages)) == len(messages)
    assert set(accepted) <= set(messages) - {"base"} if not rebase else set(accepted) == set(messages) - {"base"}
    assert [oid for _, oid in history if oid in moves] == list(reversed(moves))  # only forward
    ends = {messages[[oid for _, oid in history].index(oid)] for oid in moves}
    assert ends - {"base"} == set(accepted) if not rebase else ends >= {messages[0]}
    assert dpkg.verify(store=place).problems == ()


@pytest.mark.spec("STO-6", "STO-12")
@pytest.mark.parametrize("rebase", [False, True], ids=["refused", "rebase"])
@pytest.mark.parametrize("writers", [8, pytest.param(32, marks=pytest.mark.long)])
def test_all_push_at_once(make_store: Any, tmp_path: Path, place: str, writers: int, rebase: bool) -> None:
    crowded(make_store, tmp_path, place, writers, rebase, 1 if writers == 8 and rebase else 2)


@pytest.mark.spec("STO-14")
@pytest.mark.parametrize("writers", [3, pytest.param(16, marks=pytest.mark.long)])
def test_answers_are_lost_among_many(
    make_store: Any, tmp_path: Path, through: str, proxy: FaultProxy, writers: int
) -> None:
    """Of every creation of a ref entry the first answer is lost: writers know their own, and nothing is in the log twice."""
    lost: set[str] = set()

    def once(request: Any, forward: Callable[..., Any], exchange: Any) -> Any:
        name = hashlib.sha256(request.body).hexdigest()
        if name in lost:
            return forward(request)
        lost.add(name)
        return faultproxy.lost_answer(request, forward, exchange)

    proxy.on(once, method="PUT", key="refs/", times=None)
    crowded(make_store, tmp_path, through, writers, True, 1)
    assert len(lost) > writers


def tagger(place: str, me: int) -> int:
    """A writer that wants a tag for a commit of its own; its exit code."""
    repository = Repository(place)
    commits = sorted(oid for oid, _ in repository.all_commits(PKG))
    try:
        dpkg.tag(PKG, "v1", commits[me % len(commits)], store=place)
    except DpkgError as error:
        return error.exit_code
    return 0


@pytest.mark.spec("OBJ-5")
def test_all_want_one_tag(make_store: Any, tmp_path: Path, place: str) -> None:
    """A tag is given once; those who wanted the same commit are content, all others are refused."""
    store = make_store(str(tmp_path / "first"))
    commits = sorted(store.commit(PKG, {"b": b"%d" % i}, str(i)) for i in range(4))
    dpkg.push(PKG, place, store=store.url)
    codes = [process.result() for process in [crowd.start(tagger, place, me) for me in range(8)]]
    seen = Walker(place)
    won = commits.index(seen.published()[f"{PKG}/tags/v1"])
    assert [code for me, code in enumerate(codes) if me % 4 != won] == [4] * 6
    assert set(codes[won::4]) <= {0, 4, CONFLICT}
    assert [e.event for e in seen.logs()[f"{PKG}/tags/v1"]] == ["birth", "commit"]
    assert 0 in codes
