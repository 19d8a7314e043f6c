"""How a command line ends: help, errors as one sentence with a hint, exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg import errors
from dpkg.cli import commands, main
from dpkg.porcelain import _ls

DPK = [sys.executable, "-m", "dpkg"]


def families() -> list[type[errors.DpkgError]]:
    return errors.DpkgError.__subclasses__()


def test_version(dpk: Callable[..., Any]) -> None:
    for flag in ("--version", "-V"):
        ran = dpk(flag)
        assert (ran.out, ran.err) == (f"dpk {dpkg.__version__}\n", "")


def test_help_names_every_command(dpk: Callable[..., Any]) -> None:
    for args in (["--help"], ["-h"], ["help"]):
        said = dpk(*args).out
        assert all(f"\n  {name} " in said for name in commands.names())
    assert dpk(code=2).out == said


@pytest.mark.parametrize("name", commands.names())
def test_help_of_a_command(dpk: Callable[..., Any], name: str) -> None:
    said = dpk(name, "--help").out
    assert said.startswith(f"usage: dpk {name} ")
    for other in (["help", name], [name, "-h"], ["--help", name], [name, "--help", "too", "many", "words", "--json"]):
        assert dpk(*other).out == said
    command = __import__(commands.module_of(name) or "", fromlist=["COMMAND"]).COMMAND
    assert command.summary.split()[0] in said
    assert all(word in said for opt in command.opts for word in opt.flags.split())
    assert all(len(line) <= 100 for line in said.splitlines())
    assert not said.isascii() or "\0" not in said


def test_an_unknown_command_names_the_nearest(dpk: Callable[..., Any]) -> None:
    ran = dpk("buidl", "a/b", ".", code=2)
    assert ran.out == ""
    assert ran.err == "dpk: 'buidl' is not a dpk command\n     did you mean 'dpk build'?\n"
    assert "dpk --help" in dpk("help", "xyzzy", code=2).err


def test_options_may_come_first(dpk: Callable[..., Any], sales: Any) -> None:
    said = dpk("log", "acme/sales", "--json").out
    assert dpk("--json", "log", "acme/sales").out == said
    assert dpk("--store", sales.url, "--json", "log", "acme/sales").out == said
    assert dpk(f"--store={sales.url}", "log", "acme/sales", "--json").out == said
    assert "needs a command" in dpk("--json", code=2).err


def test_each_family_has_an_exit_code_of_its_own(dpk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [family.exit_code for family in families()]
    assert sorted(codes) == list(range(2, 11))
    for family in families():

        def failing(*_: object, **__: object) -> None:
            raise family("what is wrong", "what to do\nand then")  # noqa: B023

        monkeypatch.setattr(_ls, "ls", failing)
        ran = dpk("ls", code=family.exit_code)
        assert ran.out == ""
        assert ran.err == "dpk: what is wrong\n     what to do\n     and then\n"
        said = json.loads(dpk("ls", "--json", code=family.exit_code).err)
        assert said == {
            "schema": "dpk.error/1",
            "error": family.__name__,
            "message": "what is wrong",
            "hint": "what to do\nand then",
            "exit_code": family.exit_code,
        }


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["ls", "no/such"], 3),
        (["ls", "No Such"], 2),
        (["ls", "acme/sales/nothing"], 3),
        (["show", "acme/sales/README.md/below"], 3),
        (["log", "acme/sales@v9"], 3),
        (["log", "acme/sales@latest~9"], 3),
        (["log", "acme/sales@v1..v2"], 2),
        (["log", "acme/sales", "-n", "many"], 2),
        (["log", "acme/sales", "-n", "-1"], 2),
        (["log"], 2),
        (["log", "acme/sales", "too", "many"], 2),
        (["log", "--nothing", "acme/sales"], 2),
        (["tag", "acme/sales", "v1", "latest"], 4),
        (["update-ref", "acme/sales", "acme/sales@v1", "acme/sales@v1"], 5),
        (["build", "acme/sales", "./absent"], 3),
        (["push", "acme/sales"], 2),
        (["push", "acme/sales", "nowhere"], 3),
        (["ls", "--store", ""], 2),
        (["ls", "--store", "gopher://x"], 2),
        (["ls", "--store", "./absent"], 3),
    ],
)
def test_exit_codes(dpk: Callable[..., Any], sales: Any, args: list[str], code: int) -> None:
    ran = dpk(*args, code=code)
    assert ran.out == ""
    assert ran.err.startswith("dpk: ")
    assert "Traceback" not in ran.err
    assert json.loads(dpk(*args, "--json", code=code).err)["exit_code"] == code


def test_debug_shows_where(dpk: Callable[..., Any], sales: Any) -> None:
    for args in (["ls", "no/such", "--debug"], ["--debug", "ls", "no/such"]):
        ran = dpk(*args, code=3)
        assert ran.err.startswith("Traceback (most recent call last)")
        assert "repository.py" in ran.err
        assert ran.err.splitlines()[-2].startswith("dpk: there is no package 'no/such'")
    dpk("ls", "--", "--debug", code=2)  # an argument


def test_what_we_did_not_foresee(dpk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for error, code, said in (
        (ValueError("odd"), 1, "this should not happen: ValueError: odd"),
        (MemoryError(), 8, "not enough memory"),
        (PermissionError(13, "Permission denied", "/x"), 8, "Permission denied: '/x'"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), 2, "not valid UTF-8"),
        (RecursionError("deep"), 1, "RecursionError"),
    ):

        def failing(*_: object, **__: object) -> None:
            raise error  # noqa: B023

        monkeypatch.setattr(_ls, "ls", failing)
        ran = dpk("ls", code=code)
        assert said in ran.err
        assert "Traceback" not in ran.err
        assert "Traceback" in dpk("ls", "--debug", code=code).err


def test_interrupted(dpk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_ls, "ls", slow)
    assert dpk("ls", code=130).err.startswith("dpk: interrupted\n")
    assert json.loads(dpk("ls", "--json", code=130).err)["error"] == "Interrupted"


def test_an_odd_error_after_ctrl_c_is_an_interruption(dpk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it hits in the middle of importing pyarrow."""

    def torn(*_: object, **__: object) -> None:
        raise ImportError("cannot import name 'lib' from partially initialized module")

    monkeypatch.setattr(_ls, "ls", torn)
    dpk("ls", code=1)
    monkeypatch.setattr(main, "_stopped", True)
    assert dpk("ls", code=130).err.startswith("dpk: interrupted\n")


SWALLOWED = """
import signal, sys, time, weakref
from dpkg.cli import main
from dpkg.porcelain import _ls

class Thing: pass

def ls(*args, **kwargs):
    if sys.argv.pop() == "callback":  # as of the locks of imports: Python drops the error
        thing = Thing()
        held = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        time.sleep(20)
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        return iter(())

_ls.ls = ls
last = sys.argv[-1]
sys.argv = ["dpk", "ls", last]
parse = main._call
main._call = lambda f, module, given: parse(module.ls, module, given)
main.run()
"""


@pytest.mark.spec("CLI-4")
@pytest.mark.parametrize("how", ["callback", "except"])
def test_a_ctrl_c_that_something_swallows(store: Any, how: str) -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", SWALLOWED, how], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (130, "dpk: interrupted")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 15


def test_an_error_after_some_output_comes_after_it(dpk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def half(*_: object, **__: object) -> Any:
        yield _ls.Package("a/b", None, None, None, 0, 0, ())
        raise errors.Corrupt("damaged")

    monkeypatch.setattr(_ls, "ls", half)
    ran = dpk("ls", "--json", code=6)
    assert ran.json["package"] == "a/b"
    assert json.loads(ran.err)["error"] == "Corrupt"


def test_main_is_what_python_m_runs() -> None:
    done = subprocess.run([*DPK, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"dpk {dpkg.__version__}\n"
    assert main.run.__module__ == "dpkg.cli.main"


def test_a_reader_that_goes_away(sales: Any) -> None:
    """`dpk log | head -1`, with more to write than a pipe holds."""
    script = f"{sys.executable} -m dpkg help {{}}; echo $? >&2"
    for command in ("--version", "log acme/sales", "log acme/sales --json", "cat-object acme/sales/README.md"):
        line = f"( sleep 0.2; {sys.executable} -m dpkg {command}; echo $? >&2 ) | true"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
        assert done.stderr == "141\n", script


def test_output_that_cannot_be_written(sales: Any) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    for command in (["log", "acme/sales"], ["--version"], ["cat-object", "acme/sales/README.md"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([*DPK, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 8
        assert done.stderr.startswith("dpk: No space left on device")
        assert "Exception" not in done.stderr


def test_closed_streams(sales: Any) -> None:
    for closing in (">&-", ">&- 2>&-", "<&- >&-"):
        line = f"{sys.executable} -m dpkg log acme/sales {closing}"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_in_the_middle(store: Any) -> None:
    process = subprocess.Popen(
        [*DPK, "hash-object", "-w", "--stdin"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(200):  # until it is at work: the store is made
        if Path(store.url, "format").exists() and time.sleep(0.3) is None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT)  # Python sometimes ends by the signal itself: 130 to a shell
    assert said.startswith("dpk: interrupted")
    assert "Traceback" not in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_characters(store: Any, encoding: str) -> None:
    store.commit("acme/sales", {"naïve→.txt": "größe".encode()}, "größer → besser")
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    for command in (["log", "acme/sales"], ["ls", "acme/sales"], ["show", "acme/sales"]):
        done = subprocess.run([*DPK, *command], env=env, capture_output=True, check=True)
        assert b"\\u2192" in done.stdout
    done = subprocess.run([*DPK, "log", "acme/sales", "--json"], env=env, capture_output=True, check=True)
    assert json.loads(done.stdout)["message"] == "größer → besser"
