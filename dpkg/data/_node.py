"""Nodes: packages, folders, tables and files as Python objects. Making one reads no data."""

from __future__ import annotations

import html
import json
import keyword
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from dpkg.command import clean, count, grid, shorten
from dpkg.errors import NotFound, Usage, did_you_mean
from dpkg.index import lookup
from dpkg.names import Expr, parse_expr
from dpkg.objects.node import TreeEntry
from dpkg.oid import Oid
from dpkg.parts import InPart
from dpkg.repository import Repository

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from dpkg.objects.table import Table as TableObject

_SHOWN = 30  # children or columns listed in a repr


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


class Node:
    """What trees, tables and blobs have in common.

    Equal if their objects are; a pickle holds the store's place and the commit.
    """

    __slots__ = ("_base", "_commit", "_entry", "_path", "_repository")

    def __init__(self, repository: Repository, base: str, commit: Oid, path: str, entry: TreeEntry) -> None:
        self._repository, self._base, self._commit = repository, base, commit
        self._path, self._entry = path, entry

    @property
    def expr(self) -> str:
        """The package expression of this node, its commit fixed."""
        return f"{self._base}/{self._path}" if self._path else self._base

    @property
    def oid(self) -> Oid:
        """The object id; of a package, its tophash."""
        return self._entry.oid

    @property
    def nbytes(self) -> int:
        """Bytes of a blob, row bytes of tables."""
        return self._entry.bytes

    @property
    def metadata(self) -> Any:
        """User metadata, or None."""
        meta = self._entry.meta
        return json.loads(self._repository.odb.read(meta, "blob")) if meta else None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Node) and self.oid == other.oid

    def __hash__(self) -> int:
        return hash(self.oid)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._repository.url, self._base, str(self._commit), self._path)

    def _title(self, *facts: str) -> str:
        return f"<{clean(self.expr)}  {', '.join(facts)}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


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
        for name, e in list(self._children().items())[:_SHOWN]:
            amounts = {"table": count(e.rows, "row"), "tree": count(e.entries, "entry", "entries")}
            call = "" if e.type == "tree" else "()"
            use = f".{shortest[name]}{call}" if name in shortest else f"[{name!r}]{call}"
            rows.append((e.type, clean(name), amounts.get(e.type, shorten(e.bytes)), use))
        return rows

    def _more(self) -> list[str]:
        return [f"… and {len(self) - _SHOWN:,} more"] if len(self) > _SHOWN else []

    def __repr__(self) -> str:
        title = self._title(count(len(self), "entry", "entries"), shorten(self.nbytes))
        rows = [("", *row) for row in self._rows()]
        return "\n".join([title, *_lines(rows, right="3"), *(f"  {text}" for text in self._more())])

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


class Table(Node):
    """A table. Calling it gives a pandas DataFrame; every column that is read is verified."""

    __slots__ = ("_object",)

    def __init__(self, repository: Repository, base: str, commit: Oid, path: str, entry: TreeEntry) -> None:
        super().__init__(repository, base, commit, path, entry)
        self._object: TableObject | None = None

    def _table(self) -> TableObject:
        from dpkg import tables

        if self._object is None:
            self._object = tables.read_table_object(self._repository.odb, self.oid)
        return self._object

    def __call__(self, columns: Sequence[str] | None = None, filter: Any = None) -> pandas.DataFrame:
        """The table as a pandas DataFrame; `columns` and `filter` as in `scan`."""
        frame: pandas.DataFrame = self.arrow(columns, filter).to_pandas()
        return frame

    def arrow(self, columns: Sequence[str] | None = None, filter: Any = None) -> pyarrow.Table:
        """The table as a pyarrow Table; `columns` and `filter` as in `scan`."""
        from dpkg import tables

        return tables.as_table(list(self.scan(columns, filter)), tables.user_schema(self._table(), columns))

    def scan(self, columns: Sequence[str] | None = None, filter: Any = None) -> Iterator[pyarrow.RecordBatch]:
        """Record batches in row order.

        Only the columns asked for (and those the filter needs) are read, and only fragments that can match. `filter`
        is a pyarrow.compute expression, `("column", ">", 5)`, or a list of such tuples. Raises Usage, Corrupt.
        """
        from dpkg import tables

        tables.user_schema(self._table(), columns)  # an unknown column is an error now, not at the first batch
        return tables.scan(self._repository.odb, self._table(), columns, filter)

    def head(self, n: int = 5) -> pandas.DataFrame:
        """The first `n` rows as a pandas DataFrame; no more fragments are read than hold them. Raises Usage."""
        from dpkg import tables

        if n < 0:
            raise Usage("a number of rows is not negative")
        frame: pandas.DataFrame = tables.head(self._repository.odb, self._table(), min(n, len(self))).to_pandas()
        return frame

    @property
    def schema(self) -> pyarrow.Schema:
        """The Arrow schema that `arrow` and `scan` give."""
        from dpkg import tables

        return tables.user_schema(self._table())

    @property
    def columns(self) -> list[str]:
        """Column names."""
        return list(self._table().names)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._entry.rows, len(self.columns)

    def __len__(self) -> int:
        return self._entry.rows

    def _columns(self) -> list[tuple[str, str, str]]:
        """Name, type, and whether it is of the key, of the first columns."""
        from dpkg.objects.typetext import type_text

        table = self._table()
        return [(clean(n), type_text(t), "key" if n in table.key else "") for n, t in table.schema[:_SHOWN]]

    def _facts(self) -> str:
        rows, columns = self.shape
        return f"{count(rows, 'row')} × {count(columns, 'column')}, {shorten(self.nbytes)}"

    def _more(self) -> list[str]:
        return [f"… and {len(self.columns) - _SHOWN:,} more"] if len(self.columns) > _SHOWN else []

    def __repr__(self) -> str:
        rows = [("", *row) for row in self._columns()]
        use = "call it for a DataFrame; .arrow(), .scan(columns=, filter=), .head()"
        return "\n".join([self._title(self._facts()), *_lines(rows), *(f"  {text}" for text in [*self._more(), use])])

    def _repr_html_(self) -> str:
        cell = "<td style='text-align:left'>{}</td>"
        lines = ["".join(cell.format(html.escape(text)) for text in row) for row in self._columns()]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        more = "".join(f"<p>{text}</p>" for text in self._more())
        return f"<b>{html.escape(clean(self.expr))}</b> {self._facts()}<table>{body}</table>{more}"


class Blob(Node):
    """A file. `read` gives its bytes, `text` its text, `save` writes it."""

    __slots__ = ()

    def read(self) -> bytes:
        """All bytes, verified."""
        return b"".join(self.chunks())

    def text(self, encoding: str = "utf-8") -> str:
        """The bytes as text."""
        return self.read().decode(encoding)

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces, for files larger than memory; verified before the last piece."""
        return self._repository.odb.iter_blob(self.oid)

    def open(self) -> BinaryIO:
        """The blob as a file to read and seek in, as pandas and pyarrow take it: only the parts that are read are got.

        Each part is verified as it is read.
        """
        return self._repository.odb.open_blob(self.oid)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file to `path`, which appears whole or not at all."""
        from contextlib import suppress

        target = os.fspath(path)
        part = f"{target}.{os.getpid()}.part"
        try:
            with open(part, "wb") as out:
                out.writelines(self.chunks())
            os.replace(part, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise

    def __call__(self) -> bytes:
        """All bytes."""
        return self.read()

    def __len__(self) -> int:
        return self._entry.bytes

    def __repr__(self) -> str:
        return f"{self._title(shorten(self.nbytes))}  .read(), .text(), .open(), .save(path)"


def _lines(rows: Sequence[tuple[str, ...]], right: str = "") -> list[str]:
    """Rows as aligned lines of plain text."""
    return ["".join(line) for made in grid(rows, right=right) for line in made.lines()]  # type: ignore[arg-type]
