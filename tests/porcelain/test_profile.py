"""Profiles that builds leave, and `dpk show` with them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpkg
from dpkg import tables
from dpkg.command import Grid
from dpkg.odb.layout import PROFILES
from dpkg.porcelain import _show
from dpkg.repository import Repository

ROWS = 50_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A table of 1.5 MB, of a few fragments."""
    rng = np.random.default_rng(2)
    amounts = np.round(rng.lognormal(3, 1, ROWS), 2)
    amounts[:500] = np.nan
    table = pa.table(
        {
            "id": np.arange(ROWS),
            "amount": amounts,
            "country": rng.choice(["DE", "FR", "\x1b[31mred"], ROWS, p=[0.6, 0.3, 0.1]),
            "day": pa.array(rng.integers(19000, 19300, ROWS).astype(np.int32)).view(pa.date32()),
            "gone": pa.nulls(ROWS, pa.int64()),
        }
    )
    path = tmp_path / "sales.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture
def built(store: Any, source: Path) -> Any:
    dpkg.build("acme/shop", str(source))
    return store


def stored(url: str) -> dict[str, bytes]:
    backend = Repository(url).backend
    return {stat.key: backend.get(stat.key) for stat in backend.list(PROFILES)}


def shown(dpk: Callable[..., Any], *more: str) -> Any:
    return dpk("show", "acme/shop/sales", "-n", "0", "--json", *more).json["profile"]


@pytest.mark.spec("PRO-1")
def test_show_tells_a_profile(dpk: Callable[..., Any], built: Any, source: Path) -> None:
    assert len(stored(built.url)) == 1
    by_name = {column["column"]: column for column in shown(dpk)}
    amounts = pq.read_table(source)["amount"].to_numpy()
    values = np.sort(amounts[~np.isnan(amounts)])
    amount = by_name["amount"]
    assert (amount["rows"], amount["nulls"], amount["nans"]) == (ROWS, 0, 500)
    assert (amount["min"], amount["max"]) == (values[0], values[-1])
    assert amount["mean"] == pytest.approx(values.mean(), rel=1e-9)
    assert amount["std"] == pytest.approx(values.std(ddof=1), rel=1e-9)
    assert sum(bin["count"] for bin in amount["histogram"]) == len(values)
    for quantile in amount["quantiles"]:
        rank = np.searchsorted(values, quantile["value"], side="right") / len(values)
        assert abs(rank - quantile["share"]) <= amount["rank_error"] + 0.001
    country = by_name["country"]
    assert country["distinct"] == 3
    assert [top["value"] for top in country["top"]] == ["DE", "FR", "\x1b[31mred"]
    assert sum(top["count"] for top in country["top"]) == ROWS
    assert by_name["day"]["min"] == "2022-01-08"
    assert by_name["gone"]["nulls"] == ROWS
    text = dpk("show", "acme/shop/sales").out
    assert "DE 59." in text or "DE 60." in text
    assert "1.0% NaN" in text
    assert "\x1b" not in text


@pytest.mark.spec("PRO-3")
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "another"])
def test_a_profile_that_is_no_good_is_made_again(
    damage: str, dpk: Callable[..., Any], built: Any, tmp_path: Path
) -> None:
    before = shown(dpk)
    ((key, data),) = stored(built.url).items()
    backend = built.repository.backend
    if damage == "gone":
        backend.delete(key)
    elif damage == "another":
        rows = pa.table({"id": np.arange(2 * ROWS)})
        pq.write_table(rows, tmp_path / "other.parquet")
        dpkg.build("acme/other", str(tmp_path / "other.parquet"))
        backend.put(key, next(v for k, v in stored(built.url).items() if k != key))
    else:
        backend.put(key, data[:-9] if damage == "cut" else data[:40] + bytes([data[40] ^ 1]) + data[41:])
    dpk("verify")
    assert shown(dpk) == before
    assert backend.get(key) == data  # kept for the next time


@pytest.mark.spec("PRO-2")
def test_the_same_data_has_the_same_profile(dpk: Callable[..., Any], built: Any, other: Any, source: Path) -> None:
    """From a CSV, and in another store."""
    from pyarrow import csv

    path = source.with_suffix(".csv")
    csv.write_csv(pq.read_table(source).select(["id", "country", "day"]), path)
    dpkg.build("acme/text", str(path))
    pq.write_table(pq.read_table(source).select(["id", "country", "day"]), source)
    dpkg.build("acme/again", str(source), store=other.url)
    again = stored(other.url)
    assert len(again) == 1
    assert again.items() <= stored(built.url).items()


@pytest.fixture
def leafy(store: Any, source: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table of several leaves, the last ones small."""
    from dpkg.arrow import boundaries
    from dpkg.index import builder

    monkeypatch.setattr(boundaries, "TARGET_BYTES", 1 << 14)
    monkeypatch.setattr(builder, "splits", lambda level, key: level == 0 and key[0] < 32)
    dpkg.build("acme/shop", str(source))
    return store


@pytest.mark.spec("PRO-2", "PRO-3")
def test_a_table_of_several_leaves_has_one_profile(
    dpk: Callable[..., Any], leafy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of its root; where it is gone it is made of those of the leaves, without reading rows; and all from the rows."""
    from dpkg.store.local import LocalBackend

    asked: list[str] = []
    get = LocalBackend.get
    monkeypatch.setattr(LocalBackend, "get", lambda self, key: (asked.append(key), get(self, key))[1])
    found = stored(leafy.url)
    repository = Repository(leafy.url)
    root = tables.read_table_object(repository.odb, repository.table_id("acme/shop/sales")).fragments
    whole = f"{PROFILES}2/{root}"
    assert whole in found
    assert len(found) > 3
    asked.clear()
    before = shown(dpk)
    assert [key for key in asked if key.startswith(PROFILES)] == [whole]
    assert {c["column"]: c["distinct"] for c in before}["country"] == 3
    leafy.repository.backend.delete(whole)
    assert shown(dpk) == before
    assert stored(leafy.url) == found
    for key in found:
        leafy.repository.backend.delete(key)
    assert shown(dpk) == before
    assert stored(leafy.url) == found


@pytest.mark.spec("PRO-2")
@pytest.mark.parametrize("leaves", [False, True])
def test_what_did_not_change_is_not_profiled_again(
    leaves: bool, store: Any, other: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of fragments have profiles of their own; what comes out is as if all were made anew."""
    from dpkg.arrow import boundaries, tableprofile
    from dpkg.index import builder

    looked: list[int] = []
    real = tableprofile.profile

    def profile(parts: Any, schema: Any) -> Any:
        looked.append(sum(part.entry.rows for part in parts))
        return real(parts, schema)

    monkeypatch.setattr(tableprofile, "profile", profile)
    monkeypatch.setattr(tableprofile, "RUN_ROWS", 1000)
    monkeypatch.setattr(boundaries, "TARGET_BYTES", 1 << 12)
    if leaves:
        monkeypatch.setattr(builder, "splits", lambda level, key: level == 0 and key[0] < 8)
    dpkg.build("acme/shop", str(source))
    assert sum(looked) == ROWS
    rows = pq.read_table(source)
    pq.write_table(pa.concat_tables([rows.slice(0, 30_000), rows.slice(9, 1), rows.slice(30_000)]), source)
    looked.clear()
    dpkg.build("acme/shop", str(source))
    assert 0 < sum(looked) < ROWS / 2
    dpkg.build("acme/shop", str(source), store=other.url)
    assert stored(other.url).items() <= stored(store.url).items()


def test_an_installed_table_is_profiled_when_it_is_asked_for(
    dpk: Callable[..., Any], built: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown(dpk)
    dpkg.push("acme/shop", other.url)
    assert stored(other.url) == {}
    monkeypatch.setattr(_show, "_READ", 1000)  # as if it were large
    assert shown(dpk, "--store", other.url) == []
    assert "show acme/shop/sales --profile" in dpk("show", "acme/shop/sales", "--store", other.url).out
    assert shown(dpk, "--profile", "--store", other.url) == before
    assert shown(dpk, "--store", other.url) == before


def test_small_tables_leave_no_files(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/shop", {"sales": {"x": [1, 2, 2, None]}}, "one")
    assert stored(store.url) == {}
    (column,) = shown(dpk)
    assert (column["distinct"], column["nulls"], column["mean"]) == (2, 1, pytest.approx(5 / 3))
    assert stored(store.url) == {}


def test_gc_removes_profiles_of_what_is_gone(dpk: Callable[..., Any], built: Any, tmp_path: Path) -> None:
    kept = stored(built.url)
    pq.write_table(pa.table({"x": np.arange(ROWS) * 3}), tmp_path / "x.parquet")
    dpkg.build("acme/gone", str(tmp_path / "x.parquet"))
    assert len(stored(built.url)) == 2
    dpkg.rm("acme/gone")
    built.repository.backend.put(f"{PROFILES}99/{'0' * 64}", b"of a form that is not known")
    dpk("gc")
    assert stored(built.url) == kept


def test_a_store_that_takes_no_profiles_is_built_into(
    dpk: Callable[..., Any], store: Any, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dpkg.errors import Denied
    from dpkg.store.local import LocalBackend

    put = LocalBackend.put

    def refuse(self: Any, key: str, data: Any) -> None:
        if key.startswith(PROFILES):
            raise Denied("no")
        put(self, key, data)

    monkeypatch.setattr(LocalBackend, "put", refuse)
    dpkg.build("acme/shop", str(source))
    assert stored(store.url) == {}
    assert len(shown(dpk)) == 5


def test_a_table_elsewhere_takes_one_request_for_its_profile(
    through: str, proxy: Any, store: Any, source: Path, dpk: Callable[..., Any]
) -> None:
    dpkg.build("acme/shop", str(source), store=through)
    proxy.clear()
    assert len(shown(dpk, "--store", through)) == 5
    assert len(proxy.seen("GET", "/derived/profiles/")) == 1
    assert not proxy.seen("GET", "/fragments/")


@pytest.mark.parametrize("width", [80, 200])
def test_lines_fit_the_terminal(width: int, built: Any) -> None:
    lines = list(_widths(_show.render(_show.show("acme/shop/sales", store=built.url)), width))
    assert max(lines) <= width


def _widths(rendered: Any, width: int) -> Iterator[int]:
    for item in rendered:
        if isinstance(item, Grid):
            for line in item.lines(width):
                yield len("".join(part if isinstance(part, str) else part[1] for part in line))


def test_tables_of_no_rows_and_odd_types(dpk: Callable[..., Any], store: Any, tmp_path: Path) -> None:
    rows: dict[str, Any] = {"d": pa.array(["x", "y"]).dictionary_encode(), "a": pa.array([[1], None])}
    rows |= {"b": pa.array([{"x": 1}, {"x": None}]), "c": pa.nulls(2)}
    pq.write_table(pa.table(rows), tmp_path / "sales.parquet")
    dpkg.build("acme/shop", str(tmp_path / "sales.parquet"))
    assert [c["measure"] for c in shown(dpk)] == ["characters", "items", "", ""]
    pq.write_table(pa.table(rows).slice(0, 0), tmp_path / "sales.parquet")
    dpkg.build("acme/shop", str(tmp_path / "sales.parquet"))
    assert [c["rows"] for c in shown(dpk)] == [0, 0, 0, 0]
    assert "column" in dpk("show", "acme/shop/sales").out


def test_json_is_of_the_published_schema(dpk: Callable[..., Any], built: Any) -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[2] / "spec/json/show.json").read_text("utf-8"))
    jsonschema.validate(json.loads(dpk("show", "acme/shop/sales", "--json").out), schema)


def test_a_store_in_memory(source: Path, store: Any) -> None:
    url = f"memory://{secrets.token_hex(8)}"
    dpkg.build("acme/shop", str(source), store=url)
    assert len(stored(url)) == 1
