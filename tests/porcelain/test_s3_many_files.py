"""Many small files to and from S3: requests for what changed, not for each file; and what arrived is not sent again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from faultproxy import FaultProxy, reset

import dpkg
from dpkg.errors import DpkgError
from dpkg.objects import pack

PKG = "acme/files"


def told(proxy: FaultProxy) -> str:
    return "\n".join(f"{r.method} {r.key} {r.query.get('prefix', '')} {len(r.body)}" for r in proxy.requests)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """5,000 small files in 50 folders."""
    rng = random.Random(1)
    for i in range(5000):
        path = tmp_path / "files" / f"d{i % 50:02}" / f"f{i:05}.dat"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(1500))
    return tmp_path / "files"


def test_few_requests_bring_many_files(
    folder: Path, store: Any, through: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    """50,000 changed files are to take at most 200 PUTs: here is a tenth of it."""
    dpkg.build(PKG, str(folder), raw=True)
    dpkg.push(PKG, through)
    assert proxy.count("PUT") <= 20, told(proxy)
    assert proxy.count("GET") <= 20, told(proxy)
    proxy.clear()
    dpkg.push(PKG, through)
    assert proxy.count() <= 3, told(proxy)
    for path in list(folder.rglob("*.dat"))[::2]:
        path.write_bytes(path.read_bytes() + b"!")
    dpkg.build(PKG, str(folder), raw=True)
    proxy.clear()
    done = dpkg.push(PKG, through)
    assert done.objects > 2500
    assert proxy.count("PUT") <= 20, told(proxy)
    assert proxy.count("GET") + proxy.count("HEAD") <= 30, told(proxy)
    proxy.clear()
    dpkg.install(PKG, through, store=str(tmp_path / "other"))
    assert proxy.count() <= 50, told(proxy)
    assert dpkg.verify(store=str(tmp_path / "other")).problems == ()
    proxy.clear()
    dpkg.install(PKG, through, store=str(tmp_path / "other"))
    assert proxy.count() <= 3, told(proxy)


def test_one_changed_file_costs_what_it_is(folder: Path, store: Any, through: str, proxy: FaultProxy) -> None:
    dpkg.build(PKG, str(folder), raw=True)
    dpkg.push(PKG, through)
    (folder / "d07" / "f00007.dat").write_bytes(b"changed")
    dpkg.build(PKG, str(folder), raw=True)
    proxy.clear()
    done = dpkg.push(PKG, through)
    assert done.objects <= 6  # the blob, nodes on the way to it, the commit
    assert proxy.count() <= 10 + 2 * done.objects, told(proxy)
    assert sum(len(r.body) for r in proxy.requests if "/derived/" not in r.key) < 50_000


def test_what_arrived_before_a_push_was_cut_off_is_not_sent_again(
    folder: Path, store: Any, through: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "MOST_OBJECTS", 500)
    monkeypatch.setenv("DPK_TIMEOUT", "1")
    dpkg.build(PKG, str(folder), raw=True)
    dpkg.push(PKG, f"{through.partition('?')[0]}/all?{through.partition('?')[2]}")
    whole = sum(len(request.body) for request in proxy.seen("PUT", "/packs/"))
    proxy.clear()
    proxy.on(reset, method="PUT", key="/packs/", nth=6, times=None)  # from the sixth pack on
    with pytest.raises(DpkgError):
        dpkg.push(PKG, through)
    arrived = sum(len(r.body) for r in proxy.seen("PUT", "/packs/") if r.status == 200)
    assert arrived > whole * 0.25
    proxy.clear()
    dpkg.push(PKG, through)
    again = sum(len(request.body) for request in proxy.seen("PUT", "/packs/"))
    assert again <= (whole - arrived) * 1.05


def tables(folder: Path, count: int, note: str = "") -> Path:
    """Small CSV files: a table of 20 rows each."""
    rng = random.Random(2)
    folder.mkdir(exist_ok=True)
    for i in range(count):
        rows = [f"{row},{rng.choice(['Bern', 'Oslo', 'Rom'])},{rng.randrange(10**6) / 100}{note}" for row in range(20)]
        (folder / f"t{i:03}.csv").write_text("\n".join(["id,city,amount", *rows]) + "\n")
    return folder


def test_few_requests_bring_many_small_tables(
    tmp_path: Path, store: Any, through: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """250 tables have 500 fragments, which are in packs as all that is small."""
    folder = tables(tmp_path / "tables", 250)
    dpkg.build(PKG, str(folder))
    proxy.clear()
    done = dpkg.push(PKG, through)
    assert done.fragments == 500
    assert proxy.count("PUT") <= 10, told(proxy)
    assert proxy.count() <= 60, told(proxy)
    tables(folder, 100, "1")
    dpkg.build(PKG, str(folder))
    proxy.clear()
    assert dpkg.push(PKG, through).fragments == 200
    assert proxy.count("PUT") <= 10, told(proxy)
    assert proxy.count() <= 60, told(proxy)
    proxy.clear()
    dpkg.install(PKG, through, store=str(tmp_path / "other"))
    assert proxy.count() <= 60, told(proxy)
    assert dpkg.verify(store=str(tmp_path / "other"), deep=True).problems == ()
    proxy.clear()
    assert dpkg.verify(store=through).problems == ()
    assert proxy.count() <= 60, told(proxy)
    proxy.clear()
    found = dpkg.load(f"{PKG}/t221", store=through)(columns=["city"])
    assert list(found.columns) == ["city"]
    assert len(found) == 20
    assert proxy.count() <= 6, told(proxy)
    assert sum(r.sent for r in proxy.requests if hasattr(r, "sent")) < 2 << 20
