"""`dpk --help` from the static table, and a command's own --help from its parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dpkg.cli.commands import TABLE
from dpkg.cli.parse import PROGRESS
from dpkg.command import Opt

if TYPE_CHECKING:
    from dpkg.command import Command, Line

COMMON = (
    ("--json", "print JSON: one object, or one a line"),
    ("-q, --quiet", "no progress, and no report of what went well; results that were asked for are printed"),
    (f"{PROGRESS.flags} {'|'.join(PROGRESS.choices)}", PROGRESS.help),
    ("--debug", "show where an error came from"),
    ("-h, --help", "this help"),
)
_AT, _WIDEST = 22, 100  # where explanations begin, and the longest line


def overview(version: str) -> Iterator[Line]:
    """All commands, by group."""
    yield f"dpk {version}, a git for data packages"
    yield ""
    yield "usage: dpk COMMAND [ARGUMENT …] [--store STORE] [--json]"
    widest = max(len(name) for commands in TABLE.values() for name in commands)
    for group, commands in TABLE.items():
        yield ""
        yield (("bold", group),)
        for name, summary in commands.items():
            yield ("  ", ("cyan", f"{name:<{widest}}"), "  ", summary)
    yield ""
    yield "A package is written owner/name[@revision][/path]."
    yield "'dpk COMMAND --help' tells more."


def of_command(command: Command, width: int) -> Iterator[Line]:
    """One command: usage, what it does, its parameters. `width` as the terminal's, in columns."""
    width = min(width, _WIDEST)
    words = [*(arg.shown for arg in command.args), *(f"[{_spell(opt)}]" for opt in command.opts)]
    indent = len(f"usage: dpk {command.name} ")
    yield from _wrap(f"usage: dpk {command.name} ", [word.replace(" ", "\0") for word in words], width, indent)
    yield ""
    yield from textwrap.wrap(command.summary, width)
    for title, rows in (
        ("arguments", [(arg.shown.strip("[]"), arg.help) for arg in command.args]),
        ("options", [(_spell(opt, all_flags=True), opt.help) for opt in command.opts]),
        ("all commands", COMMON),
    ):
        if rows:
            yield ""
            yield (("bold", title),)
        for name, text in rows:
            yield from _row(name, text, width)
    if command.epilog:
        yield ""
        for paragraph in command.epilog.splitlines():
            yield from textwrap.wrap(paragraph, width)


def _spell(opt: Opt, all_flags: bool = False) -> str:
    flags = opt.flags.split()
    value = f" {'|'.join(opt.choices) or opt.metavar}" if opt.type else ""
    return (", ".join(flags) if all_flags else flags[0]) + value + (" …" if opt.many and not all_flags else "")


def _row(name: str, text: str, width: int) -> Iterator[Line]:
    lines = textwrap.wrap(text, max(20, width - _AT))
    if len(name) + 4 > _AT:
        yield ("  ", ("cyan", name))
        yield from (" " * _AT + line for line in lines)
        return
    yield ("  ", ("cyan", f"{name:<{_AT - 2}}"), lines[0])
    yield from (" " * _AT + line for line in lines[1:])


def _wrap(start: str, words: list[str], width: int, indent: int) -> Iterator[str]:
    """A usage line; each word stays whole (its spaces are \\0)."""
    text = textwrap.fill(
        " ".join(words),
        width,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (text or start).replace("\0", " ").splitlines()
