"""`dpk ls`: list packages, or what is in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt, grid, shorten, when
from dpkg.names import Expr, parse_expr
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "ls",
    "List the packages of a store, or the entries of a package or of a folder in it.",
    (
        Arg("expr", "owner/name[@revision][/path]; all packages if it is left out", optional=True),
        Opt("-r --recursive", "folders in folders too"),
        STORE,
    ),
)


@dataclass(frozen=True)
class Package:
    """A package as listed. `bytes` and `rows` are those of its latest commit."""

    package: str
    commit: Oid | None
    tophash: Oid | None
    time: int
    rows: int
    bytes: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """An entry of a tree as listed."""

    path: str
    type: str
    oid: Oid
    rows: int
    bytes: int
    entries: int


def ls(expr: str | None = None, *, recursive: bool = False, store: str | None = None) -> Iterator[Package | Item]:
    """The packages, or the entries of `expr`. Raises NotFound."""
    repository = Repository(store)
    return _packages(repository) if expr is None else _items(repository, parse_expr(expr), recursive)


def _packages(repository: Repository) -> Iterator[Package]:
    from dpkg.index.reader import read_node
    from dpkg.objects.node import TREE

    for name in repository.refs.packages():
        tip, tags = repository.tip(name), tuple(repository.refs.tags(name))
        if tip is None:
            yield Package(name, None, None, 0, 0, 0, tags)
            continue
        commit = repository.commit(tip)
        entries = read_node(repository.odb, commit.tree, TREE).entries
        yield Package(name, tip, commit.tree, commit.time, sum(e.rows for e in entries), sum(e.bytes for e in entries), tags)


def _items(repository: Repository, expr: Expr, recursive: bool) -> Iterator[Item]:
    from dpkg.index import lookup, tree_entries, walk

    _, _, commit = repository.resolve(expr)
    root, prefix = commit.tree, ""
    if expr.path:
        entry = lookup(repository.odb, root, expr.path)
        if entry.type != "tree":
            yield Item(expr.path, entry.type, entry.oid, entry.rows, entry.bytes, 0)
            return
        root, prefix = entry.oid, expr.path + "/"
    found = walk(repository.odb, root, prefix) if recursive else ((prefix + e.name, e) for e in tree_entries(repository.odb, root))
    for path, e in found:
        yield Item(path, e.type, e.oid, e.rows, e.bytes, e.entries)


def render(result: Iterator[Package | Item]) -> Iterator[Any]:
    found = list(result)
    if not found:
        yield "no packages yet: 'dpk build owner/name PATH' makes one"
        return
    rows: list[tuple[Any, ...]] = []
    for e in found:
        if isinstance(e, Package):
            last = when(e.time)[:16] if e.commit else "no commits"
            tags = ", ".join(e.tags[-5:])
            rows.append((("cyan", e.package), (e.tophash or "")[:12], f"{e.rows:,} rows", shorten(e.bytes), last, ("yellow", tags)))
        else:
            amount = {"table": f"{e.rows:,} rows", "tree": f"{e.entries:,} entries"}.get(e.type, "")
            rows.append((e.type, ("cyan", e.path + ("/" if e.type == "tree" else "")), amount, shorten(e.bytes), ("dim", e.oid[:12])))
    yield from grid(rows, right="23")

