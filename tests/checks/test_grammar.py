"""`checks:` in build.yml: what it can say, that a rule is read back as it was, and that mistakes are told with their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpkg.checks import rules
from dpkg.compiler import make_plan
from dpkg.errors import DpkgError, Format, NotFound, Usage
from dpkg.objects import canonical_json

EVERYTHING = """
contents:
  t:
    file: t.csv
    checks:
      severity: warn
      columns:
        a:
          severity: error
          not_null: true
          unique: {allow: 1%}
          min: 0.10
          max: {value: "7", severity: warn, allow: 3}
          mean: {min: 1}
          median: {min: 1, max: 2e3}
          std: {max: 3}
          sum: {max: -.5}
          quantile: [{q: 0.5, min: 1}, {q: 1, max: 2, severity: warn}]
          type: [int, float]
          monotonic: strictly_decreasing
          foreign_key: {table: u}
        "b c":
          enum: [x, NULL, 01]
          not_in: {file: block.txt}
          matches: iban
          not_matches: "[0-9]+$"
          length: {min: 1, max: 5}
          not_null: false
      rows: {min: 1, max: 5}
      columns_are: [a, b c]
      duplicates: 0
      freshness: {column: a, within: 7d}
      rows_change: {min: -10%, max: +50}
      schema_compatible: true
      drift: {at: moderate, limits: {psi: [0.10, 1e1], js: off, removed: moderate}, columns: {a: {ks: {major: 1}}}}
      sql: [SELECT 1, {query: SELECT 2, name: two, severity: error, allow: 1}]
"""


@pytest.fixture
def src(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("a,b c\n1,x\n")
    (tmp_path / "block.txt").write_bytes(b"# bad ones\r\nx\xc3\xa9\r\n\n y\n")
    return tmp_path


def parse(src: Path, text: str) -> tuple[rules.Rule, ...]:
    (src / "build.yml").write_text(text)
    return make_plan(str(src / "build.yml")).items[0].checks


def checks(text: str) -> str:
    return f"contents: {{t: {{file: t.csv, checks: {text}}}}}"


def test_everything_that_it_can_say(src: Path) -> None:
    found = parse(src, EVERYTHING)
    assert {r.kind for r in found} == set(rules.FORMS)
    said = {(r.column, r.kind): (r.args, r.severity, r.allow) for r in found if r.kind not in ("quantile", "sql")}
    assert said["a", "not_null"] == ({}, "error", "")
    assert said["a", "unique"] == ({}, "error", "1%")
    assert said["a", "min"] == ({"value": "0.10"}, "error", "")
    assert said["a", "max"] == ({"value": "7"}, "warn", "3")
    assert said["a", "type"] == ({"types": ["int64", "float64"]}, "error", "")
    assert said["a", "foreign_key"] == ({"table": "u", "column": "a"}, "error", "")
    assert said["b c", "enum"] == ({"values": ["x", "NULL", "01"]}, "warn", "")
    assert said["b c", "not_in"][0]["values"] == ["xé", " y"]
    assert said["b c", "matches"] == ({"pattern": "iban"}, "warn", "")
    assert said["b c", "not_matches"] == ({"regex": "[0-9]+$"}, "warn", "")
    assert ("b c", "not_null") not in said
    assert said[None, "rows_change"] == ({"min": "-10%", "max": "+50"}, "warn", "")
    assert [(r.args["query"], r.severity, str(r)) for r in found if r.kind == "sql"] == [
        ("SELECT 1", "warn", "sql SELECT 1"),
        ("SELECT 2", "error", "sql two, 1 allowed"),
    ]
    limits = {"psi": ["0.10", "1e1"], "js": "off", "removed": "moderate"}
    args = {"at": "moderate", "limits": limits, "columns": {"a": {"ks": {"major": "1"}}}}
    assert said[None, "drift"] == (args, "warn", "")
    said_so = "drift moderate (psi 0.10 1e1, js off, removed moderate; a: ks major 1)"
    assert [str(r) for r in found if r.kind == "drift"] == [said_so]
    assert [(str(r), r.severity) for r in found if r.kind == "quantile"] == [
        ("a: quantile q 0.5, min 1", "error"),
        ("a: quantile q 1, max 2", "warn"),
    ]


@pytest.mark.spec("CHK-7")
def test_a_rule_is_read_back_from_its_json(src: Path) -> None:
    for rule in parse(src, EVERYTHING):
        again = rules.from_json(canonical_json.decode(canonical_json.encode(rule.json)))
        assert again == rule
        assert again.digest == rule.digest
    assert len({r.digest for r in parse(src, EVERYTHING)}) == len(parse(src, EVERYTHING))


@pytest.mark.spec("CHK-7")
def test_a_long_list_is_named_by_its_digest(src: Path) -> None:
    text = checks("{columns: {a: {enum: {file: long.txt}}}}")
    digests = set()
    for more in (999, 1000, 1001):
        (src / "long.txt").write_text("\n".join(f"v{i}" for i in range(more)))
        (rule,) = parse(src, text)
        assert len(rule.args["values"]) == more
        assert ("values" in rule.json["args"]) == (more <= 1000)
        digests.add(rule.digest)
    assert len(digests) == 3


def test_a_digest_is_of_what_is_asked(src: Path) -> None:
    one, two, other = (
        parse(src, checks(f"{{columns: {{a: {{max: {{value: {v}, severity: {s}}}}}}}}}"))[0].digest
        for v, s in ((1, "error"), (1, "warn"), (2, "error"))
    )
    assert one == two != other


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], {}, {"kind": "min"}, {"kind": "mim", "args": {}, "severity": "error"}),
        {"kind": "min", "args": {}, "severity": "error"},  # a rule of a column, without one
        {"kind": "min", "column": "a", "args": {"valeu": "1"}, "severity": "error"},
        {"kind": "min", "column": "a", "args": {"value": "1"}, "severity": "fatal"},
        {"kind": "rows", "args": {"min": "1"}, "severity": "error", "more": "x"},
        {"kind": "rows", "args": {"min": 1}, "severity": "error"},
        {"kind": "rows", "args": {"min": "x"}, "severity": "error"},
        {"kind": "freshness", "args": {"within": "7d"}, "severity": "error"},
        {"kind": "not_null", "column": "a", "args": {}, "severity": "error", "allow": "x"},
    ],
)
def test_other_json_is_no_rule(value: Any) -> None:
    with pytest.raises(Format):
        rules.from_json(value)


MISTAKES = {
    "[]": ("column 37", "'checks' must be a mapping", ""),
    "{}": ("column 37", "'checks' checks nothing", "columns"),
    "{row: 1}": ("column 38", "'row' is not known in 'checks'", "did you mean 'rows'?"),
    "{drift: 1}": ("column 45", "'drift' fails at moderate or major, not '1'", ""),
    "{drift: {severity: warn}}": ("column 45", "'drift' says nothing", "at or limits or columns"),
    "{drift: {limits: {}}}": ("column 54", "'limits' of 'drift' is empty", "psi: [0.1, 0.25]"),
    "{drift: {limits: {pis: 1}}}": ("column 55", "'pis' is no threshold of drift", "did you mean 'psi'?"),
    "{drift: {limits: {psi: [0.3, 0.1]}}}": ("column 55", "'psi' would be major before it is moderate", ""),
    "{drift: {columns: {a: {ks: x}}}}": ("column 60", "'ks: x' is no threshold", "ks: off"),
    "{rows: 5}": ("column 44", "'rows' must be a mapping", "min, max"),
    "{rows: {}}": ("column 44", "'rows' says nothing", "give it min or max"),
    "{rows: {mim: 1}}": ("column 45", "'mim' is not known in 'rows'", "did you mean 'min'?"),
    "{rows: {min: -1}}": ("column 50", "'-1' is not a number of 0 or more", ""),
    "{rows: {min: 2, max: 1}}": ("column 50", "'min' of 'rows' is above its 'max'", ""),
    "{rows: {min: 1, allow: 1}}": ("column 53", "'allow' is not known in 'rows'", ""),
    "{rows: {min: 1, severity: wran}}": ("column 63", "'severity' is error or warn, not 'wran'", ""),
    "{duplicates: true}": ("column 50", "'true' is not a number of 0 or more", ""),
    "{freshness: {within: 7d}}": ("column 58", "'freshness' lacks 'column'", ""),
    "{freshness: {column: a, within: 7 days}}": ("column 69", "'7 days' is not a time", ""),
    "{rows_change: {min: ten%}}": ("column 57", "'ten%' is not a change such as -10%", ""),
    "{schema_compatible: yes}": ("column 57", "'schema_compatible' is true or false, not 'yes'", ""),
    "{sql: ''}": ("column 43", "'query' is empty", ""),
    "{not_null: true}": ("column 38", "'not_null' is not known in 'checks'", ""),
    "{columns: {a: {mn: 1}}}": ("column 52", "'mn' is no check of a column", "did you mean 'min'?"),
    "{columns: {a: {rows: {min: 1}}}}": ("column 52", "'rows' is of a whole table", "beside 'columns'"),
    "{columns: {a: {drift: major}}}": ("column 52", "'drift' is of a whole table", "beside 'columns'"),
    "{columns: {a: {mean: 5}}}": ("column 58", "'mean' must be a mapping", "give it min, max"),
    "{columns: {a: {mean: {min: x}}}}": ("column 64", "'x' is not a number", ""),
    "{columns: {a: {quantile: {min: 1}}}}": ("column 68", "'quantile' lacks 'q'", "0.95"),
    "{columns: {a: {quantile: {q: 95, min: 1}}}}": ("column 66", "'q' is from 0 to 1, not 95", ""),
    "{columns: {a: {monotonic: up}}}": ("column 63", "'up' is no order", "increasing"),
    "{columns: {a: {monotonic: increasng}}}": ("column 63", "no order", "did you mean 'increasing'?"),
    "{columns: {a: {type: in64}}}": ("column 58", "in64", "int64"),
    "{columns: {a: {matches: '('}}}": ("column 61", "'(' is not a regular expression", "RE2"),
    "{columns: {a: {matches: {pattern: emial}}}}": ("column 71", "there is no pattern 'emial'", "'email'"),
    "{columns: {a: {matches: {pattern: ssn, regex: x}}}}": ("column 71", "has pattern or regex, not both", ""),
    "{columns: {a: {matches: e-mail}}}": ("column 61", "there is no pattern 'e-mail'", "did you mean 'email'?"),
    "{columns: {a: {not_matches: SSN}}}": ("column 65", "there is no pattern 'SSN'", "{regex: SSN}"),
    "{columns: {a: {matches: ''}}}": ("column 61", "a regular expression is empty", ""),
    "{columns: {a: {enum: []}}}": ("column 58", "'values' is an empty list", ""),
    "{columns: {a: {type: []}}}": ("column 58", "'types' is an empty list", ""),
    "{columns: {a: {unique: {allow: 1.5}}}}": ("column 68", "'1.5' is not a number of rows, or a share", ""),
    "{columns: {a: {enum: {file: none.txt}}}}": ("column 65", "there is no file", "relative to build.yml"),
}


# What the JSON Schema of build.yml cannot see.
BEYOND = {
    *("{sql: ''}", "{rows: {min: 2, max: 1}}", "{columns: {a: {type: in64}}}", "{columns: {a: {matches: '('}}}"),
    *("{columns: {a: {matches: {pattern: emial}}}}", "{columns: {a: {enum: {file: none.txt}}}}"),
    *("{columns: {a: {matches: e-mail}}}", "{columns: {a: {not_matches: SSN}}}"),
    "{drift: {limits: {psi: [0.3, 0.1]}}}",
}


def test_the_schema_knows_every_rule(src: Path, against_the_schema: Callable[[str], list[str]]) -> None:
    assert {rule.kind for rule in parse(src, EVERYTHING)} == rules.FORMS.keys()
    assert against_the_schema(EVERYTHING) == []
    for kind in rules.FORMS:
        assert against_the_schema(EVERYTHING.replace(f" {kind}:", f" {kind}s:")) != []


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(src: Path, text: str, against_the_schema: Callable[[str], list[str]]) -> None:
    place, said, meant = MISTAKES[text]
    assert (against_the_schema(checks(text)) == []) == (text in BEYOND)
    with pytest.raises((Usage, NotFound)) as caught:
        parse(src, checks(text))
    assert f"build.yml, line 1, {place}: " in caught.value.message
    assert said in caught.value.message
    assert meant in caught.value.hint


def test_columns_as_a_list_are_those_that_there_must_be(src: Path) -> None:
    assert [str(r) for r in parse(src, checks("{columns: [a, b c]}"))] == ["columns_are a, b c"]


def test_a_blob_has_no_checks(src: Path) -> None:
    with pytest.raises(Usage, match="'checks' is for tables"):
        parse(src, "contents: {t: {file: t.csv, as: blob, checks: {rows: {min: 1}}}}")


def test_a_list_that_is_no_text(src: Path) -> None:
    (src / "block.txt").write_bytes(b"\xff")
    with pytest.raises(DpkgError, match=r"line 1, column 65: 'block.txt' is not UTF-8"):
        parse(src, checks("{columns: {a: {enum: {file: block.txt}}}}"))
