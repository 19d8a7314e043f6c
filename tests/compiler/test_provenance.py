"""Provenance: what a commit says of how it was made (spec/provenance.md)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import dpkg
from dpkg.compiler import compile as compiling
from dpkg.repository import Repository

PKG = "acme/x"
CSV = b"a,b\n1,x\n2,y\n"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    made = tmp_path / "src"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "t.csv").write_bytes(CSV)
    (made / "README.md").write_bytes(b"hello")
    return made


def provenance(src: Path, **options: Any) -> dict[str, Any]:
    """That of the commit which a build of the folder makes."""
    store = str(src.parent / "store")
    built = dpkg.build(PKG, str(src), store=store, **options)
    assert built.created
    return Repository(store).commit(built.commit).provenance


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()


def listed(files: dict[str, bytes]) -> str:
    """The digest of what b3sum prints."""
    return digest("".join(f"{digest(data)}  {path}\n" for path, data in files.items()).encode())


@pytest.mark.spec("PROV-1")
def test_a_folder(src: Path) -> None:
    found = provenance(src)
    assert found["sources"] == [
        {"entry": "README.md", "path": "README.md", "blake3": digest(b"hello"), "size": 5},
        {"entry": "sub/t", "path": "sub/t.csv", "blake3": digest(CSV), "size": len(CSV)},
    ]
    files = {"README.md": b"hello", "sub/t.csv": CSV}
    assert found["files"] == {"count": 2, "size": 5 + len(CSV), "blake3": listed(files)}
    assert (found["source"], found["tool"]) == ("src", f"dpkg {dpkg.__version__}")
    assert {"python", "pyarrow"} <= found["versions"].keys()
    assert not {"build", "git"} & found.keys()


@pytest.mark.spec("PROV-1")
def test_what_is_not_read_again_keeps_its_digest(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    time.sleep(0.15)  # a file so new is read again
    first = provenance(src)
    read: list[str] = []
    real = compiling._compile
    monkeypatch.setattr(
        compiling, "_compile", lambda odb, item, *more: read.append(item.name) or real(odb, item, *more)
    )
    (src / "README.md").write_bytes(b"hallo")
    second = provenance(src)
    assert read == ["README.md"]
    assert second["sources"][1] == first["sources"][1]
    assert second["sources"][0]["blake3"] == digest(b"hallo")
    assert second["files"]["blake3"] == listed({"README.md": b"hallo", "sub/t.csv": CSV})


@pytest.mark.spec("PROV-1")
def test_a_file_that_changes_while_it_is_read_has_no_digest(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compiling.compile_table

    def slow(*args: Any) -> Any:
        done = real(*args)
        (src / "sub" / "t.csv").write_bytes(CSV + b"3,z\n")
        return done

    monkeypatch.setattr(compiling, "compile_table", slow)
    found = provenance(src)
    assert found["sources"][1] == {"entry": "sub/t", "path": "sub/t.csv", "blake3": None, "size": None}
    lines = f"{digest(b'hello')}  README.md\n{'0' * 64}  sub/t.csv\n"
    assert found["files"]["blake3"] == digest(lines.encode())


def test_a_build_yml_is_kept(src: Path) -> None:
    text = 'contents:\n  t: {file: sub/t.csv}  # "ü"\n  "again/t": {file: sub/t.csv, as: blob}\n'.replace(
        '"again/t"', "u"
    )
    (src / "build.yml").write_text(text, encoding="utf-8")
    found = provenance(src)
    data = text.encode()
    assert found["build"] == {"path": "build.yml", "blake3": digest(data), "size": len(data), "text": text}
    assert [(s["entry"], s["path"], s["blake3"]) for s in found["sources"]] == [
        ("t", "sub/t.csv", digest(CSV)),
        ("u", "sub/t.csv", digest(CSV)),
    ]
    assert found["source"] == "src"


@pytest.mark.spec("PROV-2")
def test_a_long_build_yml_is_named_alone(src: Path) -> None:
    data = b"contents: {t: {file: sub/t.csv}}\n" + b"# long\n" * 10_000
    (src / "build.yml").write_bytes(data)
    assert provenance(src)["build"] == {"path": "build.yml", "blake3": digest(data), "size": len(data)}


@pytest.mark.spec("PROV-2")
def test_of_many_files_there_is_one_digest(src: Path) -> None:
    files = {f"{n:04}.txt": b"%d" % n for n in range(1001)}
    for name, data in files.items():
        (src / "sub" / name).write_bytes(data)
    found = provenance(src)
    assert found["sources"] == []
    every = {"README.md": b"hello", **{f"sub/{name}": data for name, data in files.items()}, "sub/t.csv": CSV}
    assert found["files"] == {"count": 1003, "size": sum(map(len, every.values())), "blake3": listed(every)}
    assert len(json.dumps(found)) < 1000


def test_parts_of_one_table(src: Path) -> None:
    (src / "sub" / "u.csv").write_bytes(CSV)
    (src / "build.yml").write_text("contents: {t: {files: sub/*.csv}}")
    found = provenance(src)
    said = {"entry": "t", "blake3": digest(CSV), "size": len(CSV)}
    assert found["sources"] == [{"path": "sub/t.csv", **said}, {"path": "sub/u.csv", **said}]
    assert found["files"] == {
        "count": 2,
        "size": 2 * len(CSV),
        "blake3": listed({"sub/t.csv": CSV, "sub/u.csv": CSV}),
    }


def test_names_that_are_not_ascii(src: Path) -> None:
    (src / "grün.txt").write_bytes(b"x")
    assert {s["path"] for s in provenance(src)["sources"]} == {"README.md", "grün.txt", "sub/t.csv"}


# git


def git(folder: Path, *words: str) -> str:
    ask = ["git", "-c", "user.name=Ada", "-c", "user.email=a@example.org", "-C", str(folder), *words]
    return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()


def test_the_git_commit_around(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(src.parent, "init", "-q")
    assert "git" not in provenance(src)  # no commit yet
    git(src.parent, "add", "src")
    git(src.parent, "commit", "-qm", "one")
    (src / "new.txt").write_text("not tracked")
    commit = git(src.parent, "rev-parse", "HEAD")
    assert provenance(src)["git"] == {"commit": commit, "dirty": False}
    (src / "README.md").write_text("changed")
    monkeypatch.setenv("GIT_DIR", str(src.parent / "nowhere"))  # as in a hook of another repository
    assert provenance(src)["git"] == {"commit": commit, "dirty": True}


def test_without_git_the_build_goes_on(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(src, "init", "-q")
    git(src, "commit", "-q", "--allow-empty", "-m", "one")
    monkeypatch.setenv("PATH", str(src / "sub"))
    assert "git" not in provenance(src)


# Shown


def test_show(src: Path, dpk: Callable[..., Any]) -> None:
    text = "contents:\n  t: {file: sub/t.csv}\n"
    (src / "build.yml").write_text(text)
    dpk("build", PKG, str(src))
    said = dpk("show", PKG, "--provenance").out
    assert f"  blake3: {digest(CSV)}\n" in said.replace("- ", "  ")
    assert "  text: |\n    contents:\n      t: {file: sub/t.csv}\n" in said
    assert dpk("show", f"{PKG}/t", "--json").json["provenance"]["build"]["text"] == text


def test_show_of_a_commit_that_says_nothing(sales: Any, dpk: Callable[..., Any]) -> None:
    assert dpk("show", "acme/sales", "--provenance").out.endswith("\nnothing is recorded\n")


@pytest.mark.parametrize("value", [{"a": {"b": [None, 1, True, {}]}}, {"x": "\x1b[31m\n\x07"}, {"": "yes"}])
def test_show_of_what_others_wrote(store: Any, dpk: Callable[..., Any], value: dict[str, Any]) -> None:
    repository = store.repository
    tree = store.tree({"a.txt": b"x"})
    repository.move(PKG, repository.make_commit(tree, (), "", provenance=value), None, "test")
    said = dpk("show", PKG, "--provenance").out
    assert not any(c < " " and c != "\n" for c in said)
    assert dpk("show", PKG, "--json").json["provenance"] == value


@pytest.mark.parametrize("url", ["https://h/x.csv?v=geheim", "postgresql://ada:ge/heim@h/db", "s3://b/x#geheim"])
def test_what_may_be_a_key_is_not_kept(src: Path, url: str) -> None:
    yml = f"contents:\n  t: {{file: sub/t.csv}}  # was {url}\n"
    (src / "build.yml").write_text(yml)
    found = provenance(src)
    assert found["build"] == {"path": "build.yml", "blake3": digest(yml.encode()), "size": len(yml)}
    assert "heim" not in json.dumps(found)
    plain = yml.replace(url, "postgresql://ada:${PW}@h/db")
    (src / "build.yml").write_text(plain)
    (src / "sub/t.csv").write_bytes(b"a\n1\n")
    assert provenance(src)["build"]["text"] == plain
