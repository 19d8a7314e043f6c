"""On a real terminal (a pty of a set width): colours, lines that fit, progress bars that leave nothing behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from dpkg.cli import bars

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONG = "a-file-with-a-rather-long-name-that-nobody-likes-to-read-on-a-small-terminal.txt"


def terminal(*args: str, columns: int = 80, **env: str) -> str:
    """What `dpk ARGS` writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    made = {**os.environ, "TERM": "xterm-256color", **env}
    command = [sys.executable, "-m", "dpkg", *args]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=made)
    os.close(theirs)
    out = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(ours)
    assert process.wait() in (0, 3), out
    return out.decode().replace("\r\n", "\n")


def plain(text: str) -> list[str]:
    return ESCAPES.sub("", text).splitlines()


@pytest.fixture
def long(sales: Any) -> Any:
    """A second package, in which everything is long."""
    columns = {f"column_{i}_of_a_wide_table": [f"value {i} " * 5] * 3 for i in range(20)}
    contents = {"wide": columns, "docs": {"deeper": {LONG: b"text\n" * 40, "empty": b""}}}
    sales.commit("an-owner/a-package-of-a-long-name", contents, "What changed, in a sentence.\n\nAnd why.")
    sales.repository.refs.create_tag(
        "acme/sales", "a-tag-of-some-length", sales.repository.tip("acme/sales"), who="Ada"
    )
    more = {"docs": {"other": {LONG: b"text\n" * 40}, "new-" + LONG: b""}, "wide": {"column_3_of_a_wide_table": [1]}}
    sales.commit("an-owner/a-package-of-a-long-name", more, "second")
    return sales


COMMANDS = [
    ["ls"],
    ["ls", "-r", "an-owner/a-package-of-a-long-name"],
    ["show", "an-owner/a-package-of-a-long-name"],
    ["show", "an-owner/a-package-of-a-long-name@latest~1/wide"],
    ["show", "acme/sales/README.md"],
    ["log", "an-owner/a-package-of-a-long-name"],
    ["log", "--oneline", "acme/sales"],
    ["diff", "acme/sales", "--rows", "0"],
    ["diff", "an-owner/a-package-of-a-long-name", "--rows", "0"],
    ["diff", "an-owner/a-package-of-a-long-name"],
    ["remote"],
    ["--help"],
    ["show", "--help"],
]


@pytest.mark.parametrize("columns", [80, 200])
def test_lines_fit(long: Any, columns: int) -> None:
    for args in COMMANDS:
        lines = plain(terminal(*args, columns=columns))
        assert lines
        assert max(map(len, lines)) <= columns, (args, lines)
        if args[0] == "ls" or "--rows" in args:  # cells of rows are cut on a wide terminal, too
            assert any("…" in line for line in lines) == (columns == 80 and "acme/sales" not in args)


def test_build_fits(long: Any, tmp_path: Path) -> None:
    folder = tmp_path / "here" / "files"
    folder.mkdir()
    (folder / "table.csv").write_text("id,name\n1,x\n")
    (folder / LONG).write_text("x")
    lines = plain(terminal("build", "acme/built", "files"))
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:2] == ["table", "table"] for line in lines)
    assert any("…" in line and line.endswith("1 B") for line in lines)


def test_nothing_is_left_out_without_a_terminal(long: Any, run: Any) -> None:
    for args in (
        ["ls", "-r", "an-owner/a-package-of-a-long-name"],
        ["show", "an-owner/a-package-of-a-long-name@latest~1/wide"],
    ):
        said = run(*args).out
        assert LONG in said or "column_19_of_a_wide_table" in said
        assert "more" not in said


@pytest.mark.spec("CLI-7")
def test_colours(long: Any) -> None:
    for args in (
        ["ls"],
        ["log", "acme/sales"],
        ["diff", "acme/sales"],
        ["show", "acme/sales"],
        ["--help"],
        ["ls", "no/such"],
    ):
        coloured = terminal(*args)
        assert "\x1b[" in coloured
        assert ESCAPES.sub("", coloured) == terminal(*args, NO_COLOR="1") == terminal(*args, TERM="dumb")
    assert "\x1b" in terminal("ls", NO_COLOR="")


def test_json_has_no_colours(long: Any) -> None:
    assert "\x1b" not in terminal("ls", "--json")


def test_a_terminal_that_does_not_know_its_width(long: Any) -> None:
    assert plain(terminal("ls", columns=0)) == plain(terminal("ls", columns=80))


def test_a_very_narrow_terminal(long: Any) -> None:
    for args in COMMANDS:
        assert terminal(*args, columns=20)


NASTY = "\x1b]0;evil\x07\x1b[2J\x9b31m\u202e\r"


@pytest.mark.spec("CLI-7")
def test_nothing_from_data_steers_the_terminal(store: Any) -> None:
    """Names, messages, authors, columns, cells and files may hold anything."""
    table = {f"column{NASTY}": [f"cell{NASTY}", "b"]}
    contents = {f"name{NASTY}.txt": f"text{NASTY}\n".encode(), f"table{NASTY}": table, f"folder{NASTY}": {"x": b""}}
    store.commit("acme/nasty", {"x": b""}, "first")
    repository = store.repository
    tree = store.tree({"deep": contents, **contents})
    old = repository.tip("acme/nasty")
    made = repository.make_commit(tree, (old,), f"message{NASTY}\nmore", f"author{NASTY}")
    repository.move("acme/nasty", made, old, f"why{NASTY}")
    for args in (
        ["ls", "-r", "acme/nasty"],
        ["log", "acme/nasty"],
        ["log", "--oneline", "acme/nasty"],
        ["show", "acme/nasty"],
        ["show", f"acme/nasty/table{NASTY}"],
        ["show", f"acme/nasty/name{NASTY}.txt"],
        ["diff", "acme/nasty"],
        ["ls-tree", "-r", "acme/nasty"],
        ["ls", f"acme/nasty/no{NASTY}"],
        ["ls", "acme/nasty/nam"],
        ["ls", "-r", "acme/nasty", "--json"],
        ["show", f"acme/nasty/table{NASTY}", "--json"],
        ["ls", f"acme/nasty/no{NASTY}", "--json"],
    ):
        said = ESCAPES.sub("", terminal(*args, columns=300))
        assert not [c for c in said if not c.isprintable() and c not in "\n\t"], args


def test_a_tree_of_nasty_names_in_python(store: Any) -> None:
    import dpkg

    store.commit("acme/nasty", {f"name{NASTY}.txt": b"", f"table{NASTY}": {f"a{NASTY}": [1]}})
    tree = dpkg.load("acme/nasty")
    for node in (tree, tree[f"table{NASTY}"], tree[f"name{NASTY}.txt"]):
        for text in (repr(node), node._repr_html_()):
            assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_bars_come_and_go(store: Any, tmp_path: Path) -> None:
    folder = tmp_path / "here" / "files"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i}.txt").write_text(str(i))
    said = terminal("build", "acme/many", "files")
    assert "built" in said
    assert plain(said)[-1].startswith("built acme/many")
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") > 0  # the cursor is hidden, and comes back
    quiet = terminal("build", "acme/more", "files", "--quiet")
    assert "\x1b[?25l" not in quiet


def test_bars_leave_the_output_alone(store: Any, tmp_path: Path) -> None:
    """`dpk build … > file` on a terminal: the bars are on the terminal, the result in the file."""
    (tmp_path / "here" / "x.txt").write_text("x")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dpkg", "build", "acme/x", "x.txt"]
    env = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=env, check=True, text=True)
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert "built acme/x" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x1b[?25h" in drawn
    assert "acme/x" not in drawn


class Clock:
    now = 1.0


def test_plain_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal: at most a line every few seconds, the first after some."""
    monkeypatch.setattr("dpkg.cli.bars.monotonic", lambda: Clock.now)
    from dpkg import progress

    with bars.shown() as shown:
        assert isinstance(shown, bars.Lines)
        for _ in range(48):
            progress.advance("stored", 1000, 200_000, "rows")
            progress.advance("moved", 1_000_000, None, "bytes")
            Clock.now += 0.25
    progress.advance("stored", 1, None, "rows")  # nobody listens any more
    assert capsys.readouterr().err.splitlines() == [
        "stored: 21,000 of 200,000 rows, 4,200 rows/s, 43 s left",
        "stored: 41,000 of 200,000 rows, 4,100 rows/s, 39 s left",
    ]
