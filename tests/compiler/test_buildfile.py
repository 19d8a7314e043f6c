"""build.yml: what it can say, and that each mistake is shown with file, line, column and what was probably meant."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from builds import PKG, build_types, store, table

from dpkg.compiler import make_plan
from dpkg.errors import CheckFailed, DpkgError, Format, NotFound, Usage
from dpkg.index import walk
from dpkg.repository import Repository

CSV = "id,when,amount,note\n2,31.12.2020,1.50,NA\n1,01.01.2021,2,\n"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    (made / "data").mkdir(parents=True)
    (made / "data" / "t.csv").write_text(CSV)
    (made / "README.md").write_text("hello")
    return made


def test_everything_that_it_can_say(src: Path) -> None:
    text = """
contents:
  transactions:
    file: data/t.csv
    key: [id]
    nulls: ["", NA]
    schema:
      when: {type: date, format: "%d.%m.%Y", name: day}
      amount: decimal(10, 2)
      note: {name: "a note"}
    meta: {source: [till, 1.5, true, null], "2020": yes, since: 2020-01-01}
  docs:
    meta: {lang: en}
    contents:
      readme: {file: README.md, as: blob}
      deeper: {contents: {"odd name.txt": {file: README.md}}}
  original: {file: data/t.csv, as: blob}
"""
    assert build_types(src, text) == {
        **{"transactions": "table", "docs/readme": "blob", "docs/deeper/odd name.txt": "blob", "original": "blob"}
    }
    got = table(src, "transactions")
    assert got.schema == pa.schema(
        [("id", pa.int64()), ("day", pa.date32()), ("amount", pa.decimal128(10, 2)), ("a note", pa.null())]
    )
    assert got["id"].to_pylist() == [1, 2]
    assert got["day"].to_pylist() == [datetime.date(2021, 1, 1), datetime.date(2020, 12, 31)]
    repository = Repository(store(src))
    entries = dict(walk(repository.odb, repository.resolve(PKG)[2].tree))
    meta = {path: repository.odb.read(e.meta, "blob") for path, e in entries.items() if e.meta}
    assert meta == {
        "docs": b'{"lang":"en"}',
        "transactions": b'{"2020":true,"since":"2020-01-01","source":["till",1.5,true,null]}',
    }


def test_texts_are_as_they_are_written(src: Path) -> None:
    (src / "no").write_text("a\n01\nNULL\n")
    (src / "no").rename(src / "no.csv")
    text = "contents:\n  no: {file: no.csv, nulls: [NULL], schema: {a: {name: 010}}}\n"
    assert build_types(src, text) == {"no": "table"}
    assert table(src, "no").to_pydict() == {"010": ["01", None]}


def test_one_file_in_two_entries_and_by_its_path(src: Path) -> None:
    (src / "other.build.yml").write_text("contents: {a: {file: data/t.csv}, b: {file: data/t.csv, as: table}}")
    plan = make_plan(str(src / "other.build.yml"))
    assert [(i.name, i.format) for i in plan.items] == [("a", "csv"), ("b", "csv")]


def test_raw_keeps_the_names_of_the_build_yml(src: Path) -> None:
    (src / "build.yml").write_text("contents: {a: {file: data/t.csv, key: [id]}}")
    assert [(i.name, i.format) for i in make_plan(str(src / "build.yml"), raw=True).items] == [("a", None)]
    assert build_types(src, "contents: {a: {file: data/t.csv}}", raw=True) == dict.fromkeys(
        ("README.md", "build.yml", "data/t.csv"), "blob"
    )


# Mistakes

MISTAKES = {
    # text: (place, what is said, what is meant)
    "": ("", "is empty", "needs 'contents:'"),
    "# nothing": ("", "is empty", ""),
    "contnts: {}": ("line 1, column 1", "'contnts' is not known in build.yml", "did you mean 'contents'?"),
    "- a": ("line 1, column 1", "build.yml must be a mapping", ""),
    "contents:": ("line 1, column 10", "'contents' must be a mapping", ""),
    "contents: {}": ("line 1, column 11", "'contents' names no files", ""),
    "contents: {d: {contents: {}}}": ("line 1, column 26", "'contents' names no files", ""),
    "contents: [a]": ("line 1, column 11", "'contents' must be a mapping", ""),
    "contents: {a: README.md}": ("line 1, column 15", "'a' must be a mapping", ""),
    "contents: {a: {}}": ("line 1, column 12", "'a' has neither 'file' nor 'contents'", ""),
    "contents: {a: {flie: README.md}}": ("line 1, column 16", "'flie' is not known in 'a'", "did you mean 'file'?"),
    "contents: {a: {file: [x]}}": ("line 1, column 22", "'file' must be a text", ""),
    "contents: {a: {file: data}}": ("line 1, column 22", "'data' is a folder", "one by one"),
    'contents: {a: {file: ""}}': ("line 1, column 22", "is a folder", ""),
    "contents: {a: {file: README.md, as: tabel}}": ("line 1, column 37", "'as' is blob or table, not 'tabel'", ""),
    "contents: {a: {file: README.md, as: table}}": ("line 1, column 37", "cannot be read as a table", "csv, tsv"),
    "contents: {a: {file: README.md, key: [id]}}": ("line 1, column 33", "'key' is for tables", ""),
    "contents: {a: {file: data/t.csv, as: blob, nulls: []}}": ("line 1, column 44", "'nulls' is for tables", ""),
    "contents: {a: {file: data/t.csv, key: []}}": ("line 1, column 39", "'key' names no columns", ""),
    "contents: {a: {file: data/t.csv, key: [[id]]}}": ("line 1, column 40", "each column of 'key' must be a text", ""),
    "contents: {a: {file: data/t.csv, schema: [id]}}": ("line 1, column 42", "'schema' must be a mapping", ""),
    "contents: {a: {file: data/t.csv, schema: {id: int65}}}": (
        "line 1, column 47",
        "'int65' is not a type",
        "did you mean 'int64'?",
    ),
    "contents: {a: {file: data/t.csv, schema: {id: {tpye: int64}}}}": (
        "line 1, column 48",
        "'tpye'",
        "did you mean 'type'?",
    ),
    "contents: {a: {file: data/t.csv, schema: {id: {}}}}": ("line 1, column 47", "says nothing", "type, name, format"),
    "contents: {a: {file: data/t.csv, schema: {id: {type: int64, format: '%d'}}}}": (
        "line 1, column 69",
        "is for dates and times, not for int64",
        "",
    ),
    "contents: {a: {contents: {b: {file: README.md}}, as: blob}}": ("line 1, column 50", "'a' has 'contents'", "meta"),
    "contents: {a: {contents: {b: {file: README.md}}, file: x}}": ("line 1, column 50", "only be one of them", ""),
    "contents: {a: {file: README.md}, a: {file: README.md}}": ("line 1, column 34", "'a' stands twice", ""),
    "contents: {[x]: {file: README.md}}": ("line 1, column 12", "must be plain text", ""),
    "contents:\n  a: {file: README.md\n  b: 1\n": ("line 3, column 4", "", ""),
    "contents:\n\ta: 1": ("line 2, column 1", "", ""),
    "contents: &x {a: {file: README.md}}": ("line 1, column 11", "anchors", ""),
    "contents: {a: *x}": ("line 1, column 15", "anchors", ""),
    "contents: {a: {file: README.md, meta: {1: x}}}": ("line 1, column 40", "the key 1 is not text", "quote it"),
    "contents: {a: {file: README.md, meta: {x: {y: 1, y: 2}}}}": ("line 1, column 50", "'y' stands twice", ""),
    "contents: {a: {file: README.md, meta: !!binary aGk=}}": ("line 1, column 39", "(bytes) has no JSON form", ""),
    "contents: {a: {file: README.md, meta: 2020-99-99}}": ("line 1, column 39", "cannot be read", "quote it"),
    "contents: {a: {file: README.md, meta: !!python/object:os.system {}}}": ("line 1, column 39", "", ""),
    "contents: {a: {file: README.md, meta: {x: .nan}}}": ("line 1, column 12", "no canonical JSON", ""),
    "contents: {a: {file: README.md, meta: 9007199254740993}}": ("line 1, column 12", "no canonical JSON", "quote"),
    "contents: {'..': {file: README.md}}": ("line 1, column 12", "'..' is not a name", ""),
    "contents: {a/b: {file: README.md}}": ("line 1, column 12", "'a/b' is not a name", ""),
    "contents: {a: {file: data/t.csv, schema: {idd: int64}}}": (
        "line 1, column 43",
        "no column 'idd'",
        "did you mean 'id'?",
    ),
    "contents: {a: {file: data/t.csv, key: [amount, idd]}}": ("line 1, column 48", "column 'idd'", "columns: id"),
    "contents: {a: {file: data/t.csv, schema: {id: {name: when}}}}": ("line 1, column 12", "both be named 'when'", ""),
    f"contents: {'[' * 1000}": ("line 1, column 260", "nests more than 250 deep", ""),
    "contents: {a: 1}\n---\ncontents: {}": ("line 2, column 1", "", ""),
    "contents: {a: \x00}": ("", "not YAML", ""),
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:60])
def test_mistakes(src: Path, text: str) -> None:
    place, said, meant = MISTAKES[text]
    with pytest.raises((Usage, Format)) as caught:
        build_types(src, text)
    error = caught.value
    assert f"{src}/build.yml" in error.message
    assert not place or f"{src}/build.yml, {place}: " in error.message
    assert said in error.message
    assert meant in error.hint
    assert "\n" not in error.message


def test_files_that_are_not_there(src: Path) -> None:
    with pytest.raises(NotFound, match=r"build.yml, line 1, column 22: there is no file '.*/nope.csv'"):
        build_types(src, "contents: {a: {file: nope.csv}}")
    (src / "parquet.parquet").write_bytes(b"")
    with pytest.raises(Usage, match=r"line 1, column 39: 'nulls' is for text"):
        build_types(src, "contents: {a: {file: parquet.parquet, nulls: []}}")
    (src / "build.yml").write_bytes(b"contents: \xff")
    with pytest.raises(Usage, match="not YAML"):
        make_plan(str(src))


def test_files_are_relative_to_the_build_yml(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(src)
    (src / "build.yml").write_text("contents: {a: {file: README.md}}")
    assert [i.source for i in make_plan("build.yml").items] == ["README.md"]
    monkeypatch.chdir(src.parent)
    assert [i.source for i in make_plan("src").items] == ["src/README.md"]


# Keys


@pytest.mark.spec("ROW-6", "ROW-7")
def test_a_key_sorts_and_must_be_unique(src: Path) -> None:
    (src / "data" / "k.csv").write_text("b,a\n2,x\n1,y\n,x\n1,x\n")
    build_types(src, "contents: {t: {file: data/k.csv, key: [a, b]}}")
    assert table(src, "t").to_pylist() == [
        {"b": 1, "a": "x"},
        {"b": 2, "a": "x"},
        {"b": None, "a": "x"},
        {"b": 1, "a": "y"},
    ]
    with pytest.raises(CheckFailed) as caught:
        build_types(src, "contents: {t: {file: data/k.csv, key: [a]}}")
    assert f"{src}/build.yml, line 1, column 12: " in caught.value.message
    assert f"{src}/data/k.csv" in caught.value.message
    assert "a='x'" in caught.value.message
    with pytest.raises(DpkgError, match="'a' twice"):
        build_types(src, "contents: {t: {file: data/k.csv, key: [a, a]}}")


def test_a_broken_declaration_names_file_line_column_and_value(src: Path) -> None:
    rows = [f"{i},x" for i in range(50_000)]
    rows[39_999] = "4e4,x"
    (src / "data" / "big.csv").write_text("n,x\n" + "\n".join(rows) + "\n")
    with pytest.raises(Format) as caught:
        build_types(src, "contents: {t: {file: data/big.csv, schema: {n: int32}}}")
    message = caught.value.message
    assert f"{src}/data/big.csv" in message
    assert "line 40001" in message.replace(",", "")
    assert "'n'" in message
    assert "4e4" in message
