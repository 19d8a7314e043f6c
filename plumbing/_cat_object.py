"""`dpk cat-object`: print an object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Format, NotFound, Usage
from dpkg.listing import read_records
from dpkg.odb import Odb
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.oid import Oid

COMMAND = Command(
    "cat-object",
    "Print an object's bytes, or its type or size, or only say by the exit code whether it is there.",
    (
        Arg("object", "an oid, a prefix of one, or owner/name[@revision][/path]", optional=True, completes="expr"),
        Opt("-t --type", "print the type: blob, table, node or commit"),
        Opt("-s --size", "print the size in bytes"),
        Opt("-p --pretty", "print objects that are JSON indented"),
        Opt("-e --exists", "print nothing; end with 0 if it is there, 3 if not"),
        Opt("--batch", "read names from standard input, a line each"),
        Opt(
            "-z --null",
            "with --batch names end with a NUL, and so do the lines printed, but for the newline after the bytes",
        ),
        STORE,
    ),
    epilog="--batch prints for each name 'OID TYPE SIZE', a newline, the bytes and a newline, or 'NAME missing'.",
    output="The object's bytes, and nothing else; with -t its type, with -s its size, with -e nothing.",
    examples=(
        ("Print a commit, indented:", "dpk cat-object -p acme/shop"),
        ("Print a file of a package:", "dpk cat-object acme/shop@v1/README.md"),
        ("Ask in a script whether an object is there:", "dpk cat-object -e acme/shop@v1"),
    ),
    see=("ls-tree", "rev-parse", "hash-object", "cat-fragment"),
)


class _Named(TypedDict):
    name: str
    oid: Oid | None  # null: it is missing


class AsJson(_Named, total=False):
    """An object as JSON: what was asked; the bytes as `value`: JSON, text, or {"base64": …}."""

    type: str
    size: int  # in bytes
    value: Any


@dataclass(frozen=True)
class Object:
    """A stored object, with what was asked of it; None is what was not.

    `size` in bytes. In a batch, `oid` is None if it is missing.
    """

    name: str
    oid: Oid | None
    type: str | None = None
    size: int | None = None
    content: bool = False  # whether its bytes were asked for
    pretty: bool = False
    odb: Odb | None = field(default=None, repr=False)
    null: bool = field(default=False, repr=False)

    def read(self) -> bytes:
        """All bytes, verified. Raises Corrupt."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces, verified before the last one; of JSON with `pretty` indented. Raises Corrupt."""
        if self.odb is None or self.oid is None:
            raise NotFound(f"there is no object '{self.name}'")
        if self.odb.kind(self.oid) == "blob":
            yield from self.odb.iter_blob(self.oid)
            return
        _, payload = self.odb.read_any(self.oid)
        if self.pretty:
            import json

            payload = json.dumps(json.loads(payload), indent=2, ensure_ascii=False).encode() + b"\n"
        yield payload

    def as_json(self) -> AsJson:
        """What was asked. Raises Corrupt."""
        out: AsJson = {"name": self.name, "oid": self.oid}
        if self.type is not None:
            out["type"] = self.type
        if self.size is not None:
            out["size"] = self.size
        if self.content:
            out["value"] = _value(self.type, self.read())
        return out


def cat_object(
    object: str | None = None,
    *,
    type: bool = False,
    size: bool = False,
    pretty: bool = False,
    exists: bool = False,
    batch: bool = False,
    null: bool = False,
    store: str | None = None,
) -> Object | Iterator[Object]:
    """An object, or with `batch` one for each line of standard input. Raises NotFound, Corrupt, Usage."""
    if sum((type, size, pretty, exists, batch)) > 1:
        raise Usage("-t, -s, -p, -e and --batch exclude each other")
    if null and not batch:
        raise Usage("-z is for --batch", "give --batch, and names on standard input")
    if batch == (object is not None):
        raise Usage("name an object, or give --batch and names on standard input")
    repository = Repository(store)
    if object is None:
        return _batch(repository, null)
    oid = repository.object_id(object)
    if not repository.odb.has(oid):
        hint = f"it is a fragment: dpk cat-fragment {oid}" if repository.odb.has_fragment(oid) else "check the id"
        raise NotFound(f"object {oid} is not in {repository.url}", hint)
    return _object(repository.odb, object, oid, not size and not exists, not type and not exists, pretty)


def _object(odb: Odb, name: str, oid: Oid, type: bool = True, size: bool = True, pretty: bool = False) -> Object:
    kind, length = odb.kind(oid) if type else None, odb.size(oid) if size else None
    return Object(name, oid, kind, length, type and size, pretty, odb)


def _batch(repository: Repository, null: bool) -> Iterator[Object]:
    for record in read_records(null, "surrogateescape"):
        name = record if null else record.rstrip("\r")
        try:
            yield replace(_object(repository.odb, name, repository.object_id(name)), null=null)
        except (NotFound, Usage, Format):
            yield Object(name, None, null=null)


def _value(type: str | None, data: bytes) -> Any:
    import json

    if type != "blob":
        return json.loads(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"base64": b64encode(data).decode()}


def render(result: Object | Iterator[Object]) -> Iterator[Shown]:
    if isinstance(result, Object):
        if result.content:
            yield from result.chunks()
        elif result.type is not None:
            yield result.type
        elif result.size is not None:
            yield str(result.size)
        return
    for found in result:
        end = b"\0" if found.null else b"\n"
        if found.oid is None:
            yield f"{found.name} missing".encode(errors="surrogateescape") + end
        else:
            yield f"{found.oid} {found.type} {found.size}".encode() + end
            yield from found.chunks()
            yield b"\n"
