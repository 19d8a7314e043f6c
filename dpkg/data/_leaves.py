"""Tables and files of packages as Python objects."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from dpkg.command import clean, count, shorten
from dpkg.data._base import SHOWN, Node, aligned
from dpkg.errors import Usage

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from dpkg.objects.node import TreeEntry
    from dpkg.objects.table import Table as TableObject
    from dpkg.oid import Oid
    from dpkg.repository import Repository


class Table(Node):
    """A table. Calling it gives a pandas DataFrame; every column that is read is verified."""

    __slots__ = ("_object",)

    def __init__(self, repository: Repository, base: str, commit: Oid, path: str, entry: TreeEntry) -> None:
        super().__init__(repository, base, commit, path, entry)
        self._object: TableObject | None = None

    def _table(self) -> TableObject:
        from dpkg import tables

        if self._object is None:
            self._object = tables.read_table_object(self._repository.odb, self.oid)
        return self._object

    def __call__(self, columns: Sequence[str] | None = None, filter: Any = None) -> pandas.DataFrame:
        """The table as a pandas DataFrame; `columns` and `filter` as in `scan`."""
        frame: pandas.DataFrame = self.arrow(columns, filter).to_pandas()
        return frame

    def arrow(self, columns: Sequence[str] | None = None, filter: Any = None) -> pyarrow.Table:
        """The table as a pyarrow Table; `columns` and `filter` as in `scan`."""
        from dpkg import tables

        return tables.as_table(list(self.scan(columns, filter)), tables.user_schema(self._table(), columns))

    def scan(self, columns: Sequence[str] | None = None, filter: Any = None) -> Iterator[pyarrow.RecordBatch]:
        """Record batches in row order.

        Only the columns asked for (and those the filter needs) are read, and only fragments that can match. `filter`
        is a pyarrow.compute expression, `("column", ">", 5)`, or a list of such tuples. Raises Usage, Corrupt.
        """
        from dpkg import tables

        tables.user_schema(self._table(), columns)  # an unknown column is an error now, not at the first batch
        return tables.scan(self._repository.odb, self._table(), columns, filter)

    def head(self, n: int = 5) -> pandas.DataFrame:
        """The first `n` rows as a pandas DataFrame; no more fragments are read than hold them. Raises Usage."""
        from dpkg import tables

        if n < 0:
            raise Usage("a number of rows is not negative")
        frame: pandas.DataFrame = tables.head(self._repository.odb, self._table(), min(n, len(self))).to_pandas()
        return frame

    @property
    def schema(self) -> pyarrow.Schema:
        """The Arrow schema that `arrow` and `scan` give."""
        from dpkg import tables

        return tables.user_schema(self._table())

    @property
    def columns(self) -> list[str]:
        """Column names."""
        return list(self._table().names)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._entry.rows, len(self.columns)

    def __len__(self) -> int:
        return self._entry.rows

    def _columns(self) -> list[tuple[str, str, str]]:
        """Name, type, and whether it is of the key, of the first columns."""
        from dpkg.objects.typetext import type_text

        table = self._table()
        return [(clean(n), type_text(t), "key" if n in table.key else "") for n, t in table.schema[:SHOWN]]

    def _facts(self) -> str:
        rows, columns = self.shape
        return f"{count(rows, 'row')} × {count(columns, 'column')}, {shorten(self.nbytes)}"

    def _more(self) -> list[str]:
        return [f"… and {len(self.columns) - SHOWN:,} more"] if len(self.columns) > SHOWN else []

    def __repr__(self) -> str:
        rows = [("", *row) for row in self._columns()]
        use = "call it for a DataFrame; .arrow(), .scan(columns=, filter=), .head()"
        return "\n".join([self._title(self._facts()), *aligned(rows), *(f"  {text}" for text in [*self._more(), use])])

    def _repr_html_(self) -> str:
        cell = "<td style='text-align:left'>{}</td>"
        lines = ["".join(cell.format(html.escape(text)) for text in row) for row in self._columns()]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        more = "".join(f"<p>{text}</p>" for text in self._more())
        return f"<b>{html.escape(clean(self.expr))}</b> {self._facts()}<table>{body}</table>{more}"


class Blob(Node):
    """A file. `read` gives its bytes, `text` its text, `save` writes it."""

    __slots__ = ()

    def read(self) -> bytes:
        """All bytes, verified."""
        return b"".join(self.chunks())

    def text(self, encoding: str = "utf-8") -> str:
        """The bytes as text."""
        return self.read().decode(encoding)

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces, for files larger than memory; verified before the last piece."""
        return self._repository.odb.iter_blob(self.oid)

    def open(self) -> BinaryIO:
        """The blob as a file to read and seek in, as pandas and pyarrow take it: only the parts that are read are got.

        Each part is verified as it is read.
        """
        return self._repository.odb.open_blob(self.oid)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file to `path`, which appears whole or not at all. Raises Storage."""
        from dpkg.rowstream import write_whole

        write_whole(os.fspath(path), self.chunks())

    def __call__(self) -> bytes:
        """All bytes."""
        return self.read()

    def __len__(self) -> int:
        return self._entry.bytes

    def __repr__(self) -> str:
        return f"{self._title(shorten(self.nbytes))}  .read(), .text(), .open(), .save(path)"
