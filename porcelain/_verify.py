"""`dpk verify`: check that everything stored is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.errors import Usage
from dpkg.repository import Repository
from dpkg.store.keys import TEMP

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.maintenance.verifying import Check

COMMAND = Command(
    "verify",
    "Check every stored byte, and that each commit has all it needs. Ends with 6 if anything is damaged or missing.",
    (
        Arg("package", "owner/name: only this package (default: the whole store)", optional=True, completes="package"),
        Opt("--quick", "decode nothing: only digests of files, and that all is there"),
        Opt("--deep", "also decode every fragment, and recompute its values and statistics"),
        STORE,
    ),
    details="Every stored file carries a digest of its bytes: any byte that changed, and any file that was cut off, is found, "
    "also by --quick. Without it objects are decoded too, and compared with their ids, and what fragments say of themselves with their "
    "tables; --deep also decodes their values. Of a package the files are checked that hold what it reaches, packs as a whole. "
    "Problems are listed, and none is an error of the command: it goes on to the end, and ends with 6. "
    "What others write or move meanwhile is looked for again before it is said to be missing.",
    examples=(
        ("Check the whole store:", "dpk verify"),
        ("Check one package to the last value:", "dpk verify acme/shop --deep"),
        ("Check in a script, silent if all is well:", "dpk verify --quick --quiet || echo damaged"),
    ),
    see=("repair", "install", "cat-object"),
    prose=True,
    json=2,
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `what` is damaged or missing, `where` the ref, commit and path that need it, or the file."""

    what: str
    where: str
    message: str


@dataclass(frozen=True)
class Verified:
    """What was checked, and what is wrong. `bytes` as they are stored."""

    store: str
    objects: int
    fragments: int
    packs: int
    refs: int
    bytes: int
    leftovers: int  # files that killed writers left in the folder, of a day or older; looked for in a whole store
    leftover_bytes: int
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        return 6 if self.problems else 0


def verify(
    package: str | None = None, *, quick: bool = False, deep: bool = False, store: str | None = None
) -> Verified:
    """Check a store, or one package of it. Problems are in the result, not raised. Raises Usage, NotFound."""
    from dpkg.maintenance import verifying

    if quick and deep:
        raise Usage("--quick and --deep are not one check", "give one of them, or neither")
    repository = Repository(store)
    if package:
        repository.require(package, part=True)
    check = verifying.Check(repository, verifying.level(quick, deep))
    check.run(package)
    left = [] if package else verifying.leftovers(repository)
    files = check.files
    return Verified(
        store=repository.url,
        objects=len(files.objects) + len((files.loose.keys() | files.packed.keys()) - files.objects.keys()),
        fragments=len(files.fragments) + len(files.bad_fragments),
        packs=len(files.checked_packs),
        refs=check.refs,
        bytes=files.bytes,
        leftovers=len(left),
        leftover_bytes=sum(left),
        problems=problems(check),
    )


def problems(check: Check) -> tuple[Problem, ...]:
    """What a check found wrong."""
    return tuple(Problem(*found) for found in check.problems)


def listed(found: tuple[Problem, ...]) -> Iterator[Shown]:
    """Problems for people, a line each."""
    for p in found:
        yield (("red", f"{p.what}: "), f"{p.where}: {p.message}")


def render(result: Verified) -> Iterator[Shown]:
    yield from listed(result.problems)
    counts = ", ".join(
        (
            count(result.objects, "object"),
            count(result.fragments, "fragment"),
            *([count(result.packs, "pack")] if result.packs else []),
            count(result.refs, "ref"),
            shorten(result.bytes),
        )
    )
    if result.leftovers:
        files = f"{count(result.leftovers, 'file')} ({shorten(result.leftover_bytes)}) in {result.store}/{TEMP}"
        yield f"{files}: left by killed runs more than a day ago, safe to remove"
    if result.problems:
        yield (("bold red", count(len(result.problems), "problem")), f" in {result.store}: {counts} checked")
        yield "a store that has the same packages can help: dpk repair --from REMOTE"
    else:
        yield (("green", "all well: "), f"{counts} in {result.store}")
