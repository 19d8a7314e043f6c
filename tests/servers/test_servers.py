"""The servers that other tests stand on do what those tests take for granted."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import faultproxy
import pytest
import seaweed
import staticweb
from faultproxy import FaultProxy

HERE = Path(__file__).parent


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


# SeaweedFS


def test_one_creator_wins(seaweedfs: seaweed.Server) -> None:
    """Every test of refs on S3 rests on this."""
    only_new = {"If-None-Match": "*"}
    for turn in range(4):
        found: list[int] = []

        def create(path: str = f"/{seaweed.BUCKET}/one/{turn}", found: list[int] = found) -> None:
            found.append(seaweedfs.request("PUT", path, b"x", only_new))

        racers = [threading.Thread(target=create) for _ in range(4)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert sorted(found) == [200] + [412] * 3


def test_no_bucket_is_made_by_writing(seaweedfs: seaweed.Server) -> None:
    assert seaweedfs.request("PUT", "/nobody-made-this/x", b"x") == 404


def test_the_server_is_shared_and_ends_with_its_users(tmp_path: Path, seaweedfs: seaweed.Server) -> None:
    """Two processes get one server; killed, they leave nothing behind."""
    script = (
        "import pathlib, sys, time, seaweed\n"
        "with seaweed.shared(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(server.endpoint, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    users = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE) for _ in range(2)]
    endpoints = {user.stdout.readline().strip() for user in users if user.stdout}
    (endpoint,) = endpoints
    assert endpoint != seaweedfs.endpoint
    assert get(f"{endpoint}/")[0] == 403
    for user in users:
        user.kill()
        user.wait()
    until = time.monotonic() + 10
    while (tmp_path / "seaweed.json").exists() or listens(endpoint):
        assert time.monotonic() < until, "the server outlives its users"
        time.sleep(0.05)


def listens(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


# The proxy


@pytest.fixture
def web(tmp_path: Path, serve: Callable[..., str]) -> str:
    (tmp_path / "a b").write_bytes(bytes(range(200)) * 50)
    return serve(tmp_path)


def test_the_proxy_counts_and_forwards(web: str) -> None:
    with FaultProxy(web) as proxy:
        assert get(f"{proxy.url}/a%20b?x=1", Range="bytes=1-3") == (206, b"\x01\x02\x03")
        (seen,) = proxy.seen("GET", "^a b$")
        assert (seen.query, seen.headers["range"], seen.status, seen.sent) == ({"x": "1"}, "bytes=1-3", 206, 3)
        assert seen.headers["host"] == urlsplit(proxy.url).netloc
        assert proxy.count("PUT") == 0


def test_the_nth_request_fails(web: str) -> None:
    with FaultProxy(web) as proxy:
        rule = proxy.on(faultproxy.slow_down, key="a b", nth=2, times=2)
        got = [get(f"{proxy.url}/a%20b")[0] for _ in range(4)]
        assert got == [200, 503, 503, 200]
        assert rule.hits == 2
        assert b"<Code>SlowDown</Code>" in proxy_answer(proxy, faultproxy.slow_down)


def proxy_answer(proxy: FaultProxy, fault: faultproxy.Fault) -> bytes:
    proxy.clear()
    proxy.on(fault)
    return get(f"{proxy.url}/a%20b")[1]


@pytest.mark.parametrize("fault", [faultproxy.reset, faultproxy.lost_answer, faultproxy.stall(0, deliver=False)])
def test_broken_before_the_answer(web: str, fault: faultproxy.Fault) -> None:
    with FaultProxy(web) as proxy:
        proxy.on(fault)
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            get(f"{proxy.url}/a%20b")
        assert get(f"{proxy.url}/a%20b")[0] == 200


def test_cut_in_the_body(web: str) -> None:
    with FaultProxy(web) as proxy:
        proxy.on(faultproxy.cut(0.5))
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            get(f"{proxy.url}/a%20b")
        assert proxy.requests[0].status == 0


def test_slow(web: str) -> None:
    with FaultProxy(web) as proxy:
        proxy.on(faultproxy.trickle(1000, 0.02))
        start = time.monotonic()
        assert len(get(f"{proxy.url}/a%20b")[1]) == 10_000
        assert time.monotonic() - start > 0.15


def test_the_proxy_keeps_signatures_valid(seaweedfs: seaweed.Server, proxy: FaultProxy) -> None:
    """The Host that was signed goes on; without If-None-Match a second creator is not refused."""
    there = seaweed.Server(proxy.url, seaweedfs.writer, seaweedfs.reader)
    path, only_new = f"/{seaweed.BUCKET}/signed", {"If-None-Match": "*"}
    assert there.request("PUT", path, b"1", only_new) == 200
    assert there.request("PUT", path, b"2", only_new) == 412
    proxy.on(faultproxy.without("If-None-Match"), method="PUT")
    assert there.request("PUT", path, b"3", only_new) in (200, 403)  # 403 where the header was signed too


# Web servers


def test_static_servers(tmp_path: Path, serve: Callable[..., str]) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_bytes(b"0123456789")
    listing, hidden = serve(tmp_path), serve(tmp_path, listings=False, hide=403)
    whole, python = serve(tmp_path, ranges=False), serve(tmp_path, plain=True)
    assert b'href="x"' in get(f"{listing}/d/")[1]
    assert b'href="x"' in get(f"{python}/d/")[1]
    assert get(f"{hidden}/d/")[0] == 403
    for span, want in (
        ("bytes=2-4", b"234"),
        ("bytes=8-99", b"89"),
        ("bytes=-3", b"789"),
        ("bytes=-99", b"0123456789"),
    ):
        assert get(f"{listing}/d/x", Range=span) == get(f"{hidden}/d/x", Range=span) == (206, want)
        assert get(f"{whole}/d/x", Range=span) == get(f"{python}/d/x", Range=span) == (200, b"0123456789")
    assert get(f"{listing}/d/x", Range="bytes=10-12")[0] == 416


def test_tls(tmp_path: Path, serve: Callable[..., str]) -> None:
    made = staticweb.certificate(tmp_path)
    if made is None:
        pytest.skip("no openssl program to make a certificate with")
    (tmp_path / "x").write_bytes(b"1")
    url = serve(tmp_path, tls=made)
    trusting = ssl.create_default_context(cafile=str(made[0]))
    with urllib.request.urlopen(f"{url}/x", context=trusting) as answer:
        assert answer.read() == b"1"
    with pytest.raises(urllib.error.URLError, match="certificate"):
        get(f"{url}/x")
