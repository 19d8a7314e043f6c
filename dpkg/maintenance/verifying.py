"""Checking a store: each stored file byte for byte, each ref log, and that each commit has all it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dpkg.errors import Corrupt, Format
from dpkg.maintenance.gclog import GcLog
from dpkg.maintenance.storechecks import DAMAGED, MISSING, Damage, Level, StoreChecks
from dpkg.maintenance.walking import Leaf, Walk
from dpkg.objects.node import FragmentEntry, Node
from dpkg.odb import fragment_key
from dpkg.oid import Oid
from dpkg.store.local import LocalBackend

if TYPE_CHECKING:
    from dpkg.arrow.schema import Schema
    from dpkg.repository import Repository

T = TypeVar("T")
_ROUNDS = 5  # looks at refs that others move meanwhile


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
