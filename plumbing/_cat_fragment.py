"""`dpk cat-fragment`: print the rows of a fragment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import rowstream
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import NotFound, Usage
from dpkg.oid import Oid
from dpkg.repository import Repository
from dpkg.rowstream import FORMATS, check_format, pick, show

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "cat-fragment",
    "Print the rows of a fragment, verified, as CSV, JSON lines, an Arrow stream or Parquet.",
    (
        Arg("fragment", "the oid of a fragment, or a prefix of one (dpk ls-fragments lists them)"),
        Opt("--format", "the output (default: csv)", str, "FORMAT", tuple(FORMATS)),
        Opt(
            "--columns", "a column, or several separated by commas; may be given more than once", str, "A,B", many=True
        ),
        STORE,
    ),
    epilog="A column whose name holds a comma is named by a --columns of its own.",
    details="With --json each row is the member 'row' of an object; '--format json' prints the bare rows.",
    output="The rows in the format, and nothing else.",
    examples=(
        ("Print the rows of a fragment:", "dpk cat-fragment 3fa9c1d2"),
        ("Two of its columns, as JSON lines:", "dpk cat-fragment 3fa9c1d2 --columns day,amount --format json"),
    ),
    see=("ls-fragments", "cat-object"),
)


@dataclass(frozen=True)
class Rows(rowstream.Rows):
    """The rows of a fragment, one Arrow record batch."""


def cat_fragment(fragment: str, *, format: str = "csv", columns: Sequence[str] = (), store: str | None = None) -> Rows:
    """The rows of a fragment, all columns if none are named.

    Raises NotFound, Corrupt, Usage for an unknown column or format.
    """
    from dpkg import tables
    from dpkg.arrow.fragment import describe

    check_format(format)
    repository = Repository(store)
    oid = _fragment_id(repository, fragment)
    names = describe(tables.fragment_source(repository.odb, oid), oid)[1].names
    batch = tables.read_fragment(repository.odb, oid, pick(columns, names))
    return Rows(oid, format, batch.schema, [batch])


def _fragment_id(repository: Repository, text: str) -> Oid:
    """The fragment whose oid starts with a text. Raises NotFound; Usage if there are several."""
    if len(text) == 64:
        return Oid(text)
    if len(text) < 4 or not set(text) <= set("0123456789abcdef"):
        raise Usage(f"'{text[:80]}' is not the start of a fragment's id", "give 4 to 64 digits 0-9 and a-f")
    found = repository.odb.fragments.starting(text)
    if not found:
        raise NotFound(f"no fragment in {repository.url} starts with '{text}'", "dpk ls-fragments TABLE lists them")
    if len(found) > 1:
        raise Usage(f"'{text}' is ambiguous", "\n".join(["it may be:", *found[:20]]))
    return found[0]


def render(result: Rows) -> Iterator[Shown]:
    return show(result)
