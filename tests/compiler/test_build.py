"""Building: what is committed, what is reported, what is stored again, and what a build that fails leaves behind."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg import plumbing
from dpkg.cli.main import main
from dpkg.errors import Conflict, DpkgError, Usage
from dpkg.repository import Repository
from dpkg.store.local import LocalBackend

PKG = "acme/x"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    made.mkdir()
    (made / "t.csv").write_text("a,b\n1,x\n2,y\n")
    (made / "README.md").write_text("hello")
    return made


def stored(store: str) -> dict[str, int]:
    """Every file of a store but ref logs, with its size."""
    return {s.key: s.size for s in LocalBackend(store).list("") if not s.key.startswith("refs/")}


# Commits


@pytest.mark.spec("OBJ-3")
def test_a_build_that_changes_nothing_makes_no_commit(src: Path, store: str) -> None:
    first = dpkg.build(PKG, str(src), message="one", store=store)
    assert first.created
    files, log = stored(store), list(Repository(store).refs.log(PKG, "heads", "main"))
    again = dpkg.build(PKG, str(src), message="two", store=store)
    assert (again.created, again.commit, again.tophash) == (False, first.commit, first.tophash)
    assert stored(store) == files
    assert list(Repository(store).refs.log(PKG, "heads", "main")) == log


@pytest.mark.spec("OBJ-3")
def test_the_parent_is_the_branch_before(src: Path, store: str) -> None:
    first = dpkg.build(PKG, str(src), store=store)
    (src / "t.csv").write_text("a,b\n1,x\n2,z\n")
    second = dpkg.build(PKG, str(src), message="corrected", store=store)
    commit = Repository(store).commit(second.commit)
    assert (commit.parents, commit.message, commit.author) == ((first.commit,), "corrected", "Ada <ada@example.com>")
    assert (commit.provenance["source"], commit.provenance["tool"]) == ("src", f"dpkg {dpkg.__version__}")
    (src / "t.csv").write_text("a,b\n1,x\n2,y\n")
    third = dpkg.build(PKG, str(src), store=store)  # back to what it was: new to its parent, equal in content
    assert (third.created, third.tophash) == (True, first.tophash)


@pytest.mark.spec("OBJ-4")
def test_the_tophash_is_the_datas_alone(src: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = dpkg.build(PKG, str(src), message="one", store=store)
    monkeypatch.setenv("DPK_AUTHOR", "Bob")
    src.rename(src.parent / "elsewhere")
    second = dpkg.build("bob/y", str(src.parent / "elsewhere"), message="two", store=store)
    assert (first.tophash, first.commit != second.commit) == (second.tophash, True)


def test_a_package_is_named_alone(src: Path, store: str) -> None:
    for name in ("acme/x@v1", "acme/x/t"):
        with pytest.raises(Usage, match="names more than a package") as caught:
            dpkg.build(name, str(src), store=store)
        assert "write acme/x" in caught.value.hint


def test_formats_agree(src: Path, store: str) -> None:
    """One table, whatever file it came in."""
    import gzip

    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq
    import zstandard

    text = (src / "t.csv").read_bytes()
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    (src / "t.csv").unlink()
    makers: dict[str, Any] = {
        "t.csv": lambda p: p.write_bytes(text),
        "t.tsv": lambda p: p.write_bytes(text.replace(b",", b"\t")),
        "t.csv.gz": lambda p: p.write_bytes(gzip.compress(text)),
        "t.csv.zst": lambda p: p.write_bytes(zstandard.compress(text)),
        "t.parquet": lambda p: pq.write_table(table, p),
        "t.feather": lambda p: pa.feather.write_feather(table, str(p)),
        "t.jsonl": lambda p: p.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist())),
    }
    seen = set()
    for name, make in makers.items():
        make(src / name)
        seen.add(dpkg.build(PKG, str(src), store=store).tophash)
        (src / name).unlink()
    assert len(seen) == 1


# Reports


@pytest.mark.spec("TXT-3")
def test_a_widened_column_is_reported(src: Path, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{i},{i}" for i in range(3000)]
    rows[2344] = "2344,n/a"
    (src / "t.csv").write_text("id,n\n" + "\n".join(rows) + "\n")
    built = dpkg.build(PKG, str(src / "t.csv"), store=store)
    (entry,) = built.entries
    (widened,) = entry.widened
    assert (widened.column, widened.first, widened.final, widened.line, widened.value) == (
        "n",
        "int64",
        "utf8",
        2346,
        "n/a",
    )
    assert main(["build", "acme/y", str(src / "t.csv"), "--store", store]) == 0
    assert f"t.n is utf8, not int64: {src}/t.csv, line 2346 holds 'n/a'" in capsys.readouterr().out


# Only what is new is stored


def lines(n: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [f"{i},{rng.random():.12f},{rng.randbytes(40).hex()}" for i in range(n)]


def test_a_rebuild_stores_new_fragments_only(src: Path, store: str) -> None:
    rows = lines(400_000)
    write = (src / "t.csv").write_text
    write("id,x,s\n" + "\n".join(rows) + "\n")
    first = dpkg.build(PKG, str(src), store=store)
    before = stored(store)
    fragments = [key for key in before if key.startswith("fragments/")]
    assert len(fragments) > 8
    rows[200_000:200_000] = lines(100, seed=2)
    write("id,x,s\n" + "\n".join(rows) + "\n")
    second = dpkg.build(PKG, str(src), store=store)
    assert second.created
    after = stored(store)
    new = {key: size for key, size in after.items() if key not in before}
    assert all(after[key] == size for key, size in before.items() if not key.startswith("derived/"))
    data = sorted((size for key, size in new.items() if key.startswith("fragments/")), reverse=True)
    assert len(data) <= 4  # two of rows at most, the statistics
    assert len([key for key in new if key.startswith("objects/")]) <= 4  # table, leaf, tree, commit
    assert sum(new.values()) < 0.35 * sum(before.values())
    assert first.entries[0].oid == second.entries[0].oid  # README.md


def test_an_unchanged_blob_is_not_written_again(src: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (src / "big.bin").write_bytes(random.Random(0).randbytes(3 << 20))
    dpkg.build(PKG, str(src), store=store)
    (src / "new.txt").write_text("new")
    written: list[str] = []
    for name in ("put", "adopt"):
        real = getattr(LocalBackend, name)
        monkeypatch.setattr(
            LocalBackend, name, lambda self, key, data, real=real: (written.append(key), real(self, key, data))[1]
        )
    assert dpkg.build(PKG, str(src), store=store).created
    assert len({key for key in written if key.startswith("objects/")}) == 3  # the new blob, the tree, the commit


# What fails leaves nothing behind


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("z.csv", b"a,b\n1,2\n1,2,3\n", 7),
        ("z.csv", b"", 7),
        ("z.csv", b"a,a\n1,2\n", 7),
        ("z.csv", b"a\n\xff\n", 7),
        ("z.csv.gz", b"not gzip", 7),
        ("z.parquet", b"PAR1", 7),
        ("z.arrow", b"ARROW1", 7),
        ("z.jsonl", b'{"a":1}\n{"a":', 7),
        ("z.jsonl", b'{"a":1}\n{"a":"x"}\n', 7),
    ],
)
def test_a_broken_file_is_named_and_nothing_is_published(
    src: Path, store: str, capsys: pytest.CaptureFixture[str], name: str, content: bytes, code: int
) -> None:
    first = dpkg.build(PKG, str(src), store=store)
    (src / name).write_bytes(content)
    (src / "README.md").write_text("changed")
    for package in (PKG, "acme/new"):
        assert main(["build", package, str(src), "--store", store]) == code
        said = capsys.readouterr().err
        assert said.startswith("dpk: ")
        assert str(src / name) in said
        assert "Traceback" not in said
    repository = Repository(store)
    assert repository.tip(PKG) == first.commit
    assert list(repository.refs.packages()) == [PKG]
    assert dpkg.verify(store=store, deep=True).problems == ()


def test_a_missing_path_makes_no_store(src: Path, store: str) -> None:
    with pytest.raises(DpkgError):
        dpkg.build(PKG, str(src / "nope"), store=store)
    assert not Path(store).exists()


# Others build too


def test_the_branch_moved_meanwhile(src: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dpkg.build(PKG, str(src), store=store)
    other = src.parent / "other"
    other.mkdir()
    (other / "o.txt").write_text("theirs")
    real = Repository.make_commit
    theirs = []

    def meanwhile(self: Repository, *args: Any, **kwargs: Any) -> Any:
        if not theirs:
            theirs.append("")
            theirs.append(dpkg.build(PKG, str(other), store=store).commit)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Repository, "make_commit", meanwhile)
    (src / "README.md").write_text("mine")
    with pytest.raises(Conflict, match="was moved to") as caught:
        dpkg.build(PKG, str(src), store=store)
    assert "build again" in caught.value.hint
    assert Repository(store).tip(PKG) == theirs[1]
    assert dpkg.build(PKG, str(src), store=store).created
    assert Repository(store).is_ancestor(theirs[1], Repository(store).tip(PKG))


def test_what_gc_may_have_taken_is_stored_again(src: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A barrier in the log: decisions on what need not be stored are forgotten (FORMAT.md, gc)."""
    dpkg.build(PKG, str(src), store=store)
    held = set(stored(store))
    (src / "t.csv").write_text("a,b\n3,x\n4,y\n")
    plumbing.write_tree(str(src), store=store)  # is stored, but nothing refers to it
    loose = set(stored(store)) - held
    assert len(loose) == 5  # fragment, statistics, leaf, table, tree
    real = Repository.make_commit
    calls = []

    def meanwhile(self: Repository, *args: Any, **kwargs: Any) -> Any:
        calls.append(real(self, *args, **kwargs))
        if len(calls) == 1:
            refs = Repository(store).refs
            refs.append(
                PKG, "heads", "main", "barrier", None, expected=refs.tip(PKG, "heads", "main"), who="gc", why=""
            )
            for key in loose:
                Path(store, key).unlink()
        return calls[-1]

    monkeypatch.setattr(Repository, "make_commit", meanwhile)
    built = dpkg.build(PKG, str(src), store=store)
    assert len(calls) == 2
    assert Repository(store).tip(PKG) == built.commit
    assert dpkg.verify(store=store, deep=True).problems == ()


def test_builds_at_once_lose_nothing(src: Path, store: str) -> None:
    dpkg.build(PKG, str(src), store=store)
    made: list[str] = []

    def work(i: int) -> None:
        folder = src.parent / f"w{i}"
        folder.mkdir()
        (folder / "f.txt").write_text(str(i))
        for _ in range(20):
            try:
                made.append(dpkg.build(PKG, str(folder), store=store).commit)
                return
            except Conflict:
                continue

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    repository = Repository(store)
    history = {oid for oid, _ in repository.history(repository.tip(PKG) or made[0])}
    assert len(made) == 4
    assert set(made) <= history
    assert dpkg.verify(store=store).problems == ()


# Memory

_MEASURED = """
import re, sys
import dpkg
eval(sys.argv[1])
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) >> 10)
"""


@pytest.mark.parametrize("kind", ["random", "zeros"])
def test_a_large_blob_takes_little_memory(tmp_path: Path, kind: str) -> None:
    (tmp_path / "src").mkdir()
    block = random.Random(1).randbytes(1 << 20) if kind == "random" else bytes(1 << 20)
    with (tmp_path / "src" / "blob").open("wb") as f:
        for _ in range(120):
            f.write(block)
    for call in (
        "dpkg.build('a/b', 'src', store='one')",
        "dpkg.push('a/b', './two', store='one')",
        "dpkg.install('a/b', './two', store='three', into='out')",
        "dpkg.verify(deep=True, store='three').problems == () or exit('damaged')",
    ):
        command = [sys.executable, "-c", _MEASURED, call]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 290, call  # MB; Python with pyarrow and pandas is 100
    assert (tmp_path / "out" / "blob").stat().st_size == 120 << 20
