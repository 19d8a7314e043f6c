"""Rows of PostgreSQL and SQLite: types, what is refused, and that a password never gets anywhere."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from builds import PKG, build, store, table

from dpkg import database, tables
from dpkg.errors import CheckFailed, Denied, DpkgError, Format, NotFound, Storage, Usage
from dpkg.repository import Repository

pytest.importorskip("adbc_driver_sqlite")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    made.mkdir()
    return made


def commit(src: Path) -> Any:
    return Repository(store(src)).resolve(PKG)[2]


# SQLite


@pytest.fixture
def shop(src: Path) -> Path:
    path = src / "shop.db"
    rows = [
        (i, None if i < 3000 else i / 2, None if i < 5000 else f"é{i}", b"\0" if i % 2 else None) for i in range(9000)
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            'CREATE TABLE sales (id INTEGER, "a ""b""" REAL, note TEXT, raw BLOB, none TEXT, mixed NUMERIC)'
        )
        connection.executemany(
            "INSERT INTO sales VALUES (?, ?, ?, ?, NULL, ?)", [(*r, 1 if r[0] else 1.5) for r in rows]
        )
        connection.execute("CREATE TABLE other (x)")
    return path


@pytest.mark.spec("SQL-4")
def test_sqlite_types_are_those_of_all_cells(src: Path, shop: Path) -> None:
    """Also where thousands of nulls come first, more than ADBC looks at, and where integers and reals are mixed."""
    build(src, "contents: {t: {file: shop.db, table: sales}}")
    found = table(src)
    assert found.schema == pa.schema(
        [
            *(("id", pa.int64()), ('a "b"', pa.float64()), ("note", pa.string())),
            *(("raw", pa.binary()), ("none", pa.null()), ("mixed", pa.float64())),
        ]
    )
    assert found["id"].to_pylist() == list(range(9000))
    assert found['a "b"'].to_pylist() == [None if i < 3000 else i / 2 for i in range(9000)]
    assert found["note"].to_pylist() == [None if i < 5000 else f"é{i}" for i in range(9000)]
    assert found["raw"].to_pylist() == [b"\0" if i % 2 else None for i in range(9000)]
    assert found["mixed"].to_pylist() == [1.5] + [1.0] * 8999


def test_sqlite_sql_in_its_order(src: Path, shop: Path) -> None:
    sql = "SELECT id, note FROM sales WHERE id > 8990 ORDER BY id DESC; -- newest first"
    build(src, f'contents: {{t: {{sql: "{sql}", url: "sqlite:///shop.db"}}}}')
    assert table(src)["id"].to_pylist() == list(range(8999, 8990, -1))
    (source,) = commit(src).provenance["sources"]
    assert (source["path"], source["size"], source["sql"]["text"]) == ("shop.db", shop.stat().st_size, sql)


def test_sqlite_is_read_again_only_where_it_changed(src: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from dpkg.compiler import compile as compiling

    time.sleep(0.15)
    text = "contents: {t: {file: shop.db, table: other}}"
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    time.sleep(0.15)
    build(src, text)
    real, read = compiling._compile, list[str]()
    monkeypatch.setattr(
        compiling, "_compile", lambda odb, item, *rest: read.append(item.name) or real(odb, item, *rest)
    )
    assert not build(src, text).created
    assert read == []
    with closing(sqlite3.connect(shop)) as connection:  # what is written stands in the -wal file beside it
        connection.execute("INSERT INTO other VALUES (7)")
        connection.commit()
        build(src, text)
        assert table(src)["x"].to_pylist() == [7]
        connection.execute("INSERT INTO other VALUES (8)")
        connection.commit()
        build(src, text)
        assert table(src)["x"].to_pylist() == [7, 8]


@pytest.mark.spec("SQL-5")
def test_decimals_of_reals_keep_their_digits(src: Path) -> None:
    with closing(sqlite3.connect(src / "p.db")) as connection, connection:
        connection.execute("CREATE TABLE p (price DECIMAL(15, 2))")
        connection.executemany("INSERT INTO p VALUES (?)", [("0.10",), ("17",), ("1234567.89",), ("-2.5",)])
    text = "contents: {t: {file: p.db, table: p, schema: {price: 'decimal(15, %d)'}}}"
    build(src, text % 2)
    assert table(src)["price"].to_pylist() == [Decimal(x) for x in ("0.10", "17.00", "1234567.89", "-2.50")]
    with pytest.raises(Format, match=r"p\.db, row 1, column 'price': '?0\.1'? is not"):
        build(src, text % 0)


SQLITE_MISTAKES = {
    "{file: shop.db, table: sale}": (NotFound, "has no table 'sale'", "did you mean 'sales'?"),
    "{file: shop.db, as: table}": (Usage, "holds 2 tables", "tables: other, sales"),
    "{file: no.db, table: x}": (NotFound, "there is no file", ""),
    "{file: text.db, table: x}": (Format, "is no SQLite file", ""),
    "{sql: DELETE FROM sales, url: 'sqlite:///shop.db'}": (Usage, "", "one statement that only reads"),
    "{sql: SELECT 1; SELECT 2, url: 'sqlite:///shop.db'}": (Usage, "one statement at a time", ""),
    "{sql: SELECT 1) x; DROP TABLE sales; SELECT * FROM (SELECT 2, url: 'sqlite:///shop.db'}": (Usage, "", ""),
    "{sql: ATTACH 'made.db' AS m, url: 'sqlite:///shop.db'}": (Usage, "", "one statement that only reads"),
    "{sql: SELECT * FROM nope, url: 'sqlite:///shop.db'}": (Usage, "no such table: nope", ""),
    "{sql: SELECT 1 x UNION SELECT 'a', url: 'sqlite:///shop.db'}": (Format, "several types: integer, text", "CAST"),
    "{sql: SELECT 9007199254740993 x UNION SELECT 1.5, url: 'sqlite:///shop.db'}": (Format, "integer, real", "CAST"),
    "{sql: SELECT 1, url: 'sqlite:///no.db'}": (NotFound, "line 1, column", "relative to build.yml"),
    "{sql: SELECT 1}": (Usage, "has 'sql' and no 'url'", "${NAME}"),
    "{sql: '', url: 'sqlite:///shop.db'}": (Usage, "'sql' is empty", ""),
    "{sql: SELECT 1, url: 'mysql://u@h/d'}": (Usage, "is no URL of a database", "postgresql://"),
    "{sql: SELECT 1, url: '${NOT_SET}'}": (Usage, "line 1, column 36: the variable NOT_SET is not set", "export"),
    "{file: shop.db, table: sales, sql: x}": (Usage, "", ""),
    "{file: shop.db}": (None, "", ""),
}


@pytest.mark.spec("SQL-1")
@pytest.mark.parametrize("entry", SQLITE_MISTAKES)
def test_mistakes(src: Path, shop: Path, entry: str) -> None:
    (src / "text.db").write_text("hello")
    before = shop.read_bytes()
    family, message, hint = SQLITE_MISTAKES[entry]
    text = f"contents: {{t: {entry}}}"
    if family is None:
        assert [e.type for e in build(src, text).entries] == ["blob"]  # without `table` a file stays what it is
        return
    with pytest.raises(DpkgError) as caught:
        build(src, text)
    assert isinstance(caught.value, family)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert family is Format or "build.yml, line 1" in caught.value.message
    assert shop.read_bytes() == before
    assert sorted(p.name for p in src.iterdir()) == ["build.yml", "shop.db", "text.db"]


def test_keep_source(src: Path) -> None:
    (src / "a.csv").write_text("x\n1\n")
    (src / "b.csv").write_text("x\n2\n")
    text = "contents: {t: {file: a.csv, keep_source: true}, d: {contents: {u: {files: '*.csv', keep_source: true}}}}"
    found = {e.path: e.type for e in build(src, text).entries}
    assert found == {"t": "table", "a.csv": "blob", "d/u": "table", "d/a.csv": "blob", "d/b.csv": "blob"}
    found = {e.path for e in build(src, "contents: {t: {files: '*.csv', each: true, keep_source: true}}").entries}
    assert found == {"t/a", "t/a.csv", "t/b", "t/b.csv"}
    build(src, text)
    repository = Repository(store(src))
    entry = repository.entry(f"{PKG}/a.csv")[3]
    assert entry is not None
    assert repository.odb.read(entry.oid, "blob") == b"x\n1\n"
    with pytest.raises(Usage, match=r"would both be 'a\.csv'"):
        build(src, "contents: {t: {file: a.csv, keep_source: true}, a.csv: {file: b.csv, as: blob}}")
    with pytest.raises(Usage, match="'keep_source' is true or false"):
        build(src, "contents: {t: {file: a.csv, keep_source: often}}")


# URLs


def test_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "p@ss/w:rd?#%")
    monkeypatch.setenv("URL", "postgres://ada:s3cret@db.example.org:5432/shop?sslmode=require&sslpassword=k3y")
    found = database.parse("postgresql://ada:${PW}@db/shop")
    assert found.shown == "postgresql://ada@db/shop"
    assert found.url == "postgresql://ada:p%40ss%2Fw%3Ard%3F%23%25@db/shop"
    found = database.parse("${URL}")
    assert found.shown == "postgresql://ada@db.example.org:5432/shop"
    assert found.clean("no s3cret, no k3y") == "no ***, no ***"
    assert not any(secret in repr(found) for secret in ("s3cret", "k3y"))


BAD_PASSWORDS = ("a@b", "a/b", "a?b", "a#b", "1/b", "@", "a:b/c@d")


@pytest.mark.spec("SQL-6")
@pytest.mark.parametrize("password", BAD_PASSWORDS)
def test_a_password_that_is_not_encoded_is_not_shown(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that is cut at the wrong place would show a part of it as the host or the path."""
    monkeypatch.setenv("URL", f"postgresql://ada:hidden{password}hidden@db/shop")
    with pytest.raises(Usage) as caught:
        database.parse("${URL}")
    assert "hidden" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "contents: {t: {sql: SELECT 1, url: 'postgresql://ada:hidden@db/shop'}}",
        "contents: {t: {sql: SELECT 1, url: 'postgresql://ada@db/shop?password=hidden'}}",
        "contents: {t: {file: a.csv}}  # was postgresql://ada:hidden@db/shop",
        "contents: {t: {file: 'https://ada:hidden@host/a.csv'}}",
        "contents: {t: {file: 'https://host/a.csv?X-Amz-Signature=hidden'}}",
    ],
)
@pytest.mark.spec("SQL-6")
def test_a_password_in_build_yml_is_refused(src: Path, line: str) -> None:
    (src / "a.csv").write_text("x\n1\n")
    with pytest.raises(Usage, match=r"line 1, column \d+: a password stands here") as caught:
        build(src, line)
    assert "hidden" not in caught.value.message + caught.value.hint
    assert "${NAME}" in caught.value.hint


# PostgreSQL


@pytest.fixture
def warehouse(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server with an empty schema; `${WAREHOUSE}` is its URL."""
    postgres.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO PUBLIC")
    monkeypatch.setenv("WAREHOUSE", postgres.url())
    return postgres


def read(src: Path, sql: str, more: str = "") -> pa.Table:
    build(src, f"contents:\n  t:\n    url: ${{WAREHOUSE}}\n    sql: |\n      {sql}\n{more}")
    return table(src)


@pytest.mark.spec("SQL-2")
def test_postgres_types(src: Path, warehouse: Any) -> None:
    warehouse.run(
        "CREATE TABLE t (i int, n numeric(15,2), wide numeric(50,10), j json, jb jsonb, at timestamp, tz timestamptz, d date, "
        "tm time, a int[], ta text[], b bytea, u uuid, bl bool, r real, x double precision, s varchar(9), s2 smallint)",
        "INSERT INTO t VALUES (1, 1.50, 2.25, '{\"a\": 1}', '[1]', '2020-01-02 03:04:05.678901', '2020-01-02 00:00+02', "
        "'2020-01-02', '10:00', '{1,NULL}', '{a,b}', 'abc', '00000000-0000-0000-0000-0000000000ff', true, 1.5, 2.5, 'é', 7)",
        "INSERT INTO t (i) VALUES (2)",
    )
    found = read(src, "SELECT * FROM t ORDER BY i")
    assert [str(t) for t in tables.schema_of(_object(src)).types] == [
        *("int32", "decimal[15, 2]", "decimal[50, 10]", "arrow.json<utf8>", "arrow.json<utf8>", "timestamp[us]"),
        *("timestamp[us, UTC]", "date", "time_us", "list<int32>", "list<utf8>", "binary"),
        *("arrow.uuid<fixed_binary[16]>", "bool", "float32", "float64", "utf8", "int16"),
    ]
    first, second = found.to_pylist()
    assert (first["n"], first["wide"], first["j"], first["jb"]) == (
        Decimal("1.50"),
        Decimal("2.2500000000"),
        '{"a": 1}',
        "[1]",
    )
    assert first["at"] == datetime.datetime(2020, 1, 2, 3, 4, 5, 678901)
    assert first["tz"] == datetime.datetime(2020, 1, 1, 22, tzinfo=datetime.UTC)
    assert (first["a"], first["ta"], first["b"], first["u"].int, first["s"]) == (
        [1, None],
        ["a", "b"],
        b"abc",
        255,
        "é",
    )
    assert set(second.values()) == {2, None}
    (source,) = commit(src).provenance["sources"]
    assert source["url"] == f"postgresql://reader@127.0.0.1:{warehouse.port}/postgres"
    assert source["sql"]["text"] == "SELECT * FROM t ORDER BY i\n"


def _object(src: Path) -> Any:
    repository = Repository(store(src))
    entry = repository.entry(f"{PKG}/t")[3]
    assert entry is not None
    return tables.read_table_object(repository.odb, entry.oid)


@pytest.mark.spec("SQL-2")
def test_a_numeric_without_a_precision_wants_a_declaration(src: Path, warehouse: Any) -> None:
    sql = "SELECT sum(x) AS total FROM (VALUES (1.25), (2)) AS v(x)"
    with pytest.raises(Format, match="column 'total' is numeric without a precision and scale") as caught:
        read(src, sql)
    assert "decimal(38, 6)" in caught.value.hint
    assert read(src, sql, "    schema: {total: 'decimal(10, 3)'}\n")["total"].to_pylist() == [Decimal("3.250")]
    with pytest.raises(Format, match=r"row 1, column 'total': '3\.25' is not"):  # a digit would be lost
        read(src, sql, "    schema: {total: 'decimal(10, 1)'}\n")
    assert read(src, sql.replace("sum(x)", "sum(x)::numeric(9,4)")).schema.field(0).type == pa.decimal128(9, 4)
    assert read(src, sql, "    schema: {total: float64}\n")["total"].to_pylist() == [3.25]
    sql = "SELECT array_agg(x) AS many FROM (VALUES (1.25), (2)) AS v(x)"
    found = read(src, sql, "    schema: {many: 'list<decimal(9, 2)>'}\n")
    assert found["many"].to_pylist() == [[Decimal("1.25"), Decimal("2.00")]]


REFUSED = {
    "SELECT 'infinity'::timestamp AS x": "holds infinity",
    "SELECT '-infinity'::timestamptz AS x": "holds infinity",
    "SELECT 'infinity'::date AS x": "holds infinity",
    "SELECT '24:00'::time AS x": "holds 24:00",
    "SELECT '{{1,2},{3,4}}'::int[] AS x": "more than one dimension",
    "SELECT 'NaN'::numeric(5,1) AS x": "row 1",
    "SELECT '1 day'::interval AS x": "is interval, which has no Arrow type",
    "SELECT '10.0.0.1'::inet AS x": "is inet, which has no Arrow type",
    "SELECT 3::money AS x": "is money, which has no Arrow type",
    "SELECT 1 AS x, 2 AS x": "two columns are named 'x'",
}


@pytest.mark.spec("SQL-3")
@pytest.mark.parametrize("sql", REFUSED)
def test_what_arrow_would_change_without_a_word_is_refused(src: Path, warehouse: Any, sql: str) -> None:
    with pytest.raises(Format, match=REFUSED[sql]):
        read(src, sql)
    assert not Repository(store(src), create=True).refs.heads(PKG)


def test_the_first_and_last_days(src: Path, warehouse: Any) -> None:
    sql = "SELECT '4713-01-01 BC'::date AS a, '4713-01-01 BC'::timestamp AS b, '23:59:59.999999'::time AS c"
    assert read(src, sql).num_rows == 1


WRONG = {
    "DELETE FROM t": (Usage, "no columns"),
    "DELETE FROM t RETURNING i": (Usage, "read-only transaction"),
    "WITH x AS (DELETE FROM t RETURNING i) SELECT * FROM x": (Usage, "read-only transaction"),
    "SELECT 1; DROP TABLE t": (Usage, "multiple commands"),
    "SELECT set_config('transaction_read_only', 'off', false), nextval('s')": (Usage, "must be set before any query"),
    "SELECT 1,\n\n      nope": (Usage, 'column "nope" does not exist (line 3 of the SQL)'),
    "SELEC 1": (Usage, 'syntax error at or near "SELEC" (line 1 of the SQL)'),
    "SELECT * FROM nope": (Usage, 'relation "nope" does not exist'),
    "SELECT 1 / (i - 1) AS x FROM t": (Usage, "division by zero"),
    "SELECT * FROM hidden.h": (Denied, "permission denied"),
}


@pytest.mark.spec("SQL-1")
@pytest.mark.parametrize("sql", WRONG)
def test_what_the_server_says(src: Path, warehouse: Any, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a user who may do everything only reads."""
    warehouse.run("CREATE TABLE t AS SELECT 1 AS i", "CREATE SEQUENCE s")
    warehouse.run("CREATE SCHEMA IF NOT EXISTS hidden", "CREATE TABLE IF NOT EXISTS hidden.h (i int)")
    family, message = WRONG[sql]
    if family is not Denied:
        monkeypatch.setenv("WAREHOUSE", warehouse.url("postgres"))
    else:
        warehouse.run("REVOKE pg_read_all_data FROM reader")
    try:
        with pytest.raises(DpkgError) as caught:
            read(src, sql)
    finally:
        warehouse.run("GRANT pg_read_all_data TO reader")
    assert isinstance(caught.value, family)
    assert message in caught.value.message
    assert caught.value.message.startswith(str(src / "build.yml") + ", line 2, column 3: postgresql://")
    assert "\n" not in caught.value.message
    assert warehouse.query("SELECT count(*), (SELECT is_called FROM s) FROM t") == [(1, False)]


def test_rows_stay_in_order_and_keys_are_held(src: Path, warehouse: Any) -> None:
    warehouse.run("CREATE TABLE t AS SELECT i, 'x' || i AS s FROM generate_series(1, 100000) AS i")
    found = read(src, "SELECT * FROM t ORDER BY i DESC")
    assert found["i"].to_pylist() == list(range(100_000, 0, -1))
    with pytest.raises(CheckFailed):
        read(src, "SELECT 1 AS i UNION ALL SELECT 1", "    key: [i]\n")


# Secrets


@pytest.mark.spec("SQL-6")
@pytest.mark.parametrize("way", ["whole", "part"])
def test_the_password_never_gets_anywhere(
    src: Path, warehouse: Any, way: str, dpk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", warehouse.password)
    url = "${WAREHOUSE}" if way == "whole" else f"postgresql://reader:${{PW}}@127.0.0.1:{warehouse.port}/postgres"
    yml = src / "build.yml"
    said = []

    def run(text: str, code: int | None, *more: str) -> None:
        yml.write_text(text)
        said.append(dpk("build", PKG, str(src), *more, code=code))

    text = f"contents: {{t: {{sql: SELECT 1 AS i, url: '{url}'}}}}"
    run(text, 0, "--json")
    said += [dpk("show", PKG, "--provenance"), dpk("show", PKG, "--json"), dpk("log", PKG)]
    run(text.replace("SELECT 1", "SELECT nope"), 2, "--debug")
    run(text.replace("/postgres'", "/nope'").replace("SELECT 1", "SELECT 2"), None)
    wrong = warehouse.password[::-1]
    monkeypatch.setenv("PW", wrong)
    monkeypatch.setenv("WAREHOUSE", warehouse.url(password=wrong))
    run(text, 10)
    monkeypatch.setenv("WAREHOUSE", warehouse.url(password=wrong).replace("127.0.0.1", "nohost.invalid"))
    run(text.replace("127.0.0.1", "nohost.invalid"), 8)
    store = src.parent / "store"
    stored = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    everything = stored + b"".join(ran.stdout + ran.stderr for ran in said)
    assert b"reader@127.0.0.1" in everything
    assert warehouse.password.encode() not in everything
    assert wrong.encode() not in everything


def test_a_server_that_is_not_there(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    monkeypatch.setenv("WAREHOUSE", "postgresql://ada:hidden@127.0.0.1:1/shop")
    with pytest.raises(Storage, match=r"postgresql://ada@127\.0\.0\.1:1/shop: .*refused") as caught:
        read(src, "SELECT 1 AS x")
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1 ; -- done\n", "SELECT 1 "),
        ("SELECT ';--' /* ; */;", "SELECT ';--' /* ; */"),
        ("SELECT $a$;--$a$", "SELECT $a$;--$a$"),
        ('SELECT ";" -- x', 'SELECT ";" -- x'),
    ],
)
def test_the_semicolon_at_the_end(sql: str, found: str) -> None:
    assert database.bare(sql) == found
