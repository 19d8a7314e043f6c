"""Low-level commands for scripts, one file each. Their output is stable."""

from __future__ import annotations

_NAMES = (
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
)
__all__ = list(_NAMES)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _NAMES:
        return getattr(import_module(f"dpkg.plumbing._{name}"), name)
    raise AttributeError(f"module 'dpkg.plumbing' has no attribute '{name}'")
