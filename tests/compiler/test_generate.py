"""`dpk generate`: the build.yml of a folder, by which a build gives what a build of the folder gives."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dpkg
from dpkg.errors import AlreadyExists, DpkgError, Format, NotFound, Usage

PKG = "acme/x"

# Names and cells that have been trouble: for YAML, for file systems, for types.
LETTERS = "ab$n.-_ =#:{}[],'\"\\!&*%@`|>?~é\u2028\U0001f600\t0"
NAMES = st.one_of(
    st.sampled_from(
        [
            "no",
            "NULL",
            "1",
            "1.5",
            "- a",
            "a: b",
            "x::y",
            "~",
            "build.yml",
            "data.json",
            "a.npy",
            ".hidden",
            "contents",
            "kwargs",
            "file",
            "[a]",
            "*",
        ]
    ),
    st.text(LETTERS, min_size=1, max_size=12).filter(lambda n: n not in (".", "..")),
)
COLUMNS = st.one_of(NAMES, st.sampled_from(["", "a\nb", "x" * 1200, "#", "'"]))
CELLS = st.sampled_from(
    [
        "",
        "NA",
        "1",
        "-2.5",
        "007",
        "9007199254740993",
        "true",
        "0",
        "2020-01-01",
        "10:30",
        "2020-01-01T10:30Z",
        "x",
        " ",
        "nan",
        "1e5",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1, 1), st.text("ab", max_size=2))


@st.composite
def tables(draw: Any) -> tuple[str, bytes]:
    """A table's file: its end and its bytes."""
    columns = draw(st.lists(COLUMNS, min_size=1, max_size=3, unique=True))
    kind = draw(st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]))
    if kind in (".csv", ".tsv"):
        out = io.StringIO()
        rows = draw(st.lists(st.lists(CELLS, min_size=len(columns), max_size=len(columns)), max_size=4))
        writer = csv.writer(out, delimiter="," if kind == ".csv" else "\t", lineterminator="\n")
        writer.writerows([columns, *rows])
        return kind, out.getvalue().encode()
    values = st.one_of(
        *(st.lists(st.none() | v, min_size=2, max_size=2) for v in (st.integers(-9, 9), st.text("ab"), st.booleans()))
    )
    nested = st.lists(st.lists(st.integers(0, 3), max_size=2), min_size=2, max_size=2)
    data = {name: draw(values | nested) for name in columns}
    if kind == ".jsonl":
        return kind, "".join(json.dumps({n: v[i] for n, v in data.items()}) + "\n" for i in (0, 1)).encode()
    sink = io.BytesIO()
    pq.write_table(pa.table(data), sink)
    return kind, sink.getvalue()


FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    tables() | st.binary(max_size=9).map(lambda b: ("", b)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=12)
@given(FILES)
@example({("*", "no"): ("", b""), ("kwargs", "contents"): (".csv", b"a\n1\n")})
def test_building_with_it_gives_the_same(tmp_path_factory: pytest.TempPathFactory, files: Any) -> None:
    gives_the_same(tmp_path_factory, files)


@pytest.mark.long
@settings(max_examples=300)
@given(FILES)
def test_building_with_it_gives_the_same_for_many(tmp_path_factory: pytest.TempPathFactory, files: Any) -> None:
    gives_the_same(tmp_path_factory, files)


def gives_the_same(tmp_path_factory: pytest.TempPathFactory, files: Any) -> None:
    base = tmp_path_factory.mktemp("g")
    src = base / "src"
    for path, (end, data) in files.items():
        place = src.joinpath(*path[:-1], path[-1] + end)
        if path[0] + (end if len(path) == 1 else "") == "build.yml":
            continue
        if any(p.is_file() for p in (src.joinpath(*path[:i]) for i in range(1, len(path)))) or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    store = str(base / "store")
    try:
        wanted = dpkg.build(PKG, str(src), store=store)
    except DpkgError as refused:  # names that clash, or nothing but what is left out
        with pytest.raises(type(refused)):
            dpkg.generate(str(src))
        return
    made = dpkg.generate(str(src))
    assert dpkg.build(PKG, str(src), store=store).tophash == wanted.tophash, made.text
    assert dpkg.generate(str(src), force=True).text == made.text
    other = base / "elsewhere" / "x.build.yml"
    other.parent.mkdir()
    dpkg.generate(str(src), output=str(other))
    assert dpkg.build(PKG, str(other), store=store).tophash == wanted.tophash
    assert made.tables + made.files == len(wanted.entries)
    shutil.rmtree(base)


def test_what_it_says(tmp_path: Path, dpk: Callable[..., Any]) -> None:
    src = tmp_path / "src"
    (src / "sub").mkdir(parents=True)
    (src / "t.csv").write_text("id,none,when\n1,,2020-01-01\n")
    (src / "sub" / "r.json").write_text("{}")
    (src / ".dpkgignore").write_text("*.tmp\n")
    (src / "x.tmp").write_text("")
    said = dpk("generate", str(src), "-o", "-").out
    assert said[said.index("contents:") :] == (
        "contents:\n"
        "  sub:\n"
        "    contents:\n"
        "      r.json: {file: sub/r.json}  # transform: json makes a table of it\n"
        "  t:\n"
        "    file: t.csv\n"
        "    schema:  # a cell of another type is an error\n"
        "      id: int64\n"
        '      # none: "null"\n'
        "      when: date\n"
    ).replace('"null"', "null")
    assert dpk("generate", str(src), "-o", "-", "-q").out == said
    assert not (src / "build.yml").exists()
    assert dpk("generate", str(src)).out == f"wrote {src}/build.yml: 1 table and 1 other file\n"
    assert (src / "build.yml").read_text() == said


def test_it_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "build.yml").write_text("mine")
    with pytest.raises(AlreadyExists, match=r"build.yml' is there already"):
        dpkg.generate(str(tmp_path))
    assert (tmp_path / "build.yml").read_text() == "mine"
    (tmp_path / "bad.csv").write_text("a\n1,2\n")
    with pytest.raises(Format, match=r"bad.csv, line 2"):
        dpkg.generate(str(tmp_path), force=True)
    assert (tmp_path / "build.yml").read_text() == "mine"
    (tmp_path / "bad.csv").unlink()
    dpkg.generate(str(tmp_path), force=True)
    assert "file: t.csv" in (tmp_path / "build.yml").read_text()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DpkgError, match="folder': Is a directory"):
        dpkg.generate(str(tmp_path), output=str(tmp_path / "folder"), force=True)
    assert sorted(os.listdir(tmp_path)) == ["build.yml", "folder", "t.csv"]


def test_what_is_no_folder_to_generate_from(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        dpkg.generate(str(tmp_path / "nope"))
    (tmp_path / "build.yml").write_text("x")
    with pytest.raises(Usage, match="is no folder"):
        dpkg.generate(str(tmp_path / "build.yml"), output="-")
    with pytest.raises(Usage, match="holds no files"):
        dpkg.generate(str(tmp_path), output="-")
