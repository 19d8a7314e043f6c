"""Canonical JSON: one spelling for each value, and every other one refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.errors import Format
from dpkg.objects.canonical_json import MAX_BYTES, MAX_DEPTH, MAX_INT, decode, encode, members
from dpkg.oid import Oid

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
SCALARS = (1.0, float("nan"), MAX_INT + 1, -MAX_INT - 1, 10**5000, b"x", {1}, object(), "\ud800")


def slow(value: Any) -> bytes:
    """The rules of the spec, spelled out."""
    if value is None or isinstance(value, bool):
        return {None: b"null", True: b"true", False: b"false"}[value]
    if isinstance(value, int):
        return str(value).encode()
    if isinstance(value, str):
        return b'"' + b"".join(slow_character(c) for c in value) + b'"'
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode())
        return b"{" + b",".join(slow(key) + b":" + slow(value[key]) for key in keys) + b"}"
    return b"[" + b",".join(map(slow, value)) + b"]"


def slow_character(c: str) -> bytes:
    short = {'"': rb"\"", "\\": rb"\\", "\b": rb"\b", "\t": rb"\t", "\n": rb"\n", "\f": rb"\f", "\r": rb"\r"}
    if c in short:
        return short[c]
    return b"\\u%04x" % ord(c) if c < " " else c.encode()


@pytest.mark.spec("JSON-1")
@pytest.mark.spec("JSON-2")
@pytest.mark.spec("JSON-4")
@given(VALUES)
def test_encode_follows_the_rules_and_decode_inverts_it(value: Any) -> None:
    data = encode(value)
    assert data == slow(value)
    again = decode(data)
    assert again == value
    assert encode(again) == data


@pytest.mark.spec("JSON-2")
def test_keys_are_sorted_by_utf8() -> None:
    # in UTF-16 the surrogates of the last would sort before U+FFFF
    assert (
        encode({"\U0001f600": 1, "\uffff": 2, "a": 3, "": 4, "B": 5}) == '{"":4,"B":5,"a":3,"\uffff":2,"😀":1}'.encode()
    )


@pytest.mark.spec("JSON-4")
def test_every_character_below_128() -> None:
    for code in range(128):
        assert encode(chr(code)) == slow(chr(code))
    assert encode("\x7f\x80\u2028é😀/") == b'"' + "\x7f\x80\u2028é😀/".encode() + b'"'


def test_encode_takes_tuples_and_oids() -> None:
    oid = Oid("ab" * 32)
    assert encode({"x": (1, (oid,))}) == b'{"x":[1,["%s"]]}' % oid.encode()


@pytest.mark.spec("JSON-3")
@pytest.mark.spec("JSON-4")
@pytest.mark.parametrize(
    "value",
    [*SCALARS, [1, [2, 3.5]], {1: 2}, {None: 1}, {True: 1}, {"a": {1}}, {"\udfff": 1}],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_spelling(value: object) -> None:
    with pytest.raises(Format):
        encode(value)


@pytest.mark.spec("JSON-5")
def test_depth() -> None:
    def nested(depth: int) -> Any:
        value: Any = 1
        for i in range(depth):
            value = [value] if i % 2 else {"k": value}
        return value

    def empty(depth: int) -> Any:
        value: Any = []
        for _ in range(depth - 1):
            value = [value]
        return value

    for make in (nested, empty):
        assert decode(encode(make(MAX_DEPTH))) == make(MAX_DEPTH)
        with pytest.raises(Format, match="deeper"):
            encode(make(MAX_DEPTH + 1))
        with pytest.raises(Format, match="deeper"):
            decode(json.dumps(make(MAX_DEPTH + 1), separators=(",", ":")).encode())
    for data in (b"[" * 1_000_000, b"[" * 5000 + b"]" * 5000, b'{"a":' * 100_000):
        with pytest.raises(Format):
            decode(data)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Format):
        encode(loop)


@pytest.mark.spec("JSON-5")
def test_size() -> None:
    text = "x" * (MAX_BYTES - 2)
    assert decode(encode(text)) == text
    with pytest.raises(Format, match="longer"):
        encode(text + "x")
    with pytest.raises(Format, match="longer"):
        decode(b'"' + text.encode() + b'x"')


OTHER_SPELLINGS = {
    "JSON-1": [
        b"\xef\xbb\xbf1", b" 1", b"1 ", b"1\n", b"[1, 2]", b'{"a": 1}', b"[\t]", "1".encode("utf-16"),
        b'"\xff"', b'"\xc0\xaf"',
    ],
    "JSON-2": [
        b'{"a":1,"a":1}', b'{"b":1,"a":2}', '{"😀":1,"\uffff":2}'.encode(),
    ],
    "JSON-3": [
        b"1.0", b"1e3", b"-0", b"+1", b"01", b"-01", b"9007199254740992", b"-9007199254740992",
        b"9" * 5000, b"NaN", b"Infinity", b"0x1", b"1.", b".5",
    ],
    "JSON-4": [
        rb'"\/"', rb'"\u0041"', rb'"\u000a"', rb'"\u001F"', rb'"\ud83d\ude00"', rb'"\ud800"',
        rb'"\u00e9"', rb'"\x41"', b'"\n"', b'"\xed\xa0\x80"',
    ],
    "JSON-6": [
        b"", b"[", b"tru", b"True", b"null,", b"1 2", b"[1,]", b'{"a"}', b"'a'", b'{a:1}', b"\x00",
        b"[]]", b"//x\n1",
    ],
}  # fmt: skip


@pytest.mark.spec("JSON-1")
@pytest.mark.spec("JSON-3")
@pytest.mark.spec("JSON-6")
@pytest.mark.parametrize(
    "data", [data for some in OTHER_SPELLINGS.values() for data in some], ids=lambda data: repr(data[:20])
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(Format):
        decode(data)


@pytest.mark.spec("JSON-3")
def test_integers_at_the_limits() -> None:
    for value in (0, -1, MAX_INT, -MAX_INT):
        assert decode(encode(value)) == value
    assert decode(b"[true,false,1,0]") == [True, False, 1, 0]


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_raise_only_format(data: bytes) -> None:
    try:
        value = decode(data)
    except Format:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_damaged_json_raises_only_format(value: Any, data: st.DataObject) -> None:
    good = bytearray(encode(value))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Format):
        assert encode(decode(bytes(good))) == good


@pytest.mark.spec("JSON-6")
def test_members() -> None:
    types: dict[str, type | tuple[type, ...]] = {"a": int, "b": (str, type(None))}
    assert members({"a": 1, "b": None}, "thing", types) == {"a": 1, "b": None}
    for value, words in [
        ([], "not a JSON object"),
        ({"a": 1}, "lacks the member 'b'"),
        ({"a": 1, "b": "", "c": 1}, "unknown member 'c'"),
        ({"a": True, "b": ""}, "'a' of a thing is not an integer"),
        ({"a": 1, "b": 1}, "'b' of a thing is not a string or null"),
    ]:
        with pytest.raises(Format, match=words):
            members(value, "thing", types)
