"""Marking: every object and fragment that refs reach. Memory: 32 bytes for each, and what Python needs for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from dpkg import parts, progress
from dpkg.errors import Corrupt, Format, NotFound
from dpkg.index import on_the_way
from dpkg.objects.node import TREE, Node
from dpkg.objects.table import Table
from dpkg.odb import blobs, is_remote
from dpkg.refs import PARTS
from dpkg.threads import in_order
from dpkg.transfer.copying import LARGE

if TYPE_CHECKING:
    from dpkg.objects.commit import Commit
    from dpkg.objects.node import TreeEntry
    from dpkg.odb import Odb
    from dpkg.oid import Oid
    from dpkg.repository import Repository

_BATCH = 256  # objects that are read at once where they are far away
_WORKERS = 8
Below = tuple[str, "Oid"]  # node, table, large (a blob of chunks, maybe) or leaf


Log = tuple[str, str, str]  # package, kind, name
Floors = Mapping[Log, frozenset["Oid"]]


class Marked(NamedTuple):
    """What lives: raw oids of objects and fragments."""

    oids: set[bytes]


def mark(repository: Repository, floors: Floors | None = None) -> Marked:
    """Everything that the refs of a store reach now. Raises Corrupt where something of it is missing or damaged.

    `floors`: as if the histories of some refs ended there.
    """
    oids: set[bytes] = set()
    trees: list[Oid] = []
    tips: dict[frozenset[Oid], list[Oid]] = defaultdict(list)  # by the floors of their logs

    def standing(log: Log) -> tuple[Oid | None, frozenset[Oid]]:
        _, value, floor = repository.refs.standing(log)
        return value, (floors or {}).get(log, frozenset(floor))

    try:
        logs = [*repository.refs.all_logs()]
        for value, floor in in_order(standing, (log for log in logs if log[1] != PARTS), _WORKERS):
            if value is not None:
                tips[floor].append(value)
        for floor, values in tips.items():
            trees += _commits(repository.commit, values, floor, oids)
        reach(repository.odb, trees, oids)
        _parts(repository, sorted({package for package, kind, _ in logs if kind == PARTS}), oids)
    except (NotFound, Corrupt, Format) as error:
        raise Corrupt(
            f"a package in {repository.url} is not whole: {error.message}",
            "'dpk verify' says what else is wrong, 'dpk repair --from REMOTE' mends it; nothing was removed",
        ) from None
    return Marked(oids)


def _commits(read: Callable[[Oid], Commit], tips: list[Oid], floor: frozenset[Oid], oids: set[bytes]) -> Iterator[Oid]:
    """Add the commits that tips reach to `oids`; the trees of those that were not there."""
    seen, todo = {oid.raw for oid in tips}, list(tips)
    while todo:
        oid = todo.pop()
        commit = read(oid)
        if oid.raw not in oids:
            oids.add(oid.raw)
            yield commit.tree
        for parent in commit.parents if oid not in floor else ():
            if parent.raw not in seen:
                seen.add(parent.raw)
                todo.append(parent)


def reach(odb: Odb, trees: Iterable[Oid], seen: set[bytes], known: Container[bytes] = ()) -> None:
    """Add to `seen` what trees reach; what is `known` is left out, with what is below it. Raises NotFound, Corrupt."""
    _reach(odb, [("node", tree) for tree in trees], seen, known)


def _parts(repository: Repository, packages: Iterable[str], oids: set[bytes]) -> None:
    """Add what parts need: what is below each, then the nodes on the way and the commits, below which not all is."""
    below: list[Below] = []
    way: set[bytes] = set()
    for part in (part for package in packages for part in parts.of(repository.refs, package)):
        way.add(part.commit.raw)
        nodes = list(on_the_way(repository.odb, repository.commit(part.commit).tree, part.path))
        way.update(oid.raw for oid, _, _ in nodes)
        below += [item for _, _, entry in nodes[-1:] if entry for item in _named(entry)]
    _reach(repository.odb, below, oids)
    oids |= way


def _reach(odb: Odb, todo: list[Below], seen: set[bytes], known: Container[bytes] = ()) -> None:
    remote = is_remote(odb.backend)
    while todo:
        batch: list[Below] = []
        while todo and len(batch) < _BATCH:
            kind, oid = todo.pop()
            if oid.raw not in seen and oid.raw not in known:
                seen.add(oid.raw)
                batch.append((kind, oid))
        for below in (
            in_order(lambda item: _below(odb, *item), batch, _WORKERS)
            if remote
            else (_below(odb, *item) for item in batch)
        ):
            for kind, oid in below:
                if kind != "leaf":
                    todo.append((kind, oid))
                elif oid.raw not in known:
                    seen.add(oid.raw)
        progress.advance("marked", len(batch), None, "objects")


def _below(odb: Odb, kind: str, oid: Oid) -> list[Below]:
    """What an object names."""
    if kind == "table":
        return [("node", Table.decode(odb.read(oid, "table")).fragments)]
    if kind == "large":
        return _chunks(odb, oid)
    if kind == "leaf":
        return []
    return [*_entries(Node.decode(odb.read(oid, "node")))]


def _entries(node: Node) -> Iterator[Below]:
    if node.level:
        for inner in node.entries:
            yield "node", inner.oid
    elif node.kind == TREE:
        for entry in node.entries:
            yield from _named(entry)
    else:
        for fragment in node.entries:
            yield "leaf", fragment.oid
        if node.stats:
            yield "leaf", node.stats


def _named(entry: TreeEntry) -> Iterator[Below]:
    """What an entry of a tree names."""
    if entry.meta:
        yield "large", entry.meta  # of any size
    kinds = {"tree": "node", "table": "table", "blob": "large" if entry.bytes > LARGE else "leaf"}
    yield kinds[entry.type], entry.oid


def _chunks(odb: Odb, oid: Oid) -> list[Below]:
    """The chunks of a blob that is stored as a list of them, each a leaf."""
    return [("leaf", chunk) for chunk in blobs.chunks(odb, oid)]
