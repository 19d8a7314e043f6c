"""`dpk show`: a package, a folder, a table or a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import CELL, STORE, Arg, Command, Opt, cell, count, elide, grid, shorten, when
from dpkg.errors import Usage
from dpkg.histograms import profile_grid
from dpkg.porcelain._ls import Item, item, item_row
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.arrow.summary import Summary
    from dpkg.command import Grid
    from dpkg.command import Shown as Parts
    from dpkg.objects.node import TreeEntry
    from dpkg.oid import Oid

COMMAND = Command(
    "show",
    "Show a package and its commit, a table with its schema and first rows, or the beginning of a file.",
    (
        Arg("expr", "owner/name[@revision][/path]", completes="expr"),
        Opt("-n --rows", "rows of a table, or lines of a file (default: 10)", int, "N"),
        Opt("--provenance", "how the commit was made: its sources, its build.yml, git's commit, versions", view=True),
        Opt("--profile", "profile a table of any size that has no profile stored: reads all of it"),
        STORE,
    ),
    details="Of a table there are a profile of each column, which builds leave in the store, and the first rows. The profile: how many "
    "values are null, about how many are distinct, a histogram (what is far out is counted in its first and last bar), and least, median "
    "and greatest value, or the most frequent ones and how long most are.\n"
    "Where no profile is stored, that of a small table is made, of a larger one with --profile; it is kept where the store may be written "
    "to (derived/profiles, which may be deleted). From 1,024 distinct values on their number has a standard error of 3.2 %; quantiles are "
    "off by 0.5 % of the values at most. --json says by how much, and tells more quantiles and frequent values.",
    examples=(
        ("Show a package and its newest commit:", "dpk show acme/shop"),
        ("Show a table as of a tag, with three rows:", "dpk show acme/shop@v1/sales -n 3"),
        ("Show what a commit was built from:", "dpk show acme/shop@v1 --provenance"),
        (
            "Show the quantiles of a column:",
            "dpk show acme/shop/sales --json | jq '.profile[] | select(.column == \"amount\").quantiles'",
        ),
    ),
    see=("ls", "log", "cat-object"),
)
_ENTRIES, _COLUMNS = 40, 200  # for people
_READ = 16 << 20  # row bytes that are read unasked for a profile
_TEXT = 1 << 16  # bytes of a file that are looked at
_NUMBERS = ("int", "uint", "float", "decimal")


@dataclass(frozen=True)
class Column:
    """A column of a table and its type."""

    name: str
    type: str


@dataclass(frozen=True)
class Shown:
    """What an expression names.

    Members that do not fit its type are empty; `head` holds a table's first rows as JSON values.
    """

    expr: str
    type: str  # tree, table or blob
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
    text: str | None = None  # the first lines of a blob that is text
    entries: tuple[Item, ...] = ()
    metadata: Any = None
    provenance: Any = None
    checks: tuple[Any, ...] = ()  # what became of those that were declared: of a table, of what is in a folder, of all
    profile: tuple[
        Summary, ...
    ] = ()  # of a table's columns; empty where none is stored, and it is too large to make one unasked


def show(expr: str, *, rows: int = 10, profile: bool = False, store: str | None = None) -> Shown:
    """What `expr` names; with `profile` that of a table whatever its size. Raises NotFound, Usage."""
    if rows < 0:
        raise Usage("a number of rows is not negative")
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
        "metadata": _metadata(repository, entry),
        "checks": _checks(commit.checks, parsed.path),
    }
    if entry is None or entry.type == "tree":
        return _tree(repository, commit.tree if entry is None else entry.oid, base)
    base |= {"type": entry.type, "oid": entry.oid, "rows": entry.rows, "bytes": entry.bytes}
    if entry.type == "table":
        return _table(repository, entry, min(rows, entry.rows), profile, base)
    return Shown(text=_text(repository, entry.oid, rows), **base)


def _checks(found: list[Any], path: str | None) -> tuple[Any, ...]:
    """Of the results in a commit those of a table, or of what is in a folder."""
    known = (c for c in found if isinstance(c, dict))
    return tuple(c for c in known if not path or f"{c.get('path')}/".startswith(f"{path}/"))


def _metadata(repository: Repository, entry: TreeEntry | None) -> Any:
    import json

    return json.loads(repository.odb.read(entry.meta, "blob")) if entry and entry.meta else None


def _tree(repository: Repository, oid: Oid, base: dict[str, Any]) -> Shown:
    from dpkg.index import tree_entries

    found = tuple(item(e.name, e) for e in tree_entries(repository.odb, oid))
    rows, size = sum(e.rows for e in found), sum(e.bytes for e in found)
    return Shown(type="tree", oid=oid, rows=rows, bytes=size, entries=found, **base)


def _table(repository: Repository, entry: TreeEntry, rows: int, profile: bool, base: dict[str, Any]) -> Shown:
    from dpkg import profiles, tables
    from dpkg.arrow.summary import summaries
    from dpkg.arrow.writers import json_rows
    from dpkg.objects.typetext import type_text

    table = tables.read_table_object(repository.odb, entry.oid)
    head = tuple(json_rows(tables.head(repository.odb, table, rows))) if rows else ()
    columns = tuple(Column(n, type_text(t)) for n, t in table.schema)
    fragments = tables.count_fragments(repository.odb, table)
    found = profiles.of_table(repository.odb, table, profiles.Budget(None if profile else _READ)) or ()
    profiled = summaries(tables.schema_of(table), found) if found else ()
    return Shown(columns=columns, key=table.key, fragments=fragments, head=head, profile=profiled, **base)


def _text(repository: Repository, oid: Oid, lines: int) -> str | None:
    """The first lines of a blob, or None if it is not text."""
    from codecs import getincrementaldecoder

    first = repository.odb.read_range(oid, 0, _TEXT + 1)
    try:
        text = getincrementaldecoder("utf-8")().decode(first[:_TEXT], final=len(first) <= _TEXT)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else "\n".join(text.splitlines()[:lines])


def render(result: Shown, provenance: bool = False) -> Iterator[Parts]:
    whole = result.type == "tree" and result.oid == result.tophash
    yield (("bold", result.expr), f"  {'package' if whole else result.type}")
    yield ("tophash  " if whole else "oid      ", result.oid)
    if whole:
        yield ("commit   ", ("yellow", result.commit))
        yield f"by       {result.author}, {when(result.time)}"
    if provenance:
        yield ""
        yield from _render_provenance(result.provenance)
        return
    if result.metadata is not None:
        import json

        yield f"metadata {json.dumps(result.metadata, ensure_ascii=False)}"
    if whole and result.message:
        yield ""
        yield from (f"    {line}".rstrip() for line in result.message.splitlines())
    if result.checks:
        from dpkg.checks.report import recorded

        yield from recorded(result.checks)
    yield from {"tree": _render_tree, "table": _render_table, "blob": _render_blob}[result.type](result)


def _render_provenance(provenance: Any) -> Iterator[Parts]:
    """As YAML, whatever it is: commits of others may say anything."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as they are."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, "|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    if not provenance:
        yield "nothing is recorded"
        return
    yield from yaml.dump(provenance, Dumper=Dumper, allow_unicode=True, width=1 << 20).splitlines()


def _render_tree(result: Shown) -> Iterator[Parts]:
    yield ""
    yield from grid([item_row(e)[:4] for e in result.entries[:_ENTRIES]], right="23", give="1")
    if len(result.entries) > _ENTRIES:
        yield f"… and {len(result.entries) - _ENTRIES:,} more: dpk ls {result.expr}"


def _render_table(result: Shown) -> Iterator[Parts]:
    size = f"{shorten(result.bytes)} in {count(result.fragments, 'fragment')}"
    yield f"size     {count(result.rows, 'row')}, {count(len(result.columns), 'column')}, {size}"
    if result.key:
        yield f"key      {', '.join(result.key)}"
    yield ""
    if result.profile:
        yield from profile_grid(result.profile[:_COLUMNS])
    else:
        yield from grid([("  ", ("cyan", c.name), c.type) for c in result.columns[:_COLUMNS]])
        yield ""
        yield f"no profile is at hand of so large a table: dpk show {result.expr} --profile"
    if len(result.columns) > _COLUMNS:
        yield f"  … and {len(result.columns) - _COLUMNS:,} more"
    if result.head:
        yield ""
        yield from _head(result)


def _render_blob(result: Shown) -> Iterator[Parts]:
    yield f"size     {shorten(result.bytes)}{', not text' if result.text is None else ''}"
    if result.text:
        yield ""
        yield from result.text.splitlines()


def _head(result: Shown) -> list[Grid]:
    """The first rows; on a narrow terminal the last columns are left out."""
    columns = result.columns[:_COLUMNS]
    rows: list[tuple[Any, ...]] = [tuple(("cyan", elide(c.name, CELL)) for c in columns)]
    rows += [tuple(cell(row[c.name]) for c in columns) for row in result.head]
    right = [i for i, c in enumerate(columns) if c.type.startswith(_NUMBERS)]
    return grid(rows, right=right, drop=True)
