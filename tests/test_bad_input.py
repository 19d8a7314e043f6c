"""Bad input: one clear message with what to do, a distinct exit code, no traceback, nothing lost, nothing half-published."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg import exporting
from dpkg.cli.main import main
from dpkg.repository import Repository
from dpkg.store import open_backend

PKG = "acme/x"
USAGE, NOT_FOUND, EXISTS, CONFLICT, CORRUPT, FORMAT, STORAGE, CHECK = 2, 3, 4, 5, 6, 7, 8, 9


class Case:
    """A store with a package in it, a folder to build, and a look at what a command that fails leaves behind."""

    def __init__(self, store: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store, self.src, self.remote = store, folder / "src", type(store)(str(folder / "remote"))
        self.capsys = capsys
        self.src.mkdir()
        self.write("README.md", "hello")
        store.commit(PKG, {"t": {"a": list(range(100))}, "b": b"blob" * 100}, "one")
        dpkg.push(PKG, self.remote.url)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.src / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def state(self) -> list[dict[str, bytes]]:
        """All refs with their values, here and at the remote."""
        out = []
        for url in (self.store.url, self.remote.url):
            backend = open_backend(url)
            logs = {s.key: backend.get(s.key) for s in backend.list("refs/")}
            out.append({k: v for k, v in logs.items() if b'"birth"' not in v})
        return out

    def fails(self, *argv: str, code: int, said: str, hint: str, whole: bool = True) -> None:
        """A command ends with `code` and says one thing; refs are as before, and what they reach is there."""
        before = self.state()
        self.capsys.readouterr()
        assert main(list(argv)) == code
        out, err = self.capsys.readouterr()
        assert out == ""
        lines = err.splitlines()
        assert lines[0].startswith("dpk: ")
        assert len([line for line in lines if line.startswith("dpk: ")]) == 1
        assert "Traceback" not in err
        assert said in err
        assert hint in "\n".join(lines[1:])
        assert self.state() == before
        if whole:
            assert dpkg.verify(deep=True).problems == ()

    def build(self, *, code: int, said: str, hint: str = "", path: Path | None = None) -> None:
        """A build of the folder fails, for the package that is there and for a new one."""
        for package in (PKG, "acme/new"):
            self.fails("build", package, str(path or self.src), code=code, said=said, hint=hint)


@pytest.fixture
def case(store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Case:
    return Case(store, tmp_path, capsys)


# Files


def test_a_missing_file(case: Case) -> None:
    case.build(code=NOT_FOUND, said="there is no file or folder", hint="check the path", path=case.src / "nope.csv")
    case.write("build.yml", "contents:\n  t: {file: nope.csv}\n")
    case.build(code=NOT_FOUND, said="build.yml, line 2, column 13: there is no file", hint="relative to build.yml")


_UNREADABLE = """
import os, sys
import dpkg.compiler.buildfile  # with all that it imports: others may not read the libraries
from dpkg.cli.main import main
good, bad, store = sys.argv[1:]
assert main(["build", "acme/x", good, "--store", store]) == 0  # and everything is imported
if os.geteuid() == 0:
    os.seteuid(65534)
sys.exit(main(["build", "acme/x", bad, "--store", store]))
"""


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl.gz", "blob", "folder/", ".dpkgignore", "build.yml"])
def test_an_unreadable_file(name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o777)
        for folder in ("good", "bad"):
            Path(root, folder).mkdir()
            for kind in ("a.csv", "a2.jsonl"):
                Path(root, folder, kind).write_text('{"a":1}\n')
        path = Path(root, "bad", name)
        path.mkdir() if name.endswith("/") else path.write_text("x")
        path.chmod(0)
        command = [sys.executable, "-c", _UNREADABLE, f"{root}/good", f"{root}/bad", f"{root}/store"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.umask(0))
        assert done.returncode in (USAGE, STORAGE)
        assert str(path) in done.stderr
        assert "permission" in done.stderr.lower()
        assert done.stderr.count("dpk: ") == 1
        assert "Traceback" not in done.stderr


def test_a_row_that_breaks_its_declared_type(case: Case) -> None:
    rows = [f"{i},{i}" for i in range(50_000)]
    rows[39_999] = "39999,4 0"
    case.write("t.csv", "id,n\n" + "\n".join(rows) + "\n")
    case.write("build.yml", "contents:\n  t:\n    file: t.csv\n    schema: {n: int64}\n")
    case.build(code=FORMAT, said=f"{case.src}/t.csv, line 40001", hint="")
    case.build(code=FORMAT, said="'n'", hint="")
    case.build(code=FORMAT, said="'4 0'", hint="")


def test_ragged_rows(case: Case) -> None:
    case.write("t.csv", "a,b\n1,2\n1,2,3\n")
    case.build(code=FORMAT, said=f"{case.src}/t.csv, line 3")
    case.write("t.csv", "a,b\n1,2\n1\n")
    case.build(code=FORMAT, said=f"{case.src}/t.csv, line 3")


def test_an_empty_file(case: Case) -> None:
    for name in ("t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.arrow"):
        path = case.write(name, b"")
        case.build(code=FORMAT, said=str(path))
        path.unlink()
    case.write("empty.txt", b"")  # a blob may be empty
    assert main(["build", PKG, str(case.src)]) == 0


def test_a_folder_without_files(case: Case) -> None:
    (case.src / "README.md").unlink()
    case.build(code=USAGE, said="holds no files", hint=".dpkgignore")


def test_two_rows_of_one_key(case: Case) -> None:
    case.write("t.csv", "id,x\n1,a\n2,b\n1,c\n")
    case.write("build.yml", "contents: {t: {file: t.csv, key: [id]}}")
    case.build(code=CHECK, said="two rows have the key id=1", hint="must be unique")
    case.build(code=CHECK, said=f"{case.src}/t.csv")


# Names


@pytest.mark.parametrize("name", ['".."', '"."', '"a/b"', '"a\\0b"', '""', "x" * 1025])
def test_names_that_a_package_cannot_hold(case: Case, name: str) -> None:
    case.write("build.yml", f"contents:\n  ? {name}\n  : {{file: README.md}}\n")
    case.build(code=USAGE, said="is not a name that a package can hold", hint="1 to 1,024 bytes")


def test_a_name_that_is_not_utf8(case: Case) -> None:
    with open(os.fsencode(case.src) + b"/caf\xe9.csv", "wb"):
        pass
    case.build(code=FORMAT, said="caf\\xe9.csv' is not valid UTF-8", hint="rename")


def test_package_names_and_paths(case: Case) -> None:
    for name in ("../x", "acme/../x", "Acme/x", "acme", "acme/x/../y", "acme/x\0"):
        case.fails("build", name, str(case.src), code=USAGE, said="dpk: ", hint="")
    case.fails("export", f"{PKG}/../t", "out", code=USAGE, said="'..'", hint="")
    case.fails("build", PKG, "a\0b", code=NOT_FOUND, said="a", hint="")


def test_names_that_the_exports_file_system_cannot_hold(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.store.commit("acme/long", {"a": b"a", "x" * 300: b"b"})
    case.store.commit("acme/fold", {"readme": b"a", "README": b"b"})
    monkeypatch.setattr(exporting, "_write", lambda *args: pytest.fail("a byte was written"))
    case.fails("export", "acme/long", "out", code=USAGE, said="cannot hold the name 'xxx", hint="another file system")
    made: dict[str, str] = {}
    real = exporting.make_file

    def folding(path: str) -> None:
        if made.setdefault(path.casefold(), path) != path:
            raise FileExistsError(path)
        real(path)

    monkeypatch.setattr(exporting, "make_file", folding)
    case.fails("export", "acme/fold", "out", code=USAGE, said="are one name on this file system", hint="one by one")
    assert os.listdir() == []


def test_a_link_out_of_the_folder(case: Case) -> None:
    (case.src / "link").symlink_to("/etc/passwd")
    case.build(code=USAGE, said="leads out of the folder, to '/etc/passwd'", hint="copy the file into the folder")


# Stores


def damages() -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    yield "truncated", lambda data: data[: len(data) // 2]
    yield "flipped", lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


@pytest.mark.parametrize(("how", "damage"), list(damages()))
@pytest.mark.parametrize("kind", ["commit", "node", "table", "blob", "rows", "ref"])
def test_a_damaged_stored_file(case: Case, how: str, damage: Any, kind: str) -> None:
    odb = Repository(case.store.url).odb
    keys = [s.key for s in open_backend(case.store.url).list("")]
    objects = {k: odb.kind(k[8:10] + k[11:]) for k in keys if k.startswith("objects/")}  # type: ignore[arg-type]
    wanted = [k for k in keys if objects.get(k) == kind or (kind == "rows" and k.startswith("frag"))]
    if kind == "ref":
        wanted = [min(k for k in keys if k.startswith("refs/"))]
    for key in wanted:
        path = Path(case.store.url, key)
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        said = key[8:12].replace("/", "") if key[0] == "o" else "damaged"
        out = f"out-{key.replace('/', '-')}"
        if kind != "rows" or how != "flipped":  # a flipped footer bit often changes no value; statistics are not read
            code = main(["export", PKG, out])
            err = case.capsys.readouterr().err
            assert code == CORRUPT or kind == "rows"
            assert code == 0 or (said in err and "Traceback" not in err and len(err.splitlines()) > 1)
            assert code == 0 or not os.path.exists(out)
        fresh = f"fresh-{key.replace('/', '-')}"
        argv = ["install", PKG, case.store.url, "--store", fresh]
        case.fails(*argv, code=CORRUPT, said="damaged", hint=" ", whole=False)
        assert not os.path.exists(fresh) or list(Repository(fresh).refs.packages()) == []
        assert main(["verify"]) == CORRUPT
        assert "damaged: " in case.capsys.readouterr().out
        path.write_bytes(whole)
    assert main(["verify"]) == 0


def test_an_unknown_format(case: Case) -> None:
    Path(case.store.url, "format").write_text('{"format":"dpkg 7","requires":[]}')
    for argv in (
        ["build", PKG, str(case.src)],
        ["ls"],
        ["log", PKG],
        ["export", PKG, "out"],
        ["push", PKG, case.remote.url],
        ["install", PKG, case.store.url, "--store", "other"],
        ["verify"],
    ):
        case.fails(*argv, code=FORMAT, said="is of the format 'dpkg 7'", hint="upgrade dpkg", whole=False)


def test_a_ref_moved_by_someone_else(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpkg.transfer.transfer import Transfer

    case.store.commit(PKG, {"b": b"mine"}, "mine")
    real = Transfer.commits
    theirs: list[str] = []

    def meanwhile(self: Any, *given: Any) -> Any:
        if not theirs:
            theirs.append(case.remote.commit(PKG, {"b": b"theirs"}, "theirs"))
        return real(self, *given)

    monkeypatch.setattr(Transfer, "commits", meanwhile)
    mine = Repository(case.store.url).tip(PKG)
    assert main(["push", PKG, case.remote.url]) == CONFLICT
    err = case.capsys.readouterr().err
    assert "has 1 commit of 'acme/x' that you lack" in err
    assert f"dpk push {PKG} {case.remote.url} --rebase" in err
    assert Repository(case.remote.url).tip(PKG) == theirs[0]
    assert Repository(case.store.url).tip(PKG) == mine
    assert main(["push", PKG, case.remote.url, "--rebase"]) == 0
    assert dpkg.verify(store=case.remote.url, deep=True).problems == ()


def test_a_store_that_is_a_file(case: Case) -> None:
    path = case.write("file", "x")
    case.fails(
        "build",
        PKG,
        str(case.src),
        "--store",
        str(path),
        code=STORAGE,
        said="a file is where a folder must be",
        hint="",
    )
    case.fails("push", PKG, str(path), code=STORAGE, said="a file is where a folder must be", hint="")


# Ctrl-C


def run(argv: list[str], **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dpkg", *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def stop(argv: list[str], after: float) -> int:
    """Run a command, press Ctrl-C after some seconds; its exit code."""
    process = run(argv)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    if process.returncode == -signal.SIGINT:  # before it could listen, Python itself was told
        return 130
    importing = "importlib" in err or "partially initialized" in err  # Python's own imports do not take it well
    assert process.returncode in (0, 130) or importing, err
    assert "Traceback" not in err or importing
    return process.returncode


LONG = [pytest.param(command, marks=pytest.mark.long) for command in ("push", "install", "export")]


@pytest.mark.parametrize("command", ["build", *LONG])
def test_ctrl_c_at_any_moment(case: Case, tmp_path: Path, command: str) -> None:
    for i in range(30):
        case.write(f"blob{i}", random.Random(i).randbytes(500_000))
    case.write("t.csv", "id,x\n" + "".join(f"{i},{i * 0.5}\n" for i in range(200_000)))
    place, there = tmp_path / "far", str(tmp_path / "there")
    if command != "build":
        dpkg.build("acme/big", str(case.src))
    if command == "install":
        dpkg.push("acme/big", there)
    argv = {
        "build": ["build", "acme/big", str(case.src), "--store", str(place)],
        "push": ["push", "acme/big", str(place)],
        "install": ["install", "acme/big", there, "--store", str(place)],
        "export": ["export", "acme/big", str(place)],
    }[command]
    started = time.monotonic()
    assert run(argv).wait() == 0
    whole, part, stopped = time.monotonic() - started, 0.8, 0
    for _ in range(12):
        subprocess.run(["rm", "-rf", str(place)], check=True)
        code = stop(argv, whole * part)
        part *= 0.7 if code == 0 else 1.05
        stopped += code == 130
        if code and command == "export":
            assert not place.exists()
            assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".dpkg")] == []
        elif (place / "format").exists():
            assert dpkg.verify(store=str(place)).problems == ()
            assert list(Repository(str(place)).refs.packages()) in ([], ["acme/big"])  # whole or not at all
        if stopped == 2:
            break
    assert stopped == 2
    if command != "export" or not place.exists():
        assert run(argv).wait() == 0


def test_a_build_stopped_at_every_write(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """KeyboardInterrupt at the n-th operation on the store, for all n."""
    sys.path.insert(0, str(Path(__file__).parent / "porcelain"))
    from faults import Counter, watching

    case.write("t.csv", "id,x\n1,2\n3,4\n")
    case.write("d/b", "x" * 5000)
    n = 0
    while True:
        n += 1
        url = f"memory://{case.src}/{n}"
        with watching(monkeypatch, url, Counter(n)):
            try:
                dpkg.build(PKG, str(case.src), store=url)
                break
            except KeyboardInterrupt:
                pass
        if open_backend(url).stat("format"):
            assert dpkg.verify(store=url).problems == ()
        built = dpkg.build(PKG, str(case.src), store=url)
        assert Repository(url).tip(PKG) == built.commit
        assert dpkg.verify(store=url).problems == ()
    assert n > 25
