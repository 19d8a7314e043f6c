"""Property 3: any way of building an index gives the same root; and what differs between two is found exactly."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest
import reader
import strategies as s
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.index import (
    IndexBuilder,
    build_tree,
    builder,
    differing,
    find,
    fragment_entries,
    leaves,
    read_node,
    tree_entries,
)
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, Node, TreeEntry
from dpkg.odb import Odb
from dpkg.oid import Oid
from dpkg.store.memory import MemoryBackend

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6).filter(
    lambda n: n not in (".", "..")
)
FEW = st.sampled_from([256, 4, 2])  # one key in so many ends a node: small indexes become high ones


def oid(*parts: object) -> Oid:
    return Oid(hashlib.sha256(repr(parts).encode()).hexdigest())


@pytest.fixture(params=[256, 4, 2])
def split(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Makes a node end after one key in 256, 4 or 2, for the builder and for the reference."""
    if request.param != 256:
        monkeypatch.setattr(builder, "splits", lambda level, key: _low(level, key, request.param))
        monkeypatch.setattr("reader_index.ends_node", lambda level, key: _low(level, key, request.param))
    return int(request.param)


def _low(level: int, key: bytes, one_in: int) -> bool:
    return int.from_bytes(reader.oid("blob", bytes([level]) + key).encode()[:2], "little") % one_in == 0


def entry_of(rng: Any, name: str) -> TreeEntry:
    kind, meta = rng.choice(["blob", "table", "tree"]), rng.choice([None, oid(name, "meta")])
    rows, entries = (rng.randint(0, 9) if kind != "blob" else 0), (rng.randint(0, 9) if kind == "tree" else 0)
    return TreeEntry(name, kind, oid(name), rng.randint(0, 2**40), rows, entries, meta)


def tree(odb: Odb, entries: Any) -> Oid:
    return build_tree(entries, lambda data: odb.write("node", data)).oid


def fragments(odb: Odb, entries: list[FragmentEntry]) -> Oid:
    """The index of fragments; the statistics are made up, but depend on the entries."""
    taken = iter(entries)
    made = IndexBuilder(
        FRAGMENTS, lambda d: odb.write("node", d), lambda n: oid("stats", [next(taken).oid for _ in range(n)])
    )
    for e in entries:
        made.add(e)
    return made.finish().oid


@pytest.mark.spec("IDX-1")
@pytest.mark.spec("IDX-3")
@pytest.mark.spec("IDX-4")
@pytest.mark.spec("IDX-5")
@pytest.mark.spec("OBJ-2")
def test_trees_are_as_the_reference_builds_them(split: int) -> None:
    @given(st.sets(NAMES, max_size=40), s.randoms())
    @settings(max_examples=60, deadline=None)
    def check(names: set[str], rng: Any) -> None:
        entries = [entry_of(rng, n) for n in names]
        odb = Odb(MemoryBackend())
        root = tree(odb, entries)
        assert root == tree(odb, rng.sample(entries, len(entries))) == reader.build_tree([e.json for e in entries]).root
        assert list(tree_entries(odb, root)) == sorted(entries, key=lambda e: e.name.encode())
        top = read_node(odb, root, TREE)
        assert Node.decode(top.encode()) == top
        for e in entries:
            assert find(odb, root, e.name) == e
        for other in ("", "zz", "\ud800", "a/b", "\U0010ffff" * 3):
            assert find(odb, root, other) == next((e for e in entries if e.name == other), None)

    check()


@pytest.mark.spec("IDX-2")
@pytest.mark.spec("IDX-3")
def test_fragment_lists_are_as_the_reference_builds_them(split: int) -> None:
    @given(st.lists(st.integers(0, 9) | st.integers(0, 10**6), max_size=60))
    @settings(max_examples=60, deadline=None)
    def check(numbers: list[int]) -> None:
        entries = [FragmentEntry(oid(n), n + 1, 9 * n) for n in numbers]
        odb = Odb(MemoryBackend())
        root = fragments(odb, entries)
        wanted = reader.build_index(
            FRAGMENTS, [e.json for e in entries], lambda a, b: oid("stats", [e.oid for e in entries[a:b]])
        )
        assert root == wanted.root
        assert list(fragment_entries(odb, root)) == entries

    check()


def difference(odb: Odb, a: Oid, b: Oid, kind: str) -> tuple[Counter[bytes], Counter[bytes]]:
    left, right = (Counter(n.encode() for n in leaves(odb, root, kind)) for root in (a, b))
    return left - right, right - left


def test_differing_is_exact(split: int) -> None:
    lists = st.lists(st.integers(0, 5) | st.integers(0, 10**6), max_size=60)

    @given(lists, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), lists), max_size=3), s.randoms())
    @settings(max_examples=100, deadline=None)
    def check(numbers: list[int], edits: list[tuple[int, int, list[int]]], rng: Any) -> None:
        other = list(numbers)
        for start, stop, new in edits:
            other[start:stop] = new
        odb = Odb(MemoryBackend())
        a, b = (
            fragments(odb, [FragmentEntry(oid(n), n + 1, n) for n in ns])
            for ns in (numbers, other * rng.choice([1, 1, 3]))
        )
        left, right = differing(odb, a, odb, b, FRAGMENTS)
        assert (Counter(n.encode() for n in left), Counter(n.encode() for n in right)) == difference(
            odb, a, b, FRAGMENTS
        )

    check()
