"""Data as imports: `from dpkg.data.acme import sales`; `sales.transactions()` is a DataFrame. Nothing is read before it
is asked for, and each import sees what is installed then.

`import dpkg.data.acme.sales` and `from dpkg.data.acme.sales import transactions` work too. In names, `_` also stands
for `-` and `.` where that is unambiguous. `dpkg.load("acme/sales@v1")` opens any revision.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dpkg.data._base import Node
from dpkg.data._finder import Finder, owners
from dpkg.data._leaves import Blob, Table
from dpkg.data._node import Tree, load

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Blob", "Node", "Table", "Tree", "load"]

if not any(isinstance(f, Finder) for f in sys.meta_path):
    sys.meta_path.append(Finder())


def __getattr__(name: str) -> ModuleType:
    """`dpkg.data.acme` without an import of its own."""
    from importlib import import_module

    if name.startswith("__"):
        raise AttributeError(f"module 'dpkg.data' has no attribute '{name}'")
    try:
        return import_module(f"dpkg.data.{name}")
    except ModuleNotFoundError as e:
        raise AttributeError(str(e)) from None


def __dir__() -> list[str]:
    return sorted([*__all__, *owners()])
