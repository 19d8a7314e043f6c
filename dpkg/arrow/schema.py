"""A table's schema: column names and canonical types, and their digest (spec/types.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from dpkg.arrow.types import Type, from_field, from_json, name_of, unique_names
from dpkg.errors import Format, Usage, did_you_mean
from dpkg.objects import canonical_json
from dpkg.oid import Oid, digest


@dataclass(frozen=True)
class Schema:
    """Names and canonical types of a table's columns, in order."""

    names: tuple[str, ...]
    types: tuple[Type, ...]

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Schema:
        """The canonical schema of an Arrow schema. Raises Format for what is refused (TYPE-5)."""
        names = unique_names([name_of(f) for f in schema], "table")
        if not names:
            raise Format("a table without columns is not supported", "keep the file as a blob")
        return cls(names, tuple(from_field(f) for f in schema))

    @classmethod
    def from_json(cls, value: Any) -> Schema:
        """The schema written as `[[name,T],…]`. Raises Format."""
        if not isinstance(value, list) or not value:
            raise Format("a schema is a list of [name, type] that is not empty")
        if not all(isinstance(f, list) and len(f) == 2 and isinstance(f[0], str) for f in value):
            raise Format("a schema is a list of [name, type]")
        return cls(unique_names((f[0] for f in value), "table"), tuple(from_json(f[1]) for f in value))

    @property
    def json(self) -> list[Any]:
        return [[n, t.json] for n, t in zip(self.names, self.types, strict=True)]

    @cached_property
    def digest(self) -> Oid:
        """TYPE-7."""
        return digest("schema", canonical_json.encode(self.json))

    @cached_property
    def plain(self) -> pa.Schema:
        """Arrow schema of the values dpkg computes with (storage in place of extensions)."""
        return pa.schema([pa.field(n, t.plain) for n, t in zip(self.names, self.types, strict=True)])

    @cached_property
    def arrow(self) -> pa.Schema:
        """Arrow schema that a reader returns."""
        return pa.schema([t.field(n) for n, t in zip(self.names, self.types, strict=True)])

    @cached_property
    def leaves(self) -> list[list[tuple[str, Type]]]:
        """Parquet's leaf columns below each column, as path and type."""
        from dpkg.arrow.encodings import leaves

        return [list(leaves(t, (n,))) for n, t in zip(self.names, self.types, strict=True)]

    def select(self, names: list[str]) -> Schema:
        """The schema of some columns, in the order given. Raises KeyError for an unknown one."""
        at = {n: i for i, n in enumerate(self.names)}
        return Schema(tuple(names), tuple(self.types[at[n]] for n in names))


def no_column(name: str, names: Sequence[str], where: str = "") -> Usage:
    """The error on a column that is not among those of a table."""
    message = f"{where} has no column '{name}'" if where else f"there is no column '{name}'"
    return Usage(message, did_you_mean(name, names, f"columns: {', '.join(names[:20])}"))
