"""`--json` for every command: one object, or one on each line; the same names as the Python result has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import pytest

import dpkg
from dpkg.cli import commands
from dpkg.cli.output import to_json

ONE, MANY = "one object", "a line each"
# A call of each command on the package of the fixture `sales`, and what its JSON is.
CALLS: dict[str, tuple[list[str], str]] = {
    "init": (["./other"], ONE),
    "build": (["acme/built", "files"], ONE),
    "tag": (["acme/sales", "v2"], ONE),
    "ls": ([], MANY),
    "show": (["acme/sales/transactions"], ONE),
    "log": (["acme/sales"], MANY),
    "diff": (["acme/sales"], ONE),
    "push": (["acme/sales", "./remote"], ONE),
    "install": (["acme/sales", "./remote", "--store", "./elsewhere"], ONE),
    "export": (["acme/sales", "out"], ONE),
    "remote": (["add", "origin", "./remote"], MANY),
    "verify": ([], ONE),
    "rm": (["acme/sales@v1"], ONE),
    "config": (["author", "Bob"], MANY),
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
}


@pytest.fixture
def files(sales: Any, tmp_path: Any) -> Any:
    (tmp_path / "here" / "files").mkdir()
    (tmp_path / "here" / "files" / "a.csv").write_text("id,name\n1,x\n2,\n")
    (tmp_path / "here" / "files" / "note.txt").write_text("a note\n")
    dpkg.push("acme/sales", "./remote")
    return sales


def test_every_command_is_called() -> None:
    assert CALLS.keys() == set(commands.names())


@pytest.mark.parametrize("name", CALLS)
def test_json(dpk: Callable[..., Any], files: Any, name: str) -> None:
    args, kind = CALLS[name]
    if args == ["FRAGMENT"]:
        args = [next(dpkg.plumbing.ls_fragments("acme/sales/transactions")).oid]
    ran = dpk(name, *args, "--json")
    assert ran.err == ""
    assert ran.lines
    assert kind == MANY or len(ran.lines) == 1
    assert all(isinstance(line, dict) for line in ran.lines)
    results = {
        frozenset(f.name for f in fields(c) if f.repr)
        for c in vars(import_module(commands.module_of(name) or "")).values()
        if is_dataclass(c)
    }
    if name not in ("cat-object", "cat-fragment"):  # these print data
        assert frozenset(ran.lines[0]) in results


@pytest.mark.parametrize("name", CALLS)
def test_people_and_programs_get_the_same(dpk: Callable[..., Any], files: Any, name: str) -> None:
    """Without --json the command does the same and ends the same; its text is not empty, but for what is silent."""
    args, _ = CALLS[name]
    if args == ["FRAGMENT"]:
        args = [next(dpkg.plumbing.ls_fragments("acme/sales/transactions")).oid]
    ran = dpk(name, *args)
    assert bool(ran.stdout) == (name != "update-ref")
    assert ran.err == ""
    assert b"\x1b" not in ran.stdout


def test_values_as_json() -> None:
    assert to_json({"a": (1, [None, True, 1.5]), 2: "ü→"}) in (
        '{"a": [1, [null, true, 1.5]], "2": "ü→"}',
        '{"a": [1, [null, true, 1.5]], "2": "\\u00fc\\u2192"}',
    )
    with pytest.raises(ValueError):
        to_json(float("nan"))


def test_nothing_in_json_steers_a_terminal() -> None:
    nasty = "\x1b[31m \x9b2J \u202e \x7f \u2028 \udc80 \ud800 ok"
    text = to_json({nasty: nasty})
    assert text.isprintable()
    (item,) = json.loads(text).items()
    assert item[0] == item[1] == nasty.replace("\udc80", "\\udc80").replace("\ud800", "\\ud800")
