"""How a commit was made: what a build read, by which build.yml, around which git commit, with which versions (spec/provenance.md)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from dpkg import settings
from dpkg.compiler.compile import Read
from dpkg.compiler.plan import package_text

if TYPE_CHECKING:
    from dpkg.compiler.compile import Compiled
    from dpkg.compiler.plan import Item, Plan

MOST_SOURCES = 1000  # of which each is named; of more files there are a count and one digest
MOST_TEXT = 64 << 10  # bytes of a build.yml, or of an SQL text, that a commit holds
_LINES = 1 << 12
# A URL with a query, which may be signed, or what looks like a password, and is no `${NAME}`.
_KEYS = re.compile(rb"://(\S*[?#]|[^\s/]*:(?!\$\{\w+\}@)\S*@)")
_UNKNOWN = "0" * 64
_LIBRARIES = {  # by format, beside those that all tables need
    "excel": ("python-calamine",),
    "query": ("duckdb",),
    "sql": ("adbc-driver-manager", "adbc-driver-postgresql"),
    "sqlite": ("adbc-driver-manager", "adbc-driver-sqlite"),
}


def made_by(plan: Plan, entries: Sequence[Compiled]) -> dict[str, Any]:
    """The provenance of what a plan was compiled to; canonical JSON, without any secret, of bounded size."""
    from dpkg import __version__

    files = _files(plan, entries)
    found: dict[str, Any] = {
        "files": files,
        "source": package_text(os.path.basename(os.path.dirname(plan.path) if plan.build else plan.path)),
        "sources": _sources(plan, entries, files["count"]),
        "tool": f"dpkg {__version__}",
        "versions": _versions(plan),
    }
    if plan.build is not None:
        found["build"] = _build(plan.build.name, plan.build.data)
    if git := _git(plan.prefix or os.curdir):
        found["git"] = git
    return found


def text_of(text: str) -> dict[str, Any]:
    """A text with its digest and size; beyond MOST_TEXT bytes these alone."""
    data = text.encode()
    said: dict[str, Any] = {"blake3": blake3(data).hexdigest(), "size": len(data)}
    return said | {"text": text} if len(data) <= MOST_TEXT else said


def _build(name: str, data: bytes) -> dict[str, Any]:
    """A build.yml: its text too, where it is UTF-8, not too long, and its URLs hold no keys: a commit is for ever."""
    said: dict[str, Any] = {"blake3": blake3(data).hexdigest(), "size": len(data)}
    if not _KEYS.search(data):
        with suppress(UnicodeDecodeError):
            said = text_of(data.decode())
    return {"path": package_text(name), **said}


def _files(plan: Plan, entries: Sequence[Compiled]) -> dict[str, Any]:
    """How many files were read, their bytes, and the BLAKE3 of what `b3sum` prints for them, in order."""
    hasher, count, size = blake3(), 0, 0
    lines: list[str] = []
    for item, done in zip(plan.items, entries, strict=True):
        for path, read in _read(item, done):
            lines.append(f"{read.blake3 if read else _UNKNOWN}  {_path(plan, path)}\n")
            count, size = count + 1, size + (read.bytes if read else 0)
        if len(lines) > _LINES:
            hasher.update("".join(lines).encode())
            lines.clear()
    hasher.update("".join(lines).encode())
    return {"blake3": hasher.hexdigest(), "count": count, "size": size}


def _sources(plan: Plan, entries: Sequence[Compiled], files: int) -> list[dict[str, Any]]:
    """Each source with the entry that it became; no files where there are too many."""
    found: list[dict[str, Any]] = []
    for item, done in zip(plan.items, entries, strict=True):
        if files <= MOST_SOURCES:
            found += (_file(plan, item, path, read) for path, read in _read(item, done))
        if item.origin is not None and (said := item.origin.source()):
            found.append({"entry": item.name, **said})
    return found[:MOST_SOURCES]


def _file(plan: Plan, item: Item, path: str, read: Read | None) -> dict[str, Any]:
    found = {"blake3": read.blake3, "size": read.bytes} if read else {"blake3": None, "size": None}
    more = {"sql": text_of(item.options.sql)} if item.options and item.options.sql is not None else {}
    return {"entry": item.name, "path": _path(plan, path), **found, **more}


def _read(item: Item, done: Compiled) -> Iterator[tuple[str, Read | None]]:
    """The files of an entry, and what was read of each; None where one changed meanwhile."""
    if item.origin is None:
        read = Read(done.oid, done.bytes) if done.type == "blob" else next(iter(done.read), None)
        yield item.source, read
    else:
        paths = item.origin.files()
        yield from zip(paths, done.read or [None] * len(paths), strict=True)


def _path(plan: Plan, path: str) -> str:
    return package_text(path.removeprefix(plan.prefix))


def _versions(plan: Plan) -> dict[str, str]:
    """Of Python, and of the libraries that read these formats: the same whatever else the process has loaded."""
    from importlib.metadata import version

    formats = {item.format for item in plan.items if item.format is not None}
    names = {name for format in formats for name in ("numpy", "pyarrow", *_LIBRARIES.get(format, ()))}
    return {"python": ".".join(map(str, sys.version_info[:3])), **{name: version(name) for name in sorted(names)}}


def _git(folder: str) -> dict[str, Any] | None:
    """The commit of the git repository around a folder, and whether tracked files differ from it (None: not known)."""
    at = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(at, ".git")):
        at, below = os.path.dirname(at), at
        if at == below:
            return None  # and git need not be asked
    said = settings.git(folder, "rev-parse", "--verify", "HEAD")
    if said is None:
        return None
    changed = settings.git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": said.strip(), "dirty": None if changed is None else bool(changed)}
