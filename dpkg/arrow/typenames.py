"""Type names as people write them in build.yml: `int64`, `timestamp[us, UTC]`, `decimal(12, 2)`, `list<int64>`."""

from __future__ import annotations

import re
from difflib import get_close_matches

import pyarrow as pa

from dpkg.arrow.types import SIMPLE
from dpkg.errors import Usage

_ALIASES = {
    "int": "int64",
    "integer": "int64",
    "bigint": "int64",
    "float": "float64",
    "double": "float64",
    "real": "float32",
    "str": "utf8",
    "string": "utf8",
    "text": "utf8",
    "boolean": "bool",
    "bytes": "binary",
    "date32": "date",
    "time": "time_us",
    "timestamp": "timestamp[us]",
    "datetime": "timestamp[us]",
    "duration": "duration[us]",
    "decimal": "decimal(38, 9)",
}
_CALL = re.compile(r"(\w+)\s*[\[(<]\s*(.*?)\s*[\])>]", re.DOTALL)


def parse_type(text: str) -> pa.DataType:
    """The Arrow type that a name means. Raises Usage, with the nearest name."""
    name = text.strip()
    name = _ALIASES.get(name.lower(), name)
    if name.lower() in SIMPLE:
        return SIMPLE[name.lower()]
    found = _CALL.fullmatch(name)
    if found:
        made = _parametric(found.group(1).lower(), found.group(2))
        if made is not None:
            return made
    known = [*SIMPLE, *_ALIASES, "timestamp[us]", "timestamp[us, UTC]", "decimal(12, 2)", "list<int64>", "fixed_binary(16)"]
    near = get_close_matches(text, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"types: {', '.join([*SIMPLE, 'decimal(p, s)', 'timestamp[us]', 'list<T>'])}"
    raise Usage(f"'{text}' is not a type", hint)


def _parametric(kind: str, inside: str) -> pa.DataType | None:
    parts = [p.strip() for p in inside.split(",")]
    try:
        if kind == "timestamp" and len(parts) in (1, 2):
            return pa.timestamp(*parts)
        if kind == "duration" and len(parts) == 1:
            return pa.duration(parts[0])
        if kind in ("decimal", "numeric") and len(parts) in (1, 2):
            precision, scale = int(parts[0]), int(parts[1]) if len(parts) == 2 else 0
            return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
        if kind in ("fixed_binary", "fixed_size_binary") and len(parts) == 1:
            return pa.binary(int(parts[0]))
        if kind in ("time32", "time64", "time") and len(parts) == 1:
            return pa.time64(parts[0]) if parts[0] in ("us", "ns") else pa.time32(parts[0])
        if kind == "list":
            return pa.list_(parse_type(inside))
    except (ValueError, TypeError, pa.ArrowException):
        return None
    return None
