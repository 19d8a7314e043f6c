"""A package that is built from a folder's build.yml into a store beside the folder, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

import dpkg
from dpkg import tables
from dpkg.repository import Repository

PKG = "acme/x"


def store(src: Path) -> str:
    return str(src.parent / "store")


def build(src: Path, text: str, package: str = PKG, raw: bool = False) -> Any:
    (src / "build.yml").write_text(text)
    return dpkg.build(package, str(src), raw=raw, store=store(src))


def build_types(src: Path, text: str, raw: bool = False) -> dict[str, str]:
    """The entries that are built, as path: type."""
    return {e.path: e.type for e in build(src, text, raw=raw).entries}


def table(src: Path, name: str = "t") -> pa.Table:
    repository = Repository(store(src))
    _, _, _, entry = repository.entry(f"{PKG}/{name}")
    assert entry is not None
    found = tables.read_table_object(repository.odb, entry.oid)
    return pa.Table.from_batches(tables.scan(repository.odb, found), tables.user_schema(found))
