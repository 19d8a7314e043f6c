"""`--json` for every command: one object, or one on each line; the same names as the Python result has."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_json_schemas as schemas
import pytest
from jsonschema import Draft202012Validator

import dpkg
from dpkg import errors
from dpkg.cli import commands
from dpkg.cli.output import to_json

ONE, MANY = "one object", "a line each"
# A call of each command on the package of the fixture `sales`, and what its JSON is.
CALLS: dict[str, tuple[list[str], str]] = {
    "init": (["./other"], ONE),
    "generate": (["files"], ONE),
    "build": (["acme/built", "files"], ONE),
    "check": (["checked.build.yml"], ONE),
    "tag": (["acme/sales", "v2"], ONE),
    "ls": ([], MANY),
    "show": (["acme/sales/transactions"], ONE),
    "log": (["acme/sales"], MANY),
    "diff": (["acme/sales"], ONE),
    "blame": (["acme/sales/transactions", "-k", "id=4"], MANY),
    "review": (["accept", "acme/sales"], MANY),
    "push": (["acme/sales", "./remote"], ONE),
    "install": (["acme/sales", "./remote", "--store", "./elsewhere"], ONE),
    "export": (["acme/sales", "out"], ONE),
    "remote": (["add", "origin", "./remote"], MANY),
    "verify": ([], ONE),
    "repack": ([], ONE),
    "repair": ([], ONE),
    "rm": (["acme/sales@v1"], ONE),
    "gc": (["--keep-last", "1"], ONE),
    "config": (["author", "Bob"], MANY),
    "completion": (["bash"], ONE),
    "hash-object": (["files/a.csv"], MANY),
    "cat-object": (["acme/sales"], ONE),
    "cat-fragment": (["FRAGMENT"], MANY),
    "ls-fragments": (["acme/sales/transactions"], MANY),
    "write-table": (["files/a.csv"], ONE),
    "write-tree": (["files"], ONE),
    "ls-tree": (["acme/sales"], MANY),
    "commit-tree": (["acme/sales", "-m", "again"], ONE),
    "rev-parse": (["acme/sales@v1"], ONE),
    "update-ref": (["acme/sales", "acme/sales@v1"], ONE),
    "show-ref": ([], MANY),
    "mktree": ([], ONE),
    "rev-list": (["--objects", "acme/sales"], MANY),
    "diff-tree": (["acme/sales@v1", "acme/sales"], MANY),
    "count-objects": (["-v"], MANY),
    "pack-objects": (["FRAGMENT"], MANY),
    "index-pack": (["a.pack"], MANY),
    "verify-pack": (["-v", "a.pack"], MANY),
    "unpack-objects": (["a.pack"], MANY),
    "verify-object": (["-v", "FRAGMENT"], MANY),
    "for-each-ref": ([], MANY),
    "fetch-objects": (["./remote", "FRAGMENT"], MANY),
    "send-objects": (["./remote", "FRAGMENT"], MANY),
    "ls-remote": (["./remote"], MANY),
    "apply-diff": (["acme/sales@v1/transactions", "rows.arrow"], ONE),
    "read-table": (["acme/sales/transactions"], MANY),
    "check-ref-format": (["v1"], ONE),
    "update-server-info": ([], ONE),
}
SILENT = ("update-ref", "check-ref-format")


@pytest.fixture
def files(sales: Any, tmp_path: Any) -> Any:
    (tmp_path / "here" / "files").mkdir()
    (tmp_path / "here" / "files" / "a.csv").write_text("id,name\n1,x\n2,\n")
    (tmp_path / "here" / "files" / "note.txt").write_text("a note\n")
    checks = "{severity: warn, rows: {min: 1}, columns: {name: {not_null: true}, id: {max: 1}}}"
    (tmp_path / "here" / "checked.build.yml").write_text(f"contents: {{a: {{file: files/a.csv, checks: {checks}}}}}")
    dpkg.push("acme/sales", "./remote")
    list(dpkg.plumbing.pack_objects(dpkg.plumbing.rev_parse("acme/sales").oid, output="a.pack"))
    dpkg.diff("acme/sales", paths=["transactions"], format="arrow", output="rows.arrow")
    return sales


def _fragment() -> str:
    return next(dpkg.plumbing.ls_fragments("acme/sales/transactions")).oid


def test_every_command_is_called() -> None:
    assert CALLS.keys() == set(commands.names())


@pytest.mark.spec("CLI-8")
@pytest.mark.parametrize("name", CALLS)
def test_json(dpk: Callable[..., Any], files: Any, name: str) -> None:
    args, kind = CALLS[name]
    args = [_fragment() if arg == "FRAGMENT" else arg for arg in args]
    ran = dpk(name, *args, "--json")
    assert ran.err == ""
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert len(lines) == 1 if kind == ONE else lines
    holds(name, lines)


def holds(name: str, lines: list[Any]) -> None:
    """Each line is as the published schema says, which refuses a member more or less."""
    schema = Draft202012Validator(published(name))
    for line in lines:
        assert next(iter(line.items())) == ("schema", schemas.version(published(name)))
        assert list(schema.iter_errors(line)) == []
        assert not schema.is_valid({**line, "another": 1})
        assert not schema.is_valid({k: v for k, v in line.items() if k != "schema"})


# More calls, for what a command's JSON may hold besides.
MORE: list[list[str]] = [
    ["ls", "-r", "acme/sales"],
    ["show", "acme/sales"],
    ["show", "acme/sales/README.md"],
    ["show", "acme/sales/docs"],
    ["diff", "acme/sales@v1..latest"],
    ["diff", "acme/sales", "acme/built"],
    ["diff", "acme/sales@v1", "./files", "--stat"],
    ["diff", "acme/sales@v1..latest", "transactions", "--format", "csv", "-o", "rows.csv"],
    ["log", "acme/sales", "-p", "transactions"],
    ["blame", "acme/sales/transactions", "-k", "id=1", "--all"],
    ["review", "list", "acme/sales"],
    ["cat-object", "-t", "acme/sales"],
    ["cat-object", "-s", "acme/sales/README.md"],
    ["cat-object", "-e", "acme/sales"],
    ["cat-object", "acme/sales/README.md"],
    ["cat-object", "--batch"],
    ["ls-fragments", "--paths", "acme/sales/transactions"],
    ["hash-object", "--table", "files/a.csv"],
    ["update-ref", "acme/sales", "acme/sales@v1", "none", "--branch", "side"],
    ["install", "acme/sales", "./remote", "--into", "out"],
    ["push", "acme/built", "./remote"],
    ["remote", "list"],
    ["config", "--unset", "remote.here"],
    ["ls"],
]


@pytest.mark.spec("CLI-8")
@pytest.mark.parametrize("args", MORE, ids=" ".join)
def test_what_else_it_may_hold(dpk: Callable[..., Any], files: Any, args: list[str]) -> None:
    dpk("build", "acme/built", "files")
    dpk("remote", "add", "here", "./remote")
    dpk("review", "accept", "acme/sales")
    ran = dpk(*args, "--json", stdin=b"acme/sales\nacme/nothing\n")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert lines
    holds(args[0], lines)


@pytest.mark.spec("CLI-8")
def test_damage_as_json(dpk: Callable[..., Any], sales: Any) -> None:
    next(path for path in Path(sales.url, "objects").rglob("*") if path.is_file()).write_bytes(b"")
    said = [json.loads(line) for line in dpk("verify", "--json", code=6).out.splitlines()]
    assert said[0]["problems"]
    holds("verify", said)


@pytest.mark.spec("CLI-9")
def test_errors_as_json(dpk: Callable[..., Any], sales: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [KeyboardInterrupt(), *(kind("what", "and then") for kind in errors.DpkgError.__subclasses__())]
    for error in (ValueError("odd"), *kinds):

        def failing(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("dpkg.porcelain._ls.ls", failing)
        ran = dpk("ls", "--json", code=None)
        said = json.loads(ran.err)
        assert said["exit_code"] == ran.code
        holds("error", [said])


def published(name: str) -> dict[str, Any]:
    return json.loads((schemas.OUT / f"{name}.json").read_text("utf-8"))  # type: ignore[no-any-return]


@pytest.mark.spec("CLI-8")
def test_the_schemas_are_those_of_the_code() -> None:
    """After a change: python tests/cli/make_json_schemas.py."""
    made = schemas.schemas()
    assert {path.name for path in schemas.OUT.glob("*")} == made.keys()
    for name, schema in made.items():
        Draft202012Validator.check_schema(schema)
        assert (schemas.OUT / name).read_text("utf-8") == schemas.text(schema), name


@pytest.mark.spec("CLI-10")
def test_only_members_are_added_within_a_version() -> None:
    old = published("log")
    more, less, other, maybe = (copy.deepcopy(old) for _ in range(4))
    more["properties"]["size"] = {"type": "integer"}
    more["required"].append("size")
    del less["properties"]["author"]
    other["properties"]["time"] = {"type": "string"}
    maybe["required"].remove("author")
    assert schemas.broken(old, old) == schemas.broken(old, more) == []
    assert schemas.broken(old, less) == ["/properties/author"]
    assert "/properties/time/type" in schemas.broken(old, other)
    assert schemas.broken(old, maybe) == ["/author (always there)"]


@pytest.mark.parametrize("name", CALLS)
def test_people_and_programs_get_the_same(dpk: Callable[..., Any], files: Any, name: str) -> None:
    """Without --json the command does the same and ends the same; its text is not empty, but for what is silent."""
    args, _ = CALLS[name]
    args = [_fragment() if arg == "FRAGMENT" else arg for arg in args]
    ran = dpk(name, *args)
    assert bool(ran.stdout) == (name not in SILENT)
    assert ran.err == ""
    assert b"\x1b" not in ran.stdout


def test_values_as_json() -> None:
    assert to_json({"a": (1, [None, True, 1.5]), 2: "ü→"}) in (
        '{"a": [1, [null, true, 1.5]], "2": "ü→"}',
        '{"a": [1, [null, true, 1.5]], "2": "\\u00fc\\u2192"}',
    )
    with pytest.raises(ValueError):
        to_json(float("nan"))


@pytest.mark.spec("CLI-11")
def test_integers_are_exact(dpk: Callable[..., Any], store: Any) -> None:
    """Of 64 bits in rows; everywhere else the schemas bound them."""
    most = 2**63 - 1
    store.commit("acme/big", {"t": {"n": [most, -most - 1]}})
    said = dpk("show", "acme/big/t", "--json").out
    assert f'"head": [{{"n": {most}}}, {{"n": {-most - 1}}}]' in said
    assert f'"row": {{"n": {most}}}' in dpk("read-table", "acme/big/t", "--json").out
    texts = [path.read_text("utf-8") for path in schemas.OUT.glob("*.json") if "yml" not in path.name]
    bounds = [json.loads(f"[{b}]") for text in texts for b in re.findall(r'imum": (-?\d+)', text)]
    assert {abs(b) for (b,) in bounds} == {2**53 - 1}
    assert sum(text.count('"integer"') for text in texts) * 2 == len(bounds)


@pytest.mark.spec("CLI-7")
def test_nothing_in_json_steers_a_terminal() -> None:
    nasty = "\x1b[31m \x9b2J \u202e \x7f \u2028 \udc80 \ud800 ok"
    text = to_json({nasty: nasty})
    assert text.isprintable()
    (item,) = json.loads(text).items()
    assert item[0] == item[1] == nasty.replace("\udc80", "\\udc80").replace("\ud800", "\\ud800")
