"""The shape of JSON values, line by line in Python. Slow: for messages, and for what Arrow's reader cannot take."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple, NoReturn

import pyarrow as pa

from dpkg.arrow.readers.jsonvalues import Number
from dpkg.arrow.readers.texts import EXACT
from dpkg.errors import Format

_INTEGER = re.compile("-?[0-9]+")
_HINT = "declare the column's type, or make its values alike"


def parse_line(text: str, where: str) -> dict[str, Any]:
    """The object on a line; its numbers keep their text. Raises Format."""
    try:
        value = json.loads(
            text,
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
            object_pairs_hook=lambda p: _members(p, where),
        )
    except json.JSONDecodeError as e:
        raise Format(f"{where}: not JSON: {e.msg} (character {e.colno})", "each line holds one JSON object") from None
    except RecursionError:
        raise Format(f"{where}: nested too deep") from None
    if not isinstance(value, dict):
        raise Format(f"{where}: not a JSON object", "each line holds one JSON object")
    return value


def _members(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Format(f"{where}: an object has the member '{twice}' twice")
    for text in [*members, *(v for v in members.values() if isinstance(v, str))]:
        if not text.isascii():
            _check_text(text, where)
    return members


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Format(f"{where}: a string holds half a surrogate pair") from None


class Spot(NamedTuple):
    """A line, of one of several files."""

    part: int
    line: int
    file: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


class Shape:
    """What has been seen in one place: kinds, each with the line of its first, members, items."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.kinds: dict[str, Spot] = {}
        self.members: dict[str, Shape] = {}
        self.item: Shape | None = None

    def add(self, value: Any, spot: Spot) -> bool:
        """Whether that changed the shape. Raises Format if values do not go together."""
        kind = self._kind(value, spot)
        changed = kind is not None and kind not in self.kinds
        if kind is not None and changed:
            self.kinds[kind] = spot
            self._check()
        if kind == "object":
            for name, member in value.items():
                changed |= name not in self.members
                shape = self.members.setdefault(name, Shape(f"{self.path}.{name}" if self.path else name))
                changed |= shape.add(member, spot)
        if kind == "array":
            self.item = self.item or Shape(self.path + "[]")
            for item in value:
                changed |= self.item.add(item, spot)
        return changed

    def _kind(self, value: Any, spot: Spot) -> str | None:
        if isinstance(value, Number):
            if _INTEGER.fullmatch(value) and -(1 << 63) <= int(value) < 1 << 63:
                return "big integer" if abs(int(value)) > EXACT else "integer"
            if not math.isfinite(float(value)) and value not in ("NaN", "Infinity", "-Infinity"):
                raise Format(f"{spot}, '{self.path}': {value[:40]} is too large for a float64")
            return "number"
        if isinstance(value, str) and not value.isascii():
            _check_text(value, str(spot))
        names = {bool: "boolean", str: "string", dict: "object", list: "array"}
        return names.get(type(value))

    def _check(self) -> None:
        kinds = self.kinds.keys()
        if "big integer" in kinds and "number" in kinds:
            self._refuse("big integer", "number", "an integer beyond 2^53", "a number with a fraction or an exponent")
        family = {k: "number" if k.endswith("integer") else k for k in kinds}
        if len(set(family.values())) > 1:
            first = next(iter(kinds))
            other = next(k for k in kinds if family[k] != family[first])
            self._refuse(first, other, first, other)

    def _refuse(self, a: str, b: str, one: str, other: str) -> NoReturn:
        (first, what), (second, that) = sorted([(self.kinds[a], one), (self.kinds[b], other)])
        there = f"line {second.line}" + ("" if second.part == first.part else f" of {second.file}")
        message = f"'{self.path}' is {_article(what)} on line {first.line} and {_article(that)} on {there}"
        raise Format(f"{first.file}: {message}", _HINT)

    def type(self) -> pa.DataType:
        if "object" in self.kinds:
            return pa.struct([(name, shape.type()) for name, shape in self.members.items()])
        if self.item is not None:
            return pa.list_(self.item.type())
        if "number" in self.kinds:
            return pa.float64()
        if "integer" in self.kinds or "big integer" in self.kinds:
            return pa.int64()
        if "boolean" in self.kinds:
            return pa.bool_()
        return pa.string() if "string" in self.kinds else pa.null()


def _article(what: str) -> str:
    if what.startswith(("a ", "an ")):
        return what
    return f"{'an' if what[0] in 'aeio' else 'a'} {what}"


class Shapes:
    """Those of a table's columns. Those in `skip` only take their place."""

    def __init__(self, skip: set[str]) -> None:
        self._skip, self._root = skip, Shape("")

    def add(self, members: dict[str, Any], spot: Spot) -> bool:
        shown = {n: None if n in self._skip else v for n, v in members.items()}
        return self._root.add(shown, spot)

    def types(self) -> dict[str, pa.DataType]:
        return {name: shape.type() for name, shape in self._root.members.items()}

    def inexact(self, final: dict[str, pa.DataType]) -> bool:
        """Whether an integer beyond 2^53 is where the final type is float64."""
        return any(_inexact(shape, final[name]) for name, shape in self._root.members.items() if name not in self._skip)


def _inexact(shape: Shape, final: Any) -> bool:
    if pa.types.is_struct(final):
        return any(_inexact(member, final.field(name).type) for name, member in shape.members.items())
    if pa.types.is_list(final):
        return shape.item is not None and _inexact(shape.item, final.value_type)
    return final == pa.float64() and "big integer" in shape.kinds
