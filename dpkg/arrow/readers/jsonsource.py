"""JSON lines, or a list of records, as a `Source`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.options import ColumnRule, ReadOptions, Widened
from dpkg.arrow.readers.base import label, rules_of
from dpkg.arrow.readers.csvsource import SUGGEST, pool
from dpkg.arrow.readers.declared import converter, type_of
from dpkg.arrow.readers.jsonlines import (
    Lines,
    Mixture,
    boolean,
    checked,
    in_order,
    join,
    lines_in,
    parsed,
    plain,
    unboolean,
)
from dpkg.arrow.readers.jsonshape import Shapes
from dpkg.arrow.readers.jsonvalues import Number, values_of
from dpkg.arrow.readers.refusals import refused
from dpkg.arrow.readers.texts import EXACT, first_bad
from dpkg.errors import Format

_BLOCK = 4 << 20
Types = dict[str, pa.DataType]


class JsonSource:
    """A `Source` of one file, or of several as if they were one after the other: `part` is the one that the last batch
    is from."""

    def __init__(
        self,
        path: str | Sequence[str],
        options: ReadOptions,
        codec: str | None = None,
        block: int = _BLOCK,
        reader: Callable[[str, str, str | None, int, int], Iterator[Lines]] = lines_in,
    ) -> None:
        self._paths = [path] if isinstance(path, str) else list(path)
        self._path, self._options, self._codec, self._block = self._paths[0], options, codec, block
        self._reader, self.part = reader, 0
        self._declared = {name: rule for name, rule in options.schema.items() if type_of(rule) is not None}
        self._types: Types | None = None
        self._by_hand: set[str] = set()  # declared columns that Arrow's reader does not take
        self._widened: list[Widened] = []

    @property
    def schema(self) -> pa.Schema:
        """Known after a first pass, which this makes."""
        rules = self._rules()
        return pa.schema(
            [(r.name or n, type_of(r) or t) for (n, t), r in zip(self._known().items(), rules, strict=True)]
        )

    @property
    def widened(self) -> list[Widened]:
        self._known()
        return self._widened

    def close(self) -> None:
        pass

    def batches(self) -> Iterator[pa.RecordBatch]:
        types, schema, rules = self._known(), self.schema, self._rules()
        natural = pa.schema([(n, boolean(t)) for n, t in types.items() if n not in self._by_hand])
        others = "ignore" if self._by_hand else "error"

        def work(lines: Lines) -> pa.RecordBatch:
            table = self._parse(lines, natural, others)
            objects = [members for _, members in lines.objects()] if self._by_hand else []
            columns = []
            for (name, kind), rule in zip(types.items(), rules, strict=True):
                if name in self._by_hand:
                    columns.append(_by_hand(lines, name, [members.get(name) for members in objects], rule))
                else:
                    columns.append(_column(lines, name, unboolean(_whole(table[name]), kind), rule))
            return pa.RecordBatch.from_arrays(columns, schema=schema)

        with pool() as threads:
            for lines, batch in in_order(threads, work, self._lines()):
                if batch.num_rows:
                    self.part = lines.part
                    yield batch

    def lines(self, rows: Sequence[int]) -> dict[int, tuple[str, int]]:
        """The file and line of some rows, the first being row 0. Reads up to the last of them, for messages."""
        numbers = ((lines.path, number) for lines in self._lines() for number, _ in lines)
        wanted, last = set(rows), max(rows, default=-1)
        return {row: line for row, line in enumerate(islice(numbers, last + 1)) if row in wanted}

    def _lines(self) -> Iterator[Lines]:
        for part, path in enumerate(self._paths):
            yield from self._reader(path, self._options.encoding, self._codec, self._block, part)

    def _rules(self) -> list[ColumnRule]:
        return rules_of(self._options, list(self._known()), self._path)

    def _known(self) -> Types:
        if self._types is None:
            self._types = self._infer()
            self._by_hand |= {n for n, t in self._types.items() if n in self._declared and not self._takes(n, t)}
            self._widened = self._find_widened(self._types)
        return self._types

    def _takes(self, name: str, found: pa.DataType) -> bool:
        """Whether a declared type can be made of what Arrow's reader gives."""
        t, wanted = pa.types, type_of(self._declared[name])
        if t.is_null(found) or t.is_string(found):
            return not t.is_nested(wanted)
        both = [all(of(k) for k in (found, wanted)) for of in (t.is_boolean, t.is_integer)]
        return any(both) or (found in (pa.int64(), pa.float64()) and wanted == pa.float64())

    def _infer(self) -> Types:
        joined: Types = {}
        with pool() as threads:
            for _, types in in_order(threads, self._block_types, self._lines()):
                for name, kind in types.items():
                    try:
                        joined[name] = join(joined.get(name, pa.null()), kind)
                    except Mixture:
                        if name not in self._declared:
                            self._explain()
                        self._by_hand.add(name)
        if not joined:
            raise Format(f"{self._path} holds no members, so no columns", "each line holds one JSON object")
        return joined

    def _block_types(self, lines: Lines) -> Types:
        try:
            return {f.name: plain(f.type) for f in parsed(checked(lines), None, "infer").schema}
        except pa.ArrowInvalid as e:
            problem = Format(f"{lines.where(lines.start)} or after: {e}")
        shapes = self._shapes()
        try:
            for line, members in lines.objects():
                shapes.add(members, lines.spot(line))
        except Format as e:
            self._explain()  # the first lines of the file that do not go together, not those of this block
            raise e
        if not self._declared:
            raise problem
        self._by_hand |= self._declared.keys()
        return shapes.types()

    def _shapes(self) -> Shapes:
        return Shapes(set(self._declared))

    def _explain(self) -> None:
        """Raises Format if values anywhere in the file do not go together, naming both lines."""
        shapes = self._shapes()
        for lines in self._lines():
            for line, members in lines.objects():
                shapes.add(members, lines.spot(line))

    def _parse(self, lines: Lines, schema: pa.Schema, others: str) -> pa.Table:
        try:
            table = parsed(checked(lines), schema, others)
        except pa.ArrowInvalid as e:
            self._explain()
            raise Format(
                f"{lines.where(lines.start)} or after: {e}", "was the file changed while it was read?"
            ) from None
        if any(_may_be_inexact(table[n].type, c) for n in table.column_names for c in table[n].chunks):
            self._check_exact(lines)
        return table

    def _check_exact(self, lines: Lines) -> None:
        """Raises Format for integers that float64 does not hold to the digit [TXT-2]."""
        shapes = self._shapes()
        for line, members in lines.objects():
            shapes.add(members, lines.spot(line))
        if shapes.inexact(self._known()):
            self._explain()

    def _find_widened(self, final: Types) -> list[Widened]:
        """Looks, slowly, for the lines where columns became wider than the first rows suggested."""
        shapes = self._shapes()
        objects = ((lines.spot(line), members) for lines in self._lines() for line, members in lines.objects())
        for spot, members in islice(objects, SUGGEST):
            shapes.add(members, spot)
        first = shapes.types()
        wider = {n: t for n, t in final.items() if n not in self._declared and first.get(n, pa.null()) != t}
        found: dict[str, Widened] = {}
        for spot, members in objects if wider else ():
            for name in wider.keys() & members.keys() - found.keys():
                if shapes.add({name: members[name]}, spot) and shapes.types()[name] == wider[name]:
                    before, file = first.get(name, pa.null()), spot.file if len(self._paths) > 1 else ""
                    text = _shown(members[name])
                    found[name] = Widened(name, label(before), label(wider[name]), spot.line, text, file)
            if len(found) == len(wider):
                break
        names = {n: self._options.schema[n].name or n for n in self._options.schema}
        return [replace(w, column=names.get(w.column, w.column)) for w in map(found.get, wider) if w]


def _whole(column: Any) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _may_be_inexact(kind: Any, array: Any) -> bool:
    """Whether a float64 in it could have been an integer that was rounded."""
    t = pa.types
    if t.is_struct(kind):
        return any(_may_be_inexact(f.type, array.field(i)) for i, f in enumerate(kind))
    if t.is_list(kind):
        return _may_be_inexact(kind.value_type, array.values)
    if not t.is_float64(kind):
        return False
    least, most = (v.as_py() or 0 for v in pc.min_max(array).values())
    if max(most, -least) < EXACT:
        return False
    size = np.abs(array.to_numpy(zero_copy_only=False))
    return bool(((size >= EXACT) & (size <= 1 << 63)).any())


def _column(lines: Lines, name: str, cells: pa.Array, rule: ColumnRule) -> pa.Array:
    """What Arrow's reader gives, as it is declared."""
    kind = type_of(rule)
    if kind is None or (cells.type == kind and not rule.format):
        return cells
    make = converter(kind, rule.format) if pa.types.is_string(cells.type) else lambda part: _cast(part, kind)
    values = make(cells)
    if values is None:
        row = first_bad(lambda part: make(part) is not None, cells)
        raise refused(lines.where(lines.line_of(row)), name, cells[row].as_py(), kind, rule.format, nulls=False)
    return values


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    if pa.types.is_null(cells.type):
        return pa.nulls(len(cells), kind)
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None


def _by_hand(lines: Lines, name: str, values: list[Any], rule: ColumnRule) -> pa.Array:
    kind = type_of(rule)
    try:
        return values_of(values, kind, rule.format)
    except ValueError:
        pass
    for row, value in enumerate(values):
        try:
            values_of([value], kind, rule.format)
        except ValueError:
            raise refused(
                lines.where(lines.line_of(row)), name, _shown(value), kind, rule.format, nulls=False
            ) from None
    raise Format(f"{lines.where(lines.start)} or after, column '{name}': not all is {label(kind)}")


def _shown(value: Any) -> str:
    """A member as it is written, strings without their quotes."""
    return str(value) if isinstance(value, str) else _written(value)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(n, ensure_ascii=False)}: {_written(v)}" for n, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
