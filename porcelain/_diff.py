"""`dpk diff`: what changed between two revisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, count, shorten
from dpkg.errors import NotFound, Usage
from dpkg.names import is_range, parse_expr, parse_range
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.diff import Change, TableChange
    from dpkg.oid import Oid

COMMAND = Command(
    "diff",
    "Show what changed: entries added, removed, changed, renamed; schemas, rows, and how much of the data is new.",
    (
        Arg("a", "owner/name (its last two commits), owner/name@revision, or owner/name@v1..v2", metavar="OLD"),
        Arg("b", "owner/name[@revision]", metavar="NEW", optional=True),
        STORE,
    ),
)


@dataclass(frozen=True)
class Side:
    """One side of a diff."""

    package: str
    revision: str
    commit: Oid
    tophash: Oid


@dataclass(frozen=True)
class Diff:
    """What differs between two trees; empty `changes` where they are equal."""

    old: Side
    new: Side
    changes: tuple[Change, ...]


def diff(a: str, b: str | None = None, *, store: str | None = None) -> Diff:
    """Compare two revisions: `A@v1..v2`, two expressions, or a package's last two commits. Raises NotFound, Usage."""
    from dpkg.diff import diff_trees

    repository = Repository(store)
    old, new = _sides(repository, a, b)
    return Diff(old, new, tuple(diff_trees(repository.odb, old.tophash, repository.odb, new.tophash)))


def _sides(repository: Repository, a: str, b: str | None) -> tuple[Side, Side]:
    if is_range(a):
        if b is not None:
            raise Usage(f"'{a}' is a range already, and '{b}' is one too many", "write one range, or two expressions")
        span = parse_range(a)
        return _side(repository, f"{span.package}@{span.start}"), _side(repository, f"{span.package}@{span.end}")
    if b is not None:
        return _side(repository, a), _side(repository, b)
    expr = parse_expr(a)
    new = _side(repository, a)
    try:
        return _side(repository, f"{expr.package}@{expr.revision or 'latest'}~1"), new
    except NotFound:
        raise NotFound(f"'{a}' has only one commit, there is nothing to compare it with", f"see 'dpk show {a}'") from None


def _side(repository: Repository, text: str) -> Side:
    expr, oid, commit = repository.resolve(text)
    if expr.path:
        raise Usage(f"'{text}' names a part of a package", f"write {expr.package}: the diff is of whole packages")
    return Side(expr.package, expr.revision or "latest", oid, commit.tree)


def render(result: Diff) -> Iterator[Any]:
    old, new = result.old, result.new
    yield (("bold", f"{old.package}@{old.revision}"), f" {old.commit[:12]}  →  ", ("bold", f"{new.package}@{new.revision}"), f" {new.commit[:12]}")
    if not result.changes:
        yield "no difference: the tophashes are equal"
        return
    for change in result.changes:
        yield from _lines(change)
    counts = {what: sum(c.what == what for c in result.changes) for what in ("added", "removed", "changed", "renamed")}
    yield ""
    yield ", ".join(f"{n} {what}" for what, n in counts.items() if n)


_STYLE = {"added": ("green", "+"), "removed": ("red", "-"), "changed": ("yellow", "~"), "renamed": ("blue", ">")}


def _lines(c: Change) -> Iterator[Any]:
    style, sign = _STYLE[c.what]
    head = (style, f"{sign} {c.type:<5} {f'{c.old_path} → ' if c.old_path else ''}{c.path}")
    if c.what in ("added", "removed"):
        rows, held = (c.new_rows, c.new_bytes) if c.what == "added" else (c.old_rows, c.old_bytes)
        yield (head, "  ", f"{count(rows, 'row')}, {shorten(held)}" if c.type == "table" else shorten(held))
        return
    if c.what == "renamed":
        yield (head,)
        return
    if c.old_type != c.type:
        yield (head, f"  was a {c.old_type}")
    elif c.table is None:
        size = f"  {shorten(c.old_bytes)} → {shorten(c.new_bytes)}" if c.old_oid != c.new_oid else ""
        yield (head, size, "  metadata changed" if c.metadata else "")
    else:
        yield (head, f"  {_rows(c)}", "  metadata changed" if c.metadata else "")
        yield from _table(c.table)


def _rows(c: Change) -> str:
    if c.old_rows == c.new_rows:
        return f"{count(c.new_rows, 'row')} as before"
    return f"{c.old_rows:,} → {count(c.new_rows, 'row')} ({c.new_rows - c.old_rows:+,})"


def _table(t: TableChange) -> Iterator[Any]:
    for s in t.schema:
        if s.what == "key":
            yield (("yellow", "    key "), f"{s.old or 'none'} → {s.new or 'none'}")
        elif s.what == "moved":
            yield (("yellow", "    ~ column "), f"{s.column}  place {s.old} → {s.new}")
        else:
            style, sign = {"added": ("green", "+"), "removed": ("red", "-"), "retyped": ("yellow", "~")}[s.what]
            yield ((style, f"    {sign} column {s.column}  "), f"{s.old} → {s.new}" if s.old and s.new else s.old or s.new)
    total = t.fragments_kept + t.fragments_added
    yield (
        f"    {t.fragments_added:,} of {count(total, 'fragment')} new ({shorten(t.bytes_added)}), "
        f"{t.fragments_removed:,} gone ({shorten(t.bytes_removed)})",
    )
