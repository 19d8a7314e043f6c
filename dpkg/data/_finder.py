"""The import hook: `dpkg.data.OWNER` is a module of packages, `dpkg.data.OWNER.NAME` a module that is a package's tree.

Both look at the store each time they are used, so that an import after an install sees it, whatever was imported
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from dpkg import settings
from dpkg.data._base import Node
from dpkg.data._node import Tree, alias, load
from dpkg.errors import DpkgError, NotFound, did_you_mean
from dpkg.repository import Repository

PREFIX = "dpkg.data."
_TAKEN = frozenset(("load",))  # names of dpkg.data's own that an owner may have too


def owner_alias(owner: str) -> str:
    """An owner as it is imported."""
    made = alias(owner)
    return f"{made}_" if made in _TAKEN else made


def owners() -> list[str]:
    """The owners of packages in the current store, as they are imported; none where there is no store."""
    try:
        return sorted({owner_alias(p.split("/")[0]) for p in Repository().refs.packages()})
    except NotFound:
        return []


def owned(owner: str) -> dict[str, list[str]]:
    """The packages of an owner by the name they are imported by: several where it could mean each of them.

    Reads the refs of this owner's packages only.
    """
    found: dict[str, list[str]] = {}
    try:
        refs = Repository().refs
    except NotFound:
        return found
    for package in refs.packages(deleted=True):
        first, name = package.split("/")
        if owner_alias(first) == owner and (refs.heads(package) or refs.tags(package) or refs.parts(package)):
            found.setdefault(alias(name), []).append(package)
    return found


class Finder(MetaPathFinder):
    """Finds what is below dpkg.data in the current store."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for names of other modules.

        Raises ModuleNotFoundError, which says what there is, for what is not installed.
        """
        parts = fullname.removeprefix(PREFIX).split(".")
        if not fullname.startswith(PREFIX) or len(parts) > 3 or any(p.startswith("__") for p in parts):
            return None
        found = owned(parts[0])
        if not found:
            raise ModuleNotFoundError(_nothing_of(parts[0]))
        if len(parts) == 1:
            return ModuleSpec(fullname, _Loader(_Owner(fullname, parts[0])), is_package=True)
        if parts[1] not in found:
            raise ModuleNotFoundError(_no_package(parts[0], parts[1], found))
        module = _Package(fullname, parts[0], parts[1])
        if len(parts) == 2:
            return ModuleSpec(fullname, _Loader(module), is_package=True)
        raise ModuleNotFoundError(_no_module(module, f"{PREFIX}{parts[0]}.{parts[1]}", parts[2]))


class _Loader(Loader):
    """Hands out a module made before."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


class _Owner(ModuleType):
    """The packages of an owner; each is opened anew at each use."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(name, f"The data packages of {owner}.")
        self.__dict__["__owner"] = owner

    def __getattr__(self, name: str) -> Node:
        if name.startswith("__"):
            raise AttributeError(name)
        owner = self.__dict__["__owner"]
        found = owned(owner)
        if name not in found:
            raise AttributeError(_no_package(owner, name, found))
        return _open(found[name])

    def __setattr__(self, name: str, value: object) -> None:
        # The import system makes a module of a package an attribute here, where it would hide later installs.
        if not isinstance(value, _Package):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted(owned(self.__dict__["__owner"]))

    def __repr__(self) -> str:
        owner = self.__dict__["__owner"]
        return "\n".join([f"<packages of {owner}>", *(f"  .{name}" for name in dir(self))])


class _Package(ModuleType):
    """A package's tree as a module, for `from dpkg.data.acme.sales import transactions`."""

    def __init__(self, name: str, owner: str, package: str) -> None:
        super().__init__(name, f"The data package {owner}/{package}.")
        self.__dict__["__place"] = (owner, package)

    def _tree(self) -> Tree:
        owner, name = self.__dict__["__place"]
        found = owned(owner)
        if name not in found:
            raise AttributeError(_no_package(owner, name, found))
        return _open(found[name])

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._tree(), name)

    def __getitem__(self, name: str) -> Node:
        return self._tree()[name]

    def __dir__(self) -> list[str]:
        return dir(self._tree())

    def __repr__(self) -> str:
        return repr(self._tree())


def _open(found: list[str]) -> Tree:
    """The one package of a list. Raises ImportError for several, and for one that cannot be opened."""
    if len(found) > 1:
        raise ImportError(f"this may be {' or '.join(found)}: open one with dpkg.load('owner/name')")
    try:
        tree = load(found[0])
    except DpkgError as e:
        raise ImportError(f"{e.message} ({e.hint})" if e.hint else e.message) from e
    assert isinstance(tree, Tree)
    return tree


def _nothing_of(owner: str) -> str:
    there = owners()
    near = f"there are packages of {', '.join(there[:10])}" if there else "nothing is installed there"
    place = settings.find_store()
    return f"no package of '{owner}' is installed in {place}; {near}; 'dpk install {owner}/NAME REMOTE' brings one"


def _no_package(owner: str, name: str, found: dict[str, list[str]]) -> str:
    more = did_you_mean(name, found, f"of {owner} there is: {', '.join(list(found)[:10]) or 'nothing'}")
    return f"no package '{owner}/{name}' is installed in {settings.find_store()}; {more}"


def _no_module(package: _Package, module: str, name: str) -> str:
    try:
        getattr(package, name)
    except AttributeError as e:
        return str(e)
    return f"'{name}' is data and not a module; write: from {module} import {name}"
