"""`dpk cat-object`: print an object."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import DpkgError, NotFound, Usage
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.oid import Oid

COMMAND = Command(
    "cat-object",
    "Print an object's bytes, or with -t its type, -s its size, -p its JSON indented; -e only says by its exit code whether it is there.",
    (
        Arg("object", "an oid, a prefix of one, or owner/name[@revision][/path]", optional=True),
        Opt("-t --type", "print the type: blob, table, node or commit"),
        Opt("-s --size", "print the size in bytes"),
        Opt("-p --pretty", "print structured objects for people"),
        Opt("-e --exists", "print nothing; end with 0 if it is there, 3 if not"),
        Opt("--batch", "names on standard input, a line each: print 'OID TYPE SIZE', the bytes and a newline for each, or 'NAME missing'"),
        STORE,
    ),
    raw=True,
)


def cat_object(
    object: str | None = None,
    *,
    type: bool = False,
    size: bool = False,
    pretty: bool = False,
    exists: bool = False,
    batch: bool = False,
    store: str | None = None,
) -> Iterator[bytes]:
    """The bytes of an object, or what the options ask of it. Raises NotFound, Corrupt, Usage."""
    if sum((type, size, pretty, exists)) > 1:
        raise Usage("-t, -s, -p and -e exclude each other")
    if batch == (object is not None):
        raise Usage("name an object, or give --batch and names on standard input")
    repository = Repository(store)
    if object is None:
        return _batch(repository, (line.decode(errors="surrogateescape") for line in sys.stdin.buffer))
    oid = repository.object_id(object)
    if exists:
        if not repository.odb.has(oid):
            raise NotFound(f"object {oid} is not in {repository.url}")
        return iter(())
    if type:
        return iter((f"{repository.odb.kind(oid)}\n".encode(),))
    if size:
        return iter((f"{repository.odb.size(oid)}\n".encode(),))
    return _bytes(repository, oid, pretty)


def _bytes(repository: Repository, oid: Oid, pretty: bool) -> Iterator[bytes]:
    if repository.odb.kind(oid) == "blob":
        yield from repository.odb.iter_blob(oid)
        return
    _, payload = repository.odb.read_any(oid)
    if pretty:
        import json

        yield json.dumps(json.loads(payload), indent=2, ensure_ascii=False).encode() + b"\n"
    else:
        yield payload


def _batch(repository: Repository, names: Iterable[str]) -> Iterator[bytes]:
    for line in names:
        name = line.rstrip("\n")
        try:
            oid = repository.object_id(name)
            kind, size = repository.odb.kind(oid), repository.odb.size(oid)
        except DpkgError:
            yield f"{name} missing\n".encode(errors="surrogateescape")
            continue
        yield f"{oid} {kind} {size}\n".encode()
        yield from _bytes(repository, oid, False)
        yield b"\n"
