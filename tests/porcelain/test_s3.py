"""Stores in buckets and behind web servers, as somebody at a terminal uses them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faultproxy
import pytest
import seaweed
from faultproxy import FaultProxy
from faults import healthy, refs, stored, tip

import dpkg
from dpkg.repository import Repository
from dpkg.store import web

PKG = "acme/sales"


@pytest.fixture
def src(store: Any) -> Path:
    """A folder to build from, below the current one."""
    folder = Path("src")
    (folder / "docs").mkdir(parents=True)
    (folder / "items.csv").write_text("id,item\n1,pen\n2,cup\n")
    (folder / "docs" / "a b.txt").write_text("read me")
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> str:
    """The path of somebody else's store."""
    return str(tmp_path / "theirs")


def of(store: str, run: Any, *command: str, **options: Any) -> Any:
    """Run a command on another store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPK_STORE", store)
        return run(*command, **options)


# A store in a bucket


def test_a_bucket_as_the_store(src: Path, s3_url: str, run: Any, theirs: str) -> None:
    """Every daily command works on a store that is in a bucket as on a folder."""

    def s3(*command: str, **options: Any) -> Any:
        return of(s3_url, run, *command, **options)

    s3("init")
    s3("build", PKG, str(src), "-m", "first")
    s3("tag", PKG, "v1")
    (src / "items.csv").write_text("id,item\n1,pen\n2,cup\n3,jar\n")
    s3("build", PKG, str(src), "-m", "second")
    assert s3("build", PKG, str(src), "--json").json["created"] is False
    assert [line["message"] for line in s3("log", PKG, "--json").lines] == ["second", "first"]
    assert "items" in s3("ls", PKG).out
    assert "jar" in s3("show", f"{PKG}/items").out
    assert "items" in s3("diff", f"{PKG}@v1..latest").out
    s3("verify", "--deep")
    s3("export", f"{PKG}@v1", "out")
    assert Path("out", "docs", "a b.txt").read_text() == "read me"
    s3("push", PKG, theirs)
    assert tip(theirs, PKG) == tip(s3_url, PKG)
    s3("rm", f"{PKG}@v1")
    s3("show", f"{PKG}@v1", code=3)
    s3("init")
    assert healthy(s3_url)


def test_init_says_where_and_tries_the_service(account: Any, run: Any) -> None:
    url = account.server.fresh_url()
    assert url in of(url, run, "init").out
    assert [stat.key for stat in Repository(url).backend.list("")] == ["derived/create-if-absent", "format"]


def test_a_bucket_without_a_prefix(seaweedfs: seaweed.Server, account: Any, src: Path, run: Any, theirs: str) -> None:
    assert seaweedfs.request("PUT", "/whole-bucket") in (200, 409)
    run("build", PKG, str(src))
    url = seaweedfs.url(bucket="whole-bucket")
    run("push", PKG, url)
    of(theirs, run, "install", PKG, url)
    assert healthy(url)


# Push and install


def test_there_and_back(src: Path, s3_url: str, run: Any, store: Any, theirs: str) -> None:
    run("build", PKG, str(src), "-m", "first")
    run("tag", PKG, "v1")
    run("remote", "add", "origin", s3_url)
    assert s3_url in run("remote", "list").out
    pushed = run("push", PKG, "--json").json
    assert (pushed["objects"] > 0, pushed["fragments"]) == (True, 2)
    again = run("push", PKG, "--json").json
    assert (again["objects"], again["fragments"]) == (0, 0)
    of(theirs, run, "install", PKG, s3_url)
    of(theirs, run, "install", PKG, s3_url)
    of(theirs, run, "verify", "--deep")
    assert of(theirs, run, "show", f"{PKG}@v1/items").out == run("show", f"{PKG}@v1/items").out
    assert tip(theirs, PKG) == tip(s3_url, PKG) == tip(store.url, PKG)
    assert stored(s3_url) == stored(store.url)
    assert healthy(s3_url)


def test_the_dataframe(src: Path, s3_url: str, run: Any, store: Any) -> None:
    """One line in Python, on a store that is elsewhere."""
    run("build", PKG, str(src))
    run("push", PKG, s3_url)
    code = "from dpkg.data.acme import sales; print(sales.items().to_dict('list'))"
    environment = {**os.environ, "DPK_STORE": s3_url}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{'id': [1, 2], 'item': ['pen', 'cup']}\n", "")


def test_what_is_ahead_and_behind(src: Path, s3_url: str, run: Any, theirs: str) -> None:
    run("build", PKG, str(src), "-m", "base")
    run("push", PKG, s3_url)
    of(theirs, run, "install", PKG, s3_url)
    (src / "theirs").write_text("1")
    of(theirs, run, "build", PKG, str(src), "-m", "theirs")
    of(theirs, run, "push", PKG, s3_url)
    (src / "theirs").unlink()
    (src / "ours").write_text("1")
    run("build", PKG, str(src), "-m", "ours")
    assert "that you lack" in run("push", PKG, s3_url, code=5).err
    run("push", PKG, s3_url, "--rebase")
    of(s3_url, run, "log", PKG)
    assert [line["message"] for line in of(s3_url, run, "log", PKG, "--json").lines] == ["ours", "theirs", "base"]


def test_damage_in_the_bucket_is_found(src: Path, s3_url: str, run: Any, theirs: str, store: Any) -> None:
    run("build", PKG, str(src))
    run("push", PKG, s3_url)
    backend = Repository(s3_url).backend
    (key,) = [k for k in stored(s3_url) if k.startswith("fragments/") and b"item" in backend.get(k)][:1]
    data = bytearray(backend.get(key))
    data[len(data) // 2] ^= 1
    backend.put(key, bytes(data))
    assert (
        key.replace("/", "")[len("fragments") :].removesuffix(".parquet")[:8] in of(s3_url, run, "verify", code=6).out
    )
    of(theirs, run, "install", PKG, s3_url, code=6)
    of(s3_url, run, "repair", "--from", store.url)
    assert healthy(s3_url)


# Behind a web server


@pytest.mark.parametrize("how", [{"plain": True}, {}, {"ranges": False}], ids=["python", "ranges", "whole"])
def test_a_folder_behind_a_web_server(
    how: dict[str, bool], src: Path, store: Any, serve: Callable[..., str], run: Any, theirs: str
) -> None:
    run("build", PKG, str(src), "-m", "first")
    run("tag", PKG, "v1")
    url = serve(store.url, **how)
    of(theirs, run, "install", PKG, url)
    of(theirs, run, "verify", "--deep")
    assert tip(theirs, PKG) == tip(store.url, PKG)
    assert "items" in of(url, run, "ls", PKG).out
    assert "v1" in of(url, run, "log", PKG).out
    assert "up to date" in run("push", PKG, url).out
    (src / "more").write_text("1")
    run("build", PKG, str(src), "-m", "second")
    assert "the remote is 1 commit ahead" in of(theirs, run, "push", PKG, url).out
    of(theirs, run, "install", PKG, url)
    assert tip(theirs, PKG) == tip(store.url, PKG)
    assert "more" in of(url, run, "diff", f"{PKG}@v1..latest").out


def test_a_web_server_is_not_written_to(
    src: Path, store: Any, serve: Callable[..., str], run: Any, theirs: str
) -> None:
    run("build", PKG, str(src), "-m", "first")
    before = {**stored(store.url), **refs(store.url)}
    url = serve(store.url)
    of(theirs, run, "install", PKG, url)
    (src / "more").write_text("1")
    of(theirs, run, "build", PKG, str(src), "-m", "more")
    refused = of(theirs, run, "push", PKG, url, code=10)
    assert "can only be read" in refused.err
    of(url, run, "build", PKG, str(src), code=10)
    assert "read" in of(url, run, "tag", PKG, "v1", code=None).err
    assert {**stored(store.url), **refs(store.url)} == before


def test_a_web_server_that_is_none_of_ours(tmp_path: Path, serve: Callable[..., str], run: Any, store: Any) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>Welcome</h1>")
    assert "there is no store at http://" in run("install", PKG, serve(tmp_path / "site"), code=3).err
    assert "cannot be reached" in run("install", PKG, "http://127.0.0.1:9", code=8).err


def test_an_untrusted_certificate(tmp_path: Path, serve: Callable[..., str], src: Path, store: Any, run: Any) -> None:
    import staticweb

    made = staticweb.certificate(tmp_path)
    if made is None:
        pytest.skip("no openssl program to make a certificate with")
    run("build", PKG, str(src))
    url = serve(store.url, tls=made)
    assert "certificate" in of(str(tmp_path / "other"), run, "install", PKG, url, code=8).err


# Networks that fail


@pytest.mark.parametrize("fault", [faultproxy.reset, faultproxy.lost_answer, faultproxy.slow_down, faultproxy.cut(0.5)])
def test_push_and_install_through_a_bad_network(
    fault: Any, src: Path, through: str, proxy: FaultProxy, run: Any, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request of five fails, each time in the same way; the result is as if none had."""
    monkeypatch.setattr(web, "_FIRST_WAIT", 0.01)
    rng = random.Random(1)

    def sometimes(request: Any, forward: Any, exchange: Any) -> Any:
        return fault(request, forward, exchange) if rng.random() < 0.2 else forward(request)

    for i in range(10):
        (src / f"b{i}").write_bytes(rng.randbytes(5000))
    run("build", PKG, str(src))
    proxy.on(sometimes, times=None)
    run("push", PKG, through)
    of(theirs, run, "install", PKG, through)
    proxy.clear()
    assert healthy(theirs)
    assert tip(theirs, PKG) == tip(through, PKG)
    log = list(Repository(through).refs.log(PKG, "heads", "main"))
    assert [entry.event for entry in log] == ["commit", "birth"]


@pytest.mark.spec("STO-9")
@pytest.mark.parametrize("step", [30, pytest.param(1, marks=pytest.mark.long)])
def test_a_push_that_breaks_off_at_any_request(
    step: int, store: Any, new_store: Any, proxy: FaultProxy, run: Any, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is gone from the n-th request on: the remote is whole, and a second push ends the work."""
    monkeypatch.setattr(web, "_FIRST_WAIT", 0.001)
    store.commit(PKG, {"t": {"id": [1, 2, 3]}, "b": b"x" * 3000}, "one")
    dpkg.tag(PKG, "v1", store=store.url)
    n, broken = 1, True
    while broken:
        remote = new_store()
        Repository(remote, create=True)
        proxy.clear()
        rule = proxy.on(faultproxy.lost_answer, nth=n, times=None)
        done = run("push", PKG, remote.replace(account.server.endpoint, proxy.url), code=None)
        broken = rule.hits > 0
        assert done.code == (8 if broken else 0)
        assert tip(remote, PKG) in (None, tip(store.url, PKG))
        assert dpkg.verify(store=remote).problems == ()
        run("push", PKG, remote)
        assert tip(remote, PKG) == tip(store.url, PKG)
        assert Repository(remote).revision(PKG, "v1")
        assert dpkg.verify(store=remote).problems == ()
        n += step
    assert n > 20


# Races

PUSHER = """
import json, sys, dpkg
from pathlib import Path
me, remote, rebase = sys.argv[1:]
name = Path(me).name
dpkg.install("acme/x", remote, store=me)
done = []
for i in range(2):
    Path(me + "-src").mkdir(exist_ok=True)
    Path(me + "-src", f"{name}-{i}").write_text("x")
    dpkg.build("acme/x", me + "-src", message=f"{name} {i}", store=me)
    try:
        dpkg.push("acme/x", remote, rebase=rebase == "rebase", store=me)
        done.append(f"{name} {i}")
    except dpkg.errors.Conflict as error:
        assert "that you lack" in error.message or "was" in error.message, error.message
print(json.dumps(done))
"""


@pytest.mark.parametrize("rebase", ["rebase", "refused"])
def test_processes_that_push_at_once(store: Any, tmp_path: Path, s3_url: str, rebase: str) -> None:
    """Every push that was accepted is in the history once, in one chain; every other was told so."""
    store.commit("acme/x", {"base": b"0"}, "base")
    dpkg.push("acme/x", s3_url)
    command = [sys.executable, "-c", PUSHER]
    running = [
        subprocess.Popen([*command, str(tmp_path / f"p{i}"), s3_url, rebase], stdout=-1, stderr=-1, text=True)
        for i in range(3)
    ]
    ended = [process.communicate(timeout=120) for process in running]
    assert [errors for _, errors in ended] == [""] * 3
    accepted = [message for out, _ in ended for message in json.loads(out)]
    repository = Repository(s3_url)
    at = repository.tip("acme/x")
    assert at is not None
    history = [commit.message for _, commit in repository.history(at)]
    log = list(repository.refs.log("acme/x", "heads", "main"))  # raises where it is no chain
    moves = [entry for entry in log if entry.event == "commit"]
    if rebase == "rebase":
        assert sorted(history) == sorted(["base", *accepted])
        assert len(accepted) == 6
    else:
        assert len(moves) == 1 + len(accepted)
        assert accepted
        assert set(accepted) <= set(history)
    assert len({entry.push for entry in moves}) == len(moves)
    assert healthy(s3_url)
