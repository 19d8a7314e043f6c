"""Checking a store: each stored file byte for byte, each ref log, and that each commit has all it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dpkg.errors import Corrupt, DpkgError, Format, NotFound, Storage
from dpkg.gclog import GcLog
from dpkg.index.reader import child, read_node, step
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry
from dpkg.odb import fragment_key, is_remote
from dpkg.oid import Oid
from dpkg.refs import PARTS
from dpkg.repository import read_commit
from dpkg.store.local import LocalBackend
from dpkg.storechecks import DAMAGED, MISSING, Damage, Level, StoreChecks
from dpkg.transfer import MAX_DEPTH, Counts, agree, sums

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.odb import Odb
    from dpkg.refs import RefEntry
    from dpkg.repository import Repository

T = TypeVar("T")
_ROUNDS = 5  # looks at refs that others move meanwhile


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


class Check:
    """One verification of a repository, or of one package of it. What is wrong is collected."""

    def __init__(self, repository: Repository, level: Level) -> None:
        self.repository = repository
        self.odb = repository.odb
        self.files = StoreChecks(self.odb, level)
        self.level = level
        self.refs = 0
        self.reached: tuple[set[bytes], set[bytes]] = (set(), set())  # of one package: its objects and fragments
        self._package: str | None = None
        self.lost_objects: set[bytes] = set()  # damaged or missing, and reached
        self.lost_fragments: set[bytes] = set()
        self._found: dict[Damage, None] = {}
        self._doubts: list[Callable[[], None]] = []  # what is said in the end, after another look
        self._doubted: tuple[set[bytes], set[bytes]] = (set(), set())

    @property
    def problems(self) -> list[Damage]:
        """What is damaged or missing."""
        return list(self._found)

    def run(self, package: str | None = None) -> None:
        """Check one package, or everything in the store, also what no ref reaches."""
        self._package = package
        if package is None:
            self.files.everything()
        else:
            self.reached = self._needed(package)
            self.files.only(*self.reached)
        self._look()

    def _look(self) -> None:
        for _ in range(_ROUNDS):
            self._reach([self._package] if self._package else list(self.repository.refs.packages(deleted=True)))
            if not self._walk.moved() or not any(found.what == MISSING for found in self._found):
                break
        self._files(self._package is None)
        if self._package is None:
            self._gc_log()

    def _gc_log(self) -> None:
        """Writers and collectors agree by it: a chain of entries, and what those of an open epoch name."""
        log = GcLog(self.repository.backend, "")
        try:
            tail = log.tail()
            for _ in log.since(tail, 0) if tail else ():
                pass
            epoch = log.epoch(tail)
            for entry in epoch.entries if epoch else ():
                log.keys(entry)
        except (Corrupt, Format) as e:
            self._wrong(Damage(DAMAGED, "gc log", e.message))

    def renew(self) -> None:
        """Check again what was wrong: what was whole needs no second look."""
        self.files.renew(self.lost_objects, self.lost_fragments)
        if self._package:
            self.reached = self._needed(self._package)
            self.files.again(*self.reached)
        self._look()

    @property
    def lost(self) -> bool:
        """Whether anything that a ref reaches is damaged or missing."""
        return bool(self.lost_objects or self.lost_fragments)

    def damaged_objects(self) -> set[bytes]:
        """The objects that are to be brought back; of one package those that it reaches."""
        files, wanted = self.files, self.lost_objects | self.files.lacking
        return wanted | (files.loose.keys() if self._package is None else files.loose.keys() & self.reached[0])

    def damaged_fragments(self) -> set[bytes]:
        """As `damaged_objects`."""
        bad = self.files.bad_fragments.keys()
        return self.lost_fragments | (bad if self._package is None else bad & self.reached[1])

    def _needed(self, package: str) -> tuple[set[bytes], set[bytes]]:
        """The objects and fragments that a package reaches."""
        walk = Walk(self.repository, self.odb, lambda *_: None)
        objects, fragments = set[bytes](), set[bytes]()
        for node, schema, _ in walk.package(package):
            if schema is not None:
                fragments.update(entry.oid.raw for entry in node.entries)
                fragments.update([node.stats.raw] if node.stats else [])
                continue
            for entry in node.entries:
                if entry.meta:
                    objects.add(entry.meta.raw)
                if entry.type == "blob":
                    objects.add(entry.oid.raw)
        return objects | walk.read, fragments

    def _wrong(self, found: Damage, raw: bytes | None = None) -> None:
        self._found[found] = None
        if raw is not None:
            self.lost_objects.add(raw)

    # What refs reach

    def _reach(self, packages: list[str]) -> None:
        self._found, self.lost_objects, self.lost_fragments = {}, set(), set()
        self._walk = Walk(self.repository, self.odb, self._wrong)
        for name in packages:
            for leaf in self._walk.package(name):
                if leaf.schema is None:
                    self._tree_leaf(leaf)
                else:
                    self._table_leaf(leaf)
        self.refs = len(self._walk.tips)
        self._settle()

    def _settle(self) -> None:
        """Look again for what was not there, before it is said to be missing."""
        if self._doubts:
            self.files.again(*self._doubted)
        doubts, self._doubts, self._doubted = self._doubts, [], (set(), set())
        for last_look in doubts:
            last_look()

    def _tree_leaf(self, leaf: Leaf) -> None:
        known = self.files.objects
        for entry in leaf.node.entries:
            if entry.type == "blob" and known.get(entry.oid.raw) != entry.bytes << 3 | 1:
                self._doubt(partial(self._blob, entry.oid, entry.bytes, leaf.where + entry.name), entry.oid)
            if entry.meta and known.get(entry.meta.raw, 0) & 7 != 1:
                self._doubt(partial(self._blob, entry.meta, None, f"{leaf.where}{entry.name} (metadata)"), entry.meta)

    def _doubt(self, last_look: Callable[[], None], *absent: Oid, fragments: bool = False) -> None:
        self._doubts.append(last_look)
        self._doubted[fragments].update(oid.raw for oid in absent)

    def _blob(self, oid: Oid, size: int | None, place: str) -> None:
        raw = oid.raw
        if raw not in self.files.objects:
            bad = self.files.damage(raw)
            found = Damage(DAMAGED, place, bad.message) if bad else Damage(MISSING, place, self._missing("object", oid))
            self._wrong(found, raw)
        elif (kind := self.files.kind_of(raw)) != "blob":
            self._wrong(Damage(DAMAGED, place, f"object {oid} is a {kind} where a blob must be"))
        elif size is not None and self.files.length_of(raw) != size:
            message = f"blob {oid} has {self.files.length_of(raw):,} bytes, the tree says {size:,}"
            self._wrong(Damage(DAMAGED, place, message))

    def _table_leaf(self, leaf: Leaf) -> None:
        node, known = leaf.node, self.files.fragments
        absent = [e.oid for e in node.entries if e.oid.raw not in known]
        if node.stats and node.stats.raw not in known:
            absent.append(node.stats)
        if absent:
            self._doubt(partial(self._fragments, leaf), *absent, fragments=True)
        else:
            self._fragments(leaf)

    def _fragments(self, leaf: Leaf) -> None:
        node, schema, where = leaf
        assert schema is not None
        good = [self._fragment(entry, schema, where) for entry in node.entries]
        if node.stats is not None and self._there(node.stats, where) and self.level > Level.QUICK:
            try:
                self._statistics(node, schema, all(good))
            except Corrupt as error:
                self._found[Damage(DAMAGED, f"{where}, {fragment_key(node.stats)}", error.message)] = None
                self.lost_fragments.add(node.stats.raw)

    def _there(self, oid: Oid, where: str) -> bool:
        if oid.raw in self.files.fragments:
            return True
        bad, place = self.files.damage(oid.raw), f"{where}, {fragment_key(oid)}"
        found = Damage(DAMAGED, place, bad.message) if bad else Damage(MISSING, place, self._missing("fragment", oid))
        self._found[found] = None
        self.lost_fragments.add(oid.raw)
        return False

    def _fragment(self, entry: FragmentEntry, schema: Schema, where: str) -> bool:
        """Whether a fragment is there, and is what its entry and its table say."""
        if not self._there(entry.oid, where):
            return False
        facts = self.files.fragments[entry.oid.raw]
        if facts is None:
            return True
        from dpkg.arrow import fragment

        why = ""
        if (facts.rows, facts.schema) != (entry.rows, schema.digest):
            why = "does not fit the table"
        elif entry.bytes > fragment.most_bytes(entry.rows, schema):
            why = "is said to have more bytes than the format allows"
        elif self.level == Level.DEEP and facts.size != entry.bytes:
            why = f"holds {facts.size:,} row bytes, its index says {entry.bytes:,}"
        if why:
            self._found[Damage(DAMAGED, f"{where}, {fragment_key(entry.oid)}", f"fragment {entry.oid} {why}")] = None
        return not why

    def _statistics(self, leaf: Node, schema: Schema, good: bool) -> None:
        """That a leaf's statistics are of its fragments. Raises Corrupt."""
        from dpkg.arrow import checking
        from dpkg.arrow.stats import stats_schema

        assert leaf.stats is not None
        facts = self.files.fragments[leaf.stats.raw]
        assert facts is not None
        if (facts.rows, facts.schema) != (len(leaf.entries), stats_schema(schema).digest):
            raise Corrupt(f"statistics {leaf.stats} do not fit the table")
        if self.level == Level.DEEP:
            rows = checking.check_stats(self.odb.read_fragment_file(leaf.stats), leaf, schema)
            known = self.files.fragments
            said = [facts.stats if (facts := known[e.oid.raw]) else b"" for e in leaf.entries] if good else []
            if good and checking.stats_digests(rows, schema) != said:
                raise Corrupt(f"statistics {leaf.stats} are not those of the fragments")

    def _missing(self, what: str, oid: Oid) -> str:
        lost = sum(1 for pack_id in self.files.packs if pack_id in self.odb.frames.packs.damaged)
        more = f"; {lost:,} damaged packs there may hold it: 'dpk repair' looks into them" if lost else ""
        return f"{what} {oid} is not in {self.odb.backend.url}{more}"

    # Files, whoever needs what is in them

    def _files(self, everything: bool) -> None:
        """Add what is wrong with files that was not said of what refs reach."""
        files, (objects, fragments) = self.files, self.reached
        for pack_id in sorted(files.packs):
            self._found[files.packs[pack_id]] = None
        for raw, (_, bad) in sorted(files.bad_lists.items()):
            if raw not in self.lost_objects and (everything or raw in objects):
                self._found[Damage(bad.what, f"{bad.where} (no ref reaches it)", bad.message)] = None
        for raw, bad in sorted(files.loose.items()):
            if raw in files.objects:
                self._found[Damage(bad.what, bad.where, f"{bad.message}; another copy of it is whole")] = None
            elif raw not in self.lost_objects and (everything or raw in objects):
                self._found[Damage(bad.what, f"{bad.where} (no ref reaches it)", bad.message)] = None
        for raw, bad in sorted(files.bad_fragments.items()):
            if raw in files.fragments:
                self._found[Damage(bad.what, bad.where, f"{bad.message}; another copy of it is whole")] = None
            elif raw not in self.lost_fragments and (everything or raw in fragments):
                self._found[Damage(bad.what, f"{bad.where} (no ref reaches it)", bad.message)] = None


def leftovers(repository: Repository) -> list[int]:
    """The sizes of temporary files that killed writers left in a store's folder a day ago or before."""
    backend = repository.backend
    return [stat.size for stat in backend.stale_files()] if isinstance(backend, LocalBackend) else []


def level(quick: bool, deep: bool) -> Level:
    """What two options ask for."""
    return Level.QUICK if quick else Level.DEEP if deep else Level.FULL
