"""A folder's plan as a build.yml, with the types that its text files have, and words on what else can be said."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.arrow.options import OPTION_NAMES, TYPED, format_of
from dpkg.compiler import grammar
from dpkg.compiler.folder import plan_folder
from dpkg.compiler.plan import BUILD_FILE, Path, package_name
from dpkg.compiler.yamlfile import MAX_BYTES
from dpkg.errors import AlreadyExists, Usage
from dpkg.store.local import failure

if TYPE_CHECKING:
    from dpkg.compiler.plan import Item

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")  # and safe in every place of YAML
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))  # that other tools take for no text
_LONGEST = 1000  # characters of a key: YAML knows no longer ones in this form
_SIMPLE = re.compile(r"[a-z0-9_]+(\[[a-z]+(, [^],:<>]+)?\]|\([0-9]+, -?[0-9]+\))?")
_HEAD = """\
# What becomes what in a package: dpk build owner/name {folder}
# Each entry has a name, and says what it is made of. A table may also have
{keys}
# Files that are not named here are left out; 'files: "*.csv"' names several.
"""


@dataclass(frozen=True)
class Draft:
    """A build.yml, and how many tables and other files it names."""

    text: str
    tables: int
    files: int


def draft(root: str, folder: str) -> Draft:
    """The build.yml of what is in the folder `root`, to be written into `folder`. Builds into the same tree as `root` itself.

    Raises what reading the files raises, Usage for a folder without any.
    """
    if not os.path.isdir(root):
        raise Usage(f"'{root}' is no folder", "generate writes the build.yml of a folder")
    items = plan_folder(root, without=BUILD_FILE).items
    known = [key for key in grammar.KEYS if "file" in key.on and key.name != "file"]
    width = max(len(key.name) for key in known) + 1
    keys = [f"#   {key.name + ':':{width}} {key.help}{_more(key)}" for key in known]
    shown = package_name(root, os.path.basename(os.path.abspath(root))) or "."
    lines = [*_HEAD.format(folder=quoted(shown), keys="\n".join(keys)).splitlines(), "contents:"]
    tree: dict[str, Any] = {}
    for item in items:
        at = tree
        for name in item.path[:-1]:
            at = at.setdefault(name, {})
        at[item.path[-1]] = item
    lines += _entries(tree, (), folder)
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > MAX_BYTES:
        hint = "write one by hand, that names files by patterns: files: '*.csv', each: true"
        raise Usage(f"the build.yml of {len(items):,} files would be larger than {MAX_BYTES >> 20} MiB", hint)
    tables = sum(item.format is not None for item in items)
    return Draft(text, tables, len(items) - tables)


def _more(key: grammar.Key) -> str:
    """What a key's help leaves out, for people without an editor that knows the schema."""
    return {
        "transform": f" One of {', '.join(key.choices)}.",
        "options": f" {', '.join(OPTION_NAMES)}.",
        "schema": f" A type, or {{{', '.join(grammar.COLUMN)}}}.",
    }.get(key.name, "")


def write(text: str, path: str, force: bool) -> None:
    """Write a build.yml. Raises AlreadyExists for one that is there, unless `force`; Storage."""
    target = f"{path}.{os.getpid()}.tmp" if force else path
    try:
        with open(target, "x", encoding="utf-8") as out:
            try:
                out.write(text)
                out.flush()
                if force:
                    os.replace(target, path)
            except BaseException:
                os.unlink(target)
                raise
    except FileExistsError:
        raise in_the_way(path) from None
    except OSError as e:
        raise failure(e, "write", path) from e


def in_the_way(path: str) -> AlreadyExists:
    """The error on a build.yml that is there already."""
    return AlreadyExists(f"'{path}' is there already", "look at it; --force replaces it, -o - only shows the new one")


def _entries(tree: dict[str, Any], at: Path, folder: str) -> Iterator[str]:
    """The lines of a folder's entries."""
    pad = "  " * (2 * len(at) + 1)
    for name, entry in tree.items():
        if isinstance(entry, dict):
            yield f"{pad}{quoted(name)}:"
            yield f"{pad}  contents:"
            yield from _entries(entry, (*at, name), folder)
        else:
            yield from (pad + line for line in _entry(name, entry, folder))


def _entry(name: str, item: Item, folder: str) -> Iterator[str]:
    file = quoted(package_name(item.source, os.path.relpath(item.source, folder or os.curdir)))
    if item.format is None:
        known = format_of(os.path.basename(item.source), maybe=True)
        yield f"{quoted(name)}: {{file: {file}}}" + (f"  # transform: {known[0]} makes a table of it" if known else "")
        return
    yield f"{quoted(name)}:"
    yield f"  file: {file}"
    types = _types(item)
    if types and item.format in TYPED:
        yield f"  # schema: {{{', '.join(f'{quoted(n)}: {t}' for n, t in types)}}}"
        return
    if any(_declared(column, kind) for column, kind in types):
        yield "  schema:  # a cell of another type is an error"
    elif types:
        yield "  # schema:"
    for column, kind in types:
        yield f"    {'' if _declared(column, kind) else '# '}{quoted(column)}: {kind}"


def _declared(column: str, kind: str) -> bool:
    """Whether a column's type is to be declared: not where there are no values, nor what is nested."""
    return kind != "null" and len(quoted(column)) < _LONGEST and bool(_SIMPLE.fullmatch(kind))


def _types(item: Item) -> list[tuple[str, str]]:
    """The columns of a table, with their types as a build.yml has them."""
    from dpkg.arrow.readers import open_source, stream
    from dpkg.arrow.readers.base import label

    assert item.format is not None
    source = open_source(item.source, item.format, item.options)
    try:
        if item.format in TYPED:
            schema = source.schema
        else:
            schema = stream(source, lambda schema, batches: (sum(b.num_rows for b in batches), source.schema)[1])
        return [(field.name, label(field.type)) for field in schema]
    finally:
        source.close()


def quoted(text: str) -> str:
    """A text as YAML has it on one line, in any place."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable() and char != "\ufeff":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
