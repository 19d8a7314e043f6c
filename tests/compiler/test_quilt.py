"""build.yml as written for Quilt 2: it builds, or the error names the line that has no equivalent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from builds import PKG, table

import dpkg
from dpkg.errors import DpkgError, NotFound, Usage
from dpkg.index import walk
from dpkg.repository import Repository


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    (made / "data").mkdir(parents=True)
    for name, text in {
        "README.md": "hello",
        "data/a.csv": "id,v\n1,NA\n2,x\n",
        "data/b.ssv": "id;v\n1;2\n",
        "data/01 first.txt": "# title\nid|v\n1|-\n",
        "data/02-second.txt": "# title\nid|v\n7|8\n",
        "data/rows.jsonl": '{"a": 1}\n',
        "meta.json": '{"source": ["till", 1.5, null, true]}',
        "bad.json": "{",
    }.items():
        (made / name).write_text(text)
    book = openpyxl.Workbook()
    for sheet, value in (("one", 1), ("two", 2)):
        page = book.create_sheet(sheet)
        page.append(["n"])
        page.append([value])
    book.save(made / "data" / "w.xlsx")
    return made


def test_a_file_of_quilt_2(src: Path, build: Callable[[str], dict[str, str]]) -> None:
    got = build("""
contents:
  README: {file: README.md}
  rows: {file: data/rows.jsonl}
  group:
    a: {file: data/a.csv, meta: meta.json}
    b: {file: data/b.ssv, kwargs: {low_memory: false, header: 0}}
    texts:
      transform: CSV
      kwargs: {sep: "|", skiprows: 1, na_values: ["-"]}
      "data/*.txt":
      named: {file: data/01 first.txt, kwargs: {skiprows: 2, names: [x, y], header: null, dtype: {x: str}}}
      plain: {file: README.md, transform: id}
  w: {file: data/w.xlsx, kwargs: {sheet_name: two, usecols: [n]}}
  kept: {file: data/a.csv, kwargs: {keep_default_na: false, dtype: {id: int8}}}
""")
    assert got == {
        **dict.fromkeys(("README", "rows", "group/texts/plain"), "blob"),
        **dict.fromkeys(("group/a", "group/b", "w", "kept"), "table"),
        **dict.fromkeys(("group/texts/n01_first", "group/texts/n02_second", "group/texts/named"), "table"),
    }
    assert table(src, "group/a").to_pydict() == {"id": [1, 2], "v": [None, "x"]}
    assert table(src, "group/b").to_pydict() == {"id": [1], "v": [2]}
    assert table(src, "group/texts/n01_first").to_pydict() == {"id": [1], "v": [None]}
    assert table(src, "group/texts/n02_second").to_pydict() == {"id": [7], "v": [8]}
    assert table(src, "group/texts/named").to_pydict() == {"x": ["1"], "y": [None]}
    assert table(src, "w").to_pydict() == {"n": [2]}
    assert table(src, "kept")["v"].to_pylist() == ["NA", "x"]
    assert table(src, "kept").schema.field("id").type == pa.int8()
    repository = Repository(str(src.parent / "store"))
    entries = dict(walk(repository.odb, repository.resolve(PKG)[2].tree))
    meta = entries["group/a"].meta
    assert meta is not None
    assert repository.odb.read(meta, "blob") == b'{"source":["till",1.5,null,true]}'


@pytest.mark.parametrize(
    ("text", "got"),
    {
        "contents:\n  csv:\n    'data/[!b]*.csv':\n": {"csv/a": "table"},
        "contents: {g: {sub: {'data/**/a.*': {transform: id}}}}": {"g/sub/a": "blob"},
        "contents: {g: {file: {file: README.md}, key: {file: data/a.csv}}}": {"g/file": "blob", "g/key": "table"},
        "contents: {g: {transform: id, h: {a: {file: data/a.csv}}}}": {"g/h/a": "blob"},
        "contents: {g: {kwargs: {sep: ;}, h: {kwargs: {header: 0}, a: {file: data/a.csv}}}}": {"g/h/a": "table"},
    }.items(),
)
def test_what_tells_a_file_of_quilt_2(build: Callable[[str], dict[str, str]], text: str, got: dict[str, str]) -> None:
    assert build(text) == got


def test_other_packages(src: Path, build: Callable[[str], dict[str, str]]) -> None:
    """As Quilt composes packages, but pinned: the line that names no revision is told."""
    store = str(src.parent / "store")
    dpkg.build("test/simple", str(src / "data" / "a.csv"), store=store)
    dpkg.tag("test/simple", "v1", store=store)
    text = "contents:\n  g:\n    foo: {package: test/simple/a}\n    w: {file: README.md, kwargs: {}}\n"
    with pytest.raises(Usage, match=r"build.yml, line 3, column 20: 'test/simple/a' names no revision") as caught:
        build(text)
    assert "write test/simple@TAG/a" in caught.value.hint
    assert build(text.replace("simple/", "simple@v1/")) == {"g/foo": "table", "g/w": "blob"}
    assert table(src, "g/foo")["v"].to_pylist() == ["NA", "x"]
    with pytest.raises(Usage, match=r"line 2, column \d+: an entry has 'file' or 'package', not both"):
        build("contents:\n  a: {file: README.md, package: x/y, kwargs: {}}")


# text: (line and column, what is said)
WRONG: dict[str, tuple[str, str, type[DpkgError]]] = {
    "contents:\n  g:\n    a: {file: data/a.csv, kwargs: {index_col: 0}}": (
        "line 3, column 36",
        "'index_col: 0' of pandas has no equivalent",
        Usage,
    ),
    "contents:\n  a: {file: data/a.csv, kwargs: {sep: '::'}}": ("line 2, column 34", "'sep: ::' of pandas", Usage),
    "contents:\n  a: {file: data/a.csv, kwargs: {header: null}}": ("line 2, column 34", "'header: null'", Usage),
    "contents:\n  a: {file: data/a.csv, kwargs: {thousands: ','}}": ("line 2, column 34", "'thousands: ,'", Usage),
    "contents:\n  a: {file: data/a.csv, kwargs: {}, checks: c}": ("line 2, column 37", "'checks' of Quilt 2", Usage),
    "contents:\n  a: {file: data/a.csv, kwargs: {}}\nchecks:\n  c: 'x'": (
        "line 3, column 1",
        "'checks' of Quilt 2",
        Usage,
    ),
    "contents:\n  a: {file: data/a.csv}\nchecks: {c: 'data.v > 1'}": ("line 3, column 1", "'checks' of Quilt 2", Usage),
    "contents:\n  a: {file: data/a.csv, checks: c}": ("line 2, column 25", "'checks' of Quilt 2", Usage),
    "contents:\n  a: {file: data/a.csv}\nenvironments: {}": ("line 3, column 1", "'environments' of Quilt 2", Usage),
    "contents:\n  g: {a: {file: README.md}, b: }\n  k: {file: README.md, kwargs: {}}": (
        "line 2, column 29",
        "the empty group 'b'",
        Usage,
    ),
    "contents:\n  g: {x: {file: README.md, transform: cvs}}": ("line 2, column 39", "'cvs' is no transform", Usage),
    "contents:\n  g: {x: {file: nope}}": ("line 2, column 17", "there is no file", NotFound),
    "contents:\n  g: {'*.nope': {}}": ("line 2, column 7", "no file matches '*.nope'", NotFound),
    "contents:\n  g: {x: {file: README.md, meta: bad.json}}": ("line 2, column 34", "as JSON", Usage),
    "contents:\n  g: {x: {file: README.md, meta: nope.json}}": ("line 2, column 34", "there is no file", NotFound),
    "contents:\n  g: {x: {file: data/a.csv, transfrom: csv}}": (
        "line 2, column 29",
        "did you mean 'transform'?",
        Usage,
    ),
    "contents:\n  a: {file: data/a.csv, kwargs: {usecols: [nope]}}": ("line 2, column 44", "no column 'nope'", Usage),
    "contents:\n  a: {file: data/a.csv, kwargs: {dtype: {id: complex}}}": (
        "line 2, column 46",
        "'complex' is not a type",
        Usage,
    ),
}


@pytest.mark.spec("BLD-6")
@pytest.mark.parametrize("text", WRONG)
def test_lines_without_an_equivalent(src: Path, build: Callable[[str], Any], text: str) -> None:
    place, said, error = WRONG[text]
    with pytest.raises(error) as caught:
        build(text)
    assert f"{src}/build.yml, {place}: " in caught.value.message
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_typos_in_our_own_grammar_are_no_groups(src: Path, build: Callable[[str], Any]) -> None:
    with pytest.raises(Usage) as caught:
        build("contents: {a: {contnts: {b: {file: README.md}}}}")
    assert "'contnts' is not known in 'a'" in caught.value.message
    assert "did you mean 'contents'?" in caught.value.hint
    with pytest.raises(Usage, match="neither 'file' nor 'contents'"):
        build("contents: {a: {as: table, schema: {file: utf8}}}")
