"""JSON lines in blocks: what may be parsed at once, Arrow's parser over a block, and how inferred types join."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.json

from dpkg.arrow.readers.csvsource import AHEAD
from dpkg.arrow.readers.encodings import Text, is_utf8
from dpkg.arrow.readers.jsonshape import Spot, parse_line
from dpkg.errors import Format

T = TypeVar("T")
_DEEP = 1000
_LONGEST = 1 << 26
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


@dataclass(frozen=True)
class Lines:
    """Whole lines of the file, and the number of the first."""

    path: str
    start: int
    data: bytes
    part: int = 0  # of a table of several files
    numbers: tuple[int, ...] = ()  # of the lines, where they do not follow one another

    def where(self, line: int) -> str:
        return f"{self.path}, line {line}"

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Without the empty ones."""
        for number, line in zip(chain(self.numbers, count(self.start)), self.data.split(b"\n"), strict=False):
            if line.strip(b" \t\r"):
                yield number, line

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in self:
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise Format(f"{self.where(number)}: not valid UTF-8", "name the encoding if it is another") from None
            yield number, parse_line(text, self.where(number))

    def spot(self, line: int) -> Spot:
        return Spot(self.part, line, self.path)

    def line_of(self, row: int) -> int:
        return next(islice(self, row, None))[0]


def lines_in(path: str, encoding: str, codec: str | None, block: int, part: int = 0) -> Iterator[Lines]:
    text, rest, start = Text(path, encoding, codec), b"", 1
    try:
        while (more := text.read(rest, block)) is not None:
            data = more.to_pybytes()
            cut = data.rfind(b"\n") + 1
            if cut:
                lines = Lines(path, start, data[:cut], part)
                yield lines
                start += lines.data.count(b"\n")
            rest = data[cut:]
            if len(rest) > _LONGEST:
                hint = "each line holds one JSON object"
                raise Format(f"{path}, line {start}: the line is longer than {_LONGEST >> 20} MiB", hint)
    finally:
        text.close()
    yield Lines(path, start, rest, part)


def checked(lines: Lines) -> Lines:
    """Raises Format for what Arrow's parser would take, or fall over."""
    if not is_utf8(pa.py_buffer(lines.data)):
        for _ in lines.objects():
            pass
        raise Format(f"{lines.path}: not valid UTF-8")
    if _longest(lines.data) > _DEEP:
        for number, line in lines:
            if len(line) > _DEEP and line.count(b"[") + line.count(b"{") > _DEEP and _depth(line) > _DEEP:
                raise Format(f"{lines.where(number)}: nested more than {_DEEP} deep")
    body = lines.data.strip(b"\r\n")
    if body and (body.count(b"}\n{") != body.count(b"\n") or body[:1] != b"{" or body[-1:] != b"}"):
        for number, line in lines:
            line = line.strip(b" \t\r")
            if line[:1] != b"{" or line[-1:] != b"}":  # an object on two lines
                parse_line(line.decode(), lines.where(number))
                raise Format(f"{lines.where(number)}: not a JSON object", "each line holds one JSON object")
    return lines


def _longest(data: bytes) -> int:
    """The length of the longest line."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    return int(np.diff(ends, prepend=-1, append=len(data)).max())


def _depth(line: bytes) -> int:
    depth = deepest = 0
    for token in _BRACKETS.findall(line):
        depth += 1 if token in (b"[", b"{") else -1 if token in (b"]", b"}") else 0
        deepest = max(deepest, depth)
    return deepest


def parsed(lines: Lines, schema: pa.Schema | None, others: str) -> pa.Table:
    """Raises ArrowInvalid; Format if there is not one object on each line."""
    json = pa.json
    if not lines.data.strip():
        return (schema or pa.schema([])).empty_table()
    table = json.read_json(
        pa.BufferReader(lines.data),
        json.ReadOptions(use_threads=False, block_size=len(lines.data) + 1),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )
    if table.num_rows != lines.data.count(b"\n") and table.num_rows != sum(1 for _ in lines):
        for _ in lines.objects():
            pass
        raise Format(f"{lines.where(lines.start)}: not one JSON object on each line")
    return table


def plain(kind: Any) -> pa.DataType:
    """An inferred type, with strings where Arrow saw moments."""
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, plain(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(plain(kind.value_type))
    return pa.string() if pa.types.is_temporal(kind) else kind


def boolean(kind: Any) -> pa.DataType:
    """A type with bool where it has null: Arrow's reader makes broken lists of nulls."""
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, boolean(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(boolean(kind.value_type))
    return pa.bool_() if pa.types.is_null(kind) else kind


def unboolean(array: Any, kind: Any) -> pa.Array:
    """What was read as `boolean(kind)` as the type itself."""
    if array.type == kind:
        return array
    if pa.types.is_struct(kind):
        children = [unboolean(array.field(i), f.type) for i, f in enumerate(kind)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        values = unboolean(array.values, kind.value_type)
        return pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null())
    return pa.nulls(len(array))


class Mixture(Exception):
    """Two types that do not go together."""


def join(a: Any, b: Any) -> pa.DataType:
    """Raises Mixture."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(a) and pa.types.is_list(b):
        return pa.list_(join(a.value_type, b.value_type))
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        members = {f.name: f.type for f in a}
        for f in b:
            members[f.name] = join(members.get(f.name, pa.null()), f.type)
        return pa.struct(list(members.items()))
    raise Mixture


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Lines], T], blocks: Iterator[Lines]
) -> Iterator[tuple[Lines, T]]:
    pending: deque[tuple[Lines, Future[T]]] = deque()
    for lines in blocks:
        pending.append((lines, pool.submit(work, lines)))
        if len(pending) > AHEAD:
            yield pending[0][0], pending.popleft()[1].result()
    while pending:
        yield pending[0][0], pending.popleft()[1].result()
