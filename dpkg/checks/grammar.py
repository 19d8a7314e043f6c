"""`checks:` of a build.yml to rules, each mistake with its place (spec/checks.md)."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from dpkg.checks import rules
from dpkg.checks.rules import COLUMN, ERROR, FORMS, TABLE, Form, Rule
from dpkg.errors import DpkgError, NotFound, Storage, Usage, did_you_mean

if TYPE_CHECKING:
    from yaml import Node

    from dpkg.compiler.yamlfile import YamlFile

    Fields = dict[str, tuple[Node, Node]]

_NEEDED = {"q": "such as q: 0.95", "column": "name a column of dates or timestamps"}
_MOST_LIST = 64 << 20  # bytes of a file with values


def parse(yml: YamlFile, node: Node) -> tuple[Rule, ...]:
    """The rules below a `checks:`. Raises Usage, NotFound, Storage with file, line and column."""
    return _Parser(yml).checks(node)


class _Parser:
    def __init__(self, yml: YamlFile) -> None:
        self.yml = yml

    def checks(self, node: Node) -> tuple[Rule, ...]:
        known = ("columns", *TABLE, "severity")
        fields = self.yml.mapping(node, "'checks'", known)
        severity = self._severity(fields, ERROR)
        out: list[Rule] = []
        if "columns" in fields:
            out += self._columns(*fields["columns"], severity)
        for kind, (key, value) in fields.items():
            if kind in TABLE:
                out += self._rules(kind, None, key, value, severity)
        if not out:
            raise self.yml.error(node, "'checks' checks nothing", f"give it {', '.join(('columns', *TABLE))}")
        return tuple(out)

    def _columns(self, key: Node, node: Node, severity: str) -> list[Rule]:
        """The rules of columns, by column; a list names the columns that there must be."""
        import yaml

        if isinstance(node, yaml.SequenceNode):
            return self._rules("columns_are", None, key, node, severity)
        by_column = self.yml.mapping(node, "'columns' of 'checks'").items()
        return [rule for column, (_, value) in by_column for rule in self._column(column, value, severity)]

    def _column(self, column: str, node: Node, severity: str) -> list[Rule]:
        fields = self.yml.mapping(node, f"the checks of '{column}'")
        for kind, (key, _) in fields.items():
            if kind in TABLE:
                raise self.yml.error(key, f"'{kind}' is of a whole table", "write it beside 'columns'")
            if kind not in COLUMN and kind != "severity":
                hint = did_you_mean(kind, COLUMN, f"known here: {', '.join(COLUMN)}")
                raise self.yml.error(key, f"'{kind}' is no check of a column", hint)
        severity = self._severity(fields, severity)
        return [
            rule
            for kind, (key, value) in fields.items()
            if kind in COLUMN
            for rule in self._rules(kind, column, key, value, severity)
        ]

    def _severity(self, fields: Fields, otherwise: str) -> str:
        if "severity" not in fields:
            return otherwise
        node = fields["severity"][1]
        text = self.yml.text(node, "'severity'")
        if text not in rules.SEVERITIES:
            raise self.yml.error(node, f"'severity' is error or warn, not '{text}'")
        return text

    def _rules(self, kind: str, column: str | None, key: Node, node: Node, severity: str) -> list[Rule]:
        import yaml

        form = FORMS[kind]
        nodes = list(node.value) if form.many and isinstance(node, yaml.SequenceNode) else [node]
        found = (self._rule(kind, form, column, key if len(nodes) == 1 else n, n, severity) for n in nodes)
        return [rule for rule in found if rule]

    def _rule(self, kind: str, form: Form, column: str | None, key: Node, node: Node, severity: str) -> Rule | None:
        import yaml

        yml, allow = self.yml, ""
        if isinstance(node, yaml.MappingNode):
            fields = yml.mapping(node, f"'{kind}'", (*form.members, "severity", *(("allow",) if form.rows else ())))
            severity = self._severity(fields, severity)
            if "allow" in fields:
                allow = self._matching(fields["allow"][1], rules.SHARE, "a number of rows, or a share such as 1%")
            given = {name: value for name, (_, value) in fields.items() if name in form.members}
            self._check_name(given)
        elif form.short:
            given = {form.short: node}
        elif form.members:
            raise yml.error(node, f"'{kind}' must be a mapping", f"give it {', '.join(form.members)}")
        else:
            if not self._flag(node, kind):
                return None
            given = {}
        if form.one_of and not any(name in given for name in form.one_of):
            raise yml.error(node, f"'{kind}' says nothing", f"give it {' or '.join(form.one_of)}")
        args = self._args(kind, form, given, column)
        return Rule(kind, column, args, severity, allow, yml.place(key))

    def _args(self, kind: str, form: Form, given: dict[str, Node], column: str | None) -> dict[str, Any]:
        args: dict[str, Any] = {}
        for name, node in given.items():
            args.update(getattr(self, f"_{form.members[name]}")(name, node))
        if kind in ("enum", "not_in", "matches", "not_matches") and len(given) > 1:
            raise self.yml.error(next(iter(given.values())), f"'{kind}' has {' or '.join(form.one_of)}, not both")
        for name in sorted(form.needs - args.keys()):
            raise self.yml.error(next(iter(given.values())), f"'{kind}' lacks '{name}'", _NEEDED[name])
        if kind == "foreign_key":
            args.setdefault("column", column)
        ends = [args[end] for end in ("min", "max") if end in args]
        alike = len(ends) == 2 and ends[0].endswith("%") == ends[1].endswith("%")
        if alike and Decimal(ends[0].rstrip("%")) > Decimal(ends[1].rstrip("%")):
            raise self.yml.error(given["min"], f"'min' of '{kind}' is above its 'max'")
        return args

    def _check_name(self, given: dict[str, Node]) -> None:
        """Where a mapping says `pattern`, a name is meant."""
        from dpkg.arrow.checks import patterns

        if "pattern" in given:
            node = given["pattern"]
            try:
                patterns.check({"pattern": self.yml.text(node, "'pattern'")})
            except Usage as e:
                raise self.yml.error(node, e.message, e.hint) from None

    # What members hold: each gives its part of a rule's args.

    def _matching(self, node: Node, pattern: Any, what: str) -> str:
        text = self.yml.text(node, "this")
        if not pattern.fullmatch(text):
            raise self.yml.error(node, f"'{text[:40]}' is not {what}")
        return text

    def _text(self, name: str, node: Node) -> dict[str, Any]:
        text = self.yml.text(node, f"'{name}'")
        if not text.strip():
            raise self.yml.error(node, f"'{name}' is empty")
        return {name: text}

    def _texts(self, name: str, node: Node) -> dict[str, Any]:
        found = list(self.yml.texts(node, f"'{name}'"))
        if not found:
            raise self.yml.error(node, f"'{name}' is an empty list")
        return {name: found}

    def _number(self, name: str, node: Node) -> dict[str, Any]:
        return {name: self._matching(node, rules.NUMBER, "a number")}

    def _count(self, name: str, node: Node) -> dict[str, Any]:
        text = self.yml.text(node, f"'{name}'")
        if not rules.COUNT.fullmatch(text):
            raise self.yml.error(node, f"'{text[:40]}' is not a number of 0 or more")
        return {name: text}

    def _fraction(self, name: str, node: Node) -> dict[str, Any]:
        text = self._matching(node, rules.NUMBER, "a number from 0 to 1")
        if not 0 <= Decimal(text) <= 1:
            raise self.yml.error(node, f"'{name}' is from 0 to 1, not {text}", "0.95 is the 95th percentile")
        return {name: text}

    def _change(self, name: str, node: Node) -> dict[str, Any]:
        return {name: self._matching(node, rules.CHANGE, "a change such as -10%, +50% or -100")}

    def _span(self, name: str, node: Node) -> dict[str, Any]:
        return {name: self._matching(node, rules.SPAN, "a time such as 7d, 12h or 30m")}

    def _order(self, name: str, node: Node) -> dict[str, Any]:
        text = self.yml.text(node, "'monotonic'")
        if text not in rules.ORDERS:
            hint = did_you_mean(text, rules.ORDERS, f"one of {', '.join(rules.ORDERS)}")
            raise self.yml.error(node, f"'{text[:40]}' is no order", hint)
        return {name: text}

    def _level(self, name: str, node: Node) -> dict[str, Any]:
        text = self.yml.text(node, "'drift'")
        if text not in rules.LEVELS:
            raise self.yml.error(node, f"'drift' fails at moderate or major, not '{text[:40]}'")
        return {name: text}

    def _limits(self, name: str, node: Node) -> dict[str, Any]:
        """Thresholds of drift, each tried out by itself, so that what is wrong has its place."""
        from dpkg.drift.verdicts import thresholds

        out: dict[str, Any] = {}
        for rule, (key, value) in self.yml.mapping(node, f"'{name}' of 'drift'").items():
            try:
                thresholds({rule: (found := self._limit(value))})
            except Usage as e:
                raise self.yml.error(key, e.message, e.hint) from None
            out[rule] = found
        if not out:
            raise self.yml.error(node, f"'{name}' of 'drift' is empty", "write limits: {psi: [0.1, 0.25]}")
        return {name: out}

    def _limit(self, node: Node) -> Any:
        import yaml

        if isinstance(node, yaml.MappingNode):
            return {k: self.yml.text(v, f"'{k}'") for k, (_, v) in self.yml.mapping(node, "a threshold").items()}
        if isinstance(node, yaml.SequenceNode):
            return [self.yml.text(n, "a threshold") for n in node.value]
        return self.yml.text(node, "a threshold")

    def _column_limits(self, name: str, node: Node) -> dict[str, Any]:
        by_column = self.yml.mapping(node, "'columns' of 'drift'").items()
        return {name: {column: self._limits("limits", value)["limits"] for column, (_, value) in by_column}}

    def _types(self, name: str, node: Node) -> dict[str, Any]:
        from dpkg.arrow.checks.binding import type_name

        out = []
        for item in self.yml.nodes(node):
            try:
                out.append(type_name(self.yml.text(item, "a type")))
            except DpkgError as e:
                raise self.yml.error(item, e.message, e.hint) from None
        if not out:
            raise self.yml.error(node, f"'{name}' is an empty list")
        return {name: out}

    def _pattern(self, name: str, node: Node) -> dict[str, Any]:
        """A pattern by its name; where nothing says that a name is meant, anything else is a regular expression."""
        from dpkg.arrow.checks.patterns import NAMED, nearest_named

        text = self.yml.text(node, "a pattern")
        if text in NAMED:
            return {"pattern": text}
        if re.fullmatch("[A-Za-z_-]+", text) and (near := nearest_named(text)):
            hint = f"did you mean '{near}'? If it is a regular expression: {{regex: {text}}}"
            raise self.yml.error(node, f"there is no pattern '{text}'", hint)
        return self._regex("regex", node)

    def _regex(self, name: str, node: Node) -> dict[str, Any]:
        from dpkg.arrow.checks.patterns import check_regex

        text = self.yml.text(node, "a regular expression")
        if not text:
            raise self.yml.error(node, "a regular expression is empty, and is found in every text")
        try:
            check_regex(text)
        except Usage as e:
            raise self.yml.error(node, e.message, e.hint) from None
        return {name: text}

    def _file(self, name: str, node: Node) -> dict[str, Any]:
        """The values of a file, a line each; empty lines and those that begin with # are left out."""
        text = self.yml.text(node, "'file'")
        path = os.path.join(os.path.dirname(self.yml.path), os.fsdecode(text.encode()))
        try:
            with open(path, "rb") as f:
                data = f.read(_MOST_LIST + 1)
        except (FileNotFoundError, ValueError):
            raise NotFound(
                f"{self.yml.place(node)}: there is no file '{path}'", "paths are relative to build.yml"
            ) from None
        except OSError as e:
            raise Storage(f"{self.yml.place(node)}: cannot read '{path}': {e.strerror}") from None
        if len(data) > _MOST_LIST:
            raise self.yml.error(
                node, f"'{text}' is larger than {_MOST_LIST >> 20} MiB", "make it a table: foreign_key"
            )
        try:
            lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig").split("\n")]
        except UnicodeDecodeError as e:
            raise self.yml.error(node, f"'{text}' is not UTF-8 (at byte {e.start})") from None
        values = [line for line in lines if line and not line.startswith("#")]
        return {"file": text, "blake3": blake3(data).hexdigest(), "values": values}

    def _flag(self, node: Node, kind: str) -> bool:
        text = self.yml.text(node, f"'{kind}'")
        if text not in ("true", "false"):
            raise self.yml.error(node, f"'{kind}' is true or false, not '{text[:40]}'")
        return text == "true"
