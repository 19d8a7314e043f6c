"""The grammar of build.yml: one table, by which it is read, and of which the published JSON Schema is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dpkg.arrow.options import REFUSED
from dpkg.compiler import buildfile, grammar, make_plan
from dpkg.errors import NotFound, Usage

Errors = Callable[[str], list[str]]

GOOD = [
    "contents: {a: {file: t.csv}}",
    "contents: {a: {file: t.csv, as: table, key: id, nulls: NA, meta: [1, {x: null}]}}",
    "contents: {a: {file: t.csv, schema: {id: int64, v: {name: 1, type: utf8}}, columns: [id]}}",
    "contents: {a: {file: README, transform: csv, options: {delimiter: ';', skip_rows: 0, quote_char: false}}}",
    "contents: {a: {file: README, transform: id}}",
    "contents: {a: {files: '*.csv'}, b: {files: '*.csv', each: true}}",
    "contents: {a: {meta: {x: 1}, nulls: [NA], key: [id], contents: {b: {file: t.csv}}}}",
    "transform: csv\noptions: {null_values: [NA], sheet: Q1}\nschema: {id: int32}\ncontents: {a: {file: README}}",
]
BAD = {
    "contents: {}": "names no files",
    "content: {a: {file: t.csv}}": "did you mean 'contents'?",
    "meta: 1\ncontents: {a: {file: t.csv}}": "'meta' is not known in build.yml",
    "contents: {a: {file: t.csv, colums: [id]}}": "did you mean 'columns'?",
    "contents: {a: {file: t.csv, each: true}}": "'a' has 'file', so it is made of a file, and has no 'each'",
    "contents: {a: {file: t.csv, files: '*'}}": "can only be one of them",
    "contents: {a: {key: [id]}}": "neither 'file' nor 'contents'",
    "contents: {a: {files: '*.csv', each: maybe}}": "'each' is true or false, not 'maybe'",
    "contents: {a: {file: t.csv, transform: cvs}}": "did you mean 'csv'?",
    "contents: {a: {file: t.csv, options: {delimeter: ;}}}": "did you mean 'delimiter'?",
    "contents: {a: {file: t.csv, options: {escape_char: x}}}": "a quote within quotes is doubled",
    "contents: {a: {file: t.csv, options: {skip_rows: -1}}}": "a whole number, not '-1'",
    "contents: {a: {file: t.csv, options: {skip_rows: '1'}}}": "a whole number, not '1'",
    "contents: {a: {file: t.csv, options: [delimiter]}}": "'options' must be a mapping",
    "contents: {a: {file: t.csv, schema: {id: {}}}}": "says nothing",
    "contents: {a: {file: t.csv, schema: {id: {typ: int64}}}}": "did you mean 'type'?",
    "contents: {a: {file: [t.csv]}}": "'file' must be a text",
    "contents: {a: {file: t.csv, columns: {id: 1}}}": "each column of 'columns' must be a text",
    "contents: {a: {contents: {b: {file: t.csv}}, columns: [id]}}": "so it is a folder, and has no 'columns'",
}
# What the schema cannot see: what holds between keys, and what the files are.
BEYOND = {
    "contents: {a: {file: t.csv, columns: []}}": "'columns' names no columns",
    "contents: {a: {file: t.csv, key: []}}": "'key' names no columns",
    "contents: {a: {file: t.csv, columns: [id, id]}}": "names the column 'id' twice",
    "contents: {a: {file: README, options: {skip_rows: 1}}}": "'options' is for tables, and 'a' is a blob",
    "contents: {a: {file: t.csv, transform: csv, as: blob}}": "contradict each other",
    "contents: {a: {file: t.csv, transform: id, as: table}}": "contradict each other",
    "contents: {a: {file: t.csv, options: {sheet: Q1}}}": "'sheet' is no option of csv",
    "contents: {a: {file: t.csv, nulls: [a], options: {null_values: [b]}}}": "one and the same",
    "contents: {a: {file: t.csv, transform: parquet, nulls: [a]}}": "'nulls' is for text",
    "contents: {a: {files: '*.xsv'}}": "no file matches '*.xsv'",
    "contents: {a: {files: 'READ*'}}": "a table of files that are no tables",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("id,v\n1,x\n")
    (tmp_path / "README").write_text("id;v\n1;x\n")
    return tmp_path


@pytest.mark.parametrize("text", GOOD)
def test_what_the_reader_takes_the_schema_takes(folder: Path, text: str, against_the_schema: Errors) -> None:
    (folder / "build.yml").write_text(text)
    assert make_plan(str(folder)).items
    assert against_the_schema(text) == []


@pytest.mark.spec("BLD-1")
@pytest.mark.parametrize("text", [*BAD, *BEYOND])
def test_what_the_reader_refuses(folder: Path, text: str, against_the_schema: Errors) -> None:
    (folder / "build.yml").write_text(text)
    with pytest.raises((Usage, NotFound)) as caught:
        make_plan(str(folder))
    said = {**BAD, **BEYOND}[text]
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert f"{folder}/build.yml, line " in caught.value.message
    assert (against_the_schema(text) == []) == (text in BEYOND)


VALUES = {
    "text": "x",
    "texts": "[x]",
    "flag": "true",
    "any": "1",
    "contents": "{b: {file: t.csv}}",
    "schema": "{a: int8}",
}
VALUES |= {"options": "{sheet: x}", "checks": "{rows: {min: 1}}"}


@pytest.mark.spec("BLD-1")
def test_every_key_is_taken_or_refused_by_both(folder: Path, against_the_schema: Errors) -> None:
    """Each key for each kind of entry, and each option of pyarrow's that is not taken."""
    cases = {}
    for kind in grammar.KINDS:
        own = f"{kind}: {VALUES[grammar.BY_NAME[kind].shape]}"
        for key in grammar.KEYS:
            if key.name in grammar.keys_of(kind):
                continue
            value = key.choices[0] if key.choices else VALUES[key.shape]
            cases[f"contents: {{a: {{{own}, {key.name}: {value}}}}}"] = f"'{key.name}'"
    assert len(cases) > 20
    cases |= {f"contents: {{a: {{file: t.csv, options: {{{name}: x}}}}}}": f"'{name}'" for name in REFUSED}
    for text, named in cases.items():
        (folder / "build.yml").write_text(text)
        with pytest.raises(Usage, match=r"build\.yml, line 1, column ") as caught:
            make_plan(str(folder))
        assert named in caught.value.message
        assert against_the_schema(text) != []


def test_each_kind_has_a_handler_and_keys_of_its_own() -> None:
    assert buildfile.HANDLERS.keys() == grammar.KINDS.keys()
    for key in grammar.KEYS:
        assert key.shape in grammar.SHAPES
        assert {*key.on} <= {grammar.TOP, *grammar.KINDS}
        assert (key.shape == "choice") == bool(key.choices)
    assert all(kind in grammar.keys_of(kind) for kind in grammar.KINDS)
