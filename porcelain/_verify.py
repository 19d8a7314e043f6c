"""`dpk verify`: check that everything stored is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.repository import Repository
from dpkg.store.keys import TEMP

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "verify",
    "Check every stored byte, and that each commit has all it needs. Ends with 6 if anything is damaged or missing.",
    (
        Arg("package", "owner/name: only this package (default: the whole store)", optional=True, completes="package"),
        Opt("--deep", "also decode every fragment, and recompute its values and statistics"),
        Opt(
            "--repair",
            "bring what is damaged or missing from this folder, URL or remote",
            str,
            "REMOTE",
            completes="remote",
        ),
        STORE,
    ),
    details="Every stored file carries a digest of its bytes, and that is what is checked; --deep also decodes what they hold and "
    "compares it with the oids. Problems are listed, and none is an error of the command: it goes on to the end, and ends with 6.",
    examples=(
        ("Check the whole store:", "dpk verify"),
        (
            "Check one package to the last value, and bring what is damaged from a remote:",
            "dpk verify acme/shop --deep --repair origin",
        ),
        ("Check in a script, silent if all is well:", "dpk verify --quiet || echo damaged"),
    ),
    see=("install", "cat-object"),
    prose=True,
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `what` is damaged or missing, `where` the object, file or ref, and who needs it."""

    what: str
    where: str
    message: str


@dataclass(frozen=True)
class Verified:
    """What was checked, what was repaired, and what is wrong still. `bytes` as decoded for objects, as stored for fragments."""

    store: str
    objects: int
    fragments: int
    refs: int
    bytes: int
    repaired: int  # files
    leftovers: int  # files that killed writers left in the folder, of a day or older; looked for in a whole store
    leftover_bytes: int
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        return 6 if self.problems else 0


def verify(
    package: str | None = None, *, deep: bool = False, repair: str | None = None, store: str | None = None
) -> Verified:
    """Check a store, or one package of it. Problems are in the result, not raised.

    With `repair`, files that are missing or damaged are brought from another store, as far as that has them whole.
    """
    from dpkg import verifying

    repository = Repository(store)
    if package:
        repository.require(package)
    source = Repository(repository.remote(repair)) if repair else None
    brought: set[Oid] = set()
    while True:
        check = verifying.Check(repository, deep)
        check.run(package)
        if not (source and check.problems and verifying.repair(check, source.odb, brought)):
            break  # else look again: what was missing may have hidden more that is
    problems = tuple(Problem(*p) for p in check.problems)
    odb, left = check.odb, [] if package else verifying.leftovers(repository)
    return Verified(
        store=repository.url,
        objects=len(odb.objects),
        fragments=len(odb.fragments),
        refs=check.refs,
        bytes=odb.bytes,
        repaired=len(brought),
        leftovers=len(left),
        leftover_bytes=sum(left),
        problems=problems,
    )


def render(result: Verified) -> Iterator[Shown]:
    if result.repaired:
        yield (("green", "repaired "), count(result.repaired, "file"))
    for p in result.problems:
        yield (("red", f"{p.what}: "), f"{p.where}: {p.message}")
    counts = ", ".join(
        (
            count(result.objects, "object"),
            count(result.fragments, "fragment"),
            count(result.refs, "ref"),
            shorten(result.bytes),
        )
    )
    if result.leftovers:
        files = f"{count(result.leftovers, 'file')} ({shorten(result.leftover_bytes)}) in {result.store}/{TEMP}"
        yield f"{files}: left by killed runs more than a day ago, safe to remove"
    if result.problems:
        yield (("bold red", count(len(result.problems), "problem")), f" in {result.store}: {counts} checked")
        yield "a store that has the same packages can help: dpk verify --repair REMOTE"
    else:
        yield (("green", "all well: "), f"{counts} in {result.store}")
