"""The content-defined index under trees and tables (spec/index.md)."""

from dpkg.index.builder import IndexBuilder, build_tree
from dpkg.index.reader import (
    child,
    differing,
    entry_at,
    find,
    fragment_entries,
    leaves,
    lookup,
    on_the_way,
    read_node,
    tree_entries,
    walk,
)

__all__ = [
    "IndexBuilder",
    "build_tree",
    "child",
    "differing",
    "entry_at",
    "find",
    "fragment_entries",
    "leaves",
    "lookup",
    "on_the_way",
    "read_node",
    "tree_entries",
    "walk",
]
