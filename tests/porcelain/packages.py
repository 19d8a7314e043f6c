"""What packages are made of here, and what is in them afterwards."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import dpkg
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


def packed(folder: Path, package: str = "acme/p", count: int = 60) -> list[Path]:
    """A package of so many small files in the store that commands find: its packs."""
    folder.mkdir()
    for i in range(count):
        (folder / f"f{i:02}").write_bytes(random.Random(i).randbytes(200 + i))
    dpkg.build(package, str(folder), message="packed")
    return sorted(Path(Repository().url, "packs").iterdir())
