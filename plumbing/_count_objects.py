"""`dpk count-objects`: count what a store holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Command, Opt
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.odb import Odb
    from dpkg.oid import Oid

COMMAND = Command(
    "count-objects",
    "Count the objects and fragments of a store, reached by a ref or not, and the bytes that they take there.",
    (Opt("-v --verbose", "by type, which reads the first bytes of each loose object, and how they are stored"), STORE),
    epilog="""Lines are 'TYPE COUNT BYTES', TYPE object and fragment; with -v commit, node, table, blob, fragment. An object counts once.
Objects that do not say what they are count as 'damaged': 'dpk verify' names them.
Then follow 'loose', objects in files of their own; 'packed', objects and fragments in packs, as often as they are there;
'pack', whole packs.""",
    examples=(("How much of a store is data:", "dpk count-objects -v --store /srv/data/store"),),
    see=("verify", "verify-object", "repack", "verify-pack"),
)
_WORKERS = 8


@dataclass(frozen=True)
class Held:
    """How many there are of a type, or stored in a way, and their bytes as stored."""

    type: str
    count: int
    bytes: int


def count_objects(*, verbose: bool = False, store: str | None = None) -> Iterator[Held]:
    """What the store holds, by type. Raises NotFound, Storage."""
    odb = Repository(store).odb
    types = ("commit", "node", "table", "blob", "fragment") if verbose else ("object", "fragment")
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for kind, size in _each(odb, verbose):
        counts[kind] += 1
        sizes[kind] += size
    found = [Held(kind, counts[kind], sizes[kind]) for kind in (*types, "damaged") if kind in types or counts[kind]]
    return iter(found + (_stored(odb) if verbose else []))


def _stored(odb: Odb) -> list[Held]:
    """Loose objects, what is packed, and packs."""
    from dpkg.maintenance import repacking

    held = repacking.Held(odb)
    packed = [entry.size for index in held.packs.values() for entry in index]
    ways = {"loose": list(held.loose.values()), "packed": packed, "pack": list(held.sizes.values())}
    return [Held(way, len(sizes), sum(sizes)) for way, sizes in ways.items()]


def _each(odb: Odb, verbose: bool) -> Iterator[tuple[str, int]]:
    """The type and stored size of each object and fragment."""
    if not verbose:
        return ((place, size) for place, _, size in odb.iter_oids())
    from dpkg.threads import in_order

    def look(item: tuple[str, Oid, int]) -> tuple[str, int]:
        place, oid, size = item
        return (_type(odb, oid) if place == "object" else place), size

    return in_order(look, odb.iter_oids(), _WORKERS)


def _type(odb: Odb, oid: Oid) -> str:
    from dpkg.errors import Corrupt

    try:
        return odb.kind(oid)
    except Corrupt:
        return "damaged"


def render(result: Iterator[Held]) -> Iterator[Shown]:
    for held in result:
        yield f"{held.type} {held.count} {held.bytes}"
