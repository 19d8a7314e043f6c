"""`dpk repair`: bring back what is damaged or missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, count
from dpkg.porcelain._verify import Problem, listed, problems
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "repair",
    "Check a store, and bring back what is damaged or missing. Ends with 6 if anything is still.",
    (
        Arg("package", "owner/name: only this package (default: the whole store)", optional=True, completes="package"),
        Opt(
            "--from",
            "a store to bring it from: a folder, URL or remote; of several each is tried in turn",
            str,
            "REMOTE",
            many=True,
            completes="remote",
        ),
        STORE,
    ),
    details="What has another whole copy in the store itself is made of that, the rest comes from the stores that are named; "
    "each object and fragment is decoded and checked before it is kept, and what was repaired is verified again.\n"
    "A damaged pack is made anew. It is removed once all that is alive in it is stored elsewhere, and not before: "
    "a repair may be stopped at any moment, and run again.\n"
    "Logs of refs are never repaired, as they say what the packages are: restore a damaged entry from a copy of the store, or push "
    "the package again under another name.",
    examples=(
        ("Bring back what is damaged from the remote that the packages were pushed to:", "dpk repair --from origin"),
        (
            "One package, from the first of two stores that has it:",
            "dpk repair acme/shop --from origin --from ../backup",
        ),
    ),
    see=("verify", "install"),
    prose=True,
)


@dataclass(frozen=True)
class Repaired:
    """What was brought back, and what is wrong still. `packs` are damaged ones that are whole again or were replaced."""

    store: str
    objects: int
    fragments: int
    packs: int
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        return 6 if self.problems else 0


def repair(package: str | None = None, *, from_: Sequence[str] = (), store: str | None = None) -> Repaired:
    """Check a store, or one package of it, and repair what can be. Problems that are left are in the result, not raised.

    Raises Usage, NotFound; Storage where a store cannot be reached or written to.
    """
    from dpkg.maintenance.repairing import Repair

    repository = Repository(store)
    if package:
        repository.require(package, part=True)
    names = (from_,) if isinstance(from_, str) else from_
    done = Repair(repository, [Repository(repository.remote(name)) for name in names])
    done.run(package)
    return Repaired(
        store=repository.url,
        objects=len(done.objects),
        fragments=len(done.fragments),
        packs=len(done.packs),
        problems=problems(done.check),
    )


def render(result: Repaired) -> Iterator[Shown]:
    brought = [
        count(number, noun)
        for number, noun in ((result.objects, "object"), (result.fragments, "fragment"), (result.packs, "pack"))
        if number
    ]
    if brought:
        yield (("green", "repaired "), ", ".join(brought))
    yield from listed(result.problems)
    if result.problems:
        yield (("bold red", count(len(result.problems), "problem")), f" left in {result.store}")
        yield "another store that has the same packages can help: dpk repair --from REMOTE"
    else:
        yield (("green", "all well"), f" in {result.store}")
