"""Table objects (spec/objects.md): a schema, the root of the fragments' index, and the parameters that cut them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.errors import Format
from dpkg.objects import canonical_json
from dpkg.oid import Oid, digest

if TYPE_CHECKING:
    from typing import Any

Bytes = bytes  # in the class below `bytes` is a member
_MEMBERS = {"bytes", "fragments", "key", "rows", "schema", "target_rows"}


@dataclass(frozen=True, slots=True)
class Table:
    """`schema` is the canonical JSON `[[name, type], …]`; dpkg.arrow.schema gives it meaning."""

    schema: list[Any]
    key: tuple[str, ...]
    target_rows: int
    rows: int
    bytes: int
    fragments: Oid

    def encode(self) -> Bytes:
        return canonical_json.encode(
            {
                "bytes": self.bytes,
                "fragments": self.fragments,
                "key": list(self.key),
                "rows": self.rows,
                "schema": self.schema,
                "target_rows": self.target_rows,
            }
        )

    @property
    def oid(self) -> Oid:
        return digest("table", self.encode())

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return [name for name, _ in self.schema]

    @classmethod
    def decode(cls, data: Bytes) -> Table:
        """The table written as `data`. Raises Format. The types in `schema` are checked where they are used."""
        v = canonical_json.decode(data)
        if not isinstance(v, dict) or set(v) != _MEMBERS:
            raise Format("a table object has unknown or missing members")
        counts = (v["target_rows"], v["rows"], v["bytes"])
        if any(type(n) is not int or n < 0 for n in counts) or not isinstance(v["fragments"], str):
            raise Format("a table object has a count or an oid that is none")
        schema, key = v["schema"], v["key"]
        if not isinstance(schema, list) or not all(
            isinstance(f, list) and len(f) == 2 and isinstance(f[0], str) for f in schema
        ):
            raise Format("a table object has no schema")
        names = {f[0] for f in schema}
        if not schema or len(names) != len(schema):
            raise Format("a table's columns are none, or two of one name")
        if (
            not isinstance(key, list)
            or any(not isinstance(k, str) or k not in names for k in key)
            or len(set(key)) != len(key)
        ):
            raise Format("a table's key is not of its columns")
        target = v["target_rows"]
        if target & (target - 1) or not 4 <= target <= 1 << 20:
            raise Format("a table's target_rows is not a power of two from 4 to 2^20")
        return cls(schema, tuple(key), target, v["rows"], v["bytes"], Oid(v["fragments"]))
