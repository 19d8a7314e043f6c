"""A sheet of a workbook as a `Source`, through calamine: xlsx, xlsm, xlsb, xls, ods.

The first row (of the range, or after `skip_rows`) that is not empty has the names. The type of a column is that of all
of its cells; a mixture is refused, naming sheet and cells. Empty cells, and those that show an error, are null.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

from dpkg.arrow.options import ColumnRule, ReadOptions
from dpkg.arrow.readers.base import Lines, Settled, rules_of, unique
from dpkg.arrow.readers.declared import converter, type_of
from dpkg.arrow.readers.files import open_file
from dpkg.arrow.readers.refusals import refused, renaming
from dpkg.arrow.readers.texts import EXACT, first_bad
from dpkg.errors import Format, NotFound, Usage, did_you_mean

_ROWS = 1 << 14
_RANGE = re.compile(r"([A-Z]{1,3})?([1-9][0-9]{0,6})?(?::([A-Z]{1,3})?([1-9][0-9]{0,6})?)?")
_TITLE = "is it a title? leave it out with options: {{skip_rows: {}}}, or name the cells: options: {{range: {}}}"
_KINDS: dict[type, str] = {
    **{bool: "bool", int: "whole", float: "number", str: "text", dt.date: "date", dt.datetime: "moment"},
    **{dt.time: "time", dt.timedelta: "duration"},
}
_TYPES = {
    **{"bool": pa.bool_(), "whole": pa.int64(), "number": pa.float64(), "text": pa.string(), "date": pa.date32()},
    **{"moment": pa.timestamp("us"), "time": pa.time64("us"), "duration": pa.duration("us")},
}
_WIDER = {frozenset(("whole", "number")): "number", frozenset(("date", "moment")): "moment"}


class Area(NamedTuple):
    """Cells of a sheet, counted from 0; `bottom` and `right` are the first ones outside, None where it is open."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None


class _Column:
    def __init__(self, place: int, name: str) -> None:
        self.place, self.name = place, name
        self.kinds: dict[str, tuple[int, Any]] = {}  # and row and value of the first of each

    def add(self, kind: str, row: int, value: Any) -> None:
        self.kinds.setdefault(kind, (row, value))


class ExcelSource(Settled):
    """A `Source` of one sheet."""

    def __init__(self, path: str, options: ReadOptions) -> None:
        self._path, self._nulls = path, frozenset(options.nulls)
        self._sheet = _sheet(path, options.sheet)
        self._where = f"{path}, sheet '{self._sheet.name}'"
        self._area = parse_range(options.range) if options.range else Area()
        self._top = self._area.top  # which skip_rows counts from
        if options.skip_rows:
            self._area = self._area._replace(top=self._area.top + options.skip_rows)
        self._columns, self._first = self._header(options.column_names)
        names = [c.name for c in self._columns]
        unique(names, self._where, renaming(names, self._first - self._top))
        self._rules = rules_of(options, names, self._where)
        self._declared = [type_of(rule) for rule in self._rules]
        self._infer()
        self._schema = pa.schema(
            [
                (rule.name or c.name, self._type(c) if kind is None else kind)
                for c, rule, kind in zip(self._columns, self._rules, self._declared, strict=True)
            ]
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises Format for a cell that is not of its column's declared type."""
        rows = self._rows(self._first)
        while part := list(islice(rows, _ROWS)):
            numbers = [row for row, _ in part]
            arrays = [
                self._array(i, [cells[c.place] for _, cells in part], numbers) for i, c in enumerate(self._columns)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def lines(self, rows: Sequence[int]) -> Lines:
        """The file and the row of the sheet, from 1, of some rows."""
        wanted = frozenset(rows)
        return {i: (self._path, at + 1) for i, (at, _) in enumerate(self._rows(self._first)) if i in wanted}

    # Cells

    def _rows(self, first: int) -> Iterator[tuple[int, list[Any]]]:
        """Rows of the area that are not empty, from the row `first` on, as wide as the area; empty cells are None."""
        start, end = self._sheet.start, self._sheet.end
        if start is None:
            return
        left, right = self._area.left, end[1] + 1 if self._area.right is None else self._area.right
        pad, skip = max(0, start[1] - left), max(0, left - start[1])
        for row, cells in enumerate(islice(self._sheet.iter_rows(), self._area.bottom)):
            if row < first:
                continue
            found = ([None] * pad + [None if c == "" else c for c in cells[skip:]])[: right - left]
            if any(c is not None for c in found):
                yield row, found + [None] * (right - left - len(found))

    def _header(self, given: tuple[str, ...]) -> tuple[list[_Column], int]:
        """The columns, and the first row below their names."""
        rows = self._rows(self._area.top)
        if given:
            filled = sorted({i for _, cells in rows for i, c in enumerate(cells) if c is not None})
            wide = range(filled[0] if filled and not self._area.left else 0, filled[-1] + 1) if filled else range(0)
            if filled and len(wide) != len(given):
                message = f"{self._where}: {len(given)} names in 'column_names', and the cells have {len(wide)} columns"
                raise Usage(message, "name each column, or the cells: options: {range: A3:D20}")
            return [_Column(i, name) for i, name in zip(wide, given, strict=bool(filled))], self._area.top
        head = next(rows, None)
        if head is None:
            raise Format(f"{self._where} has no cells", "the first row holds the columns' names")
        row, cells = head
        columns = [_Column(i, self._name(row, i, c)) for i, c in enumerate(cells) if c is not None]
        self._check_names(row, cells)
        return columns, row + 1

    def _name(self, row: int, place: int, cell: Any) -> str:
        if isinstance(cell, str):
            return cell
        return _text(cell)

    def _check_names(self, head: int, names: list[Any]) -> None:
        """Raises Format for a column that has values and no name."""
        for row, cells in self._rows(head + 1):
            for i, cell in enumerate(cells):
                if cell is None or names[i] is not None:
                    continue
                hint = f"name the column in {self._cell(head, i)}, or the cells to read: options: {{range: A1:D20}}"
                named, filled = (sum(c is not None for c in row) for row in (names, cells))
                if named == 1 or (named < filled and all(c is None or isinstance(c, str) for c in cells)):
                    last = next(at for at in range(len(cells) - 1, -1, -1) if cells[at] is not None)
                    area = f"{self._cell(row, 0)}:{letters(self._area.left + last)}"
                    hint = _TITLE.format(row - self._top, area)
                raise Format(
                    f"{self._where}: {self._cell(row, i)} has a value, and {self._cell(head, i)} no name", hint
                )

    def _cell(self, row: int, place: int) -> str:
        return f"{letters(self._area.left + place)}{row + 1}"

    # Types

    def _infer(self) -> None:
        """Look at all cells of the columns whose type is not declared."""
        columns = [c for c, kind in zip(self._columns, self._declared, strict=True) if kind is None]
        for row, cells in self._rows(self._first):
            for column in columns:
                value = cells[column.place]
                if value is not None and not (isinstance(value, str) and value in self._nulls):
                    column.add(_kind(value), row, value)

    def _type(self, column: _Column) -> pa.DataType:
        """The type that holds all of a column's cells. Raises Format where there is none."""
        kinds = list(column.kinds)
        kind = kinds[0] if kinds else ""
        for other in kinds[1:]:
            if other != kind:
                wider = _WIDER.get(frozenset((kind, other)))
                if wider is None:
                    raise self._mixed(column, kinds[0], other)
                kind = wider
        return _TYPES[kind] if kind else pa.null()

    def _mixed(self, column: _Column, one: str, other: str) -> Format:
        (row, value), (second, found) = column.kinds[one], column.kinds[other]
        said = {"whole": "number", "moment": "date and time"}
        message = (
            f"{self._where}, column '{column.name}': {self._cell(second, column.place)} is a {said.get(other, other)} "
            f"({_short(found)}), and {self._cell(row, column.place)} a {said.get(one, one)} ({_short(value)})"
        )
        hint = f"declare its type, as schema: {{{column.name}: utf8}}, or name in 'nulls' what stands for no value"
        return Format(message, hint)

    def _array(self, i: int, cells: list[Any], rows: list[int]) -> pa.Array:
        cells = [None if isinstance(c, str) and c in self._nulls else c for c in cells]
        kind, rule = self._schema.field(i).type, self._rules[i]
        if self._declared[i] is None:
            return pa.array([_plain(c, kind) for c in cells], kind)
        texts = pa.array([None if c is None else _text(c) for c in cells], pa.string())
        values = self._convert(cells, texts, rule, kind)
        if isinstance(values, int):
            where = f"{self._where}, cell {self._cell(rows[values], self._columns[i].place)}"
            raise refused(where, self._columns[i].name, texts[values].as_py(), kind, rule.format)
        return values

    def _convert(self, cells: list[Any], texts: pa.Array, rule: ColumnRule, kind: pa.DataType) -> pa.Array | int:
        """The values, or the place of the first that does not fit. A format is for cells that are text."""
        make, written = converter(kind), converter(kind, rule.format)
        mask = pa.array([isinstance(c, str) for c in cells])
        arrays = []
        for convert, part in (
            (written, pa.compute.if_else(mask, texts, None)),
            (make, pa.compute.if_else(mask, None, texts)),
        ):
            values = convert(part)
            if values is None:
                return first_bad(lambda some, convert=convert: convert(some) is not None, part)  # type: ignore[misc]
            arrays.append(values)
        if isinstance(kind, pa.BaseExtensionType):
            storage = [a.storage for a in arrays]
            return pa.ExtensionArray.from_storage(kind, pa.compute.if_else(mask, *storage))
        return pa.compute.if_else(mask, *arrays)


def _kind(value: Any) -> str:
    kind = _KINDS[type(value)]
    if kind == "number" and value.is_integer() and abs(value) <= EXACT:
        return "whole"
    return "number" if kind == "whole" and abs(value) > EXACT else kind


def _plain(value: Any, kind: pa.DataType) -> Any:
    """A cell's value for its column's type."""
    if value is None:
        return None
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_timestamp(kind) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return float(value) if pa.types.is_floating(kind) else value


def _text(value: Any) -> str:
    """A cell as text: whole numbers without a point, days and times as ISO 8601."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) <= EXACT else repr(value)
    if isinstance(value, dt.timedelta):
        return f"PT{value.total_seconds():f}S"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _short(value: Any) -> str:
    text = _text(value)
    return f"'{text if len(text) <= 40 else text[:37] + '…'}'"


# Sheets and ranges


def _sheet(path: str, wanted: str | None) -> Any:
    """The sheet of a name, or the only one. Raises Usage, Format, NotFound."""
    try:
        import python_calamine as calamine
    except ImportError:
        raise Usage("reading workbooks needs python-calamine", "pip install 'dpkg-data[excel]'") from None
    open_file(path).close()
    try:
        book = calamine.CalamineWorkbook.from_path(path)
        names = book.sheet_names
        if wanted is None and len(names) == 1:
            return book.get_sheet_by_index(0)
        if wanted in names:
            return book.get_sheet_by_name(wanted)
    except (calamine.CalamineError, OSError, ValueError) as e:
        kind = "is locked with a password" if isinstance(e, calamine.PasswordError) else f"is no readable workbook: {e}"
        raise Format(
            f"{path} {kind}", "save it again without one" if "password" in kind else "is it damaged?"
        ) from None
    if wanted is None:
        raise Usage(
            f"{path} has {len(names)} sheets", f"name one: options: {{sheet: {names[0]}}}; sheets: {', '.join(names)}"
        )
    raise NotFound(f"{path} has no sheet '{wanted}'", did_you_mean(wanted, names, f"sheets: {', '.join(names)}"))


def parse_range(text: str) -> Area:
    """A range such as A3:F20, A3:F (down to the end), B:D or A3 (all from there on). Raises Usage."""
    found = _RANGE.fullmatch(text.strip().upper())
    if not found or not text.strip() or not (found[1] or found[2]):
        raise Usage(f"'{text[:40]}' is no range of cells", "such as A3:F20, or A3:F for all rows from the third on")
    left, top, right, bottom = found.groups()
    area = Area(
        int(top) - 1 if top else 0,
        _place(left) if left else 0,
        int(bottom) if bottom else None,
        _place(right) + 1 if right else None,
    )
    if (area.bottom is not None and area.bottom <= area.top) or (area.right is not None and area.right <= area.left):
        raise Usage(f"the range '{text[:40]}' holds no cells", "the upper left cell comes first, as in A3:F20")
    return area


def _place(name: str) -> int:
    place = 0
    for c in name:
        place = place * 26 + ord(c) - 64
    return place - 1


def letters(place: int) -> str:
    """The name of a column: A, B, …, Z, AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(65 + rest) + text
    return text
