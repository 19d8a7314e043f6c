"""`dpk diff`: what changed between two revisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, count, grid, shorten
from dpkg.errors import NotFound, Usage
from dpkg.names import Expr, is_range, parse_expr, parse_range
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.comparing import Change, TableChange
    from dpkg.oid import Oid

COMMAND = Command(
    "diff",
    "Show what changed: entries added, removed, changed, renamed; schemas, rows, and how much of the data is new.",
    (
        Arg(
            "a",
            "owner/name (its last two commits), owner/name@revision, or owner/name@v1..v2",
            metavar="OLD",
            completes="commit",
        ),
        Arg("b", "owner/name[@revision]", metavar="NEW", optional=True, completes="commit"),
        STORE,
    ),
    details="Only indexes are read, in proportion to the change, and no data. A rename is an entry gone and one new of the same oid.",
    examples=(
        ("Show what the newest commit changed:", "dpk diff acme/shop"),
        ("Between two tags:", "dpk diff acme/shop@v1..v2"),
        ("Print the paths that changed:", "dpk diff acme/shop --json | jq -r '.changes[].path'"),
    ),
    see=("log", "ls-tree"),
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
    from dpkg.comparing import diff_trees

    repository = Repository(store)
    old, new = _sides(repository, a, b)
    return Diff(old, new, tuple(diff_trees(repository.odb, old.tophash, repository.odb, new.tophash)))


def _sides(repository: Repository, a: str, b: str | None) -> tuple[Side, Side]:
    if b is not None:
        if is_range(a) or is_range(b):
            raise Usage(f"'{a if is_range(a) else b}' is a range already", "write one range, or two expressions")
        return _side(repository, parse_expr(a))[0], _side(repository, parse_expr(b))[0]
    if is_range(a):
        span = parse_range(a)
        ends = (Expr(span.package, end, span.path) for end in (span.start, span.end))
        old, new = (_side(repository, end)[0] for end in ends)
        return old, new
    expr = parse_expr(a)
    new, parents = _side(repository, expr)
    if not parents:
        hint = f"see 'dpk show {a}'"
        raise NotFound(f"'{a}' is the first commit of its package, there is nothing to compare it with", hint)
    return _side(repository, Expr(expr.package, f"{new.revision}~1", expr.path))[0], new


def _side(repository: Repository, expr: Expr) -> tuple[Side, tuple[Oid, ...]]:
    """A side, and its commit's parents."""
    if expr.path is not None:
        hint = f"the diff is of whole packages: dpk diff {expr.package}"
        raise Usage(f"'{expr}' names a part of a package", hint)
    _, oid, commit = repository.resolve(expr)
    return Side(expr.package, expr.revision or "latest", oid, commit.tree), commit.parents


def render(result: Diff) -> Iterator[Shown]:
    old, new = result.old, result.new
    yield from grid(
        [(sign, ("bold", f"{s.package}@{s.revision}"), s.commit[:12]) for sign, s in (("from", old), ("to", new))]
    )
    yield ""
    if not result.changes:
        yield "no difference: the tophashes are equal"
        return
    for change in result.changes:
        yield from _change(change)
    counts = {what: sum(c.what == what for c in result.changes) for what in ("added", "removed", "changed", "renamed")}
    yield ""
    yield ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)


_STYLE = {"added": ("green", "+"), "removed": ("red", "-"), "changed": ("yellow", "~"), "renamed": ("blue", ">")}


def _change(c: Change) -> Iterator[Shown]:
    style, sign = _STYLE[c.what]
    paths = [c.old_path, f"→ {c.path}"] if c.old_path else [c.path]
    said = ", ".join([*_said(c), *(["metadata changed"] if c.metadata else [])])
    named = [(style, path) for path in paths]
    yield from grid([((style, f"{sign} {c.type:<5}"), *named, said)], give=range(1, 1 + len(named)))
    if c.table:
        yield from _table(c.table)


def _said(c: Change) -> Iterator[str]:
    """What there is to say of a change in a line."""
    if c.what == "added":
        yield f"{count(c.new_rows, 'row')}, {shorten(c.new_bytes)}" if c.type == "table" else shorten(c.new_bytes)
    elif c.what == "removed":
        yield f"{count(c.old_rows, 'row')}, {shorten(c.old_bytes)}" if c.type == "table" else shorten(c.old_bytes)
    elif c.what == "changed" and c.old_type != c.type:
        yield f"was a {c.old_type}"
    elif c.what == "changed" and c.table is None:
        if c.old_oid != c.new_oid:
            yield f"{shorten(c.old_bytes)} → {shorten(c.new_bytes)}"
    elif c.what == "changed" and c.old_rows == c.new_rows:
        yield f"{count(c.new_rows, 'row')} as before"
    elif c.what == "changed":
        yield f"{c.old_rows:,} → {count(c.new_rows, 'row')} ({c.new_rows - c.old_rows:+,})"


_COLUMN = {"added": ("green", "+"), "removed": ("red", "-"), "retyped": ("yellow", "~"), "moved": ("yellow", "~")}


def _table(t: TableChange) -> Iterator[Shown]:
    for s in t.schema:
        if s.what == "key":
            yield (("yellow", "    ~ key  "), f"{s.old or 'none'} → {s.new or 'none'}")
            continue
        style, sign = _COLUMN[s.what]
        said = f"{s.old} → {s.new}" if s.old and s.new else s.old or s.new
        yield ((style, f"    {sign} column {s.column}  "), f"place {said}" if s.what == "moved" else said)
    total = count(t.fragments_kept + t.fragments_added, "fragment")
    new, gone = f"{t.fragments_added:,} of {total} new ({shorten(t.bytes_added)})", f"{t.fragments_removed:,} gone"
    yield f"    {new}, {gone} ({shorten(t.bytes_removed)})"
