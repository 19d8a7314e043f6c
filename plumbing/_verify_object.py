"""`dpk verify-object`: check objects and fragments, each to its last value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, clean
from dpkg.errors import Corrupt, Format, NotFound, Usage
from dpkg.listing import Listed, records, wanted_ids
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.odb import Odb

COMMAND = Command(
    "verify-object",
    "Decode objects and fragments and check each against its id. Ends with 6 if any is damaged or missing.",
    (
        Arg("ids", "oids", metavar="OID", many=True, optional=True),
        Opt("--stdin", "read ids from standard input: 'OID' or 'TYPE OID' a line"),
        Opt("-v --verbose", "print a line for those that are well, too"),
        Opt("-z --null", "records of standard input and output end with a NUL"),
        STORE,
    ),
    epilog="""Lines are 'damaged OID WHY', 'missing OID WHY', and with -v 'ok OID TYPE'.
Each is checked alone: that what it names is there is for 'dpk verify'.""",
    examples=(("All that a package reaches:", "dpk rev-list --objects acme/sales | dpk verify-object --stdin"),),
    see=("verify", "rev-list", "count-objects"),
)
_WORKERS = 4
OK, DAMAGED, MISSING = "ok", "damaged", "missing"


@dataclass(frozen=True)
class Checked:
    """What a check said: `what` is ok, damaged or missing; `message` says what is wrong."""

    what: str
    oid: Oid
    type: str | None
    message: str = ""


def verify_object(
    ids: Sequence[str] = (),
    *,
    stdin: bool = False,
    verbose: bool = False,
    null: bool = False,
    store: str | None = None,
) -> Listed[Checked]:
    """Those that are damaged or missing, in order, and with `verbose` the others; `exit_code` is 6 once there was one.

    Raises Usage, Format for a record that is no id.
    """
    if stdin == bool(ids):
        raise Usage("name objects, or give --stdin", "one of the two: dpk verify-object OID …")
    odb = Repository(store).odb
    wanted = wanted_ids(ids, null)

    def found() -> Iterator[Checked]:
        for checked in _check_all(odb, wanted):
            if checked.what != OK:
                result.exit_code = Corrupt.exit_code
            if verbose or checked.what != OK:
                yield checked

    result = Listed(found(), null)
    return result


def _check_all(odb: Odb, wanted: Iterable[tuple[str | None, Oid]]) -> Iterator[Checked]:
    from dpkg.threads import in_order

    return in_order(partial(_check, odb), wanted, _WORKERS)


def _check(odb: Odb, item: tuple[str | None, Oid]) -> Checked:
    said, oid = item
    try:
        kind = _decode(odb, said, oid)
        if said not in (None, kind):
            raise Corrupt(f"{oid} is a {kind}, not a {said}")
        return Checked(OK, oid, kind)
    except NotFound as e:
        return Checked(MISSING, oid, said, e.message)
    except (Corrupt, Format) as e:
        return Checked(DAMAGED, oid, said, e.message)


def _decode(odb: Odb, said: str | None, oid: Oid) -> str:
    """The type of an object or fragment, all of which was decoded. Raises NotFound, Corrupt, Format."""
    if said == "fragment" or (not odb.has(oid) and odb.fragments.named(oid)):
        from dpkg.arrow import checking

        checking.check_alone(odb.read_fragment_file(oid), oid)
        return "fragment"
    kind = odb.kind(oid)
    if kind == "blob":
        _read_blob(odb, oid)
        return kind
    payload = odb.read(oid, kind)
    if kind == "commit":
        from dpkg.objects.commit import Commit

        Commit.decode(payload)
    elif kind == "node":
        from dpkg.objects.node import Node

        Node.decode(payload)
    else:
        from dpkg import tables
        from dpkg.objects.table import Table

        tables.schema_of(Table.decode(payload))
    return kind


def _read_blob(odb: Odb, oid: Oid) -> None:
    """Every stored byte, and every byte that they stand for; of a large one in all its chunks."""
    for _ in odb.iter_blob(oid):
        pass


def render(result: Listed[Checked]) -> Iterator[Shown]:
    yield from records((f"{c.what} {c.oid} {clean(c.message) or c.type}" for c in result), result.null)
