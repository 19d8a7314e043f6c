"""A plan from a build.yml (spec/build.md).

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dpkg.compiler import grammar, quilt
from dpkg.compiler.composed import from_package
from dpkg.compiler.databases import SQLITE, from_sql, refuse_passwords, stamp
from dpkg.compiler.derived import arranged, from_query
from dpkg.compiler.globs import from_files
from dpkg.compiler.plan import BuildFile, Item, Path, Plan, disk_name, make_plan, package_name
from dpkg.compiler.plan import stamp as stamp_of
from dpkg.compiler.remote import Remote
from dpkg.compiler.shape import shaped
from dpkg.compiler.yamlfile import YamlFile
from dpkg.errors import NotFound, Usage
from dpkg.store.download import is_url, name_of, shown

if TYPE_CHECKING:
    from yaml import Node

    Fields = dict[str, tuple[Node, Node]]  # key and value by key


def plan_buildfile(path: str, raw: bool = False) -> Plan:
    """The plan that a build.yml describes. Raises Usage with file, line and column; NotFound for a file that is not there."""
    began = time.time_ns()
    yml = YamlFile(path)
    if yml.root is None:
        raise Usage(f"{path} is empty", "it needs 'contents:' with an entry for each table or file")
    refuse_passwords(yml)
    if (old := quilt.translated(yml)) is not None:
        top: Fields = {"contents": (old, old)}
    else:
        top = yml.mapping(yml.root, "build.yml", grammar.keys_of(grammar.TOP))
    if "contents" not in top:
        raise yml.error(yml.root, "'contents' is missing", "it holds an entry for each table or file")
    planner = Planner(yml, raw)
    planner.contents(top["contents"][1], (), (_down(top),))
    build = BuildFile(os.path.basename(path), yml.data)
    items = arranged(planner.items)
    return make_plan(items, os.path.dirname(path), planner.folders, path=path, began=began, build=build)


def _down(fields: Fields) -> Fields:
    return {name: fields[name] for name in grammar.handed_down() if name in fields}


@dataclass(frozen=True)
class Entry:
    """An entry of a build.yml: its keys, and what the folders that it is in hand down, outermost first."""

    path: Path
    place: Node  # its name
    kind: str
    own: Fields
    above: tuple[Fields, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1]

    def find(self, key: str) -> tuple[Node, Node] | None:
        """The key and value that hold here: its own, else those of the nearest folder that has them."""
        return next((fields[key] for fields in (self.own, *reversed(self.above)) if key in fields), None)

    @property
    def levels(self) -> tuple[Fields, ...]:
        """What is said in each folder that it is in, outermost first, and of itself."""
        return (*self.above, self.own)


class Planner:
    """Goes through a build.yml, top down, and gathers items. `raw`: all become blobs."""

    def __init__(self, yml: YamlFile, raw: bool) -> None:
        self.yml, self.raw = yml, raw
        self.items: list[Item] = []
        self.folders: dict[Path, Item] = {}

    def contents(self, node: Node, parents: Path, above: tuple[Fields, ...]) -> None:
        entries = self.yml.mapping(node, "'contents'")
        if not entries:
            raise self.yml.error(node, "'contents' names no files", "give it an entry for each table or file")
        for name, (key, value) in entries.items():
            fields = self.yml.mapping(value, f"'{name}'", grammar.entry_keys())
            kind = self._kind(name, key, fields)
            HANDLERS[kind](self, Entry((*parents, name), key, kind, fields, above))

    def _kind(self, name: str, key: Node, fields: Fields) -> str:
        """The one key that says what an entry is."""
        found = [kind for kind in grammar.KINDS if kind in fields]
        if not found:
            hint = f"say what it is made of: {', '.join(grammar.KINDS)}"
            raise self.yml.error(key, f"'{name}' has neither 'file' nor 'contents'", hint)
        kind, *more = found
        if more:
            place = fields[more[0]][0]
            raise self.yml.error(place, f"'{name}' has '{kind}' and '{more[0]}', and can only be one of them")
        known = grammar.keys_of(kind)
        for other, (place, _) in fields.items():
            if other not in known:
                message = f"'{name}' has '{kind}', so it is {grammar.KINDS[kind]}, and has no '{other}'"
                raise self.yml.error(place, message, f"known here: {', '.join(known)}")
        return kind

    def item(self, entry: Entry, source: str, path: Path | None = None) -> Item:
        """An item of an entry, with its metadata."""
        item = Item(path or entry.path, source, None, where=self.yml.place(entry.place))
        return item._replace(meta=self.yml.value(entry.own["meta"][1])) if "meta" in entry.own else item

    def add(self, entry: Entry, item: Item) -> None:
        """An item that is a table or a blob, as its entry and its name say."""
        if self.raw:
            self.items.append(item)
            return
        made = shaped(self.yml, entry, item)
        if made.format == SQLITE and made.origin is None:
            made = made._replace(stamp=stamp(made.source))
        self.items.append(made)
        self.keep_sources(entry, [item])

    def keep_sources(self, entry: Entry, items: Sequence[Item]) -> None:
        """With `keep_source: true` the files of tables stand beside them."""
        if "keep_source" in entry.own and self.yml.flag(entry.own["keep_source"][1], "'keep_source'"):
            where = self.yml.place(entry.own["keep_source"][1])
            for item in items:
                path = (*item.path[:-1], package_name(item.source, name_of(item.source)))
                origin = Remote(item.origin.url) if isinstance(item.origin, Remote) else None
                self.items.append(Item(path, item.source, None, where=where, stamp=item.stamp, origin=origin))

    def local(self, node: Node, text: str) -> str:
        """A path that a build.yml names, or a URL of a file here, as a path of this machine."""
        if text.startswith("file://"):
            text = unquote(text.removeprefix("file://").removeprefix("localhost"))
        return os.path.join(os.path.dirname(self.yml.path), disk_name(text))


def _folder(planner: Planner, entry: Entry) -> None:
    yml, fields = planner.yml, entry.own
    if "meta" in fields:
        where = yml.place(fields["meta"][1])
        planner.folders[entry.path] = Item(entry.path, "", None, meta=yml.value(fields["meta"][1]), where=where)
    planner.contents(fields["contents"][1], entry.path, (*entry.above, _down(fields)))


def _file(planner: Planner, entry: Entry) -> None:
    yml, node = planner.yml, entry.own["file"][1]
    text = yml.text(node, "'file'")
    if is_url(text) and not text.startswith("file://"):
        try:
            item = planner.item(entry, shown(text))
        except Usage as e:
            raise yml.error(node, e.message, e.hint) from None
        planner.add(entry, item._replace(origin=Remote(text)))
        return
    source = planner.local(node, text)
    try:
        found = os.stat(source)
    except (OSError, ValueError):
        raise NotFound(f"{yml.place(node)}: there is no file '{source}'", "paths are relative to build.yml") from None
    if not text or stat.S_ISDIR(found.st_mode):
        hint = "name its files one by one, by a pattern in 'files', or build the folder without a build.yml"
        raise yml.error(node, f"'{text}' is a folder, and 'file' names one file", hint)
    if not stat.S_ISREG(found.st_mode):
        raise yml.error(node, f"'{text}' is not a regular file")
    planner.add(entry, planner.item(entry, source)._replace(stamp=stamp_of(found)))


# What makes items of an entry, by its kind (grammar.KINDS).
HANDLERS: dict[str, Callable[[Planner, Entry], None]] = {
    "contents": _folder,
    "file": _file,
    "files": from_files,
    "sql": from_sql,
    "query": from_query,
    "package": from_package,
}
