"""What may be declared of a table: kinds of rules and their members, as one table; and a rule as a value (spec/checks.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from blake3 import blake3

from dpkg.errors import Format, Usage
from dpkg.objects import canonical_json

ERROR, WARN = "error", "warn"
SEVERITIES = (ERROR, WARN)
ORDERS = ("increasing", "strictly_increasing", "decreasing", "strictly_decreasing")
INLINE = 1000  # values of a list that come from a file and are written into a commit
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
COUNT = re.compile(r"[0-9]{1,15}")
SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)")
CHANGE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?%?")
LEVELS = ("moderate", "major")  # of drift
SPAN = re.compile(r"([0-9]+) ?([smhdw])")


class Form(NamedTuple):
    """A kind of rule: its members and what each holds; what stands for the whole where it is no mapping.

    `one_of`: at least one of these must be there. `rows`: it is broken by rows, of which some may be allowed.
    """

    members: Mapping[str, str] = {}  # name to one of the kinds that `grammar` reads
    short: str = ""  # "" and no members: written `true`
    one_of: tuple[str, ...] = ()
    rows: bool = False
    many: bool = False  # a list of such may stand
    needs: frozenset[str] = frozenset()  # besides these


_BOUNDS = {"min": "number", "max": "number"}
_COUNTS = {"min": "count", "max": "count"}
_ENDS = ("min", "max")
_LIST = Form({"values": "texts", "file": "file"}, "values", ("values", "file"), rows=True)
_PATTERN = Form({"pattern": "pattern", "regex": "regex"}, "pattern", ("pattern", "regex"), rows=True)
_FIGURE = Form(_BOUNDS, one_of=_ENDS)

COLUMN: dict[str, Form] = {
    "not_null": Form(rows=True),
    "unique": Form(rows=True),
    "min": Form({"value": "text"}, "value", ("value",), rows=True),
    "max": Form({"value": "text"}, "value", ("value",), rows=True),
    "mean": _FIGURE,
    "median": _FIGURE,
    "std": _FIGURE,
    "sum": _FIGURE,
    "quantile": Form({"q": "fraction", **_BOUNDS}, one_of=_ENDS, many=True, needs=frozenset(["q"])),
    "enum": _LIST,
    "not_in": _LIST,
    "matches": _PATTERN,
    "not_matches": _PATTERN,
    "length": Form(_COUNTS, one_of=_ENDS, rows=True),
    "type": Form({"types": "types"}, "types", ("types",)),
    "monotonic": Form({"order": "order"}, "order", ("order",), rows=True),
    "foreign_key": Form({"table": "text", "column": "text"}, one_of=("table",), rows=True),
}
TABLE: dict[str, Form] = {
    "rows": Form(_COUNTS, one_of=_ENDS),
    "columns_are": Form({"names": "texts"}, "names", ("names",)),
    "duplicates": Form({"max": "count", "columns": "texts"}, "max", ("max", "columns")),
    "freshness": Form({"column": "text", "within": "span"}, one_of=("within",), needs=frozenset(["column"])),
    "rows_change": Form({"min": "change", "max": "change"}, one_of=_ENDS),
    "schema_compatible": Form(),
    "drift": Form({"at": "level", "limits": "limits", "columns": "column_limits"}, "at", ("at", "limits", "columns")),
    "sql": Form({"query": "text", "name": "text"}, "query", ("query",), rows=True, many=True),
}
FORMS = COLUMN | TABLE


@dataclass(frozen=True)
class Rule:
    """One declaration. `args` are plain JSON; numbers in it are texts, as they were written."""

    kind: str
    column: str | None = None  # of a rule of a table there is none
    args: Mapping[str, Any] = field(default_factory=dict)
    severity: str = ERROR
    allow: str = ""  # how many rows may break it: a number, or a share such as 1%
    where: str = field(default="", compare=False)  # "build.yml, line 4, column 7"

    @cached_property
    def core(self) -> dict[str, Any]:
        """What is asked, as plain JSON, without what follows from the answer. A long list is named by its digest."""
        args = dict(self.args)
        if "blake3" in args and len(args.get("values", ())) > INLINE:
            del args["values"]
        return {"args": args, "kind": self.kind, **({} if self.column is None else {"column": self.column})}

    @property
    def json(self) -> dict[str, Any]:
        """The whole rule as plain JSON; `from_json` reads it."""
        return {**self.core, "severity": self.severity, **({"allow": self.allow} if self.allow else {})}

    @cached_property
    def digest(self) -> str:
        """Of what is asked: equal for rules that are answered alike, whatever follows from that."""
        return blake3(canonical_json.encode(self.core)).hexdigest()

    def __str__(self) -> str:
        """As in build.yml, in a line: `amount: min 0`."""
        said = " ".join(filter(None, (self.kind, _said(self))))
        said += f", {self.allow} allowed" if self.allow else ""
        return said if self.column is None else f"{self.column}: {said}"


def from_json(value: Any) -> Rule:
    """The rule that `Rule.json` wrote. Raises Format for anything else."""
    names = {"args": dict, "kind": str, "column": str, "severity": str, "allow": str}
    if (
        not isinstance(value, dict)
        or not {"args", "kind", "severity"} <= value.keys() <= names.keys()
        or not all(isinstance(v, names[k]) for k, v in value.items())
    ):
        raise Format("this is no rule of a check")
    form = (COLUMN if "column" in value else TABLE).get(value["kind"])
    allow = value.get("allow", "")
    if (
        form is None
        or not _fits(value["args"], form)
        or value["severity"] not in SEVERITIES
        or (allow and not (form.rows and SHARE.fullmatch(allow)))
    ):
        raise Format(f"'{value['kind'][:40]}' is no rule of a check that this dpkg knows", "a newer dpkg may know it")
    return Rule(value["kind"], value.get("column"), value["args"], value["severity"], value.get("allow", ""))


def _fits(args: dict[str, Any], form: Form) -> bool:
    """Whether args are what a kind of rule has."""
    known = dict(form.members) | ({"blake3": "text"} if "file" in form.members else {})
    fit = all(name in known and _HOLDS[known[name]](value) for name, value in args.items())
    return fit and form.needs <= args.keys() and (not form.one_of or any(name in args for name in form.one_of))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _like(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _limits(value: Any) -> bool:
    from dpkg.drift.verdicts import thresholds

    try:
        return isinstance(value, dict) and bool(thresholds(value))
    except Usage:
        return False


_HOLDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("text", "file", "pattern", "regex"), lambda value: isinstance(value, str)),
    **dict.fromkeys(("texts", "types"), _texts),
    **dict.fromkeys(("number", "fraction"), _like(NUMBER)),
    "count": _like(COUNT),
    "change": _like(CHANGE),
    "span": _like(SPAN),
    "order": ORDERS.__contains__,
    "level": LEVELS.__contains__,
    "limits": _limits,
    "column_limits": lambda value: isinstance(value, dict) and all(map(_limits, value.values())),
}


def allowed(allow: str, rows: int) -> int:
    """How many of `rows` may break a rule."""
    from fractions import Fraction

    found = SHARE.fullmatch(allow or "0")
    if not found:
        raise Format(f"'{allow[:40]}' is neither a number of rows nor a share such as 1%")
    return int(found[2]) if found[2] else int(Fraction(found[1]) * rows / 100)


def _said(rule: Rule) -> str:
    """The members of a rule for people."""
    args = rule.args
    if rule.kind in ("enum", "not_in"):
        if "file" in args:
            return str(args["file"])
        values = [str(v) for v in args.get("values", ())]
        return "[" + ", ".join(values[:5]) + (", …]" if len(values) > 5 else "]")
    if rule.kind == "drift":
        own = [
            _limits_said(args.get("limits", {})),
            *(f"{c}: {_limits_said(v)}" for c, v in args.get("columns", {}).items()),
        ]
        return " ".join([args.get("at", LEVELS[-1]), *([f"({'; '.join(filter(None, own))})"] if any(own) else [])])
    if rule.kind == "foreign_key":
        return f"{args['table']}.{args.get('column') or rule.column}"
    if rule.kind == "sql":
        text = str(args.get("name") or " ".join(str(args["query"]).split()))
        return text if len(text) <= 60 else text[:57] + "…"
    if set(args) == {FORMS[rule.kind].short}:
        value = args[FORMS[rule.kind].short]
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return ", ".join(f"{k} {', '.join(v) if isinstance(v, list) else v}" for k, v in args.items())


def _limits_said(limits: Mapping[str, Any]) -> str:
    """`psi 0.1 0.3, js off`."""
    parts = []
    for name, value in limits.items():
        if isinstance(value, dict):
            value = [f"{k} {v}" for k, v in value.items()]
        parts.append(f"{name} {value if isinstance(value, str) else ' '.join(value)}")
    return ", ".join(parts)
