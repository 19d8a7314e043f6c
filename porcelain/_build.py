"""`dpk build`: compile files into a package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg import parts
from dpkg.command import STORE, Arg, Command, Opt, count, grid, shorten
from dpkg.errors import Conflict, Usage
from dpkg.names import parse_expr
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.checks.running import Result
    from dpkg.compiler.compile import Compiled, Report
    from dpkg.compiler.plan import Plan
    from dpkg.oid import Oid

COMMAND = Command(
    "build",
    "Compile a file, a folder or a build.yml into a package, and commit it if anything changed.",
    (
        Arg("package", "owner/name", completes="package"),
        Arg("path", "a file, a folder (its build.yml is used if it has one), or a build.yml", completes="file"),
        Opt("-m --message", "what changed and why", str, "TEXT"),
        Opt("--raw", "keep every file as it is, as a blob"),
        STORE,
    ),
    epilog="Tables: csv, tsv, jsonl, ndjson (also .gz, .zst), parquet, arrow, feather, orc. Everything else is a blob, unless a\n"
    "build.yml says more: 'dpk generate' writes one.\n"
    "Left out: .git, .dpk, .venv, caches, and what a .dpkgignore in the folder names.",
    details="A file becomes a table or a blob, a folder a tree. The same data gives the same tophash, whatever format it came in; "
    "where the tree is that of the newest commit, no commit is made. Nothing is published unless all of it was read.\n"
    "A build.yml may also name rows of PostgreSQL and SQLite, tables derived by a query, and entries of other packages (spec/build.md).\n"
    "Files whose size, times and inode are those of the last build are not read again; derived/stat-cache in the store, which may be "
    "deleted, remembers them. "
    "So a build that was broken off, by Ctrl-C or a file that is wrong, goes on with the files it had not read.\n"
    "Checks that build.yml declares run before anything is published: if one fails, nothing is, all that fail are told, and the "
    "command ends with 9. 'dpk check' runs them without building.",
    examples=(
        ("Build a package from a folder:", 'dpk build acme/shop src -m "January"'),
        ("Keep every file of it as it is:", "dpk build acme/shop src --raw"),
        ("Build, and keep the new tophash:", "dpk build acme/shop src --json | jq -r .tophash"),
    ),
    see=("diff", "tag", "push", "write-tree"),
    prose=True,
)

_ATTEMPTS = 5


@dataclass(frozen=True)
class Built:
    """What a build made. `created` is False where the tree is the parent's: then there is no new commit."""

    package: str
    commit: Oid
    tophash: Oid
    created: bool
    store: str
    entries: tuple[Compiled, ...]
    checks: tuple[Result, ...] = ()


def build(package: str, path: str, *, message: str = "", raw: bool = False, store: str | None = None) -> Built:
    """Compile `path` into `package`; a store is made where there is none.

    Raises NotFound for a missing path, Usage for a plan that does not work, Format for files that break their shape, CheckFailed for a key
    that is not unique and for checks that do not hold, Conflict if someone else moved the branch meanwhile, or the package is
    here in part only. Nothing is published then.
    """
    from dpkg.checks.report import entries
    from dpkg.compiler import make_plan
    from dpkg.compiler.composed import pinned
    from dpkg.compiler.provenance import made_by
    from dpkg.compiler.statcache import compile_changed

    name = _package(package)
    asked = make_plan(path, raw)
    repository = Repository(store, create=True)
    parts.refuse(repository, name, repository.tip(name))
    for _ in range(_ATTEMPTS):
        tail = repository.start(name)
        old = repository.tip(name)
        tree = repository.commit(old).tree if old else None
        plan = pinned(repository, asked)
        report = compile_changed(repository.odb, plan, name, tree)
        results = _checked(repository, plan, report, tree)
        if old is not None and tree == report.tree:
            return Built(name, old, report.tree, False, repository.url, report.entries, results)
        kept = entries(results) if results else []
        parents, provenance = (old,) if old else (), made_by(plan, report.entries)
        new = repository.make_commit(report.tree, parents, message, provenance=provenance, checks=kept)
        try:
            repository.move(name, new, old, f"build: {message}" if message else "build", tail=tail)
            return Built(name, new, report.tree, True, repository.url, report.entries, results)
        except Conflict as e:
            if repository.tip(name) != old:
                raise Conflict(e.message, f"look at it ('dpk log {name}'), then build again: that adds to it") from None
            # else gc was here: what was found stored may be gone, so look again
    raise Conflict(f"the log of '{name}' does not stop moving", "try again later")


def _checked(repository: Repository, plan: Plan, report: Report, before: Oid | None) -> tuple[Result, ...]:
    """What became of the checks that a plan declares. Raises CheckFailed if one that must hold does not."""
    if not any(item.checks for item in plan.items):
        return ()
    from dpkg.checks.report import failure
    from dpkg.compiler.checking import check_stored

    results = tuple(check_stored(repository.odb, plan, report, before))
    if any(r.fails for r in results):
        raise failure(results)
    return results


def _package(text: str) -> str:
    expr = parse_expr(text)
    if expr.revision or expr.path:
        raise Usage(
            f"'{text}' names more than a package", f"write {expr.package}: a build always adds a new commit to it"
        )
    return expr.package


def render(result: Built) -> Iterator[Any]:
    rows: list[tuple[Any, ...]] = []
    for e in result.entries:
        rows.append(("", e.type, ("cyan", e.path), count(e.rows, "row") if e.type == "table" else "", shorten(e.bytes)))
    yield from grid(rows[:40], right="34")
    if len(rows) > 40:
        yield f"  … and {len(rows) - 40:,} more"
    for e in result.entries:
        for w in e.widened:
            yield (
                ("yellow", "  note: "),
                f"{e.path}.{w.column} is {w.final}, not {w.first}: {w.file or e.source}, line {w.line} holds '{_short(w.value)}'",
            )
    if result.checks:
        from dpkg.checks.report import shown, summary

        yield from shown([r for r in result.checks if r.status != "passed"])
        yield f"  {summary(result.checks)}"
    if not result.created:
        yield (
            "nothing changed: ",
            ("bold", result.package),
            f" is still {result.commit[:12]}  tophash {result.tophash[:12]}",
        )
        return
    made = f" {result.commit[:12]}  tophash {result.tophash[:12]}  {count(len(rows), 'entry', 'entries')}"
    yield (("green", "built "), ("bold", result.package), made)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
