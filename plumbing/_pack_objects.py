"""`dpk pack-objects`: make packs of objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.listing import Listed, records, wanted_ids
from dpkg.objects import pack
from dpkg.objects.frame import HEADER
from dpkg.odb import is_remote
from dpkg.odb.fragments import SMALL
from dpkg.odb.packfile import new_pack, reading
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.frame import Read
    from dpkg.odb import Odb

COMMAND = Command(
    "pack-objects",
    "Make packs of objects of the store, in the order given, each checked. They are stored, or with -o written elsewhere.",
    (
        Arg("ids", "oids (default: standard input, 'OID' or 'TYPE OID' a line)", "OID", optional=True, many=True),
        Opt(
            "-o --output",
            "write one pack to this file; or as many as it takes, ID.pack, into this folder",
            str,
            "PATH",
            completes="file",
        ),
        Opt("-z --null", "records of standard input and output end with a NUL"),
        STORE,
    ),
    epilog="""Lines are 'pack ID OBJECTS BYTES', and 'left TYPE OID' for what does not go into a pack.
That is fragments of more than 64 KiB, which engines read in place, and for packs that are stored objects of more than 32 MiB.
The objects stay where they were, too; 'dpk repack' tidies a whole store.""",
    examples=(
        (
            "All of a package in one file, for another store:",
            "dpk rev-list --objects acme/shop | dpk pack-objects -o shop.pack",
        ),
        ("Pack what is loose of a package here:", "dpk rev-list --objects acme/shop | dpk pack-objects"),
    ),
    see=("index-pack", "unpack-objects", "verify-pack", "repack", "rev-list"),
)
_WORKERS = 8


@dataclass(frozen=True)
class Packed:
    """A pack that was made: its id, its objects, its length."""

    id: Oid
    objects: int
    bytes: int


@dataclass(frozen=True)
class Left:
    """What was not put into a pack."""

    type: str
    oid: Oid


def pack_objects(
    ids: Sequence[str] = (), *, output: str | None = None, null: bool = False, store: str | None = None
) -> Listed[Packed | Left]:
    """The packs, each as it is made, and what is left where it is. Nothing is removed.

    Raises NotFound, Corrupt for an object that is damaged, Usage for a file and more objects than a pack holds, Format for
    a record that is no id.
    """
    wanted = wanted_ids(ids, null)
    odb = Repository(store).odb
    odb.frames.packs.refresh()
    return Listed(_stored(odb, wanted) if output is None else _written(odb, wanted, output), null)


def _stored(odb: Odb, wanted: Iterable[tuple[str | None, Oid]]) -> Iterator[Packed | Left]:
    """Packs in the store."""
    from dpkg.maintenance.repacking import repack
    from dpkg.odb.layout import pack_of_key

    left: list[Left] = []
    sizes: dict[Oid, int] = {}

    def small() -> Iterator[Oid]:
        for oid, size in _sized(odb, wanted, left):
            if size > pack.MOST_BYTES:
                left.append(Left(odb.kind(oid), oid))
            else:
                sizes[oid] = size
                yield oid

    try:
        for made in repack(odb, small(), sizes):
            yield from left
            left.clear()
            yield Packed(cast("Oid", pack_of_key(made.key)), len(made.objects), made.bytes)
    finally:
        odb.sync()
    yield from left


def _sized(odb: Odb, wanted: Iterable[tuple[str | None, Oid]], left: list[Left]) -> Iterator[tuple[Oid, int]]:
    """Each object and small fragment once, with the length of its frame; other fragments are `left`. Raises NotFound."""
    from dpkg.threads import in_order

    seen: set[Oid] = set()

    def look(item: tuple[str | None, Oid]) -> tuple[Oid, int]:
        said, oid = item
        found = odb.frames.find(oid)
        size = -1 if said == "fragment" else odb.frames.loose_size(oid)
        if found is not None or size >= 0:
            return oid, size if found is None else found.size
        size = odb.fragments.size(oid) if said in (None, "fragment") else -1
        if size < 0:
            raise odb.missing(oid)
        return oid, size + HEADER.size if size <= SMALL else -1

    def new() -> Iterator[tuple[str | None, Oid]]:
        for item in wanted:
            if item[1] not in seen:
                seen.add(item[1])
                yield item

    for oid, size in in_order(look, new(), _WORKERS) if is_remote(odb.backend) else map(look, new()):
        if size < 0:
            left.append(Left("fragment", oid))
        else:
            yield oid, size


def _written(odb: Odb, wanted: Iterable[tuple[str | None, Oid]], output: str) -> Iterator[Packed | Left]:
    """Packs in files: one, or any number in a folder."""
    left: list[Left] = []
    todo = _sized(odb, wanted, left)
    folder = output if output.endswith("/") or os.path.isdir(output) else None
    while batch := list(islice(todo, pack.MOST_OBJECTS)):
        with new_pack(folder or os.path.dirname(output) or ".") as writer:
            for oid, read, length in _frames(odb, dict(batch)):
                writer.add(oid, read, length)
            made = writer.end()
            if folder is None and next(todo, None) is not None:
                raise Usage(
                    f"a pack holds at most {pack.MOST_OBJECTS:,} objects, and these are more",
                    f"name a folder, and as many packs as it takes go there: -o {output}/",
                )
            size = writer.keep(output if folder is None else os.path.join(folder, f"{made}.pack"))
        yield from left
        left.clear()
        yield Packed(made, len(batch), size)
    yield from left


def _frames(odb: Odb, sizes: dict[Oid, int]) -> Iterator[tuple[Oid, Read, int]]:
    """What reads the frames of objects; small ones were read and checked, those too large for memory come last."""
    from dpkg.maintenance.repacking import batches, read_frames

    for batch in batches((oid for oid, size in sizes.items() if size <= pack.MOST_BYTES), sizes):
        for oid, data in read_frames(odb, batch).items():
            yield oid, reading(data), len(data)
    for oid, size in sizes.items():
        if size > pack.MOST_BYTES:
            yield oid, *odb.open_frame(oid)


def render(result: Listed[Packed | Left]) -> Iterator[Shown]:
    yield from records(
        (f"pack {r.id} {r.objects} {r.bytes}" if isinstance(r, Packed) else f"left {r.type} {r.oid}" for r in result),
        result.null,
    )
