"""`dpk rm`: remove a package or a tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, count
from dpkg.errors import NotFound, Usage
from dpkg.names import parse_expr
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "rm",
    "Remove a package's branches and tags, or one tag. Objects stay, and the ref log says who removed it.",
    (
        Arg("expr", "owner/name, or owner/name@tag", metavar="PACKAGE", completes="commit"),
        Opt("-m --message", "why", str, "TEXT"),
        STORE,
    ),
    examples=(
        ("Remove a tag:", 'dpk rm acme/shop@v1 -m "wrong year"'),
        ("Remove a package's branches and tags:", "dpk rm acme/shop"),
    ),
    see=("tag", "update-ref"),
    prose=True,
)


@dataclass(frozen=True)
class Ref:
    """A branch (`heads`) or tag (`tags`) that was removed, and the commit that it named."""

    kind: str
    name: str
    commit: Oid


@dataclass(frozen=True)
class Removed:
    """What was removed."""

    package: str
    refs: tuple[Ref, ...]


def rm(expr: str, *, message: str = "", store: str | None = None) -> Removed:
    """Remove a package or a tag.

    Raises NotFound, Usage. `dpk update-ref` can bring a branch back; a tag's name is gone.
    """
    parsed = parse_expr(expr)
    if parsed.path:
        hint = "a commit never changes: build the package again without it"
        raise Usage(f"'{expr}' names a part of a package", hint)
    repository = Repository(store).snapshot(parsed.package)
    repository.require(parsed.package)
    refs, package, who = repository.refs, parsed.package, repository.author()
    wanted = [("tags", name) for name in refs.tags(package)]
    if parsed.revision is None:
        wanted += [("heads", name) for name in refs.heads(package)]
    else:
        wanted = [("tags", name) for _, name in wanted if name == parsed.revision]
        if not wanted:
            hint = f"see 'dpk ls' for its tags; 'dpk rm {package}' removes all of it"
            raise NotFound(f"'{package}' has no tag '{parsed.revision}'", hint)
    gone = []
    for kind, name in wanted:
        value = refs.value(package, kind, name)
        if value is not None:
            refs.delete(package, kind, name, who=who, why=message or "rm", old=value)
            gone.append(Ref(kind, name, value))
    return Removed(package, tuple(gone))


def render(result: Removed) -> Iterator[Shown]:
    for ref in result.refs:
        what = "branch" if ref.kind == "heads" else "tag"
        yield (("red", "removed "), ("bold", result.package), f" {what} '{ref.name}', which was {ref.commit[:12]}")
        if ref.kind == "heads" and ref.name == "main":
            yield ("  bring it back:  ", ("cyan", f"dpk update-ref {result.package} {ref.commit[:12]} none"))
    yield f"{count(len(result.refs), 'ref')} removed; the objects are still stored"
