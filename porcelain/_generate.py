"""`dpk generate`: write a build.yml from a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dpkg.command import Arg, Command, Opt, count

COMMAND = Command(
    "generate",
    "Write a build.yml from a folder: every file in it, with the types that text files have, and words on what else it can say.",
    (
        Arg("dir", "the folder", metavar="DIR", completes="dir"),
        Opt(
            "-o --output",
            "where to (default: build.yml in the folder; -: standard output)",
            str,
            "FILE",
            completes="file",
        ),
        Opt("--force", "replace the one that is there"),
    ),
    epilog="Building with it gives the same tophash as building the folder without it; types that it names are then checked: a "
    "cell of another type is an error.",
    details="Paths in it are relative to where it is written; with '-o -' to the folder. Nothing is written if a file cannot be read.",
    output="With '-o -' the build.yml.",
    examples=(
        ("Write src/build.yml, and build with it:", "dpk generate src && dpk build acme/shop src"),
        ("Look at it first:", "dpk generate src -o -"),
    ),
    see=("build",),
    prose=True,
)


@dataclass(frozen=True)
class Generated:
    """A build.yml: the tables and other files that it names."""

    path: str | None  # where it was written
    tables: int
    files: int
    text: str

    @property
    def asked_for(self) -> bool:
        """Whether what is printed is the result itself, which --quiet prints too."""
        return self.path is None


def generate(dir: str, *, output: str = "", force: bool = False) -> Generated:
    """Write the build.yml of a folder.

    Raises NotFound, AlreadyExists where there is one and not `force`, Usage for a folder without files, Format for files that
    cannot be read.
    """
    from dpkg.compiler import generate as generating
    from dpkg.compiler.plan import BUILD_FILE
    from dpkg.errors import NotFound

    folder = os.path.expanduser(dir)
    if not os.path.exists(folder):
        raise NotFound(f"there is no folder '{folder}'", "check the path")
    path = os.path.expanduser(output) if output else os.path.join(folder, BUILD_FILE)
    if output == "-":
        made = generating.draft(folder, folder)
        return Generated(None, made.tables, made.files, made.text)
    if not force and os.path.lexists(path):  # before all files are read
        raise generating.in_the_way(path)
    made = generating.draft(folder, os.path.dirname(path))
    generating.write(made.text, path, force)
    return Generated(os.path.abspath(path), made.tables, made.files, made.text)


def render(result: Generated) -> Iterator[Any]:
    if result.path is None:
        yield result.text.encode()
        return
    made = f"{count(result.tables, 'table')} and {count(result.files, 'other file')}"
    yield (("green", "wrote "), ("bold", result.path), f": {made}")
