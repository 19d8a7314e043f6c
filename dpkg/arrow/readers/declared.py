"""Texts to a declared type. Stricter than Arrow's casts where those lose something, freer than inference where the
declaration removes a doubt: leading zeros and a sign + are numbers, 0 and 1 are bools, times may have nine decimals."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.arrow.options import ColumnRule
from dpkg.arrow.readers import texts
from dpkg.arrow.readers.base import label
from dpkg.errors import Usage

Converter = Callable[[pa.Array], pa.Array | None]

_BOOLS = pa.array(["true", "false", "True", "False", "TRUE", "FALSE", "1", "0"])
_SIMPLE = {"Y": r"\d{4}", "m": r"\d\d?", "d": r"\d\d?", "H": r"\d\d?", "M": r"\d\d?", "S": r"\d\d?", "f": r"\d{1,6}"}
_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def type_of(rule: ColumnRule) -> pa.DataType | None:
    """The declared type; where only a strptime format is declared, the one that it says."""
    if rule.type is not None or rule.format is None:
        return rule.type
    if rule.format in ("base64", "hex"):
        return pa.binary()
    clock, day, zone = (re.search(f"%[{letters}]", rule.format) for letters in ("HIMSfpcXs", "YyGjmdbBUWcxs", "z"))
    if clock and not day:
        return pa.time64("us")
    return pa.timestamp("us", "UTC" if zone else None) if clock else pa.date32()


def converter(kind: pa.DataType, how: str | None = None) -> Converter:
    """What makes values of a type of texts; None if there is one that does not fit. Raises Usage."""
    t = pa.types
    if how is not None and how not in ("base64", "hex"):
        if not (t.is_temporal(kind) and not t.is_duration(kind)):
            raise Usage(f"a format, '{how}', is for dates and times, not for {label(kind)}")
        return lambda cells: _strptime(cells, how, kind)
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        return lambda cells: _binary(cells, kind, how)
    if how is not None:
        raise Usage(f"the format '{how}' is for binary columns, not for {label(kind)}")
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(kind)
    for fits, make in _MAKERS:
        if fits(kind):
            return lambda cells: make(cells, kind)
    raise Usage(f"{label(kind)} cannot be read from text", "declare one of the types that the format has")


def _extension(kind: Any) -> Converter:
    inner = converter(kind.storage_type)

    def make(cells: pa.Array) -> pa.Array | None:
        values = inner(cells)
        return None if values is None else pa.ExtensionArray.from_storage(kind, values)

    return make


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(array, kind)
    except (pa.ArrowInvalid, OverflowError):
        return None


def _null(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    return pa.nulls(len(cells)) if cells.null_count == len(cells) else None


def _bool(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    found = pc.is_in(cells, value_set=_BOOLS)
    return _cast(cells, kind) if found.true_count == len(cells) - cells.null_count else None


def _matches(cells: pa.Array, pattern: str) -> bool:
    """Whether every cell that is not null does."""
    return not pc.any(pc.invert(pc.match_substring_regex(cells, pattern))).as_py()


def _integer(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    if not _matches(cells, r"^[+-]?[0-9]+$"):
        return None
    return _cast(pc.replace_substring_regex(cells, r"^\+", ""), kind)


def _float(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Every spelling that Arrow takes, but overflow."""
    values = _cast(cells, pa.float64() if kind == pa.float16() else kind)
    if values is None:
        return None
    values = values.cast(kind)
    wide = values.cast(pa.float64())
    odd = pc.fill_null(pc.is_inf(wide), False).to_numpy(zero_copy_only=False)
    if odd.any() and not _matches(cells.filter(pa.array(odd)), r"(?i)^[+-]?inf(inity)?$"):
        return None
    return values


def _day(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    values = texts.dates(cells)
    return None if values is None else values.cast(kind)


def _time(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    return texts.times(cells, kind.unit)


def _timestamp(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    return texts.moments(cells, kind.unit, kind.tz)


def _duration(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """`PT1.5S`, or a count of the type's unit."""
    if _matches(cells, r"^-?[0-9]+$"):
        counts = _cast(cells, pa.int64())
    elif _matches(cells, r"^-?PT[0-9]+(\.[0-9]+)?S$"):
        seconds = _cast(pc.replace_substring_regex(cells, r"^(-?)PT(.*)S$", r"\1\2"), pa.decimal256(40, 9))
        scale = pa.scalar(Decimal(_SECOND[kind.unit]), pa.decimal256(10, 0))
        units = None if seconds is None else pc.multiply(seconds, scale)
        counts = None if units is None else _cast(units, pa.int64())
    else:
        return None
    return None if counts is None else counts.cast(kind)


def _binary(cells: pa.Array, kind: pa.DataType, how: str | None) -> pa.Array | None:
    if how is None:
        values = cells.cast(pa.binary())
    else:
        decode = bytes.fromhex if how == "hex" else lambda text: base64.b64decode(text, validate=True)
        try:
            values = pa.array([None if c is None else decode(c) for c in cells.to_pylist()], pa.binary())
        except (ValueError, binascii.Error):
            return None
    if pa.types.is_fixed_size_binary(kind) and pc.any(pc.not_equal(pc.binary_length(values), kind.byte_width)).as_py():
        return None
    return _cast(values, kind)


def _strptime(cells: pa.Array, how: str, kind: pa.DataType) -> pa.Array | None:
    """Arrow's own strptime takes 31 February for 2 March; so this is Python's, or a pattern where that is enough."""
    fields = re.findall(r"%(.)", how)
    clock = [f for f in ("H", "M", "S", "f") if f in fields]
    ordered = clock == ["H", "M", "S", "f"][: len(clock)] and len(clock) != 1
    if len(set(fields)) == len(fields) and {"Y", "m", "d"} <= set(fields) <= set(_SIMPLE) and ordered:
        moments = _by_pattern(cells, how, clock)
    else:
        moments = _by_python(cells, how)
    if moments is None:
        return None
    if pa.types.is_timestamp(kind) and kind.tz:
        aware = pa.types.is_timestamp(moments.type) and moments.type.tz
        return _cast(moments, kind) if aware else None
    if moments.type.tz:
        return None
    if pa.types.is_time(kind):
        return _cast(_cast(moments, pa.time64("us")), kind)
    if pa.types.is_date(kind) and not moments.cast(pa.date32()).cast(moments.type).equals(moments):
        return None
    return _cast(moments, kind)


def _by_pattern(cells: pa.Array, how: str, clock: list[str]) -> pa.Array | None:
    parts = re.split(r"%(.)", how)
    pattern = "".join(f"(?P<{p}>{_SIMPLE[p]})" if i % 2 else re.escape(p) for i, p in enumerate(parts))
    found = pc.extract_regex(cells, rf"^{pattern}$")
    if found.null_count != cells.null_count:
        return None

    def part(name: str) -> pa.Array:
        return pc.utf8_lpad(pc.struct_field(found, name), 2, "0")

    iso = pc.binary_join_element_wise(pc.struct_field(found, "Y"), part("m"), part("d"), "-")
    if clock:
        seconds = [part(p) for p in clock[:3]]
        iso = pc.binary_join_element_wise(iso, pc.binary_join_element_wise(*seconds, ":"), " ")
    if "f" in clock:
        iso = pc.binary_join_element_wise(iso, pc.struct_field(found, "f"), ".")
    return texts.moments(pc.if_else(cells.is_valid(), iso, None))


def _by_python(cells: pa.Array, how: str) -> pa.Array | None:
    """Each different text once."""
    coded = cells.dictionary_encode()
    aware = "%z" in how
    try:
        parsed = [datetime.strptime(text, how) for text in coded.dictionary.to_pylist()]
        if aware:
            parsed = [moment.astimezone(UTC) for moment in parsed]
    except (ValueError, OverflowError):
        return None
    return pa.array(parsed, pa.timestamp("us", "UTC" if aware else None)).take(coded.indices)


def _nested(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    from dpkg.arrow.readers.jsonvalues import parse, values_of

    try:
        return values_of([None if c is None else parse(c) for c in cells.to_pylist()], kind)
    except ValueError:
        return None


_t = pa.types
_MAKERS: list[tuple[Callable[[Any], bool], Callable[[pa.Array, Any], pa.Array | None]]] = [
    (_t.is_string, lambda cells, kind: cells),
    (_t.is_large_string, _cast),
    (_t.is_null, _null),
    (_t.is_boolean, _bool),
    (_t.is_integer, _integer),
    (_t.is_floating, _float),
    (_t.is_decimal, _cast),
    (_t.is_date, _day),
    (_t.is_time, _time),
    (_t.is_timestamp, _timestamp),
    (_t.is_duration, _duration),
    (_t.is_nested, _nested),
]
