"""Entries of a build.yml that are of another package of the store: `package: owner/name@revision[/path]`, pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dpkg.compiler.compile import Compiled
from dpkg.compiler.plan import UNKNOWN
from dpkg.errors import DpkgError, NotFound, Usage
from dpkg.index import lookup, read_node
from dpkg.maintenance.standing import count_on
from dpkg.names import parse_expr
from dpkg.objects.node import TREE, TreeEntry, sums
from dpkg.parts import InPart

if TYPE_CHECKING:
    from typing import Any

    from dpkg.arrow.readers import Source
    from dpkg.compiler.buildfile import Entry, Planner
    from dpkg.compiler.plan import Item, Plan
    from dpkg.names import Expr
    from dpkg.objects.commit import Commit
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository


@dataclass(frozen=True)
class Composed:
    """An `Origin`: an entry of another package; and, once it was looked up (`pinned`), which that is."""

    expr: Expr
    commit: Oid | None = None
    tophash: Oid | None = None
    entry: TreeEntry | None = None

    def stamp(self) -> bytes:
        return UNKNOWN

    def said(self) -> Any:
        return [str(self.expr), self.commit]

    def files(self) -> Sequence[str]:
        return ()

    def source(self) -> dict[str, Any]:
        assert self.entry is not None
        return {"commit": self.commit, "oid": self.entry.oid, "package": str(self.expr), "tophash": self.tophash}

    def compiled(self, item: Item) -> Compiled:
        """What the item is: nothing is copied, as it is in the store."""
        assert self.entry is not None
        return Compiled(item.name, self.entry.type, self.entry.oid, self.entry.rows, self.entry.bytes, item.source)

    def tree_entry(self, name: str, meta: Oid | None) -> TreeEntry:
        """The entry of the new tree; its metadata are those of the other package, unless there are own ones."""
        assert self.entry is not None
        return replace(self.entry, name=name, meta=meta or self.entry.meta)

    def rows(self, odb: Odb, item: Item) -> Source:
        raise Usage(f"{item.where}: '{item.name}' is of another package", "it is looked up where the package is built")

    def blob(self, odb: Odb, item: Item) -> tuple[Oid, int]:
        raise AssertionError("it is stored already")


def from_package(planner: Planner, entry: Entry) -> None:
    """The item of an entry with `package`. Raises Usage for an expression that names none, or no revision."""
    yml, node = planner.yml, entry.own["package"][1]
    text = yml.text(node, "'package'")
    try:
        expr = parse_expr(text)
    except DpkgError as e:
        raise yml.error(node, e.message, e.hint) from None
    if not expr.revision:
        message = f"'{text}' names no revision, and what is put into a package is pinned"
        hint = f"write {expr.package}@TAG{_path(expr)}, or a commit or tophash: 'dpk log {expr.package}' has them"
        raise yml.error(node, message, hint)
    item = planner.item(entry, text)
    planner.items.append(item._replace(origin=Composed(expr), where=yml.place(node)))


def pinned(repository: Repository, plan: Plan) -> Plan:
    """The plan with each entry of another package looked up. Raises NotFound, Usage, with the line of the build.yml.

    With a guard against gc (`Repository.begin`) it is made sure that what they name stays.
    """
    if not any(isinstance(item.origin, Composed) for item in plan.items):
        return plan
    return replace(plan, items=tuple(_pinned(repository, item) for item in plan.items))


def _pinned(repository: Repository, item: Item) -> Item:
    if not isinstance(item.origin, Composed):
        return item
    try:
        found = _find(repository, item.origin.expr)
    except DpkgError as e:
        raise type(e)(f"{item.where}: {e.message}", e.hint) from None
    return item._replace(origin=found, source=f"{found.expr.package}@{found.commit}{_path(found.expr)}")


def _find(repository: Repository, expr: Expr) -> Composed:
    at = repository.snapshot(expr.package)
    try:
        at.require(expr.package)
    except InPart:
        raise
    except NotFound as e:
        raise NotFound(e.message, f"'dpk install {expr.package}' brings it; {e.hint}") from None
    revision = expr.revision or "latest"
    oid = at.revision(expr.package, revision)
    commit = at.commit(oid)
    base = revision.partition("~")[0]
    if base not in at.refs.tags(expr.package) and (base == "latest" or base in at.refs.heads(expr.package)):
        hint = f"now it is {expr.package}@{oid[:12]}{_path(expr)}; or give it a tag: dpk tag {expr.package} NAME"
        raise Usage(f"'{expr}' is a branch, which moves, and what is put into a package is pinned", hint)
    if repository.guard is not None:
        count_on(repository, expr.package, oid)
    return Composed(expr, oid, commit.tree, _entry(repository.odb, commit, expr))


def _entry(odb: Odb, commit: Commit, expr: Expr) -> TreeEntry:
    if expr.path:
        return lookup(odb, commit.tree, expr.path)
    entries, rows, size = sums(read_node(odb, commit.tree, TREE).entries)
    return TreeEntry("", "tree", commit.tree, size, rows, entries)


def _path(expr: Expr) -> str:
    return f"/{expr.path}" if expr.path else ""
