"""Exit codes: the table of spec/cli.md is that of the code, and real commands end with each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import make_man as man
import pytest

from dpkg import errors
from dpkg.cli import commands

PAGE = Path(__file__).parents[2] / "spec" / "cli.md"
DPK = [sys.executable, "-m", "dpkg"]


def table() -> list[tuple[int, str, str]]:
    """(code, family, meaning) of the page."""
    rows = re.findall(r"^\| (\d+) \| (\w*) ?\| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [(int(code), family, said.replace("\\|", "|")) for code, family, said in rows]


@pytest.mark.spec("CLI-1")
def test_the_table_is_that_of_the_code() -> None:
    assert table() == list(man.exit_codes())
    families = [errors.DpkgError, *errors.DpkgError.__subclasses__()]
    assert {(f.exit_code, f.__name__) for f in families} == {(c, f) for c, f, _ in table() if f} - {
        (130, "Interrupted")
    }


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a server that lets nobody in."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/store"
    server.shutdown()
    server.server_close()


def ends(*args: str, **options: Any) -> tuple[int, str]:
    """The code that a process ends with, and what it says on stderr."""
    done = subprocess.run([*DPK, *args], stderr=subprocess.PIPE, text=True, check=False, timeout=60, **options)
    return done.returncode, done.stderr


@pytest.fixture
def calls(sales: Any, refusing: str) -> dict[int, list[str]]:
    """For each exit code, a command line that ends with it."""
    Path("bad").mkdir()
    Path("bad/build.yml").write_text("contents: {t: {file: t.csv, key: [id]}}\n")
    Path("bad/t.csv").write_text("id\n1\n1\n")
    Path("torn.parquet").write_bytes(b"PAR1 torn")
    damaged = sales.repository.object_id("acme/sales/README.md")
    stored = Path(sales.url, "objects", damaged[:2], damaged[2:])
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    return {
        0: ["ls"],
        2: ["log", "acme/sales", "--nothing"],
        3: ["log", "acme/nothing"],
        4: ["tag", "acme/sales", "v1", "latest"],
        5: ["update-ref", "acme/sales", "acme/sales@v1", "acme/sales@v1"],
        6: ["cat-object", "acme/sales/README.md"],
        7: ["write-table", "torn.parquet"],
        8: ["ls", "--store", "http://127.0.0.1:1/store"],
        9: ["build", "acme/bad", "bad"],
        10: ["ls", "--store", refusing],
        11: ["diff", "acme/sales", "--fail-on", "any"],
    }


@pytest.mark.spec("CLI-1", "CLI-2")
def test_a_real_command_ends_with_each_code(calls: dict[int, list[str]]) -> None:
    """What goes wrong is told on standard error alone, in a sentence, what to do next below it; 11 is a result."""
    for code, args in calls.items():
        done = subprocess.run([*DPK, *args], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code, (args, done.stderr)
        assert (bool(done.stdout), bool(done.stderr)) == (code in (0, 11), code not in (0, 11)), args
        assert re.fullmatch(r"(dpk: .+\n(     .+\n)*)?", done.stderr), done.stderr
    assert {c for c, _, _ in table()} - calls.keys() == {1, 130, 141}  # below; 1 is a bug (test_main.py)


@pytest.mark.spec("CLI-2")
def test_a_traceback_comes_with_debug_only(calls: dict[int, list[str]]) -> None:
    for code in (3, 6, 9):
        for flags in ([], ["--debug"]):
            done = subprocess.run([*DPK, *calls[code], *flags], capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode, done.stdout) == (code, "")
            assert ("Traceback" in done.stderr) == bool(flags), done.stderr


TELLS_ALL = """
from dpkg.cli import bars, main
bars._EVERY = 0.0
main.run()
"""


@pytest.mark.spec("CLI-2")
@pytest.mark.parametrize("json_", [[], ["--json"]], ids=["text", "json"])
def test_progress_stays_out_of_the_results(sales: Any, json_: list[str]) -> None:
    """Standard output is the same, byte for byte, however much is told on standard error."""
    Path("file.csv").write_text("a\n1\n")
    told = []
    for how in ("none", "plain", "bar"):
        command = [sys.executable, "-c", TELLS_ALL, "write-table", "file.csv", f"--progress={how}", *json_]
        told.append(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60))
    assert [bool(done.stderr) for done in told] == [False, True, True]
    assert len({done.stdout for done in told}) == 1
    assert told[0].stdout


@pytest.mark.spec("CLI-1", "CLI-4")
def test_ctrl_c(store: Any) -> None:
    command = [*DPK, "hash-object", "--stdin", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"x" * 10_000_000)  # more than a pipe holds: it reads, so it is at work
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(said)["error"] == "Interrupted"


AT_WORK = """
import os, sys
from dpkg.cli import main
real = main.main
def started():
    os.write(int(sys.argv.pop()), b".")
    return real()
main.main = started
main.run()
"""


@pytest.mark.spec("CLI-4")
@pytest.mark.parametrize(("args", "seconds"), [(["build", "acme/new", "rows.csv"], 0.6), (["log", "acme/sales"], 0.05)])
def test_ctrl_c_at_any_moment(sales: Any, args: list[str], seconds: float) -> None:
    """In the middle of imports too: 130 (silent where a library swallowed it), or it was done before; no other error."""
    Path("rows.csv").write_text("n,text\n" + "".join(f"{i},row {i}\n" for i in range(50_000)))
    ended = []
    for moment in range(10):
        reading, writing = os.pipe()
        command = [sys.executable, "-c", AT_WORK, *args, str(writing)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=[writing])
        os.close(writing)
        assert os.read(reading, 1) == b"."
        os.close(reading)
        time.sleep(seconds * moment / 10)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert said.partition(b"\n")[0] in ((b"dpk: interrupted", b"") if process.returncode == 130 else (b"",)), said
        assert process.returncode in (130, 0)
        ended.append(process.returncode)
    assert 130 in ended


# A call of each command that prints something, on the package of the fixture `sales`.
PRINTS = {
    "ls": ["-r", "acme/sales"],
    "show": ["acme/sales"],
    "log": ["acme/sales"],
    "diff": ["acme/sales"],
    "tag": ["acme/sales", "v1", "acme/sales@v1"],
    "config": [],
    "remote": [],
    "verify": [],
    "repair": [],
    "completion": ["bash"],
    "hash-object": ["file.csv"],
    "cat-object": ["acme/sales/README.md"],
    "cat-fragment": ["FRAGMENT"],
    "ls-fragments": ["acme/sales/transactions"],
    "apply-diff": ["acme/sales@v1/transactions", "rows.arrow"],
    "read-table": ["acme/sales/transactions"],
    "write-table": ["file.csv"],
    "write-tree": ["file.csv"],
    "ls-tree": ["acme/sales"],
    "diff-tree": ["acme/sales@v1", "acme/sales"],
    "rev-parse": ["acme/sales"],
    "rev-list": ["--objects", "acme/sales"],
    "show-ref": [],
    "for-each-ref": [],
    "ls-remote": ["."],
    "count-objects": [],
    "repack": [],
    "verify-pack": ["-v", "a.pack"],
    "commit-tree": ["acme/sales", "-m", "x"],
    "check": ["file.build.yml"],
    "blame": ["acme/sales/transactions", "-k", "id=2"],
    "review": ["accept", "acme/sales"],
}
# These print too: they change something first, or read standard input.
OTHERS = {
    "init",
    "generate",
    "build",
    "push",
    "install",
    "export",
    "rm",
    "gc",
    "mktree",
    "fetch-objects",
    "send-objects",
    "verify-object",
    "pack-objects",
    "index-pack",
    "unpack-objects",
    "update-server-info",
}
SILENT = {"update-ref", "check-ref-format"}


@pytest.fixture
def prints(sales: Any, dpk: Callable[..., Any]) -> Callable[[str], list[str]]:
    """The command line of a command that prints something."""
    Path("file.csv").write_text("a\n1\n")
    Path("file.build.yml").write_text("contents: {a: {file: file.csv, checks: {rows: {min: 1}}}}")
    dpk("diff", "acme/sales/transactions", "--format", "arrow", "-o", "rows.arrow")
    dpk("pack-objects", dpk("rev-parse", "acme/sales").out.strip(), "-o", "a.pack")
    dpk("config", "author", "Ada")
    dpk("remote", "add", "origin", sales.url)

    def line(name: str) -> list[str]:
        args = {**PRINTS, "ls-remote": [sales.url], "tag": ["acme/sales", "v1", "latest~1"]}[name]
        if args == ["FRAGMENT"]:
            args = [dpk("ls-fragments", "acme/sales/transactions").out[:64]]
        return [name, *args]

    return line


def test_every_command_is_tried() -> None:
    assert {*PRINTS, *OTHERS, *SILENT} == set(commands.names())


@pytest.mark.spec("CLI-3")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.long)])
def test_output_that_is_full(prints: Callable[[str], list[str]], step: int) -> None:
    for name in list(PRINTS)[::step]:
        with open("/dev/full", "w") as full:
            code, said = ends(*prints(name), stdout=full)
        assert (code, said.partition("\n")[0]) == (8, "dpk: No space left on device"), name
        assert "Exception" not in said


@pytest.mark.spec("CLI-1", "CLI-3")
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.long)])
def test_a_reader_that_went_away(prints: Callable[[str], list[str]], step: int) -> None:
    for name in list(PRINTS)[1::step]:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            assert ends(*prints(name), stdout=writing) == (141, ""), name
        finally:
            os.close(writing)


def test_nobody_reads_the_error() -> None:
    with open("/dev/null", "rb") as unwritable:
        done = subprocess.run([*DPK, "log", "no/such"], stdout=subprocess.DEVNULL, stderr=unwritable, check=False)
    assert done.returncode == 3
