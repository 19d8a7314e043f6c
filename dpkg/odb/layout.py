"""Where things are in a store, and the `format` file that says what kind of store it is (spec/storage.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, Denied, Format, NotFound
from dpkg.objects import canonical_json, frame
from dpkg.oid import Oid

if TYPE_CHECKING:
    from dpkg.store.base import Backend

FORMAT = "dpkg v1"
REQUIRES: frozenset[str] = frozenset()  # the requirements that this program knows
FORMAT_KEY = "format"
OBJECTS, FRAGMENTS, PACKS = "objects/", "fragments/", "packs/"
CHECKED = "derived/checks/"  # and the oid of a fragment
PROFILES = "derived/profiles/"  # and the number of a form, and the oid of a node or fragment
_SUFFIX, _PACK = ".parquet", ".pack"
_MOST = 65536  # bytes of the format file that are read
_DAMAGED = f'is this the folder of a store? its file \'{FORMAT_KEY}\' says {{"format":"{FORMAT}","requires":[]}}'
_NEWER = "upgrade dpkg: the store was written by a newer version"


def object_key(oid: Oid) -> str:
    """The key of an object's frame."""
    return f"{OBJECTS}{oid[:2]}/{oid[2:]}"


def fragment_key(oid: Oid) -> str:
    """The key of a fragment's Parquet file."""
    return f"{FRAGMENTS}{oid[:2]}/{oid[2:]}{_SUFFIX}"


def place_of(oid: Oid, data: bytes) -> tuple[str, bytes]:
    """Where a frame goes that is not packed, and what is stored there: of a fragment its file."""
    if frame.is_fragment(data):
        return fragment_key(oid), data[frame.HEADER.size :]
    return object_key(oid), data


def profile_key(form: int, oid: Oid) -> str:
    """The key of a profile in a form: of the rows below a node of a table's index, or of a run that begins with a fragment."""
    return f"{PROFILES}{form}/{oid}"


def pack_key(pack_id: Oid) -> str:
    """The key of a pack."""
    return f"{PACKS}{pack_id}{_PACK}"


def pack_of_key(key: str) -> Oid | None:
    """The id of the pack that is under `key`, or None."""
    try:
        pack_id = Oid(key.removeprefix(PACKS).removesuffix(_PACK))
    except Format:
        return None
    return pack_id if key == pack_key(pack_id) else None


def oid_of_key(key: str) -> Oid | None:
    """The oid whose object or fragment is under `key`, or None: other files may lie about."""
    folder, _, name = key.partition("/")
    digits = name.replace("/", "", 1)
    if folder == "fragments":
        digits = digits.removesuffix(_SUFFIX)
    try:
        oid = Oid(digits)
    except Format:
        return None
    return oid if key in (object_key(oid), fragment_key(oid)) else None


def create_store(backend: Backend) -> None:
    """Make the store at `backend`, unless it is there. Raises Format if what is there is not of our format."""
    try:
        open_store(backend)
        return
    except NotFound:
        pass
    if not backend.atomic_create:
        raise Denied(
            f"no store can be made at {backend.url}: it is not known to create atomically, so refs there are read-only",
            "use a folder or a bucket that honours If-None-Match",
        )
    if not backend.create(FORMAT_KEY, canonical_json.encode({"format": FORMAT, "requires": []})):
        open_store(backend)  # someone else made it meanwhile


def open_store(backend: Backend) -> None:
    """Return if there is a store at `backend` that this program can read. Raises NotFound, Format, Corrupt (STO-1)."""
    try:
        data = backend.get_range(FORMAT_KEY, 0, _MOST)
    except NotFound:
        message = f"there is no store at {backend.url}"
        raise NotFound(message, "check the address, or make a store there with 'dpk init'") from None
    where = f"the store at {backend.url}"
    try:
        value = json.loads(data)
        name = value["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Corrupt(f"{where} has a damaged 'format' file", _DAMAGED) from None
    if name != FORMAT:
        raise Format(f"{where} is of the format '{str(name)[:80]}', and this dpkg reads '{FORMAT}'", _NEWER)
    requires = value.get("requires")
    if not isinstance(requires, list) or value.keys() != {"format", "requires"}:
        raise Corrupt(f"{where} has a damaged 'format' file", _DAMAGED)
    unknown = [str(name)[:80] for name in requires if not isinstance(name, str) or name not in REQUIRES]
    if unknown:
        raise Format(f"{where} requires {', '.join(unknown)}, which this dpkg does not know", _NEWER)
