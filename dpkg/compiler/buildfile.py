"""A plan from a build.yml.

contents:
  transactions:
    file: data/transactions.csv       # beside build.yml; a table by its extension
    key: [id]
    nulls: ["", NA]
    schema:
      id: int64
      when: {type: date, format: "%d.%m.%Y", name: day}
  docs:
    contents:
      readme: {file: README.md, meta: {lang: en}}
  original: {file: data/transactions.csv, as: blob}
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dpkg.arrow.options import ColumnRule, ReadOptions, format_of
from dpkg.arrow.readers.declared import converter
from dpkg.arrow.typenames import parse_type
from dpkg.compiler.plan import Item, Path, Plan, disk_name, make_plan, stamp
from dpkg.compiler.yamlfile import YamlFile
from dpkg.errors import DpkgError, NotFound, Usage

if TYPE_CHECKING:
    from typing import Any

    from yaml import Node

    Fields = dict[str, tuple[Node, Node]]

TOP = ("contents",)
FOLDER = ("contents", "meta")
ENTRY = ("file", "as", "schema", "key", "nulls", "meta")
COLUMN = ("type", "name", "format")
_TABLES = "tables: csv, tsv, jsonl, ndjson (also .gz, .zst), parquet, arrow, feather"
_UNTYPED = ("parquet", "arrow")  # a null needs no spelling there


def plan_buildfile(path: str, raw: bool = False) -> Plan:
    """The plan that a build.yml describes. Raises Usage with file, line and column; NotFound for a file that is not there."""
    began = time.time_ns()
    yml = YamlFile(path)
    if yml.root is None:
        raise Usage(f"{path} is empty", "it needs 'contents:' with an entry for each table or file")
    top = yml.mapping(yml.root, "build.yml", TOP)
    if "contents" not in top:
        raise yml.error(yml.root, "'contents' is missing", "it holds an entry for each table or file")
    reader = _Reader(yml, raw)
    reader.contents(top["contents"][1], ())
    return make_plan(reader.items, os.path.dirname(path), reader.folders, path=path, began=began)


class _Reader:
    """Goes through a build.yml, top down."""

    def __init__(self, yml: YamlFile, raw: bool) -> None:
        self.yml, self.raw = yml, raw
        self.items: list[Item] = []
        self.folders: dict[Path, Item] = {}

    def contents(self, node: Node, parents: Path) -> None:
        entries = self.yml.mapping(node, "'contents'")
        if not entries:
            raise self.yml.error(node, "'contents' names no files", "give it an entry for each table or file")
        for name, (key, value) in entries.items():
            fields = self.yml.mapping(value, f"'{name}'", tuple(dict.fromkeys((*ENTRY, *FOLDER))))
            path = (*parents, name)
            if "contents" in fields:
                self._folder(fields, path, key)
            elif "file" in fields:
                self._entry(fields, path, key)
            else:
                raise self.yml.error(
                    key,
                    f"'{name}' has neither 'file' nor 'contents'",
                    "a table or file has 'file', a folder 'contents'",
                )

    def _folder(self, fields: Fields, path: Path, key: Node) -> None:
        for other, (place, _) in fields.items():
            if other not in FOLDER:
                raise self.yml.error(place, f"'{path[-1]}' has 'contents', so it is a folder, and has no '{other}'")
        if "meta" in fields:
            where = self.yml.place(fields["meta"][1])
            self.folders[path] = Item(path, "", None, meta=self.yml.value(fields["meta"][1]), where=where)
        self.contents(fields["contents"][1], path)

    def _entry(self, fields: Fields, path: Path, key: Node) -> None:
        yml = self.yml
        source, found = self._source(fields["file"][1])
        item = Item(path, source, None, where=yml.place(key), stamp=stamp(found))
        if "meta" in fields:
            item = item._replace(meta=yml.value(fields["meta"][1]))
        wanted = yml.text(fields["as"][1], "'as'") if "as" in fields else ""
        if wanted not in ("", "blob", "table"):
            raise yml.error(fields["as"][1], f"'as' is blob or table, not '{wanted}'")
        known = format_of(os.path.basename(item.source))
        if self.raw:
            self.items.append(item)
        elif known and wanted != "blob":
            self.items.append(self._table(item, fields, known[0]))
        else:
            if wanted == "table":
                raise yml.error(fields["as"][1], f"'{item.source}' cannot be read as a table", _TABLES)
            for name in ("schema", "key", "nulls"):
                if name in fields:
                    raise yml.error(fields[name][0], f"'{name}' is for tables, and '{path[-1]}' is a blob", _TABLES)
            self.items.append(item)

    def _source(self, node: Node) -> tuple[str, os.stat_result]:
        text = self.yml.text(node, "'file'")
        source = os.path.join(os.path.dirname(self.yml.path), disk_name(text))
        try:
            found = os.stat(source)
        except (OSError, ValueError):
            raise NotFound(
                f"{self.yml.place(node)}: there is no file '{source}'", "paths are relative to build.yml"
            ) from None
        if not text or stat.S_ISDIR(found.st_mode):
            hint = "name its files one by one, or build the folder without a build.yml"
            raise self.yml.error(node, f"'{text}' is a folder, and 'file' names one file", hint)
        if not stat.S_ISREG(found.st_mode):
            raise self.yml.error(node, f"'{text}' is not a regular file")
        return source, found

    def _table(self, item: Item, fields: Fields, format: str) -> Item:
        yml, options, places = self.yml, ReadOptions(), dict[str, str]()
        if "nulls" in fields:
            if format in _UNTYPED:
                raise yml.error(
                    fields["nulls"][0], f"'nulls' is for text, and '{item.source}' is {format}", "its nulls are known"
                )
            options = replace(options, nulls=yml.texts(fields["nulls"][1], "'nulls'"))
        if "schema" in fields:
            columns = yml.mapping(fields["schema"][1], "'schema'")
            options = replace(options, schema={name: self._column(name, value) for name, (_, value) in columns.items()})
            places.update({name: yml.place(key) for name, (key, _) in columns.items()})
        key: tuple[str, ...] = ()
        if "key" in fields:
            nodes = yml.nodes(fields["key"][1])
            key = tuple(yml.text(node, "each column of 'key'") for node in nodes)
            if not key:
                raise yml.error(fields["key"][1], "'key' names no columns", "name one or more, or leave it out")
            places.update({name: yml.place(node) for name, node in zip(key, nodes, strict=True)})
        return item._replace(format=format, options=options, key=key, places=places)

    def _column(self, name: str, node: Node) -> ColumnRule:
        import yaml

        yml = self.yml
        if isinstance(node, yaml.ScalarNode):
            return ColumnRule(None, self._type(node), None)
        parts = yml.mapping(node, f"the column '{name}'", COLUMN)
        if not parts:
            raise yml.error(node, f"the column '{name}' says nothing", f"give it {', '.join(COLUMN)}")
        text = {k: yml.text(v, f"'{k}'") for k, (_, v) in parts.items()}
        kind = self._type(parts["type"][1]) if "type" in parts else None
        if "format" in text and kind is not None:
            try:
                converter(kind, text["format"])
            except Usage as e:
                raise yml.error(parts["format"][1], e.message, e.hint) from None
        return ColumnRule(text.get("name"), kind, text.get("format"))

    def _type(self, node: Node) -> Any:
        try:
            return parse_type(self.yml.text(node, "a type"))
        except DpkgError as e:
            raise self.yml.error(node, e.message, e.hint) from None
