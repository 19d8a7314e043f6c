"""A rule's texts as values of a column's type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from dpkg.arrow.checks.base import comparable
from dpkg.arrow.readers.declared import converter
from dpkg.arrow.schema import Schema, no_column
from dpkg.arrow.typenames import parse_type
from dpkg.arrow.types import Type, from_field
from dpkg.arrow.values import FLOATS, WIDTH
from dpkg.errors import DpkgError, Usage

INTEGERS = frozenset(k for k in WIDTH if "int" in k)
NUMBERS = INTEGERS | {*FLOATS, "decimal"}
ORDERED = frozenset(("decimal", "utf8", "binary", "fixed_binary", "date", *WIDTH))
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def column_type(schema: Schema, name: str) -> Type:
    """The type of a column, below any extension. Raises Usage, naming the nearest."""
    if name in schema.names:
        return schema.types[schema.names.index(name)].storage
    for other in schema.names:
        if other.casefold() == name.casefold():
            raise Usage(f"there is no column '{name}'", f"did you mean '{other}'?")
    raise no_column(name, schema.names)


def type_name(text: str) -> str:
    """A type as dpkg writes it. Raises Usage."""
    return str(from_field(pa.field("a type", parse_type(text))))


def require(t: Type, kinds: Any, column: str, what: str) -> None:
    """Raises Usage where a column is of another type than a rule is for."""
    if t.kind not in kinds:
        raise Usage(f"column '{column}' is {t}, and {what}")


def value(text: str, t: Type, column: str) -> pa.Scalar:
    """A text as a value of a column's type. Raises Usage."""
    return values([text], t, column)[0]


def values(texts: Sequence[str], t: Type, column: str) -> pa.Array:
    """Texts as values of a column's type. Raises Usage for the first that is none."""
    try:
        make = converter(t.plain)
        made = _made(make, texts, t)
        if made is None:
            odd = next(one for one in texts if _made(make, [one], t) is None)
            hint = (
                "write its zone too, such as 2026-01-31T12:00:00Z"
                if t.kind == "timestamp" and len(t.params) > 1
                else ""
            )
            raise Usage(f"'{odd[:60]}' is not {t}, as column '{column}' is", hint)
    except (DpkgError, pa.ArrowException, InvalidOperation) as e:
        raise e if isinstance(e, Usage) else Usage(f"column '{column}': {e}") from None
    return made


def _made(make: Any, texts: Sequence[str], t: Type) -> Any:
    if t.kind == "fixed_binary" and t.params == (16,) and all(map(_UUID.fullmatch, texts)):
        return pa.array([bytes.fromhex(one.replace("-", "")) for one in texts], t.plain)
    found = make(pa.array(texts, pa.string()))
    if found is None and t.kind == "timestamp":  # a day alone is its beginning
        zone = "Z" if len(t.params) > 1 else ""
        found = make(pa.array([f"{one}T00:00:00{zone}" if len(one) == 10 else one for one in texts], pa.string()))
    return found


def bound(text: str, t: Type, column: str, *, least: bool) -> pa.Scalar | bool:
    """A least or greatest value in a column's type, rounded inwards; True where all of the type are beyond it, False where none is."""
    if t.kind in FLOATS and text.strip().lower().lstrip("+-") == "nan":
        raise Usage(f"'{text}' is no bound: nothing is below NaN, or above it")
    if t.kind not in (*INTEGERS, "decimal"):
        return comparable(values([text], t, column))[0]
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Usage(f"'{text[:60]}' is not {t}, as column '{column}' is") from None
    if not number.is_finite():
        raise Usage(f"'{text[:60]}' is not {t}, as column '{column}' is")
    scale = t.params[1] if t.kind == "decimal" else 0
    unscaled = int((number.scaleb(scale, _WIDE)).to_integral_value(ROUND_CEILING if least else ROUND_FLOOR))
    low, high = limits(t)
    if low <= unscaled <= high:
        exact = Decimal(unscaled).scaleb(-scale, _WIDE)
        return pa.scalar(exact if t.kind == "decimal" else unscaled, t.plain)
    return (unscaled > high) if least else (unscaled < low)


def limits(t: Type) -> tuple[int, int]:
    """The least and greatest (unscaled) number of a type."""
    if t.kind == "decimal":
        return 1 - 10 ** t.params[0], 10 ** t.params[0] - 1
    bits = 8 * WIDTH[t.kind]
    return (0, 2**bits - 1) if t.kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _wide() -> Any:
    from decimal import Context

    return Context(prec=1000)


_WIDE = _wide()
