"""`dpk verify-pack`: check packs, and list what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, clean
from dpkg.errors import Corrupt
from dpkg.listing import Listed, quote, records
from dpkg.odb.packfile import all_ids, check_all, check_name, is_id, named, opened, stored
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.odb import Odb
    from dpkg.odb.packfile import PackFile

COMMAND = Command(
    "verify-pack",
    "Check packs wholly, to the last value of each object. Ends with 6 if any is damaged.",
    (
        Arg(
            "packs",
            "ids of packs of the store, their first digits, or files (default: all packs of the store)",
            "PACK",
            many=True,
            optional=True,
            completes="pack",
        ),
        Opt("-v --verbose", "list the objects of each, and say which packs are well"),
        Opt("-z --null", "end lines with a NUL"),
        STORE,
    ),
    epilog="""Lines are 'damaged PACK WHY'; with -v 'OID TYPE LENGTH SIZE OFFSET' of each object, then 'ok PACK'.
LENGTH is that of the object, SIZE that of its frame, which begins at OFFSET; objects are in the order of the pack.""",
    examples=(
        ("Check all packs of a store:", "dpk verify-pack"),
        ("See what is in a file:", "dpk verify-pack -v shop.pack"),
    ),
    see=("verify", "index-pack", "pack-objects", "count-objects"),
)
OK, DAMAGED = "ok", "damaged"


@dataclass(frozen=True)
class Checked:
    """What a check said: `what` is ok or damaged; `pack` its id, or the name of its file; `oid` the object that is damaged."""

    what: str
    pack: str
    oid: Oid | None = None
    message: str = ""


@dataclass(frozen=True)
class Entry:
    """An object of a pack: the length of its payload, and where its frame is. Lengths in bytes."""

    pack: str
    oid: Oid
    type: str
    length: int
    size: int
    offset: int


def verify_pack(
    packs: Sequence[str] = (), *, verbose: bool = False, null: bool = False, store: str | None = None
) -> Listed[Checked | Entry]:
    """What is damaged, and with `verbose` what there is; `exit_code` is 6 once something was damaged.

    Raises NotFound, Usage for digits with which several ids begin, Format for a file that is no pack.
    """
    names = [packs] if isinstance(packs, str) else list(packs)
    odb = None if names and not any(map(is_id, names)) else Repository(store).odb

    def found() -> Iterator[Checked | Entry]:
        for name, place in _places(odb, names):
            well = True
            for item in _check(name, place, verbose):
                well = well and isinstance(item, Entry)
                yield item
            if not well:
                result.exit_code = Corrupt.exit_code
            elif verbose:
                yield Checked(OK, name)

    result = Listed(found(), null)
    return result


def _places(odb: Odb | None, names: Sequence[str]) -> Iterator[tuple[str, AbstractContextManager[PackFile]]]:
    if odb is None:
        yield from ((name, opened(name)) for name in names)
        return
    for name in names or all_ids(odb.frames.packs):
        if is_id(name):
            pack_id = named(odb.frames.packs, name)
            yield pack_id, stored(odb.backend, pack_id)
        else:
            yield name, opened(name)


def _check(name: str, place: AbstractContextManager[PackFile], verbose: bool) -> Iterator[Checked | Entry]:
    """What is wrong with a pack; with `verbose` also its objects."""
    with place as found:
        if not is_id(name):
            found.require_pack(f"'{name}'")
        try:
            entries = found.layout()
            check_name(f"{name}.pack" if is_id(name) else name, found.id())
        except Corrupt as e:
            yield Checked(DAMAGED, name, None, e.message)
            return
        for entry, why in check_all(found, entries):
            if why:
                yield Checked(DAMAGED, name, entry.oid, f"object {entry.oid}: {why}")
            elif verbose:
                yield Entry(name, entry.oid, entry.kind, entry.length, entry.size, entry.offset)


def _line(item: Checked | Entry) -> str:
    if isinstance(item, Entry):
        return f"{item.oid} {item.type} {item.length} {item.size} {item.offset}"
    return f"{item.what} {quote(item.pack)} {clean(item.message)}".rstrip()


def render(result: Listed[Checked | Entry]) -> Iterator[Shown]:
    yield from records(map(_line, result), result.null)
