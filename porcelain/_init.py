"""`dpk init`: make a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dpkg import settings
from dpkg.command import STORE, Arg, Command
from dpkg.repository import Repository, is_store

COMMAND = Command(
    "init",
    "Make a store: in PATH/.dpk, here if no PATH is given, or at --store. Nothing happens where there is one.",
    (Arg("path", "the folder to make .dpk in (default: here)", optional=True), STORE),
)


@dataclass(frozen=True)
class Initialised:
    """A store, and whether this call made it."""

    store: str
    created: bool


def init(path: str | None = None, *, store: str | None = None) -> Initialised:
    """Make a store. Raises Format where there is something else, Storage where it cannot be written."""
    place = settings.expand(store) if store else os.path.join(os.path.abspath(path or os.curdir), settings.STORE_FOLDER)
    there = is_store(place)
    repository = Repository(place, create=True)
    return Initialised(repository.url, not there)


def render(result: Initialised) -> Iterator[Any]:
    yield (f"{'made a store in' if result.created else 'there is a store already in'} ", ("cyan", result.store))
