"""`dpk unpack-objects`: store the objects of a pack one by one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, clean
from dpkg.errors import Corrupt
from dpkg.listing import Listed, records
from dpkg.odb.packfile import PackFile, copied, is_id, keep_frame, named, stored
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.pack import Packed
    from dpkg.odb import Odb

COMMAND = Command(
    "unpack-objects",
    "Store the objects of a pack as files of their own, each checked to its last value.",
    (
        Arg(
            "pack",
            "a file, or the id of a pack of the store, or its first digits (default: stdin)",
            optional=True,
            completes="pack",
        ),
        Opt("-n --dry-run", "only check, and print what would be stored"),
        Opt("-r --recover", "of a damaged pack, store what is whole"),
        Opt("-z --null", "end lines with a NUL"),
        STORE,
    ),
    epilog="""Lines are 'unpacked TYPE OID BYTES' and, with --recover, 'damaged OID WHY' ('-' is an OID that is not known).
Without --recover the first damage ends it with 6, and what came before it is stored; with it the command goes on and ends with 6.
A pack without its index is recovered, too, by looking for objects in its bytes.""",
    examples=(
        ("Take what another store packed, object by object:", "dpk unpack-objects shop.pack"),
        ("Save what is whole of a damaged pack:", "dpk unpack-objects --recover broken.pack"),
    ),
    see=("index-pack", "pack-objects", "verify-pack"),
)
_WORKERS = 4
UNPACKED, DAMAGED = "unpacked", "damaged"


@dataclass(frozen=True)
class Unpacked:
    """What became of an object: `what` is unpacked, or damaged, and `message` says how; `bytes` as stored."""

    what: str
    type: str | None
    oid: Oid | None
    bytes: int
    message: str = ""


def unpack_objects(
    pack: str = "-", *, dry_run: bool = False, recover: bool = False, null: bool = False, store: str | None = None
) -> Listed[Unpacked]:
    """Store the objects of a pack, in its order, also over damaged ones; a store is made where there is none.

    `exit_code` is 6 once something was damaged. Raises NotFound, Corrupt, Format for what is no pack, Usage.
    """
    odb = Repository(store, create=not dry_run).odb

    def found() -> Iterator[Unpacked]:
        for item in _unpack(odb, pack, dry_run, recover):
            if item.what == DAMAGED:
                result.exit_code = Corrupt.exit_code
            yield item

    result = Listed(found(), null)
    return result


def _open(odb: Odb, name: str) -> AbstractContextManager[PackFile]:
    if is_id(name):
        return stored(odb.backend, named(odb.frames.packs, name))
    return copied(sys.stdin.buffer if name == "-" else name)


def _unpack(odb: Odb, name: str, dry_run: bool, recover: bool) -> Iterator[Unpacked]:
    from dpkg.threads import in_order

    shown = "standard input" if name == "-" else f"'{name}'"
    with _open(odb, name) as pack:
        if not is_id(name) and not recover:
            pack.require_pack(shown)
        try:
            try:
                entries = iter(pack.layout())
            except Corrupt as e:
                if not recover:
                    raise
                yield Unpacked(DAMAGED, None, None, 0, e.message)
                entries = pack.scan()
            yield from in_order(partial(_one, odb, pack, dry_run, recover), entries, _WORKERS)
        except Corrupt as e:
            raise Corrupt(f"the pack {shown} is damaged: {e.message}", "'--recover' stores what is whole") from None
        finally:
            odb.sync()


def _one(odb: Odb, pack: PackFile, dry_run: bool, recover: bool, entry: Packed) -> Unpacked:
    try:
        pack.check(entry)
        if not dry_run:
            keep_frame(odb, entry.oid, pack.reader(entry), entry.size)
    except Corrupt as e:
        if not recover:
            raise Corrupt(f"object {entry.oid}: {e.message}") from None
        return Unpacked(DAMAGED, entry.kind, entry.oid, 0, e.message)
    return Unpacked(UNPACKED, entry.kind, entry.oid, entry.size)


def _line(item: Unpacked) -> str:
    if item.what == DAMAGED:
        return f"damaged {item.oid or '-'} {clean(item.message)}"
    return f"unpacked {item.type} {item.oid} {item.bytes}"


def render(result: Listed[Unpacked]) -> Iterator[Shown]:
    yield from records(map(_line, result), result.null)
