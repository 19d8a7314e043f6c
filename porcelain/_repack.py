"""`dpk repack`: gather small files of a store into packs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Command, Opt, count, shorten
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.errors import DpkgError

COMMAND = Command(
    "repack",
    "Gather loose objects and small packs into well-filled packs: fewer files, and fewer requests for who reads them.",
    (
        Opt("-a --all", "rewrite packs that are well filled, too"),
        Opt("--reached-only", "leave alone what no branch or tag reaches"),
        Opt("--keep", "remove nothing"),
        Opt("-n --dry-run", "only say what would be done"),
        STORE,
    ),
    details="What is read together lies together: commits, then trees and indexes, then files and small fragments in the order "
    "of their trees and tables, last what no branch or tag reaches. Objects are copied as they are stored, each checked. "
    "What is damaged is left where it is, and the command ends with 6.\n"
    "Others may read and write the store meanwhile, and a run that is killed loses nothing. Old files are removed as by "
    "'dpk gc', once what is in them is safe in packs and nobody counts on them; while a gc is under way they stay.",
    examples=(
        ("After many small builds:", "dpk repack"),
        ("See what it would do to a bucket:", "dpk repack --dry-run --store s3://bucket/data"),
    ),
    see=("count-objects", "pack-objects", "verify-pack", "verify"),
    prose=True,
)


@dataclass(frozen=True)
class Damaged:
    """An object of which no copy is whole."""

    oid: Oid
    message: str


@dataclass(frozen=True)
class Repacked:
    """What was there before, and what was made of it. `bytes` as stored."""

    store: str
    dry_run: bool
    loose: int  # objects in files of their own, before
    packs: int  # before
    objects: int  # that are in the new packs
    new_packs: int
    new_bytes: int
    redundant: int  # files that hold nothing else than what is in packs now
    redundant_bytes: int
    removed: int  # of these; what someone counts on stays
    removed_bytes: int
    busy: str | None  # why none were
    damaged: tuple[Damaged, ...]

    @property
    def exit_code(self) -> int:
        return 6 if self.damaged else 0


def repack(
    *,
    all: bool = False,
    reached_only: bool = False,
    keep: bool = False,
    dry_run: bool = False,
    store: str | None = None,
) -> Repacked:
    """Make packs of what is scattered. Damaged objects are in the result, not raised.

    Raises NotFound, Corrupt where a branch or tag reaches an object that is not there.
    """
    from dpkg.errors import Corrupt
    from dpkg.maintenance import repacking

    repository = Repository(store)
    odb = repository.odb
    found = repacking.plan(odb, all)
    oids = repacking.in_reading_order(repository, found.sizes, reached_only) if found.sizes else []
    left: dict[Oid, DpkgError] = {}
    if dry_run:
        made = [(len(batch), sum(found.sizes[oid] for oid in batch)) for batch in repacking.batches(oids, found.sizes)]
        redundant = found.held.redundant(found.safe.union(oids), found.old)
    else:
        packs = list(repacking.repack(odb, oids, found.sizes, left))
        odb.sync()
        made = [(len(pack.objects), pack.bytes) for pack in packs]
        redundant = found.redundant(packs)
    sizes = found.held.sizes_of(redundant)
    freed, busy = ((0, 0), None) if keep or dry_run else _drop(repository, sizes)
    return Repacked(
        store=repository.url,
        dry_run=dry_run,
        loose=len(found.held.loose),
        packs=len(found.held.packs),
        objects=sum(objects for objects, _ in made),
        new_packs=len(made),
        new_bytes=sum(size for _, size in made),
        redundant=len(redundant),
        redundant_bytes=sum(sizes.values()),
        removed=freed[0],
        removed_bytes=freed[1],
        busy=busy,
        damaged=tuple(Damaged(oid, e.message) for oid, e in left.items() if isinstance(e, Corrupt)),
    )


def _drop(repository: Repository, sizes: dict[str, int]) -> tuple[tuple[int, int], str | None]:
    """Remove files that are not needed: how many, and their bytes; or why they stay."""
    from dpkg.errors import Conflict
    from dpkg.maintenance.collecting import Collector

    if not sizes:
        return (0, 0), None
    collector = Collector(repository)
    try:
        collector.drop(sizes)
    except Conflict as e:
        return (0, 0), e.message
    return (sum(f.files for f in collector.freed.values()), sum(f.bytes for f in collector.freed.values())), None


def render(result: Repacked) -> Iterator[Shown]:
    yield f"{result.store} has {count(result.loose, 'loose object')} and {count(result.packs, 'pack')}"
    for damaged in result.damaged:
        yield (("red", "damaged: "), damaged.message)
    said = "would put " if result.dry_run else ("green", "packed ")
    if result.objects:
        size = shorten(result.new_bytes)
        yield (said, f"{count(result.objects, 'object')} in {count(result.new_packs, 'new pack')}, {size}")
    else:
        yield "nothing to pack"
    if result.dry_run and result.redundant:
        yield f"would remove {count(result.redundant, 'file')}, {shorten(result.redundant_bytes)}"
    if result.removed:
        yield (("green", "removed "), f"{count(result.removed, 'file')}, {shorten(result.removed_bytes)}")
    if result.busy:
        yield f"old files stay for now, and the next 'dpk repack' removes them: {result.busy}"
