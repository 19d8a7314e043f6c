"""Daily commands, one file each, written on the plumbing and the core."""

from __future__ import annotations

_NAMES = ("build", "config", "diff", "export", "init", "install", "log", "ls", "push", "remote", "rm", "show", "tag", "verify")
__all__ = list(_NAMES)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _NAMES:
        return getattr(import_module(f"dpkg.porcelain._{name}"), name)
    raise AttributeError(f"module 'dpkg.porcelain' has no attribute '{name}'")
