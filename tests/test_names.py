"""Names and package expressions, as spec/terms.md has them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpkg.errors import Usage
from dpkg.names import Expr, Range, is_path, is_range, parse_expr, parse_range, valid_package, valid_ref


@pytest.mark.parametrize("name", ["a/b", "0/9", "acme/sales", "a.b-c_d/x..y", f"{'a' * 100}/{'b' * 100}"])
def test_packages(name: str) -> None:
    assert valid_package(name) == name
    assert parse_expr(name) == Expr(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a", "a/", "/b", "a/b/c", "A/b", "a/B", "-a/b", "a/.b", "a/_b", "a b/c", "é/b", "a/b\n", "a/b@"),
        f"{'a' * 101}/b",
    ],
)
def test_no_packages(name: str) -> None:
    with pytest.raises(Usage) as caught:
        valid_package(name)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["main", "v1.2", "0", "A-b_c", "x" * 100, "Latest", "latest2"])
def test_refs(name: str) -> None:
    assert valid_ref(name) == name


@pytest.mark.parametrize(
    "name", ["", "latest", "a/b", ".a", "-a", "_a", "a b", "é", "a..b", "x" * 101, "a~1", "a@b", "a\n", "²"]
)
def test_no_refs(name: str) -> None:
    with pytest.raises(Usage) as caught:
        valid_ref(name)
    assert caught.value.hint


@pytest.mark.parametrize(
    "argument", ["/", "/a", "./a", "../a", "~", "~/a", "~user/a", ".", "..", "s3://x", "file:///a"]
)
def test_paths(argument: str) -> None:
    assert is_path(argument)
    for parse in (parse_expr, parse_range):
        with pytest.raises(Usage, match="path"):
            parse(argument)


@pytest.mark.parametrize("argument", ["a/b", "a", "", ".a", "..a", "...", "a/../b", "acme/sales@v1~2/x", "a:b"])
def test_no_paths(argument: str) -> None:
    assert not is_path(argument)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("acme/sales@v1.2/transactions", Expr("acme/sales", "v1.2", "transactions")),
        ("acme/sales@latest", Expr("acme/sales", "latest")),
        ("acme/sales@latest~2", Expr("acme/sales", "latest~2")),
        ("acme/sales@~", Expr("acme/sales", "~")),
        ("acme/sales@main~~3/a", Expr("acme/sales", "main~~3", "a")),
        ("acme/sales/a/b c/é.csv", Expr("acme/sales", None, "a/b c/é.csv")),
        ("acme/sales/a@b", Expr("acme/sales", None, "a@b")),
        ("acme/sales@3fa9c1/a@b/c", Expr("acme/sales", "3fa9c1", "a@b/c")),
        ("acme/sales/a..b", Expr("acme/sales", None, "a..b")),
        ("acme/sales/...", Expr("acme/sales", None, "...")),
    ],
)
def test_expressions(text: str, want: Expr) -> None:
    assert parse_expr(text) == want
    assert str(want) == text
    assert not is_range(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a@b", "a@b/c", "a/b@", "a/b@/x", "a/b@v1/", "a/b/", "a/b//x", "a/b/x/../y", "a/b/.", "a/b@v1/x/"),
        *("a/b@v 1", "a/b@v1@v2", "a/b@v~x", "a/b@v~-1", "a/b@v~1234567890", "a/b@~²", "a/b@.x", "a/b@v^", "A/b@v1"),
        *("a/b@v1..v2", "a/b/\0"),
    ],
)
def test_no_expressions(text: str) -> None:
    with pytest.raises(Usage) as caught:
        parse_expr(text)
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("acme/sales@v1..v2", Range("acme/sales", "v1", "v2")),
        ("acme/sales@latest~2..latest/a/b", Range("acme/sales", "latest~2", "latest", "a/b")),
        ("a/b@~2..~", Range("a/b", "~2", "~")),
        ("a.a/b..c@v1.0..v1.1", Range("a.a/b..c", "v1.0", "v1.1")),
    ],
)
def test_ranges(text: str, want: Range) -> None:
    assert parse_range(text) == want
    assert str(want) == text
    assert is_range(text)


@pytest.mark.parametrize(
    "text", ["a/b", "a/b@v1", "a/b@v1..", "a/b@..v1", "a/b@..", "a/b@a...b", "a/b@a..b..c", "b@a..b"]
)
def test_no_ranges(text: str) -> None:
    with pytest.raises(Usage):
        parse_range(text)


@given(st.text(st.sampled_from("ab1@/.~-_ \0é"), max_size=14) | st.text(max_size=10))
def test_any_text_parses_or_is_refused(text: str) -> None:
    for parse in (parse_expr, parse_range):
        with suppress(Usage):
            assert str(parse(text)) == text
