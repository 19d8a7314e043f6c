"""A store opened for work: its objects, refs and settings; and what names in it mean."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING

from dpkg import parts, revisions, settings
from dpkg.command import when
from dpkg.errors import Conflict, Corrupt, DpkgError, Format, NotFound, Usage
from dpkg.maintenance.gclog import GcLog, Guard
from dpkg.names import LATEST, Expr, parse_expr, valid_package
from dpkg.names import MAIN as MAIN  # and for those who know a repository
from dpkg.objects.commit import Commit
from dpkg.odb import Odb, create_store, is_remote, open_store
from dpkg.oid import Oid
from dpkg.refs import Refs
from dpkg.store import open_backend

if TYPE_CHECKING:
    from typing import Any

    from dpkg.objects.node import TreeEntry
    from dpkg.refs import RefEntry
    from dpkg.refs.snapshot import Known

_ATTEMPTS = 10


class Repository:
    """`store` is a folder or URL; None: the one that settings find. With `create`, a store is made where there is none."""

    def __init__(self, store: str | None = None, *, create: bool = False) -> None:
        self.url = settings.find_store(store)
        self.backend = open_backend(self.url)
        if create:
            create_store(self.backend)
        else:
            try:
                open_store(self.backend)
            except NotFound as e:
                raise NotFound(
                    e.message, "make one with 'dpk init', or build or install a package: that makes one"
                ) from None
        self.odb = Odb(self.backend)
        self.refs = Refs(self.backend)
        self.guard: Guard | None = None
        self._author: str | None = None

    def snapshot(self, package: str, known: Known | None = None) -> Repository:
        """This repository with the refs of `package` as they are now: a remote store is asked for each but once.

        Itself for a folder, where asking costs nothing, and where it is such a snapshot already.
        """
        from dpkg.refs.snapshot import RefsSnapshot

        if not is_remote(self.backend) or (isinstance(self.refs, RefsSnapshot) and self.refs.package == package):
            return self
        made = copy(self)
        made.refs = RefsSnapshot(self.refs, package, known)
        return made

    def config(self) -> dict[str, str]:
        """Settings for this store."""
        return settings.load(self.url)

    def author(self) -> str:
        """Who moves refs and makes commits here."""
        if self._author is None:
            self._author = settings.author(self.config())
        return self._author

    def remote(self, name: str | None) -> str:
        """The place of a remote (settings.remote)."""
        return settings.remote(name, self.config())

    def commit(self, oid: Oid) -> Commit:
        """A commit. Raises NotFound, Corrupt."""
        return read_commit(self.odb, oid)

    def require(self, package: str, *, part: bool = False) -> None:
        """Raises NotFound if there is no such package, naming near ones; InPart if it is here in part only, but for `part`."""
        valid_package(package)
        if self.tip(package) is None and not self.refs.tags(package):
            if known_parts := parts.of(self.refs, package):
                if part:
                    return
                raise parts.lacking(Expr(package), known_parts, self.url)
            from difflib import get_close_matches

            known = list(self.refs.packages())
            near = get_close_matches(package, known, 3) or known[:5]
            hint = (
                f"there is: {', '.join(near)}"
                if near
                else "the store is empty: 'dpk build' or 'dpk install' brings packages"
            )
            raise NotFound(f"there is no package '{package}' in {self.url}", hint)

    def tip(self, package: str, branch: str = MAIN) -> Oid | None:
        """The commit of a branch, or None."""
        return self.refs.value(package, "heads", branch)

    def history(self, start: Oid, *, partial: bool = False) -> Iterator[tuple[Oid, Commit]]:
        """`start` and all that came before it, newest first by time, parents after children; as far as retention left it.

        `partial`: no ref may reach it, so that gc may have removed some of it.
        """
        import heapq

        first = self.commit(start)
        heap: list[tuple[int, int, Oid, Commit]] = [(-first.time, 0, start, first)]
        seen, order = {start}, 0
        while heap:
            _, _, oid, commit = heapq.heappop(heap)
            yield oid, commit
            for parent in commit.parents if oid not in self.refs.floor else ():
                if parent not in seen and (not partial or self.odb.has(parent)):
                    seen.add(parent)
                    order += 1
                    made = self.commit(parent)
                    heapq.heappush(heap, (-made.time, order, parent, made))

    def is_ancestor(self, old: Oid, new: Oid) -> bool:
        """Whether `old` is `new` or came before it."""
        return any(oid == old for oid, _ in self.history(new))

    # What expressions mean

    def resolve(self, expr: str | Expr) -> tuple[Expr, Oid, Commit]:
        """A package expression's commit. Raises NotFound, Usage; an ambiguous prefix lists its candidates.

        Where no branch or tag has it, that of a part which has the path (dpkg/parts.py); InPart where none has.
        """
        parsed = parse_expr(expr) if isinstance(expr, str) else expr
        at = self.snapshot(parsed.package)
        try:
            at.require(parsed.package)
            oid = at.revision(parsed.package, parsed.revision or LATEST)
        except NotFound as e:
            part = parts.find(at.refs, parsed)
            if part is None and isinstance(e, parts.InPart):
                raise parts.lacking(parsed, e.parts, self.url) from None
            if part is None:
                raise
            oid = part.commit
        if is_remote(self.backend):
            from dpkg.transfer import prefetch

            prefetch.read(self.odb, oid)
        return parsed, oid, self.commit(oid)

    def revision(self, package: str, revision: str) -> Oid:
        """The commit that a revision of a package names (dpkg/revisions.py). Raises NotFound, Usage."""
        return revisions.find(self, package, revision)

    def cut(self, package: str, commit: Oid) -> str:
        """Who removed what was before a commit, and when."""
        entry = self.refs.cut(package, commit)
        if entry is None:
            return "older commits were removed by retention"
        where = "" if entry.event == "floor" else " where this came from, as it was brought here"
        return f"older commits were removed by retention{where} (by {entry.who} at {when(entry.time)})"

    def ends(self, start: Oid, stop: Oid | None = None) -> set[Oid]:
        """Where retention cut the history of a commit, but for what comes before `stop`."""
        if not self.refs.floor:
            return set()
        passed = {oid for oid, _ in self.history(stop)} if stop and self.odb.has(stop) else set()
        return {oid for oid, _ in self.history(start) if oid in self.refs.floor and oid not in passed}

    def all_commits(self, package: str) -> Iterator[tuple[Oid, Commit]]:
        """Every commit that a branch or tag of the package reaches, newest first from each, once."""
        tips = (
            self.refs.value(package, kind, name) for kind in ("heads", "tags") for name in self._live(package, kind)
        )
        return self._histories(tip for tip in tips if tip)

    def _live(self, package: str, kind: str) -> Iterable[str]:
        return self.refs.heads(package) if kind == "heads" else self.refs.tags(package)

    def former_commits(self, package: str) -> Iterator[tuple[Oid, Commit]]:
        """Every commit that the logs of the package's refs tell of, also of deleted ones, as far as it is still stored."""
        logs = (
            self.refs.log(package, kind, name) for kind in ("heads", "tags") for name in self.refs.logs(package, kind)
        )
        tips = (entry.oid for log in logs for entry in log if entry.oid and self.odb.has(entry.oid))
        return self._histories(tips, partial=True)

    def _histories(self, tips: Iterable[Oid], *, partial: bool = False) -> Iterator[tuple[Oid, Commit]]:
        seen: set[Oid] = set()
        for tip in tips:
            for oid, commit in self.history(tip, partial=partial) if tip not in seen else ():
                if oid not in seen:
                    seen.add(oid)
                    yield oid, commit

    def entry(self, expr: str | Expr) -> tuple[Expr, Oid, Commit, TreeEntry | None]:
        """What an expression with a path names: the entry, or None for the root tree."""
        from dpkg.index import lookup

        parsed, oid, commit = self.resolve(expr)
        return parsed, oid, commit, (lookup(self.odb, commit.tree, parsed.path) if parsed.path else None)

    def object_id(self, text: str) -> Oid:
        """The object that a text names: an oid, a prefix of one that is stored, or a package expression. Raises NotFound, Usage."""
        if "/" in text:
            _, oid, _, entry = self.entry(text)
            return entry.oid if entry else oid
        if len(text) == 64:
            return Oid(text)
        found = self.odb.resolve_prefix(text)
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFound(
                f"no object in {self.url} starts with '{text}'",
                "give an oid, a longer prefix, or owner/name[@revision][/path]",
            )
        lines = [f"{self.odb.kind(oid):<6} {oid}" for oid in found[:20]]
        raise Usage(f"'{text}' is ambiguous", "\n".join(["it may be:", *lines]))

    def tree_id(self, text: str) -> Oid:
        """The tree that a text names: a tree's oid, a commit's, or a package expression. Raises NotFound, Usage."""
        oid = self.object_id(text)
        kind = self.odb.kind(oid)
        if kind == "commit":
            return self.commit(oid).tree
        if kind == "node":
            from dpkg.objects.node import TREE, Node

            if Node.decode(self.odb.read(oid, "node")).kind == TREE:
                return oid
            kind_said = "table's index"
        else:
            kind_said = kind
        raise Usage(f"'{text}' is a {kind_said}, and a tree is wanted", "write owner/name[@revision][/folder]")

    def table_id(self, text: str) -> Oid:
        """The table that a text names. Raises NotFound, Usage."""
        oid = self.object_id(text)
        if (kind := self.odb.kind(oid)) != "table":
            raise Usage(
                f"'{text}' is a {'tree' if kind == 'node' else kind}, and a table is wanted",
                "write owner/name[@revision]/table",
            )
        return oid

    # Writing

    def make_commit(
        self,
        tree: Oid,
        parents: tuple[Oid, ...],
        message: str,
        author: str | None = None,
        provenance: dict[str, Any] | None = None,
        checks: Sequence[Any] = (),
    ) -> Oid:
        """Store a commit object, once what it reaches is durable; no ref moves."""
        self.odb.sync()
        made = Commit(tree, parents, author or self.author(), int(time.time()), message, provenance or {}, list(checks))
        return self.odb.write("commit", made.encode())

    def start(self, package: str, branch: str = MAIN) -> RefEntry:
        """The newest entry of a branch's log, begun if need be: to be called before deciding what need not be stored (Refs.start)."""
        tail = self.refs.start(package, "heads", branch, who=self.author())
        self.begin()
        return tail

    def begin(self) -> None:
        """Look what gc is about to remove: after the tails of logs were read that are to be appended to, before anything is decided.

        Waits while a collector deletes; Conflict if that takes too long. One request where there never was a gc.
        """
        guard = Guard(GcLog(self.backend, self.refs.push), self.author())
        guard.begin()
        self.guard = guard
        self.odb.frames.note = guard.note
        if self.odb.frames.packs.listed:  # before the gc log was read
            self.odb.frames.packs.refresh()

    def settle(self) -> None:
        """Before a ref moves: keep what it needs from gc. Conflict if that goes already: then look again what is stored."""
        if self.guard is not None:
            self.guard.settle()

    def move(
        self, package: str, new: Oid, old: Oid | None, why: str, branch: str = MAIN, *, tail: RefEntry | None = None
    ) -> None:
        """Make everything written durable, then move the branch from `old` to `new`.

        Raises Conflict if it is elsewhere, or if `tail`, which `start` gave, is no longer the newest entry of its log.
        """
        self.odb.sync()
        if is_remote(self.backend):
            from dpkg.transfer import prefetch

            prefetch.write(self.odb, self.odb, new)
        self.settle()
        ends = self.ends(new, old)
        self.refs.update(package, "heads", branch, new, old, who=self.author(), why=why, tail=tail, floor=ends)

    def set_branch(
        self, package: str, commit: Oid, old: Oid | None, why: str, branch: str = MAIN, *, force: bool = False
    ) -> Oid | None:
        """Move a branch to a commit that is stored already: what it named before. With `force` whatever that is.

        Raises Conflict if it is not `old`, NotFound if the commit lacks anything.
        """
        from dpkg.maintenance.standing import count_on

        for _ in range(_ATTEMPTS):
            tail = self.start(package, branch)
            found = self.tip(package, branch)
            old = found if force else old
            if found == old:
                count_on(self, package, commit, old)
            try:
                self.move(package, commit, old, why, branch, tail=tail)
                return old
            except Conflict:
                if not force and self.tip(package, branch) != old:
                    raise
        raise Conflict(f"the log of '{package}' does not stop moving", "try again later")

    def make_tag(self, package: str, name: str, commit: Oid, why: str = "") -> None:
        """Give a tag a commit that is stored already. Raises AlreadyExists, and NotFound if the commit lacks anything."""
        from dpkg.maintenance.standing import count_on

        for _ in range(_ATTEMPTS):
            tail = self.refs.start(package, "tags", name, who=self.author())
            self.begin()
            count_on(self, package, commit)
            self.odb.sync()
            with suppress(Conflict):
                self.settle()
                ends = self.ends(commit)
                self.refs.create_tag(package, name, commit, who=self.author(), why=why, tail=tail, floor=ends)
                return
        raise Conflict(f"the log of the tag '{name}' of '{package}' does not stop moving", "try again later")


def read_commit(odb: Odb, oid: Oid) -> Commit:
    """A commit of an odb. Raises NotFound, Corrupt."""
    try:
        return Commit.decode(odb.read(oid, "commit"))
    except Format as e:
        raise Corrupt(
            f"commit {oid} in {odb.backend.url} is malformed: {e.message}", "run 'dpk verify' there"
        ) from None


def is_store(url: str) -> bool:
    """Whether there is a store that can be opened."""
    try:
        open_store(open_backend(url))
    except DpkgError:
        return False
    return True
