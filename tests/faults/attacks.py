"""What an attacker could serve as a store, or hand over as a folder to build: bytes made by hand, and what must be said of them."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3

import dpkg
from dpkg.index import build_tree
from dpkg.objects import canonical_json, frame
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry
from dpkg.objects.table import Table
from dpkg.odb import Odb, fragment_key, object_key
from dpkg.oid import Oid, digest
from dpkg.repository import Repository

PKG = "acme/x"
GIGA = 1 << 30


class Store:
    """A store in a folder with an honest package, which the attacker changes as they like."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, str(folder / "evil")
        src = folder / "honest"
        src.mkdir()
        (src / "t.csv").write_text("id,x\n1,a\n2,b\n")
        (src / "b.bin").write_bytes(b"\0blob" * 100)
        dpkg.build(PKG, str(src), store=self.url)
        dpkg.tag(PKG, "v1", store=self.url)
        self.repository = Repository(self.url)
        self.odb: Odb = self.repository.odb
        tip = self.repository.tip(PKG)
        assert tip
        self.tip = tip
        self.tree = self.repository.commit(tip).tree
        self.entries = {e.name: e for e in Node.decode(self.odb.read(self.tree, "node")).entries}

    def file(self, key: str) -> Path:
        path = Path(self.url, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def raw(self, kind: Any, payload: bytes) -> Oid:
        """An object of any bytes, under the right oid."""
        oid = digest(kind, payload)
        self.file(object_key(oid)).write_bytes(frame.pack(kind, payload))
        return oid

    def sealed(self, oid: Oid, kind: int, codec: int, length: int, stored: bytes, says: int | None = None) -> None:
        """A frame by hand, with the right digest."""
        size = len(stored) if says is None else says
        head = frame.HEADER.pack(frame.MAGIC, 0, kind, codec, bytes(5), length, size, bytes(32))
        self.file(object_key(oid)).write_bytes(
            head[:32] + blake3(head[:32] + blake3(stored).digest()).digest() + stored
        )

    def fragments(self) -> list[Oid]:
        """Those of the honest table."""
        table = Table.decode(self.odb.read(self.entries["t"].oid, "table"))
        return [entry.oid for entry in Node.decode(self.odb.read(table.fragments, "node")).entries]

    def node(self, *entries: Any, kind: str = TREE, level: int = 0, stats: Oid | None = None) -> Oid:
        return self.raw("node", Node(kind, level, tuple(entries), stats).encode())

    def publish(self, tree: Oid) -> None:
        new = self.repository.make_commit(tree, (self.tip,), "evil")
        self.repository.move(PKG, new, self.tip, "evil")

    def root(self, *entries: TreeEntry) -> None:
        """The newest commit has these entries and the honest ones."""
        made = {**self.entries, **{e.name: e for e in entries}}
        self.publish(build_tree(list(made.values()), lambda data: self.raw("node", data)).oid)

    def named(self, name: str) -> None:
        """A tree with an entry of any name."""
        honest = json.loads(self.odb.read(self.tree, "node"))
        entry = json.loads(json.dumps(honest["entries"][0]).replace('"b.bin"', json.dumps(name), 1))
        assert entry != honest["entries"][0]
        payload = canonical_json.encode({**honest, "entries": [entry]})
        self.publish(self.raw("node", payload))


@dataclass(frozen=True)
class Attack:
    make: Callable[[Store], None]
    codes: tuple[int, ...] = (6,)  # exit codes of an install of it
    verify: tuple[int, ...] = (6,)  # and of `verify` there
    export: tuple[int, ...] = (2, 3, 6, 7, 8)


def bomb(length: int) -> bytes:
    """A zstd frame of very many zeros."""
    press = zstandard.ZstdCompressor(level=19, write_content_size=False).compressobj()
    return b"".join(press.compress(bytes(1 << 20)) for _ in range(length >> 20)) + press.flush()


def _blob_bomb(s: Store, says: int) -> None:
    oid = Oid("ab" * 32)
    s.sealed(oid, frame.CODES["blob"], frame.ZSTD, says, bomb(GIGA))
    s.root(TreeEntry("bomb", "blob", oid, says))


def _node_bomb(s: Store) -> None:
    oid = Oid("cd" * 32)
    s.sealed(oid, frame.CODES["node"], frame.ZSTD, 16 << 20, bomb(GIGA))
    s.publish(oid)


def _lengths(s: Store, length: int, says: int) -> None:
    oid = Oid("ef" * 32)
    s.sealed(oid, frame.CODES["blob"], frame.NONE, length, b"x" * 100, says)
    s.root(TreeEntry("long", "blob", oid, length))


def _deep(s: Store) -> None:
    at = s.entries["b.bin"]
    at = TreeEntry("d", "tree", s.node(replace(at, name="d")), at.bytes, 0, 1)
    for _ in range(10_000):
        at = replace(at, oid=s.node(at), entries=1)
    s.publish(at.oid)


def _wide(s: Store) -> None:
    """16 levels of trees that each name the one below 1,000 times: 10^48 paths."""
    empty = TreeEntry("e", "blob", s.raw("blob", b""), 0)
    at = TreeEntry("d", "tree", s.node(empty), 0, 0, 1)
    for _ in range(16):
        many = [replace(at, name=f"{i:03}") for i in range(1000)]
        made = build_tree(many, lambda data: s.raw("node", data))
        at = replace(at, oid=made.oid, entries=made.entries)
    s.publish(at.oid)


def _inner(s: Store) -> None:
    """16 levels of an index of which each node names the one below 1,000 times: 10^48 fragments."""
    t = Table.decode(s.odb.read(s.entries["t"].oid, "table"))
    (leaf,) = Node.decode(s.odb.read(t.fragments, "node")).entries
    at = InnerEntry(leaf.oid, t.fragments, 1, leaf.rows, leaf.bytes, FRAGMENTS)
    for level in range(1, 17):
        at = replace(at, oid=s.raw("node", Node(FRAGMENTS, level, (at,) * 1000, None).encode()))
    _table(s, t, at.oid, 10**6, 10**6)


def _table(s: Store, t: Table, root: Oid, rows: int, size: int) -> None:
    made = replace(t, fragments=root, rows=rows, bytes=size)
    s.root(TreeEntry("t", "table", s.raw("table", made.encode()), size, rows))


def _entry(s: Store, rows: int, size: int) -> None:
    t = Table.decode(s.odb.read(s.entries["t"].oid, "table"))
    leaf = Node.decode(s.odb.read(t.fragments, "node"))
    (entry,) = leaf.entries
    lie = FragmentEntry(entry.oid, rows, size)
    root = s.raw("node", replace(leaf, entries=(lie,)).encode())
    _table(s, t, root, rows, size)


def _fragment(s: Store, data: Callable[[bytes], bytes]) -> None:
    for key in [stat.key for stat in s.odb.backend.list("fragments/")]:
        path = s.file(key)
        path.write_bytes(data(path.read_bytes()))


def _footer_length(data: bytes) -> bytes:
    return data[:-8] + struct.pack("<I", 0xFFFFFFF0) + b"PAR1"


def _swapped(s: Store) -> None:
    """The footer of one fragment on the pages of another."""
    keys = [stat.key for stat in s.odb.backend.list("fragments/")]
    one, other = (s.file(key).read_bytes() for key in keys[:2])
    size = int.from_bytes(other[-8:-4], "little") + 8
    s.file(keys[0]).write_bytes(one[: -int.from_bytes(one[-8:-4], "little") - 8] + other[-size:])


def _newest(s: Store) -> str:
    folder = "refs/acme/x/heads/main"
    return f"{folder}/{min(path.name for path in Path(s.url, folder).iterdir())}"


def _newest_ref(s: Store, data: bytes) -> None:
    s.file(_newest(s)).write_bytes(data)


def _links(s: Store, target: str) -> None:
    """Each object and fragment is a link to something else."""
    for folder in ("objects", "fragments"):
        for path in list(Path(s.url, folder).glob("*/*")):
            path.unlink()
            path.symlink_to(target)


def _fifos(s: Store) -> None:
    for path in list(Path(s.url, "objects").glob("*/*")):
        path.unlink()
        os.mkfifo(path)


def _folder_link(s: Store) -> None:
    away = s.folder / "away"
    Path(s.url, "objects").rename(away)
    Path(s.url, "objects").symlink_to("/proc/self/fd")


def _commit(s: Store, payload: bytes) -> None:
    oid = s.raw("commit", payload)
    s.repository.move(PKG, oid, s.tip, "evil")


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _pack(s: Store, data: bytes) -> None:
    name = blake3(data).hexdigest()
    s.file(f"packs/{name}.pack").write_bytes(data)


def _sparse(s: Store, key: str, size: int) -> None:
    path = s.file(key)
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(size)


FINE = (0,)
ANY = (0, 6)
ATTACKS: dict[str, Attack] = {
    "a name that leads up": Attack(lambda s: s.named("..")),
    "a name that is a path": Attack(lambda s: s.named("../../etc/evil")),
    "an absolute name": Attack(lambda s: s.named("/etc/evil")),
    "a name with NUL": Attack(lambda s: s.named("a\0b")),
    "a name that is empty": Attack(lambda s: s.named("")),
    "a name of one dot": Attack(lambda s: s.named(".")),
    "a blob that unpacks to 1 GiB, and says 1,000": Attack(lambda s: _blob_bomb(s, 1000)),
    "a blob that unpacks to 1 GiB, and is another's": Attack(lambda s: _blob_bomb(s, GIGA)),
    "a node that unpacks to 1 GiB": Attack(_node_bomb),
    "a blob of 2^62 bytes": Attack(lambda s: _lengths(s, 2**53 - 1, 2**53 - 1)),
    "a frame that says more than there is": Attack(lambda s: _lengths(s, 1000, 1000)),
    "trees 10,000 deep": Attack(_deep),
    "10^48 paths": Attack(_wide, codes=(0, 6), verify=ANY),
    "10^48 fragments": Attack(_inner),
    "a fragment of a billion rows": Attack(lambda s: _entry(s, 10**9, 9 * 10**9)),
    "a fragment of 2^53 bytes": Attack(lambda s: _entry(s, 2, 2**53 - 1)),
    "a footer of 4 GiB": Attack(lambda s: _fragment(s, _footer_length)),
    "a footer of another file": Attack(_swapped, export=ANY),
    "fragments that are noise": Attack(lambda s: _fragment(s, lambda d: random.Random(1).randbytes(5000))),
    "links to a file of the system": Attack(lambda s: _links(s, "/etc/passwd"), codes=(3, 6, 8)),
    "links to a device without end": Attack(lambda s: _links(s, "/dev/zero"), codes=(3, 6, 8)),
    "links in a ring": Attack(lambda s: _links(s, "ring"), codes=(3, 6, 8)),
    "pipes that nobody writes to": Attack(_fifos, codes=(3, 6, 8)),
    "a folder that is a link": Attack(_folder_link, codes=(3, 6, 8)),
    "a ref entry of 64 MiB": Attack(lambda s: _newest_ref(s, b"[" * (64 << 20))),
    "a ref entry of 256 MiB of nothing": Attack(lambda s: _sparse(s, _newest(s), GIGA // 4)),
    "a ref entry that nests": Attack(lambda s: _newest_ref(s, _nested(100_000))),
    "a ref entry with a number of 10,000 digits": Attack(lambda s: _newest_ref(s, b'{"n":' + b"9" * 10_000 + b"}")),
    "a commit that nests": Attack(lambda s: _commit(s, _nested(100_000))),
    "a commit with a number of 10,000 digits": Attack(lambda s: _commit(s, b'{"time":' + b"9" * 10_000 + b"}")),
    "a format of 1 GiB": Attack(lambda s: _sparse(s, "format", GIGA), verify=(6, 7)),
    "a format that nests": Attack(lambda s: s.file("format").write_bytes(_nested(60_000)), verify=(6, 7)),
    "a pack of noise": Attack(lambda s: _pack(s, random.Random(1).randbytes(5000)), codes=FINE, export=FINE),
    "a pack of 1 GiB of nothing": Attack(lambda s: _sparse(s, f"packs/{'ab' * 32}.pack", GIGA), codes=FINE, export=FINE),
    "a frame of 256 MiB of nothing": Attack(lambda s: _sparse(s, object_key(s.tree), GIGA // 4)),
    "a fragment of 256 MiB of nothing": Attack(lambda s: _sparse(s, fragment_key(s.fragments()[0]), GIGA // 4)),
}  # fmt: skip


# Folders to build from

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BUILD_FILES: dict[str, bytes] = {
    "a billion laughs": LAUGHS.encode(),
    "lists in lists": b"contents: " + _nested(100_000),
    "mappings in mappings": b"contents: " + b"{a: " * 50_000 + b"}" * 50_000,
    "an anchor": b"contents: &x {t: *x}\n",
    "merge keys": b"x: &x {a: 1}\ncontents:\n  <<: *x\n",
    "an object of Python": b"contents: {t: !!python/object/apply:os.system ['touch /tmp/evil']}\n",
    "64 MiB": b"#" * (64 << 20),
    "a key of 8 MiB": b"contents:\n  ? " + b"k" * (8 << 20) + b"\n  : {file: t.csv}\n",
    "a number of 100,000 digits": b"contents: {t: {file: t.csv, meta: {n: " + b"9" * 100_000 + b"}}}\n",
    "sexagesimal": b"contents: {t: {file: t.csv, meta: {n: " + b"9:" * 50_000 + b"9}}}\n",
    "a path that leads up": b"contents: {t: {file: ../../../etc/passwd}}\n",
    "NUL": b"contents: {t: {file: \"a\\0b\"}}\n",
}  # fmt: skip
