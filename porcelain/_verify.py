"""`dpk verify`: check that everything stored is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.repository import Repository

COMMAND = Command(
    "verify",
    "Check every stored byte, and that each commit has all it needs. Ends with 6 if anything is damaged or missing.",
    (
        Arg("package", "owner/name: only this package (default: the whole store)", optional=True),
        Opt("--deep", "also decode every fragment, and recompute its values and statistics"),
        STORE,
    ),
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `what` is damaged or missing, `where` the object, file or ref, and who needs it."""

    what: str
    where: str
    message: str


@dataclass(frozen=True)
class Verified:
    """What was checked, and what is wrong."""

    store: str
    objects: int
    fragments: int
    refs: int
    bytes: int
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        return 6 if self.problems else 0


def verify(package: str | None = None, *, deep: bool = False, store: str | None = None) -> Verified:
    """Check a store, or one package of it. Problems are in the result, not raised."""
    from dpkg.verifying import Check

    repository = Repository(store)
    if package:
        repository.require(package)
    check = Check(repository, deep)
    check.run(package)
    problems = tuple(Problem(*p) for p in check.problems)
    return Verified(repository.url, len(check.odb.objects), len(check.odb.fragments), check.refs, check.odb.bytes, problems)


def render(result: Verified) -> Iterator[Any]:
    for p in result.problems:
        yield (("red", f"{p.what}: "), f"{p.where}: {p.message}")
    counts = f"{count(result.objects, 'object')}, {count(result.fragments, 'fragment')}, {count(result.refs, 'ref')}, {shorten(result.bytes)}"
    if result.problems:
        yield (("bold red", count(len(result.problems), "problem")), f" in {result.store}: {counts} checked")
    else:
        yield (("green", "all well: "), f"{counts} in {result.store}")
