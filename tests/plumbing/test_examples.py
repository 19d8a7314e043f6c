"""The example scripts do what they say, with odd names, on bad input, and against others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpkg.plumbing

FOLDER = Path(dpkg.plumbing.__file__).parent / "examples"
ODD = "odd $(touch oops) 'name'\n\"*\" -x; é"


@pytest.fixture
def script(store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Runs an example with `dpk` on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dpk").write_text(f'#!/bin/sh\nexec {sys.executable} -m dpkg "$@"\n')
    (folder / "dpk").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def run(name: str, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        start = [sys.executable] if name.endswith(".py") else ["sh"]
        done = subprocess.run([*start, str(FOLDER / name), *args], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert not Path("oops").exists()
        return done

    return run


def test_every_example_is_explained_and_can_be_run() -> None:
    names = {p.name for p in FOLDER.iterdir() if p.suffix in (".sh", ".py")}
    assert len(names) == 3
    readme = (FOLDER / "README.md").read_text()
    for name in names:
        assert f"| `{name} " in readme
        assert os.access(FOLDER / name, os.X_OK)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("nightly-build.sh", []),
        ("nightly-build.sh", ["a/b"]),
        ("nightly-build.sh", ["a/b", "x", "y", "z"]),
        ("mirror.sh", ["x"]),
        ("mirror.sh", ["x", "y", "z"]),
        ("first-commit-with.py", []),
        ("first-commit-with.py", ["a/b/t", "x"]),
        ("first-commit-with.py", ["a/b", "x", "1"]),
    ],
)
def test_usage(script: Callable[..., Any], name: str, args: list[str]) -> None:
    said = script(name, *args, code=2)
    assert f"usage: {name} " in said.stderr
    assert said.stdout == ""


# nightly-build.sh


def test_nightly_build(script: Callable[..., Any], dpk: Callable[..., Any], store: Any) -> None:
    """A commit where there is something new, on top of the one before; the tree is what `dpk build` makes."""
    folder = Path(ODD)
    folder.mkdir()
    (folder / "sales.csv").write_text("day,amount\n2026-01-01,1.5\n")
    (folder / ODD).write_text("x")
    first = script("nightly-build.sh", "acme/nightly", ODD).stdout.strip()
    assert dpk("rev-parse", "acme/nightly").out.strip() == first
    assert script("nightly-build.sh", "acme/nightly", ODD).stdout.strip() == first  # nothing new
    (folder / "sales.csv").write_text("day,amount\n2026-01-01,1.5\n2026-01-02,2.5\n")
    second = script("nightly-build.sh", "acme/nightly", ODD, f"--message {ODD}").stdout.strip()
    assert dpk("rev-list", "acme/nightly").out.split() == [second, first]
    assert store.repository.commit(second).message == f"--message {ODD}"
    built = dpk("build", "acme/same", ODD, "--json").json
    assert built["tophash"] == dpk("rev-parse", "--tophash", "acme/nightly").out.strip()


def test_nightly_build_of_what_cannot_be_built(script: Callable[..., Any], dpk: Callable[..., Any], store: Any) -> None:
    script("nightly-build.sh", "acme/nightly", "none", code=3)
    script("nightly-build.sh", "Acme", ".", code=2)
    Path("bad").mkdir()
    Path("bad/t.csv").write_text("a,b\n1\n")
    script("nightly-build.sh", "acme/nightly", "bad", code=7)
    assert dpk("for-each-ref").out == ""


@pytest.mark.long
def test_nightly_builds_at_once_lose_none(script: Callable[..., Any], dpk: Callable[..., Any], store: Any) -> None:
    """Each has a commit in the one line of history."""
    names = ["a", "b", "c"]
    for name in names:
        Path(name).mkdir()
        Path(name, "file").write_text(name)
    store.commit("acme/nightly", {"x": b""}, "before")
    command = ["sh", str(FOLDER / "nightly-build.sh"), "acme/nightly"]
    running = [subprocess.Popen([*command, name, name], stdout=subprocess.PIPE, text=True) for name in names]
    made = [p.communicate()[0].strip() for p in running]
    assert [p.returncode for p in running] == [0, 0, 0]
    history = dpk("rev-list", "acme/nightly").out.split()
    assert set(made) == set(history[:3])
    assert len(history) == 4


def test_a_nightly_build_that_is_overtaken(
    script: Callable[..., Any], dpk: Callable[..., Any], store: Any, tmp_path: Path
) -> None:
    """The branch moves just before it would move it: the commit goes on top of the other."""
    before = store.commit("acme/nightly", {"x": b""}, "before")
    tree = store.tree({"y": b"other"})
    other = store.repository.make_commit(tree, (before,), "other")
    real = (tmp_path / "bin" / "dpk").read_text()
    shim = f'#!/bin/sh\nif [ "$1" = update-ref ] && mkdir "{tmp_path}/once" 2>/dev/null; then\n'
    shim += f"    {sys.executable} -m dpkg update-ref acme/nightly {other} {before}\nfi\n"
    (tmp_path / "bin" / "dpk").write_text(shim + real.partition("\n")[2])
    Path("new").mkdir()
    Path("new/file").write_text("new")
    made = script("nightly-build.sh", "acme/nightly", "new")
    assert "was moved" in made.stderr
    assert dpk("rev-list", "acme/nightly").out.split() == [made.stdout.strip(), other, before]


# mirror.sh


def test_mirror(script: Callable[..., Any], dpk: Callable[..., Any], sales: Any) -> None:
    """All refs, also of a store in a folder with an odd name; a second time nothing moves; then only what is new."""
    sales.commit("zoo/animals", {"cats": {"n": [1, 2]}, ODD: b"x"})
    sales.commit("acme/sales", {"x": b"next"}, branch="next")
    moved = script("mirror.sh", sales.url, ODD.replace("/", "")).stdout.splitlines()
    assert len(moved) == 4
    there = ["--store", ODD]
    assert dpk("for-each-ref", *there).out == dpk("for-each-ref").out
    assert dpk("verify", "--deep", *there).code == 0
    assert script("mirror.sh", sales.url, ODD).stdout == ""
    new = sales.commit("zoo/animals", {"cats": {"n": [1, 2, 3]}})
    sales.repository.refs.create_tag("zoo/animals", "v1", new, who="Ada")
    lines = script("mirror.sh", sales.url, ODD).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["zoo/animals/heads/main", "zoo/animals/tags/v1"]
    assert dpk("for-each-ref", *there).out == dpk("for-each-ref").out
    assert dpk("verify", "--deep", *there).code == 0


def test_mirror_sends_only_what_is_missing(script: Callable[..., Any], dpk: Callable[..., Any], sales: Any) -> None:
    script("mirror.sh", sales.url, "./copy")
    before = dpk("count-objects", "--store", "./copy").out
    old = sales.repository.tip("acme/sales")
    sales.commit("acme/sales", {"only": b"this"})
    (Path(sales.url) / "objects" / old[:2] / old[2:]).stat()
    listed = dpk("rev-list", "--objects", "acme/sales", f"^{old}").out.splitlines()
    assert [line.split()[0] for line in listed] == ["commit", "node", "blob"]
    script("mirror.sh", sales.url, "./copy")
    after = dpk("count-objects", "--store", "./copy").out
    assert int(after.split()[1]) == int(before.split()[1]) + 3


def test_mirror_does_not_overwrite(script: Callable[..., Any], dpk: Callable[..., Any], sales: Any) -> None:
    script("mirror.sh", sales.url, "./copy")
    copy = type(sales)(str(Path("copy").absolute()))
    theirs = copy.commit("acme/sales", {"x": b"made there"})
    sales.commit("acme/sales", {"x": b"made here"})
    said = script("mirror.sh", sales.url, "./copy", code=5)
    assert theirs in said.stderr
    assert copy.repository.tip("acme/sales") == theirs


def test_mirror_of_what_is_damaged_moves_no_ref(
    script: Callable[..., Any], dpk: Callable[..., Any], sales: Any
) -> None:
    oid = dpk("rev-parse", "acme/sales/docs").out.strip()
    path = Path(sales.url, "objects", oid[:2], oid[2:])
    path.unlink()
    script("mirror.sh", sales.url, "./copy", code=3)
    assert not Path("copy").exists()
    path.write_bytes(b"damaged")
    script("mirror.sh", sales.url, "./copy", code=6)
    script("mirror.sh", "./none", "./copy", code=3)
    assert not Path("copy").exists()


# first-commit-with.py


@pytest.fixture
def grown(store: Any) -> list[str]:
    """The commits of acme/grown: the table `my table` comes in the third, and has a row more in each then."""
    commits = [store.commit("acme/grown", {"x": str(i).encode()}, f"number {i}") for i in range(2)]
    for i in range(2, 9):
        table = {
            "id": list(range(i)),
            ODD: [f"v {n}" for n in range(i)],
            "maybe": [None if n == 5 else True for n in range(i)],
        }
        commits.append(store.commit("acme/grown", {"my table": table}, f"number {i}\nmore"))
    return commits


@pytest.mark.parametrize(
    ("column", "value", "at"),
    [
        ("id", "7", 8),
        (ODD, "v 6", 7),
        ("maybe", "null", 6),
        pytest.param("id", "0", 2, marks=pytest.mark.long),
        pytest.param("id", "4", 5, marks=pytest.mark.long),
        pytest.param("maybe", "true", 2, marks=pytest.mark.long),
    ],
)
def test_first_commit_with(script: Callable[..., Any], grown: list[str], column: str, value: str, at: int) -> None:
    said = script("first-commit-with.py", "acme/grown/my table", column, value).stdout.split(" ", 2)
    assert (said[0], said[2]) == (grown[at], f"number {at}\n")


def test_first_commit_with_a_revision(script: Callable[..., Any], grown: list[str]) -> None:
    table = "acme/grown@latest~2/my table"
    assert script("first-commit-with.py", table, "id", "5").stdout.split()[0] == grown[6]
    assert "is not in column" in script("first-commit-with.py", table, "id", "7", code=3).stderr


def test_first_commit_with_what_is_not_there(script: Callable[..., Any], grown: list[str]) -> None:
    for args, code in (
        (["acme/grown/my table", "id", "99"], 3),
        (["acme/grown/my table", "none", "1"], 2),
        (["acme/grown/none", "id", "1"], 3),
        (["acme/none/t", "id", "1"], 3),
        (["acme", "id", "1"], 2),
    ):
        said = script("first-commit-with.py", *args, code=code)
        assert (said.stdout, bool(said.stderr)) == ("", True), args
