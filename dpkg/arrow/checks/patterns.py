"""Patterns by name, with their check digits; and regular expressions, which are RE2's: linear in the length of the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dpkg.errors import Usage, nearest

_AT_ONCE = 1 << 14  # candidates


class Pattern(NamedTuple):
    """`body` finds candidates; `holds`, where there is one, says which of some candidates are one.

    `least`: where another number may stand beside it, the first groups are tried too, with so many letters and digits.
    """

    body: str
    holds: Callable[[pa.Array], Any] | None = None
    least: int = 0


def luhn(texts: pa.Array) -> Any:
    """The check digit of card numbers (ISO/IEC 7812-1)."""
    characters, lengths = _packed(texts, 19)
    digits = characters - 48
    twice = 2 * digits[:, -2::-2]
    total = digits[:, -1::-2].sum(axis=1) + np.where(twice > 9, twice - 9, twice).sum(axis=1)
    filled = np.arange(19) < 19 - lengths[:, None]
    alike = (filled | (digits == digits[:, -1:])).all(axis=1)
    return (lengths >= 13) & (lengths <= 19) & ~alike & (total % 10 == 0)


def mod97(texts: pa.Array) -> Any:
    """The check digits of an IBAN (ISO 13616)."""
    characters, lengths = _packed(pc.replace_substring_regex(texts, r"\A(.{4})(.*)\z", r"\2\1"), 34)
    left = np.zeros(len(texts), np.int64)
    for c in characters.T:
        digit = c < 58
        left = (left * np.where(digit, 10, 100) + np.where(digit, c - 48, c - 55)) % 97
    return (lengths >= 15) & (lengths <= 34) & (left == 1)


def _packed(texts: pa.Array, width: int) -> tuple[Any, Any]:
    """The letters and digits of texts, in capitals, with zeros before them, a row each; and how many there are."""
    packed = pc.ascii_upper(pc.replace_substring_regex(texts, "[ -]", ""))
    lengths = pc.binary_length(packed).to_numpy()
    filled = pc.ascii_lpad(pc.utf8_slice_codeunits(packed, 0, width), width, "0")
    found = np.frombuffer(filled.buffers()[2] or b"", np.uint8, len(texts) * width)
    return found.reshape(-1, width).astype(np.int64), lengths


_AREA = "(?:00[1-9]|0[1-9][0-9]|[1-57-8][0-9]{2}|6(?:[0-57-9][0-9]|6[0-57-9]))"  # not 000, 666, 9xx
_GROUP, _SERIAL = "(?:0[1-9]|[1-9][0-9])", "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
NAMED = {
    "ssn": Pattern(f"{_AREA}(?:-{_GROUP}-| {_GROUP} ){_SERIAL}"),
    "email": Pattern(
        rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*\.[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]"
    ),
    "iban": Pattern(
        r"[A-Za-z]{2}[0-9]{2}(?:[A-Za-z0-9]{11,30}|(?:[ -][A-Za-z0-9]{4}){2,7}(?:[ -][A-Za-z0-9]{1,4})?)", mod97, 15
    ),
    "card": Pattern(r"[0-9](?:[ -]?[0-9]){12,18}", luhn, 13),
}


def check(args: Mapping[str, str]) -> None:
    """Raises Usage for a name that is none, and for what RE2 does not take."""
    name = args.get("pattern", "ssn")
    if name not in NAMED:
        near = nearest_named(name)
        raise Usage(f"there is no pattern '{name}'", f"did you mean '{near}'?" if near else ", ".join(NAMED))
    check_regex(args.get("regex", ""))


def nearest_named(text: str) -> str:
    """The name that somebody means who writes `SSN`, `e-mail` or `cards`; "" where it is another word."""
    return nearest(re.sub("[^a-z]", "", text.lower()), NAMED, 0.7)


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
    if pattern.holds is None:
        return found
    holds = pattern.holds
    starts = re.compile(rf"(?<![0-9A-Za-z])(?=({pattern.body})(?![0-9A-Za-z]))")

    def any_holds(texts: pa.Array) -> Any:
        single = pc.match_substring_regex(texts, r"\A[0-9A-Za-z]+\z").to_numpy(zero_copy_only=False)
        good = np.zeros(len(texts), bool)
        good[single] = holds(texts.filter(pa.array(single)))
        found = (
            (i, c) for i in np.flatnonzero(~single).tolist() for c in _candidates(starts, texts[i].as_py(), pattern)
        )
        while some := list(islice(found, _AT_ONCE)):
            rows, candidates = zip(*some, strict=True)
            good[np.array(rows)[holds(pa.array(candidates))]] = True
        return good

    return _checked(array, found, any_holds)


def _candidates(starts: re.Pattern[str], text: str, pattern: Pattern) -> Iterator[str]:
    """From each start the longest, and where it is of groups also what fewer of them make."""
    for match in starts.finditer(text):
        found = match.group(1)
        yield found
        count = 0
        for i, char in enumerate(found if pattern.least else ""):
            if char not in " -":
                count += 1
            elif count >= pattern.least:
                yield found[:i]


def _checked(array: pa.Array, found: pa.Array, holds: Callable[[pa.Array], Any]) -> pa.Array:
    """`found`, but where a text that was found does not hold."""
    at = pc.indices_nonzero(pc.fill_null(found, False))
    if not len(at):
        return found
    good = pa.array(holds(array.take(at)), pa.bool_())
    return pc.replace_with_mask(found, pc.fill_null(found, False), good)
