"""Low-level commands for scripts, one file each. Their output is stable."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from dpkg.plumbing._cat_fragment import cat_fragment as cat_fragment
    from dpkg.plumbing._cat_object import cat_object as cat_object
    from dpkg.plumbing._commit_tree import commit_tree as commit_tree
    from dpkg.plumbing._hash_object import hash_object as hash_object
    from dpkg.plumbing._ls_fragments import ls_fragments as ls_fragments
    from dpkg.plumbing._ls_tree import ls_tree as ls_tree
    from dpkg.plumbing._rev_parse import rev_parse as rev_parse
    from dpkg.plumbing._show_ref import show_ref as show_ref
    from dpkg.plumbing._update_ref import update_ref as update_ref
    from dpkg.plumbing._write_table import write_table as write_table
    from dpkg.plumbing._write_tree import write_tree as write_tree

__all__ = [
    "cat_fragment",
    "cat_object",
    "commit_tree",
    "hash_object",
    "ls_fragments",
    "ls_tree",
    "rev_parse",
    "show_ref",
    "update_ref",
    "write_table",
    "write_tree",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in __all__:
        return getattr(import_module(f"dpkg.plumbing._{name}"), name)
    raise AttributeError(f"module 'dpkg.plumbing' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
