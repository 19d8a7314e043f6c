"""`dpk index-pack`: take packs into a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Corrupt, Usage
from dpkg.listing import Listed, records
from dpkg.odb.packfile import adopt, check_all, check_name, copied
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.store.base import Backend

COMMAND = Command(
    "index-pack",
    "Check packs wholly, to the last value of each object, and store them.",
    (
        Arg("files", "packs; - is standard input", "FILE", many=True, optional=True, completes="file"),
        Opt("--stdin", "read a pack from standard input"),
        Opt("-z --null", "end lines with a NUL"),
        STORE,
    ),
    epilog="""Lines are 'pack ID OBJECTS BYTES'.
A pack is stored whole or not at all, and may be larger than memory. The first that is damaged ends the command.
No ref is made, and what objects name is not looked at.""",
    examples=(("Take what another store packed:", "dpk index-pack shop.pack"),),
    see=("pack-objects", "unpack-objects", "verify-pack", "fetch-objects"),
)


@dataclass(frozen=True)
class Indexed:
    """A pack that is stored: its id, its objects, its length; `source` as it was named."""

    id: Oid
    objects: int
    bytes: int
    source: str


def index_pack(
    files: Sequence[str] = (), *, stdin: bool = False, null: bool = False, store: str | None = None
) -> Listed[Indexed]:
    """Store packs, each once it was checked; a store is made where there is none.

    Raises NotFound, Corrupt, Format for what is no pack, Usage.
    """
    names = [files] if isinstance(files, str) else list(files)
    if bool(names) == stdin:
        raise Usage("name files, or give --stdin", "one of the two: dpk index-pack FILE …")
    return Listed(_take(Repository(store, create=True).backend, names or ["-"]), null)


def _take(backend: Backend, names: Sequence[str]) -> Iterator[Indexed]:
    try:
        for name in names:
            yield _take_one(backend, name)
    finally:
        backend.sync()


def _take_one(backend: Backend, name: str) -> Indexed:
    shown = "standard input" if name == "-" else f"'{name}'"
    with copied(sys.stdin.buffer if name == "-" else name, backend) as found:
        found.require_pack(shown)
        try:
            entries = found.layout()
            pack_id = found.id()
            check_name(name, pack_id)
            for entry, why in check_all(found, entries):
                if why:
                    raise Corrupt(f"object {entry.oid} is damaged: {why}")
        except Corrupt as e:
            hint = "get it again from where it came from; 'dpk unpack-objects --recover' keeps what is whole"
            raise Corrupt(f"the pack {shown} is damaged: {e.message}", hint) from None
        adopt(backend, pack_id, found)
    return Indexed(pack_id, len(entries), found.size, name)


def render(result: Listed[Indexed]) -> Iterator[Shown]:
    yield from records((f"pack {r.id} {r.objects} {r.bytes}" for r in result), result.null)
