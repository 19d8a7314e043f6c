"""`files`: one table of many parts, with columns of what their folders say, or an entry each; what groups hand down."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builds import table
from hypothesis import given
from hypothesis import strategies as st

from dpkg.arrow.readers import open_parts, open_source, stream
from dpkg.compiler import make_plan
from dpkg.errors import DpkgError, Format, NotFound, Usage

Build = Callable[[str], dict[str, str]]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    for path, text in {
        "d/year=2023/month=12/a.csv": "id,v\n1,x\n",
        "d/year=2024/month=1/a.csv": "v,id\ny,2.5\n",
        "d/year=2024/month=__HIVE_DEFAULT_PARTITION__/b.csv": "id,v\n3,\n",
        "d/notes.txt": "no",
        "d/.hidden.csv": "no",
    }.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text)
    return made


def test_one_table_of_many_parts(src: Path, build: Build) -> None:
    assert build("contents: {t: {files: 'd/**/*.csv'}}") == {"t": "table"}
    found = table(src, "t")
    kinds = [("id", pa.float64()), ("v", pa.string()), ("year", pa.int64()), ("month", pa.int64())]
    assert found.schema == pa.schema(kinds)
    assert found.to_pylist() == [
        {"id": 1.0, "v": "x", "year": 2023, "month": 12},
        {"id": 2.5, "v": "y", "year": 2024, "month": 1},
        {"id": 3.0, "v": None, "year": 2024, "month": None},
    ]
    said = "{t: {files: d/*/*/*.csv, schema: {year: {type: utf8, name: y}, id: utf8}, columns: [y, id], key: [id]}}"
    build(f"contents: {said}")
    assert table(src, "t").to_pydict() == {"y": ["2023", "2024", "2024"], "id": ["1", "2.5", "3"]}


def test_an_entry_each(src: Path, build: Build) -> None:
    (src / "d" / "x.parquet").write_bytes(b"")
    pq.write_table(pa.table({"a": [1]}), src / "d" / "x.parquet")
    got = build("contents: {t: {files: 'd/**', each: true}, u: {files: 'd/year=2024/*/*.csv', each: true, as: blob}}")
    assert got == {
        "t/notes.txt": "blob",
        "t/x": "table",
        "t/year=2023/month=12/a": "table",
        "t/year=2024/month=1/a": "table",
        "t/year=2024/month=__HIVE_DEFAULT_PARTITION__/b": "table",
        "u/month=1/a.csv": "blob",
        "u/month=__HIVE_DEFAULT_PARTITION__/b.csv": "blob",
    }
    assert table(src, "t/year=2024/month=1/a").column_names == ["v", "id"]
    assert [i.name for i in make_plan(str(src / "build.yml"), raw=True).items][1] == "t/x.parquet"


def test_absolute_patterns_and_links(src: Path, build: Build) -> None:
    (src / "loop").symlink_to(src)
    (src / "link").symlink_to(src / "d" / "year=2023")
    assert build(f"contents: {{t: {{files: '{src}/d/year=2024/*/[ab].csv', each: true}}}}").keys() == {
        "t/month=1/a",
        "t/month=__HIVE_DEFAULT_PARTITION__/b",
    }
    assert build("contents: {t: {files: '**/a.csv', each: true}}").keys() == {
        "t/d/year=2023/month=12/a",
        "t/d/year=2024/month=1/a",
    }
    assert build("contents: {t: {files: './link/*/a.csv', each: true}}").keys() == {"t/month=12/a"}


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "other column": ({"a.csv": "id,amount\n1,2\n", "b.csv": "id,amuont\n1,2\n"}, "b.csv has no column 'amount', which"),
    "one more": ({"a.csv": "id\n1\n", "b.csv": "id,x\n1,2\n"}, "b.csv has a column 'x', which"),
    "ragged": ({"a.csv": "id\n1\n", "b.csv": "id\n1\n2,3\n"}, "b.csv, line 3: the row has 2 cells"),
    "empty": ({"a.csv": "id\n1\n", "b.csv": ""}, "b.csv is empty"),
    "json": ({"a.jsonl": '{"x": 1}\n', "b.jsonl": '\n{"x": "t"}\n'}, "an integer on line 1 and a string on line 2 of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_parts_that_do_not_go_together(src: Path, build: Build, case: str) -> None:
    files, said = WRONG[case]
    (src / "p").mkdir()
    for name, text in files.items():
        (src / "p" / name).write_text(text)
    with pytest.raises(Format) as caught:
        build("contents: {t: {files: p/*}}")
    assert said in caught.value.message
    assert "p/b." in caught.value.message


def test_types_of_parts(src: Path, build: Build) -> None:
    (src / "p").mkdir()
    pq.write_table(pa.table({"x": [1], "y": ["a"]}), src / "p" / "a.parquet")
    pq.write_table(pa.table({"y": ["b"], "x": pa.array([2], pa.int32())}), src / "p" / "b.parquet")
    with pytest.raises(Format) as caught:
        build("contents: {t: {files: p/*}}")
    assert f"{src}/p/b.parquet: column 'x' is int32, and in {src}/p/a.parquet it is int64" in caught.value.message
    assert "schema: {x: int64}" in caught.value.hint
    build("contents: {t: {files: p/*, schema: {x: int64}}}")
    assert table(src, "t").to_pydict() == {"x": [1, 2], "y": ["a", "b"]}


def test_mistakes_in_patterns(src: Path, build: Build) -> None:
    (src / "d" / "year=2022").mkdir()
    (src / "d" / "year=2022" / "a.csv").write_text("id,v\n1,2\n")
    (src / "d" / "year=2021" / "month=x").mkdir(parents=True)
    (src / "d" / "year=2021" / "month=x" / "a.csv").write_text("id,year\n1,2\n")
    place = f"{src}/build.yml, line 1, column"
    cases: list[tuple[str, type[DpkgError], str]] = [
        ("files: 'd/*.cvs'", NotFound, f"{place} 23: no file matches 'd/*.cvs'"),
        ("files: 'd/**/a.csv'", Usage, "are in folders for other columns (year, month; year)"),
        ("files: 'd/year=2021/*/*'", Usage, "column 'year' is both in the files and in the names of folders"),
        ("files: 'd/year=2021/*/*', schema: {month: int8, year: {}}", Usage, "the column 'year' says nothing"),
        (
            "files: 'd/year=2023/*/*', schema: {month: date}",
            Format,
            "'month' is date, and a folder is named 'month=12'",
        ),
        (
            "files: 'd/year=2023/*/*', columns: [mouth]",
            Usage,
            f"{place} 52: {src}/d/year=2023/*/* has no column 'mouth'",
        ),
        ("files: 'd/year=2023/*/*', as: blob", Usage, "a table of files that are no tables"),
    ]
    for text, error, said in cases:
        with pytest.raises(error) as caught:
            build(f"contents: {{t: {{{text}}}}}")
        assert said in caught.value.message


CELLS = st.sampled_from(["", "1", "2.5", "9007199254740993", "2020-01-01", "2020-01-01 10:00", "x", "true", '"q"'])


@pytest.mark.spec("BLD-3")
@given(st.lists(st.lists(CELLS, max_size=3), min_size=1, max_size=4))
def test_parts_are_as_one_file(tmp_path_factory: Any, parts: list[list[str]]) -> None:
    """The type of a column depends on all cells of all parts [TXT-1]."""
    folder = tmp_path_factory.mktemp("parts")
    paths = []
    for i, cells in enumerate(parts):
        paths.append(str(folder / f"{i}.csv"))
        Path(paths[-1]).write_text("a,b\n" + "".join(f"{cell},-\n" for cell in cells))
    (folder / "all.csv").write_text("a,b\n" + "".join(f"{cell},-\n" for cells in parts for cell in cells))

    def read(source: Any) -> pa.Table:
        return stream(source, lambda schema, batches: pa.Table.from_batches(list(batches), schema))

    assert read(open_parts(paths, "csv", None)).equals(read(open_source(str(folder / "all.csv"), "csv")))


# Unchanged parts are not read again


def test_only_what_changed_is_read(src: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpkg.compiler import compile as compiling

    read: list[str] = []
    real = compiling.compile_table

    def spy(odb: Any, item: Any, *rest: Any) -> Any:
        read.append(item.name)
        return real(odb, item, *rest)

    monkeypatch.setattr(compiling, "compile_table", spy)
    for path in src.rglob("*"):
        os.utime(path, (1, 1))
    import time

    time.sleep(0.2)  # what is as new as the build is read again
    text = "contents: {a: {files: 'd/*/*/*.csv'}, b: {files: 'd/year=2024/*/*.csv'}}"

    def again(text: str) -> list[str]:
        read.clear()
        build(text)
        return sorted(read)

    assert again(text) == ["a", "b"]
    assert again(text) == []
    assert again(text.replace("b:", "meta: {meta: 1, contents: {x: {file: d/notes.txt}}}, b:")) == []
    assert again(text.replace("*/*.csv'}}", "*/*.csv', key: [id]}}")) == ["b"]
    assert again(text.replace("'d/*/*/*.csv'", "'d/*/*/a.csv'")) == ["a", "b"]
    (src / "d/year=2023/month=12/a.csv").write_text("id,v\n7,x\n")
    time.sleep(0.2)
    assert again(text) == ["a"]
    (src / "d/year=2023/month=12/a.csv").rename(src / "d/year=2023/month=12/c.csv")
    time.sleep(0.2)
    assert again(text) == ["a"]
    assert again(text.replace("{a:", "{c: {file: d/year=2024/month=1/a.csv, options: {delimiter: x}}, a:")) == ["c"]
    assert again(text.replace("{a:", "{c: {file: d/year=2024/month=1/a.csv, options: {quote_char: q}}, a:")) == ["c"]


# Groups


@pytest.mark.spec("BLD-4")
def test_groups_hand_down(src: Path, build: Build) -> None:
    (src / "a.txt").write_text("# title\nid;v\n1;-\n2;x\n")
    (src / "b.txt").write_text("id|v\n1|NA\n")
    pq.write_table(pa.table({"id": [1]}), src / "c.parquet")
    text = """
transform: csv
schema: {id: int32}
contents:
  g:
    options: {delimiter: ";", null_values: ["-"], skip_rows: 1}
    key: [id]
    contents:
      a: {file: a.txt}
      h:
        options: {delimiter: "|", skip_rows: 0}
        nulls: [NA]
        contents:
          b: {file: b.txt, schema: {v: int8}}
      c: {file: c.parquet, transform: parquet}
      d: {file: a.txt, key: [], schema: {v: utf8}, options: {null_values: []}}
      e: {file: a.txt, transform: id}
  f: {file: README, transform: csv}
"""
    (src / "README").write_text("other\n1\n")
    types = {"g/a": "table", "g/h/b": "table", "g/c": "table", "g/d": "table", "g/e": "blob", "f": "table"}
    assert build(text) == types
    assert table(src, "g/a").to_pydict() == {"id": [1, 2], "v": [None, "x"]}
    assert table(src, "g/h/b").schema == pa.schema([("id", pa.int32()), ("v", pa.int8())])
    assert table(src, "g/c").schema == pa.schema([("id", pa.int32())])
    assert table(src, "g/d")["v"].to_pylist() == ["-", "x"]
    assert table(src, "f").column_names == ["other"]
    with pytest.raises(Usage, match=r"line 18, column 30: .*has no column 'id'"):
        build(text.replace("f: {file: README, transform: csv}", "f: {file: README, schema: {id: int8}}"))
