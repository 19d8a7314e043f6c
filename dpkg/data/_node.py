"""Packages and folders as Python objects, and what is in them. Making one reads no data."""

from __future__ import annotations

import html
import keyword
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dpkg.command import clean, count, shorten
from dpkg.data._base import SHOWN, Node, aligned
from dpkg.data._leaves import Blob, Table
from dpkg.errors import NotFound, Usage, did_you_mean
from dpkg.index import lookup
from dpkg.names import Expr, parse_expr
from dpkg.objects.node import TreeEntry
from dpkg.oid import Oid
from dpkg.parts import InPart
from dpkg.repository import Repository


def load(expr: str, *, store: str | None = None) -> Tree | Table | Blob:
    """Open `owner/name[@revision][/path]`: a Tree, Table or Blob.

    The commit is fixed now; a later load sees later installs. Raises NotFound, Usage.
    """
    parsed = parse_expr(expr)
    return _load(Repository(store).snapshot(parsed.package), parsed)


def _load(repository: Repository, parsed: Expr) -> Tree | Table | Blob:
    try:
        _, oid, commit, entry = repository.entry(parsed)
    except InPart as e:
        if not e.parts:
            raise
        return _in_part(repository, parsed, e)
    # Only a tag's name never moves.
    tag = parsed.revision if parsed.revision and _is_tag(repository, parsed.package, parsed.revision) else None
    base = f"{parsed.package}@{tag or oid.short}"
    return _make(repository, base, oid, parsed.path or "", entry or _root(repository, commit.tree))


def _is_tag(repository: Repository, package: str, name: str) -> bool:
    try:
        return repository.refs.value(package, "tags", name) is not None
    except Usage:  # `latest~2` cannot be one
        return False


def _in_part(repository: Repository, parsed: Expr, error: InPart) -> InParts:
    """A package or folder of which only parts are here."""
    oid = error.parts[0].commit
    tree = repository.commit(oid).tree
    entry = lookup(repository.odb, tree, parsed.path) if parsed.path else _root(repository, tree)
    return InParts(repository, parsed, oid, entry, error)


def _root(repository: Repository, tree: Oid) -> TreeEntry:
    from dpkg.index import read_node
    from dpkg.objects.node import TREE

    sums = [e.counts for e in read_node(repository.odb, tree, TREE).entries]
    entries, rows, size = (sum(x) for x in zip(*sums, strict=True)) if sums else (0, 0, 0)
    return TreeEntry("", "tree", tree, size, rows, entries)


def _make(repository: Repository, base: str, commit: Oid, path: str, entry: TreeEntry) -> Tree | Table | Blob:
    kinds: dict[str, type[Tree | Table | Blob]] = {"tree": Tree, "table": Table, "blob": Blob}
    return kinds[entry.type](repository, base, commit, path, entry)


def _reopen(store: str, base: str, commit: str, path: str) -> Tree | Table | Blob:
    """A node from its pickle. Raises NotFound where the store, the package or the commit is gone."""
    repository, package = Repository(store), base.partition("@")[0]
    _, oid, found, entry = repository.entry(f"{package}@{commit}/{path}" if path else f"{package}@{commit}")
    return _make(repository, base, oid, path, entry or _root(repository, found.tree))


def _reload(store: str, expr: str) -> Tree | Table | Blob:
    """What is there now of a package that was there in part when it was pickled."""
    return load(expr, store=store)


def alias(name: str) -> str:
    """A name as a Python identifier: characters that cannot be in one become `_`, a keyword or digit is amended."""
    made = "".join(c if f"_{c}".isidentifier() else "_" for c in unicodedata.normalize("NFKC", name))
    if not made.isidentifier():
        made = f"_{made}"
    return f"{made}_" if keyword.iskeyword(made) else made


class Tree(Node):
    """A package or a folder in one. Children are attributes, and items under their name: `tree["odd name.csv"]`.

    An attribute is the name as an identifier, of a blob also its stem, where that is unambiguous; with `_` behind it
    where a method has that name.
    """

    __slots__ = ("_found", "_named")

    def __init__(self, repository: Repository, base: str, commit: Oid, path: str, entry: TreeEntry) -> None:
        super().__init__(repository, base, commit, path, entry)
        self._found: dict[str, TreeEntry] | None = None
        self._named: dict[str, str] | None = None

    def _children(self) -> dict[str, TreeEntry]:
        from dpkg.index import tree_entries

        if self._found is None:
            self._found = {e.name: e for e in tree_entries(self._repository.odb, self.oid)}
        return self._found

    def _aliases(self) -> dict[str, str]:
        """Attribute to name. The closer to the name the stronger; what two children would have equally is neither's."""
        if self._named is None:
            claims: list[dict[str, set[str]]] = [{}, {}, {}]
            for name, entry in self._children().items():
                stem = name.split(".")[0] if entry.type == "blob" and not name.startswith(".") else name
                for strength, text in enumerate((name, alias(name), alias(stem))):
                    text = f"{text}_" if hasattr(Tree, text) and strength else text
                    if alias(text) == text and not hasattr(Tree, text) and not text.startswith("__"):
                        claims[strength].setdefault(text, set()).add(name)
            strongest = {**claims[2], **claims[1], **claims[0]}
            self._named = {text: min(names) for text, names in strongest.items() if len(names) == 1}
        return self._named

    def keys(self) -> list[str]:
        """The names of the children."""
        return list(self._children())

    def __iter__(self) -> Iterator[str]:
        return iter(self._children())

    def __len__(self) -> int:
        return len(self._children())

    def __contains__(self, name: object) -> bool:
        return name in self._children()

    def __getitem__(self, name: str) -> Tree | Table | Blob:
        """The child of this name, or below it: `tree["docs/readme.md"]`. Raises KeyError."""
        from dpkg.index import lookup

        entry = self._children().get(name)
        if entry is None:
            try:
                entry = lookup(self._repository.odb, self.oid, name)
            except NotFound as e:
                raise KeyError(f"{e.message}; {e.hint}" if e.hint else e.message) from None
        path = f"{self._path}/{name}" if self._path else name
        return _make(self._repository, self._base, self._commit, path, entry)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._aliases().get(name)
        if found is not None:
            return self[found]
        hint = did_you_mean(name, self._aliases(), f"there is: {', '.join(list(self._aliases())[:10])}")
        raise AttributeError(f"{self.expr} has no '{name}'; {hint}")

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._aliases()])

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """Type, name, size and how to get at it, of the first children."""
        shortest: dict[str, str] = {}
        for text, name in self._aliases().items():
            if name not in shortest or len(text) < len(shortest[name]):
                shortest[name] = text
        rows = []
        for name, e in list(self._children().items())[:SHOWN]:
            amounts = {"table": count(e.rows, "row"), "tree": count(e.entries, "entry", "entries")}
            call = "" if e.type == "tree" else "()"
            use = f".{shortest[name]}{call}" if name in shortest else f"[{name!r}]{call}"
            rows.append((e.type, clean(name), amounts.get(e.type, shorten(e.bytes)), use))
        return rows

    def _more(self) -> list[str]:
        return [f"… and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []

    def __repr__(self) -> str:
        title = self._title(count(len(self), "entry", "entries"), shorten(self.nbytes))
        rows = [("", *row) for row in self._rows()]
        return "\n".join([title, *aligned(rows, right="3"), *(f"  {text}" for text in self._more())])

    def _repr_html_(self) -> str:
        cell = "<t{0} style='text-align:left'>{1}</t{0}>"
        rows = [("h", ("type", "name", "size", "use")), *(("d", row) for row in self._rows())]
        lines = ["".join(cell.format(tag, html.escape(text)) for text in row) for tag, row in rows]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        more = "".join(f"<p>{text}</p>" for text in self._more())
        return f"<b>{html.escape(clean(self.expr))}</b><table>{body}</table>{more}"


class InParts(Tree):
    """A package or a folder of which only parts were installed: its children are what leads to these."""

    __slots__ = ("_error", "_expr")

    def __init__(self, repository: Repository, expr: Expr, commit: Oid, entry: TreeEntry, error: InPart) -> None:
        super().__init__(repository, f"{expr.package}@{expr.revision or commit.short}", commit, expr.path or "", entry)
        self._expr, self._error = expr, error

    def _below(self, name: str) -> Expr:
        return replace(self._expr, path=f"{self._path}/{name}" if self._path else name)

    def _children(self) -> dict[str, TreeEntry]:
        if self._found is None:
            above = len(f"{self._path}/") if self._path else 0
            names = sorted({part.path[above:].partition("/")[0] for part in self._error.parts})
            self._found = {name: replace(self[name]._entry, name=name) for name in names}
        return self._found

    def __getitem__(self, name: str) -> Tree | Table | Blob:
        try:
            return _load(self._repository, self._below(name))
        except (NotFound, Usage) as e:
            raise KeyError(f"{e.message}; {e.hint}" if e.hint else e.message) from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._aliases().get(name)
        if found is not None:
            return self[found]
        raise AttributeError(f"{self.expr} has no '{name}' here: {self._error.message}; {self._error.hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _reload, (self._repository.url, str(self._expr))

    def _title(self, *facts: str) -> str:
        return super()._title(*facts, "in part")
