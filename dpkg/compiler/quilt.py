"""A build.yml of Quilt 2 as one of ours, node by node: what has no equivalent is refused with its line (spec/build.md).

There a folder's entries stand in it directly, reader options are `kwargs` of pandas, names may be patterns, and pandas'
own spellings of null hold. Places of nodes stay, so that every later error points into the file as it was written.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

import yaml

from dpkg.compiler import grammar
from dpkg.compiler.globs import is_pattern, matching
from dpkg.errors import NotFound, Usage, did_you_mean, nearest

if TYPE_CHECKING:
    from yaml import MappingNode, Node, ScalarNode

    from dpkg.compiler.yamlfile import YamlFile

    Fields = dict[str, tuple[Node, Node]]

_LEAF = ("file", "package", "transform", "kwargs", "meta", "checks", "environments")
_SAYS = ("file", "package")  # what an entry is made of
_MAPPINGS = tuple(key.name for key in grammar.KEYS if key.shape in ("schema", "options", "checks", "any"))
_CODE = "its checks are Python, which dpkg never runs; say what has to hold under 'checks' of an entry in dpkg's own grammar"
_TRANSFORMS = {
    "csv": "csv",
    "tsv": "tsv",
    "ssv": "csv",
    "xls": "excel",
    "xlsx": "excel",
    "parquet": "parquet",
    "id": "id",
}
# What pandas takes for null, as documented for read_csv.
_NULLS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)
_SAME = {  # arguments of pandas that are options here
    **{"sep": "delimiter", "delimiter": "delimiter", "encoding": "encoding", "quotechar": "quote_char"},
    **{"skiprows": "skip_rows", "names": "column_names", "sheet_name": "sheet", "sheetname": "sheet"},
}
_IDLE = ("engine", "low_memory", "memory_map", "float_precision")  # they change no value
_TYPES = {"str": "utf8", "object": "utf8", "category": "utf8", "datetime64[ns]": "timestamp[ns]"}
_STR, _SEQ, _MAP = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class _Args(NamedTuple):
    """What groups hand down, and the line of it."""

    transform: Node | None = None
    kwargs: Node | None = None


def translated(yml: YamlFile) -> Node | None:
    """The `contents` of a build.yml of Quilt 2 in our grammar; None if it is one of ours. Raises Usage, NotFound."""
    root = yml.root
    if not isinstance(root, yaml.MappingNode):
        return None
    top = {key.value: (key, value) for key, value in root.value if isinstance(key, yaml.ScalarNode)}
    if "contents" not in top or not ({"checks", "environments"} & top.keys() or _is_quilt(top["contents"][1])):
        return None
    for name, (key, _) in top.items():
        if name in ("checks", "environments"):
            raise _lacking(yml, key, f"'{name}' of Quilt 2", _CODE)
        if name != "contents":
            raise yml.error(key, f"'{name}' is not known in a build.yml of Quilt 2", "known: contents")
    return _group(yml, top["contents"], _Args())


def _is_quilt(node: Node) -> bool:
    """Whether something in a `contents` is only found in Quilt's files."""
    return isinstance(node, yaml.MappingNode) and any(_is_old(_text(key), value) for key, value in node.value)


def _is_old(name: str, node: Node) -> bool:
    """Of an entry: kwargs, checks by name, a name that is a pattern, a group without `contents`."""
    if not isinstance(node, yaml.MappingNode):
        return is_pattern(name) and node.tag.endswith(":null")
    fields = {_text(key): value for key, value in node.value}
    if "kwargs" in fields or isinstance(fields.get("checks"), yaml.ScalarNode):
        return True
    if isinstance(fields.get("contents"), yaml.MappingNode):
        return _is_quilt(fields["contents"])
    if any(kind in fields and not isinstance(fields[kind], yaml.MappingNode) for kind in grammar.KINDS):
        return False
    below = [value for name, value in fields.items() if isinstance(value, yaml.MappingNode) and name not in _MAPPINGS]
    if is_pattern(name) or any(_text(key) in _SAYS for value in below for key, _ in value.value):
        return True
    meant = (nearest(name, grammar.entry_keys(), 0.8) for name in fields if name != "transform")
    return not any(meant) and any(_is_old(name, value) for name, value in fields.items())


# Groups and entries


def _group(yml: YamlFile, group: tuple[Node, Node], args: _Args) -> Node:
    """A group's entries."""
    key, node = group
    fields = yml.mapping(node, f"'{_text(key)}'")
    made: list[tuple[Node, Node]] = []
    own = {
        name: fields[name][1] for name in ("transform", "kwargs") if name in fields and not _is_entry(fields[name][1])
    }
    args = _Args(own.get("transform", args.transform), own.get("kwargs", args.kwargs))
    for name, (place, value) in fields.items():
        if name in own:
            continue
        if is_pattern(name):
            made += _matched(yml, place, value, args)
        else:
            made.append((place, _entry(yml, place, value, args)))
    if not made:
        raise _lacking(yml, key, f"the empty group '{_text(key)}'", "a folder of a package holds at least one entry")
    return yaml.MappingNode(_MAP, made, node.start_mark, node.end_mark)


def _is_entry(node: Node) -> bool:
    return isinstance(node, yaml.MappingNode) and any(key.value == "file" for key, _ in node.value)


def _entry(yml: YamlFile, place: Node, node: Node, args: _Args) -> Node:
    name = _text(place)
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
        raise _lacking(yml, place, f"the empty group '{name}'", "a folder of a package holds at least one entry")
    fields = yml.mapping(node, f"'{name}'")
    if not any(isinstance(fields[k][1], yaml.ScalarNode) for k in ("file", "package") if k in fields):
        below = _group(yml, (place, node), args)
        return _mapping(node, {"contents": below})
    yml.mapping(node, f"'{name}'", _LEAF)
    return _leaf(yml, node, fields, args)


def _matched(yml: YamlFile, place: Node, node: Node, args: _Args) -> list[tuple[Node, Node]]:
    """An entry for each file that a name's pattern matches."""
    pattern, root = _text(place), os.path.join(os.path.dirname(yml.path), "")
    empty = isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")
    fields = {} if empty else yml.mapping(node, f"'{pattern}'", _LEAF)
    taken: set[str] = set()
    made: list[tuple[Node, Node]] = []
    for names in sorted(matching(root, pattern)):
        name = _node_name(os.path.splitext(names[-1])[0], taken)
        file = (place, _scalar("/".join(names), place))
        made.append((_scalar(name, place), _leaf(yml, node, {**fields, "file": file}, args)))
    if not made:
        raise NotFound(f"{yml.place(place)}: no file matches '{pattern}'", "patterns are relative to build.yml")
    return made


def _node_name(stem: str, taken: set[str]) -> str:
    """A name as Quilt makes it of a file's: letters, digits and _, a number after one that is taken."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", stem).strip("_") or "n"
    name = f"n{name}" if name[0].isdigit() else name
    found, n = name, 1
    while found in taken:
        n += 1
        found = f"{name}_{n}"
    taken.add(found)
    return found


def _leaf(yml: YamlFile, node: Node, fields: Fields, args: _Args) -> Node:
    """A file or a package."""
    for name in ("checks", "environments"):
        if name in fields:
            raise _lacking(yml, fields[name][0], f"'{name}' of Quilt 2", _CODE)
    if "package" in fields:
        if "file" in fields:
            raise yml.error(fields["package"][0], "an entry has 'file' or 'package', not both")
        return _mapping(node, {"package": fields["package"][1]})
    file = fields["file"][1]
    made: dict[str, Node] = {"file": file}
    kind, place = _transform(yml, fields, args, _text(file))
    made["transform"] = _scalar(_TRANSFORMS[kind], place)
    if "meta" in fields:
        made["meta"] = _meta(yml, fields["meta"][1])
    if kind in ("csv", "tsv", "ssv", "xls", "xlsx"):
        options = _Kwargs(yml, kind, place)
        for level in (args.kwargs, fields["kwargs"][1] if "kwargs" in fields else None):
            for name, (key, value) in (yml.mapping(level, "'kwargs'") if level is not None else {}).items():
                options.add(name, key, value)
        made.update(options.keys())
    return _mapping(node, made)


def _transform(yml: YamlFile, fields: Fields, args: _Args, file: str) -> tuple[str, Node]:
    """How Quilt reads a file: as it says, else by its name's end; what it does not know it keeps as it is."""
    said = fields["transform"][1] if "transform" in fields else args.transform
    if said is None:
        end = os.path.splitext(file)[1].lstrip(".")
        return (end if end in _TRANSFORMS and end != "id" else "id"), fields["file"][1]
    kind = yml.text(said, "'transform'").lower()
    if kind not in _TRANSFORMS:
        hint = did_you_mean(kind, _TRANSFORMS, f"those of Quilt 2: {', '.join(_TRANSFORMS)}")
        raise yml.error(said, f"'{kind}' is no transform of Quilt 2", hint)
    return kind, said


def _meta(yml: YamlFile, node: Node) -> Node:
    """The JSON file that holds an entry's metadata, as a node."""
    path = os.path.join(os.path.dirname(yml.path), yml.text(node, "'meta'"))
    try:
        with open(path, encoding="utf-8") as source:
            found = json.load(source)
    except FileNotFoundError:
        raise NotFound(f"{yml.place(node)}: there is no file '{path}'", "'meta' names a JSON file") from None
    except (OSError, ValueError, RecursionError) as e:
        raise yml.error(node, f"cannot read '{path}' as JSON: {e}") from None
    return _plain(found, node)


def _plain(value: object, at: Node) -> Node:
    """A JSON value as a node."""
    if isinstance(value, dict):
        pairs = [(_scalar(name, at), _plain(member, at)) for name, member in value.items()]
        return yaml.MappingNode(_MAP, pairs, at.start_mark, at.end_mark)
    if isinstance(value, list):
        return yaml.SequenceNode(_SEQ, [_plain(item, at) for item in value], at.start_mark, at.end_mark)
    if isinstance(value, str):
        return _scalar(value, at)
    kind = {bool: "bool", int: "int", float: "float"}.get(type(value), "null")
    return yaml.ScalarNode(f"tag:yaml.org,2002:{kind}", json.dumps(value), at.start_mark, at.end_mark)


# Arguments of pandas


class _Kwargs:
    """Keys of ours made of pandas' arguments, one by one; the last word on each holds."""

    def __init__(self, yml: YamlFile, kind: str, place: Node) -> None:
        self._yml, self._kind, self._place = yml, kind, place
        self._given: Fields = {}

    def add(self, name: str, key: Node, value: Node) -> None:
        self._given[name] = (key, value)

    def keys(self) -> dict[str, Node]:
        """Raises Usage, with the line, for an argument that has no equivalent."""
        options: dict[str, Node] = {"delimiter": _scalar(";", self._place)} if self._kind == "ssv" else {}
        made: dict[str, Node] = {}
        nulls: list[Node] = [_scalar(text, self._place) for text in _NULLS]
        for name, (key, value) in self._given.items():
            if name in _SAME and self._fits(name, value):
                options[_SAME[name]] = value
            elif name == "na_values" and not isinstance(value, yaml.MappingNode):
                nulls += self._yml.nodes(value)
            elif name == "keep_default_na" and value.tag.endswith(":bool"):
                nulls = nulls if self._yml.flag(value, name) else nulls[len(_NULLS) :]
            elif name == "usecols" and isinstance(value, yaml.SequenceNode):
                made["columns"] = value
            elif (types := self._types(name, value)) is not None:
                before = made["schema"].value if "schema" in made else []
                made["schema"] = yaml.MappingNode(_MAP, [*before, *types], key.start_mark, key.end_mark)
            elif not self._is_idle(name, value):
                raise _lacking(self._yml, key, f"'{name}: {_shown(value)}' of pandas", self._hint(name))
        options["null_values"] = yaml.SequenceNode(_SEQ, nulls, self._place.start_mark, self._place.end_mark)
        made["options"] = _mapping(self._place, options)
        return made

    def _is_idle(self, name: str, value: Node) -> bool:
        """Whether an argument changes nothing here: `header` only where it says what holds anyway."""
        if name == "header":
            return _text(value) in (("null", "None", "~", "") if "names" in self._given else ("0", "infer"))
        return name in _IDLE

    def _fits(self, name: str, value: Node) -> bool:
        """Whether an argument's value is one that the option takes too."""
        if name == "names":
            return isinstance(value, yaml.SequenceNode)
        if name == "skiprows":
            return value.tag.endswith(":int")
        if not isinstance(value, yaml.ScalarNode) or name in ("sheet_name", "sheetname"):
            return isinstance(value, yaml.ScalarNode) and value.tag == _STR
        return name == "encoding" or len(value.value) == 1

    def _types(self, name: str, value: Node) -> list[tuple[Node, Node]] | None:
        """Columns' types of `dtype: {a: int}` and `parse_dates: [a]`; None if it says something else."""
        if name == "parse_dates" and isinstance(value, yaml.SequenceNode):
            columns = [column for column in value.value if isinstance(column, yaml.ScalarNode) and column.tag == _STR]
            return [(c, _scalar("timestamp", c)) for c in columns] if len(columns) == len(value.value) else None
        if name == "dtype" and isinstance(value, yaml.MappingNode):
            return [(k, _scalar(_TYPES.get(_text(v), _text(v)), v)) for k, v in value.value]
        return None

    def _hint(self, name: str) -> str:
        hints = {
            "sep": "one character stands between cells here",
            "delimiter": "one character stands between cells here",
            "index_col": "leave it out: an index is a column as any other",
            "header": "name the columns: names: [a, b]",
            "skiprows": "say how many rows before the names are left out",
            "dtype": "name the columns: dtype: {a: int64}",
            "parse_dates": "name the columns; dates as in 2020-12-31 are read as such without it",
        }
        return hints.get(name, "write it in dpkg's own grammar (spec/build.md), or change the file")


# Nodes


def _text(node: Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _shown(node: Node) -> str:
    return _text(node)[:40] if isinstance(node, yaml.ScalarNode) else "…"


def _scalar(text: str, at: Node) -> ScalarNode:
    return yaml.ScalarNode(_STR, text, at.start_mark, at.end_mark)


def _mapping(at: Node, members: dict[str, Node]) -> MappingNode:
    pairs = [(_scalar(name, value), value) for name, value in members.items()]
    return yaml.MappingNode(_MAP, pairs, at.start_mark, at.end_mark)


def _lacking(yml: YamlFile, node: Node, what: str, hint: str) -> Usage:
    return yml.error(node, f"{what} has no equivalent in dpkg", hint)
