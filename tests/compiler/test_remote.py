"""Files behind URLs: on web servers, in S3, and where else fsspec reaches. No key that a URL holds is ever shown."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faultproxy
import fsspec
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
import zstandard
from builds import build

from dpkg.compiler import make_plan
from dpkg.errors import Denied, DpkgError, Format, NotFound, Storage, Usage

CSV = "id,v\n1,x\n2,y\n"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    made.mkdir()
    (made / "t.csv").write_text(CSV)
    (made / "t.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (made / "some file.bin").write_bytes(os.urandom(3 << 20))
    return made


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go: nothing stays there."""
    made = tmp_path / "scratch"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def test_from_a_web_server(src: Path, scratch: Path, serve: Callable[..., str]) -> None:
    url = serve(src)
    near = "contents: {{t: {{file: {0}t.csv, key: [id]}}, z: {{file: {0}t.csv.gz}}, b: {{file: '{0}{1}'}}}}"
    far = build(src, near.format(f"{url}/", "some%20file.bin"))
    assert build(src, near.format("", "some file.bin")).tophash == far.tophash
    assert (far.entries[0].type, far.entries[0].source) == ("table", f"{url}/t.csv")
    assert far.entries[2].bytes == 3 << 20
    assert os.listdir(scratch) == []
    (src / "t.csv").write_text(CSV + "3,z\n")  # each build reads it
    assert build(src, near.format(f"{url}/", "some%20file.bin")).entries[0].rows == 3


def test_every_format_comes_from_a_url(src: Path, serve: Callable[..., str]) -> None:
    book = openpyxl.Workbook()
    book.active.append(["n"])  # type: ignore[union-attr]
    book.active.append([1])  # type: ignore[union-attr]
    book.save(src / "w.xlsx")
    np.save(src / "a.npy", np.arange(3))
    np.savez(src / "z.npz", n=np.arange(3))
    (src / "r.json").write_text('[{"n": 1}]')
    table = pa.table({"n": [1]})
    pq.write_table(table, src / "p.parquet")
    pyarrow.orc.write_table(table, src / "o.orc")
    pyarrow.feather.write_feather(table, src / "f.feather")
    (src / "l.jsonl.zst").write_bytes(zstandard.compress(b'{"n": 1}'))
    names = ["w.xlsx", "a.npy", "z.npz", "r.json", "p.parquet", "o.orc", "f.feather", "l.jsonl.zst"]
    entries = ", ".join(f"{n.replace('.', '_')}: {{file: '%s{n}', as: table}}" for n in names)
    text = f"contents: {{{entries}}}"
    near = build(src, text % (("",) * len(names)))
    assert {e.type for e in near.entries} == {"table"}
    assert build(src, text % ((f"{serve(src)}/",) * len(names))).tophash == near.tophash


def test_a_connection_that_breaks_is_taken_up_again(src: Path, serve: Callable[..., str]) -> None:
    for ranges in (True, False):
        with faultproxy.FaultProxy(serve(src, ranges=ranges)) as proxy:
            proxy.on(faultproxy.cut(0.5), method="GET", nth=1)
            built = build(src, f"contents: {{b: {{file: '{proxy.url}/some%20file.bin'}}}}")
            assert built.entries[0].oid == build(src, "contents: {b: {file: some file.bin}}").entries[0].oid
            assert proxy.count("GET") == 2
            assert "range" in proxy.requests[-1].headers


@pytest.mark.spec("BLD-2")
def test_errors_say_where_and_no_secret(src: Path, scratch: Path, serve: Callable[..., str], monkeypatch: Any) -> None:
    url, place = serve(src), f"{src}/build.yml, line 1, column"
    (src / "bad.csv").write_text("a,b\n1\n")
    monkeypatch.setenv("DPK_TIMEOUT", "1")
    monkeypatch.setenv("TOKEN", "S3CRET")
    cases: list[tuple[str, type[DpkgError], str]] = [
        (f"{url}/nope.csv?token=${{TOKEN}}", NotFound, f"{place} 12: there is no file at {url}/nope.csv (HTTP 404)"),
        (f"{url}/bad.csv?token=${{TOKEN}}#S3CRET", Format, f"{url}/bad.csv, line 2: the row has 1 cell"),
        ("http://127.0.0.1:1/a.csv?k=S3CRET", Storage, "http://127.0.0.1:1/a.csv cannot be reached"),
        ("https://user:S3CRET@example.org/a.csv", Usage, f"{place} 23: a password stands here"),
        ("https://example.org/a.csv?token=S3CRET", Usage, f"{place} 23: a password stands here"),
        ("https://${TOKEN}@example.org/a.csv", Usage, f"{place} 22: the address https://… holds a user"),
        ("https://example.org/a.csv?token=${NOT_SET}", Usage, "the variable NOT_SET is not set"),
        ("nosuch://host/a.csv", Usage, "'nosuch://' is no kind of place"),
        ("memory://nope/a.csv", NotFound, "there is no file at memory://nope/a.csv"),
        ("s3://bucket", Usage, "'s3://bucket' names no file"),
    ]
    for text, error, said in cases:
        with pytest.raises(error) as caught:
            build(src, f"contents: {{t: {{file: '{text}', transform: csv}}}}")
        assert said in caught.value.message
        assert "S3CRET" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__}"
        assert os.listdir(scratch) == []
    with pytest.raises(Usage, match="a pattern is for files of this machine"):
        build(src, f"contents: {{t: {{files: '{url}/*.csv'}}}}")


def test_a_server_that_refuses(src: Path) -> None:
    import staticweb

    with staticweb.answering({"/a.csv?id=1": CSV}) as url:
        assert build(src, f"contents: {{t: {{file: '{url}/a.csv?id=1'}}}}").entries[0].source == f"{url}/a.csv"

    def forbidden(*_: Any) -> faultproxy.Answer:
        return faultproxy.Answer(403, [], b"")

    with staticweb.answering({"/a.csv": CSV}) as url, faultproxy.FaultProxy(url) as proxy:
        proxy.on(forbidden, method="GET")
        with pytest.raises(Denied, match="does not let you read it"):
            build(src, f"contents: {{t: {{file: '{proxy.url}/a.csv'}}}}")


def test_from_elsewhere(src: Path, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/data/year=2024/a b.csv", CSV.encode())
    import zipfile

    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/t.csv", CSV)
    one = build(src, "contents: {t: {file: t.csv}}").tophash
    assert build(src, "contents: {t: {file: 'memory://data/year=2024/a b.csv'}}").tophash == one
    assert build(src, f"contents: {{t: {{file: 'zip://in/t.csv::{tmp_path}/z.zip'}}}}").tophash == one
    assert build(src, f"contents: {{t: {{file: 'file://{src}/t.csv'}}}}").tophash == one
    assert make_plan(str(src)).items[0].source == f"{src}/t.csv"


def test_from_s3(src: Path, account: Any, seaweedfs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpkg.store import s3

    monkeypatch.setattr(s3, "PART", 1 << 20)
    url = seaweedfs.fresh_url()
    base, _, query = url.partition("?")
    query = f"?{query}" if query else ""
    place = base.removeprefix("s3://")
    for name in ("t.csv", "some file.bin", "empty"):
        data = (src / name).read_bytes() if name != "empty" else b""
        assert seaweedfs.request("PUT", f"/{place}/year%3D2024/{name.replace(' ', '%20')}", data) == 200
    (src / "empty").write_bytes(b"")
    text = "contents: {t: {file: '%st.csv%s'}, b: {file: '%ssome file.bin%s'}, e: {file: '%sempty%s'}}"
    here = build(src, text % (("", "") * 3)).tophash
    assert build(src, text % ((f"{base}/year=2024/", query) * 3)).tophash == here
    with pytest.raises(NotFound, match=r"line 1, column 12: there is no file at s3://"):
        build(src, f"contents: {{t: {{file: '{base}/nope.csv{query}'}}}}")


def test_a_disk_that_is_full(src: Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    from dpkg.store.download import download

    def write(data: bytes) -> None:
        raise OSError(28, "No space left on device")

    full = SimpleNamespace(write=write, tell=lambda: 0, seek=lambda at: None, truncate=lambda: None, name="tmp")
    with pytest.raises(Storage, match="the disk is full"):
        download(f"{serve(src)}/t.csv", full)  # type: ignore[arg-type]
