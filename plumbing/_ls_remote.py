"""`dpk ls-remote`: list the branches and tags of another store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import settings
from dpkg.command import STORE, Arg, Command
from dpkg.listing import NULL, records
from dpkg.oid import Oid
from dpkg.refs.patterns import PATTERNS, each_ref
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "ls-remote",
    "List the branches and tags of another store: commit, a tab, package/heads/NAME or package/tags/NAME.",
    (
        Arg(
            "remote",
            "a folder, a URL or the name of a remote (default: the only one, or origin)",
            optional=True,
            completes="remote",
        ),
        Arg("patterns", "the refs to list (default: all)", "PATTERN", many=True, optional=True),
        NULL,
        STORE,
    ),
    epilog=f"{PATTERNS}\nNothing is brought, and there need be no store here.",
    output="A line for each ref: OID, a tab, OWNER/NAME/heads/BRANCH or OWNER/NAME/tags/TAG.",
    examples=(("The tags of one package:", "dpk ls-remote origin acme/sales/tags"),),
    see=("show-ref", "fetch-objects", "install"),
)


@dataclass(frozen=True)
class Ref:
    """A branch or tag of the remote, by its full name and in parts."""

    oid: Oid
    refname: str
    package: str
    kind: str
    name: str


def ls_remote(remote: str | None = None, patterns: Sequence[str] = (), *, store: str | None = None) -> Iterator[Ref]:
    """The refs, packages and names in order. Raises NotFound, Usage, Storage."""
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    place = settings.remote(remote, settings.load(settings.find_store(store)))
    found = each_ref(Repository(place).refs, given)
    return (Ref(r.oid, r.refname, r.package, r.kind, r.name) for r in found)


def render(result: Iterator[Ref], null: bool = False) -> Iterator[Shown]:
    yield from records((f"{r.oid}\t{r.refname}" for r in result), null)
