"""Patterns by name, with their check digits; and regular expressions, which are RE2's: linear in the length of the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dpkg.errors import Usage


class Pattern(NamedTuple):
    """`body` finds candidates; `holds`, where there is one, says whether a candidate is one.

    `grouped`: groups of it that another number stands beside are tried too.
    """

    body: str
    holds: Callable[[str], bool] | None = None
    grouped: bool = False


def luhn(text: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1)."""
    digits = [int(c) for c in text if c.isdigit()]
    twice = [2 * d - 9 * (d > 4) for d in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(twice)) % 10 == 0


def mod97(text: str) -> bool:
    """The check digits of an IBAN (ISO 13616)."""
    packed = re.sub(r"[ -]", "", text).upper()
    return 15 <= len(packed) <= 34 and int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


def social(text: str) -> bool:
    """A US social security number that can have been given: not 000, 666 or 9xx, 00, 0000."""
    area, group, serial = re.split("[- ]", text)
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
NAMED = {
    "ssn": Pattern(r"[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}", social),
    "email": Pattern(
        rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*\.[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]"
    ),
    "iban": Pattern(
        r"[A-Za-z]{2}[0-9]{2}(?:[A-Za-z0-9]{11,30}|(?:[ -][A-Za-z0-9]{4}){2,7}(?:[ -][A-Za-z0-9]{1,4})?)", mod97, True
    ),
    "card": Pattern(r"[0-9](?:[ -]?[0-9]){12,18}", luhn, True),
}


def check(args: Mapping[str, str]) -> None:
    """Raises Usage for a name that is none, and for what RE2 does not take."""
    name = args.get("pattern", "ssn")
    if name not in NAMED:
        near = nearest(name)
        raise Usage(f"there is no pattern '{name}'", f"did you mean '{near}'?" if near else ", ".join(NAMED))
    check_regex(args.get("regex", ""))


def nearest(text: str) -> str:
    """The name that somebody means who writes `SSN`, `e-mail` or `cards`; "" where it is another word."""
    return next(iter(get_close_matches(re.sub("[^a-z]", "", text.lower()), NAMED, 1, 0.7)), "")


def check_regex(text: str) -> None:
    """Raises Usage for what RE2 does not take."""
    try:
        pc.match_substring_regex(pa.array([""]), text)
    except pa.ArrowInvalid as e:
        why = str(e).rpartition(": ")[2] or str(e)
        raise Usage(
            f"'{text[:60]}' is not a regular expression: {why[:100]}", "RE2's syntax: without look-around and \\1"
        ) from None


def whole(array: pa.Array, name: str) -> pa.Array:
    """For each text whether all of it is of a named pattern; null for null."""
    pattern = NAMED[name]
    found = pc.match_substring_regex(array, rf"\A(?:{pattern.body})\z")
    return found if pattern.holds is None else _checked(array, found, pattern.holds)


def within(array: pa.Array, name: str) -> pa.Array:
    """For each text whether a named pattern stands in it, not as a part of a longer word; null for null."""
    pattern = NAMED[name]
    found = pc.match_substring_regex(array, rf"(?:\A|[^0-9A-Za-z]){pattern.body}(?:\z|[^0-9A-Za-z])")
    holds = pattern.holds
    if holds is None:
        return found
    starts = re.compile(rf"(?<![0-9A-Za-z])(?=({pattern.body})(?![0-9A-Za-z]))")
    return _checked(array, found, lambda text: any(map(holds, _candidates(starts, text, pattern.grouped))))


def _candidates(starts: re.Pattern[str], text: str, grouped: bool) -> Iterator[str]:
    """From each start the longest, and where it is of groups also what fewer of them make."""
    for match in starts.finditer(text):
        found = match.group(1)
        yield found
        for i, char in enumerate(found if grouped else ""):
            if char in " -":
                yield found[:i]


def _checked(array: pa.Array, found: pa.Array, holds: Callable[[str], bool]) -> pa.Array:
    """`found`, but where a text that was found does not hold."""
    at = pc.indices_nonzero(pc.fill_null(found, False))
    if not len(at):
        return found
    good = pa.array([holds(text) for text in array.take(at).to_pylist()], pa.bool_())
    return pc.replace_with_mask(found, pc.fill_null(found, False), good)
