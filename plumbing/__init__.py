"""Low-level commands for scripts, one file each. Their output is stable."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from dpkg.plumbing._apply_diff import apply_diff as apply_diff
    from dpkg.plumbing._cat_fragment import cat_fragment as cat_fragment
    from dpkg.plumbing._cat_object import cat_object as cat_object
    from dpkg.plumbing._check_ref_format import check_ref_format as check_ref_format
    from dpkg.plumbing._commit_tree import commit_tree as commit_tree
    from dpkg.plumbing._count_objects import count_objects as count_objects
    from dpkg.plumbing._diff_tree import diff_tree as diff_tree
    from dpkg.plumbing._fetch_objects import fetch_objects as fetch_objects
    from dpkg.plumbing._for_each_ref import for_each_ref as for_each_ref
    from dpkg.plumbing._hash_object import hash_object as hash_object
    from dpkg.plumbing._index_pack import index_pack as index_pack
    from dpkg.plumbing._ls_fragments import ls_fragments as ls_fragments
    from dpkg.plumbing._ls_remote import ls_remote as ls_remote
    from dpkg.plumbing._ls_tree import ls_tree as ls_tree
    from dpkg.plumbing._mktree import mktree as mktree
    from dpkg.plumbing._pack_objects import pack_objects as pack_objects
    from dpkg.plumbing._read_table import read_table as read_table
    from dpkg.plumbing._rev_list import rev_list as rev_list
    from dpkg.plumbing._rev_parse import rev_parse as rev_parse
    from dpkg.plumbing._send_objects import send_objects as send_objects
    from dpkg.plumbing._show_ref import show_ref as show_ref
    from dpkg.plumbing._unpack_objects import unpack_objects as unpack_objects
    from dpkg.plumbing._update_ref import update_ref as update_ref
    from dpkg.plumbing._update_server_info import update_server_info as update_server_info
    from dpkg.plumbing._verify_object import verify_object as verify_object
    from dpkg.plumbing._verify_pack import verify_pack as verify_pack
    from dpkg.plumbing._write_table import write_table as write_table
    from dpkg.plumbing._write_tree import write_tree as write_tree

__all__ = [
    "apply_diff",
    "cat_fragment",
    "cat_object",
    "check_ref_format",
    "commit_tree",
    "count_objects",
    "diff_tree",
    "fetch_objects",
    "for_each_ref",
    "hash_object",
    "index_pack",
    "ls_fragments",
    "ls_remote",
    "ls_tree",
    "mktree",
    "pack_objects",
    "read_table",
    "rev_list",
    "rev_parse",
    "send_objects",
    "show_ref",
    "unpack_objects",
    "update_ref",
    "update_server_info",
    "verify_object",
    "verify_pack",
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
