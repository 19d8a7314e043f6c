"""`dpk rm`: remove a package or a tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import parts
from dpkg.command import STORE, Arg, Command, Opt, count
from dpkg.errors import NotFound, Usage
from dpkg.names import parse_expr
from dpkg.refs import WORDS
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.names import Expr
    from dpkg.oid import Oid

COMMAND = Command(
    "rm",
    "Remove a package's branches and tags, one tag, or a part that was installed alone. Objects stay, and the ref log says who removed it.",
    (
        Arg(
            "expr",
            "owner/name, owner/name@tag, or owner/name[@revision]/path of a part",
            metavar="PACKAGE",
            completes="expr",
        ),
        Opt("-m --message", "why", str, "TEXT"),
        STORE,
    ),
    examples=(
        ("Remove a tag:", 'dpk rm acme/shop@v1 -m "wrong year"'),
        ("Remove a package's branches and tags:", "dpk rm acme/shop"),
        ("Remove a table that was installed alone:", "dpk rm acme/shop/sales"),
    ),
    see=("tag", "update-ref"),
    prose=True,
)


@dataclass(frozen=True)
class Ref:
    """A branch (`heads`), tag (`tags`) or part (`parts`: its name is revision/path) that was removed, and the commit that it named."""

    kind: str
    name: str
    commit: Oid


@dataclass(frozen=True)
class Removed:
    """What was removed."""

    package: str
    refs: tuple[Ref, ...]


def rm(expr: str, *, message: str = "", store: str | None = None) -> Removed:
    """Remove a package, a tag or a part.

    Raises NotFound, Usage. `dpk update-ref` can bring a branch back; a tag's name is gone.
    """
    parsed = parse_expr(expr)
    repository = Repository(store).snapshot(parsed.package)
    repository.require(parsed.package, part=True)
    refs, package, who = repository.refs, parsed.package, repository.author()
    gone = []
    for kind, name, shown in _wanted(repository, parsed):
        value = refs.value(package, kind, name)
        if value is not None:
            refs.delete(package, kind, name, who=who, why=message or "rm", old=value)
            gone.append(Ref(kind, shown, value))
    return Removed(package, tuple(gone))


def _wanted(repository: Repository, expr: Expr) -> list[tuple[str, str, str]]:
    """Kinds and names of the refs that an expression means, and the names that people know."""
    refs, package = repository.refs, expr.package
    known = [part for part in parts.of(refs, package) if part.fits(expr.revision)]
    if expr.path:
        found = [("parts", part.ref, part.text) for part in known if part.path == expr.path]
        if not found:
            hint = f"a commit never changes: build the package again without it; 'dpk rm {package}' removes all of it"
            raise Usage(f"'{expr}' names a part of a package, and not one that was installed alone", hint)
        return found
    if expr.revision is None:
        found = [("tags", name, name) for name in refs.tags(package)]
        found += [("heads", name, name) for name in refs.heads(package)]
        return found + [("parts", part.ref, part.text) for part in known]
    found = [("tags", name, name) for name in refs.tags(package) if name == expr.revision]
    found += [("parts", part.ref, part.text) for part in known if expr.revision == part.revision]
    if not found:
        hint = f"see 'dpk ls' for its tags; 'dpk rm {package}' removes all of it"
        raise NotFound(f"'{package}' has no tag '{expr.revision}'", hint)
    return found


def render(result: Removed) -> Iterator[Shown]:
    for ref in result.refs:
        what = WORDS[ref.kind]
        yield (("red", "removed "), ("bold", result.package), f" {what} '{ref.name}', which was {ref.commit[:12]}")
        if ref.kind == "heads" and ref.name == "main":
            yield ("  bring it back:  ", ("cyan", f"dpk update-ref {result.package} {ref.commit[:12]} none"))
    yield f"{count(len(result.refs), 'ref')} removed; the objects are still stored"
