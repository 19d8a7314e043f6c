"""What checks found: for people, for a commit, and as the error that stops a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dpkg.checks.rules import Rule, from_json
from dpkg.checks.running import FAILED, PASSED, SKIPPED, BrokenRow, Result
from dpkg.command import clean, count
from dpkg.errors import CheckFailed, Format, Usage

if TYPE_CHECKING:
    from dpkg.command import Line

_STYLE = {PASSED: "green", FAILED: "red", SKIPPED: "yellow"}


def entries(results: Sequence[Result]) -> list[Any]:
    """Results as the `checks` of a commit (spec/checks.md): numbers of rows, but none of their values."""
    return [
        {
            "bad": r.bad,
            "figure": r.figure,
            "path": r.path,
            "rows": [row.row for row in r.rows if row.row],
            "rule": dict(r.rule),
            "status": r.status,
        }
        for r in results
    ]


def failure(results: Sequence[Result]) -> CheckFailed:
    """The error for all that failed."""
    failed = [r for r in results if r.fails]
    lines = [clean(text) for r in failed for text in said(r)]
    hint = "mend the data, or the check; 'severity: warn' in build.yml lets it pass"
    told = f"{count(len(failed), 'check')} failed, and nothing was committed"
    return CheckFailed(f"{told}:\n" + "\n".join(lines), hint)


def settled(results: list[Result], misfits: Sequence[Usage]) -> list[Result]:
    """The results, if each rule fits its table. Raises Usage for all that do not, and tells what failed beside them."""
    if not misfits:
        return results
    lines = [clean(text) for r in results if r.fails for text in said(r)]
    if len(misfits) == 1 and not lines:
        raise misfits[0]
    more = [clean(e.message + (f" ({e.hint})" if e.hint else "")) for e in misfits]
    told = f"{count(len(misfits), 'check')} cannot be made"
    failed = [f"{count(sum(r.fails for r in results), 'check')} failed:"] if lines else []
    raise Usage("\n".join([f"{told}:", *more, *failed, *lines]), misfits[0].hint if len(misfits) == 1 else "")


def said(r: Result) -> Iterator[str]:
    """A result in words, then a line for each row that is shown."""
    yield f"{r.path}: {r.check}: {r.figure}" + (f" ({r.where})" if r.where and r.status == FAILED else "")
    for row in r.rows if r.status == FAILED else ():
        places = [*([f"row {row.row:,}"] if row.row else []), *([f"{row.file}, line {row.line}"] if row.line else [])]
        yield "  " + ": ".join(filter(None, [", ".join(places), row.value]))


def shown(results: Sequence[Result]) -> Iterator[Line]:
    """Results for people."""
    for r in results:
        word = "warning" if r.status == FAILED and not r.fails else r.status
        style = "yellow" if word == "warning" else _STYLE[r.status]
        first, *rows = said(r)
        yield ((style, f"{word:<7}"), f"  {clean(first)}")
        yield from (f"         {clean(row)}" for row in rows)


def recorded(found: Sequence[Any]) -> Iterator[Line]:
    """Results as a commit holds them, for people: what did not pass, and how many there are. They are whatever somebody wrote."""
    results = [r for c in found if (r := _read(c)) is not None]
    yield f"checks   {summary(results)}"
    yield from shown([r for r in results if r.status != PASSED])


def rule_of(entry: Any) -> tuple[str, Rule]:
    """The table's path and the rule of a result in a commit. Raises Format."""
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise Format("the commit's checks are not of a form that this dpkg knows", "a newer dpkg may know it")
    return entry["path"], from_json(entry.get("rule"))


def _read(found: Any) -> Result | None:
    try:
        path, rule = rule_of(found)
        rows = tuple(BrokenRow(int(row), "", 0, "") for row in found["rows"])
        status = found["status"] if found["status"] in _STYLE else SKIPPED
        return Result(path, str(rule), rule.severity, status, int(found["bad"]), str(found["figure"]), rows=rows)
    except (Format, KeyError, TypeError, ValueError):
        return None


def summary(results: Sequence[Result]) -> str:
    """`3 checks passed, 1 failed`."""
    counts = {
        "passed": sum(r.status == PASSED for r in results),
        "failed": sum(r.fails for r in results),
        "warned": sum(r.status == FAILED and not r.fails for r in results),
        "skipped": sum(r.status == SKIPPED for r in results),
    }
    parts = [f"{n:,} {word}" for word, n in counts.items() if n]
    return f"{count(len(results), 'check')}: {', '.join(parts)}" if parts else "no checks"
