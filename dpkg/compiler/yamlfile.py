"""YAML with places: every error names file, line and column. Values are plain YAML: no tags, no anchors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import yaml

from dpkg.errors import NotFound, Storage, Usage, did_you_mean

if TYPE_CHECKING:
    from yaml import Node

MAX_BYTES = 16 << 20
_MOST_BITS = 1024  # of a whole number: no float is larger
MAX_DEPTH = 250  # mappings and lists in one another


class YamlFile:
    """A YAML file as nodes, and the errors that point into it."""

    def __init__(self, path: str) -> None:
        """Raises NotFound, Storage, Usage."""
        self.path = path
        try:
            with open(path, "rb") as f:
                data = f.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise NotFound(f"there is no file '{path}'") from None
        except OSError as e:
            raise Storage(f"cannot read '{path}': {e.strerror}") from None
        if len(data) > MAX_BYTES:
            raise Usage(f"{path} is larger than {MAX_BYTES >> 20} MiB")
        self.data = data
        try:
            self._check_events(data)
            self.root: Node | None = yaml.compose(data, yaml.CSafeLoader)
        except yaml.MarkedYAMLError as e:
            message = f"{path}{_at(e.problem_mark or e.context_mark)}: {e.problem or e.context}"
            raise Usage(message, "see https://yaml.org for the syntax") from None
        except (yaml.YAMLError, ValueError, RecursionError) as e:
            raise Usage(f"{path} is not YAML: {str(e).splitlines()[0]}") from None

    def _check_events(self, data: bytes) -> None:
        """Before anything is built of it: no aliases, which could make much of little, and not too deep."""
        depth = 0
        for event in yaml.parse(data, yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise Usage(
                    f"{self.path}{_at(event.start_mark)}: anchors and aliases are not supported", "write the value out"
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise Usage(f"{self.path}{_at(event.start_mark)}: this nests more than {MAX_DEPTH} deep")

    def place(self, node: Node) -> str:
        """`file, line 3, column 5`."""
        return self.path + _at(node.start_mark)

    def error(self, node: Node, message: str, hint: str = "") -> Usage:
        return Usage(f"{self.place(node)}: {message}", hint)

    def mapping(self, node: Node, what: str, allowed: Iterable[str] | None = None) -> dict[str, tuple[Node, Node]]:
        """A mapping's (key node, value node) by key. Raises Usage for another kind, a key that stands twice, or one not `allowed`."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} must be a mapping (name: value)")
        out: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                raise self.error(key, f"a key of {what} must be plain text")
            if name in out:
                raise self.error(key, f"'{name}' stands twice in {what}")
            if allowed is not None and name not in allowed:
                hint = did_you_mean(name, allowed, f"known here: {', '.join(allowed)}")
                raise self.error(key, f"'{name}' is not known in {what}", hint)
            out[name] = (key, value)
        return out

    def text(self, node: Node, what: str) -> str:
        """A scalar as it is written: `01`, `no` and `NULL` stay text."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{what} must be a text")
        return str(node.value)

    def is_mapping(self, node: Node) -> bool:
        return isinstance(node, yaml.MappingNode)

    def is_false(self, node: Node) -> bool:
        """Whether it is `false`, and not that text."""
        return bool(node.tag == "tag:yaml.org,2002:bool") and node.value.lower() == "false"

    def flag(self, node: Node, what: str) -> bool:
        """`true` or `false`."""
        text = self.text(node, what)
        if node.tag != "tag:yaml.org,2002:bool":
            raise self.error(node, f"{what} is true or false, not '{text[:40]}'")
        return text.lower() in ("true", "yes", "on")

    def count(self, node: Node, what: str) -> int:
        """A whole number that is not negative."""
        text = self.text(node, what)
        if node.tag != "tag:yaml.org,2002:int" or not (text.isdigit() and len(text) < 16) or text != str(int(text)):
            raise self.error(node, f"{what} is a whole number, not '{text[:40]}'", "0, 1, 2, …")
        return int(text)

    def nodes(self, node: Node) -> list[Node]:
        """The nodes of a list; another node as a list of one."""
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """A list of texts, or one text as a list of one."""
        return tuple(self.text(n, f"each of {what}") for n in self.nodes(node))

    def value(self, node: Node) -> Any:
        """Any plain value (for user metadata), as YAML's safe schema reads it; dates become text. Raises Usage for what JSON lacks."""
        if isinstance(node, yaml.CollectionNode) and node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self.error(node, f"the tag {node.tag} is not supported", "write plain YAML")
        if isinstance(node, yaml.MappingNode):
            pairs = self.mapping(node, "a mapping in 'meta'").values()
            for key, _ in pairs:
                if key.tag != "tag:yaml.org,2002:str":
                    raise self.error(key, f"the key {key.value} is not text", f"quote it: '{key.value}'")
            return {key.value: self.value(value) for key, value in pairs}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        return self._scalar(node)

    def _scalar(self, node: Node) -> Any:
        import datetime

        loader = yaml.CSafeLoader("")
        try:
            value = loader.construct_document(node)
        except (yaml.YAMLError, ValueError, TypeError) as e:
            raise self.error(
                node, f"this value cannot be read: {str(e).splitlines()[0]}", "quote it if it is text"
            ) from None
        finally:
            loader.dispose()
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise self.error(node, "this whole number has no JSON form: it is too large", "quote it if it is text")
        if value is None or isinstance(value, str | int | float):
            return value
        raise self.error(node, f"this value ({type(value).__name__}) has no JSON form", "quote it if it is text")


def _at(mark: Any) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
