"""Named objects and fragments from a store to another, exactly these: each is checked, none of what they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from dpkg.command import count
from dpkg.errors import Corrupt, NotFound, Usage
from dpkg.threads import in_order
from dpkg.transfer.copying import copy_blob, copy_fragment, copy_object
from dpkg.transfer.transfer import WORKERS

if TYPE_CHECKING:
    from dpkg.objects.frame import Kind
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository

MOVED, PRESENT, MISSING = "moved", "present", "missing"


class Carried(NamedTuple):
    """What became of one object or fragment: moved, present or missing. `bytes` as stored, of what moved.

    `type` is None for what is missing and was named by its oid alone.
    """

    what: str
    type: str | None
    oid: Oid
    bytes: int


def carry(source: Repository, target: Repository, ids: Iterable[tuple[str | None, Oid]]) -> Iterator[Carried]:
    """Move what `target` lacks, by a few threads, in order. What moved is durable at the end.

    Raises Corrupt where something is not what its oid says: it is not kept; and at the end NotFound if `source` lacked any.
    """
    if source.url == target.url:
        raise Usage(f"{target.url} is this store itself", "name another store")
    return _carry(source.odb, target.odb, ids)


def _carry(source: Odb, target: Odb, ids: Iterable[tuple[str | None, Oid]]) -> Iterator[Carried]:
    lacking: list[Carried] = []
    try:
        for done in in_order(partial(_one, source, target), ids, WORKERS):
            if done.what == MISSING:
                lacking.append(done)
            yield done
    finally:
        target.sync()
    if lacking:
        names = ", ".join(" ".join(filter(None, (c.type, c.oid))) for c in lacking[:5])
        more = f" and {len(lacking) - 5:,} more" if len(lacking) > 5 else ""
        message = f"{source.backend.url} lacks {count(len(lacking), 'object')}: {names}{more}"
        raise NotFound(message, "all others are there now; get these from a store that has them")


def _one(source: Odb, target: Odb, item: tuple[str | None, Oid]) -> Carried:
    said, oid = item
    if said != "fragment" and target.has(oid):
        return Carried(PRESENT, said or target.kind(oid), oid, 0)
    if said in (None, "fragment") and target.has_fragment(oid):
        return Carried(PRESENT, "fragment", oid, 0)
    kind = said or _kind(source, oid)
    try:
        if kind is None:
            return Carried(MISSING, None, oid, 0)
        return Carried(MOVED, kind, oid, _copy(source, target, kind, oid))
    except NotFound:
        return Carried(MISSING, kind, oid, 0)
    except Corrupt:
        if said and (found := _kind(source, oid)) != said:
            raise Usage(f"{oid} is a {found}, not a {said}", "give the oid alone, or its type") from None
        raise


def _kind(odb: Odb, oid: Oid) -> str | None:
    if odb.has(oid):
        return odb.kind(oid)
    return "fragment" if odb.fragments.named(oid) else None  # also one that is cut off


def _copy(source: Odb, target: Odb, kind: str, oid: Oid) -> int:
    if kind == "fragment":
        return copy_fragment(source, target, oid)
    if kind == "blob":
        return copy_blob(source, target, oid, None)
    return copy_object(source, target, oid, cast("Kind", kind))
