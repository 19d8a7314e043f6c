"""A JSON file that holds a list of records, as lines of one record each: `[{"a": 1}, {"a": 2}]`, however it is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from dpkg.arrow.readers.encodings import Text
from dpkg.arrow.readers.jsonlines import Lines
from dpkg.errors import Format

_LONGEST = 1 << 26
_SPACE = b" \t\r\n"
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_OPEN, _CLOSE = b"{[", b"}]"
_HINT = "it has to be a list of objects: [{…}, {…}]; for an object on each line say 'transform: jsonl'"


def records_in(path: str, encoding: str, codec: str | None, block: int, part: int = 0) -> Iterator[Lines]:
    """The records as lines, numbered by where they start. Raises Format for what is no list of records."""
    text, scan, rest = Text(path, encoding, codec), _Scan(path, part), b""
    try:
        while (more := text.read(rest, max(block, len(rest)))) is not None:
            lines, rest = scan.next(more.to_pybytes())
            if lines is not None:
                yield lines
            if len(rest) > _LONGEST:
                raise Format(f"{path}, line {scan.line}: a record is longer than {_LONGEST >> 20} MiB", _HINT)
    finally:
        text.close()
    if not scan.ended:
        what = "is empty" if scan.fresh and not rest.strip() else "ends before its list does: is it cut short?"
        raise Format(f"{path} {what}", _HINT)


class _Scan:
    """Where we are in the list."""

    def __init__(self, path: str, part: int) -> None:
        self._path, self._part = path, part
        self.line = 1  # at the start of what is left
        self.fresh = True  # nothing but space so far
        self.ended = False  # the list is closed
        self._first = True  # the next record is the first one

    def next(self, data: bytes) -> tuple[Lines | None, bytes]:
        """The records that end in `data`, which starts between two, and what is after them."""
        if self.fresh:
            start = len(data) - len(data.lstrip(_SPACE))
            if start == len(data):
                return None, data
            if data[start : start + 1] != b"[":
                raise Format(f"{self._path} starts with {data[start : start + 1]!r}", _HINT)
            self.line += data.count(b"\n", 0, start)
            self.fresh, data = False, data[start + 1 :]
        if self.ended:
            self._check_gap(data, b"")
            return None, b""
        starts, ends, close, breaks = self._bounds(data)
        lines = self._lines(data, starts[: len(ends)], ends, breaks)
        at = int(ends[-1]) + 1 if len(ends) else 0
        if close is not None:
            self._check_gap(data[at:close], b"")
            self._check_gap(data[close + 1 :], b"")
            self.ended, at = True, len(data)
        elif len(starts) == len(ends):
            self._check_gap(data[at:], b"", b"" if self._first else b",")
        self.line += data.count(b"\n", 0, at)
        return lines, data[at:]

    def _bounds(self, data: bytes) -> tuple[Any, Any, int | None, Any]:
        """Where records start and end, where the list is closed, and the line breaks outside strings."""
        view = np.frombuffer(_ESCAPED.sub(b"__", data) if b"\\" in data else data, np.uint8)
        quotes = np.flatnonzero(view == ord('"'))
        marks = np.flatnonzero(np.isin(view, np.frombuffer(_OPEN + _CLOSE, np.uint8)))
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
        opens = np.isin(view[marks], np.frombuffer(_OPEN, np.uint8))
        depth = np.cumsum(np.where(opens, 1, -1))
        closed = np.flatnonzero(depth < 0)
        close = None
        if len(closed):
            close = int(marks[closed[0]])
            marks, opens, depth = marks[: closed[0]], opens[: closed[0]], depth[: closed[0]]
            if data[close : close + 1] != b"]":
                raise Format(f"{self._path}, line {self._at(data, close)}: a '}}' without a '{{'", _HINT)
        starts, ends = marks[opens & (depth == 1)], marks[~opens & (depth == 0)]
        breaks = np.flatnonzero(view == ord("\n"))
        within = breaks[np.searchsorted(quotes, breaks) % 2 == 1]
        if len(within) and (len(ends) and within[0] < ends[-1]):
            raise Format(
                f"{self._path}, line {self._at(data, int(within[0]))}: a string holds a line break", "write \\n"
            )
        return starts, ends, close, breaks

    def _lines(self, data: bytes, starts: Any, ends: Any, breaks: Any) -> Lines | None:
        if not len(ends):
            return None
        before, records = 0, []
        numbers = (np.searchsorted(breaks, starts) + self.line).tolist()
        for start, end, number in zip(starts.tolist(), ends.tolist(), numbers, strict=True):
            self._check_gap(data[before:start], b"" if self._first else b",")
            if data[start : start + 1] != b"{" or data[end : end + 1] != b"}":
                raise Format(f"{self._path}, line {number}: not a JSON object", _HINT)
            record = data[start : end + 1]
            records.append(record.replace(b"\n", b" ") if b"\n" in record else record)
            before, self._first = end + 1, False
        return Lines(self._path, numbers[0], b"\n".join(records) + b"\n", self._part, tuple(numbers))

    def _check_gap(self, gap: bytes, *may: bytes) -> None:
        """Raises Format where there is something else outside of records than what may be there, and space."""
        found = gap.strip(_SPACE)
        if found in may:
            return
        shown = found[:40].decode(errors="replace")
        raise Format(
            f"{self._path}, line {self.line} or after: '{shown}' is where a record or a comma should be", _HINT
        )

    def _at(self, data: bytes, place: int) -> int:
        return self.line + data.count(b"\n", 0, place)
