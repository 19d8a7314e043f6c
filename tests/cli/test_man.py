"""Man pages: what the commands say of themselves, in the shape that `man` shows."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import make_man as man
import pytest

from dpkg import errors, settings
from dpkg.cli import commands, parse
from dpkg.command import Command

ROOT = Path(__file__).parents[2]
PAGES = sorted(man.OUT.glob("*"))
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "ARGUMENTS", "OPTIONS", "OUTPUT", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]


def command(name: str) -> Command:
    made: Command = import_module(commands.module_of(name) or "").COMMAND
    return made


def test_the_pages_are_those_of_the_code() -> None:
    """After a change: python tests/cli/make_man.py."""
    made = man.pages()
    assert {page.name for page in PAGES} == made.keys()
    for page in PAGES:
        said = page.read_text("utf-8")
        assert man.undated(said) == made[page.name], page.name
        assert re.search(r'^\.TH \S+ 1 "20\d\d-\d\d-\d\d" ', said, re.MULTILINE)


@pytest.mark.parametrize("tool", ["groff -man -ww -Tutf8 -z", "groff -man -ww -Tascii -z", "mandoc -T lint -W warning"])
def test_nothing_to_warn_of(tool: str) -> None:
    if not shutil.which(tool.split()[0]):
        pytest.skip(f"{tool.split()[0]} is not installed here")
    for page in PAGES:
        done = subprocess.run([*tool.split(), str(page)], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("", ""), page.name


def rendered(page: Path) -> str:
    """A page as text, without overstriking."""
    command = ["groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-P-o", str(page)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed here")
@pytest.mark.parametrize("name", commands.names())
def test_what_a_page_tells(name: str) -> None:
    said = rendered(man.OUT / f"dpk-{name}.1")
    wanted = [s for s in SECTIONS if s != "ARGUMENTS" or command(name).args]
    assert re.findall(r"^([A-Z][A-Z ]+)$", said, re.MULTILINE) == wanted
    for opt in command(name).opts:
        assert all(re.search(rf"(^|[ \[]){flag}\b", said) for flag in opt.flags.split())
    for _, line in command(name).examples:
        assert line in said
    assert max(map(len, said.splitlines())) <= 80 or any("://" in line or len(line) > 70 for line in said.splitlines())


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed here")
def test_the_overview_tells_of_every_command_and_variable() -> None:
    said = rendered(man.OUT / "dpk.1")
    assert all(f"dpk-{name}(1)" in said for name in commands.names())
    source = Path(settings.__file__).read_text()
    read = set(re.findall(r'"(DPK_\w+)"', source)) | set(re.findall(r'environ\.get\("([A-Z_]+)"\)', source))
    assert read == man.ENVIRONMENT.keys()


@pytest.mark.parametrize("name", commands.names())
def test_examples_are_command_lines(name: str) -> None:
    """Each is understood as its command's; and there is one at least."""
    own = []
    for _, line in command(name).examples:
        for words in [words for text in (line, *re.findall(r"\$\((.*?)\)", line)) for words in calls(text)]:
            if words[:1] == ["dpk"]:
                called, rest = parse.split(words[1:])
                assert commands.module_of(called or ""), line
                parse.parse(command(called or ""), rest)
                own.append(called)
    assert name in own


def calls(line: str) -> list[list[str]]:
    """The command lines in a line of shell, without what is redirected."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    made: list[list[str]] = [[]]
    for token in lexer:
        if token in ("<", ">"):
            next(lexer)
        elif set(token) <= set("|&;"):
            made.append([])
        else:
            made[-1].append(token)
    return made


@pytest.mark.parametrize("name", commands.names())
def test_what_to_see_is_there(name: str) -> None:
    see = command(name).see
    assert see
    assert set(see) <= set(commands.names()) - {name}


@pytest.mark.parametrize("name", commands.names(commands.PLUMBING))
def test_plumbing_says_what_it_prints(name: str) -> None:
    assert command(name).output or "Lines are" in command(name).epilog


def test_the_wheel_brings_them() -> None:
    if not (ROOT / "dpkg").is_dir():  # an installed wheel is what is tested
        installed = Path(sys.prefix, "share", "man", "man1").glob("dpk*.1")
        assert sorted(page.name for page in installed) == sorted(page.name for page in PAGES)
        return
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    (pattern,) = setup["data-files"]["share/man/man1"]
    assert sorted(ROOT.glob(pattern)) == PAGES


def test_codes_are_those_of_the_errors() -> None:
    drawn = {family: code for code, family, _ in man.exit_codes() if family}
    families = [errors.DpkgError, *errors.DpkgError.__subclasses__()]
    assert drawn == {**{f.__name__: f.exit_code for f in families}, "Interrupted": 130}
