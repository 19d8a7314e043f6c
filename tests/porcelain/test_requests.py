"""How many requests things take on S3, whichever way a package is named, however long its history is."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import faultproxy
import pyarrow as pa
import pytest
from faultproxy import FaultProxy

import dpkg
from dpkg.store import open_backend

PKG = "acme/x"
TAGS = 7
ROWS = 400_000


def told(proxy: FaultProxy) -> str:
    return "\n".join(
        f"{r.method} {r.key} {r.query.get('prefix', '')} {r.headers.get('range', '')}" for r in proxy.requests
    )


def fragments(proxy: FaultProxy) -> set[str]:
    """The fragments that were read from."""
    return {request.key for request in proxy.seen("GET", "/fragments/.*parquet")}


def table(shift: int = 0) -> pa.Table:
    """Rows of which `id` grows, and that no two versions share."""
    ids = range(ROWS)
    return pa.table({"id": ids, "x": [(i * 2654435761 + shift) % 2**32 for i in ids], "y": [str(i) for i in ids]})


@pytest.fixture
def remote(store: Any, through: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two commits and some tags of a package, pushed; the store of commands. Requests are counted from here on."""
    store.commit(PKG, {"t": table(), "d": {"e": {"t": table(1)}}, "b": b"x"}, "one")
    for i in range(TAGS):
        dpkg.tag(PKG, f"v{i}")
    store.commit(PKG, {"t": table(2), "b": b"x"}, "two")
    dpkg.push(PKG, through)
    monkeypatch.setenv("DPK_STORE", through)
    proxy.clear()
    return through


# What is told of a package, and the requests that this takes beyond those of the newest: a step back reads a commit;
# the start of an id or tophash is compared with every commit that a branch or tag reaches.
EXPRS = [
    (PKG, 0),
    (f"{PKG}@main", 0),
    (f"{PKG}@v3", 0),
    (f"{PKG}@latest~1", 1),
    ("COMMIT", TAGS + 1),
    ("TREE", TAGS + 1),
]


@pytest.mark.parametrize(("expr", "more"), EXPRS)
def test_a_cold_load_of_a_column(expr: str, more: int, remote: str, proxy: FaultProxy, store: Any) -> None:
    """At most 5 requests, and 2 for each fragment: its footer, and the column."""
    if expr in ("COMMIT", "TREE"):
        found = dpkg.plumbing.rev_parse(f"{PKG}@v3", tophash=expr == "TREE", store=store.url).oid
        expr = f"{PKG}@{found[:10]}"
    assert proxy.count() == 0
    assert len(dpkg.load(expr).t(columns=["x"])) == ROWS
    read = len(fragments(proxy))
    assert read >= 2
    assert proxy.count() <= 5 + 2 * read + more, told(proxy)


def test_a_cold_load_by_the_start_of_an_id(through: str, proxy: FaultProxy, store: Any) -> None:
    """Without tags and history it costs what a name costs."""
    commit = store.commit(PKG, {"t": {"id": [1, 2, 3]}})
    dpkg.push(PKG, through)
    proxy.clear()
    assert list(dpkg.load(f"{PKG}@{commit[:8]}", store=through).t()["id"]) == [1, 2, 3]
    assert proxy.count() <= 5 + 2 * len(fragments(proxy)), told(proxy)


def test_a_cold_load_of_a_nested_table(remote: str, proxy: FaultProxy) -> None:
    assert len(dpkg.load(f"{PKG}@v0/d/e/t")(columns=["x"])) == ROWS
    assert proxy.count() <= 5 + 2 * len(fragments(proxy)), told(proxy)
    proxy.clear()
    assert len(dpkg.load(f"{PKG}@v0").d.e.t(columns=["x"])) == ROWS
    assert proxy.count() <= 5 + 2 * len(fragments(proxy)), told(proxy)


def test_a_filter_reads_only_fragments_that_can_match(remote: str, proxy: FaultProxy) -> None:
    """`id` grows: one row is in one fragment, and statistics say in which."""
    found = dpkg.load(PKG).t(filter=("id", "==", 123_456), columns=["id", "y"])
    assert found.to_dict("list") == {"id": [123_456], "y": ["123456"]}
    assert len(fragments(proxy)) <= 2, told(proxy)  # with the statistics of the leaf
    proxy.clear()
    assert len(dpkg.load(PKG).t(filter=("id", "<", 0))) == 0
    assert len(fragments(proxy)) <= 1, told(proxy)


def test_nothing_to_do_with_several_tags(remote: str, proxy: FaultProxy, store: Any, tmp_path: Any) -> None:
    """No more for tags that are known already than for none: an entry is read once, and never changes."""
    other = str(tmp_path / "other")
    dpkg.install(PKG, remote, store=other)
    proxy.clear()
    assert dpkg.install(PKG, remote, store=other).objects == 0
    assert proxy.count() <= 3, told(proxy)
    for most in (3 + TAGS, 3):
        proxy.clear()
        assert dpkg.push(PKG, remote, store=store.url).objects == 0
        assert proxy.count() <= most, told(proxy)


def test_nothing_to_do_after_a_long_history(through: str, proxy: FaultProxy, store: Any, tmp_path: Any) -> None:
    """Some hundred ref entries on both sides cost nothing; nor do they when a column is loaded."""
    other = str(tmp_path / "other")
    contents = {"t": {"id": [1, 2, 3]}}
    first = store.commit(PKG, contents, "one")
    dpkg.push(PKG, through)
    second = store.commit(PKG, {**contents, "b": b"x"}, "two")
    refs = store.repository.refs
    for turn in range(150):  # back and forth: the log grows, the history does not
        for new, old in ((first, second), (second, first)):
            refs.update(PKG, "heads", "main", new, old, who="Ada", why=str(turn))
    dpkg.push(PKG, through)
    here, there = store.repository.backend, open_backend(through)
    for stat in list(here.list("refs/")):  # the same log there
        there.put(stat.key, here.get(stat.key))
    assert sum(1 for _ in there.list("refs/")) > 300
    dpkg.install(PKG, through, store=other)
    for act in (dpkg.install, dpkg.push):
        place = other if act is dpkg.install else store.url
        act(PKG, through, store=place)
        proxy.clear()
        assert act(PKG, through, store=place).objects == 0
        assert proxy.count() <= 3, told(proxy)
    proxy.clear()
    assert list(dpkg.load(f"{PKG}/t", store=through)()["id"]) == [1, 2, 3]
    assert proxy.count() <= 5 + 2, told(proxy)


def test_requests_are_of_keys_that_are_asked_for(remote: str, proxy: FaultProxy) -> None:
    """A load lists refs of this package only, and never lists objects."""
    dpkg.load(PKG).t(columns=["x"])
    listed = [r.query["prefix"].split("/", 1)[1] for r in proxy.seen("GET") if "prefix" in r.query]
    assert listed == [f"refs/{PKG}/"]
    assert not [r for r in proxy.requests if r.method not in ("GET", "HEAD")]
    assert not [r for r in proxy.seen("HEAD") if re.search("/(objects|fragments)/", r.key)], told(proxy)


# A store in a bucket


@pytest.fixture
def files(through: str, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of many small files and a table; the store of commands is in a bucket."""
    monkeypatch.setenv("DPK_STORE", through)
    dpkg.init()
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(40):
        (folder / f"f{i:02}").write_text(f"file {i}")
    (folder / "f07b.csv").write_text("id\n1\n")
    return folder


def at_once(proxy: FaultProxy) -> list[int]:
    """How many requests were under way when each came, from now on; each takes some time."""
    found, here = [], [0]
    lock = threading.Lock()

    def count(request: Any, forward: Any, exchange: Any) -> Any:
        with lock:
            here[0] += 1
            found.append(here[0])
        exchange.sleep(0.03)
        with lock:
            here[0] -= 1
        return forward(request)

    proxy.clear()
    proxy.on(count, times=None)
    return found


def test_small_files_do_not_wait_for_one_another(files: Path, proxy: FaultProxy, tmp_path: Path) -> None:
    """Into the store, again into it, and out of it."""
    counts = at_once(proxy)
    built = dpkg.build(PKG, str(files))
    assert max(counts) > 8 or len(counts) <= 12, told(proxy)  # what is in packs needs few requests
    assert [entry.path for entry in built.entries] == sorted(p.name.removesuffix(".csv") for p in files.iterdir())
    assert len(counts) <= 25 + 2 * len(built.entries), told(proxy)
    counts = at_once(proxy)
    assert not dpkg.build(PKG, str(files)).created
    assert len(counts) <= 25 + len(built.entries), told(proxy)
    counts = at_once(proxy)
    dpkg.export(PKG, str(tmp_path / "out"))
    assert max(counts) > 8 or len(counts) <= 12, told(proxy)  # what is in packs needs few requests
    assert len(counts) <= 8 + 3 * len(built.entries), told(proxy)
    for path in files.iterdir():
        assert (tmp_path / "out" / path.name.replace("csv", "parquet")).exists()
        assert path.suffix or (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_file_that_cannot_be_stored_ends_a_build(files: Path, proxy: FaultProxy, run: Any) -> None:
    """The error of one of many is told, and nothing is published."""
    proxy.on(faultproxy.denied, method="PUT", key="/packs/", times=None)
    assert "these keys may not write" in run("build", PKG, str(files), code=10).err
    proxy.clear()
    assert list(dpkg.ls()) == []
    assert dpkg.build(PKG, str(files)).created


def test_tags_are_made_and_removed(remote: str, proxy: FaultProxy) -> None:
    """What names are there is asked once; then a read and a write for each."""
    dpkg.tag(PKG, "more")
    assert proxy.count() <= 9, told(proxy)
    proxy.clear()
    removed = dpkg.rm(PKG)
    assert len(removed.refs) == TAGS + 2
    assert proxy.count() <= 3 + 3 * len(removed.refs), told(proxy)
