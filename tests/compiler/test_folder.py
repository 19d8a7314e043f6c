"""A folder as a plan: what is an entry, what is left out, what is refused and what to do then."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import dpkg
from dpkg.cli.main import main
from dpkg.compiler import make_plan
from dpkg.errors import DpkgError, Format, NotFound, Usage

PKG = "acme/x"


def fill(root: Path, **files: str | bytes) -> Path:
    """Files by their paths, with `__` for `/` and `_` before an extension for the dot."""
    for name, content in files.items():
        write(root, name.replace("__", "/"), content)
    return root


def write(root: Path, name: str, content: str | bytes = "x") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def names(root: Path, raw: bool = False) -> dict[str, str | None]:
    """The plan's paths, with their formats."""
    return {item.name: item.format for item in make_plan(str(root), raw).items}


def refused(root: Path, kind: type[DpkgError] = Usage) -> DpkgError:
    with pytest.raises(kind) as caught:
        make_plan(str(root))
    return caught.value


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    made.mkdir()
    return made


def test_tables_by_their_stem_blobs_to_the_letter(src: Path) -> None:
    for name in (
        "a.csv",
        "b.CSV.gz",
        "c.tsv.zst",
        "d.parquet",
        "e.feather",
        "f.jsonl",
        "g.ndjson.gz",
        "sub/deep/h.arrow",
    ):
        write(src, name)
    for name in ("README.md", "sub/x.csv.bak", "csv", ".csv", "é ü.TXT", "sub/deep/.hidden"):
        write(src, name)
    assert names(src) == {
        **{
            "a": "csv",
            "b": "csv",
            "c": "tsv",
            "d": "parquet",
            "e": "arrow",
            "f": "jsonl",
            "g": "jsonl",
            "sub/deep/h": "arrow",
        },
        **dict.fromkeys(("README.md", "sub/x.csv.bak", "csv", ".csv", "é ü.TXT", "sub/deep/.hidden")),
    }


def test_raw_keeps_every_file_a_blob(src: Path) -> None:
    for name in ("a.csv", "a.parquet", "build.yml", "sub/build.yml"):
        write(src, name)
    assert names(src, raw=True) == dict.fromkeys(("a.csv", "a.parquet", "build.yml", "sub/build.yml"))


def test_what_is_left_out(src: Path) -> None:
    write(src, "keep.txt")
    for folder in (".git", ".dpk", ".venv", "sub/__pycache__", "sub/.ipynb_checkpoints", "node_modules", ".mypy_cache"):
        write(src, f"{folder}/x")
    for name in (".DS_Store", "sub/Thumbs.db"):
        write(src, name)
    assert list(names(src)) == ["keep.txt"]


def test_dpkgignore(src: Path) -> None:
    write(src, ".dpkgignore", "# what git would ignore\n*.tmp\n!keep.tmp\n/top.txt\nbuild/\nsub/**/x.csv\ntrail \\ \n")
    for name in ("a.tmp", "keep.tmp", "top.txt", "sub/top.txt", "build/x", "sub/build/y", "sub/p/q/x.csv", "x.csv"):
        write(src, name)
    assert set(names(src)) == {"keep.tmp", "sub/top.txt", "x"}
    write(src, "sub/.dpkgignore", "a file like any other")
    assert "sub/.dpkgignore" in names(src)
    (src / ".dpkgignore").write_bytes(b"\xff\xfe")
    assert ".dpkgignore" in refused(src).message


def test_a_folder_without_files(src: Path) -> None:
    (src / "sub" / "sub").mkdir(parents=True)
    write(src, ".git/config")
    error = refused(src)
    assert "holds no files" in error.message
    assert ".dpkgignore" in error.hint


def test_links_within_the_folder_are_followed(src: Path) -> None:
    write(src, "data/a.csv")
    (src / "b.csv").symlink_to("data/a.csv")
    (src / "more").symlink_to(src / "data")
    assert names(src) == {"data/a": "csv", "b": "csv", "more/a": "csv"}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/etc/hostname", "leads out of the folder, to '/etc/hostname'"),
        ("..", "leads out of the folder"),
        ("../src2", "leads out of the folder"),
        ("nowhere", "leads to nothing"),
        ("link", "leads to nothing"),
        (".", "leads to a folder that it is in"),
        ("../src/sub/..", "leads to a folder that it is in"),
    ],
)
def test_links_that_are_refused(src: Path, target: str, said: str) -> None:
    write(src, "a.txt")
    write(src, "sub/b.txt")
    (src.parent / "src2").mkdir()
    (src / "link").symlink_to(target)
    error = refused(src)
    assert f"the link '{src}/link' {said}" in error.message
    assert ".dpkgignore" in error.hint
    write(src, ".dpkgignore", "link")  # as the hint says
    assert set(names(src)) == {"a.txt", "sub/b.txt"}


def test_links_in_a_ring(src: Path) -> None:
    for a, b in (("a", "b"), ("b", "a")):
        write(src, f"{a}/file")
        (src / a / "to").symlink_to(f"../{b}")
    assert "leads to a folder that it is in" in refused(src).message


def test_special_files(src: Path) -> None:
    os.mkfifo(src / "pipe")
    error = refused(src)
    assert error.message == f"'{src}/pipe' is a pipe, not a file or folder"
    write(src, ".dpkgignore", "pipe\nsocket")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(src / "socket"))
        write(src, "a")
        assert list(names(src)) == ["a"]
        write(src, ".dpkgignore", "pipe")
        assert "is a socket" in refused(src).message
    for path in (src / "pipe", Path("/dev/null")):
        with pytest.raises(Usage, match=r"is a (pipe|device), not a file"):
            make_plan(str(path))


def test_a_name_that_is_not_utf8(src: Path) -> None:
    bad = os.fsencode(src) + b"/sub\xff"
    os.mkdir(bad)
    with open(bad + b"/a.csv", "wb"):
        pass
    error = refused(src, Format)
    assert "sub\\xff' is not valid UTF-8" in error.message
    assert ".dpkgignore" in error.hint
    (src / ".dpkgignore").write_text("sub*\n")
    write(src, "b")
    assert list(names(src)) == ["b"]
    os.rename(bad + b"/a.csv", os.fsencode(src) + b"/\xe9.csv")
    with pytest.raises(Format, match="not valid UTF-8"):
        make_plan(os.fsdecode(os.fsencode(src) + b"/\xe9.csv"))


def test_a_name_that_is_too_long_or_too_deep(src: Path) -> None:
    deep = src.joinpath(*["d"] * 101)
    deep.mkdir(parents=True)
    write(deep, "f")
    assert "more than 100 names deep" in refused(src).message


def test_names_do_not_depend_on_the_locale(src: Path, tmp_path: Path) -> None:
    write(src, "é/ü.txt")
    script = "import sys, dpkg; print(dpkg.build('a/b', sys.argv[1], store=sys.argv[2]).tophash)"
    seen = set()
    for i, more in enumerate(({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})):
        command = [sys.executable, "-c", script, str(src), str(tmp_path / str(i))]
        seen.add(subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=True).stdout)
    assert len(seen) == 1


# Names that clash


def paste(capsys: pytest.CaptureFixture[str], src: Path, store: Path) -> str:
    """Build a folder, put the lines of the hint into its build.yml, and build again; what the first build said."""
    assert main(["build", PKG, str(src), "--store", str(store)]) == 2
    said = capsys.readouterr().err
    lines = said.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == "contents:")
    (src / "build.yml").write_text("\n".join(lines[start:]) + "\n")
    assert main(["build", PKG, str(src), "--store", str(store)]) == 0
    return said


def test_a_clash_shows_lines_that_resolve_it(src: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(src, "sub dir/a.csv", "x\n1\n")
    write(src, "sub dir/a.jsonl", '{"x":1}\n')
    write(src, "sub dir/é: #1.txt")
    write(src, "b.csv", "x\n1\n")
    said = paste(capsys, src, tmp_path / "store")
    assert f"'{src}/sub dir/a.csv' and '{src}/sub dir/a.jsonl' would both be 'sub dir/a' in the package" in said
    assert {e.path: e.type for e in dpkg.build(PKG, str(src), store=str(tmp_path / "store")).entries} == {
        "b": "table",
        "sub dir/a_csv": "table",
        "sub dir/a_jsonl": "table",
        "sub dir/é: #1.txt": "blob",
    }


def test_clashes_of_a_table_with_a_folder_and_a_file(
    src: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(src, "a.csv", "x\n1\n")
    write(src, "a/b.txt")
    write(src, "a_csv", "taken")
    write(src, "c", "a file")
    write(src, "c.csv", "x\n1\n")
    monkeypatch.chdir(src)  # with a relative path
    paste(capsys, Path(), tmp_path / "store")
    built = dpkg.build(PKG, ".", store=str(tmp_path / "store"))
    assert {e.path for e in built.entries} == {"a_csv_2", "a/b.txt", "a_csv", "c", "c_csv"}


def test_a_clash_in_a_large_folder_shows_the_two(src: Path) -> None:
    for i in range(100):
        write(src, f"f{i}.txt")
    write(src, "a.csv")
    write(src, "a.tsv")
    assert refused(src).hint.splitlines()[1:] == [
        *("contents:", "  a_csv:", "    file: a.csv", "  a_tsv:", "    file: a.tsv"),
        "# and the folder's 100 other files in the same way",
    ]


# Paths that are no folder


def test_a_single_file(src: Path, tmp_path: Path) -> None:
    assert names(write(src, "a.csv")) == {"a": "csv"}
    assert names(write(src, "a.csv"), raw=True) == {"a.csv": None}
    assert names(write(src, "b.txt")) == {"b.txt": None}


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file or folder"):
        make_plan(str(tmp_path / "nothing"))
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(NotFound):
        make_plan(str(tmp_path / "link"))


def test_home_is_expanded(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(src.parent))
    write(src, "a.csv")
    assert names(Path("~/src")) == {"a": "csv"}
