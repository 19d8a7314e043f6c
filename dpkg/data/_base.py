"""What the nodes of packages have in common."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dpkg.command import clean, grid

if TYPE_CHECKING:
    from dpkg.objects.node import TreeEntry
    from dpkg.oid import Oid
    from dpkg.repository import Repository

SHOWN = 30  # children or columns listed in a repr


class Node:
    """What trees, tables and blobs have in common.

    Equal if their objects are; a pickle holds the store's place and the commit.
    """

    __slots__ = ("_base", "_commit", "_entry", "_path", "_repository")

    def __init__(self, repository: Repository, base: str, commit: Oid, path: str, entry: TreeEntry) -> None:
        self._repository, self._base, self._commit = repository, base, commit
        self._path, self._entry = path, entry

    @property
    def expr(self) -> str:
        """The package expression of this node, its commit fixed."""
        return f"{self._base}/{self._path}" if self._path else self._base

    @property
    def oid(self) -> Oid:
        """The object id; of a package, its tophash."""
        return self._entry.oid

    @property
    def nbytes(self) -> int:
        """Bytes of a blob, row bytes of tables."""
        return self._entry.bytes

    @property
    def metadata(self) -> Any:
        """User metadata, or None."""
        meta = self._entry.meta
        return json.loads(self._repository.odb.read(meta, "blob")) if meta else None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Node) and self.oid == other.oid

    def __hash__(self) -> int:
        return hash(self.oid)

    def __reduce__(self) -> tuple[Any, ...]:
        from dpkg.data._node import _reopen  # which knows what is below this one

        return _reopen, (self._repository.url, self._base, str(self._commit), self._path)

    def _title(self, *facts: str) -> str:
        return f"<{clean(self.expr)}  {', '.join(facts)}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def aligned(rows: Sequence[tuple[str, ...]], right: str = "") -> list[str]:
    """Rows as aligned lines of plain text."""
    return ["".join(line) for made in grid(rows, right=right) for line in made.lines()]  # type: ignore[arg-type]
