"""The import hook: `dpkg.data.OWNER` is a module of packages, `dpkg.data.OWNER.NAME` a module that is a package's tree."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from dpkg.data.node import Node, Tree, alias, load
from dpkg.errors import DpkgError, NotFound
from dpkg.repository import Repository

PREFIX = "dpkg.data."


def packages() -> list[str]:
    """All packages of the current store; none where there is no store."""
    try:
        return list(Repository().refs.packages())
    except NotFound:
        return []


def owners() -> list[str]:
    """The owners of packages, as they are imported."""
    return sorted({alias(p.split("/")[0]) for p in packages()})


class Finder(MetaPathFinder):
    """Finds what is below dpkg.data in the current store."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        parts = fullname.removeprefix(PREFIX).split(".")
        if not fullname.startswith(PREFIX) or len(parts) > 2 or any(p.startswith("_") for p in parts):
            return None
        loader = _OwnerLoader(parts[0]) if len(parts) == 1 else _PackageLoader(parts[0], parts[1])
        return ModuleSpec(fullname, loader, is_package=True) if loader.found else None


class _OwnerLoader(Loader):
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.found = [p for p in packages() if alias(p.split("/")[0]) == owner]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Owner(spec.name, f"Data packages of {self.owner}.")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


class _Owner(ModuleType):
    """The packages of an owner, found anew at each use, so that a new install is seen."""

    def _packages(self) -> dict[str, str]:
        owner = self.__name__.removeprefix(PREFIX)
        found: dict[str, str] = {}
        for package in packages():
            first, name = package.split("/")
            if alias(first) == owner:
                if alias(name) in found:
                    found[alias(name)] = ""  # two packages would have this name: it means neither
                else:
                    found[alias(name)] = package
        return found

    def __getattr__(self, name: str) -> Node:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._packages()
        if found.get(name):
            return load(found[name])
        if name in found:
            raise AttributeError(f"two packages are named like '{name}'; open one with dpkg.load('owner/name')")
        from difflib import get_close_matches

        near = get_close_matches(name, found, 1)
        more = f"; did you mean '{near[0]}'?" if near else f"; there is: {', '.join(found) or 'nothing'}"
        raise AttributeError(f"no package '{name}' is installed{more}")

    def __dir__(self) -> list[str]:
        return sorted(self._packages())


class _PackageLoader(Loader):
    def __init__(self, owner: str, name: str) -> None:
        self.found = [p for p in packages() if tuple(alias(x) for x in p.split("/")) == (owner, name)]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if len(self.found) > 1:
            raise ImportError(f"{spec.name} may be {' or '.join(self.found)}; open one with dpkg.load('owner/name')")
        try:
            return _Package(spec.name, load(self.found[0]))
        except DpkgError as e:
            raise ImportError(f"{e.message}. {e.hint}") from e

    def exec_module(self, module: ModuleType) -> None:
        # The owner's module gives a fresh node at each use; a module kept as its attribute would hide new installs.
        sys.modules.pop(module.__name__, None)
        sys.modules[module.__name__] = module


class _Package(ModuleType):
    """`import dpkg.data.acme.sales`: the package's tree as a module."""

    def __init__(self, name: str, tree: Node) -> None:
        super().__init__(name, f"The data package {tree.expr}.")
        assert isinstance(tree, Tree)
        self.__dict__["_tree"] = tree

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_tree"], name)

    def __getitem__(self, name: str) -> Node:
        tree: Tree = self.__dict__["_tree"]
        return tree[name]

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["_tree"])

    def __repr__(self) -> str:
        return repr(self.__dict__["_tree"])
