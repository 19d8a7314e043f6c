"""What a command's result looks like: lines for people, JSON for programs."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from dpkg import settings
from dpkg.command import Grid, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO

    from dpkg.command import Line, Shown
    from dpkg.errors import DpkgError

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
_BARS = str.maketrans("▁▂▃▄▅▆▇█", "_.-=+*%#")  # of histograms, where an encoding has none


ERROR_SCHEMA = "dpk.error/1"


def coloured(stream: TextIO) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR or TERM=dumb say no."""
    return stream.isatty() and not settings.plain_output()


def terminal_width(stream: TextIO) -> int:
    """Columns of the terminal that a stream is; 0 where it is none, and lines may have any length."""
    if not stream.isatty():
        return 0
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _has_bars(stream: TextIO) -> bool:
    try:
        "█".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def line(parts: Line, colour: bool, bars: bool = True) -> str:
    """One line of text from a str or a tuple of parts (dpkg.command), without anything that could steer a terminal."""
    if isinstance(parts, str):
        return clean(parts)
    out = []
    for part in parts:
        if isinstance(part, str):
            out.append(clean(part))
        else:
            style, text = part
            if style == "bars":
                style, text = "green", text if bars else text.translate(_BARS)
            codes = ";".join(str(_CODES[word]) for word in style.split())
            out.append(f"\x1b[{codes}m{clean(text)}\x1b[0m" if colour and codes and text else clean(text))
    return "".join(out)


def show(shown: Iterable[Shown], before: Callable[[], None] = lambda: None) -> None:
    """Print what a renderer yields; `before` is called ahead of each piece."""
    stream = sys.stdout
    colour, width, bars = coloured(stream), terminal_width(stream), _has_bars(stream)
    for item in shown:
        before()
        if isinstance(item, Grid):
            for one in item.lines(width):
                stream.write(line(one, colour, bars) + "\n")
        elif isinstance(item, bytes):
            stream.flush()
            stream.buffer.write(item)
            stream.buffer.flush()  # who asks for one object at a time waits for the answer
        else:
            stream.write(line(item, colour) + "\n")


def show_json(result: Any, schema: str, before: Callable[[], None] = lambda: None) -> None:
    """A dataclass as one object; what can be iterated as a line for each item. Each says by which schema it is made.

    `as_json` says what stands for an item. A row of data is the member `row`: its columns may have any names.
    """
    for item in result if hasattr(result, "__iter__") else (result,):
        before()
        if hasattr(item, "as_json"):
            members = item.as_json()
        else:
            members = {"row": item} if isinstance(item, dict) else _plain(item)
        sys.stdout.write(to_json({"schema": schema, **members}) + "\n")


def to_json(value: Any) -> str:
    """JSON of dataclasses, mappings and plain values, on one line; nothing in it can steer a terminal."""
    import json

    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(_plain(value), ensure_ascii=not utf8, allow_nan=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str(value) if value.isascii() else value.encode(errors="backslashreplace").decode()
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return {_plain(str(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    names = _members(type(value))  # type: ignore[arg-type]  # a type can be hashed
    return value if names is None else {name: _plain(getattr(value, name)) for name in names}


@cache
def _members(kind: type) -> tuple[str, ...] | None:
    """What is shown of a dataclass; None for another type."""
    from dataclasses import fields, is_dataclass

    return tuple(f.name for f in fields(kind) if f.repr) if is_dataclass(kind) else None


def show_error(error: DpkgError, as_json: bool) -> None:
    """An error, on stderr: its sentence, and what to do next; or one JSON object."""
    if as_json:
        said = {
            "schema": ERROR_SCHEMA,
            "error": type(error).__name__,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
        sys.stderr.write(to_json(said) + "\n")
        return
    colour = coloured(sys.stderr)
    for i, text in enumerate(error.message.splitlines() or [""]):
        sys.stderr.write(line((("bold red", "dpk: ") if i == 0 else "     ", text), colour) + "\n")
    for text in error.hint.splitlines():
        sys.stderr.write(line((("dim", f"     {text}"),), colour) + "\n")
