"""TPC-H from DuckDB into CSV, Parquet, SQLite and PostgreSQL and back: one tophash under one declared schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dpkg

duckdb = pytest.importorskip("duckdb")
_SCALE = 0.01  # 60,175 rows of lineitem; below that the keys of partsupp are not unique
KEYS = {
    "customer": "[c_custkey]",
    "lineitem": "[l_orderkey, l_linenumber]",
    "nation": "[n_nationkey]",
    "orders": "[o_orderkey]",
    "part": "[p_partkey]",
    "partsupp": "[ps_partkey, ps_suppkey]",
    "region": "[r_regionkey]",
    "supplier": "[s_suppkey]",
}
TYPES = {"BIGINT": "int64", "INTEGER": "int32", "DECIMAL(15,2)": "decimal(15, 2)", "DATE": "date", "VARCHAR": "utf8"}
SQLITE = {"int64": "INTEGER", "int32": "INTEGER", "decimal(15, 2)": "NUMERIC"}  # numbers as integers and reals
POSTGRES = {"int64": "bigint", "int32": "integer", "decimal(15, 2)": "numeric(15, 2)", "utf8": "text"}


class Tpch:
    """The tables of TPC-H, and what a build.yml declares of them."""

    def __init__(self, db: Any) -> None:
        self.db = db
        described = {name: db.execute(f"DESCRIBE {name}").fetchall() for name in KEYS}
        self.types = {name: {c: TYPES[kind] for c, kind, *_ in rows} for name, rows in described.items()}

    def yml(self, source: str) -> str:
        """`source` says where a table is, with its name for %s."""
        lines = ["contents:"]
        for name, types in self.types.items():
            schema = ", ".join(f"{c}: '{kind}'" for c, kind in types.items())
            lines += [f"  {name}:", f"    {source.replace('%s', name)}"]
            lines += [f"    key: {KEYS[name]}", f"    schema: {{{schema}}}"]
        return "\n".join(lines) + "\n"

    def shuffled(self, name: str, columns: str = "*") -> str:
        """Rows in an order of no use: that of the key is for the build to find."""
        return f"SELECT {columns} FROM {name} ORDER BY hash({next(iter(self.types[name]))}), hash({list(self.types[name])[-1]})"


@pytest.fixture(scope="module")
def tpch() -> Iterator[Tpch]:
    extensions = pytest.importorskip("duckdb_extensions")  # the extension is in a wheel: nothing is fetched
    with duckdb.connect() as db:
        extensions.import_extension("tpch", con=db)
        db.execute(f"LOAD tpch; CALL dbgen(sf={_SCALE})")
        yield Tpch(db)


def build(src: Path, yml: str) -> Any:
    (src / "build.yml").write_text(yml)
    return dpkg.build("tpch/x", str(src), store=str(src / "store"))


def tophash(src: Path, yml: str) -> str:
    return str(build(src, yml).tophash)


@pytest.fixture(scope="module")
def expected(tpch: Tpch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tophash of Parquet."""
    src = tmp_path_factory.mktemp("parquet")
    for name in KEYS:
        tpch.db.execute(f"COPY ({tpch.shuffled(name)}) TO '{src}/{name}.parquet'")
    return tophash(src, tpch.yml("file: %s.parquet"))


def test_csv(tpch: Tpch, tmp_path: Path, expected: str) -> None:
    for name in KEYS:
        tpch.db.execute(f"COPY ({tpch.shuffled(name)}) TO '{tmp_path}/{name}.csv'")
    assert tophash(tmp_path, tpch.yml("file: %s.csv")) == expected


def test_sqlite(tpch: Tpch, tmp_path: Path, expected: str) -> None:
    """Where a decimal is an integer or a float, and a date a text."""
    pytest.importorskip("adbc_driver_sqlite")
    with closing(sqlite3.connect(tmp_path / "tpch.db")) as connection, connection:
        for name, types in tpch.types.items():
            made = ", ".join(f"{c} {SQLITE.get(kind, 'TEXT')}" for c, kind in types.items())
            connection.execute(f"CREATE TABLE {name} ({made})")
            texts = ", ".join(c if kind.startswith("int") else f"{c}::VARCHAR" for c, kind in types.items())
            rows = tpch.db.execute(tpch.shuffled(name, texts)).fetchall()
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(types))})", rows)
    assert tophash(tmp_path, tpch.yml("file: tpch.db\n    table: %s")) == expected


def test_postgres(tpch: Tpch, tmp_path: Path, expected: str, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without a declaration, as the server's own types are the same."""
    from adbc_driver_postgresql import dbapi

    monkeypatch.setenv("WAREHOUSE", postgres.url())
    postgres.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO PUBLIC")
    with dbapi.connect(postgres.url("postgres")) as connection, connection.cursor() as cursor:
        for name, types in tpch.types.items():
            texts = ", ".join(f"{c}::VARCHAR AS {c}" if "decimal" in kind else c for c, kind in types.items())
            rows = tpch.db.execute(tpch.shuffled(name, texts)).to_arrow_reader(1 << 14)
            cursor.adbc_ingest("incoming", rows, mode="create", temporary=True)
            casts = ", ".join(f"{c}::{POSTGRES.get(kind, kind)} AS {c}" for c, kind in types.items())
            cursor.execute(f"CREATE TABLE {name} AS SELECT {casts} FROM incoming")
            cursor.execute("DROP TABLE incoming")
        connection.commit()
    built = build(tmp_path, tpch.yml("url: ${WAREHOUSE}\n    sql: SELECT * FROM %s"))
    assert built.tophash == expected
    oids = {e.path: e.oid for e in built.entries}
    (natural,) = build(
        tmp_path, "contents: {o: {url: '${WAREHOUSE}', sql: SELECT * FROM orders, key: [o_orderkey]}}"
    ).entries
    assert natural.oid == oids["orders"]
