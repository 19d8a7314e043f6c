"""CSV and TSV as typed batches. The types are those of whole columns [TXT-1]: a pass starts with what the first 1,000
rows suggest; where that turns out too narrow, the rest of the pass only infers, and a second pass gives the values."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.csv

from dpkg.arrow.options import ColumnRule, ReadOptions, Widened
from dpkg.arrow.readers.base import Restart, label, rules_of
from dpkg.arrow.readers.csvchunks import Chunks
from dpkg.arrow.readers.csvlines import Chunk, Place
from dpkg.arrow.readers.declared import Converter, converter, type_of
from dpkg.arrow.readers.encodings import is_utf8
from dpkg.arrow.readers.kinds import START, State
from dpkg.arrow.readers.refusals import refused
from dpkg.arrow.readers.texts import convert, first_bad, widen
from dpkg.errors import DpkgError, Format

SUGGEST = 1000  # rows
AHEAD = 3  # chunks
_BOM = b"\xef\xbb\xbf"
Parsed = tuple[Chunk, pa.RecordBatch]


@dataclass
class _Column:
    name: str
    declared: tuple[pa.DataType, Converter] | None
    format: str | None = None
    state: State = START
    first: pa.DataType = None
    widest: tuple[int, str, str] | None = (
        None  # line, text and file of what brought it to its state, after the first rows
    )

    @property
    def type(self) -> pa.DataType:
        return self.declared[0] if self.declared else self.state.type


@dataclass
class _Outcome:
    """What a chunk became under the states of its time; None for columns with a text that did not fit."""

    chunk: Chunk
    states: list[State]
    raw: pa.RecordBatch = None
    arrays: list[pa.Array | None] = field(default_factory=list)
    big: list[bool] = field(default_factory=list)


class CsvSource:
    """A `Source` of one file, or of several as if they were one after the other: `part` is the one that the last batch
    is from. `block`, the size of what is parsed at once, changes nothing but memory and time."""

    def __init__(self, place: Place | Sequence[Place], options: ReadOptions, block: int | None = None) -> None:
        places = [place] if isinstance(place, Place) else place
        place = self._place = places[0]
        self.part, self._many = 0, len(places) > 1
        self._chunks = Chunks(places, block)
        self._parser = _Parser(len(self._chunks.names), place, options.nulls)
        names = self._chunks.names
        rules = rules_of(options, names, place.path)
        self._columns = [_Column(r.name or name, _declared(r), r.format) for name, r in zip(names, rules, strict=True)]
        self._head: Iterator[Chunk] | None = None
        self._suggested = self._final = False
        self._widened: list[Widened] = []

    @property
    def schema(self) -> pa.Schema:
        """What the first rows suggest; after a pass, or a `Restart`, the final one."""
        if not self._suggested:
            self._head = self._suggest(iter(self._chunks))
        return pa.schema([(c.name, c.type) for c in self._columns])

    @property
    def widened(self) -> list[Widened]:
        return self._widened

    def close(self) -> None:
        self._head = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises `Restart` once if the first rows suggested too narrow types."""
        schema = self.schema
        chunks, self._head = self._head or iter(self._chunks), None
        with pool() as threads:
            outcomes = self._outcomes(chunks, threads)
            for outcome in outcomes:
                if None in outcome.arrays:
                    self._infer(itertools.chain((outcome,), outcomes))
                    raise Restart
                for column, big in zip(self._columns, outcome.big, strict=True):
                    column.state = State(column.state.kind, column.state.big or big)
                self.part = outcome.chunk.place.part
                yield pa.RecordBatch.from_arrays(outcome.arrays, schema=schema)
        self._final = True

    def lines(self, rows: Sequence[int]) -> dict[int, tuple[str, int]]:
        """The file and line on which some rows start, the first being row 0. Reads up to the last of them, for messages."""
        out: dict[int, tuple[str, int]] = {}
        start = 0
        for chunk in self._chunks if rows else ():
            count = self._parser.parse(chunk).num_rows
            found = chunk.lines(row - start for row in rows if start <= row < start + count)
            out |= {start + row: (chunk.place.path, line) for row, line in found.items()}
            start += count
            if len(out) == len(set(rows)):
                break
        return out

    def _suggest(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Takes the state of the first rows; the chunks again, from the start."""
        held, left = [], SUGGEST
        for chunk in chunks:
            held.append(chunk)
            raw = self._parser.parse(chunk).slice(0, left)
            left -= raw.num_rows
            for column, cells in zip(self._columns, raw.columns, strict=True):
                for _, state in widen(column.state, cells) if not column.declared else ():
                    column.state = state
            if not left:
                break
        for column in self._columns:
            column.first = column.type
        self._suggested = True
        return itertools.chain(held, chunks)

    def _outcomes(self, chunks: Iterator[Chunk], threads: ThreadPoolExecutor) -> Iterator[_Outcome]:
        """In order, a few ahead. Errors too come in order."""
        pending: deque[Future[_Outcome]] = deque()
        failure: DpkgError | None = None
        while failure is None:
            try:
                chunk = next(chunks, None)
            except DpkgError as e:
                chunk, failure = None, e
            if chunk is None:
                break
            pending.append(threads.submit(self._convert, _Outcome(chunk, [c.state for c in self._columns])))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failure is not None:
            raise failure

    def _convert(self, outcome: _Outcome) -> _Outcome:
        outcome.raw = self._parser.parse(outcome.chunk)
        for column, state, cells in zip(self._columns, outcome.states, outcome.raw.columns, strict=True):
            values, big = (column.declared[1](cells), False) if column.declared else convert(state, cells)
            outcome.arrays.append(values)
            outcome.big.append(big)
        return outcome

    def _infer(self, outcomes: Iterator[_Outcome]) -> None:
        """To the end of the file, for the final states only."""
        for outcome in outcomes:
            self._refuse(outcome)
            self._absorb(outcome)
        self._widened = [Widened(c.name, label(c.first), label(c.type), *c.widest) for c in self._columns if c.widest]
        self._final = True

    def _absorb(self, outcome: _Outcome) -> None:
        """Widens the states by what is in a chunk."""
        wider: dict[int, int] = {}  # column to row
        for i, column in enumerate(self._columns):
            if column.declared:
                continue
            if outcome.arrays[i] is not None and outcome.states[i].kind is column.state.kind:
                column.state = State(column.state.kind, column.state.big or outcome.big[i])
                continue
            for row, state in widen(column.state, outcome.raw.column(i)):
                if state.type != column.type:
                    wider[i] = row
                column.state = state
        lines = outcome.chunk.lines(wider.values()) if wider else {}
        file = outcome.chunk.place.path if self._many else ""
        for i, row in wider.items():
            self._columns[i].widest = (lines[row], outcome.raw.column(i)[row].as_py(), file)

    def _refuse(self, outcome: _Outcome) -> None:
        """Raises Format for the first cell that does not fit what is declared."""
        found: list[tuple[int, int]] = []
        for i, (column, values) in enumerate(zip(self._columns, outcome.arrays, strict=True)):
            if values is None and column.declared:
                make = column.declared[1]
                row = first_bad(lambda part, make=make: make(part) is not None, outcome.raw.column(i))  # type: ignore[misc]
                found.append((row, i))
            elif values is None and self._final:
                raise Format(f"{outcome.chunk.place.path} was changed while it was read", "try again")
        for row, i in sorted(found)[:1]:
            where = f"{outcome.chunk.place.path}, line {outcome.chunk.lines([row])[row]}"
            column, cell = self._columns[i], outcome.raw.column(i)[row].as_py()
            raise refused(where, column.name, cell, column.type, column.format)


class _Parser:
    """Arrow's parser over a chunk: every cell a string, only nulls are decided."""

    def __init__(self, width: int, place: Place, nulls: tuple[str, ...]) -> None:
        csv = pa.csv
        self._names = [str(i) for i in range(width)]
        self._parse = csv.ParseOptions(
            delimiter=place.delimiter, quote_char=place.quote or False, newlines_in_values=True
        )
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(self._names, pa.string()),
            null_values=list(nulls),
            strings_can_be_null=bool(nulls),
            quoted_strings_can_be_null=False,
            check_utf8=False,
        )

    def parse(self, chunk: Chunk) -> pa.RecordBatch:
        """Raises Format for what is not CSV, or not text."""
        data = chunk.data
        if not is_utf8(data):
            chunk.explain(len(self._names), "not valid text")
        view = memoryview(data).cast("B")
        if view[0] == _BOM[0]:
            data = pa.py_buffer(b"\n" + bytes(view))  # Arrow would take a mark here, which is text, for the file's
        if view[-1] not in b"\r\n":
            data = pa.py_buffer(
                data.to_pybytes() + b"\n"
            )  # or it takes an empty last cell for quoted as the one before
        read = pa.csv.ReadOptions(use_threads=False, block_size=data.size + 1, column_names=self._names)
        try:
            table = pa.csv.read_csv(pa.BufferReader(data), read, self._parse, self._convert)
        except pa.ArrowInvalid as e:
            chunk.explain(len(self._names), str(e).splitlines()[0])
        batch = table.combine_chunks().to_batches()[0]
        return batch if chunk.place.order is None else batch.select(list(chunk.place.order))


def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="dpkg-read")


def _declared(rule: ColumnRule) -> tuple[pa.DataType, Converter] | None:
    kind = type_of(rule)
    return None if kind is None else (kind, converter(kind, rule.format))
