"""Which Parquet encoding each column of a table gets: measured on its first fragment, and again now and then (physical only)."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dpkg.arrow.schema import Schema
from dpkg.arrow.types import Type

# Of every fragment file: plain Parquet types without Arrow's schema, decimals of up to 18 digits as integers.
FILE: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "store_schema": False,
    "store_decimal_as_integer": True,
}
DICTIONARY = "dictionary"
_AGAIN = 64  # fragments until a choice is measured again
_SAMPLE = 2048  # values that tell whether a dictionary is worth measuring
_FEW, _MANY = (
    0.02,
    0.6,
)  # share of distinct values below which a dictionary is taken unmeasured, above which it is not tried
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "date", "time_ms", "time_us", "time_ns",
             "timestamp", "duration")  # fmt: skip
# What readers besides Arrow know: DuckDB and Spark read all of these. BYTE_STREAM_SPLIT of integers is newer than some of them.
_OTHERS = dict.fromkeys(_INTEGERS, ("DELTA_BINARY_PACKED",)) | {
    "utf8": ("DELTA_LENGTH_BYTE_ARRAY",),
    "binary": ("DELTA_LENGTH_BYTE_ARRAY",),
    "float32": ("BYTE_STREAM_SPLIT", "PLAIN"),
    "float64": ("BYTE_STREAM_SPLIT", "PLAIN"),
    "decimal": ("PLAIN",),
}


def leaves(t: Type, path: tuple[str, ...]) -> Iterator[tuple[str, Type]]:
    """Parquet's leaf columns below a column: dotted path and type, in order."""
    t = t.storage
    below = {"list": ("list", "element"), "fixed_list": ("list", "element"), "map": ("key_value",)}.get(t.kind, ())
    names = {"struct": t.names, "map": ("key", "value")}.get(t.kind, ("",) * len(t.items))
    if not t.items:
        yield ".".join(path), t
    for name, item in zip(names, t.items, strict=True):
        yield from leaves(item, (*path, *below, *([name] if name or t.kind == "struct" else [])))


class Encodings:
    """The choices for one table's columns; safe to use from several threads."""

    def __init__(self) -> None:
        self._chosen: dict[int, str] = {}
        self._age = 0
        self._lock = Lock()

    def options(self, stored: list[pa.Array], schema: Schema) -> dict[str, Any]:
        """`use_dictionary` and `column_encoding` of Parquet's writer for a fragment's columns.

        The writer names columns by dotted paths, so a path that stands for two columns (`a.b` beside `a{b}`) gets no choice.
        """
        chosen = self._choose(stored, schema)
        paths = [list(leaves(t, (n,))) for n, t in zip(schema.names, schema.types, strict=True)]
        count = Counter(path for leaf in paths for path, _ in leaf)
        dictionary, encodings = [], {}
        for i, leaf in enumerate(paths):
            for path, t in leaf:
                if count[path] > 1 or t.kind in ("null", "bool"):
                    continue
                if chosen.get(i, DICTIONARY) == DICTIONARY:
                    dictionary.append(path)
                else:
                    encodings[path] = chosen[i]
        return {"use_dictionary": dictionary, "column_encoding": encodings or None}

    def _choose(self, stored: list[pa.Array], schema: Schema) -> dict[int, str]:
        with self._lock:
            self._age += 1
            if self._chosen and self._age % _AGAIN:
                return self._chosen
        chosen = {
            i: _measure(a, t.storage)
            for i, (a, t) in enumerate(zip(stored, schema.types, strict=True))
            if t.storage.kind in _OTHERS
        }
        with self._lock:
            self._chosen = chosen
        return chosen


def _measure(array: pa.Array, t: Type) -> str:
    """The encoding that makes this flat column smallest."""
    sample = array.slice(max(0, len(array) // 2 - _SAMPLE // 2), _SAMPLE)
    present = len(sample) - sample.null_count
    share = pc.count_distinct(sample).as_py() / present if present else 0.0
    if share < _FEW:
        return DICTIONARY
    others = ("DELTA_BINARY_PACKED",) if t.kind == "decimal" and t.params[0] <= 18 else _OTHERS[t.kind]
    tried = [*others, *([DICTIONARY] if share <= _MANY or len(array) <= _SAMPLE else [])]
    return min(tried, key=lambda name: _size(array, name)) if len(tried) > 1 else tried[0]


def _size(array: pa.Array, encoding: str) -> int:
    sink = io.BytesIO()
    more: dict[str, Any] = {"use_dictionary": True}
    if encoding != DICTIONARY:
        more = {"use_dictionary": False, "column_encoding": {"x": encoding}}
    pq.write_table(pa.table({"x": array}), sink, row_group_size=max(1, len(array)), **FILE, **more)
    return sink.tell()
