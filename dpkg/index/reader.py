"""Reading an index: its entries in order, one by name, and what differs between two (spec/index.md)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, Format, NotFound
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry, sums
from dpkg.oid import Oid

MAX_DEPTH = 128  # trees in trees

if TYPE_CHECKING:
    from typing import Any

    from dpkg.odb import Odb


def read_node(odb: Odb, oid: Oid, kind: str, expect: InnerEntry | None = None) -> Node:
    """One node. Raises Corrupt if it is malformed, of another kind, or not what the entry above says (IDX-5)."""
    try:
        node = Node.decode(odb.read(oid, "node"))
    except Format as e:
        raise Corrupt(f"node {oid} is malformed: {e.message}", "run 'dpk verify'") from None
    if node.kind != kind:
        raise Corrupt(f"node {oid} is of kind {node.kind}, not {kind}", "run 'dpk verify'")
    if expect and (not node.entries or sums(node.entries) != expect.counts or node.entries[-1].key != expect.key):
        raise Corrupt(f"node {oid} does not hold what the entry above it says", "run 'dpk verify'")
    return node


def leaves(odb: Odb, root: Oid, kind: str) -> Iterator[Node]:
    """The level-0 nodes in order, each read when it is asked for."""
    node = read_node(odb, root, kind)
    yield from _leaves(odb, node)


def _leaves(odb: Odb, node: Node) -> Iterator[Node]:
    if not node.level:
        yield node
        return
    for entry in node.entries:
        yield from _leaves(odb, child(odb, node, entry))


def child(odb: Odb, node: Node, entry: InnerEntry) -> Node:
    """The node below an inner entry, one level down."""
    below = read_node(odb, entry.oid, node.kind, entry)
    if below.level != node.level - 1:
        raise Corrupt(f"node {entry.oid} is of level {below.level} below level {node.level}", "run 'dpk verify'")
    return below


def tree_entries(odb: Odb, root: Oid) -> Iterator[TreeEntry]:
    """The names of a tree, in bytewise order (IDX-1)."""
    last = b""
    for node in leaves(odb, root, TREE):
        if node.entries and node.entries[0].key_bytes <= last:  # within a node, Node.decode has looked
            raise Corrupt(f"the names of tree {root} are not in order", "run 'dpk verify'")
        yield from node.entries
        last = node.entries[-1].key_bytes if node.entries else last


def fragment_entries(odb: Odb, root: Oid) -> Iterator[FragmentEntry]:
    """The fragments of a table, in row order."""
    for node in leaves(odb, root, FRAGMENTS):
        yield from node.entries


def find(odb: Odb, root: Oid, name: str) -> TreeEntry | None:
    """The entry of a tree with this name, or None; reads one node a level."""
    node = read_node(odb, root, TREE)
    key = name.encode(errors="surrogatepass")
    while True:
        at = bisect_left(node.entries, key, key=lambda e: e.key_bytes)
        if at == len(node.entries):
            return None
        entry = node.entries[at]
        if not node.level:
            return entry if entry.key_bytes == key else None
        node = child(odb, node, entry)


def entry_at(odb: Odb, root: Oid, path: str) -> TreeEntry | None:
    """The entry at a path below a tree, or None; what is missing of the store is an error. Raises NotFound, Corrupt."""
    entry: TreeEntry | None = None
    for name in (p for p in path.split("/") if p):
        if entry is not None and entry.type != "tree":
            return None
        entry = find(odb, root if entry is None else entry.oid, name)
        if entry is None:
            return None
    return entry


def lookup(odb: Odb, root: Oid, path: str) -> TreeEntry:
    """The entry at a path of `/`-joined names below a tree. Raises NotFound, naming what is there instead."""
    from difflib import get_close_matches

    parts, tree = [p for p in path.split("/") if p], root
    entry: TreeEntry | None = None
    for i, name in enumerate(parts):
        entry = find(odb, tree, name)
        if entry is None:
            names = [e.name for e in tree_entries(odb, tree)]
            near = get_close_matches(name, names, 1) or names[:8]
            raise NotFound(
                f"there is no '{'/'.join(parts[: i + 1])}' in the package",
                f"there is: {', '.join(near)}" if near else "",
            )
        if i + 1 < len(parts) and entry.type != "tree":
            raise NotFound(f"'{'/'.join(parts[: i + 1])}' is a {entry.type}, it has no '{parts[i + 1]}'")
        tree = entry.oid
    if entry is None:
        raise NotFound("an empty path names nothing")
    return entry


def on_the_way(odb: Odb, root: Oid, path: str) -> Iterator[tuple[Oid, Node, TreeEntry | None]]:
    """The nodes from a tree's root down to the entry at a path; with a leaf its entry on that path. Raises NotFound, Corrupt."""
    for name in path.split("/"):
        at, node = root, read_node(odb, root, TREE)
        while not isinstance(entry := step(node, name), TreeEntry):
            yield at, node, None
            at, node = entry.oid, child(odb, node, entry)
        yield at, node, entry
        root = entry.oid


def step(node: Node, name: str) -> TreeEntry | InnerEntry:
    """The entry of a tree's node under which a name is, or that has it. Raises NotFound."""
    key = name.encode(errors="surrogatepass")
    at = bisect_left(node.entries, key, key=lambda e: e.key_bytes)
    found: TreeEntry | InnerEntry | None = node.entries[at] if at < len(node.entries) else None
    if found is None or (isinstance(found, TreeEntry) and found.name != name):
        raise NotFound(f"there is no '{name}' in the tree")
    return found


def check_depth(prefix: str, root: Oid) -> None:
    """Raises Corrupt for a tree at a path, which ends with a slash, that is too deep for an honest one."""
    if prefix.count("/") > MAX_DEPTH:
        what = f"tree {root} is more than {MAX_DEPTH} trees deep"
        raise Corrupt(what, "the package was damaged or forged: do not use it")


def walk(odb: Odb, root: Oid, prefix: str = "") -> Iterator[tuple[str, TreeEntry]]:
    """All blobs and tables below a tree, as (path, entry), depth first; subtrees come before what is in them."""
    check_depth(prefix, root)
    for entry in tree_entries(odb, root):
        path = f"{prefix}{entry.name}"
        yield path, entry
        if entry.type == "tree":
            yield from walk(odb, entry.oid, path + "/")


class _Side:
    """One of two indexes under comparison: nodes not yet known to be common, by oid; read as late as can be."""

    def __init__(self, odb: Odb, root: Oid, kind: str) -> None:
        self.odb = odb
        self.nodes: list[tuple[Oid, Node | tuple[Node, InnerEntry]]] = [(root, read_node(odb, root, kind))]

    def drop(self, common: Counter[Oid]) -> None:
        kept = []
        for oid, node in self.nodes:
            if common[oid]:
                common[oid] -= 1
            else:
                kept.append((oid, child(self.odb, *node) if isinstance(node, tuple) else node))
        self.nodes = kept  # type: ignore[assignment]

    def descend(self, level: int) -> None:
        below: list[tuple[Oid, Any]] = []
        for oid, node in self.nodes:
            assert isinstance(node, Node)
            below += [(e.oid, (node, e)) for e in node.entries] if node.level == level else [(oid, node)]
        self.nodes = below


def differing(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid, kind: str) -> tuple[list[Node], list[Node]]:
    """The level-0 nodes that only one of two indexes has. Reads in proportion to what differs.

    Sound because a node that both have holds the same run of entries in both, whatever stands beside it.
    """
    left, right = _Side(odb_a, a, kind), _Side(odb_b, b, kind)
    height = max(node.level for side in (left, right) for _, node in side.nodes if isinstance(node, Node))
    for level in range(height, -1, -1):
        common = Counter(oid for oid, _ in left.nodes) & Counter(oid for oid, _ in right.nodes)
        left.drop(common.copy())
        right.drop(common)
        if level:
            left.descend(level)
            right.descend(level)
    return ([n for _, n in left.nodes if isinstance(n, Node)], [n for _, n in right.nodes if isinstance(n, Node)])
