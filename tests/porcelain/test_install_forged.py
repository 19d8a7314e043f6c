"""What arrives damaged or forged is refused in words; nothing is published, and what is here stays whole."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import flip, healthy, refs, stored, tip

import dpkg
from dpkg import tables
from dpkg.arrow import fragment
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import stats_batch, stats_row, stats_schema
from dpkg.errors import Corrupt, DpkgError, NotFound
from dpkg.index import build_tree, lookup, read_node
from dpkg.objects import canonical_json, frame
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, Node, TreeEntry
from dpkg.objects.table import Table
from dpkg.odb import Odb, fragment_key, object_key
from dpkg.oid import Oid, digest
from dpkg.repository import Repository

PKG = "acme/x"
ROWS = {"id": list(range(100)), "name": [f"name {i}" for i in range(100)]}


@pytest.fixture
def remote(tmp_path: Path, store: Any) -> Any:
    return type(store)(str(tmp_path / "remote"))


@pytest.fixture
def first(store: Any, remote: Any) -> Oid:
    """A package that is here and there."""
    commit: Oid = remote.commit(PKG, {"t": ROWS, "s": {"b": b"blob"}, "u": {"id": [1]}}, "honest")
    dpkg.install(PKG, remote.url)
    return commit


def refused(store: Any, remote: Any, *said: str, kind: type[DpkgError] = Corrupt) -> None:
    """An install fails in words, here and into an empty store; afterwards here is as before."""
    before = refs(store.url)
    for url in (store.url, store.url + "-empty"):
        with pytest.raises(kind) as caught:
            dpkg.install(PKG, remote.url, store=url)
        assert any(text in caught.value.message for text in said), caught.value.message
        assert caught.value.hint
    assert refs(store.url) == before
    assert tip(store.url + "-empty", PKG) is None
    assert dpkg.verify(store=store.url, deep=True).problems == ()


def error_of(call: Callable[[], Any]) -> DpkgError | None:
    try:
        call()
    except DpkgError as error:
        return error
    return None


class Forger:
    """Writes what an honest writer would not, into a store."""

    def __init__(self, url: str) -> None:
        self.repository = Repository(url)
        self.odb = self.repository.odb
        self.tree = self.repository.resolve(PKG)[2].tree

    def entry(self, path: str) -> TreeEntry:
        return lookup(self.odb, self.tree, path)

    def table(self, path: str = "t") -> Table:
        return tables.read_table_object(self.odb, self.entry(path).oid)

    def leaf(self, path: str = "t") -> Node:
        return read_node(self.odb, self.table(path).fragments, FRAGMENTS)

    def node(self, node: Node) -> Oid:
        return self.odb.write("node", node.encode())

    def put_table(self, path: str = "t", **changes: Any) -> TreeEntry:
        """The entry of a table that is changed in some members."""
        table = replace(self.table(path), **changes)
        return replace(
            self.entry(path), oid=self.odb.write("table", table.encode()), rows=table.rows, bytes=table.bytes
        )

    def fragment(self, batch: pa.RecordBatch, schema: Schema) -> FragmentEntry:
        made = fragment.make([batch], schema)
        self.odb.write_fragment_file(made.entry.oid, fragment.encode(made, schema))
        return made.entry

    def publish(self, *entries: TreeEntry) -> None:
        """A commit whose tree has these entries in place of those of their names."""
        names = {e.name for e in entries}
        honest = [e for e in read_node(self.odb, self.tree, TREE).entries if e.name not in names]
        root = build_tree([*honest, *entries], lambda data: self.odb.write("node", data))
        self.publish_tree(root.oid)

    def publish_tree(self, tree: Oid, *parents: Oid) -> None:
        old = self.repository.tip(PKG)
        assert old
        new = self.repository.make_commit(tree, parents or (old,), "forged")
        self.repository.move(PKG, new, old, "forged")


@pytest.fixture
def forger(first: Oid, remote: Any) -> Forger:
    return Forger(remote.url)


# Damage


def test_every_stored_file_damaged(store: Any, remote: Any) -> None:
    """One byte flipped, or the end cut off, at several places of each file: refused, or it was not needed."""
    remote.commit(PKG, {"t": ROWS, "s": {"b": b"b" * 300}, "big": random.Random(1).randbytes(5 << 20)})
    dpkg.tag(PKG, "v1", store=remote.url)
    tophash = Repository(remote.url).resolve(PKG)[2].tree
    keys = [p for p in Path(remote.url).rglob("*") if p.is_file()]
    kinds = {str(p.relative_to(remote.url)).split("/")[0] for p in keys}
    assert kinds == {"objects", "fragments", "refs", "format"}
    unused = 0
    for path in keys:
        whole = path.read_bytes()
        places = sorted(
            {0, 9, 20, 40, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1} & set(range(len(whole)))
        )
        for i, at in enumerate([*places, -1]):
            flip(path, at) if at >= 0 else path.write_bytes(whole[: len(whole) // 2])
            url = f"memory://{path}/{i}"
            error = error_of(lambda url=url: dpkg.install(PKG, remote.url, store=url))
            if error is None:
                assert "/refs/" in str(path)  # an old entry of a log, which is not read
                assert healthy(url)
                unused += 1
                continue
            assert error.exit_code in (6, 7)
            assert error.hint
            assert remote.url in error.message
            assert list(Repository(url, create=True).refs.packages()) == []
        path.write_bytes(whole)
    assert unused <= 2 * 9  # the births of the branch and the tag
    assert dpkg.install(PKG, remote.url).tophash == tophash


def test_a_stored_file_that_is_missing(store: Any, remote: Any) -> None:
    remote.commit(PKG, {"t": ROWS, "s": {"b": b"b" * 300}, "big": random.Random(1).randbytes(5 << 20)})
    for key in stored(remote.url):
        path = Path(remote.url, key)
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(NotFound, match=remote.url) as caught:
            dpkg.install(PKG, remote.url, store=f"memory://{path}")
        assert caught.value.hint
        path.write_bytes(whole)


def test_a_damaged_local_copy_is_replaced(store: Any, remote: Any, first: Oid) -> None:
    """A fragment that a new table shares with what is here is read, and so its damage is found and repaired."""
    key = next(key for key, size in stored(store.url).items() if key.startswith("fragments/") and size > 1000)
    flip(Path(store.url, key), 500)
    remote.commit(PKG, {"moved": ROWS})
    dpkg.install(PKG, remote.url)
    assert healthy(store.url)


# Forged statistics and fragments


@pytest.mark.spec("IDX-7")
def test_forged_statistics(store: Any, remote: Any, forger: Forger) -> None:
    """A wrong maximum would hide rows from every filter."""
    table, leaf = forger.table(), forger.leaf()
    schema = tables.schema_of(table)
    row = stats_row([pa.array(range(50)), pa.array(["name 1"])], schema)
    stats = forger.fragment(stats_batch([row], schema), stats_schema(schema))
    forged = forger.put_table(fragments=forger.node(replace(leaf, stats=stats.oid)))
    forger.publish(forged)
    refused(store, remote, "are not those of the fragments")


def test_statistics_of_another_shape(store: Any, remote: Any, forger: Forger) -> None:
    leaf = forger.leaf()
    other = forger.leaf("u")
    forger.publish(forger.put_table(fragments=forger.node(replace(leaf, stats=other.stats))))
    refused(store, remote, "damaged")


def spliced(forger: Forger, change: Callable[[pa.Table], pa.Table]) -> bytes:
    """The file of the table's fragment with other rows under the same footer metadata, sealed anew."""
    (entry,) = forger.leaf().entries
    data = forger.odb.read_fragment_file(entry.oid)
    meta = pq.read_metadata(io.BytesIO(data)).metadata
    sink = io.BytesIO()
    rows = change(pq.read_table(io.BytesIO(data)).replace_schema_metadata())
    with pq.ParquetWriter(sink, rows.schema, store_schema=False) as writer:
        writer.write_table(rows)
        pairs = {k: v for k, v in meta.items() if k in (fragment.COLUMNS_KEY, fragment.SCHEMA_KEY)}
        writer.add_key_value_metadata({**pairs, fragment.SEAL_KEY: b"0" * 64})
    return fragment._seal(bytearray(sink.getbuffer()))


@pytest.mark.spec("STO-5")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.set_column(0, "id", pa.array(range(1, 101))), "does not match its digest"),
        (lambda t: t.slice(0, 99), "does not fit the table"),
        (lambda t: t.drop_columns(["name"]), "not the table's"),
        (lambda t: t.append_column("more", pa.nulls(100)), "not the table's"),
        (lambda t: t.set_column(0, "id", t["id"].cast(pa.int32())), "int32"),
        (lambda t: t.set_column(1, "name", t["name"].cast(pa.binary())), "binary"),
    ],
)
def test_spliced_fragments(store: Any, remote: Any, forger: Forger, change: Any, said: str) -> None:
    """Properly sealed, but not what its name says; into a store that does not have it."""
    (entry,) = forger.leaf().entries
    Path(remote.url, fragment_key(entry.oid)).write_bytes(spliced(forger, change))
    with pytest.raises(Corrupt, match=said):
        dpkg.install(PKG, remote.url, store=store.url + "-empty")
    assert tip(store.url + "-empty", PKG) is None
    assert dpkg.verify(store=remote.url, deep=True).problems  # and it is seen there


def test_parquet_that_unpacks_to_far_more_than_said(store: Any, remote: Any, forger: Forger) -> None:
    table = pa.table({"id": pa.array([7] * 1_000_000)})
    schema = Schema.from_arrow(table.schema)
    bomb = forger.fragment(table.combine_chunks().to_batches()[0], schema)
    lie = FragmentEntry(bomb.oid, bomb.rows, 100)
    leaf = Node(FRAGMENTS, 0, (lie,), forger.leaf().stats)
    made = Table(schema.json, (), 4, lie.rows, lie.bytes, forger.node(leaf))
    entry = TreeEntry("t", "table", forger.odb.write("table", made.encode()), lie.bytes, lie.rows)
    forger.publish(entry)
    refused(store, remote, "would unpack to more", "row bytes")


# Forged counts


def _fragment(f: Forger, rows: int, size: int) -> None:
    """A fragment's entry says something else of it, and all above agrees."""
    leaf = f.leaf()
    (entry,) = leaf.entries
    lie = FragmentEntry(entry.oid, entry.rows + rows, entry.bytes + size)
    root = f.node(replace(leaf, entries=(lie,)))
    f.publish(f.put_table(fragments=root, rows=lie.rows, bytes=lie.bytes))


FORGERIES: dict[str, Callable[[Forger], None]] = {
    "rows of a fragment": lambda f: _fragment(f, 1, 0),
    "bytes of a fragment": lambda f: _fragment(f, 0, 1),
    "rows of a table": lambda f: f.publish(f.put_table(rows=101)),
    "bytes of a table": lambda f: f.publish(f.put_table(bytes=7)),
    "rows in a table's entry": lambda f: f.publish(replace(f.entry("t"), rows=5)),
    "bytes in a table's entry": lambda f: f.publish(replace(f.entry("t"), bytes=5)),
    "bytes of a blob": lambda f: f.publish(replace(f.entry("s/b"), name="c", bytes=5)),
    "bytes of a blob below": lambda f: f.publish(
        replace(f.entry("s"), oid=f.node(Node(TREE, 0, (replace(f.entry("s/b"), bytes=99),))), bytes=99)
    ),
    "rows of a tree": lambda f: f.publish(replace(f.entry("s"), rows=1)),
    "bytes of a tree": lambda f: f.publish(replace(f.entry("s"), bytes=1)),
    "entries of a tree": lambda f: f.publish(replace(f.entry("s"), entries=2)),
    "entries of a tree under another name": lambda f: f.publish(replace(f.entry("s"), name="s2", entries=2)),
    "a table where a tree is": lambda f: f.publish(replace(f.entry("s"), type="table", entries=0)),
    "a tree where a table is": lambda f: f.publish(replace(f.entry("t"), type="tree", entries=1)),
    "a blob where a table is": lambda f: f.publish(replace(f.entry("t"), name="x", type="blob", rows=0)),
    "metadata that is a table": lambda f: f.publish(replace(f.entry("t"), meta=f.entry("t").oid)),
    "the fragments of a table as a tree": lambda f: f.publish(
        replace(f.entry("s"), oid=f.table().fragments, rows=100, bytes=f.table().bytes, entries=1)
    ),
    "a tree as fragments": lambda f: f.publish(f.put_table(fragments=f.entry("s").oid, rows=0, bytes=4)),
    "fragments of another schema": lambda f: f.publish(f.put_table(schema=[["id", "int64"], ["nom", "utf8"]])),
    "fragments of another type": lambda f: f.publish(f.put_table(schema=[["id", "uint64"], ["name", "utf8"]])),
    "a schema of unknown types": lambda f: f.publish(f.put_table(schema=[["id", "int65"], ["name", "utf8"]])),
    "a key of a column without order": lambda f: f.publish(_listed(f)),
    "the root tree is a table": lambda f: f.publish_tree(f.entry("t").oid),
    "a parent that is a blob": lambda f: f.publish_tree(f.tree, f.entry("s/b").oid),
    "a tree that is not sorted": lambda f: f.publish_tree(f.node(Node(TREE, 0, (f.entry("t"), f.entry("s"))))),
    "an inner node that lies": lambda f: f.publish_tree(_inner(f)),
    "an inner node of fragments that lies": lambda f: f.publish(_inner_fragments(f)),
    "a node that is not canonical": lambda f: f.publish_tree(
        f.odb.write("node", b'{"kind":"tree", "level":0,"entries":[]}')
    ),
    "a tree too deep": lambda f: f.publish_tree(_deep(f)),
}


def _listed(f: Forger) -> TreeEntry:
    table = pa.table({"l": [[1]]})
    _, made = tables.write_table(f.odb, table.to_batches(), table.schema)
    lie = replace(made, key=("l",))
    return TreeEntry("l", "table", f.odb.write("table", lie.encode()), lie.bytes, lie.rows)


def _inner(f: Forger) -> Oid:
    entries = tuple(TreeEntry(f"f{i:05}", "blob", f.entry("s/b").oid, 4) for i in range(3000))
    root = build_tree(entries, lambda data: f.odb.write("node", data))
    node = read_node(f.odb, root.oid, TREE)
    one = node.entries[1]
    return f.node(replace(node, entries=(node.entries[0], replace(one, bytes=one.bytes + 4), *node.entries[2:])))


def _inner_fragments(f: Forger) -> TreeEntry:
    """A root over the honest leaf, twice, that says one row less."""
    from dpkg.objects.node import InnerEntry

    table, leaf = f.table(), f.leaf()
    (entry,) = leaf.entries
    honest = InnerEntry(entry.oid, table.fragments, 1, entry.rows, entry.bytes, FRAGMENTS)
    root = f.node(Node(FRAGMENTS, 1, (honest, replace(honest, rows=99))))
    return f.put_table(fragments=root, rows=199, bytes=2 * entry.bytes)


def _deep(f: Forger) -> Oid:
    at = f.entry("s")
    for _ in range(200):
        at = replace(at, name="d", oid=f.node(Node(TREE, 0, (at,))), entries=1)
    return at.oid


@pytest.mark.spec("IDX-1", "IDX-5", "OBJ-1", "OBJ-2")
@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries(store: Any, remote: Any, forger: Forger, name: str) -> None:
    FORGERIES[name](forger)
    refused(
        store,
        remote,
        "damaged",
        "malformed",
        "does not hold",
        "is not what",
        "is a ",
        "forged",
        "deep",
        "row bytes",
        "kind",
    )
    assert dpkg.verify(store=remote.url, deep=True).problems


def test_a_commit_that_is_malformed(store: Any, remote: Any, forger: Forger) -> None:
    value = canonical_json.decode(forger.odb.read(forger.repository.tip(PKG) or forger.tree, "commit")) | {
        "time": "now"
    }
    bad = forger.odb.write("commit", canonical_json.encode(value))
    forger.repository.move(PKG, bad, forger.repository.tip(PKG), "forged")
    refused(store, remote, "malformed")


def test_one_object_under_the_name_of_another(store: Any, remote: Any, forger: Forger) -> None:
    odb: Odb = forger.odb
    forger.publish(TreeEntry("new", "blob", digest("blob", b"good"), 4))
    odb.backend.put(object_key(digest("blob", b"good")), frame.pack("blob", b"evil"))
    refused(store, remote, "bytes are those of another object")
    odb.backend.put(object_key(digest("blob", b"good")), frame.pack("blob", b"good"))
    large = random.Random(1).randbytes(5 << 20)
    forger.publish(TreeEntry("new", "blob", digest("blob", large), len(large)))
    other = odb.write("blob", bytes(5 << 20))
    odb.backend.put(object_key(digest("blob", large)), odb.backend.get(object_key(other)))
    refused(store, remote, "chunks are those of another blob")


@pytest.mark.spec("STO-2")
def test_a_blob_that_unpacks_to_more_than_said(store: Any, remote: Any, forger: Forger) -> None:
    bomb = bytes(200 << 20)
    oid = forger.odb.write("blob", bomb)
    forger.publish(TreeEntry("new", "blob", oid, 1000))
    refused(store, remote, "and 1,000 were said")


def test_a_blob_that_holds_less_than_said(store: Any, remote: Any, forger: Forger) -> None:
    oid = forger.odb.write("blob", b"12345")
    forger.publish(TreeEntry("new", "blob", oid, 1000))
    refused(store, remote, "and 1,000 were said")


def test_many_ways_to_one_node_are_walked_once(store: Any, remote: Any, forger: Forger) -> None:
    """Trees that name the same tree twice, 60 deep: 2^60 paths."""
    at = forger.entry("s")
    for _ in range(50):
        both = tuple(replace(at, name=n) for n in ("a", "b"))
        at = replace(at, oid=forger.node(Node(TREE, 0, both)), entries=2, bytes=2 * at.bytes)
    forger.publish_tree(at.oid)
    dpkg.install(PKG, remote.url)
    assert dpkg.verify(store=store.url).problems == ()
