"""spec/golden/v1: the store that every dpkg reads for ever, and the second reader too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden
import pyarrow.parquet as pq
import pytest
import reader_store
from blake3 import blake3
from reader_objects import ref_value

import dpkg
from dpkg.store import open_backend

GOLDEN = Path(__file__).parents[2] / "spec" / "golden" / "v1"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text("utf-8"))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dpk: Callable[..., Any]) -> str:
    shutil.copytree(GOLDEN / "store", tmp_path / "golden")
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "golden"))
    return str(tmp_path / "golden")


def test_no_byte_of_it_was_changed() -> None:
    assert golden.files(GOLDEN / "store") == EXPECTED["files"]


def test_it_is_whole(copy: str, dpk: Callable[..., Any]) -> None:
    assert dpk("verify", "--deep").out.startswith("all well")
    assert golden.files(Path(copy)).items() >= EXPECTED["files"].items()


def test_all_values_are_read(copy: str) -> None:
    found = golden.describe(Path(copy))
    assert found["refs"] == EXPECTED["refs"]
    assert found["parts"] == EXPECTED["parts"]


@pytest.mark.usefixtures("copy")
def test_every_type_is_what_it_was_made_of() -> None:
    made, read = golden.every_type(), dpkg.load("acme/types/every").arrow()
    for name in made.column_names:
        if name == "timestamp_us":
            continue  # shown in its zone, below
        assert [golden.plain(v) for v in read[name].to_pylist()] == [golden.plain(v) for v in made[name].to_pylist()], (
            name
        )
    assert read["timestamp_us"].equals(made["timestamp_us"])


def test_the_second_reader_reads_it() -> None:
    store = reader_store.Store(GOLDEN / "store")
    for ref, expected in EXPECTED["refs"].items():
        commits = store.commits(ref)
        assert [[oid, commit["message"]] for oid, commit in commits] == expected["log"], ref
        trees = [store.entries(commit["tree"]) for _, commit in commits]
        assert {path: said(store, entry) for path, entry in trees[0].items()} == {
            path: {"rows": entry["rows"]} if "rows" in entry else entry for path, entry in expected["entries"].items()
        }
    deleted = {ref for ref in store.refs if ref_value(store.refs[ref]) is None}
    assert deleted == {"acme/gone/heads/main", "acme/sales/tags/wrong"}
    assert sum(ref.split("/")[2] == "parts" for ref in store.refs) == 1


def said(store: reader_store.Store, entry: Any) -> dict[str, Any]:
    if entry["type"] == "table":
        return {"rows": entry["rows"]}
    payload = store.objects[entry["oid"]][1]
    return {"bytes": entry["bytes"], "blake3": blake3(payload).hexdigest()}


def test_it_is_worked_with(copy: str, tmp_path: Path, dpk: Callable[..., Any]) -> None:
    """What is written now goes on from what was written then; its data is packed, cut and installed as any other."""
    before = {stat.key for stat in open_backend(copy).list("fragments/")}
    table = dpkg.load("acme/sales/transactions").arrow()
    (tmp_path / "sales").mkdir()
    pq.write_table(table.slice(0, table.num_rows - 1), tmp_path / "sales" / "transactions.parquet")
    (tmp_path / "sales/build.yml").write_text(
        "contents:\n  transactions:\n    file: transactions.parquet\n    key: [id]\n"
    )
    assert dpk("build", "acme/sales", str(tmp_path / "sales"), "-m", "one less").code == 0
    assert len({stat.key for stat in open_backend(copy).list("fragments/")} - before) <= 2
    for command in (["repack"], ["gc", "--keep-last", "1"], ["verify", "--deep"]):
        assert dpk(*command).code == 0
    for package in ("acme/types", "acme/files", "acme/many", "acme/days", "acme/sales"):
        dpk("install", package, copy, "--store", str(tmp_path / "new"))
    assert dpk("verify", "--deep", "--store", str(tmp_path / "new")).code == 0


def test_it_is_read_from_a_bucket(copy: str, s3_url: str, dpk: Callable[..., Any]) -> None:
    bucket = open_backend(s3_url)
    for key in golden.files(Path(copy)):
        bucket.put(key, Path(copy, key).read_bytes())
    assert golden.entries("acme/many", s3_url) == EXPECTED["refs"]["acme/many/heads/main"]["entries"]
    assert dpk("verify", "--store", s3_url).code == 0
