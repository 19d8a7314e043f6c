"""`dpk write-tree`: store a folder as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "write-tree",
    "Store a file, a folder or a build.yml as a tree, as 'dpk build' does, and print its oid. Nothing is published.",
    (
        Arg("path", "a file, a folder or a build.yml", completes="file"),
        Opt("--raw", "keep every file as a blob"),
        STORE,
    ),
    output="The oid of the tree.",
    examples=(("Store a folder; its tophash is that of a build:", "dpk write-tree src"),),
    see=("commit-tree", "ls-tree", "build"),
)


@dataclass(frozen=True)
class Written:
    """A stored tree, and the number of its tables and blobs."""

    oid: Oid
    entries: int


def write_tree(path: str, *, raw: bool = False, store: str | None = None) -> Written:
    """Compile and store; a store is made where there is none. Raises what `build` raises."""
    from dpkg.compiler import make_plan
    from dpkg.compiler.compile import compile_plan
    from dpkg.compiler.composed import pinned

    plan = make_plan(path, raw)
    repository = Repository(store, create=True)
    odb = repository.odb
    report = compile_plan(odb, pinned(repository, plan))
    odb.sync()
    return Written(report.tree, len(report.entries))


def render(result: Written) -> Iterator[Shown]:
    yield result.oid
