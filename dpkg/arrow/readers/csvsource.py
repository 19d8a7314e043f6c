"""CSV and TSV as typed batches. The types are those of whole columns [TXT-1]: a pass starts with what the first 1,000
rows suggest; where that turns out too narrow, the rest of the pass only infers, and a second pass gives the values."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from dpkg.arrow.readers.base import ColumnRule, ReadOptions, Restart, Widened, label, rules_of
from dpkg.arrow.readers.csvblocks import Blocks
from dpkg.arrow.readers.csvlines import Place, lines_of
from dpkg.arrow.readers.declared import Converter, converter, type_of
from dpkg.arrow.readers.kinds import START, State
from dpkg.arrow.readers.texts import convert, first_bad, widen
from dpkg.errors import Format

SUGGEST = 1000  # rows
AHEAD = 2  # blocks
Numbered = tuple[int, pa.RecordBatch]


@dataclass
class _Column:
    name: str
    declared: tuple[pa.DataType, Converter] | None
    state: State = START
    first: pa.DataType = None
    widest: tuple[int, str] | None = None  # the row and the text that brought it to its state, after the first rows

    @property
    def type(self) -> pa.DataType:
        return self.declared[0] if self.declared else self.state.type


@dataclass
class _Outcome:
    """What one block became under the states of its time; None for columns with a text that did not fit."""

    row: int
    raw: pa.RecordBatch
    states: list[State]
    arrays: list[pa.Array | None] = field(default_factory=list)
    big: list[bool] = field(default_factory=list)


class CsvSource:
    """A `Source`. `block`, the size of what is parsed at once, changes nothing but memory and time."""

    def __init__(self, place: Place, options: ReadOptions, block: int | None = None) -> None:
        self._place = place
        self._blocks = Blocks(place, options.nulls, block)
        names = self._blocks.names
        rules = rules_of(options, names, place.path)
        self._columns = [_Column(r.name or name, _declared(r)) for name, r in zip(names, rules, strict=True)]
        self._head: Iterator[Numbered] | None = None
        self._suggested = self._final = False
        self._widened: list[Widened] = []

    @property
    def schema(self) -> pa.Schema:
        """What the first rows suggest; after a pass, or a `Restart`, the final one."""
        if not self._suggested:
            self._head = self._suggest(iter(self._blocks))
        return pa.schema([(c.name, c.type) for c in self._columns])

    @property
    def widened(self) -> list[Widened]:
        return self._widened

    def close(self) -> None:
        self._head = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises `Restart` once if the first rows suggested too narrow types."""
        schema = self.schema
        blocks, self._head = self._head or iter(self._blocks), None
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            outcomes = self._outcomes(blocks, pool)
            for outcome in outcomes:
                if None in outcome.arrays:
                    self._infer(itertools.chain((outcome,), outcomes))
                    raise Restart
                for column, big in zip(self._columns, outcome.big, strict=True):
                    column.state = State(column.state.kind, column.state.big or big)
                yield pa.RecordBatch.from_arrays(outcome.arrays, schema=schema)
        self._final = True

    def _suggest(self, blocks: Iterator[Numbered]) -> Iterator[Numbered]:
        """Takes the state of the first rows; the blocks again, from the start."""
        held, rows = [], 0
        for numbered in blocks:
            held.append(numbered)
            rows += numbered[1].num_rows
            if rows >= SUGGEST:
                break
        for i, column in enumerate(self._columns):
            left = 0 if column.declared else SUGGEST
            for _, raw in held:
                cells = raw.column(i).slice(0, left)
                left -= len(cells)
                for _, state in widen(column.state, cells):
                    column.state = state
            column.first = column.type
        self._suggested = True
        return itertools.chain(held, blocks)

    def _outcomes(self, blocks: Iterator[Numbered], pool: ThreadPoolExecutor) -> Iterator[_Outcome]:
        """In order, a few blocks ahead."""
        pending: deque[Future[_Outcome]] = deque()
        for row, raw in blocks:
            pending.append(pool.submit(self._convert, _Outcome(row, raw, [c.state for c in self._columns])))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _convert(self, outcome: _Outcome) -> _Outcome:
        for column, state, cells in zip(self._columns, outcome.states, outcome.raw.columns, strict=True):
            values, big = (column.declared[1](cells), False) if column.declared else convert(state, cells)
            outcome.arrays.append(values)
            outcome.big.append(big)
        return outcome

    def _infer(self, outcomes: Iterator[_Outcome]) -> None:
        """To the end of the file, for the final states only."""
        for outcome in outcomes:
            self._refuse(outcome)
            for i, column in enumerate(self._columns):
                self._absorb(column, outcome, i)
        lines = lines_of({c.widest[0] for c in self._columns if c.widest}, self._place)
        self._widened = [
            Widened(c.name, label(c.first), label(c.type), lines.get(c.widest[0], 0), c.widest[1])
            for c in self._columns
            if c.widest
        ]
        self._final = True

    def _absorb(self, column: _Column, outcome: _Outcome, i: int) -> None:
        if column.declared:
            return
        if outcome.arrays[i] is not None and outcome.states[i].kind is column.state.kind:
            column.state = State(column.state.kind, column.state.big or outcome.big[i])
            return
        cells = outcome.raw.column(i)
        for place, state in widen(column.state, cells):
            if state.type != column.type:
                column.widest = (outcome.row + place, cells[place].as_py())
            column.state = state

    def _refuse(self, outcome: _Outcome) -> None:
        """Raises Format for the first cell that does not fit what is declared."""
        found: list[tuple[int, int]] = []
        for i, column in enumerate(self._columns):
            if outcome.arrays[i] is None and column.declared:
                make = column.declared[1]
                found.append((first_bad(lambda part, make=make: make(part) is not None, outcome.raw.column(i)), i))  # type: ignore[misc]
            elif outcome.arrays[i] is None and self._final:
                raise Format(f"{self._place.path} was changed while it was read", "try again")
        for place, i in sorted(found)[:1]:
            row, text = outcome.row + place, outcome.raw.column(i)[place].as_py()
            line = lines_of({row}, self._place).get(row, 0)
            raise refused(f"{self._place.path}, line {line}", self._columns[i].name, text, self._columns[i].type)


def _declared(rule: ColumnRule) -> tuple[pa.DataType, Converter] | None:
    kind = type_of(rule)
    return None if kind is None else (kind, converter(kind, rule.format))


def refused(where: str, column: str, value: object, kind: pa.DataType) -> Format:
    """A value that is not of the declared type."""
    text = str(value)
    shown = text if len(text) <= 60 else text[:57] + "…"
    hint = "name it among the null spellings if it stands for no value, or declare another type"
    return Format(f"{where}, column '{column}': '{shown}' is not {label(kind)}", hint)
