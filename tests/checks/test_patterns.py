"""Patterns by name: what each takes and what it does not, whole and within other text."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpkg.arrow.checks.patterns import NAMED, check_regex, whole, within
from dpkg.errors import Usage

YES = {
    "ssn": ["123-45-6789", "001 01 0001", "899-99-9999"],
    "email": ["a@x.org", "Ada.L+tag@mail.example.co.uk", "o'hara@x-y.de"],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "NO9386011117947",
        "FR14 2004 1010 0505 0001 3M02 606",
    ],
    "card": ["4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "6304000000000000000"],
}
NO = {
    "ssn": ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123456789", "123-45 6789"],
    "email": ["a@x", "@x.org", "a b@x.org", "a@-x.org", "a@x..org", "a@x.o1-", ""],
    "iban": ["DE88 3704 0044 0532 0130 00", "GB82WEST12345698765431", "DE89", "1234567890123456"],
    "card": ["4111111111111112", "411111111111", "0000 0000 0000 0000", "4111--1111--1111--1111", "1234567890123456"],
}


@pytest.mark.parametrize("name", NAMED)
def test_whole_and_within(name: str) -> None:
    yes, no = YES[name], NO[name]
    assert whole(pa.array([*yes, *no, None]), name).to_pylist() == [True] * len(yes) + [False] * len(no) + [None]
    said = [f"see: {text}, please" for text in yes] + [f"({text})" for text in yes]
    assert within(pa.array([*said, None]), name).to_pylist() == [True] * len(said) + [None]
    if NAMED[name].holds:
        assert within(pa.array([f"see: {text}, please" for text in no]), name).to_pylist() == [False] * len(no)
    assert whole(pa.array(said), name).to_pylist() == [False] * len(said)


def is_card(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    total = sum(d if i % 2 == 0 else 2 * d - 9 * (d > 4) for i, d in enumerate(reversed(digits)))
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and total % 10 == 0


def is_iban(text: str) -> bool:
    packed = re.sub("[ -]", "", text).upper()
    return 15 <= len(packed) <= 34 and int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


CARDS = st.from_regex(r"[0-9](?:[ -]?[0-9]){11,19}", fullmatch=True)
IBANS = st.from_regex(
    r"[A-Za-z]{2}[0-9]{2}(?:[A-Za-z0-9]{9,32}|(?:[ -][A-Za-z0-9]{4}){2,7} ?[A-Za-z0-9]{0,4})", fullmatch=True
)


SHAPES = {
    "card": (re.compile(r"[0-9](?:[ -]?[0-9])*"), is_card),
    "iban": (
        re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[A-Za-z0-9]*|(?:[ -][A-Za-z0-9]{4})*(?:[ -][A-Za-z0-9]{1,4})?)"),
        is_iban,
    ),
}


def mended(text: str) -> str:
    """With check digits that hold, where it is not too short or long."""
    if text[0].isalpha():
        return next((made for d in range(100) if is_iban(made := f"{text[:2]}{d:02}{text[4:]}")), text)
    return next((made for d in range(10) if is_card(made := f"{text[:-1]}{d}")), text)


@given(st.lists(CARDS | IBANS, min_size=1, max_size=8), st.booleans())
def test_check_digits(texts: list[str], mend: bool) -> None:
    texts = [mended(text) if mend else text for text in texts]
    for name, (shape, holds) in SHAPES.items():
        held = [shape.fullmatch(text) is not None and holds(text) for text in texts]
        assert whole(pa.array(texts), name).to_pylist() == held
        found = within(pa.array([f"x {text}." for text in texts] + texts), name).to_pylist()
        assert all(there for there, h in zip(found, held * 2, strict=True) if h)


def test_within_finds_the_second_of_two() -> None:
    assert within(
        pa.array(["4111111111111112 or 4111111111111111", "x4111111111111111", "41111111111111112"]), "card"
    ).to_pylist() == [
        True,
        False,
        False,
    ]
    assert within(pa.array(["000-12-3456 001-01-0001", "x123-45-6789", "123-45-67890"]), "ssn").to_pylist() == [
        True,
        False,
        False,
    ]


def test_a_card_at_the_end_of_a_longer_run_of_groups() -> None:
    """All runs of groups are tried, as a number may stand beside another."""
    assert within(pa.array(["12 4111 1111 1111 1111", "4111-1111-1111-1111 12/29"]), "card").to_pylist() == [True, True]


def test_what_re2_does_not_take() -> None:
    for text in ("(", "(?=a)", r"(a)\1", "a**"):
        with pytest.raises(Usage, match="is not a regular expression"):
            check_regex(text)
    check_regex(r"^\d{3}$")
