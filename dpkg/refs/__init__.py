"""Refs: branches, tags and parts of packages, each an append-only log."""

from dpkg.refs.entry import (
    HEADS,
    PARTS,
    PREFIX,
    TAGS,
    WORDS,
    RefEntry,
    entry_key,
    folder_of,
    new_push,
    newest,
    part_name,
)
from dpkg.refs.log import Refs

__all__ = [
    "HEADS",
    "PARTS",
    "PREFIX",
    "TAGS",
    "WORDS",
    "RefEntry",
    "Refs",
    "entry_key",
    "folder_of",
    "new_push",
    "newest",
    "part_name",
]
