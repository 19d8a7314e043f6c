"""`dpk check`: run the checks of a build.yml or of a package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.checks.rules import Rule
    from dpkg.checks.running import Result
    from dpkg.command import Shown

COMMAND = Command(
    "check",
    "Run the checks of a build.yml on its files, or those of a package on its tables, without building. Ends with 9 if one fails.",
    (
        Arg(
            "target",
            "a build.yml, a folder with one, or owner/name[@revision][/path]; what is on disk comes first",
            completes="file",
        ),
        Opt("-n --rows", "rows to show of those that break a check (default: 5)", int, "N"),
        Opt("--against", "owner/name[@revision]: what files are compared with", str, "PACKAGE", completes="commit"),
        STORE,
    ),
    details="Of files everything is read, as a build would, and nothing is stored. Of a package what was found before is used: a "
    "fragment that passed a check is not read again for it, but for those that need all rows at once: 'unique', 'duplicates', 'median', "
    "'quantile', 'foreign_key' and 'sql'.\n"
    "The checks of a package are those that its commit was built with. 'rows_change' and 'schema_compatible' compare with its parent, "
    "those of files with --against; without it they are skipped. A check with 'severity: warn' is told, and brings no 9.\n"
    "What build.yml may say below 'checks:' is in spec/checks.md.",
    examples=(
        ("Check a folder before it is built:", "dpk check src --against acme/shop"),
        ("Check one table of a package:", "dpk check acme/shop/sales"),
        ("Print what failed:", "dpk check src --json | jq -r '.results[] | select(.status == \"failed\") | .check'"),
    ),
    see=("build", "show"),
    prose=True,
)


@dataclass(frozen=True)
class Checked:
    """What became of the checks of a target."""

    target: str
    results: tuple[Result, ...]

    @property
    def exit_code(self) -> int:
        return 9 if any(r.fails for r in self.results) else 0


def check(target: str, *, rows: int = 5, against: str | None = None, store: str | None = None) -> Checked:
    """Run checks; what fails is in the result, not raised. Raises NotFound, Usage, Format, Corrupt."""
    if rows < 0:
        raise Usage("a number of rows is not negative")
    if os.path.exists(target):
        return Checked(target, tuple(_files(target, rows, against, store)))
    if against is not None:
        raise Usage("--against is for files", f"the tables of '{target}' are compared with those of its parent commit")
    return Checked(target, tuple(_package(target, rows, store)))


def _files(path: str, rows: int, against: str | None, store: str | None) -> list[Result]:
    from dpkg.compiler import make_plan
    from dpkg.compiler.checking import before_in, check_files, has_checks

    plan = make_plan(path)
    if not has_checks(plan):
        raise Usage(f"no checks are declared for '{path}'", "write 'checks:' below a table of its build.yml")
    if against is None:
        return check_files(plan, lambda path: None, rows)
    repository = Repository(store)
    return check_files(plan, before_in(repository.odb, repository.resolve(against)[2].tree), rows)


def _package(expr: str, rows: int, store: str | None) -> list[Result]:
    from dpkg.checks.kept import Kept
    from dpkg.checks.report import settled
    from dpkg.checks.running import Setting, check_table
    from dpkg.checks.tables import StoredTables
    from dpkg.compiler.checking import before_in
    from dpkg.index import walk

    repository = Repository(store)
    parsed, _, commit = repository.resolve(expr)
    rules = _rules(commit.checks, parsed.path or "")
    if not rules:
        raise Usage(f"'{expr}' was built without checks", "write 'checks:' in its build.yml, and build it")
    odb = repository.odb
    tables = StoredTables(odb, {p: e.oid for p, e in walk(odb, commit.tree) if e.type == "table"})
    parent = commit.parents[0] if commit.parents and odb.has(commit.parents[0]) else None
    before = before_in(odb, repository.commit(parent).tree if parent else None)
    setting = Setting(tables, before, Kept(odb), rows)
    results = [r for path, found in rules.items() for r in check_table(path, found, setting)]
    return settled(results, setting.misfits)


def _rules(checks: list[Any], path: str) -> dict[str, list[Rule]]:
    """The rules in a commit, by table, of a table or of what is in a folder. Raises Format for one that is not known here."""
    from dpkg.checks.report import rule_of

    found: dict[str, list[Rule]] = {}
    for entry in checks:
        at, rule = rule_of(entry)
        if not path or f"{at}/".startswith(f"{path}/"):
            found.setdefault(at, []).append(rule)
    return found


def render(result: Checked) -> Iterator[Shown]:
    from dpkg.checks.report import shown, summary

    yield from shown(result.results)
    yield summary(result.results)
