"""Second reader, part 4: index and statistics (index.md), tables (objects.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from reader_json import (
    Json,
    Refused,
    encode,
    oid,
    plain_blake3,
    utf8,
)
from reader_rows import (
    boundaries,
    levels,
    order,
    row_bytes,
    row_mixes,
    sort_by_key,
    target_rows,
)
from reader_values import (
    FLOATS,
    INTEGERS,
    TIMES,
    Schema,
    Type,
    Value,
    binary_of,
    canonical_float,
    fragment_oid,
    kind_of,
)

# ----------------------------------------------------------------------------------------------------- building nodes

MAX_NODE_ENTRIES = 1024
MAX_NODE_BYTES = 2**20
MAX_LEVELS = 16


@dataclass(frozen=True)
class Node:
    """One node of an index."""

    oid: str
    text: bytes
    entries: int
    stats: str | None = None  # level 0 of fragments only


@dataclass(frozen=True)
class Index:
    """An index: its levels, each a list of nodes in order; the last level holds the root alone."""

    levels: list[list[Node]]

    @property
    def root(self) -> str:
        return self.levels[-1][0].oid


def entry_key(kind: str, level: int, entry: Json) -> bytes:
    """The key of an entry: the UTF-8 of the name, or the 32 bytes of the fragment's oid."""
    if kind == "tree":
        return utf8(entry["name"] if level == 0 else entry["key"])
    return bytes.fromhex(entry["oid"] if level == 0 else entry["key"])


def ends_node(level: int, key: bytes) -> bool:
    """Whether the hash of an entry says that its node ends after it (IDX-3)."""
    return int.from_bytes(plain_blake3(bytes([level]) + key)[:4], "little") < 2**24


def split(kind: str, level: int, entries: Sequence[Json]) -> list[tuple[int, int]]:
    """The nodes of a level as ranges of entries; no entries at all give one empty node (IDX-3, IDX-4)."""
    ranges: list[tuple[int, int]] = []
    start = size = 0
    for i, entry in enumerate(entries):
        length = len(encode(entry)) + 1
        if i > start and size + length > MAX_NODE_BYTES:
            ranges.append((start, i))
            start, size = i, 0
        size += length
        held = i + 1 - start
        if held == MAX_NODE_ENTRIES or (held >= 2 and ends_node(level, entry_key(kind, level, entry))):
            ranges.append((start, i + 1))
            start, size = i + 1, 0
    if start < len(entries) or not entries:
        ranges.append((start, len(entries)))
    return ranges


def inner_entry(kind: str, level: int, below: Sequence[Json], node: str) -> Json:
    """The entry at level + 1 of a node with the entries `below`."""
    return {
        "bytes": sum(entry["bytes"] for entry in below),
        "entries": len(below) if level == 0 else sum(entry["entries"] for entry in below),
        "key": below[-1]["name" if kind == "tree" else "oid"] if level == 0 else below[-1]["key"],
        "oid": node,
        "rows": sum(entry.get("rows", 0) for entry in below),
    }


def build_index(kind: str, entries: Sequence[Json], stats: Callable[[int, int], str | None] | None = None) -> Index:
    """The index of entries in their order (IDX-3, IDX-4); `stats(start, stop)` gives a stats oid."""
    index = Index([])
    while not index.levels or len(index.levels[-1]) > 1:
        level = len(index.levels)
        if level == MAX_LEVELS:
            raise Refused("IDX-4", "more than 16 levels")
        nodes: list[Node] = []
        above: list[Json] = []
        for start, stop in split(kind, level, entries):
            members: Json = {"entries": list(entries[start:stop]), "kind": kind, "level": level}
            if kind == "fragments" and level == 0:
                assert stats
                members["stats"] = stats(start, stop) if start < stop else None
            text = encode(members)
            nodes.append(Node(oid("node", text), text, stop - start, members.get("stats")))
            if start < stop:
                above.append(inner_entry(kind, level, entries[start:stop], nodes[-1].oid))
        index.levels.append(nodes)
        entries = above
    return index


def build_tree(entries: Sequence[Json]) -> Index:
    """The index of a tree's level-0 entries, given in any order (IDX-1, OBJ-2)."""
    for entry in entries:
        check_name(entry["name"])
    entries = sorted(entries, key=lambda entry: utf8(entry["name"]))
    for above, below in pairwise(entries):
        if above["name"] == below["name"]:
            raise Refused("IDX-1", f"duplicate name {above['name']!r}")
    return build_index("tree", entries)


def check_name(name: Json) -> None:
    """Refuse what cannot be a name in a tree (IDX-1)."""
    if not isinstance(name, str):
        raise Refused("JSON-6", "a name is a string")
    if not 1 <= len(utf8(name)) <= 1024 or "/" in name or "\0" in name or name in (".", ".."):
        raise Refused("IDX-1", f"not a name: {name[:80]!r}")


# --------------------------------------------------------------------------------------------------------- statistics

STATS_SAME = {"bool", *INTEGERS, *FLOATS, *TIMES, "decimal", "utf8", "binary"}
BOUND = 32


def bound_type(t: Type) -> Type | None:
    """S of a column's type, or None where there is none (IDX-6)."""
    if kind_of(t) == "fixed_binary":
        return "binary"
    return t if kind_of(t) in STATS_SAME else None


def statistics_schema(schema: Schema) -> list[Json]:
    """The schema of the statistics fragments of a table (IDX-6)."""
    out: list[Json] = []
    for name, t in schema:
        s = bound_type(t)
        bounds = [] if s is None else [["min", s], ["max", s]]
        out.append([name, {"struct": [*bounds, ["nulls", "int64"]]}])
    return out


def statistics_cell(values: Sequence[Value], t: Type) -> list[Value]:
    """The struct [min, max, nulls], or [nulls], of one column in one fragment (IDX-7, IDX-8)."""
    nulls = sum(value is None for value in values)
    if bound_type(t) is None:
        return [nulls]
    kind = kind_of(t)
    present = [value for value in values if value is not None]
    if not present:
        return [None, None, nulls]
    least = min(present, key=lambda value: order(value, t))
    greatest = max(present, key=lambda value: order(value, t))
    if kind in FLOATS:
        return [canonical_float(least, kind), canonical_float(greatest, kind), nulls]
    if kind in ("utf8", "binary", "fixed_binary"):
        return [lower_bound(least), upper_bound(greatest), nulls]
    return [least, greatest, nulls]


def lower_bound(value: str | bytes) -> str | bytes:
    """The longest prefix of at most 32 bytes, of whole characters for utf8 (IDX-8)."""
    if isinstance(value, bytes):
        return value[:BOUND]
    prefix = value[:BOUND]
    while len(utf8(prefix)) > BOUND:
        prefix = prefix[:-1]
    return prefix


def upper_bound(value: str | bytes) -> str | bytes | None:
    """The value up to 32 bytes, else its prefix with the last character or byte that can be raised, raised (IDX-8)."""
    if len(binary_of(value)) <= BOUND:
        return value
    prefix = lower_bound(value)
    while prefix:
        if isinstance(prefix, str):
            raised = raise_character(prefix[-1])
            if raised is not None:
                return prefix[:-1] + raised
        elif prefix[-1] < 0xFF:
            return prefix[:-1] + bytes([prefix[-1] + 1])
        prefix = prefix[:-1]
    return None


def raise_character(char: str) -> str | None:
    """The next character, U+E000 after U+D7FF; None after the last one (IDX-8)."""
    if char == "\ud7ff":
        return "\ue000"
    return None if char == "\U0010ffff" else chr(ord(char) + 1)


def statistics_row(schema: Schema, columns: Sequence[Sequence[Value]]) -> list[Value]:
    """The statistics row of one fragment: a struct for each column (IDX-6)."""
    return [statistics_cell(column, field[1]) for column, field in zip(columns, schema, strict=True)]


def statistics_oid(schema: Schema, rows: Sequence[Sequence[Value]]) -> str:
    """The oid of the statistics fragment of a run of fragments, one row for each (IDX-6)."""
    columns = [[row[i] for row in rows] for i in range(len(schema))]
    return fragment_oid(statistics_schema(schema), columns)


def build_fragments_index(schema: Schema, fragments: Sequence[tuple[Json, list[Value]]]) -> Index:
    """The index of a table's fragments, each its level-0 entry and its statistics row, in row order (IDX-2)."""

    def stats(start: int, stop: int) -> str:
        return statistics_oid(schema, [row for _, row in fragments[start:stop]])

    return build_index("fragments", [entry for entry, _ in fragments], stats)


# -------------------------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Table:
    """A table, cut and indexed."""

    target_rows: int
    mixes: list[int]
    levels: list[int]
    fragments: list[Json]  # level-0 entries
    index: Index
    text: bytes  # canonical JSON of the table object

    @property
    def oid(self) -> str:
        return oid("table", self.text)


def build_table(schema: Schema, columns: Sequence[Sequence[Value]], key: Sequence[str] = ()) -> Table:
    """Sort, cut and index a table; the columns need not be sorted by the key (ROW-1 to ROW-7, IDX-*, OBJ-1)."""
    columns = sort_by_key(schema, columns, key)
    sizes = row_bytes(schema, columns)
    mixes = row_mixes(schema, columns, key)
    row_levels = levels(mixes)
    target = target_rows(sizes)
    fragments: list[tuple[Json, list[Value]]] = []
    start = 0
    for count in boundaries(sizes, row_levels, target):
        part = [column[start : start + count] for column in columns]
        entry = {"bytes": sum(sizes[start : start + count]), "oid": fragment_oid(schema, part), "rows": count}
        fragments.append((entry, statistics_row(schema, part)))
        start += count
    assert start == len(sizes)
    index = build_fragments_index(schema, fragments)
    members = {
        "bytes": sum(sizes),
        "fragments": index.root,
        "key": list(key),
        "rows": len(sizes),
        "schema": [list(field) for field in schema],
        "target_rows": target,
    }
    return Table(target, mixes, row_levels, [entry for entry, _ in fragments], index, encode(members))
