"""The tables that are checked: stored ones, fragment by fragment, or those that files would become."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from dpkg.errors import Usage, did_you_mean

if TYPE_CHECKING:
    from dpkg.arrow.readers import Source
    from dpkg.arrow.schema import Schema
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.sketches.column import ColumnProfile

T = TypeVar("T")


class Part(NamedTuple):
    """Some rows of a table: a fragment, which has an oid, or a batch. `read` gives columns as plain Arrow arrays."""

    oid: Oid | None
    rows: int
    read: Callable[[Sequence[str]], Mapping[str, Any]]


class Profiled(NamedTuple):
    """A table's schema and key, and the profiles of its columns."""

    schema: Schema
    key: tuple[str, ...]
    columns: list[ColumnProfile]


class Tables(Protocol):
    """Tables by path."""

    @property
    def paths(self) -> Sequence[str]: ...

    def parts(self, path: str, consume: Callable[[Schema, Iterator[Part]], T]) -> T:
        """`consume(schema, parts)` of a table; called again, from the start, where its types turned out to be others."""
        ...

    def profiled(self, path: str) -> Profiled:
        """A table's profile: the stored one, or made of its rows."""
        ...


class StoredTables:
    """Tables of an odb."""

    def __init__(self, odb: Odb, oids: Mapping[str, Oid]) -> None:
        self._odb, self._oids = odb, oids

    @property
    def paths(self) -> Sequence[str]:
        return list(self._oids)

    def parts(self, path: str, consume: Callable[[Schema, Iterator[Part]], T]) -> T:
        from dpkg import tables

        table = tables.read_table_object(self._odb, self._oids[path])
        schema = tables.schema_of(table)
        return consume(schema, self._fragments(table, schema))

    def profiled(self, path: str) -> Profiled:
        return profiled(self._odb, self._oids[path])

    def _fragments(self, table: Any, schema: Schema) -> Iterator[Part]:
        from dpkg import tables

        for leaf in tables.table_leaves(self._odb, table):
            for entry in leaf.entries:
                yield Part(entry.oid, entry.rows, self._reader(entry, schema))

    def _reader(self, entry: Any, schema: Schema) -> Callable[[Sequence[str]], Mapping[str, Any]]:
        from dpkg import tables

        def read(names: Sequence[str]) -> Mapping[str, Any]:
            whole = len(names) == len(schema.names)
            at = [schema.names.index(name) for name in names]
            return dict(zip(names, tables.open_fragment(self._odb, entry, schema, whole).read(at), strict=True))

        return read


class SourceTables:
    """What files would become, in the order that their tables would have; nothing is stored."""

    def __init__(self, sources: Mapping[str, tuple[Callable[[], Source], tuple[str, ...]]]) -> None:
        """For each table what opens its source, and its key."""
        self._sources = sources

    @property
    def paths(self) -> Sequence[str]:
        return list(self._sources)

    def parts(self, path: str, consume: Callable[[Schema, Iterator[Part]], T]) -> T:
        from dpkg.arrow.readers import stream

        opened, key = self._sources[path]
        source = opened()
        try:
            return stream(source, lambda arrow, batches: consume(*_rows(arrow, batches, key)))
        finally:
            source.close()

    def profiled(self, path: str) -> Profiled:
        from dpkg.arrow.profile import of_batches

        def consume(schema: Schema, parts: Iterator[Part]) -> Profiled:
            rows = ([columns[n] for n in schema.names] for part in parts if (columns := part.read(schema.names)))
            return Profiled(schema, self._sources[path][1], of_batches(rows, schema))

        return self.parts(path, consume)


def profiled(odb: Odb, oid: Oid) -> Profiled:
    """The profile of a stored table."""
    from dpkg import profiles, tables

    table = tables.read_table_object(odb, oid)
    found = profiles.of_table(odb, table)
    assert found is not None
    return Profiled(tables.schema_of(table), table.key, found)


def _rows(arrow: Any, batches: Iterator[Any], key: tuple[str, ...]) -> tuple[Schema, Iterator[Part]]:
    from dpkg.tables import plain_rows

    schema, plain = plain_rows(arrow, batches, key)
    return schema, (Part(None, batch.num_rows, _columns(batch)) for batch in plain)


def _columns(batch: Any) -> Callable[[Sequence[str]], Mapping[str, Any]]:
    return lambda names: {name: batch.column(name) for name in names}


def find(tables: Tables, path: str, name: str) -> str:
    """The path of a table that a rule of `path` names: from the root, or beside it. Raises Usage."""
    beside = "/".join([*path.split("/")[:-1], name])
    for one in (name, beside):
        if one in tables.paths:
            return one
    hint = did_you_mean(name, tables.paths, f"tables: {', '.join(list(tables.paths)[:20])}")
    raise Usage(f"there is no table '{name}'", hint)
