"""An index by example: limits of nodes, what a reader checks, what a comparison reads, names (IDX-1 to IDX-5)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import reader

from dpkg.errors import Corrupt, Format, NotFound
from dpkg.index import (
    build_tree,
    builder,
    differing,
    find,
    fragment_entries,
    leaves,
    lookup,
    read_node,
    tree_entries,
    walk,
)
from dpkg.objects.node import TREE, Node, TreeEntry
from dpkg.odb import Odb
from dpkg.oid import Oid
from dpkg.store.memory import MemoryBackend


def oid(*parts: object) -> Oid:
    return Oid(hashlib.sha256(repr(parts).encode()).hexdigest())


def tree(odb: Odb, entries: Any) -> Oid:
    return build_tree(entries, lambda data: odb.write("node", data)).oid


def blobs(count: int, name: str = "{:06d}") -> list[TreeEntry]:
    return [TreeEntry(name.format(i), "blob", oid(i), i) for i in range(count)]


@pytest.mark.spec("IDX-3")
@pytest.mark.spec("IDX-4")
@pytest.mark.parametrize("count", [0, 1, 2, 1023, 1024, 1025, 2500])
def test_nodes_hold_at_most_1024_entries(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, odb = blobs(count), Odb(MemoryBackend())
    assert tree(odb, entries) == reader.build_tree([e.json for e in entries]).root
    monkeypatch.setattr(builder, "splits", lambda level, key: False)
    sizes = [len(n.entries) for n in leaves(odb, tree(odb, entries), TREE)]
    assert sizes == ([1024] * (count // 1024) + [count % 1024] * (count % 1024 > 0) or [0])


@pytest.mark.spec("IDX-3")
def test_nodes_hold_at_most_1_mib() -> None:
    entries, odb = blobs(400, "{:04d}" + "\x01" * 1020), Odb(MemoryBackend())  # JSON makes 6 bytes of each
    root = tree(odb, entries)
    assert root == reader.build_tree([e.json for e in entries]).root
    sizes = [sum(len(reader.encode(e.json)) + 1 for e in node.entries) for node in leaves(odb, root, TREE)]
    assert max(sizes) <= 2**20
    assert sum(size > 2**20 - 7000 for size in sizes) >= 1
    with pytest.raises(Format, match="larger than 1 MiB"):
        Node.decode(Node(TREE, 0, tuple(entries)).encode())


@pytest.mark.spec("IDX-4")
def test_an_index_has_at_most_16_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "splits", lambda level, key: True)
    monkeypatch.setattr("dpkg.objects.node.MAX_LEVELS", 4)
    odb = Odb(MemoryBackend())
    assert read_node(odb, tree(odb, blobs(16)), TREE).level == 3
    with pytest.raises(Format, match="more than 16 levels"):
        tree(odb, blobs(17))


def test_differing_reads_little() -> None:
    odb = Odb(MemoryBackend())
    entries = blobs(20_000)
    a = tree(odb, entries)
    entries[10_000] = TreeEntry("010000", "blob", oid("new"), 7)
    b = tree(odb, entries)
    reads: list[Oid] = []
    odb.read = lambda o, kind, read=odb.read: reads.append(o) or read(o, kind)  # type: ignore[method-assign]
    left, right = differing(odb, a, odb, b, TREE)
    assert (len(left), len(right)) == (1, 1)
    assert len(reads) <= 8
    assert find(odb, b, "010000") == entries[10_000]


@pytest.mark.spec("IDX-5")
def test_a_reader_checks_counts_and_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "splits", lambda level, key: False)
    odb = Odb(MemoryBackend())
    entries = blobs(3000)
    root = read_node(odb, tree(odb, entries), TREE)
    assert (root.level, list(tree_entries(odb, odb.write("node", root.encode())))) == (1, entries)
    first, second = root.entries[0], root.entries[1]
    for wrong in ({"rows": 1}, {"bytes": first.bytes + 1}, {"entries": 1}, {"key": "000001"}, {"oid": second.oid}):
        bad = Node(TREE, 1, (type(first)(**{**_fields(first), **wrong}), *root.entries[1:]))
        with pytest.raises(Corrupt, match="the entry above it says"):
            list(tree_entries(odb, odb.write("node", bad.encode())))
    with pytest.raises(Corrupt, match="level"):
        list(tree_entries(odb, odb.write("node", Node(TREE, 2, root.entries).encode())))
    with pytest.raises(Format, match="not in order"):
        Node.decode(Node(TREE, 1, (second, first)).encode())
    low, high = (read_node(odb, e.oid, TREE) for e in (first, second))
    for mixed in ((*low.entries[:9], high.entries[0], low.entries[9]), (low.entries[0], low.entries[0])):
        with pytest.raises(Format, match="not in order"):
            Node.decode(Node(TREE, 0, mixed).encode())
    late = Node(TREE, 0, (entries[2999], TreeEntry("9", "blob", oid(1), 1)))
    early = Node(TREE, 0, (entries[0], TreeEntry("99", "blob", oid(1), 1)))
    inner = [
        type(first)(n.entries[-1].name, odb.write("node", n.encode()), 2, 0, sum(e.bytes for e in n.entries), TREE)
        for n in (late, early)
    ]
    with pytest.raises(Corrupt, match="not in order"):
        list(tree_entries(odb, odb.write("node", Node(TREE, 1, tuple(inner)).encode())))
    with pytest.raises(Corrupt, match="kind"):
        list(fragment_entries(odb, tree(odb, entries)))


def _fields(entry: Any) -> dict[str, Any]:
    return {n: getattr(entry, n) for n in ("key", "oid", "entries", "rows", "bytes", "kind")}


@pytest.mark.spec("IDX-1")
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "x" * 1025, "é" * 513, "\ud800"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(Format):
        tree(Odb(MemoryBackend()), [TreeEntry("a", "blob", oid(1), 1), TreeEntry(name, "blob", oid(1), 1)])


@pytest.mark.spec("IDX-1")
def test_names_stand_once() -> None:
    with pytest.raises(Format, match="two entries named 'a'"):
        tree(Odb(MemoryBackend()), [TreeEntry("a", "blob", oid(1), 1), TreeEntry("a", "blob", oid(2), 1)])


def test_paths() -> None:
    odb = Odb(MemoryBackend())
    below = tree(odb, [TreeEntry("x", "table", oid("x"), 9, 3)])
    root = tree(
        odb,
        [
            TreeEntry("a", "tree", below, 9, 3, 1),
            TreeEntry("a.b", "blob", oid("ab"), 4),
            TreeEntry("z", "blob", oid("z"), 5),
        ],
    )
    assert [p for p, _ in walk(odb, root)] == ["a", "a/x", "a.b", "z"]
    assert lookup(odb, root, "/a//x/").oid == oid("x")
    for path, message in (
        ("a/y", "no 'a/y'"),
        ("z/x", "'z' is a blob"),
        ("", "empty path"),
        ("a/x/y", "'a/x' is a table"),
    ):
        with pytest.raises(NotFound, match=message):
            lookup(odb, root, path)
