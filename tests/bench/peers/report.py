"""Figures as Markdown: the tables of PEERS.md, and the goals. `report.py FILE.json` prints what was measured before."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Cell = Callable[[dict[str, Any], "Result"], str]


@dataclass
class Result:
    """A run: its circumstances, and its figures by part, step and tool."""

    about: dict[str, Any]
    figures: list[dict[str, Any]]

    def find(self, part: str, step: str, tool: str) -> dict[str, Any] | None:
        """A figure that was measured."""
        for f in self.figures:
            if (f["part"], f["step"], f["tool"]) == (part, step, tool) and f["seconds"] and not f["failed"]:
                return f
        return None

    def seconds(self, part: str, step: str, tool: str) -> float | None:
        """The shortest time."""
        found = self.find(part, step, tool)
        return min(found["seconds"]) if found else None

    def peers(self, part: str, step: str) -> list[tuple[float, str]]:
        """The peers that have done it, with their seconds; the fastest first."""
        times = [(self.seconds(part, step, tool), tool) for tool in self.about["versions"] if tool != "dpk"]
        return sorted((took, tool) for took, tool in times if took is not None)


def _took(figure: dict[str, Any], result: Result) -> str:
    """Seconds, and how many times dpk's they are."""
    ours, seconds = result.seconds(figure["part"], figure["step"], "dpk"), min(figure["seconds"])
    return f"{seconds:.2f} s" if figure["tool"] == "dpk" or not ours else f"{seconds:.2f} s, {seconds / ours:.1f}×"


def _new(figure: dict[str, Any], result: Result) -> str:
    return f"{figure['new_bytes'] / 1e6:,.2f} MB"


def _bytes(figure: dict[str, Any], result: Result) -> str:
    return f"{figure['stored_bytes'] / 1e6:,.1f} MB"


def _files(figure: dict[str, Any], result: Result) -> str:
    return f"{figure['stored_files']:,}"


def _new_files(figure: dict[str, Any], result: Result) -> str:
    return f"{figure['new_files']:,}"


def _requests(figure: dict[str, Any], result: Result) -> str:
    """All of them, and those that write."""
    methods = figure["requests"]
    writes = sum(n for method, n in methods.items() if method in ("PUT", "POST", "DELETE"))
    return f"{sum(methods.values()):,} ({writes:,})" if methods else ""


def _rate(figure: dict[str, Any], result: Result) -> str:
    return f"{figure['stored_bytes'] / min(figure['seconds']) / 1e6:,.0f} MB/s"


_TRAVEL: list[tuple[str, str, Cell]] = [
    ("push", "push", _took),
    ("after one change", "push one changed", _took),
    ("pull", "pull", _took),
]
TABLES: list[tuple[str, str, list[tuple[str, str, Cell]]]] = [
    (
        "{files:,} files, {files_mb:,.0f} MB",
        "files",
        [
            ("first", "first", _took),
            ("no-op", "no-op", _took),
            ("one changed", "one changed", _took),
            ("stored files", "first", _files),
            ("stored bytes", "first", _bytes),
            ("new files, one changed", "one changed", _new_files),
            ("new bytes, one changed", "one changed", _new),
            ("verify", "verify", _took),
            ("of stored bytes", "verify", _rate),
        ],
    ),
    (
        "One file of {big_mb:,.0f} MB, random bytes",
        "random",
        [
            ("first", "first", _took),
            ("stored files", "first", _files),
            ("stored bytes", "first", _bytes),
            ("verify", "verify", _took),
            ("of stored bytes", "verify", _rate),
        ],
    ),
    (
        "One file of {big_mb:,.0f} MB, text",
        "text",
        [("first", "first", _took), ("stored files", "first", _files), ("stored bytes", "first", _bytes)],
    ),
    (
        "A table of {rows:,} rows x 8 columns as Parquet: time",
        "table",
        [(step, step, _took) for step in ("first", "append", "insert", "update")],
    ),
    (
        "The same table: bytes stored, and new bytes after each edit",
        "table",
        [("first", "first", _bytes), *((step, step, _new) for step in ("append", "insert", "update"))],
    ),
    (
        "{transfer:,} files and one of {transfer_mb:,.0f} MB, to and from a folder",
        "folder",
        [*_TRAVEL, ("files there", "push", _files), ("bytes there", "push", _bytes)],
    ),
    ("The same, to and from S3 (SeaweedFS on the same machine)", "s3", _TRAVEL),
    (
        "Requests to S3 (of them such as write)",
        "s3",
        [(title, step, _requests) for title, step, _ in _TRAVEL],
    ),
]


def markdown(result: Result) -> str:
    """The goals and all tables that have figures."""
    sections = [_goals_table(result)]
    for title, part, columns in TABLES:
        rows = [_row(result, part, tool, columns) for tool in result.about["versions"]]
        rows = [row for row in rows if any(row[1:])]
        if rows:
            heading = title.format(**result.about["sizes"])
            sections.append(f"### {heading}\n" + _table(["", *(name for name, _, _ in columns)], rows))
    return "\n".join([*sections, _lacking(result)]).rstrip() + "\n"


def _row(result: Result, part: str, tool: str, columns: list[tuple[str, str, Cell]]) -> list[str]:
    found = [(result.find(part, step, tool), cell) for _, step, cell in columns]
    return [tool, *(cell(figure, result) if figure else "" for figure, cell in found)]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _lacking(result: Result) -> str:
    """What has no figure, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for f in result.figures:
        if f["failed"]:
            reasons.setdefault((f["tool"], f["failed"]), []).append(f"{f['part']}: {f['step']}")
    lines = [f"- {tool} ({', '.join(steps)}): {reason}" for (tool, reason), steps in reasons.items()]
    lines += [f"- {tool}: could not be had: {reason}" for tool, reason in result.about["lacking"].items()]
    return "### No figures\n" + "\n".join(lines) if lines else ""


@dataclass
class Goal:
    """What dpk is to reach; `value` is None where this run cannot tell."""

    name: str
    value: float | None
    least: bool  # the value is to be at least the bound, else at most
    bound: float
    unit: str = ""
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        assert self.value is not None
        return self.value >= self.bound if self.least else self.value <= self.bound


def goals(result: Result) -> list[Goal]:
    """Those of the issue of scale; they hold for scale 1."""
    stored = result.find("files", "first", "dpk")
    return [
        _faster(result, "many files, first: times faster than the fastest peer", "files", "first", 2),
        Goal("many files: stored files", stored["stored_files"] if stored else None, False, 1000),
        _faster(result, "many files, no-op: times faster than the fastest peer", "files", "no-op", 5),
        Goal("many files, no-op", result.seconds("files", "no-op", "dpk"), False, 1.2, " s"),
        _faster(result, "large random file: times faster than DVC", "random", "first", 4, "DVC"),
        _share(result, "insert"),
        _share(result, "update"),
        _verify_rate(result, "random", "large random file"),
        _verify_rate(result, "files", "many files"),
    ]


def _faster(result: Result, name: str, part: str, step: str, bound: float, only: str = "") -> Goal:
    """How many times longer the fastest peer takes, or `only` that one; all of them in words."""
    ours = result.seconds(part, step, "dpk")
    peers = [(took, tool) for took, tool in result.peers(part, step) if only in ("", tool)]
    if ours is None or not peers:
        return Goal(name, None, True, bound, "×")
    said = ", ".join(f"{tool} {took:.2f} s" for took, tool in [(ours, "dpk"), *peers])
    return Goal(name, peers[0][0] / ours, True, bound, "×", said)


def _share(result: Result, step: str) -> Goal:
    first, edited = result.find("table", "first", "dpk"), result.find("table", step, "dpk")
    share = 100 * edited["new_bytes"] / first["stored_bytes"] if first and edited else None
    return Goal(f"table, {step} of 1,000 adjacent rows: new bytes / stored bytes", share, False, 2, " %")


def _verify_rate(result: Result, part: str, name: str) -> Goal:
    found = result.find(part, "verify", "dpk")
    rate = found["stored_bytes"] / min(found["seconds"]) / 1e9 if found else None
    return Goal(f"verify, {name}: stored bytes a second", rate, True, 1, " GB")


def _goals_table(result: Result) -> str:
    rows = []
    for goal in goals(result):
        if goal.value is not None:
            bound = f"{'at least' if goal.least else 'at most'} {goal.bound:,g}{goal.unit}"
            value = f"{goal.value:,.0f}" if goal.value >= 100 or goal.value == int(goal.value) else f"{goal.value:.2f}"
            rows.append([goal.name, f"{value}{goal.unit}", bound, "ok" if goal.met else "MISS", goal.detail])
    return "### Goals of dpk\n" + _table(["", "dpk", "goal", "", ""], rows) if rows else ""


def load(path: Path) -> Result:
    """What `run.py --json` wrote."""
    found = json.loads(path.read_text())
    return Result(found["about"], found["figures"])


if __name__ == "__main__":
    print(markdown(load(Path(sys.argv[1]))), end="")
