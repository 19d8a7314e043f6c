"""Parts: tables, folders and files that were installed without the rest of their packages (spec/storage.md, STO-40).

A branch or tag promises that all below its commit is stored. A part has a kind of ref of its own, which promises that of one path.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from dpkg.errors import Conflict, NotFound
from dpkg.names import LATEST, MAIN, Expr
from dpkg.refs import PARTS, part_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dpkg.oid import Oid
    from dpkg.refs import Refs
    from dpkg.repository import Repository

_SHOWN = 5
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Part:
    """What is here of a package: a path as it is in a commit. `revision` is how that was asked for: a branch, a tag or its oid."""

    revision: str
    path: str
    commit: Oid
    time: int = 0  # when it came

    @property
    def text(self) -> str:
        """Revision and path, as the ref's log has them."""
        return f"{self.revision}/{self.path}"

    @property
    def ref(self) -> str:
        """The name of its ref."""
        return part_name(self.text)

    @property
    def shown(self) -> str:
        """For people: its path, and the revision if it is not the newest commit."""
        revision = self.revision if self.revision != self.commit else self.commit.short
        return self.path if revision == MAIN else f"@{revision}/{self.path}"

    def has(self, path: str | None) -> bool:
        """Whether a path is this or below it."""
        return path is not None and f"{path}/".startswith(f"{self.path}/")

    def below(self, path: str | None) -> bool:
        """Whether this is below a path, None being the package's root."""
        return path is None or self.path.startswith(f"{path}/")

    def fits(self, revision: str | None) -> bool:
        """Whether a revision may mean this one's. None, latest and main mean any: the newest that there is."""
        if revision in (None, LATEST, MAIN, self.revision):
            return True
        return (
            revision is not None
            and len(revision) >= 4
            and _HEX.issuperset(revision)
            and self.commit.startswith(revision)
        )


class InPart(NotFound):
    """What is asked for is not here, as of its package there are only `parts`."""

    def __init__(self, message: str, hint: str = "", parts: Sequence[Part] = ()) -> None:
        super().__init__(message, hint)
        self.parts = tuple(parts)


def of(refs: Refs, package: str) -> list[Part]:
    """The parts of a package, the newest first: those of main, then those of other revisions."""
    found = []
    for entry in refs.parts(package).values():
        revision, _, path = (entry.part or "").partition("/")
        if entry.oid is not None and path:
            found.append(Part(revision, path, entry.oid, entry.time))
    return sorted(found, key=lambda part: (part.revision != MAIN, -part.time, -len(part.path), part.text))


def find(refs: Refs, expr: Expr) -> Part | None:
    """The part that has what an expression names."""
    return next((part for part in of(refs, expr.package) if part.fits(expr.revision) and part.has(expr.path)), None)


def names(parts: Iterable[Part]) -> list[str]:
    """For people: those of main first, by paths."""
    return [part.shown for part in sorted(parts, key=lambda part: (part.revision != MAIN, part.path, part.text))]


def forget(repository: Repository, package: str) -> None:
    """Delete the refs of parts of which a branch or tag has the whole now, and those of main where that is a branch."""
    known = of(repository.refs, package)
    whole = {oid for oid, _ in repository.all_commits(package)} if known else set()
    for part in known:
        if part.commit in whole or (part.revision == MAIN and repository.tip(package) is not None):
            with suppress(Conflict, NotFound):  # someone else was here: it is deleted, or newer
                repository.refs.delete(
                    package, PARTS, part.ref, who=repository.author(), why="all of it is here", old=part.commit
                )


def refuse(repository: Repository, package: str, tip: Oid | None) -> None:
    """Raises Conflict where a commit would begin another history of a package that is here in part: `tip` is that of main."""
    known = of(repository.refs, package) if tip is None else []
    if known:
        error = lacking(Expr(package), known, repository.url)
        hint = f"'dpk install {package}' brings the rest, to build on; 'dpk rm {package}' forgets it, for a new history"
        raise Conflict(error.message, hint)


def lacking(expr: Expr, parts: Iterable[Part], url: str) -> InPart:
    """The error for what is not in the parts of its package."""
    known = list(parts)
    shown = ", ".join(names(known)[:_SHOWN])
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    whole = f"'dpk install {expr.package}' brings the rest"
    hint = f"'dpk install {quote(str(expr))}' brings this, {whole}" if expr.path else whole
    of_this = [part for part in known if part.fits(expr.revision) and part.below(expr.path)]
    return InPart(f"of '{expr.package}' only {shown}{more} was installed in {url}", hint, of_this)
