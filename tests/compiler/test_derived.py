"""`query:`, tables derived from others of the package, and `package:`, entries of another one."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from builds import PKG, build, store, table

import dpkg
from dpkg import plumbing
from dpkg.compiler import compile as compiling
from dpkg.errors import CheckFailed, DpkgError, Format, NotFound, Usage
from dpkg.repository import Repository

pytest.importorskip("duckdb")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    made.mkdir()
    rows = [(i, "AB"[i % 2], i / 4) for i in range(1000)]
    (made / "sales.csv").write_text("id,shop,amount\n" + "".join(f"{i},{s},{a}\n" for i, s, a in rows))
    (made / "shops.csv").write_text("shop,town\nA,Bern\nB,Jena\n")
    return made


SALES = "contents:\n  sales: {file: sales.csv}\n  shops: {file: shops.csv}\n"


def sources(src: Path) -> dict[str, Any]:
    commit = Repository(store(src)).resolve(PKG)[2]
    return {s["entry"]: s for s in commit.provenance["sources"]}


# query


def test_a_query_over_others(src: Path) -> None:
    sql = "SELECT town, sum(amount) AS total, count(*) AS n, sum(id) AS ids FROM sales JOIN shops USING (shop) GROUP BY town"
    built = build(src, SALES + f"  towns: {{query: '{sql}', key: [town]}}\n")
    assert table(src, "towns").to_pylist() == [
        {"town": "Bern", "total": 62375.0, "n": 500, "ids": Decimal(249500)},
        {"town": "Jena", "total": 62500.0, "n": 500, "ids": Decimal(250000)},
    ]
    oids = {e.path: e.oid for e in built.entries}
    said = sources(src)["towns"]
    assert said["inputs"] == {"sales": oids["sales"], "shops": oids["shops"]}
    assert said["query"]["text"] == sql
    assert Repository(store(src)).resolve(PKG)[2].provenance["versions"]["duckdb"]


def test_queries_over_queries_in_any_order_and_in_folders(src: Path) -> None:
    text = """
contents:
  last: {query: 'SELECT n + 1 AS n FROM "reports/deep/mid"', schema: {n: int64}}
  reports:
    contents:
      deep: {contents: {mid: {query: 'SELECT count(*) AS n FROM "reports/FIRST"'}}}
      first: {query: "WITH Few AS (SELECT * FROM sales WHERE id < 10), sales AS (FROM few) SELECT few.* FROM few JOIN sales USING (id)"}
  sales: {file: sales.csv}
"""
    build(src, text)
    assert table(src, "last").to_pylist() == [{"n": 11}]


@pytest.mark.spec("SQL-7")
def test_the_order_of_rows_is_always_the_same(src: Path) -> None:
    """Without an order of its own a result is sorted by all its columns; an ORDER BY holds."""
    build(src, SALES + "  a: {query: 'SELECT shop, id % 7 AS k FROM sales WHERE id < 50'}\n")
    rows = [tuple(r.values()) for r in table(src, "a").to_pylist()]
    assert rows == sorted(("AB"[i % 2], i % 7) for i in range(50))
    build(src, SALES + "  a: {query: SELECT id FROM sales ORDER BY id DESC LIMIT 5}\n")
    assert table(src, "a")["id"].to_pylist() == [999, 998, 997, 996, 995]


@pytest.mark.spec("SQL-7")
def test_the_same_tophash_each_time(src: Path) -> None:
    """Also of sums of floats, which depend on their order."""
    sql = "SELECT shop, sum(sqrt(id) * 1e-3 + 1e9 * sin(id)) AS s FROM sales, range(200) AS r(x) GROUP BY shop"
    text = SALES + f"  a: {{query: '{sql}'}}\n"
    (src / "build.yml").write_text(text)
    found = {plumbing.write_tree(str(src), store=str(src.parent / f"store{n}")).oid for n in range(3)}
    assert len(found) == 1


@pytest.mark.spec("SQL-9")
@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1], pa.timestamp("ns", "UTC")),
        pa.array([[1]], pa.list_(pa.duration("ns"))),
        pa.array([Decimal(1)], pa.decimal256(50, 2)),
    ],
)
def test_what_duckdb_would_cut_is_refused(src: Path, cells: pa.Array) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": cells}), src / "t.parquet")
    with pytest.raises(Usage, match=r"line 1.*column 'x' of 't' is .*DuckDB keeps only a part"):
        build(src, "contents: {t: {file: t.parquet}, q: {query: SELECT * FROM t}}")


def test_types_pass_through(src: Path) -> None:
    import pyarrow.parquet as pq

    given = pa.table(
        {
            "d": pa.array([Decimal("1.50")], pa.decimal128(15, 2)),
            "t": pa.array([0], pa.timestamp("us", "UTC")),
            "ns": pa.array([1], pa.timestamp("ns")),
            "l": [[1, 2]],
            "s": [{"a": 1}],
            "u": pa.array([2**64 - 1], pa.uint64()),
            "b": [b"\0"],
            "j": pa.array(["[1]"], pa.json_()),
        }
    )
    pq.write_table(given, src / "t.parquet")
    build(src, "contents: {t: {file: t.parquet}, q: {query: SELECT * FROM t}}")
    assert table(src, "q").schema == table(src, "t").schema
    assert table(src, "q").to_pylist() == table(src, "t").to_pylist()


@pytest.mark.spec("BLD-7")
def test_only_what_changed_is_asked_again(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    (src / "other.csv").write_text("x\n1\n")
    text = (
        SALES
        + "  other: {file: other.csv}\n  n: {query: SELECT count(*) AS n FROM sales}\n  m: {query: SELECT * FROM n}\n"
    )
    time.sleep(0.15)
    build(src, text)
    real, read = compiling._compile, list[str]()
    monkeypatch.setattr(
        compiling, "_compile", lambda odb, item, *rest: read.append(item.name) or real(odb, item, *rest)
    )
    assert not build(src, text).created
    assert read == []
    (src / "other.csv").write_text("x\n2\n")
    time.sleep(0.15)
    before = sources(src)["n"]
    build(src, text)
    assert read == ["other"]
    assert sources(src)["n"] == before
    read.clear()
    (src / "sales.csv").write_text("id,shop,amount\n1,A,2.5\n")
    time.sleep(0.15)
    build(src, text)
    assert read == ["sales", "n", "m"]
    assert table(src, "m").to_pylist() == [{"n": 1}]
    read.clear()
    build(src, text.replace("SELECT * FROM n", "SELECT n + 1 AS n FROM n"))
    assert read == ["m"]
    read.clear()
    (src / "sales.csv").touch()
    build(src, text)
    assert read == ["sales", "m"]  # it is read, and nothing that needs it


@pytest.mark.spec("BLD-7")
def test_what_breaks_off_a_build_breaks_no_query(src: Path) -> None:
    """An input changes in a build that fails: the query is not taken for that of the input before."""
    (src / "bad.csv").write_text("x\n1\n")
    text = SALES + "  bad: {file: bad.csv, schema: {x: int64}}\n  n: {query: SELECT count(*) AS n FROM shops}\n"
    build(src, text)
    (src / "shops.csv").write_text("shop,town\nA,Bern\n")
    (src / "bad.csv").write_text("x\ny\n")
    with pytest.raises(DpkgError):
        build(src, text)
    (src / "bad.csv").write_text("x\n1\n")
    build(src, text)
    assert table(src, "n").to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    ("module", "entry", "extra"),
    [
        ("duckdb", "{query: SELECT 1 AS x}", "[sql]"),
        ("adbc_driver_postgresql.dbapi", "{sql: SELECT 1, url: 'postgresql://u@127.0.0.1:1/d'}", "[postgres]"),
        ("adbc_driver_sqlite.dbapi", "{file: t.db, table: t}", "[sqlite]"),
    ],
)
def test_an_extra_that_is_not_installed(
    src: Path, monkeypatch: pytest.MonkeyPatch, module: str, entry: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (src / "t.db").write_bytes(b"SQLite format 3\0")
    with pytest.raises(Usage, match=r"build\.yml, line 1, column .* not installed") as caught:
        build(src, f"contents: {{t: {entry}}}")
    assert caught.value.hint == f"pip install 'dpkg-data{extra}'"


MISTAKES = {
    "SELECT * FROM sale": (NotFound, "the query names 'sale'", "did you mean 'sales'?"),
    "SELECT * FROM q": (Usage, "the query of 'q' needs itself: q → q", ""),
    "SELECT * FROM p": (Usage, "the query of 'p' needs itself: p → q → p", ""),
    "SELECT * FROM readme": (Usage, "'readme' is no table", ""),
    'SELECT * FROM "sales/x"': (Usage, "'sales' is no folder", ""),
    "DELETE FROM sales": (Usage, "is not one SELECT", ""),
    "SELECT 1; SELECT 2": (Usage, "is not one SELECT", ""),
    "COPY sales TO ''x.csv''": (Usage, "is not one SELECT", ""),
    "SELEC 1": (Usage, "the query fails: Parser Error", ""),
    "SELECT nope FROM sales": (Usage, "nope", ""),
    "SELECT id, shop AS id FROM sales": (Format, "two columns are named 'id'", ""),
    "SELECT DATE ''infinity'' AS d": (Format, "column 'd' holds infinity", ""),
    "SELECT TIMESTAMPTZ ''-infinity'' AS d": (Format, "column 'd' holds infinity", ""),
    "SELECT TIME ''24:00'' AS d": (Format, "column 'd' holds 24:00", ""),
    "SELECT id\n\n      FROM sales\n\n      WHERE shop::INT = 1": (Usage, "(line 3 of the SQL)", ""),
    "SELECT id\n\n      ,nope\n\n      FROM sales": (Usage, "(line 2 of the SQL)", ""),
    "SELECT id\n\n      FROM FROM": (Usage, "(line 2 of the SQL)", ""),
    "SELECT random() AS r FROM sales": (Usage, "calls random", ""),
    "SELECT current_date AS r FROM sales": (Usage, "calls current_date", ""),
    "SELECT * FROM main.sales": (Usage, "there are no schemas", ""),
    "SELECT now() AS r FROM sales": (Usage, "calls now", ""),
    "SELECT age(TIMESTAMP ''2020-01-01'') AS r": (Usage, "calls age", ""),
    "SELECT current_setting(''memory_limit'') AS r": (Usage, "calls current_setting", ""),
    "SELECT * FROM query(''SELECT random()'')": (Usage, "reads query(…)", "range"),
    "SELECT * FROM arrow_scan(1, 2, 3)": (Usage, "reads arrow_scan(…)", ""),
    "SELECT * FROM duckdb_settings()": (Usage, "reads duckdb_settings(…)", ""),
    "SELECT * FROM sales USING SAMPLE 3": (Usage, "takes a sample", ""),
    "SELECT * FROM read_csv(''sales.csv'')": (Usage, "", ""),
    "SELECT * FROM read_text(''/etc/hostname'')": (Usage, "", ""),
    "SELECT * FROM ''sales.csv''": (DpkgError, "", ""),
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT nope FROM r": (
        Usage,
        "nope",
        "",
    ),
    "SELECT " + "abs(" * 2000 + "1" + ")" * 2000: (Usage, "the query", ""),
    "SELECT getenv(''HOME'') AS h": (Usage, "", ""),
}


@pytest.mark.spec("SQL-7", "SQL-8", "SQL-9")
@pytest.mark.parametrize("sql", MISTAKES)
def test_mistakes(src: Path, sql: str) -> None:
    (src / "README.md").write_text("hello")
    text = SALES + f"  readme: {{file: README.md}}\n  p: {{query: SELECT * FROM q}}\n  q:\n    query: '{sql}'\n"
    family, message, hint = MISTAKES[sql]
    with pytest.raises(DpkgError) as caught:
        build(src, text)
    assert isinstance(caught.value, family)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert f"{src / 'build.yml'}, line " in caught.value.message
    assert not Repository(store(src), create=True).refs.heads(PKG)


def test_two_names_that_duckdb_takes_for_one(src: Path) -> None:
    text = "contents: {Sales: {file: sales.csv}, sales: {file: sales.csv}, q: {query: SELECT 1 AS x FROM SALES}}"
    with pytest.raises(Usage, match="may be 'Sales' and 'sales'"):
        build(src, text)


def test_a_key_is_held(src: Path) -> None:
    with pytest.raises(CheckFailed):
        build(src, SALES + "  a: {query: SELECT shop FROM sales, key: [shop]}\n")


# package


@pytest.fixture
def other(src: Path) -> Any:
    """Another package of the store, tagged v1, and then changed."""
    text = SALES + "  docs: {meta: {lang: en}, contents: {deep: {contents: {t: {file: shops.csv, meta: {a: 1}}}}}}\n"
    built = build(src, text, "acme/other")
    dpkg.tag("acme/other", "v1", store=store(src))
    (src / "shops.csv").write_text("shop,town\nA,Bonn\n")
    build(src, text, "acme/other")
    return built


def entries(src: Path) -> dict[str, Any]:
    from dpkg.index import walk

    repository = Repository(store(src))
    return {path: (e.type, e.oid, e.meta) for path, e in walk(repository.odb, repository.resolve(PKG)[2].tree)}


def test_entries_of_another_package(src: Path, other: Any) -> None:
    text = """
contents:
  shops: {package: acme/other@v1/shops}
  mine: {package: acme/other@v1/docs, meta: {lang: de}}
  all: {package: "acme/other@%s"}
  n: {query: 'SELECT count(*) AS n FROM shops, "all/docs/deep/t"'}
"""
    built = build(src, text % other.tophash[:12])
    assert built.created
    found, repository = entries(src), Repository(store(src))
    theirs = dict(_walk(repository, other.tophash))
    assert found["shops"][:2] == ("table", theirs["shops"].oid)
    assert found["mine"][1] == theirs["docs"].oid
    assert found["mine"][2] != theirs["docs"].meta
    assert found["all"][:2] == ("tree", other.tophash)
    assert found["all/docs"][2] == theirs["docs"].meta
    assert table(src, "n").to_pylist() == [{"n": 4}]
    said = sources(src)
    assert said["shops"] == {
        **{"entry": "shops", "package": "acme/other@v1/shops", "commit": other.commit},
        **{"tophash": other.tophash, "oid": theirs["shops"].oid},
    }
    assert said["n"]["inputs"] == {"shops": theirs["shops"].oid, "all/docs/deep/t": theirs["docs/deep/t"].oid}
    assert not build(src, text % other.tophash[:12]).created
    assert dpkg.verify(PKG, store=store(src)).problems == ()


def _walk(repository: Repository, tree: Any) -> Any:
    from dpkg.index import walk

    return walk(repository.odb, tree)


def test_nothing_is_copied(src: Path, other: Any) -> None:
    before = set(Path(store(src)).rglob("*.parquet"))
    build(src, "contents: {a: {package: acme/other@v1}}")
    assert set(Path(store(src)).rglob("*.parquet")) == before


PINS = {
    "acme/other": (Usage, "names no revision", "acme/other@TAG"),
    "acme/other/shops": (Usage, "names no revision", "acme/other@TAG/shops"),
    "acme/other@latest": (Usage, "is a branch, which moves", "now it is acme/other@"),
    "acme/other@main/shops": (Usage, "is a branch, which moves", "/shops"),
    "acme/other@latest~1": (Usage, "is a branch, which moves", ""),
    "acme/other@v1/shop": (NotFound, "shop", "shops"),
    "acme/other@v2": (NotFound, "has no revision 'v2'", "v1"),
    "acme/othr@v1": (
        NotFound,
        "there is no package 'acme/othr'",
        "'dpk install acme/othr' brings it; there is: acme/other",
    ),
    "Acme/@v1": (DpkgError, "", ""),
}


@pytest.mark.spec("BLD-8")
@pytest.mark.parametrize("expr", PINS)
def test_what_is_not_pinned_or_not_there(src: Path, other: Any, expr: str) -> None:
    family, message, hint = PINS[expr]
    with pytest.raises(DpkgError) as caught:
        build(src, f"contents:\n  a: {{package: '{expr}'}}\n")
    assert isinstance(caught.value, family)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert f"{src / 'build.yml'}, line 2, column 16: " in caught.value.message


@pytest.mark.spec("BLD-8")
def test_a_package_that_is_here_in_part(src: Path, other: Any) -> None:
    far, text = store(src), "contents: {a: {package: acme/other@v1/shops}}"
    (src / "build.yml").write_text(text)
    near = str(src.parent / "near")
    dpkg.install("acme/other@v1/docs", far, store=near)
    with pytest.raises(NotFound, match="of 'acme/other' only") as caught:
        dpkg.build(PKG, str(src), store=near)
    assert "'dpk install acme/other' brings the rest" in caught.value.hint
    dpkg.install("acme/other", far, store=near)
    assert dpkg.build(PKG, str(src), store=near).created


def test_check_of_files_says_what_it_cannot_read(src: Path, other: Any) -> None:
    text = "contents:\n  s: {package: acme/other@v1/sales}\n  q: {query: SELECT id FROM s, checks: {rows: {min: 1}}}\n"
    built = build(src, text)
    assert [r.status for r in built.checks] == ["passed"]
    with pytest.raises(Usage, match=r"build\.yml, line 3.*'s' is of another package"):
        dpkg.check(str(src))


@pytest.mark.spec("BLD-8")
def test_what_is_put_into_a_package_stays_when_the_other_goes(src: Path, other: Any) -> None:
    build(src, "contents: {a: {package: acme/other@v1/sales}}")
    dpkg.rm("acme/other", store=store(src))
    dpkg.gc(store=store(src))
    assert table(src, "a").num_rows == 1000
    assert dpkg.verify(store=store(src), deep=True).problems == ()
