"""Web servers that are none for stores, or that lie: nothing wrong is taken, nothing endless read, and it is said in words."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import staticweb

import dpkg
from dpkg.errors import Corrupt, DpkgError, NotFound, Storage
from dpkg.odb import Odb
from dpkg.oid import Oid
from dpkg.repository import Repository
from dpkg.store import http, open_backend, web
from dpkg.store.base import SERVER_INFO

PKG = "acme/x"
PAGE = b'<html><a href="/">Home</a> <a href="about">About</a> <a href="style.css">x</a> <a href="news/">News</a></html>'
Answers = Callable[[Any], bool]  # answers a request; False if it is left to the files


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_FIRST_WAIT", 0.01)


@contextmanager
def site(folder: Path, answer: Answers) -> Iterator[str]:
    class Site(staticweb._Host):
        def do_GET(self) -> None:
            if not answer(self):
                super().do_GET()

        do_HEAD = do_GET

    options = {"listings": False, "ranges": True, "hide": 404}
    with staticweb._serving(functools.partial(Site, options, directory=str(folder))) as url:
        yield url


def send(request: Any, body: bytes, status: int = 200, **headers: str) -> bool:
    request.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)
    return True


def fallback(request: Any) -> bool:
    """As sites of a single page do: whatever is no file is that page."""
    return not Path(request.translate_path(request.path)).is_file() and send(request, PAGE, Content_Type="text/html")


def endless(request: Any) -> bool:
    """A body without end."""
    request.send_response(206 if "Range" in request.headers else 200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Connection", "close")
    request.end_headers()
    while True:
        request.wfile.write(b"<a href='x'>x</a>" * 1000)


@pytest.mark.spec("STO-13")
def test_a_site_that_answers_everything_with_a_page(store: Any, tmp_path: Path) -> None:
    """It shows no listings; then only what was written for it tells what is there."""
    new = store.commit(PKG, {"t": {"id": [1]}, "b": b"x"})
    here = str(tmp_path / "here")
    with site(Path(store.url), fallback) as url:
        with pytest.raises(DpkgError) as caught:
            dpkg.install(PKG, url, store=here)
        assert not isinstance(caught.value, NotFound)  # that would be a guess
        assert SERVER_INFO in caught.value.message
        dpkg.plumbing.update_server_info(store=store.url)
        dpkg.install(PKG, url, store=here)
        assert Repository(here).tip(PKG) == new
        assert dpkg.verify(store=here, deep=True).problems == ()
        with pytest.raises(NotFound, match="no package 'acme/y'"):
            dpkg.install("acme/y", url, store=here)


def test_a_site_without_a_store(store: Any, tmp_path: Path) -> None:
    with site(tmp_path, fallback) as url, pytest.raises(Corrupt, match="damaged 'format' file") as caught:
        dpkg.install(PKG, url)
    assert "is this the folder of a store?" in caught.value.hint


@pytest.mark.spec("STO-13")
def test_a_folder_whose_listing_is_refused(store: Any) -> None:
    """It is not empty: nobody knows."""
    store.commit(PKG, {"b": b"x"})

    def answer(request: Any) -> bool:
        if request.path.endswith("/"):
            if "acme" in request.path:
                return send(request, b"", 403)
            names = [p.name + "/" * p.is_dir() for p in Path(request.translate_path(request.path)).iterdir()]
            page = "".join(f"<a href='{name}'>{name}</a>" for name in names)
            return send(request, page.encode(), Content_Type="text/html")
        return False

    with site(Path(store.url), answer) as url:
        with pytest.raises(DpkgError) as caught:
            list(open_backend(url).list("refs/"))
        assert not isinstance(caught.value, NotFound)
        with pytest.raises(Storage, match="no listings"):
            list(open_backend(url).list("refs/acme/x/"))


@pytest.mark.spec("STO-10")
def test_what_is_missing_is_denied(store: Any, tmp_path: Path) -> None:
    """As buckets do that may not be listed: a value that only spares requests is not asked for in vain."""
    new = store.commit(PKG, {"t": {"id": [1]}})
    dpkg.plumbing.update_server_info(store=store.url)
    here = str(tmp_path / "here")
    with site(Path(store.url), lambda r: not Path(r.translate_path(r.path)).is_file() and send(r, b"", 403)) as url:
        dpkg.install(PKG, url, store=here)
        assert Repository(here).tip(PKG) == new


@pytest.mark.parametrize("total", ["*", "", "-5", "many", "²"])
def test_a_length_that_is_none(total: str, tmp_path: Path) -> None:
    said = f"bytes 0-3/{total}" if total else ""
    with (
        site(tmp_path, lambda r: send(r, b"PAR1", 206, Content_Range=said.encode().decode("latin-1"))) as url,
        pytest.raises(Storage, match="does not say how long"),
    ):
        open_backend(url).get_tail("format", 4)


def test_bodies_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_MOST_LISTING", 1 << 20)
    began = time.monotonic()
    with site(tmp_path, endless) as url:
        backend = open_backend(url)
        assert len(backend.get_range("a", 0, 100)) == 100
        assert len(backend.get_range("a", 1000, 100)) == 100
        with pytest.raises(Corrupt, match="cut off"):
            list(backend.list("refs/"))
        with pytest.raises(Corrupt, match="damaged 'format' file"):
            dpkg.install(PKG, url, store=str(tmp_path / "here"))
        with pytest.raises(Corrupt, match="damaged"):
            Odb(backend).read(Oid("ab" * 32), "node")
    assert time.monotonic() - began < 20


def test_a_listing_of_very_many_names(tmp_path: Path) -> None:
    page = "".join(f"<a href='{i:x}'>x</a>" for i in range(100_000)) + "<a href='format'>x</a>"
    began = time.monotonic()
    with site(tmp_path, lambda r: send(r, page.encode(), Content_Type="text/html")) as url:
        assert sum(1 for _ in open_backend(url).list("")) == 100_001
    assert time.monotonic() - began < 20
