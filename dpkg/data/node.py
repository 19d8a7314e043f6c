"""Nodes: packages, folders, tables and files as Python objects. Making one reads no data."""

from __future__ import annotations

import html
import keyword
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dpkg.command import count, shorten
from dpkg.errors import NotFound
from dpkg.objects.node import TreeEntry
from dpkg.repository import Repository

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from dpkg.oid import Oid

_SHOWN = 30  # children listed in a repr


def load(expr: str, *, store: str | None = None) -> Tree | Table | Blob:
    """Open `owner/name[@revision][/path]`: a Tree, Table or Blob. The revision is fixed now; a later load sees later installs.

    Raises NotFound, Usage.
    """
    repository = Repository(store)
    parsed, oid, commit, entry = repository.entry(expr)
    if entry is None:
        from dpkg.index.reader import read_node
        from dpkg.objects.node import TREE

        found = read_node(repository.odb, commit.tree, TREE).entries
        entry = TreeEntry("", "tree", commit.tree, sum(e.bytes for e in found), sum(e.rows for e in found), sum(e.counts[0] for e in found))
    return _node(repository, f"{parsed.package}@{parsed.revision or oid[:12]}", parsed.path or "", entry)


def _node(repository: Repository, base: str, path: str, entry: TreeEntry) -> Tree | Table | Blob:
    kinds: dict[str, type[Tree | Table | Blob]] = {"tree": Tree, "table": Table, "blob": Blob}
    return kinds[entry.type](repository, base, path, entry)


def alias(name: str) -> str:
    """A name as a Python identifier: other characters become `_`; a keyword or digit in front is amended."""
    made = re.sub(r"\W", "_", name)
    if made[:1].isdigit():
        made = f"_{made}"
    return made + "_" if keyword.iskeyword(made) else made


class Node:
    """What trees, tables and blobs have in common."""

    def __init__(self, repository: Repository, base: str, path: str, entry: TreeEntry) -> None:
        self._repository, self._base, self._path, self._entry = repository, base, path, entry

    @property
    def expr(self) -> str:
        """The package expression of this node, its revision fixed."""
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
        import json

        return json.loads(self._repository.odb.read(self._entry.meta, "blob")) if self._entry.meta else None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Node) and self.oid == other.oid

    def __hash__(self) -> int:
        return hash(self.oid)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


class Tree(Node):
    """A package or a folder in one. Children are attributes under their alias, and items under their name: `tree["odd name.csv"]`.

    A child whose name is that of a method has an alias with `_` behind it.
    """

    def _children(self) -> dict[str, TreeEntry]:
        from dpkg.index import tree_entries

        cached: dict[str, TreeEntry] | None = self.__dict__.get("_found")
        if cached is None:
            cached = {e.name: e for e in tree_entries(self._repository.odb, self.oid)}
            self.__dict__["_found"] = cached
        return cached

    def _aliases(self) -> dict[str, str]:
        """Attribute to name. An exact name wins over an alias; a blob's stem is one too; what two children would have is none."""
        cached: dict[str, str] | None = self.__dict__.get("_named")
        if cached is not None:
            return cached
        levels: list[dict[str, list[str]]] = [{}, {}, {}]
        for name, entry in self._children().items():
            stem = name.split(".")[0] if entry.type == "blob" and not name.startswith(".") else name
            for level, text in zip(levels, (name if name.isidentifier() else "", alias(name), alias(stem)), strict=True):
                if text:
                    free = text + "_" if hasattr(type(self), text) or text.startswith("__") else alias(text)
                    level.setdefault(free, []).append(name)
        out: dict[str, str] = {}
        for level in levels:
            for text, names in level.items():
                if text not in out and len(set(names)) == 1:
                    out[text] = names[0]
        self.__dict__["_named"] = out
        return out

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
                raise KeyError(f"{e.message}. {e.hint}") from None
        return _node(self._repository, self._base, f"{self._path}/{name}" if self._path else name, entry)

    def __getattr__(self, name: str) -> Tree | Table | Blob:
        if name.startswith("__") or name in ("_found", "_named", "_repository", "_base", "_path", "_entry"):
            raise AttributeError(name)
        found = self._aliases().get(name)
        if found is not None:
            return self[found]
        from difflib import get_close_matches

        near = get_close_matches(name, self._aliases(), 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there is: {', '.join(list(self._aliases())[:10])}"
        raise AttributeError(f"{self.expr} has no '{name}'; {hint}")

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._aliases()])

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    def _rows(self) -> list[tuple[str, str, str, str]]:
        named = {name: text for text, name in reversed(self._aliases().items())}
        rows = []
        for name, e in list(self._children().items())[:_SHOWN]:
            amount = {"table": count(e.rows, "row"), "tree": count(e.entries, "entry", "entries")}.get(e.type, shorten(e.bytes))
            use = named.get(name, "")
            call = f".{use}{'()' if e.type == 'table' else ''}" if use else f"[{name!r}]"
            rows.append((e.type, name, amount, call))
        return rows

    def __repr__(self) -> str:
        lines = [f"<{self.expr}  {count(len(self), 'entry', 'entries')}, {shorten(self.nbytes)}>"]
        rows = self._rows()
        widths = [max((len(r[i]) for r in rows), default=0) for i in range(4)]
        lines += [f"  {t:<{widths[0]}}  {n:<{widths[1]}}  {a:>{widths[2]}}  {c}" for t, n, a, c in rows]
        return "\n".join([*lines, *([f"  … and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else [])])

    def _repr_html_(self) -> str:
        cells = "".join("<tr>" + "".join(f"<td style='text-align:left'>{html.escape(c)}</td>" for c in row) + "</tr>" for row in self._rows())
        more = f"<p>… and {len(self) - _SHOWN} more</p>" if len(self) > _SHOWN else ""
        head = "<tr><th>type</th><th>name</th><th>size</th><th>use</th></tr>"
        return f"<b>{html.escape(self.expr)}</b><table>{head}{cells}</table>{more}"


class Table(Node):
    """A table. Calling it gives a pandas DataFrame; every column that is read is verified."""

    def _table(self) -> Any:
        from dpkg import tables

        cached = self.__dict__.get("_object")
        if cached is None:
            cached = self.__dict__["_object"] = tables.read_table_object(self._repository.odb, self.oid)
        return cached

    def __call__(self, columns: Sequence[str] | None = None, filter: Any = None) -> pandas.DataFrame:
        """The table as a pandas DataFrame; `columns` and `filter` as in `scan`."""
        frame: pandas.DataFrame = self.arrow(columns, filter).to_pandas()
        return frame

    def arrow(self, columns: Sequence[str] | None = None, filter: Any = None) -> pyarrow.Table:
        """The table as a pyarrow Table; `columns` and `filter` as in `scan`."""
        from dpkg import tables

        return tables.as_table(list(self.scan(columns, filter)), tables.user_schema(self._table(), columns))

    def scan(self, columns: Sequence[str] | None = None, filter: Any = None) -> Iterator[pyarrow.RecordBatch]:
        """Record batches in row order. Only the columns asked for (and those the filter needs) are read, and only fragments that can match.

        `filter` is a pyarrow.compute expression, `("column", ">", 5)`, or a list of such tuples. Raises Usage, Corrupt.
        """
        from dpkg import tables

        return tables.scan(self._repository.odb, self._table(), columns, filter)

    def head(self, n: int = 5) -> pandas.DataFrame:
        """The first rows as a pandas DataFrame."""
        from dpkg import tables

        frame: pandas.DataFrame = tables.head(self._repository.odb, self._table(), n).to_pandas()
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

    def __repr__(self) -> str:
        from dpkg.command import grid
        from dpkg.diff import type_text

        table = self._table()
        lines = [f"<{self.expr}  {count(table.rows, 'row')} × {count(len(table.schema), 'column')}, {shorten(self.nbytes)}>"]
        rows = [("", n + (" (key)" if n in table.key else ""), type_text(t)) for n, t in table.schema[:_SHOWN]]
        lines += ["".join(parts) for parts in grid(rows)]
        more = [f"  … and {len(table.schema) - _SHOWN} more"] if len(table.schema) > _SHOWN else []
        return "\n".join([*lines, *more, "  call it for a DataFrame; .arrow(), .scan(columns=, filter=), .head()"])


class Blob(Node):
    """A file. `read` gives its bytes, `text` its text, `save` writes it."""

    def read(self) -> bytes:
        """All bytes, verified."""
        return b"".join(self._repository.odb.iter_blob(self.oid))

    def text(self, encoding: str = "utf-8") -> str:
        """The bytes as text."""
        return self.read().decode(encoding)

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces, for files larger than memory; verified before the last piece."""
        return self._repository.odb.iter_blob(self.oid)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file to `path`, which appears whole or not at all."""
        target = os.fspath(path)
        with open(f"{target}.part", "wb") as out:
            for chunk in self.chunks():
                out.write(chunk)
        os.replace(f"{target}.part", target)

    def __call__(self) -> bytes:
        """All bytes."""
        return self.read()

    def __len__(self) -> int:
        return self._entry.bytes

    def __repr__(self) -> str:
        return f"<{self.expr}  {shorten(self.nbytes)}>  .read(), .text(), .save(path)"
