"""`dpk ls`: list packages, or what is in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import parts
from dpkg.command import STORE, Arg, Command, Opt, count, grid, shorten, when
from dpkg.names import Expr, parse_expr
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.node import TreeEntry
    from dpkg.oid import Oid
    from dpkg.parts import Part

COMMAND = Command(
    "ls",
    "List the packages of a store, or the entries of a package or of a folder in it.",
    (
        Arg(
            "expr",
            "owner/name[@revision][/path]; all packages if it is left out",
            metavar="PACKAGE",
            optional=True,
            completes="expr",
        ),
        Opt("-r --recursive", "also what is in folders"),
        STORE,
    ),
    examples=(
        ("List the packages of the store:", "dpk ls"),
        ("List all tables and files of a revision:", "dpk ls -r acme/shop@v1"),
        ("Print the names of all packages:", "dpk ls --json | jq -r .package"),
    ),
    see=("show", "log", "ls-tree"),
)


@dataclass(frozen=True)
class Package:
    """A package as listed. `rows` and `bytes` are those of its latest commit; no commit where it has only tags.

    `parts` are the paths that were installed alone; commit, rows and bytes are theirs if there is nothing else.
    """

    package: str
    commit: Oid | None
    tophash: Oid | None
    time: int | None  # seconds since 1970 UTC
    rows: int
    bytes: int
    tags: tuple[str, ...]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """An entry of a tree as listed: bytes of a blob, row bytes of tables; `entries` of a tree."""

    path: str
    type: str
    oid: Oid
    rows: int
    bytes: int
    entries: int


def ls(expr: str | None = None, *, recursive: bool = False, store: str | None = None) -> Iterator[Package | Item]:
    """The packages, or the entries of `expr`. Raises NotFound, Usage."""
    repository = Repository(store)
    return _packages(repository) if expr is None else _items(repository, parse_expr(expr), recursive)


def _packages(repository: Repository) -> Iterator[Package]:
    from dpkg.index import read_node
    from dpkg.objects.node import TREE

    for name in repository.refs.packages():
        at = repository.snapshot(name)
        tip, tags = at.tip(name), tuple(at.refs.tags(name))
        known = parts.of(at.refs, name)
        shown = tuple(parts.names(known))
        if tip is None:
            yield (
                _in_part(repository, name, known, shown)
                if known and not tags
                else Package(name, None, None, None, 0, 0, tags, shown)
            )
            continue
        commit = repository.commit(tip)
        found = read_node(repository.odb, commit.tree, TREE).entries
        rows, size = sum(e.rows for e in found), sum(e.bytes for e in found)
        yield Package(name, tip, commit.tree, commit.time, rows, size, tags, shown)


def _in_part(repository: Repository, name: str, known: list[Part], shown: tuple[str, ...]) -> Package:
    """A package of which only parts are here."""
    from dpkg.index import lookup

    commit = repository.commit(known[0].commit)
    top = [part for part in known if not any(other.has(part.path) for other in known if other.path != part.path)]
    found = [lookup(repository.odb, repository.commit(part.commit).tree, part.path) for part in top]
    rows, size = sum(e.rows for e in found), sum(e.bytes for e in found)
    return Package(name, known[0].commit, commit.tree, commit.time, rows, size, (), shown)


def _items(repository: Repository, expr: Expr, recursive: bool) -> Iterator[Item]:
    from dpkg.index import lookup, tree_entries, walk

    try:
        _, _, commit = repository.resolve(expr)
    except parts.InPart as e:
        found = {part.path: part for part in reversed(e.parts)}
        if not found:
            raise
        trees = ((path, repository.commit(part.commit).tree) for path, part in sorted(found.items()))
        return (item(path, lookup(repository.odb, tree, path)) for path, tree in trees)
    root, prefix = commit.tree, ""
    if expr.path:
        entry = lookup(repository.odb, root, expr.path)
        if entry.type != "tree":
            return iter([item(expr.path, entry)])
        root, prefix = entry.oid, expr.path + "/"
    if recursive:
        return (item(path, e) for path, e in walk(repository.odb, root, prefix))
    return (item(prefix + e.name, e) for e in tree_entries(repository.odb, root))


def item(path: str, e: TreeEntry) -> Item:
    """A tree's entry as listed."""
    return Item(path, e.type, e.oid, e.rows, e.bytes, e.entries)


def render(result: Iterator[Package | Item]) -> Iterator[Shown]:
    found = list(result)
    if not found:
        yield "nothing is here yet: 'dpk build owner/name PATH' makes a package"
    packages, items = [e for e in found if isinstance(e, Package)], [e for e in found if isinstance(e, Item)]
    yield from grid([_package_row(e) for e in packages], right="23", give="05")
    yield from grid([item_row(e) for e in items], right="23", give="1")


def _package_row(e: Package) -> tuple[str | tuple[str, str], ...]:
    last = when(e.time)[:10] if e.time is not None else "no commits"
    shown = ", ".join(reversed(e.tags[-5:])) + (", …" if len(e.tags) > 5 else "")
    if e.parts and not e.tags:
        shown = f"only {', '.join(e.parts[:5])}{', …' if len(e.parts) > 5 else ''}"
    return ("cyan", e.package), (e.tophash or "")[:12], count(e.rows, "row"), shorten(e.bytes), last, ("yellow", shown)


def item_row(e: Item) -> tuple[str | tuple[str, str], ...]:
    """Type, path, amount, bytes, oid: the amount is rows of a table, entries of a tree."""
    amount = {"table": count(e.rows, "row"), "tree": count(e.entries, "entry", "entries")}.get(e.type, "")
    path = e.path + ("/" if e.type == "tree" else "")
    return e.type, ("cyan", path), amount, shorten(e.bytes), ("dim", e.oid[:12])
