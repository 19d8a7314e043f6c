"""The stat cache: an unchanged file is not read again, a changed one always is, whatever the cache says (STO-24)."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dpkg
from dpkg import plumbing
from dpkg.compiler import compile as compiling
from dpkg.compiler import statcache
from dpkg.errors import Format
from dpkg.repository import Repository

PKG = "acme/x"
YML = "contents:\n  t: {file: t.csv%s}\n  raw: {file: t.csv, as: blob%s}\n  a: {file: a.txt}\n"


def settle() -> None:
    """Wait until no file is so new that it is not trusted."""
    time.sleep(0.15)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    (made / "sub").mkdir(parents=True)
    (made / "t.csv").write_text("a,b\n1,x\n2,\n")
    (made / "a.txt").write_text("hello")
    (made / "sub" / "b.txt").write_text("there")
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that builds read, as they do."""
    found: list[str] = []
    real = compiling._work

    def work(odb: Any, small: Any, task: Any) -> Any:
        found.extend(os.path.basename(item.source) for item in task)
        return real(odb, small, task)

    monkeypatch.setattr(compiling, "_work", work)
    return found


@pytest.fixture
def build(src: Path, store: Any, read: list[str]) -> Callable[..., list[str]]:
    """Builds, checks the result against a build that reads everything, and says what was read."""

    def run(**options: Any) -> list[str]:
        read.clear()
        built = dpkg.build(PKG, str(src), **options)
        found = sorted(read)
        with TemporaryDirectory() as fresh:
            assert plumbing.write_tree(str(src), store=fresh, **options).oid == built.tophash
            assert [e.oid for e in dpkg.build(PKG, str(src), store=fresh, **options).entries] == [
                e.oid for e in built.entries
            ]
        return found

    return run


@pytest.mark.spec("STO-24")
def test_only_what_changed_is_read(src: Path, build: Callable[..., list[str]]) -> None:
    settle()
    assert build() == ["a.txt", "b.txt", "t.csv"]
    assert build() == []
    (src / "a.txt").write_text("hallo")  # as long as before
    settle()
    assert build() == ["a.txt"]
    assert build() == []
    (src / "sub").rename(src / "bus")
    assert build() == ["b.txt"]
    (src / "a.txt").unlink()
    assert build() == []
    os.link(src / "t.csv", src / "u.csv")  # that changes the time of both
    settle()
    assert build() == ["t.csv", "u.csv"]
    assert build(raw=True) == ["t.csv", "u.csv"]


@pytest.mark.spec("STO-24")
def test_a_file_of_this_moment_is_read_again(src: Path, build: Callable[..., list[str]], read: list[str]) -> None:
    """It may change once more without a trace in its times."""
    settle()
    (src / "a.txt").write_text("now")
    assert build() == ["a.txt", "b.txt", "t.csv"]
    settle()
    assert build() == ["a.txt"]
    assert build() == []
    os.utime(src / "a.txt", ns=(0, time.time_ns() + 10**12))  # later than any build
    settle()
    assert build() == ["a.txt"]
    assert build() == ["a.txt"]


@pytest.mark.spec("STO-24")
def test_a_coarse_clock_is_given_two_seconds() -> None:
    began = 1_800_000_000_000_000_000

    def old(changed: int) -> bool:
        return statcache._is_old(compiling.UNKNOWN[:16] + changed.to_bytes(8, "little") + bytes(8), began)

    assert [old(began - ns) for ns in (10**6, 99_999_999, 100_000_001)] == [False, False, True]
    assert [old(began - s * 10**9) for s in (1, 2, 3)] == [
        False,
        False,
        True,
    ]  # a clock of whole seconds, perhaps of two


@pytest.mark.spec("STO-24")
def test_a_file_that_changes_while_it_is_read(
    src: Path, build: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, store: Any, read: list[str]
) -> None:
    settle()
    real = compiling.os.read

    def late(file: int, size: int) -> bytes:
        data = real(file, size)
        if data == b"hello":
            (src / "a.txt").write_text("hallo")
        return data

    monkeypatch.setattr(compiling.os, "read", late)
    dpkg.build(PKG, str(src))
    monkeypatch.undo()
    settle()
    tree = plumbing.write_tree(str(src), store=str(src.parent / "fresh")).oid
    assert dpkg.build(PKG, str(src)).tophash == tree


@pytest.mark.spec("STO-24")
def test_what_build_yml_says_of_other_files_does_not_matter(src: Path, build: Callable[..., list[str]]) -> None:
    def write(*parts: str) -> None:
        (src / "build.yml").write_text(YML % parts)

    write("", "")
    settle()
    assert build() == ["a.txt", "t.csv", "t.csv"]
    assert build() == []
    write(", nulls: [x]", "")
    assert build() == ["t.csv"]
    write(", nulls: [x]", ", meta: {by: me}")
    assert build() == []
    write(", nulls: [x], key: [a]", ", meta: {by: you}")
    assert build() == ["t.csv"]
    (src / "build.yml").write_text("contents:\n  of: {meta: {m: 1}, contents: {b: {file: a.txt}}}\n")
    assert build() == []
    (src / "build.yml").write_text("contents:\n  of: {meta: {m: 2}, contents: {b: {file: a.txt}}}\n")
    assert build() == []


def test_notes_are_given_again(src: Path, store: Any, read: list[str]) -> None:
    (src / "t.csv").write_text("id\n" + "1\n" * 2000 + "n/a\n")
    settle()
    first = dpkg.build(PKG, str(src))
    read.clear()
    again = dpkg.build(PKG, str(src))
    assert read == []
    assert again.entries == first.entries
    assert [w.value for e in again.entries for w in e.widened] == ["n/a"]


def caches(store: Any) -> list[Path]:
    return sorted(Path(store.url, "derived", "stat-cache").iterdir())


@pytest.mark.spec("STO-24")
def test_what_is_stored_whole_is_not_read(src: Path, store: Any, build: Callable[..., list[str]]) -> None:
    """Whether the newest commit holds it or not."""
    settle()
    build()
    store.commit(PKG, {"a.txt": b"hello", "other": b"by someone else"})
    assert build() == []
    dpkg.rm(PKG)
    assert build() == []
    dpkg.rm(PKG)
    dpkg.gc()
    store.commit("acme/y", {"a": b"hello"})
    assert build() == ["a.txt", "b.txt", "t.csv"]
    assert len(caches(store)) == 1


@pytest.mark.spec("STO-24")
@pytest.mark.parametrize("rows", [1, 30_000])
def test_what_lacks_anything_is_read(src: Path, store: Any, build: Callable[..., list[str]], rows: int) -> None:
    """A part of it may be gone: here each in turn, of a commit that is gone too."""
    (src / "t.csv").write_text("id\n" + "".join(f"{i * 7919 % 30011}\n" for i in range(rows)))
    (src / "large").write_bytes(random.Random(1).randbytes(9_000_000 if rows > 1 else 10))
    settle()
    build()
    files = [
        path for folder in ("objects", "fragments") for path in Path(store.url, folder).rglob("*") if path.is_file()
    ]
    assert len(files) > 4
    for path in files:
        dpkg.rm(PKG)
        path.unlink()
        dpkg.build(PKG, str(src))
        assert dpkg.verify(deep=True).problems == ()


@pytest.mark.spec("STO-24")
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("error", [Format, KeyboardInterrupt])
def test_a_build_that_was_broken_off_is_taken_up(
    src: Path, build: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, error: type[BaseException], again: bool
) -> None:
    settle()
    if again:
        build()
        for name in ("a.txt", "t.csv", "sub/b.txt"):
            (src / name).write_text(f"n\n{len(name)}\n")
    (src / "u.csv").write_text("n\n1\n")
    (src / "v.csv").write_text("n\n1\n")
    settle()
    real = compiling.compile_table

    def ended(odb: Any, item: Any, *rest: Any) -> Any:
        if item.name == "u":
            raise error("as it happens")
        return real(odb, item, *rest)

    monkeypatch.setattr(compiling, "compile_table", ended)
    with pytest.raises(error):
        dpkg.build(PKG, str(src))
    with pytest.raises(error):
        dpkg.build(PKG, str(src))
    monkeypatch.setattr(compiling, "compile_table", real)
    assert build() == ["u.csv", "v.csv"]
    assert build() == []


@pytest.mark.spec("STO-10")
@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "flipped", "noise", "another", "deep", "foreign"])
def test_a_cache_that_is_none_is_left_alone(
    src: Path, store: Any, build: Callable[..., list[str]], damage: str
) -> None:
    settle()
    build()
    (cache,) = caches(store)
    data = cache.read_bytes()
    if damage == "absent":
        cache.unlink()
    elif damage == "foreign":  # the cache of a folder that was somewhere else
        (src / "a.txt").write_text("hallo")
    else:
        cache.write_bytes(
            {
                "empty": b"",
                "cut": data[:-1],
                "flipped": data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
                "noise": b"\xff\n" * 300,
                "another": statcache.StatCache("x", "y", ["a"], bytes(64))
                .encode("/")
                .replace(b'"form": 2', b'"form": 9'),
                "deep": b"[" * 100_000 + b"\n",
            }[damage]
        )
    assert build() == (["a.txt"] if damage == "foreign" else ["a.txt", "b.txt", "t.csv"])


def test_another_package_of_the_same_folder_has_its_own(src: Path, store: Any, read: list[str]) -> None:
    settle()
    for package in (PKG, "acme/y"):
        read.clear()
        dpkg.build(package, str(src))
        assert len(read) == 3
    read.clear()
    for package in (PKG, "acme/y", PKG):
        assert not dpkg.build(package, str(src)).created
    assert read == []
    assert len(caches(store)) == 2


@pytest.mark.spec("STO-24")
def test_builds_of_other_places_leave_nothing_behind(src: Path, tmp_path: Path, store: Any, read: list[str]) -> None:
    for n in range(3):
        shutil.copytree(src, tmp_path / f"checkout-{n}")
        settle()
        read.clear()
        dpkg.build(PKG, str(tmp_path / f"checkout-{n}"))
        assert len(read) == 3
        assert len(caches(store)) == 1
    dpkg.rm(PKG)
    dpkg.gc()
    assert caches(store) == []


# Any folder, any edits

NAMES = ("a", "b.csv", "d/c", "d/e.csv", "d")
WORDS = ("id,n\n1,x\n", "id,n\n2,y\n", "id,n\n1,\n\n")  # of one size
PLANS = ("", "contents: {q: {file: b.csv%s}}\n", "contents: {z: {contents: {q: {file: b.csv%s}}, meta: {a: 1}}}\n")
OPTIONS = ("", ", key: [id]", ", nulls: [x]", ", as: blob", ", meta: [1]")


def write(path: Path, text: str, keep: bool) -> None:
    """The same size, and with `keep` the same time as before."""
    before = path.stat() if path.is_file() else None
    if path.is_dir():
        for below in path.iterdir():
            below.unlink()
        path.rmdir()
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    if keep and before:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def edit(root: Path, step: Any) -> None:
    kind, name, other, text, flag = step
    path, target = root / name, root / other
    if kind == "write":
        write(path, text, flag)
    elif kind == "touch" and path.exists():
        os.utime(path)
    elif kind == "move" and path.is_file() and target.is_file():
        path.replace(target)
    elif kind == "link" and path.is_file() and target.is_file() and path != target:
        target.unlink()
        os.link(path, target)
    elif kind == "swap" and path.is_file() and target.is_file() and path != target:
        spare = root.parent / "spare"
        path.rename(spare)
        target.rename(path)
        spare.rename(target)
    elif kind == "wait":
        time.sleep(0.11)


STEPS = st.tuples(
    st.sampled_from(["write", "write", "touch", "move", "link", "swap", "wait"]),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.sampled_from(WORDS),
    st.booleans(),
)
ROUNDS = st.lists(
    st.tuples(st.lists(STEPS, max_size=4), st.sampled_from(PLANS), st.sampled_from(OPTIONS), st.booleans()),
    min_size=2,
    max_size=6,
)


@pytest.mark.spec("STO-24")
@given(ROUNDS)
@settings(max_examples=18, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_tophash_is_that_of_a_build_that_reads_everything(rounds: Any) -> None:
    with TemporaryDirectory() as folder:
        root, store = Path(folder, "src"), str(Path(folder, "store"))
        root.mkdir()
        (root / "b.csv").write_text(WORDS[0])
        for n, (steps, plan, options, away) in enumerate(rounds):
            for step in steps:
                edit(root, step)
            write(root / "keep", "x", keep=True)
            plan = plan if (root / "b.csv").is_file() else ""
            (root / "build.yml").unlink(missing_ok=True)
            if plan:
                (root / "build.yml").write_text(plan % options)
            if away and n:
                repository = Repository(store)
                old = repository.tip(PKG)
                assert old is not None
                first = list(repository.history(old))[-1][1].tree
                repository.move(PKG, repository.make_commit(first, (old,), "back"), old, "back")
            built = dpkg.build(PKG, str(root), store=store)
            assert built.tophash == plumbing.write_tree(str(root), store=str(Path(folder, f"fresh{n}"))).oid
        assert dpkg.verify(store=store, deep=True).problems == ()
