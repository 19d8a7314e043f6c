"""Workbooks as tables: sheets, title rows, dates, declared types, and mixtures that name the cells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest

from dpkg.arrow.readers import ColumnRule, ReadOptions, open_source
from dpkg.arrow.readers.excel import Area, letters, parse_range
from dpkg.errors import DpkgError, Format, NotFound, Usage

DAY, MOMENT = dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., str]:
    def make(*rows: Any, more: dict[str, Any] | None = None) -> str:
        made = openpyxl.Workbook()
        sheet = made.active
        assert sheet is not None
        for row in rows:
            sheet.append(row)
        for name, others in (more or {}).items():
            other = made.create_sheet(name)
            for row in others:
                other.append(row)
        made.save(tmp_path / "b.xlsx")
        return str(tmp_path / "b.xlsx")

    return make


def read(path: str, **options: Any) -> pa.Table:
    source = open_source(path, "excel", ReadOptions(**options))
    table = pa.Table.from_batches(list(source.batches()), source.schema)
    table.validate(full=True)
    return table


@pytest.mark.spec("BLD-5")
def test_types_of_columns(book: Callable[..., str]) -> None:
    path = book(
        ["n", "x", "t", "b", "d", "m", "c", "e", "nothing", 2026],
        [1, 1, "a", True, DAY, DAY, dt.time(3, 4), dt.timedelta(hours=30), None, "x"],
        [None] * 10,
        [2, 0.5, None, False, None, MOMENT, None, None, None, "y"],
    )
    found = read(path)
    kinds = [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.time64("us")]
    names = ["n", "x", "t", "b", "d", "m", "c", "e", "nothing", "2026"]
    assert found.schema == pa.schema(list(zip(names, [*kinds, pa.duration("us"), pa.null(), pa.string()], strict=True)))
    assert found.to_pylist()[0] == {
        **{"n": 1, "x": 1.0, "t": "a", "b": True, "d": DAY, "m": dt.datetime(2026, 1, 2), "c": dt.time(3, 4)},
        **{"e": dt.timedelta(hours=30), "nothing": None, "2026": "x"},
    }
    assert found["m"].to_pylist()[1] == MOMENT
    assert found["n"].to_pylist() == [1, 2]  # the empty row is none


def test_title_rows_and_ranges(book: Callable[..., str]) -> None:
    path = book(
        ["Sales of 2026"], ["in CHF"], ["day", "shop", "sum"], [DAY, "Bern", 1.5], [DAY, "Jena", 2], [None, None, 3.5]
    )
    with pytest.raises(Format) as caught:
        read(path)
    assert "sheet 'Sheet': B3 has a value, and B1 no name" in caught.value.message
    assert "options: {skip_rows: 2}, or name the cells: options: {range: A3:C}" in caught.value.hint
    for options in ({"skip_rows": 2}, {"range": "A3:C"}, {"range": "a3"}):
        assert read(path, **options).num_rows == 3
    wanted = [{"day": DAY, "shop": "Bern", "sum": 1.5}, {"day": DAY, "shop": "Jena", "sum": 2.0}]
    assert read(path, range="A3:C5").to_pylist() == wanted
    assert read(path, range="B3:C5").schema.names == ["shop", "sum"]
    assert read(path, range="B4:C5", column_names=("s", "n")).to_pydict() == {"s": ["Bern", "Jena"], "n": [1.5, 2.0]}
    with pytest.raises(Usage, match="1 names in 'column_names', and the cells have 2 columns"):
        read(path, range="B4:C5", column_names=("s",))


def test_sheets(book: Callable[..., str]) -> None:
    path = book(["a"], [1], more={"Q1": [["b"], [2]], "none": []})
    with pytest.raises(Usage, match="has 3 sheets") as caught:
        read(path)
    assert "sheets: Sheet, Q1, none" in caught.value.hint
    assert read(path, sheet="Q1").to_pydict() == {"b": [2]}
    with pytest.raises(NotFound, match="no sheet 'Q1 '") as missing:
        read(path, sheet="Q1 ")
    assert "did you mean 'Q1'?" in missing.value.hint
    with pytest.raises(Format, match="sheet 'none' has no cells"):
        read(path, sheet="none")


@pytest.mark.spec("BLD-5")
@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([1, "n/a"], "column 'v': A3 is a text ('n/a'), and A2 a number ('1')"),
        (["x", 1.5], "A3 is a number ('1.5'), and A2 a text ('x')"),
        ([True, 1], "A3 is a number ('1'), and A2 a bool ('true')"),
        ([MOMENT, 1], "A3 is a number ('1'), and A2 a date and time ('2026-01-02 03:04:05')"),
        ([dt.time(1), DAY], "A3 is a date ('2026-01-02'), and A2 a time ('01:00:00')"),
    ],
)
def test_mixtures_name_the_cells(book: Callable[..., str], cells: list[Any], said: str) -> None:
    path = book(["v"], *[[c] for c in cells])
    with pytest.raises(Format) as caught:
        read(path)
    assert said in caught.value.message
    assert "sheet 'Sheet'" in caught.value.message
    assert "utf8" in caught.value.hint
    assert read(path, schema={"v": ColumnRule(type=pa.string())}).num_rows == 2


def test_declared_types_and_nulls(book: Callable[..., str]) -> None:
    path = book(["v", "w"], [7, "02.01.2026"], ["n/a", DAY], [1.5, None])
    rules = {"v": ColumnRule("V", pa.decimal128(9, 2)), "w": ColumnRule(None, pa.date32(), "%d.%m.%Y")}
    found = read(path, schema=rules, nulls=("n/a",))
    assert found.to_pydict() == {"V": [Decimal("7.00"), None, Decimal("1.50")], "w": [DAY, DAY, None]}
    assert read(path, nulls=("n/a",), columns=("v",), schema={"w": rules["w"]})["v"].to_pylist() == [7.0, None, 1.5]
    with pytest.raises(Format) as caught:
        read(path, schema={"v": ColumnRule(type=pa.int32()), "w": ColumnRule(type=pa.string())}, nulls=("n/a",))
    assert "sheet 'Sheet', cell A4, column 'v': '1.5' is not int32" in caught.value.message
    with pytest.raises(Usage, match="no column 'vv'"):
        read(path, schema={"vv": ColumnRule()})


def test_what_is_no_workbook(tmp_path: Path, book: Callable[..., str]) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"PK nothing")
    with pytest.raises(Format, match="is no readable workbook"):
        read(str(tmp_path / "x.xlsx"))
    with pytest.raises(NotFound):
        read(str(tmp_path / "nope.xlsx"))
    with pytest.raises(Format, match="two columns are named 'a'"):
        read(book(["a", "a"], [1, 2]))


def test_names_of_cells() -> None:
    assert [letters(i) for i in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
    assert parse_range("A3:F20") == Area(2, 0, 20, 6)
    assert parse_range("B:aa") == Area(0, 1, None, 27)
    assert parse_range("C5") == Area(4, 2, None, None)
    assert parse_range("A3:F") == Area(2, 0, None, 6)
    for bad in ("", "3A", "A0", "A5:B4", "C1:A9", "A1:B2:C3", ":B2", "Sheet!A1"):
        with pytest.raises(DpkgError):
            parse_range(bad)
