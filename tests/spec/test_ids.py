"""Each rule of the spec has a test that carries its id, and no test carries an id that no rule has."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rules() -> Counter[str]:
    """The ids of the rules, as the pages give them: [OID-1]."""
    pages = [page for page in (ROOT / "spec").glob("*.md") if page.name != "README.md"]
    return Counter(rule for page in pages for rule in re.findall(r"\[([A-Z]+-\d+)\]", page.read_text("utf-8")))


def marks() -> dict[str, set[str]]:
    """The ids that `pytest.mark.spec(...)` names anywhere under tests, each with the files."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("mark.spec"):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            assert node.args, f"{where} names no rule"
            for arg in node.args:
                assert isinstance(arg, ast.Constant), f"{where}: the id is not written out"
                found.setdefault(str(arg.value), set()).add(where)
    return found


def test_each_rule_is_given_once() -> None:
    twice = [rule for rule, times in rules().items() if times > 1]
    assert rules()
    assert twice == []


def test_each_rule_has_a_test() -> None:
    assert sorted(rules().keys() - marks().keys()) == []


def test_each_mark_names_a_rule() -> None:
    assert {rule: where for rule, where in marks().items() if rule not in rules()} == {}
