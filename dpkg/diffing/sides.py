"""What is compared: revisions of packages, here or in other stores, and files that have not been built."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dpkg.comparing import Pair, apart, diff_pairs, entry_pairs, pairs_at, tree_pairs
from dpkg.errors import Format, NotFound, Usage
from dpkg.index.reader import entry_at, lookup
from dpkg.names import Expr, is_path, is_range, parse_expr, parse_range
from dpkg.objects.node import TreeEntry
from dpkg.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dpkg.comparing import Change
    from dpkg.drift.verdicts import Thresholds
    from dpkg.odb import Odb
    from dpkg.oid import Oid


@dataclass(frozen=True)
class Side:
    """One side of a diff: a revision of a package, or files that have not been built."""

    package: str | None  # null of files
    revision: str | None
    path: str | None  # what of the package, or the files
    store: str  # where it was read
    commit: Oid | None
    tophash: Oid

    def __str__(self) -> str:
        if self.package is None:
            return self.path or ""
        return str(Expr(self.package, self.revision, self.path))


@dataclass(frozen=True)
class Opened:
    """A side that can be read. Of files `entry` is the one that they became, if they are a single file."""

    side: Side
    odb: Odb
    entry: TreeEntry | None = None
    checks: Sequence[Any] = ()  # of the commit, or the build.yml

    @cached_property
    def drift(self) -> dict[str, Mapping[str, Any]]:
        """What `drift` checks say of tables, by path."""
        from dpkg.checks.report import rule_of

        rules = {}
        for entry in self.checks:
            with suppress(Format):  # of a newer dpkg
                path, rule = rule_of(entry)
                if rule.kind == "drift":
                    rules[path] = rule.args
        return rules

    def named(self) -> TreeEntry:
        """The entry that is compared, where the sides are not compared as wholes."""
        if self.side.package is not None and self.side.path:
            return lookup(self.odb, self.side.tophash, self.side.path)
        return self.entry or TreeEntry("", "tree", self.side.tophash, 0)


@dataclass(frozen=True)
class Sides:
    """Two sides, and to which paths the comparison is limited."""

    old: Opened
    new: Opened
    paths: tuple[str, ...] = ()

    def changes(self) -> list[Change]:
        """What differs. Raises NotFound for a path that neither side has."""
        return diff_pairs(self.old.odb, self.new.odb, self._pairs())

    def limits(self) -> tuple[str, ...]:
        """The paths to which both sides are limited."""
        part = self.new.side.path if self.new.side.package is not None else None
        return (part,) if part and part == self.old.side.path else self.paths

    def thresholds(self, path: str) -> Thresholds:
        """By what the drift of a table is judged: by the `drift` check that the new side has of it, if any."""
        from dpkg.drift.verdicts import DEFAULT, of_check

        args = self.new.drift.get(path)
        return DEFAULT if args is None else of_check(args)

    def _pairs(self) -> Iterable[Pair]:
        odb_a, odb_b = self.old.odb, self.new.odb
        a, b = self.old.side, self.new.side
        if a.package is not None and a.path and (b.package is None or b.path != a.path):
            return self._entries()
        wanted = self.limits()
        if not wanted:
            return tree_pairs(odb_a, a.tophash, odb_b, b.tophash)
        for p in wanted:
            if entry_at(odb_a, a.tophash, p) is None:
                lookup(odb_b, b.tophash, p)  # which raises where it is in neither
        return (pair for p in apart(wanted) for pair in pairs_at(odb_a, a.tophash, odb_b, b.tophash, p))

    def _entries(self) -> Iterator[Pair]:
        """One entry with another, whatever their names."""
        assert self.old.side.path is not None
        old, new = self.old.named(), self.new.named()
        return entry_pairs(self.old.odb, old, self.new.odb, new, self.old.side.path)


def open_sides(
    repository: Repository,
    a: str,
    b: str | None = None,
    paths: Sequence[str] = (),
    from_: str | None = None,
    to: str | None = None,
) -> Sides:
    """The two sides that a command line names; `from_` and `to` are remotes in which the one and the other is.

    Raises NotFound, Usage; and of files what a build of them raises.
    """
    old_in, new_in = (repository if name is None else Repository(repository.remote(name)) for name in (from_, to))
    if is_range(a) and not is_path(a):
        span = parse_range(a)
        ends = [Expr(span.package, end, span.path) for end in (span.start, span.end)]
        limits = ((b,) if b is not None else ()) + tuple(paths)  # after a range all are paths
        return _sides(_revision(old_in, ends[0]), _revision(new_in, ends[1]), limits)
    if b is None:
        if _is_files(a):
            raise Usage(f"'{a}' is compared with nothing", f"write the package first: dpk diff owner/name {a}")
        expr = parse_expr(a)
        if from_ or to:  # the same in two places
            return _sides(_revision(old_in, expr), _revision(new_in, expr), paths)
        return _sides(*_last_two(repository, expr), paths)
    if is_range(b) and not is_path(b):
        raise Usage(f"'{b}' is a range, and '{a}' a side already", "write one range, or two expressions")
    old = _files(old_in, a, b) if _is_files(a) else _revision(old_in, parse_expr(a))
    new = _files(new_in, b, a) if _is_files(b) else _revision(new_in, _second(a, b))
    return _sides(old, new, paths)


def _sides(old: Opened, new: Opened, paths: Sequence[str]) -> Sides:
    a, b = (o.side.path if o.side.package is not None else None for o in (old, new))
    if (a or b) and paths:
        hint = f"write the package, and the paths after it: dpk diff … {a or b} {paths[0]}"
        raise Usage(f"'{a or b}' names a part already, and '{paths[0]}' is one more", hint)
    if bool(a) != bool(b) and old.side.package is not None and new.side.package is not None:
        whole, part = (old, new) if b else (new, old)
        hint = f"write {whole.side}/{a or b}, or two whole packages"
        raise Usage(f"'{part.side}' names a part of a package, and '{whole.side}' a whole one", hint)
    if b and old.side.package is None:
        raise Usage(f"'{new.side}' names a part of a package", f"compare the other way round: dpk diff {new.side} …")
    return Sides(old, new, tuple(p.strip("/") for p in paths))


def _last_two(repository: Repository, expr: Expr) -> tuple[Opened, Opened]:
    """A revision and the one before it."""
    _, oid, commit = repository.resolve(expr)
    if not commit.parents:
        whole = str(Expr(expr.package, expr.revision))
        message = f"'{whole}' is the first commit of its package, there is nothing to compare it with"
        raise NotFound(message, f"see 'dpk show {whole}'")
    revision = expr.revision or "latest"
    before = _revision(repository, Expr(expr.package, f"{revision}~1", expr.path))
    side = Side(expr.package, revision, expr.path, repository.url, oid, commit.tree)
    return before, Opened(side, repository.odb, checks=commit.checks)


def _revision(repository: Repository, expr: Expr) -> Opened:
    _, oid, commit = repository.resolve(expr)
    side = Side(expr.package, expr.revision or "latest", expr.path, repository.url, oid, commit.tree)
    return Opened(side, repository.odb, checks=commit.checks)


def _second(a: str, b: str) -> Expr:
    """The expression of NEW. Raises Usage, also where a PATH is meant."""
    if "/" not in b:
        raise Usage(f"'{b}' is no package, and no file or folder here", f"a part of the package is written {a}/{b}")
    return parse_expr(b)


def _is_files(text: str) -> bool:
    """Whether an argument names files: by how it is written, or as it can be no package."""
    return is_path(text) or ("/" not in text.rstrip("/") and os.path.exists(text))


def _files(repository: Repository, path: str, other: str) -> Opened:
    """Files as they would be built, over what is stored: nothing is published, and nothing is left of it."""
    from shutil import rmtree
    from tempfile import mkdtemp
    from weakref import finalize

    from dpkg.compiler import make_plan
    from dpkg.compiler.composed import pinned
    from dpkg.compiler.statcache import compile_changed
    from dpkg.odb import Odb
    from dpkg.store import open_backend
    from dpkg.store.overlay import Overlay

    plan = pinned(repository, make_plan(path))
    folder = mkdtemp(prefix="dpkg-diff-")
    over = Overlay(open_backend(folder), repository.backend)
    forget = finalize(over, rmtree, folder, ignore_errors=True)  # when nobody reads from it any more, or at the end
    try:
        odb = Odb(over)
        package = "" if _is_files(other) else parse_expr(other).package
        known = repository.tip(package) if package else None  # files that did not change since are not read
        report = compile_changed(odb, plan, package, repository.commit(known).tree if known else None)
        odb.flush()
        one_file = plan.build is None and os.path.isfile(os.path.expanduser(path))
        entry = lookup(odb, report.tree, plan.items[0].name) if one_file else None
    except BaseException:
        forget()
        raise
    checks = [{"path": item.name, "rule": rule.json} for item in plan.items for rule in item.checks]
    return Opened(Side(None, None, path, repository.url, None, report.tree), odb, entry, checks)
