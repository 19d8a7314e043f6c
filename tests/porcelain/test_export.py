"""export: the folder is filled whole or not at all, and building it gives the tophash again."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from packages import listing, tophash

import dpkg
from dpkg import exporting
from dpkg.cli.main import main
from dpkg.errors import AlreadyExists, Format, NotFound, Storage, Usage
from dpkg.repository import Repository

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))

PKG = "acme/x"


# What is written


def test_a_package(store: Any, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit = store.commit(PKG, {"t": {"a": [1, 2]}, "docs": {"read me.md": b"hello", "deeper": {"e": b""}}})
    assert main(["export", PKG, str(out)]) == 0
    assert f"exported acme/x into {out}: 1 table and 2 files" in capsys.readouterr().out
    assert set(listing(out)) == {"t.parquet", "docs/read me.md", "docs/deeper/e"}
    assert (out / "docs" / "read me.md").read_text() == "hello"
    done = dpkg.export(f"{PKG}@latest", str(out.with_name("again")))
    assert (done.commit, done.tables, done.files, done.bytes) == (commit, 1, 2, sum(listing(out).values()))


def test_parts_of_a_package(store: Any, tmp_path: Path) -> None:
    store.commit(PKG, {"t": {"a": [1]}, "d": {"t": {"b": [2]}, "x": b"x"}})
    for i, (expr, names) in enumerate(
        [("t", {"t.parquet"}), ("d", {"t.parquet", "x"}), ("d/x", {"x"}), ("d/t", {"t.parquet"})]
    ):
        dpkg.export(f"{PKG}/{expr}", str(tmp_path / str(i)))
        assert set(listing(tmp_path / str(i))) == names
    with pytest.raises(NotFound):
        dpkg.export(f"{PKG}/nope", str(tmp_path / "nope"))
    assert not (tmp_path / "nope").exists()


def test_formats(store: Any, tmp_path: Path) -> None:
    store.commit(PKG, {"t": {"a": [1, None], "b": ["x", "ü"]}})
    texts = {"csv": "a,b\n1,x\n,ü\n", "jsonl": '{"a":1,"b":"x"}\n{"a":null,"b":"ü"}\n'}
    for format in ("parquet", "arrow", "csv", "jsonl"):
        dpkg.export(PKG, str(tmp_path / format), format=format)
        path = tmp_path / format / f"t.{format}"
        if format in texts:
            assert path.read_text() == texts[format]
        dpkg.build("acme/y", str(tmp_path / format))
        assert Repository(store.url).resolve("acme/y")[2].tree == Repository(store.url).resolve(PKG)[2].tree
    with pytest.raises(Usage, match="'xls' is not a format"):
        dpkg.export(PKG, str(tmp_path / "xls"), format="xls")


def test_a_table_that_a_format_cannot_hold_leaves_nothing(store: Any, out: Path) -> None:
    store.commit(PKG, {"a": {"x": [1]}, "t": {"only": [1, None]}})
    with pytest.raises(Format, match="'t' cannot be written as csv"):
        dpkg.export(PKG, str(out), format="csv")
    assert not out.exists()
    assert not [n for n in os.listdir(out.parent) if n.startswith(".dpkg")]


# Names


def test_tables_get_out_of_the_way_of_files(store: Any, out: Path) -> None:
    """Blobs and folders keep their names; a table's file gets another one, and a build.yml that says so."""
    store.commit(
        PKG,
        {
            "t": {"a": [1]},
            "t.parquet": b"not a table",
            "t_2.parquet": {"inside": b"a folder"},
            "build.yml": b"contents: {}",
            "build_1.yml": b"taken",
            "data.csv": b"kept as a blob",
            ".dpkgignore": b"*",
            ".git": {"config": b"x"},
            "u.csv": {"b": [2]},
        },
    )
    dpkg.export(PKG, str(out))
    assert set(listing(out)) == {
        *("t_3.parquet", "t.parquet", "t_2.parquet/inside", "build_1.yml", "build_2.yml", "data.csv", ".dpkgignore"),
        *(".git/config", "u.csv.parquet", "build.yml"),
    }
    dpkg.build("acme/y", str(out))
    assert tophash("acme/y") == tophash(PKG)


class Folding:
    """A file system that keeps one of several spellings, as macOS and Windows do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, str] = {}
        for name in ("make_file", "make_folder"):
            monkeypatch.setattr(exporting, name, self.wrap(getattr(exporting, name)))
        real = os.path.samefile
        monkeypatch.setattr(os.path, "samefile", lambda a, b: real(*(self.names.get(p.casefold(), p) for p in (a, b))))

    def wrap(self, make: Any) -> Any:
        def made(path: str) -> None:
            if self.names.setdefault(path.casefold(), path) != path:
                raise FileExistsError(errno.EEXIST, "File exists", path)
            make(path)

        return made


@pytest.mark.parametrize(
    "contents",
    [
        {"README": b"1", "ReadMe": b"2"},
        {"d": {"x": b"1"}, "D": {"y": b"2"}},
        {"d": {"x": b"1"}, "D": b"2"},
        {"ÉTÉ": b"1", "été": b"2"},
    ],
)
def test_names_that_are_one_here(
    store: Any, out: Path, monkeypatch: pytest.MonkeyPatch, contents: dict[str, Any]
) -> None:
    store.commit(PKG, {"t": {"a": [1]}, **contents})
    Folding(monkeypatch)
    monkeypatch.setattr(exporting, "_write", lambda *args: pytest.fail("a byte was written"))
    names = sorted(contents, key=str.encode)
    with pytest.raises(Usage, match=f"'{names[0]}' and '{names[1]}' are one name on this file system") as caught:
        dpkg.export(PKG, str(out))
    assert caught.value.hint
    assert os.listdir(out.parent).count("out") == 0


def test_tables_whose_names_are_one_here_get_others(store: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(PKG, {"t": {"a": [1]}, "T": {"a": [2]}, "BUILD.YML": b""})
    with monkeypatch.context() as patch:
        Folding(patch)
        with pytest.raises(Usage, match=r"'build.yml' and 'BUILD.YML' are one name"):
            dpkg.export(PKG, str(out))
    store.commit(PKG, {"t": {"a": [1]}, "T": {"a": [2]}})
    with monkeypatch.context() as patch:
        Folding(patch)
        dpkg.export(PKG, str(out))
    assert set(listing(out)) == {"T.parquet", "t_2.parquet", "build.yml"}
    dpkg.build("acme/y", str(out))
    assert tophash("acme/y") == tophash(PKG)


def test_names_that_are_too_long(store: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_write", lambda *args: pytest.fail("a byte was written"))
    for name in ("x" * 256, "é" * 128):
        store.commit(PKG, {"a": b"a", name: b"b"})
        with pytest.raises(Usage, match=r"cannot hold the name '(x+|é+)'") as caught:
            dpkg.export(PKG, str(out))
        assert caught.value.hint
    store.commit(PKG, {"a": b"a", "t" * 250: {"a": [1]}})
    with pytest.raises(Usage, match="cannot hold the name"):
        dpkg.export(PKG, str(out))
    assert not out.exists()


# The target


def test_a_target_that_is_not_empty(store: Any, out: Path) -> None:
    store.commit(PKG, {"a": b"new"})
    out.mkdir()
    (out / "precious").write_text("old")
    with pytest.raises(AlreadyExists, match="is not empty"):
        dpkg.export(PKG, str(out))
    assert listing(out) == {"precious": 3}
    with pytest.raises(AlreadyExists, match="not a folder"):
        dpkg.export(PKG, str(out / "precious"))
    (out / "link").symlink_to("nowhere")
    with pytest.raises(AlreadyExists, match="link that leads to nothing"):
        dpkg.export(PKG, str(out / "link"))


def test_a_folder_that_is_there_stays_the_same(store: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is in it."""
    store.commit(PKG, {"a": b"a", "d": {"b": b"b"}})
    out.mkdir(mode=0o750)
    before = out.stat()
    monkeypatch.chdir(out)
    dpkg.export(PKG, ".")
    assert sorted(os.listdir()) == ["a", "d"]
    assert (out.stat().st_ino, out.stat().st_mode) == (before.st_ino, before.st_mode)
    target = out.with_name("linked")
    target.mkdir()
    out.with_name("link").symlink_to(target)
    dpkg.export(PKG, str(out.with_name("link")))
    assert sorted(os.listdir(target)) == ["a", "d"]


def test_modes_follow_the_umask(store: Any, tmp_path: Path) -> None:
    store.commit(PKG, {"t": {"a": [1]}, "d": {"b": b"b"}})
    for mask in (0o022, 0o077, 0o002):
        old = os.umask(mask)
        try:
            target = tmp_path / "new" / oct(mask)
            dpkg.export(PKG, str(target))
        finally:
            os.umask(old)
        for path in [target, *target.rglob("*")]:
            assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask, path


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "stopped"]
)
@pytest.mark.parametrize("target", ["there", "new", "new/deeper/still"])
def test_errors_leave_nothing(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, target: str
) -> None:
    """Whichever system call fails, or is interrupted, the place is as it was."""
    store.commit(PKG, {"t": {"a": [1]}, "d": {"b": b"b"}, "e": (b"e", {"x": 1})})
    home = tmp_path / "home"
    (home / "there").mkdir(parents=True)
    for n in itertools.count(1):
        calls = itertools.count(1)
        with monkeypatch.context() as patch:
            tidy = shutil.rmtree
            patch.setattr(shutil, "rmtree", lambda *a, patch=patch, tidy=tidy, **k: (patch.undo(), tidy(*a, **k)))
            for name in ("mkdir", "open", "rename", "unlink"):
                real = getattr(os, name)

                def stop(path: Any, *args: Any, real: Any = real, calls: Any = calls, n: int = n) -> Any:
                    if str(path).startswith(str(home)) and next(calls) == n:
                        raise error
                    return real(path, *args)

                patch.setattr(os, name, stop)
            try:
                dpkg.export(PKG, str(home / target))
            except (Storage, KeyboardInterrupt) as caught:
                stopped: BaseException = caught
            else:
                assert n > 8
                return
        assert isinstance(stopped, KeyboardInterrupt) or "the disk is full" in str(stopped)
        assert [p.relative_to(home).as_posix() for p in home.rglob("*")] == ["there"]


def test_a_place_that_cannot_be_written(store: Any, tmp_path: Path) -> None:
    store.commit(PKG, {"a": b"a"})
    (tmp_path / "file").write_text("x")
    with pytest.raises((Storage, AlreadyExists)):
        dpkg.export(PKG, str(tmp_path / "file" / "below"))
    with pytest.raises(Storage):
        dpkg.export(PKG, "/proc/nothing")


def test_damage_stops_an_export(store: Any, out: Path) -> None:
    from faults import flip, stored

    store.commit(PKG, {"t": {"a": list(range(1000))}, "b": random.Random(1).randbytes(3 << 20)})
    for key, size in stored(store.url).items():
        path = Path(store.url, key)
        whole = path.read_bytes()
        flip(path, size // 2)
        code = main(["export", PKG, str(out)])
        assert code in (0, 6)
        assert out.exists() == (code == 0)
        if code == 0:  # statistics are not read, and a bit of a footer need not change a value
            assert key.startswith("fragments/")
            for p in listing(out):
                (out / p).unlink()
            out.rmdir()
        path.write_bytes(whole)
