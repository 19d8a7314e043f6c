"""`dpk diff-tree`: list the entries that differ between two trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.listing import NULL, quote, records
from dpkg.names import is_range, parse_range
from dpkg.oid import Oid
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.objects.node import TreeEntry

COMMAND = Command(
    "diff-tree",
    "List the entries that differ between two trees.",
    (
        Arg("a", "a tree, a commit or owner/name[@revision][/path]; or the range owner/name@a..b", "OLD", completes="expr"),
        Arg("b", "a tree, a commit or owner/name[@revision][/path]", "NEW", optional=True, completes="expr"),
        Opt("-r --recursive", "the entries of folders instead of folders"),
        NULL,
        STORE,
    ),
    epilog="""A line is 'STATUS TYPE OLD-OID NEW-OID<TAB>PATH', in the order of the trees; '-' is an oid that there is not.
STATUS is A added, D deleted, M modified (another object, and perhaps other metadata), T of another type now (TYPE is the new one), C \
only its metadata changed. With -r a folder stands there only as C or M, where its own metadata changed.
The empty tree is what 'dpk mktree </dev/null' prints.""",
    output="A line for each entry that differs; see STATUS above.",
    examples=(("What a commit changed:", "dpk diff-tree -r acme/sales@latest~1 acme/sales"),),
    see=("ls-tree", "diff"),
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """An entry that differs; what is None is not there. `type` is the new one, of what is deleted the old one."""

    status: str
    type: str
    old_type: str | None
    old: Oid | None
    new: Oid | None
    old_meta: Oid | None
    new_meta: Oid | None
    path: str


def diff_tree(
    a: str, b: str | None = None, *, recursive: bool = False, store: str | None = None
) -> Iterator[Difference]:
    """What differs, from the indexes alone: it reads in proportion to that. Raises NotFound, Usage."""
    from dpkg.comparing import tree_pairs

    repository = Repository(store)
    if b is None:
        if "/" not in a or not is_range(a):
            raise Usage("one tree is named, and two are compared", "name two, or a range: owner/name@a..b")
        span = parse_range(a)
        below = f"/{span.path}" if span.path else ""
        a, b = (f"{span.package}@{end}{below}" for end in (span.start, span.end))
    odb = repository.odb
    pairs = tree_pairs(odb, repository.tree_id(a), odb, repository.tree_id(b), recursive=recursive)
    return (_difference(path, old, new) for path, old, new in pairs)


def _difference(path: str, old: TreeEntry | None, new: TreeEntry | None) -> Difference:
    either = new or old
    assert either is not None
    return Difference(
        _status(old, new),
        either.type,
        old.type if old else None,
        old.oid if old else None,
        new.oid if new else None,
        old.meta if old else None,
        new.meta if new else None,
        path,
    )


def _status(old: TreeEntry | None, new: TreeEntry | None) -> str:
    if old is None or new is None:
        return "A" if new else "D"
    if old.type != new.type:
        return "T"
    return "M" if old.oid != new.oid else "C"


def render(result: Iterator[Difference], null: bool = False) -> Iterator[Shown]:
    shown = str if null else quote
    yield from records((f"{d.status} {d.type} {d.old or '-'} {d.new or '-'}\t{shown(d.path)}" for d in result), null)
