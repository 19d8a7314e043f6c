"""How many requests things take on S3: each is a wait of tens of milliseconds in the world, and costs money."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from faultproxy import FaultProxy

import dpkg

PKG = "acme/x"
ROWS = 400_000


@pytest.fixture
def remote(store: Any, through: str, proxy: FaultProxy) -> str:
    """A package of a table of several fragments and small things, pushed; requests are counted from here on."""
    rng = np.random.default_rng(1)
    numbers = pa.table({"id": np.arange(ROWS), "x": rng.random(ROWS), "y": rng.random(ROWS)})
    store.commit(PKG, {"t": numbers, "small": {"id": [1, 2, 3]}, "b": b"x", "d": {"c": b"1"}})
    dpkg.push(PKG, through)
    proxy.clear()
    return through


def fragments(proxy: FaultProxy) -> int:
    """How many fragments were read from."""
    return len({request.key for request in proxy.seen("GET", "/fragments/")})


def told(proxy: FaultProxy) -> str:
    return "\n".join(
        f"{r.method} {r.key} {r.query.get('prefix', '')} {r.headers.get('range', '')}" for r in proxy.requests
    )


def test_a_cold_load_of_a_column(remote: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 5 requests, and 2 for each fragment: its footer, and the column."""
    monkeypatch.setenv("DPK_STORE", remote)
    column = dpkg.load(PKG).t(columns=["x"])["x"]
    assert len(column) == ROWS
    assert fragments(proxy) > 2
    assert proxy.count() <= 5 + 2 * fragments(proxy), told(proxy)
    assert sum(request.sent for request in proxy.requests) < 0.6 * whole(remote, proxy)


def whole(remote: str, proxy: FaultProxy) -> int:
    """The bytes of all fragments."""
    from dpkg.store import open_backend

    return sum(stat.size for stat in open_backend(remote).list("fragments/"))


def test_a_small_table(remote: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_STORE", remote)
    assert list(dpkg.load(PKG).small()["id"]) == [1, 2, 3]
    assert proxy.count() <= 6, told(proxy)


def test_an_install_with_nothing_to_bring(remote: str, proxy: FaultProxy, store: Any, tmp_path: Any) -> None:
    other = str(tmp_path / "other")
    dpkg.install(PKG, remote, store=other)
    proxy.clear()
    dpkg.install(PKG, remote, store=other)
    assert proxy.count() <= 3, told(proxy)


def test_a_push_with_nothing_to_send(remote: str, proxy: FaultProxy) -> None:
    dpkg.push(PKG, remote)
    assert proxy.count() <= 3, told(proxy)


def test_an_install_asks_once_for_each_file(remote: str, proxy: FaultProxy, store: Any, tmp_path: Any) -> None:
    dpkg.install(PKG, remote, store=str(tmp_path / "other"))
    files = [request.key for request in proxy.seen("GET", "/(objects|fragments)/")]
    assert len(files) == len(set(files)), told(proxy)
    assert proxy.count() - len(files) <= 6, told(proxy)


def test_a_push_of_a_small_change(remote: str, proxy: FaultProxy, store: Any) -> None:
    """Two requests for each thing that is new (is it there? here it is), and a few for the refs."""
    old = store.repository.tip(PKG)
    assert old is not None
    store.commit(PKG, {"small": {"id": [1, 2, 3]}, "b": b"y", "d": {"c": b"1"}})
    done = dpkg.push(PKG, remote)
    assert proxy.count() <= 10 + 2 * (done.objects + done.fragments), told(proxy)
    assert proxy.count("PUT") <= 2 + done.objects + done.fragments, told(proxy)


def test_looking_at_a_package_pays_for_no_more_than_it_shows(
    remote: str, proxy: FaultProxy, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPK_STORE", remote)
    for command in (["ls", PKG], ["log", PKG], ["show", f"{PKG}/small"]):
        proxy.clear()
        run(*command)
        assert proxy.count() <= 6, told(proxy)
        assert all(request.sent < 100_000 for request in proxy.requests)


def test_a_command_that_needs_no_network_loads_none_of_it() -> None:
    code = (
        "import sys; from dpkg.cli.main import main; main(['--version']);"
        " print(sorted({'s3fs', 'botocore', 'aiohttp', 'fsspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("args", [{}, {"quick": True}, {"package": "acme/many"}], ids=["whole", "quick", "package"])
def test_a_verify_of_many_objects_in_packs(
    args: dict[str, Any], store: Any, through: str, proxy: FaultProxy, tmp_path: Any
) -> None:
    """Packs are read in large ranges, and not each object by itself."""
    (tmp_path / "many").mkdir()
    for i in range(2000):
        (tmp_path / "many" / f"{i}.txt").write_text(f"{i} " * 20)
    dpkg.build("acme/many", str(tmp_path / "many"))
    dpkg.push("acme/many", through)
    proxy.clear()
    done = dpkg.verify(store=through, **args)
    assert done.problems == ()
    assert done.objects > 2000
    assert proxy.count() <= 30 + 4 * done.packs, told(proxy)
