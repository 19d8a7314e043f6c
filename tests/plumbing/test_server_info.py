"""update-server-info: a store behind a web server that lists no folders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import dpkg
from dpkg.errors import Storage
from dpkg.store import open_backend
from dpkg.store.base import SERVER_INFO

PKG = "acme/sales"


@pytest.fixture(params=[404, 403])
def hidden(request: Any, sales: Any, serve: Callable[..., str]) -> str:
    """The store of `sales` behind a server that lists nothing, and says so in one of the two usual ways."""
    return serve(sales.url, listings=False, hide=request.param)


def entries_and_packs(url: str) -> list[str]:
    refs, packs = ([stat.key for stat in open_backend(url).list(prefix)] for prefix in ("refs/", "packs/"))
    return [*refs, "packs/", *packs]


def listed(store: str) -> list[str]:
    about, *keys = open_backend(store).get(SERVER_INFO).decode().splitlines()
    assert about == "refs/"
    return keys


@pytest.mark.spec("STO-13")
def test_without_it_nothing_is_taken_for_empty(hidden: str, dpk: Callable[..., Any]) -> None:
    for command in (["install", PKG, hidden, "--store", "./new"], ["ls", "--store", hidden], ["ls-remote", hidden]):
        refused = dpk(*command, code=8)
        assert "shows no listings" in refused.err
        assert "dpk update-server-info" in refused.err
        assert refused.out == ""


@pytest.mark.spec("STO-13")
def test_with_it_packages_can_be_read(hidden: str, sales: Any, dpk: Callable[..., Any]) -> None:
    made = dpk("update-server-info", "--json").json
    assert made == {"key": SERVER_INFO, "entries": 5}  # main: birth and two commits; v1: birth and one
    assert listed(sales.url) == entries_and_packs(sales.url)
    assert all(sales.repository.backend.stat(key) for key in listed(sales.url) if not key.endswith("/"))
    for command in (
        ["ls"],
        ["ls", PKG],
        ["log", PKG],
        ["show", f"{PKG}@v1/transactions"],
        ["diff", PKG, "--drift", "--rows", "5"],
        ["show-ref"],
        ["verify", PKG, "--deep"],
    ):
        assert dpk(*command, "--store", hidden).out.replace(hidden, sales.url) == dpk(*command).out
    dpk("install", PKG, hidden, "--store", "./new")
    dpk("verify", "--deep", "--store", "./new")
    assert dpk("show-ref", "--store", "./new").out == dpk("show-ref").out
    assert "up to date" in dpk("push", PKG, hidden, "--store", "./new").out
    assert list(dpkg.load(f"{PKG}/transactions", store=hidden)()["id"]) == [1, 2, 3, 4]


@pytest.mark.spec("STO-13")
def test_what_is_in_packs_is_found(hidden: str, sales: Any, dpk: Callable[..., Any]) -> None:
    sales.commit("acme/many", {f"b{i}": b"%d" % i for i in range(100)})
    dpk("update-server-info")
    assert "packs/" in "".join(listed(sales.url)[-1:])
    dpk("install", "acme/many", hidden, "--store", "./new")
    assert dpk("verify", "--deep", "--store", "./new").code == 0


@pytest.mark.spec("STO-13")
def test_an_old_list_shows_the_store_as_it_was(hidden: str, sales: Any, dpk: Callable[..., Any]) -> None:
    dpk("update-server-info")
    before = dpk("log", PKG).out
    old = dpk("rev-parse", PKG).out
    sales.commit(PKG, {"b": b"new"}, "third")
    sales.commit("acme/other", {"b": b"new"}, "first")
    dpk("tag", PKG, "v2")
    assert dpk("log", PKG, "--store", hidden).out == before
    assert "acme/other" not in dpk("ls", "--store", hidden).out
    dpk("install", PKG, hidden, "--store", "./new")
    assert dpk("rev-parse", PKG, "--store", "./new").out == old
    dpk("verify", "--deep", "--store", "./new")
    dpk("show", f"{PKG}@v2", "--store", hidden, code=3)
    dpk("update-server-info")
    dpk("install", PKG, hidden, "--store", "./new")
    assert dpk("rev-parse", f"{PKG}@v2", "--store", "./new").out == dpk("rev-parse", PKG).out != old
    assert "acme/other" in dpk("ls", "--store", hidden).out


@pytest.mark.spec("STO-13")
def test_what_it_does_not_list_is_told(hidden: str, sales: Any, dpk: Callable[..., Any]) -> None:
    """A store of which objects cannot be listed is never found empty, and so whole."""
    dpk("update-server-info")
    commit = dpk("rev-parse", PKG).out.strip()
    for command in (["verify"], ["count-objects"], ["cat-object", commit[:10]]):
        assert "cannot be listed" in dpk(*command, "--store", hidden, code=8).err
    assert dpk("cat-object", commit, "--store", hidden).out == dpk("cat-object", commit).out


def test_where_it_can_be_written(hidden: str, s3_url: str, dpk: Callable[..., Any]) -> None:
    """In a bucket as in a folder; not through a web server, and not where there is no store."""
    dpkg.push(PKG, s3_url)
    dpk("update-server-info", "--store", s3_url)
    assert listed(s3_url) == entries_and_packs(s3_url)
    dpk("update-server-info")
    assert "can only be read" in dpk("update-server-info", "--store", hidden, code=10).err
    assert "there is no store" in dpk("update-server-info", "--store", "./none", code=3).err


def test_an_empty_store(tmp_path: Any, dpk: Callable[..., Any], serve: Callable[..., str]) -> None:
    store = str(tmp_path / "empty")
    dpk("init", "--store", store)
    url = serve(store, listings=False)
    with pytest.raises(Storage):
        list(dpkg.ls(store=url))
    assert dpk("update-server-info", "--store", store).out == "0\n"
    assert list(dpkg.ls(store=url)) == []
