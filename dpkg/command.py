"""What a command file says of itself: its name, its parameters, and how its result is shown.

A command is one file `_log.py` in plumbing/ or porcelain/ with one typed function `log`, that never prints and
returns a frozen dataclass or an iterator; `COMMAND`, its parameters on the command line, whose names equal the
function's; and `render(result)`, which yields what people see, a `Shown` each. `--json` needs no renderer: a
dataclass is one object, an iterator a line for each item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    # What a shell may complete: an object of the store, something on disk, or a name (dpkg/cli/complete.py).
    # "expr" is owner/name[@revision][/path], "commit" the same without a path, "theirs" a package of the remote;
    # "revision" and "branch" are of the package that an argument before names; "pack" is a pack of the store, or a file.
    Completes: TypeAlias = Literal[
        "",
        "package",
        "commit",
        "expr",
        "theirs",
        "revision",
        "branch",
        "remote",
        "remote-name",
        "key",
        "command",
        "file",
        "dir",
        "pack",
    ]
    # A part of a line is text, or (style, text); a style is words of "bold dim red green yellow blue magenta cyan".
    Part: TypeAlias = str | tuple[str, str]
    Line: TypeAlias = str | tuple[Part, ...]
    # What a renderer yields: a line, aligned rows, or raw bytes for a pipe.
    Shown: TypeAlias = "Line | Grid | bytes"

_HARMLESS = frozenset("\t\u00a0\u200c\u200d\u202f\u3000")  # not "printable" to Python, but plain spaces and joiners
_LEAST = 12  # columns that a cell of a narrowed grid keeps
CELL = 28  # columns of a value of a table, as people see it


class Arg(NamedTuple):
    """A positional argument. `many` takes the rest; `optional` may be left out (the function's default holds)."""

    name: str
    help: str
    metavar: str = ""
    optional: bool = False
    many: bool = False
    completes: Completes = ""
    choices: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """As in a usage line: `PATH`, `[PATH]`, `[PATH …]`."""
        text = (self.metavar or self.name.upper()) + (" …" if self.many else "")
        return f"[{text}]" if self.optional else text


class Opt(NamedTuple):
    """An option. `flags` as on the command line; the parameter is the first long flag's name, with `_` for `-`."""

    flags: str
    help: str
    type: Callable[[str], Any] | None = None  # None: a switch
    metavar: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False  # may be given more than once; the parameter is a tuple
    view: bool = False  # how the result is shown: a parameter of `render`, not of the function
    completes: Completes = ""

    @property
    def dest(self) -> str:
        """The parameter's name; one that Python keeps for itself has `_` after it."""
        name = next(f for f in self.flags.split() if f.startswith("--"))[2:].replace("-", "_")
        return name + "_" if iskeyword(name) else name


class Command(NamedTuple):
    """A command's name, what it does, its parameters, and more text: for its own --help, and for its man page.

    `epilog` is in both. Only the man page has `details`, paragraphs a line each; `output`, what is printed without --json;
    `examples`, (what it does, the command line) each; and `see`, other commands.
    """

    name: str
    summary: str
    params: tuple[Arg | Opt, ...]
    epilog: str = ""
    details: str = ""
    output: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    see: tuple[str, ...] = ()
    prose: bool = False  # what it prints only says that it went well: --quiet leaves that out
    json: int = 1  # the version of what --json prints (spec/cli.md)

    @property
    def args(self) -> list[Arg]:
        """The positional arguments."""
        return [p for p in self.params if isinstance(p, Arg)]

    @property
    def opts(self) -> list[Opt]:
        """The options."""
        return [p for p in self.params if isinstance(p, Opt)]


STORE = Opt(
    "--store",
    "the store: a folder or URL (default: $DPK_STORE, the nearest .dpk/ upward, your data folder)",
    str,
    "STORE",
    completes="dir",
)


def clean(text: str) -> str:
    """Text from data as it may be shown: what could steer a terminal, and lone surrogates, as their escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else _escape(c) for c in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def shorten(size: float) -> str:
    """A number of bytes for people: 1,234 bytes as `1.2 kB`; decimal units."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"


def cell(value: Any, most: int = CELL) -> str:
    """A value of a table, a JSON value, as people see it: at most so many characters, null as a dot."""
    text = "·" if value is None else value if isinstance(value, str) else str(value)
    text = clean(text[: 2 * most].replace("\n", "⏎"))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut(text: str, most: int) -> str:
    """The beginning of a text, of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2 rows`, `1,234 rows`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def when(seconds: int) -> str:
    """A time for people, in UTC: `2026-11-22 11:48:44 UTC`."""
    import time

    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):  # a commit may hold any integer
        return f"second {seconds} of 1970"


def elide(text: str, width: int) -> str:
    """`text` in at most `width` columns, its middle left out: both ends of a path say something."""
    if _width(text) <= width:
        return text
    tail = _fit(text[::-1], (width - 1) // 2)[::-1]
    return f"{_fit(text, width - 1 - _width(tail))}…{tail}"


def _fit(text: str, width: int) -> str:
    """As much of the start of `text` as takes at most `width` columns."""
    end = min(len(text), width)
    while _width(text[:end]) > width:
        end -= 1
    return text[:end]


class Grid(NamedTuple):
    """Rows of cells (a text or a styled part each) in aligned columns; columns are named by place."""

    rows: Sequence[tuple[Part, ...]]
    right: frozenset[int] = frozenset()  # right-aligned
    give: frozenset[int] = frozenset()  # elided where a terminal is too narrow
    drop: bool = False  # on a narrow terminal the last columns are left out
    short: Callable[[str, int], str] = elide  # what a cell has in so many columns of a terminal

    def lines(self, width: int = 0) -> Iterator[Line]:
        """The lines, of at most `width` columns (0: any) as far as the columns that may give allow it."""
        rows = [[_map(clean, cell) for cell in row] for row in self.rows]
        widths = [max(_width(_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
        if width and self.drop:
            self._drop(rows, widths, width)
        elif width:
            self._narrow(widths, width)
        for row in rows:
            parts: list[Part] = []
            for i, most in enumerate(widths):
                cell = _map(lambda text, most=most: self.short(text, most), row[i])  # type: ignore[misc]
                pad = " " * (most - _width(_text(cell)))
                parts += [pad, cell] if i in self.right else [cell, pad]
                parts.append("  ")
            yield _trimmed(parts)

    def _narrow(self, widths: list[int], width: int) -> None:
        """Take from the widest of the columns that give, down to a least width, until the lines fit."""
        over = sum(widths) + 2 * (len(widths) - 1) - width
        while over > 0:
            widest = max(self.give, key=lambda i: widths[i], default=None)
            if widest is None or widths[widest] <= _LEAST:
                return
            others = max((widths[i] for i in self.give if i != widest), default=0)
            given = min(over, widths[widest] - max(_LEAST, min(others, widths[widest] - 1)))
            widths[widest] -= given
            over -= given

    def _drop(self, rows: list[list[Part]], widths: list[int], width: int) -> None:
        """Keep as many columns as fit beside a last one that says how many more there are."""
        ends = list(accumulate(w + 2 for w in widths))
        if ends[-1] - 2 <= width:
            return
        more = f"… {len(widths):,} more"
        kept = max(1, sum(end + len(more) <= width for end in ends))
        for i, row in enumerate(rows):
            row[kept:] = [("dim", f"… {len(widths) - kept:,} more" if i == 0 else "")]
        widths[kept:] = [len(more)]
        widths[0] = min(widths[0], max(_LEAST, width - 2 * kept - sum(widths[1:])))


def grid(
    rows: Sequence[tuple[Part, ...]],
    right: str | Iterable[int] = "",
    give: str | Iterable[int] | None = None,
    drop: bool = False,
) -> list[Grid]:
    """A grid for `yield from`; nothing for no rows.

    Places as digits, "12", or numbers; without `give` all others than `right` give.
    """
    if not rows:
        return []
    at_right = frozenset(map(int, right))
    may_give = frozenset(range(len(rows[0]))) - at_right if give is None else frozenset(map(int, give))
    return [Grid(rows, at_right, may_give, drop)]


def _trimmed(parts: list[Part]) -> tuple[Part, ...]:
    """Without spaces at the end."""
    while parts and not _text(parts[-1]).strip():
        parts.pop()
    return tuple(parts)


def _text(cell: Part) -> str:
    return cell if isinstance(cell, str) else cell[1]


def _map(change: Callable[[str], str], cell: Part) -> Part:
    return change(cell) if isinstance(cell, str) else (cell[0], change(cell[1]))


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
