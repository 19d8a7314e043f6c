"""Canonical JSON: every value has exactly one spelling (spec/oids.md, JSON-1 to JSON-6)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dpkg.errors import Format

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MAX_BYTES = 16 << 20
MAX_DEPTH = 128
MAX_INT = 2**53 - 1

# Sorting str by code point is sorting UTF-8 by byte, and the escapes of json without ensure_ascii are those of JSON-4.
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))
_quoted = json.encoder.encode_basestring  # what _ENCODER uses
_SURROGATE = "a string holds half a surrogate pair, which is not a character"
_NAMES = {type(None): "null", bool: "a bool", int: "an integer", str: "a string", list: "a list", dict: "an object"}


def encode(value: object) -> bytes:
    """The canonical JSON of None, bools, ints, strings, lists (or tuples) and dicts with string keys. Raises Format."""
    _check(value)
    try:
        data = _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        raise Format(_SURROGATE) from None
    if len(data) > MAX_BYTES:
        raise Format(f"canonical JSON of {len(data):,} bytes is longer than {MAX_BYTES:,}")
    return data


def encode_string(text: str) -> bytes:
    """As `encode`, of a str alone. Raises Format."""
    try:
        return _quoted(text).encode()
    except UnicodeEncodeError:
        raise Format(_SURROGATE) from None


def decode(data: bytes) -> Any:
    """The value that `data` spells. Raises Format, whatever the bytes, if they are not canonical JSON."""
    if len(data) > MAX_BYTES:
        raise Format(f"canonical JSON of {len(data):,} bytes is longer than {MAX_BYTES:,}")
    try:
        value = json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise Format(f"the bytes are not UTF-8 (at byte {error.start})") from None
    except RecursionError:
        raise Format(f"JSON nests deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # JSONDecodeError, and integers of thousands of digits
        raise Format(f"the bytes are not JSON: {error}") from None
    again = encode(value)
    if again != data:
        at = next((i for i, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), min(len(again), len(data)))
        raise Format(f"the JSON is not in its canonical spelling (at byte {at})")
    return value


def members(value: object, what: str, types: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """`value`, if it is an object with exactly the members in `types`, each of its type (JSON-6). Raises Format."""
    if not isinstance(value, dict):
        raise Format(f"a {what} is not a JSON object")
    if value.keys() != types.keys():
        if missing := sorted(types.keys() - value.keys()):
            raise Format(f"a {what} lacks the member '{missing[0]}'")
        raise Format(f"a {what} has the unknown member '{sorted(value.keys() - types.keys())[0][:80]}'")
    for name, wanted in types.items():
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        if type(value[name]) not in allowed:  # not isinstance: a bool is no int
            raise Format(f"the member '{name}' of a {what} is not {' or '.join(_NAMES[t] for t in allowed)}")
    return value


def _check(value: object) -> None:
    """Refuse what has no canonical spelling. By levels, so that depth costs no stack."""
    level: list[Any] = [value]
    seen = 0
    for depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        holds = False
        for item in level:
            kind = type(item)
            if kind is int:
                if not -MAX_INT <= item <= MAX_INT:
                    raise Format("an integer is outside ±(2^53-1)")
            elif kind is dict:
                holds = True
                if not all(isinstance(key, str) for key in item):
                    raise Format("the key of an object is not a string")
                below.extend(item.values())
            elif kind is list or kind is tuple:
                holds = True
                below.extend(item)
            elif not (item is None or kind is bool or isinstance(item, str)):
                raise Format(f"a {kind.__name__} has no canonical JSON (numbers are integers)")
        if holds and depth == MAX_DEPTH:
            raise Format(f"JSON nests deeper than {MAX_DEPTH} levels")
        seen += len(below)
        if seen > MAX_BYTES:  # each takes a byte at least; and a list that holds itself twice would grow for ever
            raise Format(f"canonical JSON is longer than {MAX_BYTES:,} bytes")
        if not below:
            return
        level = below
