"""What there is to say of each change beyond names and sizes: lines of texts, rows of tables.

Rows are counted unasked where little has to be read for it: CHEAP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dpkg.comparing import CHANGED, Change, MetadataChange, RowChange, RowChanges
from dpkg.errors import Corrupt, Usage
from dpkg.odb import is_remote

if TYPE_CHECKING:
    from dpkg.diffing.bykey import ByKey
    from dpkg.diffing.rows import RowDiff
    from dpkg.diffing.sides import Sides
    from dpkg.drift.verdicts import Verdict
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.oid import Oid

CHEAP = 64 << 20  # row bytes of fragments, of all tables of a diff together, that are read unasked: about half a second
ROWS, LINES = 5, 40  # of each table and each text that are shown unasked


def review(
    odb_a: Odb,
    odb_b: Odb,
    changes: Iterable[Change],
    most: int | None,
    asked: bool = True,
    key: Sequence[str] = (),
) -> list[Change]:
    """Changes with their rows and lines, at most `most` of each (None: all); rows are paired by a `key` where one is given.

    Unless it was `asked` for, only what is cheap: no more than CHEAP is read of tables, and nothing where a store is far away.
    """
    found = list(changes)
    near = is_near(odb_a, odb_b)
    counted = {c.path for c in found if c.table} if asked else _cheap(found) if near else set()
    return [_looked(odb_a, odb_b, c, c.path in counted, near or asked, most, asked, key) for c in found]


def is_near(odb_a: Odb, odb_b: Odb) -> bool:
    """Whether both stores are folders, of which something may be read unasked."""
    return not (is_remote(odb_a.backend) or is_remote(odb_b.backend))


def _cheap(changes: list[Change]) -> set[str]:
    """The tables whose rows are counted unasked: the smallest changes first."""
    sizes = sorted((c.table.bytes_added + c.table.bytes_removed, c.path) for c in changes if c.table)
    out, total = set[str](), 0
    for size, path in sizes:
        total += size
        if total > CHEAP:
            break
        out.add(path)
    return out


def _looked(
    odb_a: Odb, odb_b: Odb, change: Change, count: bool, blobs: bool, most: int | None, asked: bool, key: Sequence[str]
) -> Change:
    if change.metadata and (blobs or asked):
        change = replace(change, metadata_changes=tuple(_metadata(odb_a, odb_b, change)))
    if change.what != CHANGED or change.old_oid == change.new_oid or change.old_oid is None or change.new_oid is None:
        return change
    if change.type == change.old_type == "blob" and blobs:
        from dpkg.diffing.texts import diff_blobs

        lines = most if asked else LINES
        return replace(change, blob=diff_blobs(odb_a, change.old_oid, odb_b, change.new_oid, change.path, lines))
    if change.table is None or not count:
        return change
    diff = open_diff(odb_a, odb_b, change, key)
    rows = count_rows(diff, most if asked else ROWS)
    return replace(change, table=replace(change.table, schema=diff.columns), row_changes=rows)


def _metadata(odb_a: Odb, odb_b: Odb, change: Change) -> Iterator[MetadataChange]:
    """What of the user metadata of an entry is other than it was."""
    old, new = _members(odb_a, change.old_meta), _members(odb_b, change.new_meta)
    for name in dict.fromkeys((*old, *new)):
        if name not in old:
            yield MetadataChange("added", name, None, new[name])
        elif name not in new:
            yield MetadataChange("removed", name, old[name], None)
        elif old[name] != new[name]:
            yield MetadataChange("changed", name, old[name], new[name])


def _members(odb: Odb, oid: Oid | None) -> dict[str, Any]:
    """The members of user metadata; of any other JSON one without a name. Raises Corrupt."""
    import json

    try:
        found = json.loads(odb.read(oid, "blob")) if oid else {}
    except ValueError:
        raise Corrupt(f"the metadata {oid} is no JSON", "build the package again") from None
    return found if isinstance(found, dict) else {"": found}


def open_diff(odb_a: Odb, odb_b: Odb, change: Change, key: Sequence[str] = ()) -> RowDiff | ByKey:
    """The row diff of a table that changed, by another `key` than its own where one is given. Raises Usage."""
    from dpkg import tables
    from dpkg.diffing.bykey import ByKey
    from dpkg.diffing.rows import RowDiff

    assert change.old_oid is not None
    assert change.new_oid is not None
    old = tables.read_table_object(odb_a, change.old_oid)
    new = tables.read_table_object(odb_b, change.new_oid)
    return ByKey(odb_a, old, odb_b, new, key) if key else RowDiff(odb_a, old, odb_b, new)


def count_rows(diff: RowDiff | ByKey, most: int | None) -> RowChanges:
    """All changes of rows counted, and the first ones; the diff is gone through."""
    from dpkg.arrow.rowdiff import cell_counts

    head: list[RowChange] = []
    cells: Counter[str] = Counter()
    for batch in diff.batches():
        cells.update(cell_counts(batch))
        left = batch.num_rows if most is None else most - len(head)
        if left > 0:
            head += changed_rows(diff, batch.slice(0, left))
    s = diff.summary
    order = {n: i for i, n in enumerate(diff.new.schema.names)}
    said = dict(sorted(cells.items(), key=lambda c: order[c[0]]))
    return RowChanges(s.removed, s.added, s.changed, s.moved, said, tuple(head))


def changed_rows(diff: RowDiff | ByKey, batch: Any) -> Iterator[RowChange]:
    """The rows of a batch of a diff, as JSON values."""
    from dpkg.arrow.rowdiff import CELLS, CHANGE, NEW, NEW_ROW, OLD, OLD_ROW
    from dpkg.arrow.writers import json_rows

    by = [c.name for c in diff.paired_by] if diff.keyed else []
    was = {n: diff.renamed.get(n, n) for n in diff.new.schema.names}
    for row in json_rows([batch]):
        kind, cells = row[CHANGE], tuple(row[CELLS])
        shown = {*by, *cells} if kind == "changed" else None
        olds = None if shown is None else {was[n] for n in shown}
        old, new = (
            _values(row, prefix, names, which) if row[at] is not None else None
            for prefix, names, which, at in (
                (OLD, diff.old.schema.names, olds, OLD_ROW),
                (NEW, diff.new.schema.names, shown, NEW_ROW),
            )
        )
        yield RowChange(kind, row[OLD_ROW], row[NEW_ROW], cells, old, new)


def _values(row: Mapping[str, Any], prefix: str, names: Iterable[str], wanted: set[str] | None) -> dict[str, Any]:
    return {n: row[prefix + n] for n in names if wanted is None or n in wanted}


def one_table(sides: Sides, changes: Sequence[Change]) -> tuple[str, Table, Table]:
    """The one table whose rows are asked for, and both versions of it: which changed, or which PATH names. Raises Usage."""
    from dpkg import tables
    from dpkg.index.reader import lookup

    found = {c.path: (c.old_oid, c.new_oid) for c in changes if c.table}
    wanted = sides.limits()
    if not found and len(wanted) == 1:  # which did not change
        both = [lookup(o.odb, o.side.tophash, wanted[0]) for o in (sides.old, sides.new)]
        if all(e.type == "table" for e in both):
            found = {wanted[0]: (both[0].oid, both[1].oid)}
    if len(found) != 1:
        named = ", ".join(list(found)[:8]) + (", …" if len(found) > 8 else "")
        message = f"{len(found):,} tables changed, and --format is for one" if found else "no table changed in its rows"
        raise Usage(message, f"name it as PATH: {named}" if found else "see it without --format")
    ((path, (a, b)),) = found.items()
    assert a is not None
    assert b is not None
    return path, tables.read_table_object(sides.old.odb, a), tables.read_table_object(sides.new.odb, b)


class Tables(Mapping[str, "RowDiff | ByKey"]):
    """The row diffs of the tables that changed, by path; each is opened when it is asked for, and gone through once."""

    def __init__(self, odb_a: Odb, odb_b: Odb, changes: Iterable[Change], key: Sequence[str] = ()) -> None:
        self._odbs, self._key = (odb_a, odb_b), key
        self._changes = {c.path: c for c in changes if c.table}

    def __getitem__(self, path: str) -> RowDiff | ByKey:
        return open_diff(*self._odbs, self._changes[path], self._key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)


LEVELS = ("moderate", "major", "schema", "any")  # of --fail-on


def reaches(changes: Iterable[Change], level: str, verdict: Verdict = "none") -> bool:
    """Whether changes are of a level.

    `schema`: tables that went, are no tables any more, or have other columns or another key; `moderate`, `major`: the verdict on
    their drift is that, or worse.
    """
    from dpkg.drift.verdicts import VERDICTS

    if level == "any":
        return any(True for _ in changes)
    if level in VERDICTS:
        return VERDICTS.index(verdict) >= VERDICTS.index(level)
    return any(_breaks(c) for c in changes)


def _breaks(c: Change) -> bool:
    if c.table is not None:
        return bool(c.table.schema)
    return c.old_type == "table" and (c.what == "removed" or c.type != "table")
