"""Type names as people write them in build.yml: `int64`, `timestamp[us, UTC]`, `decimal(12, 2)`, `list<struct<a: int64>>`.

What `type_text` writes is read back, but for extension types.
Arrow's own spellings are taken too, but `float`, which is float64 here as in Python. Any of `[]`, `()` and `<>` will do.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from dpkg.arrow.types import SIMPLE
from dpkg.errors import Usage, did_you_mean

_ALIASES = {
    "int": "int64",
    "integer": "int64",
    "bigint": "int64",
    "halffloat": "float16",
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
}
_DEFAULTS = {
    "timestamp": pa.timestamp("us"),
    "datetime": pa.timestamp("us"),
    "duration": pa.duration("us"),
    "decimal": pa.decimal128(38, 9),
}
_EXAMPLES = (
    *_DEFAULTS,
    "timestamp[us, UTC]",
    "decimal(12, 2)",
    "list<int64>",
    "map<utf8, int64>",
    "struct<a: int64>",
    "fixed_binary[16]",
)
_LISTS = ("list", "fixed_list", "fixed_size_list")
_OPEN, _CLOSE = "[(<", "])>"


def parse_type(text: str) -> pa.DataType:
    """The Arrow type that a name means. Raises Usage, with the nearest name."""
    try:
        return _parse(text)
    except (ValueError, TypeError, pa.ArrowException):
        known = [*SIMPLE, *_ALIASES, *_EXAMPLES]
        hint = did_you_mean(text.strip().lower(), known, f"types: {', '.join([*SIMPLE, *_EXAMPLES])}")
        raise Usage(f"'{text[:200]}' is not a type", hint) from None


def _parse(text: str) -> pa.DataType:
    """As `parse_type`. Raises ValueError, or what pyarrow raises."""
    name, inside = _split(text)
    if inside is None:
        name = _ALIASES.get(name, name)
        found = SIMPLE.get(name) or _DEFAULTS.get(name)
        if found is None:
            raise ValueError(text)
        return found
    size = None
    body, _, last = text.strip().removesuffix("]").rpartition("[")
    if name in _LISTS and body.endswith(">") and last.isdigit():  # list<T>[n], Arrow: fixed_size_list<item: T>[n]
        name, inside, size = "fixed_list", _split(body)[1] or "", last
    if name not in _KINDS:
        raise ValueError(text)
    return _KINDS[name]([*_parts(inside), *([size] if size else [])])


def _split(text: str) -> tuple[str, str | None]:
    """`name` and what its brackets hold, None if it has none."""
    text = text.strip()
    at = min((i for i, c in enumerate(text) if c in _OPEN), default=-1)
    if at < 0:
        return text.lower(), None
    if text[-1] not in _CLOSE:
        raise ValueError(text)
    return text[:at].strip().lower(), text[at + 1 : -1]


def _parts(inside: str) -> list[str]:
    """What commas separate, but for those within brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(inside):
        depth += (c in _OPEN) - (c in _CLOSE)
        if depth < 0:
            raise ValueError(inside)
        if c == "," and not depth:
            parts.append(inside[start:i].strip())
            start = i + 1
    return [*parts, inside[start:].strip()]


def _child(text: str) -> tuple[str, pa.DataType]:
    """`name: T`, or T alone: the name and the type."""
    colon = next((i for i, c in enumerate(text) if c in ":" + _OPEN), -1)
    named = colon >= 0 and text[colon] == ":"
    return text[:colon].strip() if named else "", _parse(
        (text[colon + 1 :] if named else text).strip().removesuffix(" not null")
    )


def _decimal(parts: list[str]) -> pa.DataType:
    precision, scale = (int(p) for p in (parts if len(parts) == 2 else [*parts, "0"]))
    if not 0 <= scale <= precision:
        raise ValueError(scale)
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _timestamp(parts: list[str]) -> pa.DataType:
    unit, *zone = parts
    return pa.timestamp(unit, *(z.removeprefix("tz=") for z in zone))


def _time(parts: list[str]) -> pa.DataType:
    (unit,) = parts
    return pa.time64(unit) if unit in ("us", "ns") else pa.time32(unit)


def _date(parts: list[str]) -> pa.DataType:
    if parts not in (["day"], ["ms"]):
        raise ValueError(parts)
    return pa.date32()


def _binary(parts: list[str]) -> pa.DataType:
    (width,) = parts
    if int(width) < 1:
        raise ValueError(width)
    return pa.binary(int(width))


def _duration(parts: list[str]) -> pa.DataType:
    (unit,) = parts
    return pa.duration(unit)


def _list(parts: list[str]) -> pa.DataType:
    (item,) = parts
    return pa.list_(_child(item)[1])


def _fixed_list(parts: list[str]) -> pa.DataType:
    size, item = sorted(parts, key=lambda p: not p.isdigit())
    if int(size) < 1:
        raise ValueError(size)
    return pa.list_(_child(item)[1], int(size))


def _struct(parts: list[str]) -> pa.DataType:
    fields = [_child(p) for p in parts]
    if len({name for name, _ in fields} - {""}) < len(fields):
        raise ValueError(parts)
    return pa.struct(fields)


def _map(parts: list[str]) -> pa.DataType:
    key, item = parts
    return pa.map_(_parse(key), _parse(item))


_KINDS: dict[str, Callable[[list[str]], pa.DataType]] = {
    **dict.fromkeys(("decimal", "decimal128", "decimal256", "numeric"), _decimal),
    **dict.fromkeys(("timestamp", "datetime"), _timestamp),
    **dict.fromkeys(("time", "time32", "time64"), _time),
    **dict.fromkeys(("date", "date32", "date64"), _date),
    **dict.fromkeys(("fixed_binary", "fixed_size_binary"), _binary),
    **dict.fromkeys(("fixed_list", "fixed_size_list"), _fixed_list),
    "duration": _duration,
    "list": _list,
    "struct": _struct,
    "map": _map,
}
