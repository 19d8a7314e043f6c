"""export: the folder is filled whole or not at all, and building it gives the tophash again."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dpkg
from dpkg import exporting, tables
from dpkg.cli.main import main
from dpkg.errors import AlreadyExists, Format, NotFound, Storage, Usage
from dpkg.index import build_tree
from dpkg.objects.node import TreeEntry
from dpkg.repository import Repository

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))
import forms
import strategies

PKG = "acme/x"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def listing(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


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


def tophash(package: str) -> str:
    return Repository().resolve(package)[2].tree


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


# Building what was exported


def put(
    repository: Repository, path: str, plain: Any, rng: random.Random, key: tuple[str, ...], meta: Any
) -> TreeEntry:
    """A table of plain values, as the entry of a tree."""
    import rfc8785

    schema, batches = forms.batches(rng, plain)
    oid, table = tables.write_table(repository.odb, batches, schema, key)
    stored = repository.odb.write("blob", rfc8785.dumps(meta)) if meta is not None else None
    return TreeEntry(path, "table", oid, table.bytes, table.rows, meta=stored)


TEXT = st.characters(exclude_categories=["Cs"])
ODD = ["a", "A.csv", "build", "build.yml", "null", "1.5", "no", " x ", "- y", "k: v", "#c", "'q\"", "=", "é", "e\u0301"]
NAME = st.one_of(
    st.sampled_from([*ODD, "\x7f\x85"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6),
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
NUMBER = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
YAMLISH = st.sampled_from(["2020-01-01", "1e3", "~", "yes", "0x1", "1_000", "12:30:00", "=", "<<"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | st.text(TEXT, max_size=8) | YAMLISH,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(TEXT, max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    plain=strategies.tables(),
    rng=strategies.randoms(),
    names=st.lists(NAME, min_size=4, max_size=4, unique=True),
    meta=st.lists(JSON, min_size=3, max_size=3),
    keyed=st.booleans(),
    format=st.sampled_from(["parquet", "arrow"]),
)
def test_building_an_exported_package_gives_its_tophash(
    plain: Any, rng: random.Random, names: list[str], meta: list[Any], keyed: bool, format: str
) -> None:
    import rfc8785

    with tempfile.TemporaryDirectory() as folder:
        store = f"memory://{folder}"
        repository = Repository(store, create=True)
        odb = repository.odb
        key: tuple[str, ...] = ()
        if keyed:
            free = next(n for n in "klmnop" if n not in [name for name, _ in plain.schema])
            plain = strategies.Plain(
                [[free, "int64"], *plain.schema], [rng.sample(range(1000), plain.rows), *plain.columns]
            )
            key = (free,)
        blob = odb.write("blob", b"blob")
        inner = build_tree(
            [put(repository, names[0], plain, rng, (), meta[0]), TreeEntry(names[1], "blob", blob, 4)],
            lambda data: odb.write("node", data),
        )
        about = odb.write("blob", rfc8785.dumps(meta[1])) if meta[1] is not None else None
        entries = [
            TreeEntry(names[0], "tree", inner.oid, inner.bytes, inner.rows, inner.entries, about),
            put(repository, names[1], plain, rng, key, None),
            TreeEntry(
                names[2],
                "blob",
                blob,
                4,
                meta=odb.write("blob", rfc8785.dumps(meta[2])) if meta[2] is not None else None,
            ),
            put(repository, names[3], plain.slice(0, 0), rng, (), None),
        ]
        root = build_tree(entries, lambda data: odb.write("node", data)).oid
        repository.move(PKG, repository.make_commit(root, (), ""), None, "")
        dpkg.export(PKG, f"{folder}/out", format=format, store=store)
        built = dpkg.build(PKG, f"{folder}/out", store=f"{store}/other")
        assert built.tophash == root


def test_without_keys_and_metadata_no_build_yml_is_needed(store: Any, out: Path) -> None:
    store.commit(PKG, {"t": {"a": [1]}, "d": {"u": {"a": [1]}, "x.txt": b"x"}})
    dpkg.export(PKG, str(out))
    assert "build.yml" not in listing(out)
    dpkg.build("acme/y", str(out))
    assert tophash("acme/y") == tophash(PKG)


def test_a_large_table_comes_back(store: Any, tmp_path: Path) -> None:
    """Several fragments and row groups; the key's order is that of the rows."""
    rng = random.Random(3)
    n = 150_000
    table = pa.table(
        {
            "id": rng.sample(range(10 * n), n),
            "x": [rng.random() for _ in range(n)],
            "s": [f"{i % 97:x}" * 9 for i in range(n)],
        }
    )
    store.commit(PKG, {"t": (table, {"key": ["id"]}), "u": table})
    for format in ("parquet", "arrow"):
        dpkg.export(PKG, str(tmp_path / format), format=format)
        dpkg.build("acme/y", str(tmp_path / format))
        assert tophash("acme/y") == tophash(PKG)
