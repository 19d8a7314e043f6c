"""From argv to the parameters of a command's function.

A few lines of our own: argparse would cost more than all of `dpk log`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from dpkg.command import Opt
from dpkg.errors import Usage, did_you_mean

if TYPE_CHECKING:
    from typing import Any

    from dpkg.command import Arg, Command

# What every command takes: the command line's own options, not the function's.
COMMON = {"--json": "json", "--quiet": "quiet", "-q": "quiet", "--debug": "debug", "--help": "help", "-h": "help"}
PROGRESS = Opt(
    "--progress",
    "how to show progress (default: a bar on a terminal, else a plain line every few seconds)",
    str,
    "HOW",
    ("bar", "plain", "none"),
)


class Parsed(NamedTuple):
    """A command line: keyword arguments of the function and of the renderer, and the common options.

    `progress` is empty where nothing was said.
    """

    values: dict[str, Any]
    view: dict[str, Any]
    common: frozenset[str]
    progress: str


def split(args: list[str]) -> tuple[str | None, list[str]]:
    """(command, its arguments).

    Options before the command are handed to it: `dpk --store X log` is `dpk log --store X`.
    """
    at = 0
    while at < len(args) and args[at].startswith("-"):
        at += 2 if args[at] in ("--store", "--progress") else 1
    before, rest = args[:at], args[at:]
    if not rest:
        if before and not {"-h", "--help"} & set(before):
            raise Usage(f"'{before[0]}' needs a command", "see 'dpk --help'")
        return None, []
    if rest[0] == "help":
        return (rest[1], ["--help"]) if len(rest) > 1 else (None, [])
    return rest[0], before + rest[1:]


def common(args: list[str]) -> frozenset[str]:
    """The common options among `args`, for when the rest cannot be understood."""
    own = args[: args.index("--")] if "--" in args else args
    return frozenset(COMMON[arg] for arg in own if arg in COMMON)


def parse(command: Command, args: list[str]) -> Parsed:
    """What `args` give. Only parameters that are given are there: for the others the defaults hold. Raises Usage."""
    options = {flag: opt for opt in (*command.opts, PROGRESS) for flag in opt.flags.split()}
    todo, words, said = deque(args), list[str](), set[str]()
    values: dict[str, Any] = {}
    while todo:
        arg = todo.popleft()
        if arg == "--":
            words += todo
            break
        if arg == "-" or not arg.startswith("-"):
            words.append(arg)
            continue
        flag, value = _flag(arg)
        opt = options.get(flag)
        if opt is None and flag not in COMMON:
            raise _unknown(command, flag, [*options, *COMMON])
        if opt is not None and opt.type is not None:
            value = _value(flag, opt, value, todo, {*options, *COMMON})
            values[opt.dest] = (*values.get(opt.dest, ()), value) if opt.many else value
            continue
        if value is not None:
            if flag.startswith("--"):
                raise Usage(f"'{flag}' takes no value, and '{value}' is given", _see(command))
            todo.appendleft(f"-{value}")  # -rw is -r -w
        if opt is None:
            said.add(COMMON[flag])
        else:
            values[opt.dest] = True
    progress = values.pop(PROGRESS.dest, "")
    view = {opt.dest: values.pop(opt.dest) for opt in command.opts if opt.view and opt.dest in values}
    if "help" not in said:
        values.update(_words(command, words))
    return Parsed(values, view, frozenset(said), progress)


def _flag(arg: str) -> tuple[str, str | None]:
    """The flag, and what is attached to it: `--name=value`, `-nvalue`."""
    if arg.startswith("--"):
        flag, equals, value = arg.partition("=")
        return flag, value if equals else None
    return arg[:2], arg[2:] or None


def _value(flag: str, opt: Opt, given: str | None, todo: deque[str], flags: set[str]) -> Any:
    """The value of an option: what is attached to it, or the next argument."""
    wanted = opt.metavar or "a value"
    if given is None:
        if not todo:
            raise Usage(f"'{flag}' needs {wanted}, and nothing follows it")
        if todo[0] in flags:
            raise Usage(
                f"'{flag}' needs {wanted}, and '{todo[0]}' is an option", f"write {opt.flags.split()[-1]}={todo[0]}"
            )
        given = todo.popleft()
    if opt.choices and given not in opt.choices:
        raise Usage(
            f"'{given}' is no value of '{flag}'", did_you_mean(given, opt.choices, f"one of: {', '.join(opt.choices)}")
        )
    assert opt.type is not None
    try:
        return opt.type(given)
    except ValueError:
        raise Usage(f"'{flag}' wants a number, and '{given}' is none") from None


def _words(command: Command, words: list[str]) -> dict[str, Any]:
    """The positional arguments."""
    out: dict[str, Any] = {}
    left = deque(words)
    for arg in command.args:
        if not left:
            if not arg.optional:
                raise Usage(f"'dpk {command.name}' needs {arg.metavar or arg.name.upper()}: {arg.help}", _see(command))
        elif arg.many:
            out[arg.name] = tuple(left)
            left.clear()
        else:
            out[arg.name] = _chosen(arg, left.popleft())
    if left:
        raise Usage(f"'{left[0]}' is one argument too many for 'dpk {command.name}'", _see(command))
    return out


def _chosen(arg: Arg, given: str) -> str:
    """An argument, if it is one of those that may be."""
    if arg.choices and given not in arg.choices:
        hint = did_you_mean(given, arg.choices, f"one of: {', '.join(arg.choices)}")
        raise Usage(f"'{given}' is no {arg.metavar or arg.name.upper()}", hint)
    return given


def _unknown(command: Command, flag: str, known: list[str]) -> Usage:
    return Usage(f"'{flag}' is no option of 'dpk {command.name}'", did_you_mean(flag, known, _see(command)))


def _see(command: Command) -> str:
    words = " ".join(["dpk", command.name, *(arg.shown for arg in command.args)])
    return f"usage: {words} [OPTION …]; see 'dpk {command.name} --help'"
