"""What revisions reach: commits in order, and every object and fragment below them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING

from dpkg.errors import Corrupt, Format, Usage
from dpkg.index.reader import child, read_node
from dpkg.names import is_range, parse_expr, parse_range
from dpkg.objects.node import FRAGMENTS, TREE
from dpkg.objects.table import Table
from dpkg.odb import blobs

if TYPE_CHECKING:
    from dpkg.objects.commit import Commit
    from dpkg.objects.node import Node
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository

MAX_DEPTH = 128  # trees in trees


def commit_id(repository: Repository, text: str) -> Oid:
    """The commit that a text names: owner/name[@revision], or an oid or prefix. Raises NotFound, Usage."""
    if "/" in text:
        if parse_expr(text).path is not None:
            raise Usage(f"'{text}' names a part of a package, and a commit is wanted", "leave the path out")
        return repository.resolve(text)[1]
    oid = repository.object_id(text)
    if (kind := repository.odb.kind(oid)) != "commit":
        raise Usage(f"'{text}' is a {kind}, and a commit is wanted", "write owner/name[@revision]")
    return oid


def select(repository: Repository, revisions: Iterable[str]) -> tuple[list[Oid], list[Oid]]:
    """The commits that revisions name, and those that they exclude: `B`, `^A`, or both as `A..B`. Raises NotFound, Usage."""
    wanted, unwanted = [], []
    for text in revisions:
        if text.startswith("^"):
            unwanted.append(commit_id(repository, text[1:]))
        elif "/" in text and is_range(text):
            span = parse_range(text)
            if span.path is not None:
                raise Usage(f"'{text}' names a part of a package, and commits are wanted", "leave the path out")
            unwanted.append(repository.resolve(f"{span.package}@{span.start}")[1])
            wanted.append(repository.resolve(f"{span.package}@{span.end}")[1])
        elif "/" not in text and ".." in text:
            start, _, end = text.partition("..")
            unwanted.append(commit_id(repository, start))
            wanted.append(commit_id(repository, end))
        else:
            wanted.append(commit_id(repository, text))
    return wanted, unwanted


def commits(
    read: Callable[[Oid], Commit],
    wanted: Iterable[Oid],
    unwanted: Iterable[Oid] = (),
    *,
    first_parent: bool = False,
    floor: Container[Oid] = (),
) -> Iterator[tuple[Oid, Commit]]:
    """Each commit that `wanted` reach and `unwanted` do not: newest first by time, but parents after children always.

    The parents of commits in `floor` are left out: there histories end.
    Where history is one line, a commit is read when it is asked for; after it parts, all that is left is read first.
    """
    hidden = frozenset(oid for oid, _ in _ancestors(read, unwanted, floor))

    def parents(oid: Oid, commit: Commit) -> list[Oid]:
        of = () if oid in floor else commit.parents[:1] if first_parent else commit.parents
        return [p for p in of if p not in hidden]

    front = {oid: read(oid) for oid in wanted if oid not in hidden}
    while len(front) == 1:  # all else comes before it
        ((oid, commit),) = front.items()
        yield oid, commit
        front = {p: read(p) for p in parents(oid, commit)}
    yield from _by_time(front, read, parents)


def _by_time(
    known: dict[Oid, Commit], read: Callable[[Oid], Commit], parents: Callable[[Oid, Commit], list[Oid]]
) -> Iterator[tuple[Oid, Commit]]:
    children: Counter[Oid] = Counter()  # those that were not yet given
    todo = list(known)
    while todo:
        at = todo.pop()
        for p in parents(at, known[at]):
            children[p] += 1
            if p not in known:
                known[p] = read(p)
                todo.append(p)
    heap = [(-commit.time, i, oid) for i, (oid, commit) in enumerate(known.items()) if not children[oid]]
    heapq.heapify(heap)
    order = len(known)
    while heap:
        oid = heapq.heappop(heap)[2]
        yield oid, known[oid]
        for p in parents(oid, known[oid]):
            children[p] -= 1
            if not children[p]:
                order += 1
                heapq.heappush(heap, (-known[p].time, order, p))


def _ancestors(
    read: Callable[[Oid], Commit], tips: Iterable[Oid], floor: Container[Oid] = ()
) -> Iterator[tuple[Oid, Commit]]:
    """Commits and all before them, once, in no order."""
    todo = list(tips)
    seen = set(todo)
    while todo:
        oid = todo.pop()
        commit = read(oid)
        yield oid, commit
        new = [p for p in commit.parents if p not in seen] if oid not in floor else []
        seen.update(new)
        todo += new


class Objects:
    """The objects and fragments below commits, each given once: (type, oid). Memory: an oid for each."""

    def __init__(self, odb: Odb) -> None:
        self._odb = odb
        self._seen: set[Oid] = set()

    def exclude(self, read: Callable[[Oid], Commit], tips: Iterable[Oid], floor: Container[Oid] = ()) -> None:
        """Leave out what these commits and those before them reach."""
        for _, commit in _ancestors(read, tips, floor):
            for _ in self.tree(commit.tree):
                pass

    def tree(self, oid: Oid, depth: int = 0) -> Iterator[tuple[str, Oid]]:
        """What a tree is made of, its nodes before what they name, and was not given yet. Raises NotFound, Corrupt."""
        if depth > MAX_DEPTH:
            raise Corrupt(f"tree {oid} is more than {MAX_DEPTH} trees deep")
        for at, node in self._nodes(oid, TREE):
            yield "node", at
            for entry in node.entries if not node.level else ():
                if entry.meta:
                    yield from self._blob(entry.meta, None)
                if entry.type == "tree":
                    yield from self.tree(entry.oid, depth + 1)
                else:
                    yield from self.entry(entry.type, entry.oid, entry.bytes)

    def entry(self, type: str, oid: Oid, size: int) -> Iterator[tuple[str, Oid]]:
        """What a table, or a blob of `size` bytes, is made of, and was not given yet. Raises NotFound, Corrupt."""
        yield from self._table(oid) if type == "table" else self._blob(oid, size)

    def _table(self, oid: Oid) -> Iterator[tuple[str, Oid]]:
        if oid in self._seen:
            return
        yield from self._new("table", oid)
        try:
            table = Table.decode(self._odb.read(oid, "table"))
        except Format as e:
            raise Corrupt(f"table {oid} is malformed: {e.message}", "run 'dpk verify'") from None
        for at, node in self._nodes(table.fragments, FRAGMENTS):
            yield "node", at
            if not node.level:
                for fragment in (*(entry.oid for entry in node.entries), node.stats):
                    if fragment:
                        yield from self._new("fragment", fragment)

    def _blob(self, oid: Oid, size: int | None) -> Iterator[tuple[str, Oid]]:
        """A blob, then the chunks that it is stored in."""
        if oid not in self._seen:
            yield from self._new("blob", oid)
            for chunk in blobs.chunks(self._odb, oid, size):
                yield from self._new("blob", chunk)

    def _nodes(self, oid: Oid, kind: str) -> Iterator[tuple[Oid, Node]]:
        """The nodes of an index that were not given yet."""
        if oid not in self._seen:
            self._seen.add(oid)
            yield from self._below(oid, read_node(self._odb, oid, kind))

    def _below(self, oid: Oid, node: Node) -> Iterator[tuple[Oid, Node]]:
        yield oid, node
        for entry in node.entries if node.level else ():
            if entry.oid not in self._seen:
                self._seen.add(entry.oid)
                yield from self._below(entry.oid, child(self._odb, node, entry))

    def _new(self, kind: str, oid: Oid) -> Iterator[tuple[str, Oid]]:
        if oid not in self._seen:
            self._seen.add(oid)
            yield kind, oid
