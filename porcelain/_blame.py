"""`dpk blame`: which commit last changed a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from shlex import quote
from typing import TYPE_CHECKING, Any

from dpkg import parts
from dpkg.command import CELL, STORE, Arg, Command, Opt, cell, elide, grid, when
from dpkg.errors import NotFound, Usage
from dpkg.names import parse_expr
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Part, Shown
    from dpkg.diffing.blame import Event
    from dpkg.names import Expr
    from dpkg.oid import Oid

COMMAND = Command(
    "blame",
    "Show which commit last changed a row of a table, and what it changed.",
    (
        Arg("expr", "owner/name[@revision]/path of a table", metavar="TABLE", completes="expr"),
        Opt(
            "-k --key",
            "COLUMN=VALUE of the row; once for each column of the table's key, or only the value where that is one column",
            str,
            "KEY",
            many=True,
        ),
        Opt("--all", "all commits that changed the row, also those in which it went and came back"),
        Opt("-n --max-count", "at most N of these", int, "N"),
        STORE,
    ),
    epilog="VALUE is written as in CSV: nothing is null, \"\" the empty text. In a table without a key the columns\n"
    "that are named choose the rows; of each that is there the commit is shown in which it appeared last.",
    details="The history is that of first parents, from the revision on. A row counts as changed where a value differs in a column that "
    "both versions have, as it would be in the newer type, or where a new column is not null in it. Columns that seem renamed are "
    "followed, and a table that came to its path as it was.\n"
    "Without a key rows have no identity: where one row with these values went and one came, it is shown as changed. How often "
    "the same row is there does not count.\n"
    "Only commits in which the table is another are looked into, and of them only the fragments that changed and may have the row.",
    examples=(
        ("Who last changed the sales of a shop on a day:", "dpk blame acme/shop/sales --key day=2026-02-01 --key shop=Bern"),
        ("All that became of a row until v2, by a key of one column:", "dpk blame acme/shop@v2/customers -k 4711 --all"),
    ),
    see=("log", "diff", "show"),
)  # fmt: skip


_COLUMNS, _LONG = 200, 60  # columns that are shown; characters of a cell that changed


@dataclass(frozen=True)
class Blame:
    """What a commit did to a row.

    `what` is added, changed or removed; or older: it was there already in the oldest commit that is here, and `cut` says why.
    """

    what: str
    commit: Oid
    tophash: Oid
    author: str
    time: int
    message: str
    path: str  # of the table, in this commit
    row: dict[str, Any]  # the values by which it was asked for
    cells: tuple[str, ...]  # columns that changed, by their new names
    old: dict[str, Any] | None  # the row before; of one that changed these cells, null in a column that was not there
    new: dict[str, Any] | None  # the row after; of one that changed these cells
    cut: str | None = None


def blame(
    expr: str, *, key: Sequence[str] = (), all: bool = False, max_count: int | None = None, store: str | None = None
) -> Iterator[Blame]:
    """What last changed a row, or its whole history, newest first, read as it is asked for.

    Raises NotFound where there is no such row, saying when it was removed, and Usage for a key that does not fit.
    """
    from dpkg.diffing import blame as history

    if max_count is not None and max_count < 0:
        raise Usage("a number of commits is not negative")
    parsed = parse_expr(expr)
    if parsed.path is None:
        raise Usage(f"'{expr}' is a whole package, and rows are of tables", f"see its tables with 'dpk ls {expr}'")
    repository = Repository(store).snapshot(parsed.package)
    _, start, _ = repository.resolve(parsed)
    alone = any(part.commit == start for part in parts.of(repository.refs, parsed.package))
    said = (key,) if isinstance(key, str) else tuple(key)
    rows = history.Blame(repository, start, parsed.path, said, alone)
    whole = all or max_count is not None
    if not rows.rows:
        found = next(rows.history(), None)
        if found is None or not whole:
            raise _gone(parsed, said, found)
    asked = rows.asked
    events = islice(rows.history(), max_count) if whole else rows.last()
    return (_blame(repository, parsed.package, event, asked, alone) for event in events)


def _gone(expr: Expr, said: Sequence[str], event: Event | None) -> NotFound:
    """The error for a row that is not there, and may have been."""
    keys = ", ".join(said)
    if event is None:
        return NotFound(f"no row of '{expr}' has {keys}", "nor had any before, as far as the history goes")
    short = event.commit.short
    before = " ".join(
        ["dpk blame", quote(f"{expr.package}@{short}~1/{event.path}"), *(f"--key {quote(k)}" for k in said)]
    )
    hint = f"commit {short} removed it ({_name(event.made.author)}, {when(event.made.time)}); before that:\n{before}"
    return NotFound(f"no row of '{expr}' has {keys} any more", hint)


def _blame(repository: Repository, package: str, e: Event, asked: dict[str, Any], alone: bool) -> Blame:
    old, new, cut = e.old.json() if e.old else None, e.new.json() if e.new else None, None
    if old and new:  # it changed
        old = {name: None if was is None else old[was] for name, was in e.cells}
        new = {name: new[name] for name, _ in e.cells}
    if e.what == "older":
        cut = "the commits before are not here" if alone else repository.cut(package, e.commit)
    made, cells = e.made, tuple(name for name, _ in e.cells)
    said = (made.tree, made.author, made.time, made.message, e.path)
    return Blame(e.what, e.commit, *said, asked, cells, old, new, cut)


def _name(author: str) -> str:
    """Without the mail: --json and 'dpk log' have that."""
    return author.partition(" <")[0] or author


def render(result: Iterator[Blame]) -> Iterator[Shown]:
    path = None
    for n, b in enumerate(result):
        if n:
            yield ""
        title = next(iter(b.message.splitlines()), "")
        yield from grid([(("yellow", b.commit[:12]), when(b.time), _name(b.author), title)], give="23")
        if path not in (None, b.path):
            yield (("dim", f"    the table was {b.path}"),)
        path = b.path
        yield from _row(b)


def _row(b: Blame) -> Iterator[Shown]:
    if b.what == "changed":
        old, new = b.old or {}, b.new or {}
        yield from grid([_cell(n, old[n], new[n]) for n in b.cells[:_COLUMNS]], give="24")
        if len(b.cells) > _COLUMNS:
            yield (("dim", f"    … {len(b.cells) - _COLUMNS:,} columns more"),)
        return
    style, sign = {"added": ("green", "+"), "removed": ("red", "-"), "older": ("dim", " ")}[b.what]
    values = b.new or b.old or {}
    yield ((style, f"    {sign} {'was there already' if b.what == 'older' else b.what}"), f": {b.cut}" if b.cut else "")
    columns = list(values)[:_COLUMNS]
    rows: list[tuple[Part, ...]] = [
        ("   ", *(("cyan", elide(n, CELL)) for n in columns)),
        ("   ", *((style, cell(values[n])) for n in columns)),
    ]
    yield from grid(rows, drop=True)


def _cell(name: str, old: Any, new: Any) -> tuple[Part, ...]:
    return (
        ("yellow", "    ~"),
        ("cyan", elide(name, CELL)),
        ("red", cell(old, _LONG)),
        "→",
        ("green", cell(new, _LONG)),
    )
