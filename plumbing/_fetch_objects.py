"""`dpk fetch-objects`: bring objects and fragments from another store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import settings
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.listing import Listed, records, wanted_ids
from dpkg.oid import Oid
from dpkg.repository import Repository
from dpkg.transfer.carrying import carry

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "fetch-objects",
    "Bring objects and fragments from another store, exactly these, each checked before it is kept. No ref is made.",
    (
        Arg("remote", "a folder, a URL or the name of a remote", completes="remote"),
        Arg("ids", "oids (default: standard input, 'OID' or 'TYPE OID' a line)", "OID", optional=True, many=True),
        Opt("-z --null", "records of standard input and output end with a NUL"),
        STORE,
    ),
    epilog="""Lines are 'moved TYPE OID BYTES', 'present TYPE OID 0', 'missing TYPE OID 0' ('-' is a TYPE that is not known).
Ends with 3 if the remote lacks any, once all others are there, and with 6 at the first that is damaged there.
What objects name is not looked at: 'dpk rev-list --objects' lists it.""",
    examples=(
        (
            "All of a package, by hand:",
            "dpk rev-list --objects acme/sales --store /other | dpk fetch-objects /other",
        ),
    ),
    see=("send-objects", "rev-list", "ls-remote", "install"),
)


@dataclass(frozen=True)
class Fetched:
    """What became of one. `type` is None for what is missing and was named by its oid alone."""

    what: str  # moved, present or missing
    type: str | None
    oid: Oid
    bytes: int  # as stored, of what moved


def fetch_objects(
    remote: str, ids: Sequence[str] = (), *, null: bool = False, store: str | None = None
) -> Listed[Fetched]:
    """Bring what is lacking here, as it is asked for; a store is made where there is none.

    Raises NotFound, Corrupt, Usage, Format for a record that is no id.
    """
    wanted = wanted_ids(ids, null)
    source = Repository(settings.remote(remote, settings.load(settings.find_store(store))))
    local = Repository(store, create=True)
    done = carry(source, local, wanted)
    return Listed((Fetched(*d) for d in done), null)


def render(result: Listed[Fetched]) -> Iterator[Shown]:
    yield from records((f"{c.what} {c.type or '-'} {c.oid} {c.bytes}" for c in result), result.null)
