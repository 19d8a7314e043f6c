"""What differs between two trees: names, schemas, rows, fragments.

Reads index nodes in proportion to the change, and no data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.index.reader import check_depth, differing, entry_at, tree_entries
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, TreeEntry
from dpkg.objects.schemadiff import ColumnChange, diff_schemas
from dpkg.objects.table import Table

if TYPE_CHECKING:
    from dpkg.drift.columns import TableDrift
    from dpkg.drift.verdicts import TableVerdict
    from dpkg.odb import Odb
    from dpkg.oid import Oid

ADDED, REMOVED, CHANGED, RENAMED = "added", "removed", "changed", "renamed"


@dataclass(frozen=True)
class TableChange:
    """How two versions of a table differ.

    Bytes are row bytes (spec/rows.md); kept fragments are stored once for both.
    """

    schema: tuple[ColumnChange, ...]
    fragments_kept: int
    fragments_added: int
    fragments_removed: int
    rows_added: int  # rows of the fragments added
    rows_removed: int
    bytes_added: int
    bytes_removed: int


@dataclass(frozen=True)
class RowChange:
    """A row that was removed, added or changed; rows are counted from 0.

    `old` and `new` are its values before and after; of a changed row those by which rows are told apart, and of `cells`,
    the columns that changed.
    """

    what: str
    old_row: int | None
    new_row: int | None
    cells: tuple[str, ...]
    old: dict[str, Any] | None
    new: dict[str, Any] | None


@dataclass(frozen=True)
class RowChanges:
    """The rows that differ between two versions of a table. Without a key a changed row is one removed and one added."""

    removed: int
    added: int
    changed: int
    moved: int  # of those added, how many were removed elsewhere
    cells: dict[str, int]  # in how many of the changed rows a column changed
    head: tuple[RowChange, ...] = ()  # the first of them


@dataclass(frozen=True)
class BlobChange:
    """How two versions of a file differ: of text the lines of a unified diff."""

    kind: str  # text, binary, or large: too large to be compared
    media: str | None  # its type, by its name
    removed: int = 0
    added: int = 0
    lines: tuple[str, ...] = ()
    more: int = 0  # lines of the diff that are left out


@dataclass(frozen=True)
class MetadataChange:
    """A member of an entry's user metadata that came, went or changed; null where it is not there."""

    what: str  # added, removed or changed
    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """One name that differs. Rows and bytes are those of the whole entry, before and after."""

    what: str
    path: str
    old_path: str | None
    type: str
    old_type: str | None
    old_oid: Oid | None
    new_oid: Oid | None
    old_rows: int
    new_rows: int
    old_bytes: int
    new_bytes: int
    metadata: bool = False  # its user metadata differs
    table: TableChange | None = None
    row_changes: RowChanges | None = None  # where they were counted
    blob: BlobChange | None = None
    drift: TableDrift | None = None  # of its columns, where profiles of both versions are there, or were made
    verdict: TableVerdict | None = None  # on the drift
    old_meta: Oid | None = None  # the blobs of its user metadata
    new_meta: Oid | None = None
    metadata_changes: tuple[MetadataChange, ...] = ()  # what of that, where it was looked at


Pair = tuple[str, TreeEntry | None, TreeEntry | None]


def diff_trees(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid) -> list[Change]:
    """Every blob and table that differs between two trees, by path.

    One removed and one added of the same oid are a rename.
    """
    return diff_pairs(odb_a, odb_b, tree_pairs(odb_a, a, odb_b, b))


def diff_pairs(odb_a: Odb, odb_b: Odb, pairs: Iterable[Pair]) -> list[Change]:
    """What became of entries, by path, as `diff_trees` has it."""
    removed: dict[str, TreeEntry] = {}
    added: dict[str, TreeEntry] = {}
    changed: list[tuple[str, TreeEntry, TreeEntry]] = []
    for path, old, new in pairs:
        if old and new:
            changed.append((path, old, new))
        elif old:
            removed[path] = old
        elif new:
            added[path] = new
    out = [_change(odb_a, odb_b, path, old, new) for path, old, new in changed]
    for old_path, path in _renames(removed, added):
        out.append(_one(RENAMED, path, removed.pop(old_path), added.pop(path), old_path))
    out += [_one(REMOVED, path, entry, None) for path, entry in removed.items()]
    out += [_one(ADDED, path, None, entry) for path, entry in added.items()]
    return sorted(out, key=lambda c: c.path.encode())


def _renames(removed: dict[str, TreeEntry], added: dict[str, TreeEntry]) -> list[tuple[str, str]]:
    """Pairs of a removed and an added path with the same object, first those of the same last name."""
    old, new, out = dict(removed), dict(added), []
    for named in (True, False):
        gone: dict[tuple[Oid, str], list[str]] = {}
        for path, entry in reversed(old.items()):
            gone.setdefault((entry.oid, path.rpartition("/")[2] if named else ""), []).append(path)
        for path, entry in list(new.items()):
            if twins := gone.get((entry.oid, path.rpartition("/")[2] if named else "")):
                out.append((twins.pop(), path))
                del old[out[-1][0]], new[path]
    return out


def _one(what: str, path: str, old: TreeEntry | None, new: TreeEntry | None, old_path: str | None = None) -> Change:
    """A change of an entry that is there on one side only, or that moved as it was."""
    either = new or old
    assert either is not None
    return Change(
        what,
        path,
        old_path,
        either.type,
        old.type if old else None,
        old.oid if old else None,
        new.oid if new else None,
        old.rows if old else 0,
        new.rows if new else 0,
        old.bytes if old else 0,
        new.bytes if new else 0,
        old is not None and new is not None and old.meta != new.meta,
        old_meta=old.meta if old else None,
        new_meta=new.meta if new else None,
    )


def _change(odb_a: Odb, odb_b: Odb, path: str, old: TreeEntry, new: TreeEntry) -> Change:
    table = (
        diff_tables(odb_a, old.oid, odb_b, new.oid) if old.type == new.type == "table" and old.oid != new.oid else None
    )
    return Change(
        CHANGED,
        path,
        None,
        new.type,
        old.type,
        old.oid,
        new.oid,
        old.rows,
        new.rows,
        old.bytes,
        new.bytes,
        old.meta != new.meta,
        table,
        old_meta=old.meta,
        new_meta=new.meta,
    )


def tree_pairs(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid, prefix: str = "", recursive: bool = True) -> Iterator[Pair]:
    """(path, old, new) of every entry that is not the same in two trees; None where there is none.

    With `recursive` those of folders instead of folders, and folders only where their own metadata differs.
    """
    check_depth(prefix, a)
    left, right = differing(odb_a, a, odb_b, b, TREE)
    old = {e.name: e for n in left for e in n.entries}
    new = {e.name: e for n in right for e in n.entries}
    for name in sorted(old.keys() | new.keys(), key=str.encode):
        x, y, path = old.get(name), new.get(name), prefix + name
        if x == y:
            continue
        if recursive:
            yield from entry_pairs(odb_a, x, odb_b, y, path)
        else:
            yield path, x, y


def pairs_at(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid, path: str) -> Iterator[Pair]:
    """As `tree_pairs`, of what is at a path of both trees; nothing where it is in neither."""
    yield from entry_pairs(odb_a, entry_at(odb_a, a, path), odb_b, entry_at(odb_b, b, path), path)


def all_pairs(odb: Odb, tree: Oid) -> Iterator[Pair]:
    """As `tree_pairs`, of a tree that there was nothing before."""
    return entry_pairs(odb, None, odb, TreeEntry("", "tree", tree, 0), "")


def apart(paths: Iterable[str]) -> list[str]:
    """Paths without those that are below others of them."""
    wanted = list(dict.fromkeys(p.strip("/") for p in paths))
    return [p for p in wanted if not any(p.startswith(f"{q}/") for q in wanted)]


def entry_pairs(odb_a: Odb, x: TreeEntry | None, odb_b: Odb, y: TreeEntry | None, path: str) -> Iterator[Pair]:
    """(path, old, new) of two entries, or of what is below them where they are folders; their names do not matter."""
    if x and y and (x.type, x.oid, x.meta) == (y.type, y.oid, y.meta):
        return
    if x and y and x.type == y.type == "tree":
        if x.meta != y.meta:
            yield path, x, y
        yield from tree_pairs(odb_a, x.oid, odb_b, y.oid, path and f"{path}/")
    elif x and y and "tree" not in (x.type, y.type):
        yield path, x, y
    else:
        if x:
            yield from ((p, e, None) for p, e in _below(odb_a, path, x))
        if y:
            yield from ((p, None, e) for p, e in _below(odb_b, path, y))


def _below(odb: Odb, path: str, entry: TreeEntry) -> Iterator[tuple[str, TreeEntry]]:
    if entry.type != "tree":
        yield path, entry
        return
    check_depth(f"{path}/", entry.oid)
    for child in tree_entries(odb, entry.oid):
        yield from _below(odb, f"{path}/{child.name}" if path else child.name, child)


def diff_tables(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid) -> TableChange:
    """How two tables differ, from their schemas and indexes alone."""
    old, new = Table.decode(odb_a.read(a, "table")), Table.decode(odb_b.read(b, "table"))
    left, right = differing(odb_a, old.fragments, odb_b, new.fragments, FRAGMENTS)
    had: Counter[FragmentEntry] = Counter(e for n in left for e in n.entries)
    has: Counter[FragmentEntry] = Counter(e for n in right for e in n.entries)
    gone, came = had - has, has - had
    total = _count(odb_b, new)
    return TableChange(
        tuple(diff_schemas(old, new)),
        total - came.total(),
        came.total(),
        gone.total(),
        sum(e.rows * n for e, n in came.items()),
        sum(e.rows * n for e, n in gone.items()),
        sum(e.bytes * n for e, n in came.items()),
        sum(e.bytes * n for e, n in gone.items()),
    )


def _count(odb: Odb, table: Table) -> int:
    """Fragments of a table, from the root of its index alone."""
    from dpkg.index.reader import read_node

    return sum(e.counts[0] for e in read_node(odb, table.fragments, FRAGMENTS).entries)
