"""From argv to parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpkg.cli.parse import COMMON, Parsed, common, parse, split
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage

COMMAND = Command(
    "try",
    "Try it.",
    (
        Arg("first", "the first"),
        Arg("second", "the second", optional=True),
        Opt("-n --rows", "how many", int, "N"),
        Opt("-m --message", "what", str, "TEXT"),
        Opt("-p --parent", "one of several", str, "COMMIT", many=True),
        Opt("--format", "how", str, "FORMAT", ("csv", "json")),
        Opt("-r --recursive", "deeper"),
        Opt("-w --write", "to disk"),
        Opt("--oneline", "short", view=True),
        STORE,
    ),
)


def values(*args: str) -> dict[str, Any]:
    return parse(COMMAND, list(args)).values


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["a"], {"first": "a"}),
        (["a", "b"], {"first": "a", "second": "b"}),
        (["a", "-n", "3"], {"first": "a", "rows": 3}),
        (["-n3", "a"], {"first": "a", "rows": 3}),
        (["--rows=3", "a"], {"first": "a", "rows": 3}),
        (["--rows", "-3", "a"], {"first": "a", "rows": -3}),
        (["a", "-rw"], {"first": "a", "recursive": True, "write": True}),
        (["a", "-rwn", "3"], {"first": "a", "recursive": True, "write": True, "rows": 3}),
        (["a", "-wm", "text"], {"first": "a", "write": True, "message": "text"}),
        (["a", "-m", "-"], {"first": "a", "message": "-"}),
        (["a", "-m", ""], {"first": "a", "message": ""}),
        (["a", "--message="], {"first": "a", "message": ""}),
        (["a", "--message=--write"], {"first": "a", "message": "--write"}),
        (["a", "--message=x=y"], {"first": "a", "message": "x=y"}),
        (["a", "-m", "one", "-m", "two"], {"first": "a", "message": "two"}),
        (["a", "-p", "x", "--parent=y"], {"first": "a", "parent": ("x", "y")}),
        (["--", "-r", "--write"], {"first": "-r", "second": "--write"}),
        (["-"], {"first": "-"}),
        (["a", "--format", "csv"], {"first": "a", "format": "csv"}),
    ],
)
def test_values(args: list[str], expected: dict[str, Any]) -> None:
    assert values(*args) == expected


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ([], "'dpk try' needs FIRST: the first", "usage: dpk try FIRST [SECOND] [OPTION …]; see 'dpk try --help'"),
        (["a", "b", "c"], "'c' is one argument too many for 'dpk try'", "usage: "),
        (["a", "-n"], "'-n' needs N, and nothing follows it", ""),
        (["a", "-m", "--write"], "'-m' needs TEXT, and '--write' is an option", "write --message=--write"),
        (["a", "-n", "x"], "'-n' wants a number, and 'x' is none", ""),
        (["a", "--rows=9" + "9" * 5000], "'--rows' wants a number", ""),
        (["a", "--format", "jsn"], "'jsn' is no value of '--format'", "did you mean 'json'?"),
        (["a", "--format", "?"], "'?' is no value of '--format'", "one of: csv, json"),
        (["a", "--mesage", "x"], "'--mesage' is no option of 'dpk try'", "did you mean '--message'?"),
        (["a", "-x"], "'-x' is no option of 'dpk try'", ""),
        (["a", "-rx"], "'-x' is no option of 'dpk try'", ""),
        (["a", "--write=yes"], "'--write' takes no value, and 'yes' is given", ""),
        (["a", "--json=1"], "'--json' takes no value", ""),
    ],
)
def test_what_is_wrong(args: list[str], message: str, hint: str) -> None:
    with pytest.raises(Usage) as caught:
        values(*args)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_common_options_and_views_are_not_the_functions() -> None:
    parsed = parse(COMMAND, ["--json", "a", "-q", "--oneline", "--debug"])
    assert parsed == Parsed({"first": "a"}, {"oneline": True}, frozenset(("json", "quiet", "debug")), "")
    assert parse(COMMAND, ["-qr", "a"]).common == {"quiet"}
    assert parse(COMMAND, ["a", "--progress=none"]) == Parsed({"first": "a"}, {}, frozenset(), "none")
    with pytest.raises(Usage, match="'soon' is no value of '--progress'"):
        parse(COMMAND, ["a", "--progress", "soon"])


def test_help_needs_nothing_else() -> None:
    assert parse(COMMAND, ["-h"]).common == {"help"}
    assert parse(COMMAND, ["a", "b", "c", "--help"]).common == {"help"}


def test_common_options_of_what_cannot_be_parsed() -> None:
    assert common(["nonsense", "--json", "--nothing"]) == {"json"}
    assert common(["--", "--json"]) == frozenset()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], (None, [])),
        (["--help"], (None, [])),
        (["-h"], (None, [])),
        (["help"], (None, [])),
        (["help", "log"], ("log", ["--help"])),
        (["log", "x"], ("log", ["x"])),
        (["--json", "log", "x"], ("log", ["--json", "x"])),
        (["--store", "s", "log", "x"], ("log", ["--store", "s", "x"])),
        (["--store=s", "--json", "log"], ("log", ["--store=s", "--json"])),
        (["--help", "log"], ("log", ["--help"])),
    ],
)
def test_split(args: list[str], expected: object) -> None:
    assert split(args) == expected


@pytest.mark.parametrize("args", [["--json"], ["--store"], ["--store", "x"], ["--nothing"]])
def test_options_without_a_command(args: list[str]) -> None:
    with pytest.raises(Usage, match="needs a command"):
        split(args)


FLAGS = [flag for opt in COMMAND.opts for flag in opt.flags.split()] + list(COMMON)
WORDS = st.sampled_from([*FLAGS, "--", "-", "a", "3", "csv", "--rows=", "-n4", "-rwq"]) | st.text(max_size=5)


@given(st.lists(WORDS, max_size=8))
def test_any_arguments_are_parsed_or_refused(args: list[str]) -> None:
    try:
        parsed = parse(COMMAND, args)
    except Usage:
        return
    names = {p.name if isinstance(p, Arg) else p.dest for p in COMMAND.params}
    assert parsed.values.keys() | parsed.view.keys() <= names
    assert "first" in parsed.values or "help" in parsed.common


TEXT = st.text(st.characters(codec="utf-8"), max_size=10)


@given(TEXT, TEXT, st.lists(TEXT, max_size=3), st.integers(-9, 9), st.booleans())
def test_what_is_spelled_is_what_comes_out(
    first: str, message: str, parents: list[str], rows: int, write: bool
) -> None:
    spelled = [f"--message={message}", *(f"--parent={p}" for p in parents), f"-n{rows}", *(["-w"] if write else [])]
    expected = {"first": first, "message": message, "rows": rows}
    expected |= ({"parent": tuple(parents)} if parents else {}) | ({"write": True} if write else {})
    assert values(*spelled, "--", first) == expected
