"""What packages are made of here, and what is in them afterwards."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from dpkg.repository import Repository


def numbers(n: int = 3000, seed: int = 1) -> dict[str, list[Any]]:
    """The columns of a table."""
    rng = random.Random(seed)
    return {"id": list(range(n)), "x": [rng.random() for _ in range(n)]}


def history(url: str, package: str = "acme/x") -> list[str]:
    """Messages, newest first, along first parents."""
    repository = Repository(url)
    at, out = repository.tip(package), []
    while at:
        commit = repository.commit(at)
        out.append(commit.message)
        at = next(iter(commit.parents), None)
    return out


def tophash(package: str) -> str:
    """Of a package in the store that commands find."""
    return Repository().resolve(package)[2].tree


def listing(folder: Path) -> dict[str, int]:
    """Every file below a folder, with its size."""
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
