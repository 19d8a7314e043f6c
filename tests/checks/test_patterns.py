"""Patterns by name: what each takes and what it does not, whole and within other text."""

from __future__ import annotations

import pyarrow as pa
import pytest

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
