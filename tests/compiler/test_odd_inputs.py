"""Files as they come: each builds into what it means, or the error says where it is wrong and what to do."""

from __future__ import annotations

import datetime as dt
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import openpyxl
import pyarrow as pa
import pytest

import dpkg
from dpkg import tables
from dpkg.errors import DpkgError
from dpkg.repository import Repository

PKG = "acme/x"
ROWS = 2_200_000  # of a kilobyte: more than 2 GiB


class Case(NamedTuple):
    """A file, and what a build.yml says of it; nothing: it is built without one."""

    data: str | bytes
    said: str = ""


Built = dict[str, list[Any]]
Read = Callable[[str, str | bytes, str], Built]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Builds a file, and gives the table's columns."""

    def run(name: str, data: str | bytes, said: str) -> Built:
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
        if said:
            (tmp_path / "build.yml").write_text(f"contents:\n  t: {{file: {name}, {said}}}\n")
        store = str(tmp_path / "store")
        dpkg.build(PKG, str(tmp_path / ("build.yml" if said else name)), store=store)
        repository = Repository(store)
        entry = repository.entry(f"{PKG}/t")[3]
        assert entry is not None
        assert entry.type == "table"
        found = tables.read_table_object(repository.odb, entry.oid)
        table = pa.Table.from_batches(tables.scan(repository.odb, found), tables.user_schema(found))
        return {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}

    return run


PRICES = "Artikel;Größe;Preis\nTür;groß;1.234,50\n"
RIGHT: dict[str, tuple[Case, Built]] = {
    "quotes": (Case('a,b\n"say ""x""",1\n5" nail,2\n'), {"a": ['say "x"', '5" nail'], "b": [1, 2]}),
    "newlines in cells": (Case('a,b\r\n"one\r\ntwo\n",1\r\n'), {"a": ["one\r\ntwo\n"], "b": [1]}),
    "a byte order mark": (Case("\ufeffa,b\n1,2\n"), {"a": [1], "b": [2]}),
    "UTF-16": (
        Case("ä;b\n1;é\n".encode("utf-16"), "options: {encoding: utf-16, delimiter: ;}"),
        {"ä": [1], "b": ["é"]},
    ),
    "latin-1": (
        Case(PRICES.encode("latin-1"), "options: {encoding: latin-1, delimiter: ;}"),
        {"Artikel": ["Tür"], "Größe": ["groß"], "Preis": ["1.234,50"]},
    ),
    "old Macs": (Case("a,b\r1,2\r"), {"a": [1], "b": [2]}),
    "single quotes": (Case("a,b\n'x,y',1\n", 'options: {quote_char: "\'"}'), {"a": ["x,y"], "b": [1]}),
    "a column of semicolons": (Case('"a;b"\n1;2\n'), {"a;b": ["1;2"]}),
    "so it was said": (Case("a;b\n1;2\n", "options: {delimiter: ','}"), {"a;b": ["1;2"]}),
    "title rows": (Case("Sales, 2026\n\na,b\n1,2\n", "options: {skip_rows: 2}"), {"a": [1], "b": [2]}),
    "a row of units": (Case("a,b\nkg,m\n1,2\n", "options: {skip_rows_after_names: 1}"), {"a": [1], "b": [2]}),
    "a header that is empty": (Case(",a\n0,x\n", "schema: {'': {name: row}}"), {"row": [0], "a": ["x"]}),
    "headers that are empty or there twice": (
        Case("a,,a,\n1,2,3,4\n", "options: {skip_rows: 1, column_names: [a, b, c, d]}"),
        {"a": [1], "b": [2], "c": [3], "d": [4]},
    ),
    "words for nothing": (
        Case("a,b\n1,n/a\n-,2\n", "nulls: ['', n/a, '-'], schema: {a: int8, b: 'decimal(4, 1)'}"),
        {"a": [1, None], "b": [None, Decimal("2.0")]},
    ),
    "dates": (Case("a\n31.12.2020\n", "schema: {a: {type: date, format: '%d.%m.%Y'}}"), {"a": [dt.date(2020, 12, 31)]}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_it_builds_into_what_it_means(read: Read, name: str) -> None:
    case, wanted = RIGHT[name]
    assert read("t.csv", *case) == wanted


AMOUNT = "options: {delimiter: ;}, schema: {Preis: 'decimal(9, 2)'}"
# What is said, and what to do.
WRONG: dict[str, tuple[Case, str, str]] = {
    "UTF-16": (
        Case("a,b\n1,2\n".encode("utf-16")),
        "t.csv is not UTF-8: it begins as UTF-16 does",
        "encoding: utf-16}",
    ),
    "UTF-16 without a mark": (
        Case("a,b\n1,2\n".encode("utf-16-be")),
        "t.csv, line 1: a NUL byte, as in UTF-16",
        "options: {encoding: utf-16-be}",
    ),
    "not UTF-16": (
        Case("a\n1\n", "options: {encoding: utf-16}"),
        "t.csv is not valid utf-16",
        "utf-16-le or utf-16-be",
    ),
    "latin-1": (
        Case(f"a;b;c\n{PRICES}".encode("latin-1"), "options: {delimiter: ;}"),
        "t.csv, line 2: not valid UTF-8",
        "with options: {encoding: cp1252} it would be read as 'Artikel;Größe;Preis'",
    ),
    "an encoding that is none": (
        Case("a\n", "options: {encoding: latin-0}"),
        "line 2, column 3: ",
        "such as utf-8, latin-1",
    ),
    "semicolons": (
        Case("a;b\n1,5;2\n"),
        "t.csv, line 1: the only column would be 'a;b': is ';' what stands between cells?",
        'options: {delimiter: ";"}; else put the column\'s name in quotes',
    ),
    "tabs": (Case("a\tb\n\n1\t2\n"), "'a\\tb': is a tab what stands", 'options: {delimiter: "\\t"}'),
    "thousands marks": (
        Case(PRICES, AMOUNT),
        "line 2, column 54: {here}/t.csv, line 2, column 'Preis': '1.234,50' is not decimal(9, 2)",
        "no thousands marks and nothing beside: write the file so, or declare the column utf8",
    ),
    "currencies": (Case(PRICES.replace("1.234,50", "$5"), AMOUNT), "'$5' is not decimal(9, 2)", "nothing beside"),
    "too many digits": (
        Case(PRICES.replace("1.234,50", "1.234"), AMOUNT),
        "'1.234' is not",
        "7 digits before the point, and 2",
    ),
    "no whole number": (
        Case("a\n300\n", "schema: {a: int8}"),
        "line 2, column 'a': '300' is not int8",
        "a wider integer",
    ),
    "dates": (Case("a\n1.2.2020\n", "schema: {a: date}"), "'1.2.2020' is not date", "{type: date, format: '%d.%m.%Y'}"),
    "other dates": (
        Case("a\n1/2/2020\n", "schema: {a: {type: date, format: '%d.%m.%Y'}}"),
        "'1/2/2020' is not date",
        "the column's format is '%d.%m.%Y'",
    ),
    "zones": (
        Case("a\n2020-01-01 10:00Z\n", "schema: {a: timestamp}"),
        "'2020-01-01 10:00Z' is not timestamp[us]",
        "timestamp[us, UTC] for moments that name a zone",
    ),
    "words for nothing": (Case("a\n1\n#N/A\n", "schema: {a: int8}"), "'#N/A' is not int8", "nulls: ['', \"#N/A\"]"),
    "a comma in a type": (
        Case("a\n1\n", "schema: {a: decimal(5, 2)}"),
        "'decimal(5' is not a type",
        "put it in quotes",
    ),
    "short rows": (Case('a,b\n"x\ny",1\n\n3\n'), "t.csv, line 5: the row has 1 cell, the header 2", "add the cells"),
    "long rows": (
        Case("a,b\n1,2,3\n"),
        "t.csv, line 2: the row has 3 cells, the header 2",
        "that holds the delimiter in quotes",
    ),
    "rows that end in a comma": (
        Case("a,b\n1,2,\n"),
        "the row has 3 cells, the header 2",
        "let the header end with one too",
    ),
    "single quotes": (Case("a,b\n'x,y',1\n"), "the row has 3 cells, the header 2", 'options: {quote_char: "\'"}'),
    "a title": (
        Case("Sales\n\na,b\n1,2\n"),
        "t.csv, line 3: the row has 2 cells, the header 1",
        "options: {skip_rows: 2}",
    ),
    "fewer names": (
        Case("1,2\n", "options: {column_names: [a]}"),
        "the row has 2 cells, and 'column_names' 1",
        "each column",
    ),
    "a name twice": (
        Case("\na,,a,a_2,\n"),
        "t.csv, line 2: two columns are named 'a' (the 1. and the 3.)",
        'options: {skip_rows: 2, column_names: ["a", "column_2", "a_3", "a_2", "column_5"]}',
    ),
    "a quote left open": (
        Case('a,b\n1,"x\n2,y\n'),
        't.csv, line 2: a quote (") is not closed',
        "double it if it is text",
    ),
    "nothing": (Case(""), "t.csv is empty: it has no header row", "options: {column_names: [a, b]}"),
    "no text": (Case(b"a,b\n1,x\0y and more\n"), "t.csv, line 2: a NUL byte", "is it a text file?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_error_says_where_and_what_to_do(read: Read, tmp_path: Path, name: str) -> None:
    case, message, hint = WRONG[name]
    with pytest.raises(DpkgError) as caught:
        read("t.csv", *case)
    assert message.format(here=tmp_path) in caught.value.message
    assert str(tmp_path / "t.csv") in caught.value.message or "build.yml, line 2" in caught.value.message
    assert hint in caught.value.hint


def test_the_hint_for_names_can_be_followed(read: Read) -> None:
    data = "a,,a,a_2,\n1,2,3,4,5\n"
    with pytest.raises(DpkgError) as caught:
        read("t.csv", data, "")
    said = caught.value.hint.partition("name all: ")[2]
    assert read("t.csv", data, said) == {"a": [1], "column_2": [2], "a_3": [3], "a_2": [4], "column_5": [5]}


def test_exports_of_one_column_are_read_again(read: Read, tmp_path: Path) -> None:
    """Its name is written so that nothing in it is taken for a delimiter."""
    wanted = {"a;b|c\td": ["1;2|3\t4"]}
    assert read("t.csv", '"a;b|c\td"\n1;2|3\t4\n', "") == wanted
    store = str(tmp_path / "store")
    dpkg.export(PKG, str(tmp_path / "out"), format="csv", store=store)
    again = dpkg.build("acme/y", str(tmp_path / "out" / "t.csv"), store=store)
    assert again.tophash == Repository(store).resolve(PKG)[2].tree


# A workbook


@pytest.fixture
def book(tmp_path: Path) -> str:
    """Sheets with merged titles above the names, dates, and columns of several kinds."""
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.title = "Q1"
    for row in [
        ["Sales of the first quarter"],
        ["all in CHF", None, "by shop"],
        ["day", "sold at", "shop", "amount", "code", "note"],
        [dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 10, 30), "Bern", 1.5, "007", None],
        [dt.date(2026, 1, 3), dt.datetime(2026, 1, 3), "Jena", 2, 8, True],
        [],
        ["Total", None, None, "=SUM(D4:D5)"],
    ]:
        sheet.append(row)
    sheet.merge_cells("A1:F1")
    sheet.merge_cells("C2:F2")
    made.create_sheet("Notes").append(["nothing here"])
    made.save(tmp_path / "b.xlsx")
    return str(tmp_path / "b.xlsx")


def test_a_workbook(read: Read, book: str) -> None:
    data = Path(book).read_bytes()

    def built(options: str, more: str = "") -> Built:
        return read("b.xlsx", data, f"transform: excel, options: {{{options}}}{more}")

    wanted: Built = {
        "day": [dt.date(2026, 1, 2), dt.date(2026, 1, 3)],
        "sold at": [dt.datetime(2026, 1, 2, 10, 30), dt.datetime(2026, 1, 3)],
        "shop": ["Bern", "Jena"],
        "amount": [Decimal("1.50"), Decimal("2.00")],
    }
    types = ", schema: {amount: 'decimal(9, 2)', code: utf8}"
    assert built("sheet: Q1, range: 'A3:D5'", types.replace(", code: utf8", "")) == wanted
    assert built("sheet: Q1, range: 'A3:E5'", types) == {**wanted, "code": ["007", "8"]}
    steps = {  # each error leads to the next step
        "skip_rows: 0": ("b.xlsx has 2 sheets", "sheets: Q1, Notes"),
        "sheet: Q2": ("b.xlsx has no sheet 'Q2'", "sheets: Q1, Notes"),
        "sheet: Q1": ("sheet 'Q1': C2 has a value, and C1 no name", "options: {skip_rows: 1}, or name the cells"),
        "sheet: Q1, skip_rows: 1": ("sheet 'Q1': B3 has a value, and B2 no name", "options: {skip_rows: 2}"),
        "sheet: Q1, skip_rows: 2": ("column 'day': A7 is a text ('Total'), and A4 a date", "declare its type"),
        "sheet: Q1, range: 'A3:F5'": (
            "column 'code': E5 is a number ('8'), and E4 a text ('007')",
            "schema: {code: utf8}",
        ),
    }
    for options, (message, hint) in steps.items():
        with pytest.raises(DpkgError) as caught:
            built(options)
        assert message in caught.value.message
        assert hint in caught.value.hint


# A column of more than 2 GB, which 32-bit offsets of Arrow cannot hold

_BUILD = """
import re, sys
import pyarrow.compute as pc
import dpkg
from dpkg import tables
from dpkg.repository import Repository
built = dpkg.build("acme/x", sys.argv[1], store="store")
repository = Repository("store")
found = tables.read_table_object(repository.odb, repository.entry("acme/x/t")[3].oid)
size = sum(pc.sum(pc.binary_length(b.column("text"))).as_py() for b in tables.scan(repository.odb, found))
print(built.tophash, built.entries[0].rows, size, re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.long
def test_a_column_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    """As CSV, and as the Parquet that is exported of it: one tophash, every byte, and little memory."""
    some = random.Random(1).randbytes(1 << 20).hex()
    with (tmp_path / "t.csv").open("w") as out:
        for row in range(ROWS):
            at = row * 7919 % (1 << 20)  # texts that differ: no dictionary holds them
            out.write(f"{row},{some[at : at + 1000]}\n" if row else "id,text\n")

    def run(file: str) -> tuple[str, int, int, int]:
        command = [sys.executable, "-c", _BUILD, file]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        tophash, *figures = done.stdout.split()
        return (tophash, *map(int, figures))  # type: ignore[return-value]

    tophash, rows, size, peak = run("t.csv")
    assert (rows, size) == (ROWS - 1, (ROWS - 1) * 1000)
    assert size > 1 << 31
    assert peak < 700 << 10
    dpkg.export("acme/x", str(tmp_path / "out"), format="parquet", store=str(tmp_path / "store"))
    (tmp_path / "t.csv").unlink()
    shutil.rmtree(tmp_path / "store")
    again, *_, peak = run("out/t.parquet")
    assert again == tophash
    assert peak < 700 << 10
