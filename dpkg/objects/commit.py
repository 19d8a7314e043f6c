"""A commit: a tree, the commits it came from, and who made it, when, why and how (spec/objects.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.errors import Format
from dpkg.objects import canonical_json
from dpkg.oid import Oid, digest

if TYPE_CHECKING:
    from typing import Any

_TYPES: dict[str, type] = {
    "author": str,
    "checks": list,
    "message": str,
    "parents": list,
    "provenance": dict,
    "time": int,
    "tree": str,
}


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. Only `tree` is data (OBJ-4)."""

    tree: Oid
    parents: tuple[Oid, ...]  # the first is the previous commit of the branch
    author: str
    time: int  # seconds since 1970-01-01 UTC
    message: str
    provenance: dict[str, Any]
    checks: list[Any]

    def encode(self) -> bytes:
        """Canonical JSON. Raises Format where it has none, or where a member is wrong."""
        value = {
            "author": self.author,
            "checks": self.checks,
            "message": self.message,
            "parents": [Oid(parent) for parent in self.parents],
            "provenance": self.provenance,
            "time": self.time,
            "tree": str(Oid(self.tree)),
        }
        _check(canonical_json.members(value, "commit", _TYPES))
        return canonical_json.encode(value)

    @classmethod
    def decode(cls, data: bytes) -> Commit:
        """The commit that `data` spells. Raises Format, whatever the bytes, if it is none."""
        value = _check(canonical_json.members(canonical_json.decode(data), "commit", _TYPES))
        value["tree"] = Oid(value["tree"])
        value["parents"] = tuple(map(Oid, value["parents"]))
        return cls(**value)

    @property
    def oid(self) -> Oid:
        return digest("commit", self.encode())


def _check(value: dict[str, Any]) -> dict[str, Any]:
    parents = value["parents"]
    if not all(isinstance(parent, str) for parent in parents):
        raise Format("a parent of a commit is not a string")
    if len(set(parents)) != len(parents):
        raise Format("a commit names the same parent twice")
    return value
