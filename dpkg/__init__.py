"""dpkg: a git for data packages.

Every command is a function here: `dpkg.build("acme/sales", "src/")`; `dpkg.load("acme/sales@v1")` opens a package.
The commands for scripts are in `dpkg.plumbing`, packages as imports in `dpkg.data`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, which `dpk --version` need not import

__version__ = "0.1.0"

_PORCELAIN = (
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
)
_MODULES = ("data", "errors", "plumbing", "porcelain")
__all__ = [*_PORCELAIN, *_MODULES, "DpkgError", "load"]

if TYPE_CHECKING:
    from dpkg import data as data
    from dpkg import errors as errors
    from dpkg import plumbing as plumbing
    from dpkg import porcelain as porcelain
    from dpkg.data import load as load
    from dpkg.errors import DpkgError as DpkgError
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


def __getattr__(name: str) -> object:
    """The lazy facade: nothing is imported before it is used."""
    from importlib import import_module

    if name in _PORCELAIN:
        return getattr(import_module(f"dpkg.porcelain._{name}"), name)
    if name in _MODULES:
        return import_module(f"dpkg.{name}")
    if name == "load":
        return import_module("dpkg.data._node").load
    if name == "DpkgError":
        return import_module("dpkg.errors").DpkgError
    raise AttributeError(f"module 'dpkg' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
