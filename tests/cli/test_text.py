"""Text for people: aligned, no wider than the terminal, and nothing in it that could steer one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpkg.cli.output import line
from dpkg.command import clean, count, elide, grid, shorten, when


def width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def lines(rows: list[tuple[str, ...]], columns: int = 0, **how: object) -> list[str]:
    return [line(one, False) for made in grid(rows, **how) for one in made.lines(columns)]  # type: ignore[arg-type]


def test_numbers() -> None:
    assert [count(n, "row") for n in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
    assert count(2, "entry", "entries") == "2 entries"
    sizes = {
        0: "0 B",
        999: "999 B",
        1000: "1.0 kB",
        1234: "1.2 kB",
        999_949: "999.9 kB",
        999_950: "1.0 MB",
        10**15: "1000.0 TB",
    }
    assert {n: shorten(n) for n in sizes} == sizes


def test_times() -> None:
    assert when(0) == "1970-01-01 00:00:00 UTC"
    assert when(1795351667) == "2026-11-22 12:47:47 UTC"
    assert when(2**62) == f"second {2**62} of 1970"
    assert when(-(2**62)) == f"second -{2**62} of 1970"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe → 日本", "größe → 日本"),
        ("a\tb", "a\tb"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\udcff", "\\udcff"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_clean_text_steers_nothing(text: str) -> None:
    shown = clean(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown if c != "\t")
    assert "\u202e" not in shown
    assert clean(shown) == shown


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"])), st.integers(1, 30))
def test_elide(text: str, columns: int) -> None:
    shown = elide(text, columns)
    assert width(shown) <= columns
    assert shown == text or "…" in shown
    assert width(text) > columns or shown == text


def test_elide_keeps_both_ends() -> None:
    assert elide("docs/deep/er/file.csv", 12) == "docs/d…e.csv"


def test_grid() -> None:
    assert lines([("a", "1"), ("bbb", "22")], right="1") == ["a     1", "bbb  22"]
    assert lines([("a", ""), ("bbb", "x")]) == ["a", "bbb  x"]
    assert lines([("日本", "x"), ("a", "y")]) == ["日本  x", "a     y"]
    assert lines([("a\nb", "x")]) == ["a\\nb  x"]
    assert grid([]) == []


def test_colours_are_outside_of_the_padding() -> None:
    (made,) = grid([(("cyan", "a"), "b"), (("cyan", "long"), "c")])
    assert [line(one, True) for one in made.lines()] == ["\x1b[36ma\x1b[0m     b", "\x1b[36mlong\x1b[0m  c"]
    assert line((("bold red", ""), "x"), True) == "x"


CELLS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cf", "Mn"]), max_size=40)


@given(st.lists(st.tuples(CELLS, CELLS, st.integers(0, 10**9).map(str)), min_size=1, max_size=5), st.integers(44, 120))
def test_a_grid_is_as_wide_as_the_terminal_at_most(rows: list[tuple[str, ...]], columns: int) -> None:
    """Two columns of words give to a least width of 12 each; numbers never do."""
    narrow, wide = lines(rows, columns, right="2"), lines(rows, right="2")
    assert all(width(one) <= columns for one in narrow)
    assert all(row[2] in one for row, one in zip(rows, narrow, strict=True))
    if all(width(one) <= columns for one in wide):
        assert narrow == wide


@given(st.lists(st.integers(1, 30), min_size=1, max_size=15), st.integers(40, 120))
def test_a_grid_that_drops_columns(widths: list[int], columns: int) -> None:
    rows = [tuple(str(i % 10) * w for i, w in enumerate(widths))] * 2
    first, second = lines(rows, columns, drop=True)
    assert width(first) <= columns
    if sum(widths) + 2 * len(widths) - 2 <= columns:
        assert first == second == "  ".join(rows[0])
    else:
        shown = second.split("  ")
        assert shown[1:] == list(rows[0][1 : len(shown)])
        assert shown[0] == rows[0][0] or (len(shown) == 1 and "…" in shown[0])
        assert first.endswith(f"… {len(widths) - len(shown)} more")


def test_more_than_nine_columns() -> None:
    rows = [tuple("a" for _ in range(13)), tuple("bb" for _ in range(13))]
    assert lines(rows, right=[12])[0] == "a   " * 12 + " a"
