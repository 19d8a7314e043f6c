"""The TAB key: what `dpk __complete` offers, and what real shells make of it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dpkg.cli import commands
from dpkg.cli.shells import quoted, split
from dpkg.command import Opt

BREAKS = " \t\n\"'@><=;|&(:"


@pytest.fixture
def full(sales: Any, dpk: Callable[..., Any]) -> Any:
    """acme/sales with awkward names, another package, a remote, and some files here."""
    contents = {
        "docs": {"a b.txt": b"1", "it's.txt": b"2", "c:d=e@f.txt": b"3", "in(side)": {"x": b""}, "esc\x1b.txt": b""},
        "transactions": {"id": [1]},
        "trees": {"oak": b""},
        "größe": b"",
    }
    sales.commit("acme/sales", contents, "third")
    sales.commit("acme/stock", {"x": b""})
    sales.commit("beta/one", {"x": b""}, branch="side")
    dpk("remote", "add", "origin", "./remote")
    dpk("push", "beta/one", "origin", code=None)
    dpk("push", "acme/stock", "origin")
    Path("afile.csv").write_text("a\n1\n")
    Path("a folder").mkdir()
    return sales


def offered(dpk: Callable[..., Any], *words: str) -> list[str]:
    """The words that zsh and fish are offered, the last given one being typed."""
    ran = dpk("__complete", "zsh", *words)
    assert ran.err == ""
    return [line.partition("\t")[0] for line in ran.out.splitlines()]


def test_commands(dpk: Callable[..., Any]) -> None:
    assert offered(dpk, "") == ["help", *commands.names()]
    assert offered(dpk, "log") == ["log"]
    assert offered(dpk, "help", "sho") == ["show", "show-ref"]
    assert offered(dpk, "--json", "--store", "x", "rev-p") == ["rev-parse"]
    assert offered(dpk, "nonsense", "") == []
    assert "--version" in offered(dpk, "--")


def test_options_and_their_values(dpk: Callable[..., Any]) -> None:
    assert offered(dpk, "log", "--o") == ["--oneline"]
    assert {"-n", "--max-count", "--json", "-q"} <= set(offered(dpk, "log", "-"))
    assert offered(dpk, "export", "--format", "") == ["parquet", "csv", "arrow", "jsonl"]
    assert offered(dpk, "export", "--format=c") == ["--format=csv"]
    assert offered(dpk, "log", "--progress", "p") == ["plain"]
    assert offered(dpk, "--progress", "n") == ["none"]
    assert offered(dpk, "install", "acme/sales", "--into", "") == [":dir"]
    assert offered(dpk, "--store") == ["--store"]
    assert offered(dpk, "--store", "") == offered(dpk, "ls", "--store=") == [":dir"]
    assert offered(dpk, "tag", "a/b", "-m", "") == []
    assert offered(dpk, "completion", "") == ["bash", "zsh", "fish"]


def test_packages_revisions_and_paths(dpk: Callable[..., Any], full: Any) -> None:
    assert offered(dpk, "log", "") == ["acme/sales", "acme/stock", "beta/one"]
    assert offered(dpk, "log", "acme/s") == ["acme/sales", "acme/stock"]
    assert offered(dpk, "log", "acme/st") == ["acme/stock", "acme/stock@"]
    assert offered(dpk, "show", "acme/sales") == ["acme/sales", "acme/sales@", "acme/sales/"]
    assert offered(dpk, "build", "acme/st") == ["acme/stock"]
    assert offered(dpk, "show", "acme/sales@") == ["acme/sales@latest", "acme/sales@v1", "acme/sales@main"]
    assert offered(dpk, "show", "acme/sales@v") == ["acme/sales@v1", "acme/sales@v1/"]
    assert offered(dpk, "log", "acme/sales@v") == ["acme/sales@v1"]
    assert offered(dpk, "diff", "acme/sales@v1..l") == ["acme/sales@v1..latest"]
    assert offered(dpk, "diff", "acme/sales", "acme/st") == ["acme/stock", "acme/stock@", "acme/stock/"]
    assert offered(dpk, "show", "acme/sales/tr") == ["acme/sales/transactions", "acme/sales/trees/"]
    assert offered(dpk, "show", "acme/sales@v1/tra") == ["acme/sales@v1/transactions"]
    assert offered(dpk, "show", "acme/sales/docs/a") == ["acme/sales/docs/a b.txt"]
    assert offered(dpk, "show", "acme/sales/gr") == ["acme/sales/größe"]
    assert offered(dpk, "log", "acme/sales/tr") == []
    assert offered(dpk, "tag", "acme/sales", "v2", "") == ["latest", "v1", "main"]
    assert offered(dpk, "update-ref", "beta/one", "beta/one", "--branch", "") == ["side"]
    assert offered(dpk, "log", "acme/sales", "") == []
    assert offered(dpk, "log", "--", "acme/st") == ["acme/stock", "acme/stock@"]
    assert not [name for name in offered(dpk, "show", "acme/sales/docs/") if "esc" in name]


def test_remotes_settings_and_files(dpk: Callable[..., Any], full: Any) -> None:
    assert offered(dpk, "push", "acme/sales", "") == ["origin", ":dir"]
    assert offered(dpk, "push", "acme/sales", "./") == [":dir"]
    assert offered(dpk, "remote", "rm", "") == ["origin"]
    assert {"author", "store", "remote.origin"} <= set(offered(dpk, "config", ""))
    assert offered(dpk, "build", "acme/new", "") == [":file"]
    assert offered(dpk, "hash-object", "a", "b", "") == [":file"]
    assert offered(dpk, "install", "") == ["acme/stock", "acme/stock@", "acme/stock/"]
    assert offered(dpk, "install", "acme/s", "origin") == ["origin", ":dir"]


def test_another_store(dpk: Callable[..., Any], full: Any) -> None:
    assert offered(dpk, "ls", "--store", "./remote", "acme/") == ["acme/stock", "acme/stock@", "acme/stock/"]
    assert offered(dpk, "--store=./remote", "log", "") == ["acme/stock", "acme/stock@"]


@pytest.mark.spec("CLI-12")
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["zsh"],
        ["bash"],
        ["bash", "dpk show acme/sales/docs/esc", BREAKS],
        ["zsh", "show", "acme/none@v1/x"],
        ["zsh", "show", "acme/sales@nothing/"],
        ["zsh", "show", "acme/sales/README.md/"],
        ["zsh", "ls", "--store", "./absent", ""],
        ["zsh", "ls", "--store", "s3://bucket", ""],
        ["zsh", "ls", "--store", "gopher://x", ""],
        ["zsh", "tag", "NOT A NAME", "x", ""],
        ["zsh", "show", "\udc80"],
        ["nonsense", "show", "acme/none"],
    ],
)
def test_never_an_error(dpk: Callable[..., Any], full: Any, words: list[str]) -> None:
    ran = dpk("__complete", *words)
    assert ran.err == ""
    assert not [c for c in ran.out if not c.isprintable() and c not in "\n\t"]
    assert not [line for line in ran.out.splitlines() if "none" in line or "esc" in line]


def test_a_damaged_store_is_silent(dpk: Callable[..., Any], full: Any) -> None:
    for path in Path(full.url, "objects").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert offered(dpk, "show", "acme/sales/") == []
    assert offered(dpk, "show", "acme/sal") == ["acme/sales", "acme/sales@", "acme/sales/"]


def test_every_parameter_says_what_it_is() -> None:
    """A kind that the completer knows; what has none is free text, a number, or an id."""
    from dpkg.command import __file__ as source

    kinds = set(re.findall(r'"([a-z-]+)"', re.search(r"Literal\[(.*?)\]", Path(source).read_text(), re.DOTALL)[1]))  # type: ignore[index]
    used, free = set(), set()
    for name in commands.names():
        for p in __import__(commands.module_of(name) or "", fromlist=["COMMAND"]).COMMAND.params:
            used.add(p.completes)
            if not p.completes and not p.choices and (not isinstance(p, Opt) or p.type is str):
                free.add(p.metavar or p.name if isinstance(p, Opt) else p.name)
    assert used - {""} <= kinds
    assert kinds - used == {"command"}  # of help
    assert not free & {
        "package",
        "expr",
        "PACKAGE",
        "REMOTE",
        "DIR",
        "STORE",
        "FILE",
        "path",
        "file",
        "files",
        "remote",
    }


@pytest.mark.spec("CLI-12")
def test_no_data_library_for_a_tab(full: Any) -> None:
    for line in ("dpk show acme/sales@v1/tra", "dpk ls acme/", "dpk push acme/sales o", "dpk export --format "):
        code = "from dpkg.cli.main import run; import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); run()"
        command = [sys.executable, "-c", code, "__complete", "bash", line, BREAKS]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout
        assert not {"pyarrow", "numpy", "pandas", "rich", "fsspec", "argparse"} & set(done.stderr.split())


@pytest.mark.parametrize(
    ("line", "words", "anchor", "quote"),
    [
        ("dpk ", ["dpk", ""], 0, ""),
        ("dpk  log   a", ["dpk", "log", "a"], 0, ""),
        ("dpk log a/b@v1", ["dpk", "log", "a/b@v1"], 3, ""),
        ("dpk log a/b@v1/x:y", ["dpk", "log", "a/b@v1/x:y"], 9, ""),
        ("dpk ls --store=./x", ["dpk", "ls", "--store=./x"], 8, ""),
        (r"dpk ls a\ b\@c", ["dpk", "ls", "a b@c"], 0, ""),
        ("dpk ls 'a b@c", ["dpk", "ls", "a b@c"], 0, "'"),
        ('dpk ls "a $b@', ["dpk", "ls", "a $b@"], 0, '"'),
        (r'dpk ls "a\"b\c', ["dpk", "ls", 'a"b\\c'], 0, '"'),
        ("dpk ls a@v/'b c'/d", ["dpk", "ls", "a@v/b c/d"], 1, ""),
        ("dpk ls '' x", ["dpk", "ls", "", "x"], 0, ""),
        ("dpk ls ''", ["dpk", "ls", ""], 0, ""),
        ("dpk ls a\\", ["dpk", "ls", "a"], 0, ""),
    ],
)
def test_lines_of_bash(line: str, words: list[str], anchor: int, quote: str) -> None:
    assert split(line, BREAKS) == (words, anchor, quote)


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_reads_what_we_quote(quote: str) -> None:
    text = "a b'c\"d$e`f\\g*h?[i](j){k}<l>|&;#~!m=ö"
    said = subprocess.run(
        ["bash", "-c", f"printf %s {quote}{quoted(text, quote)}{quote}"], capture_output=True, text=True, check=True
    )
    assert said.stdout == text


# ------------------------------------------------------------------------------------------------------- real shells


class Terminal:
    """A shell at a terminal. Ctrl-T prints the line that is being typed, between marks."""

    def __init__(self, command: list[str], setup: str) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "", "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null"}
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execvpe(command[0], command, env)
        self.send(setup + "\n")
        self.send("echo rea''dy\n")
        self.until("ready\r\n")

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, wanted: str, seconds: float = 30) -> str:
        """What is written up to a text."""
        got, end = "", time.monotonic() + seconds
        while wanted not in got:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {wanted!r} in {got!r}"
            got += os.read(self.fd, 65536).decode(errors="replace")
        return got

    def complete(self, line: str) -> str:
        """The line after TAB."""
        self.send("\x15" + line + "\t\x14")
        said = re.findall(r"«(.*?)»", self.until("»"), re.DOTALL)
        return str(said[-1])

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


BASH_SETUP = """bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; bind -x '"\\C-t": printf "«%s»" "$READLINE_LINE"'
eval "$(dpk completion bash)" """
ZSH_SETUP = """unsetopt zle_bracketed_paste beep; autoload -U compinit && compinit -u -D; zstyle ':completion:*' list-prompt ''
show() { print -rn -- "«$BUFFER»" }; zle -N show; bindkey -e; bindkey '^T' show; bindkey '^U' kill-whole-line; LISTMAX=1000
eval "$(dpk completion zsh)" """


@pytest.fixture
def bash(full: Any) -> Iterator[Terminal]:
    made = Terminal(["bash", "--norc", "--noprofile", "-i"], BASH_SETUP)
    yield made
    made.close()


@pytest.fixture
def zsh(full: Any) -> Iterator[Terminal]:
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed here")
    made = Terminal(["zsh", "-f", "-i"], ZSH_SETUP)
    yield made
    made.close()


# What is typed, and what TAB makes of it in both.
TYPED = [
    ("dpk comp", "dpk completion "),
    ("dpk log --onel", "dpk log --oneline "),
    ("dpk export --format=cs", "dpk export --format=csv "),
    ("dpk show acme/sto", "dpk show acme/stock"),
    ("dpk build acme/sto", "dpk build acme/stock "),
    ("dpk show acme/sales@la", "dpk show acme/sales@latest"),
    ("dpk log acme/sales@la", "dpk log acme/sales@latest "),
    ("dpk diff acme/sales@v1..la", "dpk diff acme/sales@v1..latest "),
    ("dpk show acme/sales@v1/tra", "dpk show acme/sales@v1/transactions "),
    ("dpk show acme/sales/tre", "dpk show acme/sales/trees/"),
    ("dpk show acme/sales/docs/a", r"dpk show acme/sales/docs/a\ b.txt "),
    (r"dpk show acme/sales/docs/a\ ", r"dpk show acme/sales/docs/a\ b.txt "),
    ("dpk show 'acme/sales/docs/a ", "dpk show 'acme/sales/docs/a b.txt' "),
    ('dpk show "acme/sales@latest/docs/a', 'dpk show "acme/sales@latest/docs/a b.txt" '),
    ("dpk show acme/sales/docs/it", r"dpk show acme/sales/docs/it\'s.txt "),
    ("dpk show acme/sales/docs/c:d=e", "dpk show acme/sales/docs/c:d=e@f.txt "),
    ("dpk show acme/sales/gr", "dpk show acme/sales/größe "),
    ("dpk push acme/sales ori", "dpk push acme/sales origin "),
    ("dpk --store=./remote log acme/", "dpk --store=./remote log acme/stock"),
    ("DPK_STORE=./remote dpk build acme/", "DPK_STORE=./remote dpk build acme/s"),
    ("dpk build acme/new afi", "dpk build acme/new afile.csv "),
    ("dpk install acme/sales --into a", r"dpk install acme/sales --into a\ folder/"),
    ("dpk ls --store=./rem", "dpk ls --store=./remote/"),
    ("dpk push acme/sales ./rem", "dpk push acme/sales ./remote/"),
    ("true; dpk rev-p", "true; dpk rev-parse "),
    ("dpk show no/such@x/y", "dpk show no/such@x/y"),
    ("dpk nonsense a", "dpk nonsense a"),
]


# bash writes a word anew whose quotes are closed.
CLOSED = [
    ("dpk show 'acme/sales/docs/in(side)/'", r"dpk show acme/sales/docs/in\(side\)/x "),
    ("dpk show acme/sales@latest/docs/'in(side)'/", r"dpk show acme/sales@latest/docs/in\(side\)/x "),
    ('dpk show acme/sales/"docs"/a', r"dpk show acme/sales/docs/a\ b.txt "),
]


def test_bash(bash: Terminal) -> None:
    for typed, made in [*TYPED, *CLOSED]:
        assert bash.complete(typed) == made
    bash.send("\x15shopt -u hostcomplete\n")  # then @ breaks no words
    assert bash.complete("dpk log acme/sales@la") == "dpk log acme/sales@latest "
    bash.send("\x15complete -p dpk\n")
    assert "complete -F _dpk dpk" in bash.until("_dpk dpk")


def test_zsh(zsh: Terminal) -> None:
    for typed, made in TYPED:
        assert zsh.complete(typed) == made


def test_fish(full: Any) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed here")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for typed, last in (
        ("dpk comp", "completion"),
        ("dpk log --onel", "--oneline"),
        ("dpk export --format=cs", "--format=csv"),
        ("dpk build acme/sto", "acme/stock"),
        ("dpk log acme/sales@la", "acme/sales@latest"),
        ("dpk show acme/sales@v1/tra", "acme/sales@v1/transactions"),
        ("dpk show acme/sales/docs/a", "acme/sales/docs/a b.txt"),
        (r"dpk show acme/sales/docs/a\ ", "acme/sales/docs/a b.txt"),
        ("dpk show 'acme/sales/docs/a ", "acme/sales/docs/a b.txt"),
        ("dpk show acme/sales/tre", "acme/sales/trees/"),
        ("dpk build acme/new afi", "afile.csv"),
        ("dpk ls --store=./rem", "--store=./remote/"),
        ("dpk ls --store ./rem", "./remote/"),
    ):
        done = subprocess.run(
            ["fish", "--no-config", "-c", 'dpk completion fish | source; complete -C "$argv[1]"', typed],
            env=env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [last], typed
        assert done.stderr == ""
    done = subprocess.run(
        ["fish", "--no-config", "-c", 'dpk completion fish | source; complete -C "dpk show no/such@x/y"'],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
