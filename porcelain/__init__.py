"""Daily commands, one file each, written on the plumbing and the core."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from dpkg.porcelain._blame import blame as blame
    from dpkg.porcelain._build import build as build
    from dpkg.porcelain._check import check as check
    from dpkg.porcelain._completion import completion as completion
    from dpkg.porcelain._config import config as config
    from dpkg.porcelain._diff import diff as diff
    from dpkg.porcelain._export import export as export
    from dpkg.porcelain._gc import gc as gc
    from dpkg.porcelain._generate import generate as generate
    from dpkg.porcelain._init import init as init
    from dpkg.porcelain._install import install as install
    from dpkg.porcelain._log import log as log
    from dpkg.porcelain._ls import ls as ls
    from dpkg.porcelain._push import push as push
    from dpkg.porcelain._remote import remote as remote
    from dpkg.porcelain._repack import repack as repack
    from dpkg.porcelain._repair import repair as repair
    from dpkg.porcelain._review import review as review
    from dpkg.porcelain._rm import rm as rm
    from dpkg.porcelain._show import show as show
    from dpkg.porcelain._tag import tag as tag
    from dpkg.porcelain._verify import verify as verify

__all__ = [
    "blame",
    "build",
    "check",
    "completion",
    "config",
    "diff",
    "export",
    "gc",
    "generate",
    "init",
    "install",
    "log",
    "ls",
    "push",
    "remote",
    "repack",
    "repair",
    "review",
    "rm",
    "show",
    "tag",
    "verify",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in __all__:
        return getattr(import_module(f"dpkg.porcelain._{name}"), name)
    raise AttributeError(f"module 'dpkg.porcelain' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
