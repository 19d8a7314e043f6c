"""The part of build.yml's JSON Schema that is of `checks`, from the one table of rules (dpkg/checks/rules.py)."""

from __future__ import annotations

from typing import Any

from dpkg.arrow.checks.patterns import NAMED
from dpkg.checks import rules
from dpkg.checks.rules import COLUMN, FORMS, TABLE, Form
from dpkg.drift.verdicts import LIMITS, NUMBER, SCHEMA, VERDICTS, Limit

TEXT, TEXTS = ({"$ref": f"#/$defs/{name}"} for name in ("text", "texts"))
_HELP = {
    "not_null": "No value is null.",
    "unique": "No value stands twice; nulls are left out.",
    "min": "No value is below.",
    "max": "No value is above.",
    "mean": "The mean is within these bounds.",
    "median": "The median is within these bounds.",
    "std": "The standard deviation of a sample (n-1) is within these bounds.",
    "sum": "The sum is within these bounds.",
    "quantile": "The q-quantile is within these bounds; or a list of such.",
    "enum": "Each value is one of these, or a line of a file.",
    "not_in": "No value is one of these, or a line of a file.",
    "matches": "A pattern is found in each text: a regular expression of RE2, or a name.",
    "not_matches": "A pattern is found in no text: a regular expression of RE2, or a name.",
    "length": "Characters of texts, bytes of binaries, elements of lists and maps.",
    "type": "The column's type is one of these.",
    "monotonic": "Values go up, or down, from row to row.",
    "foreign_key": "Each value is one of a column of another table of the build.",
    "rows": "How many rows the table has.",
    "columns_are": "It has these columns, in this order.",
    "duplicates": "At most so many rows repeat an earlier one, in these columns or in all.",
    "freshness": "The newest moment of a column is at most so old: 30m, 12h, 7d, 2w.",
    "rows_change": "How much the number of rows changed from the parent commit: -10%, +50%, -100.",
    "schema_compatible": "No column of the parent commit's table is gone, or has a type that holds less.",
    "drift": "How far the table may be from the parent commit's: fails at moderate or major drift (the default).",
    "sql": "A SELECT of DuckDB's, or several: each row that it returns is a violation.",
}
assert _HELP.keys() == FORMS.keys()
_SEVERITY = "error: nothing is committed; warn: it is told. Of all below that say none."


def definitions() -> dict[str, Any]:
    """`$defs` of them: `checks`, those of a column, and each kind of rule."""
    columns = {
        "description": "Checks of columns, by the columns' names in the table; a list: those that there must be, in this order.",
        "anyOf": [
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/checks-column"}},
            {"$ref": "#/$defs/check-columns_are"},
        ],
    }
    return {
        "text": {"description": "A text, as it is written.", "type": ["string", "number", "boolean", "null"]},
        "texts": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
        **{f"checks-{name}": shape for name, shape in _SHAPES.items()},
        "checks-severity": {"description": _SEVERITY, "enum": list(rules.SEVERITIES)},
        "checks": _object({"columns": columns, **_kinds(TABLE)}, {"minProperties": 1}),
        "checks-column": _object(_kinds(COLUMN), {}),
        **{f"check-{kind}": {"description": _HELP[kind], **_rule(form)} for kind, form in FORMS.items()},
    }


def _kinds(forms: Any) -> dict[str, Any]:
    return {kind: {"$ref": f"#/$defs/check-{kind}"} for kind in forms}


def _object(members: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    known = {**members, "severity": {"$ref": "#/$defs/checks-severity"}}
    return {"type": "object", "properties": known, "additionalProperties": False, **more}


def _rule(form: Form) -> dict[str, Any]:
    """A kind of rule: a mapping, what may stand for it, or a list of these."""
    members = {name: _member(shape) for name, shape in form.members.items()}
    if form.rows:
        members["allow"] = {"$ref": "#/$defs/checks-allow"}
    needs: dict[str, Any] = {"required": sorted(form.needs)} if form.needs else {}
    if form.one_of:
        one = "oneOf" if {"file", "regex"} & form.members.keys() else "anyOf"
        needs[one] = [{"required": [name]} for name in form.one_of]
    kinds = [_object(members, needs)]
    if form.short:
        kinds.insert(0, _member(form.members[form.short]))
    elif not form.members:
        kinds.insert(0, {"type": "boolean"})
    if form.many:
        kinds.append({"type": "array", "items": {"anyOf": list(kinds)}})
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _like(pattern: Any, **number: Any) -> dict[str, Any]:
    """A number, or a text of a pattern."""
    return {"anyOf": [{"type": "number", **number}, {"type": "string", "pattern": f"^({pattern.pattern})$"}]}


def _member(shape: str) -> dict[str, Any]:
    plain = {**dict.fromkeys(("text", "file"), TEXT), "types": {"$ref": "#/$defs/checks-texts"}}
    return plain.get(shape, {"$ref": f"#/$defs/checks-{shape}"})


def _threshold() -> dict[str, Any]:
    """From where on drift is moderate, and major."""
    number = _like(NUMBER, minimum=0)
    ends = {"type": "object", "properties": dict.fromkeys(Limit._fields, number), "additionalProperties": False}
    pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    return {
        "description": "From where on it is moderate, and major; or off.",
        "anyOf": [pair, ends, {"enum": ["off", False]}],
    }


def _limits() -> dict[str, Any]:
    """Thresholds of drift, by the names of its rules."""
    members = {
        **{name: {"$ref": "#/$defs/checks-threshold"} for name in LIMITS},
        **{name: {"$ref": "#/$defs/checks-verdict"} for name in SCHEMA},
        "chance": {"anyOf": [_like(NUMBER, minimum=0), {"enum": ["off", False]}]},
    }
    return {"type": "object", "properties": members, "additionalProperties": False, "minProperties": 1}


_SHAPES: dict[str, dict[str, Any]] = {
    "number": _like(rules.NUMBER),
    "count": _like(rules.COUNT, type="integer", minimum=0),
    "fraction": _like(rules.NUMBER, minimum=0, maximum=1),
    "change": _like(rules.CHANGE),
    "span": {"type": "string", "pattern": f"^({rules.SPAN.pattern})$"},
    "order": {"enum": list(rules.ORDERS)},
    "texts": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]},
    "level": {"enum": list(rules.LEVELS)},
    "limits": _limits(),
    "threshold": _threshold(),
    "verdict": {"enum": list(VERDICTS)},
    "column_limits": {"type": "object", "additionalProperties": {"$ref": "#/$defs/checks-limits"}},
    "regex": {"type": ["string", "number", "boolean"], "minLength": 1},
    "pattern": {"anyOf": [{"enum": list(NAMED)}, {"$ref": "#/$defs/checks-regex"}]},
    "allow": {"description": "How many rows may break it: 3, or 1%.", **_like(rules.SHARE, type="integer", minimum=0)},
}
