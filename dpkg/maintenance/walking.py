"""What the refs of a package reach, looked at step by step: what is wrong on the way is told, and passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dpkg.errors import Corrupt, DpkgError, Format, NotFound, Storage
from dpkg.index.reader import child, read_node, step
from dpkg.maintenance.storechecks import DAMAGED, MISSING, Damage
from dpkg.objects.node import FRAGMENTS, TREE, InnerEntry, Node, TreeEntry
from dpkg.odb import is_remote
from dpkg.oid import Oid
from dpkg.refs import PARTS
from dpkg.repository import read_commit
from dpkg.transfer.transfer import MAX_DEPTH, Counts, agree, sums

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.odb import Odb
    from dpkg.refs import RefEntry
    from dpkg.repository import Repository

T = TypeVar("T")


class Leaf(NamedTuple):
    """A leaf of a tree, or with a schema of a table, that something reaches. `where` is who needs it; a tree's names follow it."""

    node: Node
    schema: Schema | None
    where: str


class Walk:
    """What refs reach: leaves of trees and tables, each once. What is wrong on the way there is told to `wrong`."""

    def __init__(self, repository: Repository, odb: Odb, wrong: Callable[[Damage, bytes | None], None]) -> None:
        self._repository, self._odb, self._wrong = repository, odb, wrong
        self.read: set[bytes] = set()  # commits, nodes and tables
        self.tips: dict[tuple[str, str, str], int] = {}  # of refs: the number of the newest entry that was seen
        self._held: dict[tuple[str, Oid], Counts] = {}  # what the trees and tables hold that were looked at
        self._nodes: dict[Oid | None, set[InnerEntry]] = {}  # those looked at, of trees and for each schema
        self._commits: dict[frozenset[Oid], set[Oid]] = {}  # those looked at, by where their histories end

    def package(self, package: str) -> Iterator[Leaf]:
        """The leaves below a package's refs."""
        refs = self._repository.refs
        for kind in ("heads", "tags"):
            for name in list(refs.logs(package, kind)):
                where = f"{package} {kind}/{name}"
                log: list[RefEntry] = []
                self._try(where, None, partial(_extend, log, refs.log(package, kind, name)))
                self.tips[package, kind, name] = log[0].n if log else -1
                if (oid := value_of(log)) is not None:
                    yield from self._commit(oid, where, frozenset(log[0].floor))
        for name in list(refs.logs(package, PARTS)):
            where, log = f"{package} {PARTS}/{name}", []
            self._try(where, None, partial(_extend, log, refs.log(package, PARTS, name)))
            self.tips[package, PARTS, name] = log[0].n if log else -1
            if value_of(log) is not None:
                yield from self._part(next(entry for entry in log if entry.oid), where)

    def moved(self) -> bool:
        """Whether refs are not where they were when they were looked at."""
        refs = self._repository.refs
        for ref, n in self.tips.items():
            try:
                tip = refs.tip(*ref)
            except DpkgError:
                continue
            if (tip.n if tip else -1) != n:
                return True
        return False

    def _try(self, where: str, oid: Oid | None, work: Callable[[], T]) -> T | None:
        """The result of some work, or None once its error was told."""
        raw = oid.raw if oid else None
        if raw:
            self.read.add(raw)
        try:
            return work()
        except NotFound as error:
            self._wrong(Damage(MISSING, where, error.message), raw)
        except (Corrupt, Format) as error:
            self._wrong(Damage(DAMAGED, where, error.message if oid else f"{error.message}; {error.hint}"), raw)
        except Storage as error:
            if is_remote(self._odb.backend):
                raise
            self._wrong(Damage(DAMAGED, where, error.message), raw)
        return None

    def _commit(self, start: Oid, where: str, floor: frozenset[Oid]) -> Iterator[Leaf]:
        todo, seen = [start], self._commits.setdefault(floor, set())
        while todo:
            oid = todo.pop()
            if oid in seen:
                continue
            seen.add(oid)
            commit = self._try(where, oid, partial(read_commit, self._odb, oid))
            if commit is not None:
                yield from self._tree(commit.tree, f"{where}, commit {oid[:12]}", ", ", None, 0)
                todo += commit.parents if oid not in floor else ()

    def _part(self, ref: RefEntry, where: str) -> Iterator[Leaf]:
        """What a part promises: its commit, the nodes on the way, and the leaves below the entry, which is one in a leaf of its own."""
        assert ref.oid is not None
        names = (ref.part or "").split("/")[1:]
        commit = self._try(where, ref.oid, partial(read_commit, self._odb, ref.oid))
        where, oid, found = f"{where}, commit {ref.oid.short}, ", commit.tree if commit else None, None
        for name in names:
            found = (
                self._try(where + "/".join(names), oid, partial(self._on_the_way, oid, name, found, where))
                if oid
                else None
            )
            oid = found.oid if found else None
        if found is None:
            return
        where += "".join(f"{name}/" for name in names[:-1])
        yield Leaf(Node(TREE, 0, (found,)), None, where)
        if found.type == "tree":
            yield from self._tree(found.oid, where + found.name, "/", found, len(names))
        elif found.type == "table":
            yield from self._table(found, where + found.name)

    def _on_the_way(self, oid: Oid, name: str, above: TreeEntry | None, where: str) -> TreeEntry | None:
        """The entry of a name in a tree, which holds what the entry `above` says."""
        node = read_node(self._odb, oid, TREE)
        if above is not None:
            agree(above, sums(node))
        while not isinstance(found := step(node, name), TreeEntry):
            below = self._try(where + name, found.oid, partial(child, self._odb, node, found))
            if below is None:
                return None
            node = below
        return found

    def _tree(self, oid: Oid, where: str, sep: str, entry: TreeEntry | None, depth: int) -> Iterator[Leaf]:
        """The leaves below a tree, which holds what the `entry` that names it says; `sep` stands before its names."""
        held = self._held.get((TREE, oid))
        if held is None:
            top = self._try(where, oid, partial(self._top_of_tree, oid, depth))
            if top is None:
                return
            held = self._held[TREE, oid] = sums(top)
            for leaf in self._leaves(top, where):
                yield Leaf(leaf, None, where + sep)
                self._odb.warm(below.oid for below in leaf.entries if below.type != "blob")
                for below in leaf.entries:
                    if below.type == "tree":
                        yield from self._tree(below.oid, where + sep + below.name, "/", below, depth + 1)
                    elif below.type == "table":
                        yield from self._table(below, where + sep + below.name)
        if entry is not None:
            self._try(where, oid, partial(agree, entry, held))

    def _top_of_tree(self, oid: Oid, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise Corrupt(f"tree {oid} is more than {MAX_DEPTH} trees deep")
        return read_node(self._odb, oid, TREE)

    def _table(self, entry: TreeEntry, where: str) -> Iterator[Leaf]:
        from dpkg import tables

        oid = entry.oid
        held = self._held.get((FRAGMENTS, oid))
        if held is None:
            table = self._try(where, oid, partial(tables.read_table_object, self._odb, oid))
            schema = None if table is None else self._try(where, oid, partial(tables.schema_of, table))
            if table is None or schema is None:
                return
            held = self._held[FRAGMENTS, oid] = (0, table.rows, table.bytes)
            top = self._try(where, table.fragments, partial(read_node, self._odb, table.fragments, FRAGMENTS))
            if top is None:
                return
            if sums(top)[1:] != held[1:]:
                message = f"table {oid} does not hold the rows or bytes that it says"
                self._wrong(Damage(DAMAGED, where, message), None)
            for leaf in self._leaves(top, where, schema):
                yield Leaf(leaf, schema, where)
        self._try(where, oid, partial(agree, entry, held))

    def _leaves(self, top: Node, where: str, schema: Schema | None = None) -> Iterator[Node]:
        """The leaves of an index that were not looked at yet; what cannot be read is told, and the rest goes on."""
        stack, known = [top], self._nodes.setdefault(schema.digest if schema else None, set())
        while stack:
            node = stack.pop()
            if not node.level:
                yield node
                continue
            self._odb.warm(entry.oid for entry in node.entries if entry not in known)
            for entry in reversed(node.entries):
                if entry not in known:
                    known.add(entry)
                    below = self._try(where, entry.oid, partial(child, self._odb, node, entry))
                    if below is not None:
                        stack.append(below)


def _extend(log: list[RefEntry], entries: Iterator[RefEntry]) -> None:
    log.extend(entries)


def value_of(log: list[RefEntry]) -> Oid | None:
    """The commit that a ref names, by its log, newest entry first (STO-8). What it named before, and is not in its history, may be gone."""
    return next((entry.oid for entry in log if entry.event in ("commit", "deleted")), None)
