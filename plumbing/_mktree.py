"""`dpk mktree`: make a tree of a listing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Command, Opt
from dpkg.errors import Corrupt, DpkgError, Format, NotFound
from dpkg.listing import read_records, unquote
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.node import TreeEntry
    from dpkg.odb import Odb

COMMAND = Command(
    "mktree",
    "Store a tree of the entries listed on standard input, in any order, and print its oid. Nothing is published.",
    (Opt("-z --null", "records end with a NUL, and names in them are as they are"), STORE),
    epilog="""Reads what 'dpk ls-tree' prints, with and without -z and --json: 'TYPE OID BYTES[ META]<TAB>NAME'.
BYTES may be '-'. META is the blob of the entry's metadata. Objects must be stored; what is said of them is checked.""",
    output="The oid of the tree.",
    examples=(
        ("Leave one table out:", "dpk ls-tree acme/sales | grep -vw transactions | dpk mktree"),
        ("Make the empty tree:", "dpk mktree </dev/null"),
    ),
    see=("ls-tree", "commit-tree", "hash-object"),
)
_JSON = {"type": str, "oid": str, "path": str}
_ENTRY = re.compile(r"([a-z]+) (\S+) (-|[0-9]{1,16})(?: (\S+))?\t(.*)", re.DOTALL)
_WORKERS = 8


@dataclass(frozen=True)
class Made:
    """A stored tree, and the number of its names."""

    oid: Oid
    entries: int


@dataclass(frozen=True)
class _Line:
    """What a record says."""

    number: int
    type: str
    oid: str
    bytes: int | None
    meta: str | None
    name: str


def mktree(*, null: bool = False, store: str | None = None) -> Made:
    """Store a tree of the listing on standard input.

    Raises Format for a record that is none, or a name that stands twice; NotFound for an object that is not stored.
    """
    from dpkg.index import build_tree
    from dpkg.threads import in_order

    odb = Repository(store).odb
    lines = (_parse(number, text, null) for number, text in enumerate(read_records(null), 1))
    entries = in_order(partial(_entry, odb), lines, _WORKERS)
    made = build_tree(entries, lambda data: odb.write("node", data))
    odb.sync()
    return Made(made.oid, made.entries)


def _parse(number: int, text: str, null: bool) -> _Line:
    try:
        if text.startswith("{"):
            return _parse_json(number, text)
        found = _ENTRY.fullmatch(text)
        if found is None:
            raise Format(f"'{text[:200]}' is not an entry", "TYPE OID BYTES[ META]<TAB>NAME, as 'dpk ls-tree' prints")
        type, oid, size, meta, name = found.groups()
        return _Line(number, type, oid, None if size == "-" else int(size), meta, name if null else unquote(name))
    except Format as e:
        raise _at(number, e) from None


def _parse_json(number: int, text: str) -> _Line:
    import json

    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Format("this is not JSON", "an object a line, as 'dpk ls-tree --json' prints") from None
    size, meta = value.get("bytes"), value.get("meta")
    if (
        not all(isinstance(value.get(name), kind) for name, kind in _JSON.items())
        or not (size is None or (type(size) is int and size >= 0))
        or not (meta is None or isinstance(meta, str))
    ):
        raise Format("a member is missing or of another kind", f"{', '.join(_JSON)}, and perhaps bytes and meta")
    return _Line(number, value["type"], value["oid"], size, meta, value["path"])


def _entry(odb: Odb, line: _Line) -> TreeEntry:
    """The entry of a line, with what its object says."""
    from dpkg.objects.node import TreeEntry, check_name

    try:
        oid = Oid(line.oid)
        entries, rows, size = _counts(odb, line.type, oid)
        if line.bytes not in (None, size):
            raise Format(f"{line.type} {oid} has {size:,} bytes, and {line.bytes:,} are said", "'-' takes what it has")
        meta = None if line.meta is None else _meta(odb, Oid(line.meta))
        return TreeEntry(check_name(line.name), line.type, oid, size, rows, entries, meta)
    except DpkgError as e:
        raise _at(line.number, e) from None


def _counts(odb: Odb, type: str, oid: Oid) -> tuple[int, int, int]:
    """(entries, rows, bytes) of an object. Raises NotFound, Corrupt, and Format if it is of another type."""
    from dpkg.index import read_node
    from dpkg.objects.node import TREE, sums
    from dpkg.objects.table import Table

    kind = {"tree": "node", "table": "table", "blob": "blob"}.get(type)
    if kind is None:
        raise Format(f"'{type[:80]}' is not a type of entry", "blob, table or tree")
    if (found := odb.kind(oid)) != kind:
        raise Format(f"{oid} is a {found}, not a {type}")
    if type == "blob":
        return 0, 0, odb.size(oid)
    if type == "tree":
        return sums(read_node(odb, oid, TREE).entries)
    table = Table.decode(odb.read(oid, "table"))
    return 0, table.rows, table.bytes


def _meta(odb: Odb, oid: Oid) -> Oid:
    """`oid`, if it is a blob of metadata: JSON in its one spelling, RFC 8785."""
    import json

    import rfc8785

    data = odb.read(oid, "blob") if odb.kind(oid) == "blob" else b""
    try:
        same = rfc8785.dumps(json.loads(data)) == data
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):
        same = False
    if not same:
        raise Format(f"{oid} is no blob of metadata", "JSON as RFC 8785 spells it, stored with 'dpk hash-object -w'")
    return oid


def _at(number: int, error: DpkgError) -> DpkgError:
    """The error with the record's number. What a user typed wrongly is no damage."""
    family = type(error) if isinstance(error, NotFound | Corrupt) else Format
    return family(f"record {number}: {error.message}", error.hint)


def render(result: Made) -> Iterator[Shown]:
    yield result.oid
