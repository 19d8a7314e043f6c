"""Commits: one spelling, and a strict decoder."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpkg.errors import Format
from dpkg.objects import canonical_json
from dpkg.objects.commit import Commit
from dpkg.oid import Oid, digest

OIDS = st.binary(min_size=32, max_size=32).map(lambda raw: Oid(raw.hex()))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
COMMITS = st.builds(
    Commit,
    tree=OIDS,
    parents=st.lists(OIDS, max_size=3, unique=True).map(tuple),
    author=TEXT,
    time=st.integers(-(2**53) + 1, 2**53 - 1),
    message=TEXT,
    provenance=st.dictionaries(TEXT, JSON, max_size=3),
    checks=st.lists(JSON, max_size=3),
)
A, B = Oid("aa" * 32), Oid("bb" * 32)
COMMIT = Commit(A, (B,), "Ada", 1_700_000_000, "first", {"tool": "dpkg"}, [{"ok": True}])
SPELLED = (
    b'{"author":"Ada","checks":[{"ok":true}],"message":"first","parents":["%s"],"provenance":{"tool":"dpkg"},'
    b'"time":1700000000,"tree":"%s"}' % (B.encode(), A.encode())
)


@given(COMMITS)
def test_round_trip(commit: Commit) -> None:
    again = Commit.decode(commit.encode())
    assert again == commit
    assert again.oid == commit.oid
    assert isinstance(again.tree, Oid)
    assert all(isinstance(parent, Oid) for parent in again.parents)


@pytest.mark.spec("OBJ-3")
@pytest.mark.spec("OID-3")
def test_spelling_and_oid() -> None:
    assert COMMIT.encode() == SPELLED
    assert Commit.decode(SPELLED) == COMMIT
    assert COMMIT.oid == digest("commit", SPELLED)
    assert COMMIT.oid != digest("node", SPELLED)


@pytest.mark.spec("OBJ-4")
def test_the_tree_does_not_depend_on_the_rest() -> None:
    other = dataclasses.replace(COMMIT, author="Bob", time=1, message="", provenance={}, checks=[])
    assert other.tree == COMMIT.tree
    assert other.oid != COMMIT.oid


@pytest.mark.spec("JSON-6")
@pytest.mark.spec("OBJ-3")
@pytest.mark.parametrize(
    "change",
    [
        {"time": "1"},
        {"time": True},
        {"time": None},
        {"tree": None},
        {"tree": "aa"},
        {"tree": "AA" * 32},
        {"parents": {}},
        {"parents": [1]},
        {"parents": [[]]},
        {"parents": ["xx"]},
        {"parents": [A, A]},
        {"author": 1},
        {"message": None},
        {"checks": {}},
        {"provenance": []},
        {"extra": 1},
    ],
    ids=str,
)
def test_wrong_members_are_refused(change: dict[str, Any]) -> None:
    data = canonical_json.encode(canonical_json.decode(SPELLED) | change)
    with pytest.raises(Format):
        Commit.decode(data)


@pytest.mark.spec("JSON-6")
def test_missing_members_and_other_values_are_refused() -> None:
    value = canonical_json.decode(SPELLED)
    for name in value:
        with pytest.raises(Format, match=f"lacks the member '{name}'"):
            Commit.decode(canonical_json.encode({k: v for k, v in value.items() if k != name}))
    for data in (b"", b"[]", b"null", b"{}", b'"x"', SPELLED + b" ", SPELLED.replace(b"Ada", b"\\u0041da")):
        with pytest.raises(Format):
            Commit.decode(data)


def test_encode_refuses_what_decode_would() -> None:
    wrong: list[dict[str, Any]] = [
        {"parents": (A, A)},
        {"parents": ("x",)},
        {"tree": "x"},
        {"time": 1.5},
        {"time": True},
        {"time": 2**53},
        {"author": None},
        {"message": "\ud800"},
        {"provenance": {"x": 0.5}},
        {"checks": {}},
    ]
    for change in wrong:
        with pytest.raises(Format):
            dataclasses.replace(COMMIT, **change).encode()


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_only_format(data: bytes) -> None:
    with pytest.raises(Format):
        Commit.decode(data)


@given(st.integers(0, len(SPELLED) - 1), st.integers(0, 255))
def test_damaged_commits_raise_only_format(at: int, byte: int) -> None:
    bad = bytearray(SPELLED)
    bad[at] = byte
    with suppress(Format):
        assert Commit.decode(bytes(bad)).encode() == bad
