"""From a plan to a tree in the odb."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import rfc8785

from dpkg import progress, tables
from dpkg.arrow.readers import open_source, stream
from dpkg.compiler.plan import Item, Path, Plan
from dpkg.errors import CheckFailed, DpkgError, Format, Usage
from dpkg.index import build_tree
from dpkg.objects.node import InnerEntry, TreeEntry
from dpkg.odb import is_remote
from dpkg.threads import some_ahead

if TYPE_CHECKING:
    from dpkg.arrow.readers import Widened
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid

_WORKERS = 16


@dataclass(frozen=True)
class Compiled:
    """One entry made from one file."""

    path: str
    type: str
    oid: Oid
    rows: int
    bytes: int
    source: str
    widened: tuple[Widened, ...] = ()


@dataclass(frozen=True)
class Report:
    """A tree, and what it was made of."""

    tree: Oid
    entries: tuple[Compiled, ...] = field(default=())


def compile_plan(odb: Odb, plan: Plan) -> Report:
    """Store everything that a plan names and the tree over it; nothing is published. Raises what readers raise."""
    made: list[Compiled] = []
    root: dict[str, Any] = {}
    waits = is_remote(
        odb.backend
    )  # blobs, many and small, wait for a network together; tables have threads of their own
    compiled = some_ahead(partial(_compile, odb), plan.items, lambda item: waits and item.format is None, _WORKERS)
    for item, (entry, done) in zip(plan.items, compiled, strict=True):
        made.append(done)
        folder = root
        for name in item.path[:-1]:
            folder = folder.setdefault(name, {})
        folder[item.path[-1]] = entry
        progress.advance("built", 1, len(plan.items), "files")
    return Report(_tree(odb, root, (), plan).oid, tuple(made))


def _tree(odb: Odb, folder: dict[str, Any], path: Path, plan: Plan) -> InnerEntry:
    entries = []
    for name, child in folder.items():
        if isinstance(child, TreeEntry):
            entries.append(child)
            continue
        at = (*path, name)
        below = _tree(odb, child, at, plan)
        meta = _metadata(odb, plan.folders.get(at))
        entries.append(TreeEntry(name, "tree", below.oid, below.bytes, below.rows, below.entries, meta))
    return build_tree(entries, lambda data: odb.write("node", data))


def _compile(odb: Odb, item: Item) -> tuple[TreeEntry, Compiled]:
    meta = _metadata(odb, item)
    if item.format is None:
        oid, size = odb.write_blob_file(item.source)
        return TreeEntry(item.path[-1], "blob", oid, size, meta=meta), Compiled(
            item.name, "blob", oid, 0, size, item.source
        )
    oid, table, widened = compile_table(odb, item)
    entry = TreeEntry(item.path[-1], "table", oid, table.bytes, table.rows, meta=meta)
    return entry, Compiled(item.name, "table", oid, table.rows, table.bytes, item.source, widened)


def _metadata(odb: Odb, item: Item | None) -> Oid | None:
    """Store user metadata, if there is any."""
    if item is None or item.meta is None:
        return None
    try:
        return odb.write("blob", rfc8785.dumps(item.meta))
    except (rfc8785.CanonicalizationError, RecursionError) as e:
        message = f"{item.where}: the metadata of '{item.name}' has no canonical JSON: {e}"
        raise Usage(message, "quote numbers beyond 2^53 and NaN") from None


def compile_table(odb: Odb, item: Item) -> tuple[Oid, Table, tuple[Widened, ...]]:
    """Store one file as a table: its oid, the table, the columns that became wider than they began. Errors name the file."""
    assert item.format is not None
    try:
        source = open_source(item.source, item.format, item.options)
        try:
            oid, table = stream(
                source, lambda schema, batches: tables.write_table(odb, batches, schema, item.key, _rows)
            )
            return oid, table, tuple(source.widened)
        finally:
            source.close()
    except (Format, CheckFailed, Usage) as e:
        raise _placed(e, item) from None


def _placed(error: DpkgError, item: Item) -> DpkgError:
    """An error on a table with its file, and the line of the build.yml that it is about."""
    message = error.message if item.source in error.message else f"{item.source}: {error.message}"
    named = (place for name, place in item.places.items() if f"column '{name}'" in error.message)
    about_data = isinstance(error, Format) and item.source in error.message
    place = next(named, "" if about_data else item.where)
    return type(error)(f"{place}: {message}" if place else message, error.hint)


def _rows(count: int) -> None:
    progress.advance("stored", count, None, "rows")
