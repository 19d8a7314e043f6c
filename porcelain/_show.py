"""`dpk show`: a package, a folder, a table or a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt, count, grid, shorten, when
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.objects.node import TreeEntry
    from dpkg.oid import Oid

COMMAND = Command(
    "show",
    "Show a package and its commit, a table with its schema and first rows, or the beginning of a file.",
    (
        Arg("expr", "owner/name[@revision][/path]"),
        Opt("-n --rows", "rows of a table, or lines of a file (default: 10)", int, "N"),
        STORE,
    ),
)


@dataclass(frozen=True)
class Column:
    """A column of a table and its type."""

    name: str
    type: str


@dataclass(frozen=True)
class Shown:
    """What an expression names. Members that do not fit its type are empty; `head` holds a table's first rows as JSON values."""

    expr: str
    type: str
    oid: Oid
    commit: Oid
    tophash: Oid
    author: str
    time: int
    message: str
    rows: int
    bytes: int
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    fragments: int = 0
    head: tuple[dict[str, Any], ...] = ()
    text: str = ""
    entries: tuple[tuple[str, str, int, int], ...] = ()
    metadata: Any = None
    provenance: Any = None


def show(expr: str, *, rows: int = 10, store: str | None = None) -> Shown:
    """What `expr` names. Raises NotFound."""
    repository = Repository(store)
    parsed, oid, commit, entry = repository.entry(expr)
    base: dict[str, Any] = {
        "expr": str(parsed),
        "commit": oid,
        "tophash": commit.tree,
        "author": commit.author,
        "time": commit.time,
        "message": commit.message,
        "provenance": commit.provenance,
    }
    if entry is None or entry.type == "tree":
        return _tree(repository, commit.tree if entry is None else entry.oid, entry, base)
    base |= {"type": entry.type, "oid": entry.oid, "rows": entry.rows, "bytes": entry.bytes, "metadata": _metadata(repository, entry)}
    return _table(repository, entry, rows, base) if entry.type == "table" else _blob(repository, entry, rows, base)


def _metadata(repository: Repository, entry: TreeEntry | None) -> Any:
    import json

    return json.loads(repository.odb.read(entry.meta, "blob")) if entry and entry.meta else None


def _tree(repository: Repository, oid: Oid, entry: TreeEntry | None, base: dict[str, Any]) -> Shown:
    from dpkg.index import tree_entries

    found = list(tree_entries(repository.odb, oid))
    return Shown(
        type="tree",
        oid=oid,
        rows=sum(e.rows for e in found),
        bytes=sum(e.bytes for e in found),
        entries=tuple((e.name, e.type, e.rows, e.bytes) for e in found),
        metadata=_metadata(repository, entry),
        **base,
    )


def _table(repository: Repository, entry: TreeEntry, rows: int, base: dict[str, Any]) -> Shown:
    from dpkg import tables
    from dpkg.arrow.writers import json_rows
    from dpkg.diff import type_text

    table = tables.read_table_object(repository.odb, entry.oid)
    head = tuple(json_rows(tables.head(repository.odb, table, rows)))
    columns = tuple(Column(n, type_text(t)) for n, t in table.schema)
    return Shown(columns=columns, key=table.key, fragments=tables.count_fragments(repository.odb, table), head=head, **base)


def _blob(repository: Repository, entry: TreeEntry, lines: int, base: dict[str, Any]) -> Shown:
    first = next(repository.odb.iter_blob(entry.oid), b"")[: 1 << 16]
    try:
        text = first.decode() if len(first) < 1 << 16 else first.decode(errors="ignore")
    except UnicodeDecodeError:
        text = ""
    if "\0" in text:
        text = ""
    return Shown(text="\n".join(text.splitlines()[:lines]), **base)


def render(result: Shown) -> Iterator[Any]:
    yield (("bold", result.expr), f"  {result.type} {result.oid}")
    if result.type == "tree" and result.oid == result.tophash:
        yield (("yellow", f"commit  {result.commit}"), f"  {result.author}, {when(result.time)}")
        for line in result.message.splitlines():
            yield f"    {line}"
    if result.metadata is not None:
        import json

        yield f"metadata {json.dumps(result.metadata, ensure_ascii=False)}"
    if result.type == "tree":
        yield ""
        yield from grid([(t, ("cyan", n), f"{r:,} rows" if t != "blob" else "", shorten(b)) for n, t, r, b in result.entries], right="23")
    elif result.type == "table":
        key = f", key {', '.join(result.key)}" if result.key else ""
        yield f"{count(result.rows, 'row')}, {count(len(result.columns), 'column')}, {count(result.fragments, 'fragment')}, {shorten(result.bytes)}{key}"
        yield ""
        yield from grid([("  ", ("cyan", c.name), c.type) for c in result.columns])
        if result.head:
            yield ""
            yield _head(result)
    else:
        yield shorten(result.bytes)
        if result.text:
            yield ""
            yield from result.text.splitlines()


def _head(result: Shown) -> Any:
    """The first rows, as many columns as the terminal holds."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="cyan", pad_edge=False)
    names = [c.name for c in result.columns][:40]
    for name in names:
        kind = next(c.type for c in result.columns if c.name == name)
        right = kind.startswith(("int", "uint", "float", "decimal"))
        table.add_column(escape(_clean(name)), justify="right" if right else "left", no_wrap=True, overflow="ellipsis", min_width=4, max_width=24)
    for row in result.head:
        table.add_row(*(escape(_clean(_cell(row.get(n)))) for n in names))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "·"
    return value if isinstance(value, str) else str(value)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text[:200])
