"""`dpk init`: make a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import settings
from dpkg.command import STORE, Arg, Command
from dpkg.errors import Usage
from dpkg.repository import Repository, is_store

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "init",
    "Make a store: in PATH/.dpk, or at --store or $DPK_STORE, else in .dpk here. Nothing happens where there is one.",
    (Arg("path", "the folder to make .dpk in", optional=True, completes="dir"), STORE),
    details="A store is a folder or URL that holds objects and refs. Where there is a store already, nothing happens to it.",
    examples=(
        ("Make a store for this folder and those below it:", "dpk init"),
        ("Make one in a place of its own:", "dpk init --store /srv/data/store"),
    ),
    see=("build", "install", "config"),
    prose=True,
)


@dataclass(frozen=True)
class Initialised:
    """A store, and whether this call made it."""

    store: str
    created: bool


def init(path: str | None = None, *, store: str | None = None) -> Initialised:
    """Make a store. Raises Format where there is something else, Storage where it cannot be written."""
    if path is not None and store is not None:
        raise Usage("a path and --store exclude each other", "write: dpk init PATH, or dpk init --store STORE")
    named = settings.named_store(store) if path is None else None
    place = named or os.path.join(settings.expand(path or os.curdir), settings.STORE_FOLDER)
    there = is_store(place)
    repository = Repository(place, create=True)
    return Initialised(repository.url, not there)


def render(result: Initialised) -> Iterator[Shown]:
    yield (f"{'made a store in' if result.created else 'there is a store already in'} ", ("cyan", result.store))
