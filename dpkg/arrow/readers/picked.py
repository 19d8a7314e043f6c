"""Some columns of a source, in an order of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from dpkg.arrow.options import Widened
from dpkg.arrow.readers.base import Lines, Source, lines_of
from dpkg.arrow.schema import no_column


class Picked:
    """A `Source` of the columns `names` of another."""

    def __init__(self, source: Source, names: tuple[str, ...], where: str) -> None:
        self._source, self._names, self._where = source, list(names), where

    @property
    def schema(self) -> pa.Schema:
        """Raises Usage for a column that is not there."""
        found = self._source.schema
        for name in self._names:
            if name not in found.names:
                raise no_column(name, found.names, self._where)
        return pa.schema([found.field(name) for name in self._names])

    @property
    def widened(self) -> list[Widened]:
        return [w for w in self._source.widened if w.column in self._names]

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches():
            yield batch.select(self._names)

    def lines(self, rows: Sequence[int]) -> Lines:
        return lines_of(self._source, rows)

    def close(self) -> None:
        self._source.close()
