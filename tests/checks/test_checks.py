"""Checks as people meet them: in `dpk build`, `dpk check` and `dpk show`."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dpkg
from dpkg.arrow.checks.base import RowRule
from dpkg.checks import kept
from dpkg.checks.tables import StoredTables
from dpkg.errors import CheckFailed, Storage, Usage
from dpkg.repository import Repository

PKG = "acme/x"
SALES = 'id,shop,amount,note\n1,Bern,12.5,"two\nlines"\n2,Jena,-3,a\n2,Rome,7,my card 4111 1111 1111 1111\n,Bern,,\n'
Make = Callable[..., Path]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    made.mkdir()
    (made / "sales.csv").write_text(SALES)
    (made / "shops.csv").write_text("name,opened\nBern,2020-01-01\nJena,2021-01-01\n")
    return made


def write(src: Path, checks: str, more: str = "", file: str = "sales.csv") -> None:
    (src / "build.yml").write_text(
        f"contents:\n  sales: {{file: {file}, checks: {checks}{more}}}\n  shops: {{file: shops.csv}}\n"
    )


def commits(store: Any) -> int:
    repository = Repository(store.url)
    tip = repository.tip(PKG)
    return len(list(repository.history(tip))) if tip else 0


BAD = "{columns: {id: {not_null: true, unique: true}, amount: {min: 0}, shop: {foreign_key: {table: shops, column: name}}}}"


@pytest.mark.spec("CHK-1", "CHK-3")
def test_all_that_fails_is_told_and_nothing_is_committed(src: Path, store: Any, dpk: Any) -> None:
    write(src, BAD)
    said = dpk("build", PKG, str(src), code=9).err
    assert "4 checks failed, and nothing was committed" in said
    for line in (
        "sales: id: not_null: 1 of 4 rows",
        "row 4, {src}/sales.csv, line 6: null",
        "sales: id: unique: 1 of 4 rows repeat an earlier one",
        "row 3, {src}/sales.csv, line 5: 2",
        "sales: amount: min 0: 1 of 4 rows",
        "row 2, {src}/sales.csv, line 4: -3",
        "sales: shop: foreign_key shops.name: 1 of 4 rows",
        "row 3, {src}/sales.csv, line 5: Rome",
    ):
        assert line.format(src=src) in said
    assert "build.yml, line 2, column" in said
    assert commits(store) == 0
    assert json.loads(dpk("build", PKG, str(src), "--json", code=9).err)["error"]


@pytest.mark.spec("CHK-1", "CHK-7")
def test_a_warning_is_told_and_kept(src: Path, store: Any, dpk: Any) -> None:
    write(
        src, "{severity: warn, columns: {amount: {min: 0, max: {value: 100, severity: error}}}, rows_change: {min: 0}}"
    )
    said = dpk("build", PKG, str(src)).out
    assert "warning  sales: amount: min 0: 1 of 4 rows" in said
    assert f"row 2, {src}/sales.csv, line 4: -3" in said
    assert "skipped  sales: rows_change min 0: there is no parent commit" in said
    assert "3 checks: 1 passed, 1 warned, 1 skipped" in said
    commit = Repository(store.url).resolve(PKG)[2]
    assert commit.checks == [
        {
            **{"bad": 1, "figure": "1 of 4 rows", "path": "sales", "rows": [2], "status": "failed"},
            "rule": {"args": {"value": "0"}, "column": "amount", "kind": "min", "severity": "warn"},
        },
        {
            **{"bad": 0, "figure": "0 of 4 rows", "path": "sales", "rows": [], "status": "passed"},
            "rule": {"args": {"value": "100"}, "column": "amount", "kind": "max", "severity": "error"},
        },
        {
            **{"bad": 0, "path": "sales", "rows": [], "status": "skipped"},
            "figure": "there is no parent commit with this table to compare with",
            "rule": {"args": {"min": "0"}, "kind": "rows_change", "severity": "warn"},
        },
    ]
    shown = dpk("show", f"{PKG}/sales").out
    assert "checks   3 checks: 1 passed, 1 warned, 1 skipped" in shown
    assert "warning  sales: amount: min 0: 1 of 4 rows" in shown
    assert "row 2" in shown
    assert dpk("show", PKG, "--json").json["checks"] == commit.checks
    assert dpk("show", f"{PKG}/shops", "--json").json["checks"] == []


@pytest.mark.spec("CHK-1")
def test_a_file_that_did_not_change_is_checked_too(src: Path, store: Any, dpk: Any, monkeypatch: Any) -> None:
    write(src, "{rows: {min: 1}}")
    for path in src.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr("dpkg.compiler.statcache._is_old", lambda stamp, began: True)
    dpk("build", PKG, str(src))
    monkeypatch.setattr("dpkg.compiler.compile.compile_table", None)  # nothing is read again
    write(src, "{rows: {min: 5}}")
    assert "sales: rows min 5: 4 rows" in dpk("build", PKG, str(src), code=9).err
    write(src, "{rows: {min: 2}}")
    assert "nothing changed" in dpk("build", PKG, str(src)).out
    assert commits(store) == 1


def test_a_check_that_does_not_fit_its_column(src: Path, store: Any, dpk: Any) -> None:
    for checks, said, hint in (
        ("{columns: {amont: {min: 0}}}", "there is no column 'amont'", "did you mean 'amount'?"),
        ("{columns: {amount: {min: x}}}", "'x' is not float64, as column 'amount' is", ""),
        ("{columns: {id: {enum: [1, 2.5]}}}", "'2.5' is not int64, as column 'id' is", ""),
        ("{columns: {shop: {mean: {min: 1}}}}", "column 'shop' is utf8, and 'mean' is for numbers", ""),
        ("{columns: {id: {matches: email}}}", "column 'id' is int64, and patterns are for text", ""),
        ("{columns: {id: {foreign_key: {table: shop}}}}", "there is no table 'shop'", "did you mean 'shops'?"),
        ("{columns: {id: {foreign_key: {table: shops}}}}", "there is no column 'id'", "columns: name, opened"),
        (
            "{columns: {id: {foreign_key: {table: shops, column: name}}}}",
            "id' is int64, and shops.name is utf8",
            "one type",
        ),
        ("{duplicates: {columns: [nam]}}", "there is no column 'nam'", ""),
        ("{freshness: {column: id, within: 1d}}", "'freshness' is for dates and timestamps", ""),
        ("{sql: [SELECT nothing FROM sales]}", "the query fails: Binder Error", "DuckDB"),
        ("{sql: [SELECT * FROM nowhere]}", "Table with name nowhere does not exist", "tables here: sales, shops"),
        ("{sql: [DROP TABLE sales]}", "the query is not one SELECT", ""),
        ("{sql: ['SELECT 1; SELECT 2']}", "the query is not one SELECT", ""),
    ):
        write(src, checks)
        for args in (["build", PKG, str(src)], ["check", str(src)]):
            ran = dpk(*args, code=2).err
            assert "build.yml, line 2, column" in ran
            assert said in ran
            assert hint in ran
    assert commits(store) == 0


@pytest.mark.spec("CHK-1")
def test_what_fits_no_column_is_told_with_all_that_fails(src: Path, store: Any, dpk: Any) -> None:
    (src / "build.yml").write_text(
        "contents:\n  sales:\n    file: sales.csv\n    checks:\n      rows: {min: 9}\n"
        "      columns:\n        Shop: {not_null: true}\n        amount: {matches: iban, min: 0}\n"
        "  shops: {file: shops.csv, checks: {columns: {opened: {sum: {min: 1}}}}}\n"
    )
    for args in (["build", PKG, str(src)], ["check", str(src)]):
        said = dpk(*args, code=2).err
        for line in (
            "3 checks cannot be made:",
            "build.yml, line 7, column 16: the check 'Shop: not_null' of 'sales': there is no column 'Shop' (did you mean 'shop'?)",
            "line 8, column 18: the check 'amount: matches iban' of 'sales': column 'amount' is float64, and patterns are for text",
            "line 9, column 56: the check 'opened: sum min 1' of 'shops': column 'opened' is date, and 'sum' is for numbers",
            "2 checks failed:",
            "sales: rows min 9: 4 rows",
            f"row 2, {src}/sales.csv, line 4: -3",
        ):
            assert line in said
    assert commits(store) == 0


def test_a_column_without_values_keeps_what_is_said_of_values(src: Path, dpk: Any) -> None:
    (src / "sales.csv").write_text("id,a\n1,\n2,\n")
    rules = "min: 1, matches: iban, enum: [x], length: {min: 1}, monotonic: increasing, sum: {max: 0}, unique: true"
    write(
        src, f"{{columns: {{a: {{{rules}, not_null: true, mean: {{min: 0}}}}}}, freshness: {{column: a, within: 1d}}}}"
    )
    for args in (["build", PKG, str(src)], ["check", str(src)]):
        ran = dpk(*args, "--json", code=9)
        said = ran.out + ran.err
        for word in ("a: not_null", "a: mean min 0", "freshness column a, within 1d"):
            assert word in said
        assert "3 checks failed" in said or [r["status"] for r in ran.json["results"]].count("failed") == 3


def test_check_of_files_stores_nothing(src: Path, store: Any, dpk: Any) -> None:
    write(src, BAD)
    before = sorted(Path(store.url).rglob("*"))
    ran = dpk("check", str(src), "--rows", "1", code=9)
    assert "4 checks: 4 failed" in ran.out
    assert f"row 3, {src}/sales.csv, line 5: Rome" in ran.out
    assert sorted(Path(store.url).rglob("*")) == before
    found = dpk("check", str(src / "build.yml"), "--json", code=9).json["results"]
    assert [(r["path"], r["check"], r["status"], r["bad"]) for r in found] == [
        ("sales", "id: not_null", "failed", 1),
        ("sales", "id: unique", "failed", 1),
        ("sales", "amount: min 0", "failed", 1),
        ("sales", "shop: foreign_key shops.name", "failed", 1),
    ]
    assert found[0]["rows"] == [{"row": 4, "file": f"{src}/sales.csv", "line": 6, "value": "null"}]
    write(src, "{columns: {id: {max: 2}}}")
    assert "1 check: 1 passed" in dpk("check", str(src)).out
    assert dpk("check", str(src), "--quiet").out == ""
    (src / "build.yml").write_text("contents: {sales: {file: sales.csv}}")
    assert "no checks are declared" in dpk("check", str(src), code=2).err


@pytest.mark.spec("CHK-3")
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_lines_of_a_table_that_is_sorted_by_its_key(src: Path, dpk: Any, form: str) -> None:
    rows = [(i, "x" if i != 70 else "y") for i in range(100)][::-1]
    if form == "csv":
        (src / "k.csv").write_text("id,v\n" + "".join(f'{i},"{v}\n"\n' for i, v in rows))
    else:
        (src / "k.jsonl").write_text("\n".join(json.dumps({"id": i, "v": v + "\n"}) + "\n" for i, v in rows))
    write(src, '{columns: {v: {enum: ["x\\n"]}, id: {monotonic: strictly_increasing}}}', ", key: [id]", f"k.{form}")
    for args in (["build", PKG, str(src)], ["check", str(src)]):
        ran = dpk(*args, code=9)
        line = 60 if form == "csv" else 59
        assert f"row 71, {src}/k.{form}, line {line}: y" in ran.out + ran.err
        assert "monotonic" not in ran.err
    (src / f"k.{form}").open("a").write('7,"x\n"\n' if form == "csv" else '{"id": 7, "v": "x"}\n')
    assert "key id: two rows have the key id=7" in dpk("check", str(src), code=9).out


@pytest.mark.spec("CHK-3")
def test_rows_of_a_sheet(src: Path, dpk: Any) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["a title"], [], ["n", "m"], [1, 2], [], [-3, 4]):
        sheet.append(row)
    book.save(src / "b.xlsx")
    write(src, "{columns: {n: {min: 0}}}", ", transform: excel, options: {range: 'A3:B9'}", "b.xlsx")
    assert f"row 2, {src}/b.xlsx, line 6: -3" in dpk("build", PKG, str(src), code=9).err


@pytest.mark.spec("CHK-3")
def test_a_table_of_many_files(src: Path, dpk: Any) -> None:
    for year in (2024, 2025):
        (src / f"year={year}").mkdir()
        (src / f"year={year}" / "t.csv").write_text(f"a,b\n1,{year}\n-1,{year}\n")
    checks = "{columns: {a: {min: 0}, year: {max: 2024}}}"
    (src / "build.yml").write_text(f"contents: {{t: {{files: '*/t.csv', columns: [a, year], checks: {checks}}}}}")
    for args in (["build", PKG, str(src)], ["check", str(src)]):
        ran = dpk(*args, code=9)
        said = ran.out + ran.err
        for year, row in ((2024, 2), (2025, 4)):
            assert f"row {row}, {src}/year={year}/t.csv, line 3: -1" in said
        assert f"row 3, {src}/year=2025/t.csv, line 2: 2025" in said


def test_check_of_a_package(src: Path, store: Any, dpk: Any) -> None:
    write(src, "{severity: warn, columns: {amount: {min: 0}}, rows_change: {min: 0}, sql: [SELECT * FROM shops]}")
    dpk("build", PKG, str(src))
    (src / "sales.csv").write_text(SALES.replace("-3", "3"))
    dpk("build", PKG, str(src))
    found = dpk("check", PKG, "--json").json["results"]
    assert [(r["check"], r["status"], r["figure"]) for r in found] == [
        ("amount: min 0", "passed", "0 of 4 rows"),
        ("rows_change min 0", "passed", "4 → 4 rows (+0, +0.0%)"),
        ("sql SELECT * FROM shops", "failed", "2 rows returned"),
    ]
    old = dpk("check", f"{PKG}@latest~1/sales", "--json").json["results"]
    assert [r["status"] for r in old] == ["failed", "skipped", "failed"]
    assert old[0]["rows"] == [{"row": 2, "file": "", "line": 0, "value": "-3.0"}]
    assert "built without checks" in dpk("check", f"{PKG}/shops", code=2).err
    assert "--against is for files" in dpk("check", PKG, "--against", PKG, code=2).err


def test_against_the_parent(src: Path, store: Any, dpk: Any) -> None:
    write(src, "{rows_change: {min: -10%, max: +50%}, schema_compatible: true}")
    dpk("build", PKG, str(src))
    (src / "sales.csv").write_text("id,shop,amount\n" + "x,Bern,1\n" * 7)
    said = dpk("build", PKG, str(src), code=9).err
    assert "sales: rows_change min -10%, max +50%: 4 → 7 rows (+3, +75.0%)" in said
    assert "sales: schema_compatible: id was int64 and is utf8; amount was float64 and is int64; note is gone" in said
    assert "2 skipped" in dpk("check", str(src)).out
    assert "4 → 7 rows" in dpk("check", str(src), "--against", PKG, code=9).out
    (src / "sales.csv").write_text("more,id,shop,amount,note\n" + "1,2,3.5,4.5,x\n" * 6)
    assert "shop was utf8 and is float64" in dpk("build", PKG, str(src), code=9).err
    (src / "sales.csv").write_text("more,id,shop,amount,note\n" + "1,2,x,4.5,x\n" * 6)
    dpk("build", PKG, str(src))


def test_what_must_not_be_there_is_not_shown(src: Path, store: Any, dpk: Any) -> None:
    write(src, "{columns: {note: {not_matches: card}}}")
    said = dpk("build", PKG, str(src), code=9).err
    assert "sales: note: not_matches card: 1 of 4 rows" in said
    assert "row 3" in said
    assert "4111" not in said


def test_values_stay_on_their_line(src: Path, store: Any, dpk: Any) -> None:
    (src / "sales.csv").write_text('id,"a\nb"\n1,"x\ny\x1b[31m"\n')
    write(src, '{columns: {"a\\nb": {max: B}}}')
    for args in (["build", PKG, str(src)], ["check", str(src)]):
        ran = dpk(*args, code=9)
        said = ran.out + ran.err
        assert "sales: a\\nb: max B: 1 of 1 rows" in said
        assert "line 3: x\\ny\\x1b[31m\n" in said


def test_no_room_for_what_needs_all_rows(src: Path, store: Any, dpk: Any, monkeypatch: Any) -> None:
    def full(**options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    write(src, "{columns: {shop: {unique: true}}}")
    monkeypatch.setattr("dpkg.arrow.checks.spool.MEMORY", 8)
    monkeypatch.setattr("dpkg.arrow.checks.spool.tempfile.TemporaryFile", full)
    for args in (["build", PKG, str(src)], ["check", str(src)]):
        ran = dpk(*args, code=None)
        assert ran.code == Storage("").exit_code
        assert "cannot write what a check needs into a temporary file: No space left on device" in ran.err
    assert commits(store) == 0


def test_allowed_rows(src: Path, dpk: Any) -> None:
    for allow, passes in (("0", False), ("1", True), ("24.9%", False), ("25%", True)):
        write(src, f"{{columns: {{amount: {{min: {{value: 0, allow: {allow}}}}}}}}}")
        assert dpk("check", str(src), code=None).code == (0 if passes else 9)


@pytest.mark.spec("CHK-5")
def test_a_query_sees_the_tables_of_the_build_and_nothing_else(src: Path, store: Any, dpk: Any) -> None:
    secret = src.parent / "secret.csv"
    secret.write_text("a\n1\n")
    write(src, "{sql: [SELECT id FROM sales JOIN shops ON shop = name WHERE opened > '2020-06-01']}")
    assert "  id=2" in dpk("build", PKG, str(src), code=9).err
    for query in (
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM glob('{src}/*')",
        "SELECT * FROM read_text('/etc/hostname')",
        f"SELECT * FROM sniff_csv('{secret}')",
        "SELECT getenv('HOME') FROM sales",
        "SELECT * FROM src",  # a variable of this test
        "SELECT * FROM pandas_scan(NULL)",  # an address in memory
    ):
        (src / "build.yml").write_text(
            "contents:\n  sales:\n    file: sales.csv\n    checks:\n      sql:\n        - " + json.dumps(query) + "\n"
        )
        said = dpk("build", PKG, str(src), code=2).err
        assert "the query fails" in said or "it sees the tables of the package and nothing else" in said
    write(src, f"{{sql: [\"SELECT * FROM read_csv('{src}/none')\"]}}")
    assert "the query reads read_csv(…)" in dpk("check", str(src), code=2).err  # and not that there is no such file
    write(src, "{sql: [\"COPY (SELECT 1) TO '/tmp/x'\"]}")
    assert "not one SELECT" in dpk("build", PKG, str(src), code=2).err


def numbers(src: Path, change: int | None = None, n: int = 300_000) -> None:
    values = list(range(n))
    if change is not None:
        values[change] = -5
    pq.write_table(
        pa.table({"a": values, "b": [float(i % 1000) for i in range(n)], "c": ["x" * 40] * n}), src / "n.parquet"
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fragments that checks read."""
    found: list[str] = []
    real = StoredTables._reader

    def reader(self: Any, entry: Any, schema: Any) -> Any:
        inner = real(self, entry, schema)
        return lambda names: (found.append(entry.oid), inner(names))[1]

    monkeypatch.setattr(StoredTables, "_reader", reader)
    return found


@pytest.mark.spec("CHK-4", "CHK-8")
def test_a_fragment_that_passed_is_not_looked_at_again(
    src: Path, store: Any, dpk: Any, read: list[str], monkeypatch: Any
) -> None:
    numbers(src)
    write(
        src,
        "{columns: {a: {min: 0, not_null: true, monotonic: increasing}, b: {mean: {max: 499.5}, std: {max: 300}}}}",
        "",
        "n.parquet",
    )
    measured: list[int] = []
    real = RowRule.measure
    monkeypatch.setattr(
        RowRule, "measure", lambda self, columns, rows: (measured.append(rows), real(self, columns, rows))[1]
    )
    first = dpk("build", PKG, str(src), "--json").json["checks"]
    assert read == []  # they were looked at while they were made
    assert sum(measured) == 2 * 300_000
    fragments = len(measured) // 2
    assert fragments > 3
    measured.clear()
    assert dpk("check", PKG, "--json").json["results"] == [r | {"where": ""} for r in first]
    assert (read, measured) == ([], [])
    numbers(src, 200_000)
    said = dpk("build", PKG, str(src), code=9).err
    assert "row 200,001: -5" in said
    assert "a: monotonic increasing: 1 of 300,000 rows" in said
    assert len(set(read)) == 1  # the one that did not pass
    assert len(measured) <= 2 * 2 + 2
    numbers(src)
    measured.clear()
    read.clear()
    dpk("build", PKG, str(src))
    assert (read, measured) == ([], [])


@pytest.mark.spec("CHK-8")
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "other", "older"])
def test_nothing_depends_on_what_is_kept(src: Path, store: Any, dpk: Any, read: list[str], damage: str) -> None:
    numbers(src, 7)
    write(src, "{severity: warn, columns: {a: {min: 0}, b: {mean: {max: 500}}}}", "", "n.parquet")
    dpk("build", PKG, str(src))
    found = dpk("check", PKG, "--json").json
    files = sorted(Path(store.url, "derived/checks").iterdir())
    assert len(files) > 2
    datas = [file.read_bytes() for file in files]
    for file, data, other in zip(files, datas, [*datas[1:], datas[0]], strict=True):
        if damage == "gone":
            file.unlink()
        elif damage == "older":
            inside = kept.decode(data, file.name)
            line = json.dumps({"evaluation": 0, "found": inside, "fragment": file.name}) + "\n"
            from blake3 import blake3

            file.write_bytes(line.encode() + blake3(line.encode()).hexdigest().encode())
        else:
            flipped = bytes([*data[:20], data[20] ^ 1, *data[21:]])
            file.write_bytes({"cut": data[:-1], "flipped": flipped, "other": other}[damage])
    read.clear()
    assert dpk("check", PKG, "--json").json == found
    assert len(set(read)) == len(files)


def test_gc_removes_what_was_kept_of_dead_fragments(src: Path, store: Any, dpk: Any) -> None:
    write(src, "{rows: {min: 1}, columns: {id: {max: 2}}}")
    dpk("build", PKG, str(src))
    folder = Path(store.url, "derived/checks")
    assert len(list(folder.iterdir())) == 1
    dpk("gc")
    assert len(list(folder.iterdir())) == 1
    dpk("rm", PKG, "--force") if "--force" in dpk("rm", "--help").out else dpk("rm", PKG)
    dpk("gc")
    assert list(folder.iterdir()) == []


def test_from_python(src: Path, store: Any) -> None:
    write(src, BAD)
    with pytest.raises(CheckFailed, match="4 checks failed"):
        dpkg.build(PKG, str(src))
    found = dpkg.check(str(src))
    assert [r.fails for r in found.results] == [True] * 4
    assert found.exit_code == 9
    with pytest.raises(Usage):
        dpkg.check(str(src), rows=-1)


def test_drift_from_the_parent(src: Path, store: Any, dpk: Any) -> None:
    """Of files, of a build, of a package, and with its thresholds in a diff."""

    def sales(first: int) -> None:
        rows = "".join(f"{i},{'Bern' if i % 3 else 'Jena'},{first + i % 50}.5,x\n" for i in range(200))
        (src / "sales.csv").write_text("id,shop,amount,note\n" + rows)

    write(src, "{drift: moderate}")
    sales(0)
    assert "sales: drift moderate: there is no parent commit" in dpk("build", PKG, str(src)).out
    sales(200)
    why = "sales: drift moderate: major drift: amount: PSI "
    for said in (dpk("build", PKG, str(src), code=9).err, dpk("check", str(src), "--against", PKG, code=9).out):
        assert why in said
    assert "major drift" in dpk("diff", PKG, str(src), "--fail-on", "major", code=11).out
    write(src, "{drift: {limits: {chance: 1}, columns: {amount: {psi: off, js: off, ks: off, range: off}}}}")
    dpk("diff", PKG, str(src), "--fail-on", "major")
    dpk("build", PKG, str(src))
    assert dpk("check", PKG, "--json").json["results"][0]["status"] == "passed"
    dpk("diff", PKG, "--fail-on", "moderate")
    write(src, "{drift: {columns: {amuont: {psi: off}}}}")
    assert "did you mean 'amount'?" in dpk("build", PKG, str(src), code=2).err
    (src / "sales.csv").write_text("id\n1\n")
    write(src, "{drift: {at: major, severity: warn, limits: {rows: off}}}")
    said = dpk("build", PKG, str(src)).out
    assert "warning  sales: drift major (rows off): major drift: shop: the column is gone" in said
