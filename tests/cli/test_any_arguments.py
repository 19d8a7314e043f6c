"""Whatever the arguments: an exit code that is documented, an error that is a sentence, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dpkg.cli import commands
from dpkg.cli.parse import COMMON

FLAGS = sorted(
    {
        f
        for n in commands.names()
        for o in __import__(commands.module_of(n) or "", fromlist=["COMMAND"]).COMMAND.opts
        for f in o.flags.split()
    }
)
KNOWN = [
    "acme/sales",
    "acme/sales@v1",
    "acme/sales@latest~1",
    "acme/sales@v1..latest",
    "acme/sales/transactions",
    "acme/sales/docs",
    "acme/sales/README.md",
    "acme/sales@0",
    "acme/sales@" + "f" * 64,
    "acme/sales@latest~" + "9" * 30,
    "acme/new",
    "f" * 64,
    "F" * 64,
    "none",
    "v2",
    "latest",
    "main",
    "list",
    "add",
    "rm",
    "author",
    "remote.x",
    "files",
    "files/a.txt",
    "csv",
    "3",
    "-1",
    str(2**70),
    "s3://key:secret@bucket",
    ".",
    "~nobody/x",
]
# What leads out of the folder that the test is in is left out: `dpk build a/b /` would read the disk.
TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("@/~.-=\udc80\x1b"), max_size=8
)
WORDS = st.sampled_from(KNOWN) | TEXT.filter(
    lambda t: not t.startswith(("/", "~")) and ".." not in t and "://" not in t
)


@st.composite
def arguments(draw: st.DrawFn) -> list[str]:
    """A command with some of its options and some words, or anything."""
    name = draw(st.sampled_from(commands.names()) | WORDS)
    module = commands.module_of(name)
    own = FLAGS
    if module:
        own = [f for o in __import__(module, fromlist=["COMMAND"]).COMMAND.opts for f in o.flags.split()]
    flags = st.sampled_from([f for f in [*own, *COMMON, "--", "-"] if f != "--store"])
    return [name, *draw(st.lists(WORDS | WORDS | flags, max_size=5))]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, make_store: Any) -> Iterator[Path]:
    """A folder with a store and some files, and the current folder is a copy of it."""
    made = tmp_path_factory.mktemp("template")
    store = make_store(str(made / ".dpk"))
    contents = {"transactions": {"id": [1, 2]}, "README.md": b"# Sales\n", "docs": {"guide.txt": b"\xff"}}
    commit = store.commit("acme/sales", contents, "first \x1b[31m")
    store.repository.refs.create_tag("acme/sales", "v1", commit, who="Ada")
    store.commit("acme/sales", {**contents, "transactions": {"id": [1, 2, 3]}}, "second")
    (made / "files").mkdir()
    (made / "files" / "a.txt").write_text("a\n")
    before = os.getcwd()
    yield made
    os.chdir(before)


def check(run: Any, args: list[str], stdin: bytes) -> None:
    ran = run(*args, stdin=stdin, code=None)
    assert ran.code in (0, 2, 3, 4, 5, 6, 7, 8, 9, 10), ran.err
    assert b"Traceback" not in ran.stderr or "--debug" in args
    assert b"\x1b" not in ran.stderr
    own = args[: args.index("--")] if "--" in args else args
    if ran.code == 0 or "--debug" in args:
        return
    if "--json" in own:
        said = json.loads(ran.err.splitlines()[-1])
        assert said["exit_code"] == ran.code
        assert said["message"]
    else:
        assert ran.err.startswith("dpk: ")
        assert len(ran.err) > 10


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(args=arguments(), stdin=st.binary(max_size=20))
@example(args=["tag", "acme/sales", "v3", "latest~" + "9" * 5000], stdin=b"")
@example(args=["show", "acme/sales/transactions", "-n", str(2**70)], stdin=b"")
@example(args=["commit-tree", "acme/sales", "-m", "\udc80"], stdin=b"")
@example(args=["commit-tree", "acme/sales", "--author", "\udc80"], stdin=b"")
@example(args=["ls", "acme/sales/\udc80"], stdin=b"")
@example(args=["ls", "\udc80/x"], stdin=b"")
@example(args=["hash-object", "\udc80"], stdin=b"")
@example(args=["hash-object", "files", "-w"], stdin=b"")
@example(args=["hash-object", "--stdin", "--table"], stdin=b"PAR1")
@example(args=["cat-object", "--batch"], stdin=b"\xff\nacme/sales\n\n" + b"f" * 64)
@example(args=["config", "author", "\udc80"], stdin=b"")
@example(args=["remote", "add", "x", "s3://k:s@b"], stdin=b"")
@example(args=["update-ref", "acme/sales", "acme/sales", "--branch", "\udc80"], stdin=b"")
@example(args=["export", "acme/sales", "\udc80"], stdin=b"")
def test_any_arguments(template: Path, run: Any, args: list[str], stdin: bytes) -> None:
    folder = template.parent / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    os.chdir(folder)
    check(run, args, stdin)
