"""The rows of a CSV file as batches of strings, as Arrow's parser gives them: only nulls are decided here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pyarrow as pa
import pyarrow.csv

from dpkg.arrow.readers.csvlines import Place, explain
from dpkg.arrow.readers.textinput import NUL, BadText, TextInput
from dpkg.errors import DpkgError, Format

_BLOCK = 2 << 20
_LONGEST_ROW = 1 << 28


class Blocks:
    """Iterating gives (the number of the first row, batch); it can be done again."""

    def __init__(self, place: Place, nulls: tuple[str, ...], block: int | None) -> None:
        self._place, self._nulls = place, nulls
        self._input: TextInput | None = self._open()
        self.names = self._input.names
        self._block = block or min(max(_BLOCK, len(self.names) << 16), 8 * _BLOCK)  # many columns: not too few rows

    def _open(self) -> TextInput:
        place = self._place
        try:
            return TextInput(place.path, place.delimiter, place.encoding, place.codec)
        except BadText:
            explain(place, "not valid text")

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        block, done = self._block, 0
        while True:
            source, self._input = self._input or self._open(), None
            if source.names != self.names:
                raise Format(f"{self._place.path} was changed while it was read", "try again")
            try:
                for batch in _closed(self._batches(source, block, done)):
                    yield done, batch
                    done += batch.num_rows
                return
            except pa.ArrowInvalid as e:
                if "straddling" not in str(e):
                    raise
                block *= 8  # a row is longer than a block
                if block > _LONGEST_ROW:
                    explain(self._place, f"a row after the {done}. is longer than {_LONGEST_ROW >> 20} MiB")

    def _batches(self, source: TextInput, block: int, skip: int) -> Iterator[pa.RecordBatch]:
        """Without the first `skip` rows, and without the added last one."""
        held: pa.RecordBatch | None = None
        try:
            for batch in () if source.empty else self._parsed(source, block):
                if skip:
                    batch, skip = batch.slice(skip), max(0, skip - batch.num_rows)
                if held is not None and held.num_rows:
                    yield held
                held = batch
        finally:
            source.close()
        if held is not None and source.marked:
            held = self._unmarked(held)
        if held is not None and held.num_rows:
            yield held

    def _unmarked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        last = batch.slice(batch.num_rows - 1)
        if not last.num_rows or any(column[0].as_py() != NUL for column in last.columns):
            explain(self._place, 'a quote (") is not closed')
        return batch.slice(0, batch.num_rows - 1)

    def _parsed(self, source: TextInput, block: int) -> Iterator[pa.RecordBatch]:
        names = [str(i) for i in range(len(self.names))]
        csv = pa.csv
        convert = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(self._nulls),
            strings_can_be_null=bool(self._nulls),
            quoted_strings_can_be_null=False,
            check_utf8=False,  # the input has checked it
        )
        try:
            yield from csv.open_csv(
                pa.PythonFile(source, "r"),
                csv.ReadOptions(column_names=names, block_size=block),
                csv.ParseOptions(delimiter=self._place.delimiter, newlines_in_values=True),
                convert,
            )
        except (pa.ArrowException, BadText, OSError, DpkgError) as e:
            self._failed(source, e)

    def _failed(self, source: TextInput, e: BaseException) -> NoReturn:
        if isinstance(source.failure, BadText):
            explain(self._place, "not valid text")
        if source.failure is not None:
            raise source.failure from None
        if isinstance(e, pa.ArrowInvalid) and "straddling" not in str(e):
            explain(self._place, str(e).splitlines()[0])
        raise e


def _closed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    finally:
        batches.close()  # type: ignore[attr-defined]
