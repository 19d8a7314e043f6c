"""What is particular to stores behind web servers: how they list, refuse and fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faultproxy
import pytest
import staticweb
from faultproxy import FaultProxy

from dpkg.errors import Corrupt, Denied, DpkgError, NotFound, Storage
from dpkg.store import open_backend, web
from dpkg.store.base import SERVER_INFO

KEYS = ["format", "refs/a/b/heads/main/0001", "refs/a/b/heads/main/0002", "refs/a/b.c/heads/x/0001"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_FIRST_WAIT", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for key in KEYS:
        (tmp_path / "store" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / key).write_bytes(key.encode() * 1000)
    return tmp_path / "store"


@pytest.fixture
def proxy(folder: Path, serve: Callable[..., str]) -> Iterator[FaultProxy]:
    with FaultProxy(serve(folder)) as found:
        yield found


FAULTS = {
    "reset": faultproxy.reset,
    "cut": faultproxy.cut(0.5),
    "500": faultproxy.internal_error,
    "502": faultproxy.bad_gateway,
    "503": faultproxy.slow_down,
    "429": faultproxy.too_many,
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_failure_is_not_noticed(name: str, proxy: FaultProxy) -> None:
    backend = open_backend(proxy.url)
    whole = b"format" * 1000
    for call, want in (
        (lambda: backend.get("format"), whole),
        (lambda: backend.get_range("format", 10, 100), whole[10:110]),
        (lambda: backend.get_tail("format", 100).data, whole[-100:]),
        (lambda: [stat.key for stat in backend.list("")], sorted(KEYS)),
    ):
        proxy.clear()
        rule = proxy.on(FAULTS[name], times=2)
        assert call() == want
        assert rule.hits == 2


def test_failures_that_last(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_TIMEOUT", "0.4")
    for fault, words in (
        (faultproxy.bad_gateway, "HTTP 502"),
        (faultproxy.reset, "127.0.0.1"),
        (faultproxy.stall(30), "does not answer in time"),
    ):
        proxy.clear()
        proxy.on(fault, times=None)
        began = time.monotonic()
        with pytest.raises(Storage, match=words):
            open_backend(proxy.url).get("format")
        assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("code", "error"), [(401, Denied), (403, Denied), (404, NotFound), (410, NotFound), (418, Storage)]
)
def test_refusals(code: int, error: type[DpkgError], proxy: FaultProxy) -> None:
    """Told at once."""
    proxy.on(faultproxy.status(code), times=None)
    with pytest.raises(error):
        open_backend(proxy.url).get("format")
    assert proxy.count() == 1


# Listings as servers write them

LISTINGS = {
    "nginx": """<html><head><title>Index of /s/</title></head><body><h1>Index of /s/</h1><hr><pre><a href="../">../</a>
<a href="refs/">refs/</a>                                              22-Nov-2026 12:00       -
<a href="format">format</a>                                            22-Nov-2026 12:00      61
</pre><hr></body></html>""",
    "apache": """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><body><h1>Index of /s</h1><table>
<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/">Parent Directory</a></td></tr>
<tr><td><a href="format">format</a></td><td align="right">2026-11-22 12:00</td></tr>
<tr><td><a href="refs/">refs/</a></td></tr><tr><td><a href="format">again</a></td></tr></table></body></html>""",
    "absolute": """<ul><li><a href='/s/format'>format</a><li><A HREF=/s/refs/>refs</A><li><a href="/s/%66ormat">f</a>
<li><a href="https://elsewhere.example/format2">x</a><li><a href="/s/a/b">deeper</a><li><a name="here">no link</a></ul>""",
    "odd": """<a href="format"><a href="refs/"><a href="a%20b"><a href="..%2fup"><a href="%2e%2e/"><a href="tmp/"><a href="#">""",
}


@pytest.mark.parametrize("name", LISTINGS)
def test_listings(name: str) -> None:
    """Links to just below the folder are names; parents, sort orders, other places and what is no key are not."""
    pages = {"/s/": LISTINGS[name], "/s/refs/": '<a href="../">up</a> <a href="x">x</a>'}
    with staticweb.answering(pages) as url:
        assert [stat.key for stat in open_backend(f"{url}/s").list("")] == ["format", "refs/x"]
        assert [stat.key for stat in open_backend(f"{url}/s/").list("refs/")] == ["refs/x"]


def test_a_page_that_lists_nothing() -> None:
    """A site's own pages are no listings; then only what was written for it tells what is there."""
    pages = {"/s/": "<h1>Welcome</h1>", "/s/format": "x"}
    with staticweb.answering(pages) as url:
        with pytest.raises(Storage, match="shows no listings") as caught:
            list(open_backend(f"{url}/s").list("refs/"))
        assert "dpk update-server-info" in caught.value.hint
        pages[f"/s/{SERVER_INFO}"] = "refs/\nformat\nrefs/x\nrefs/../up\n/etc/passwd\n\nrefs/a b\n"
        assert [stat.key for stat in open_backend(f"{url}/s").list("refs/")] == ["refs/x"]
        for cut in ("", "ref", "refs/\nrefs/x\nrefs/y"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(pages, f"/s/{SERVER_INFO}", cut)
                with pytest.raises(Corrupt, match="cut off"):
                    list(open_backend(f"{url}/s").list("refs/"))
        for prefix in ("", "objects/00/", "fragments/"):  # never taken for empty
            with pytest.raises(Storage, match="cannot be listed"):
                list(open_backend(f"{url}/s").list(prefix))
