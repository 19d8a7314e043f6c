"""What an entry of a build.yml says of the shape of what is read: table or blob, format, options, schema, columns, key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dpkg.arrow.options import OPTION_NAMES, REFUSED, ColumnRule, Option, ReadOptions, format_of
from dpkg.arrow.readers.declared import converter
from dpkg.arrow.typenames import parse_type
from dpkg.checks import grammar as checks
from dpkg.compiler import grammar
from dpkg.errors import DpkgError, Usage, did_you_mean
from dpkg.store.download import name_of

if TYPE_CHECKING:
    from typing import Any

    from yaml import Node

    from dpkg.compiler.buildfile import Entry
    from dpkg.compiler.plan import Item
    from dpkg.compiler.yamlfile import YamlFile

_TABLES = "tables: csv, tsv, jsonl, ndjson (also .gz, .zst), parquet, arrow, feather; else name a 'transform'"


def shaped(yml: YamlFile, entry: Entry, item: Item, whole: bool = False) -> Item:
    """An item as its entry says: a table with all that decides how it is read, or a blob. Raises Usage.

    `whole`: it is a table in any case, as one that is made of many files.
    """
    format = _format(yml, entry, item, whole)
    if format is not None:
        return as_table(yml, entry, item, format)
    if (said := entry.own.get("as")) and said[1].value == "table":
        raise yml.error(said[1], f"'{item.source}' cannot be read as a table", _TABLES)
    for name in ("options", "schema", "key", "nulls", "columns", "checks", "table", "keep_source"):
        if name in entry.own:
            raise yml.error(entry.own[name][0], f"'{name}' is for tables, and '{entry.name}' is a blob", _TABLES)
    return item


def _format(yml: YamlFile, entry: Entry, item: Item, whole: bool) -> str | None:
    """How to read it; None for a blob."""
    wanted = choice(yml, entry, "as")
    transform = choice(yml, entry, "transform")
    if wanted and "transform" in entry.own and (wanted == "blob") != (transform == "id"):
        raise yml.error(entry.own["as"][0], f"'transform: {transform}' and 'as: {wanted}' contradict each other")
    if wanted == "blob":
        return None
    if transform:
        return None if transform == "id" else transform
    known = format_of(name_of(item.source), maybe=whole or wanted == "table" or "table" in entry.own)
    return known[0] if known else None


def choice(yml: YamlFile, entry: Entry, key: str) -> str:
    """The word that holds for an entry, nothing if there is none. Raises Usage."""
    found = entry.find(key)
    if found is None:
        return ""
    word, words = yml.text(found[1], f"'{key}'"), grammar.BY_NAME[key].choices
    if word not in words:
        message = f"'{key}' is {', '.join(words[:-1])} or {words[-1]}, not '{word}'"
        raise yml.error(found[1], message, did_you_mean(word, words))
    return word


def as_table(yml: YamlFile, entry: Entry, item: Item, format: str) -> Item:
    """An item as a table of a format."""
    places: dict[str, str] = {}
    options = _options(yml, entry, format)
    for level in entry.levels:
        if "schema" in level:
            own = level is entry.own
            columns = yml.mapping(level["schema"][1], "'schema'")
            rules = {name: _column(yml, name, value) for name, (_, value) in columns.items()}
            usual = options.usual.difference(rules) if own else options.usual.union(rules)
            options = replace(options, schema={**options.schema, **rules}, usual=usual)
            places.update({name: yml.place(key) for name, (key, _) in columns.items()})
    if "table" in entry.own:
        place, node = entry.own["table"]
        if format != "sqlite":
            raise yml.error(place, f"'table' is for SQLite files, and '{entry.name}' is {format}")
        options = replace(options, table=yml.text(node, "'table'"))
    if "columns" in entry.own:
        options = replace(options, columns=_names(yml, entry.own["columns"][1], "columns", places))
    found = entry.find("key")
    none = any("key" in level for level in entry.above)  # `key: []` takes back what a folder says
    key = _names(yml, found[1], "key", places, none) if found else ()
    held = checks.parse(yml, entry.own["checks"][1]) if "checks" in entry.own else ()
    return item._replace(format=format, options=options, key=key, places=places, checks=held)


def _names(yml: YamlFile, node: Node, what: str, places: dict[str, str], none: bool = False) -> tuple[str, ...]:
    """The columns that a list names, each once; `none`: it may name none."""
    nodes = yml.nodes(node)
    names = tuple(yml.text(node, f"each column of '{what}'") for node in nodes)
    if not names and not none:
        raise yml.error(node, f"'{what}' names no columns", "name one or more, or leave it out")
    for i, name in enumerate(names):
        if name in names[:i]:
            raise yml.error(nodes[i], f"'{what}' names the column '{name}' twice")
    places.update({name: yml.place(node) for name, node in zip(names, nodes, strict=True)})
    return names


# Reader options


def _options(yml: YamlFile, entry: Entry, format: str) -> ReadOptions:
    """What is said in each folder, then of the entry itself: the last word on an option holds."""
    given: dict[str, Any] = {}
    for level in entry.levels:
        own = level is entry.own
        said = yml.mapping(level["options"][1], "'options'") if "options" in level else {}
        for name, (key, value) in said.items():
            option = _option(yml, key, name)
            if format in option.formats:
                given[option.field or name] = _value(yml, option, value)
            elif own:
                takes = [o.name for o in OPTION_NAMES.values() if format in o.formats]
                hint = f"options of {format}: {', '.join(takes)}" if takes else f"{format} takes no options"
                raise yml.error(key, f"'{name}' is no option of {format}", hint)
        if "nulls" in level:
            key, value = level["nulls"]
            if "null_values" in said:
                raise yml.error(key, "'nulls' and the option 'null_values' are one and the same", "leave one out")
            if format in OPTION_NAMES["null_values"].formats:
                given["nulls"] = yml.texts(value, "'nulls'")
            elif own:
                raise yml.error(key, f"'nulls' is for text, and '{entry.name}' is {format}", "its nulls are known")
    return ReadOptions(**given)


def _option(yml: YamlFile, key: Node, name: str) -> Option:
    if name in OPTION_NAMES:
        return OPTION_NAMES[name]
    if name in REFUSED:
        raise yml.error(key, f"the option '{name}' is not taken here: {REFUSED[name]}")
    hint = did_you_mean(name, OPTION_NAMES, f"options: {', '.join(OPTION_NAMES)}")
    raise yml.error(key, f"'{name}' is no reader option", hint)


def _value(yml: YamlFile, option: Option, node: Node) -> Any:
    what = f"the option '{option.name}'"
    if option.shape == "texts":
        return yml.texts(node, what)
    if option.shape == "count":
        return yml.count(node, what)
    text = yml.text(node, what)
    return None if option.shape == "character" and yml.is_false(node) else text


# Columns


def _column(yml: YamlFile, name: str, node: Node) -> ColumnRule:
    if not yml.is_mapping(node):
        return ColumnRule(None, _type(yml, node), None)
    parts = yml.mapping(node, f"the column '{name}'", grammar.COLUMN)
    if not parts:
        raise yml.error(node, f"the column '{name}' says nothing", f"give it {', '.join(grammar.COLUMN)}")
    text = {k: yml.text(v, f"'{k}'") for k, (_, v) in parts.items()}
    kind = _type(yml, parts["type"][1]) if "type" in parts else None
    if "format" in text and kind is not None:
        try:
            converter(kind, text["format"])
        except Usage as e:
            raise yml.error(parts["format"][1], e.message, e.hint) from None
    return ColumnRule(text.get("name"), kind, text.get("format"))


def _type(yml: YamlFile, node: Node) -> Any:
    text = yml.text(node, "a type")
    try:
        return parse_type(text)
    except DpkgError as e:
        cut = sum(map(text.count, "([<")) > sum(map(text.count, ")]>"))  # within {} a comma ends a value
        hint = "put it in quotes, such as 'decimal(12, 2)': within {…} a comma ends a value" if cut else e.hint
        raise yml.error(node, e.message, hint) from None
