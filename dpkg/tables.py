"""Tables in an odb: batches in, fragments, index and table object out; and back. In memory: a few fragments."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from dpkg.arrow import fragment
from dpkg.arrow import scan as scanning
from dpkg.arrow.boundaries import Cutter, Rows, gathered
from dpkg.arrow.encodings import Encodings
from dpkg.arrow.normal import normalise
from dpkg.arrow.profile import Part
from dpkg.arrow.schema import Schema, no_column
from dpkg.arrow.sort import check_key, sort_by_key
from dpkg.arrow.stats import StatsRow, stats_batch, stats_row, stats_schema
from dpkg.arrow.tableprofile import Columns, TableProfile
from dpkg.errors import Corrupt, DpkgError, Format
from dpkg.index import IndexBuilder, leaves, read_node
from dpkg.objects.node import FRAGMENTS, FragmentEntry, Node
from dpkg.objects.table import Table
from dpkg.odb import is_remote
from dpkg.odb.layout import profile_key
from dpkg.oid import Oid
from dpkg.sketches import coding

if TYPE_CHECKING:
    import pyarrow as pa

    from dpkg.odb import Odb

WORKERS = max(2, min(8, os.cpu_count() or 2))
REMOTE_WORKERS = 8  # requests at once: they mostly wait
Look = Callable[[int, fragment.Fragment], None]  # the number of its first row, and a fragment


def write_table(
    odb: Odb,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    key: tuple[str, ...] = (),
    progress: Callable[[int], None] | None = None,
    look: Callable[[Schema], Look] | None = None,
) -> tuple[Oid, Table]:
    """Store a stream of record batches of one Arrow schema as a table; `progress` is told rows as they are stored.

    `look`, given the schema, gives what looks at each fragment while it is in memory, in any thread and order.

    Raises Format for types and values that a table cannot hold, CheckFailed for a key that is not unique.
    """
    canonical, plain = plain_rows(schema, batches, key)
    cutter = Cutter(canonical, key)
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="dpkg-fragment")
    try:
        index = _TableIndex(odb, canonical, pool)
        for made, known in _encoded(odb, cutter.cut(plain), canonical, look(canonical) if look else None, pool):
            index.add(made, known)
            if progress:
                progress(made.entry.rows)
        root = index.finish()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    table = Table(canonical.json, key, cutter.target_rows, root.rows, root.bytes, root.oid)
    return odb.write("table", table.encode()), table


def plain_rows(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], key: tuple[str, ...] = ()
) -> tuple[Schema, Iterator[pa.RecordBatch]]:
    """The schema of a table and its rows in order, as plain batches. Raises as `write_table` does."""
    canonical = Schema.from_arrow(schema)
    plain = gathered(p for b in batches for p in normalise(b, canonical))
    if key:
        check_key(canonical, key)  # before anything is read
        plain = sort_by_key(plain, canonical, key)
    return canonical, plain


def _encoded(
    odb: Odb, fragments: Iterable[Rows], schema: Schema, look: Look | None, pool: Executor
) -> Iterator[tuple[fragment.Fragment, bool]]:
    """Fragments stored by a few threads (Arrow and BLAKE3 release the GIL), in order; and whether they were there before."""
    pending: deque[Future[tuple[fragment.Fragment, bool]]] = deque()
    encodings = Encodings()
    start = 0
    for rows in fragments:
        see = partial(look, start) if look else None
        pending.append(pool.submit(_store, odb, rows, schema, encodings, see))
        start += sum(batch.num_rows for batch in rows)
        while len(pending) > WORKERS + 1:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _store(
    odb: Odb,
    rows: Rows,
    schema: Schema,
    encodings: Encodings | None = None,
    look: Callable[[fragment.Fragment], None] | None = None,
) -> tuple[fragment.Fragment, bool]:
    made = fragment.make(rows, schema)
    if look:
        look(made)
    known = odb.has_fragment(made.entry.oid)
    if not known:
        odb.write_fragment_file(made.entry.oid, fragment.encode(made, schema, encodings))
    return made, known


class _TableIndex:
    """The index of a table being written, with statistics (IDX-6) and a profile (PRO-1) of each leaf, and a profile of all."""

    def __init__(self, odb: Odb, schema: Schema, pool: Executor) -> None:
        self._odb = odb
        self._schema, self._stats_schema = schema, stats_schema(schema)
        self._rows: list[StatsRow] = []
        self._profile = TableProfile(schema, pool, _Runs(odb, schema))
        self._profiled: tuple[int, Columns | None] = (0, None)  # of the leaf that is written next
        self._builder = IndexBuilder(FRAGMENTS, self._node, self._leaf)

    def add(self, made: fragment.Fragment, known: bool) -> None:
        self._rows.append(made.stats)
        self._profile.add(Part(made.entry, made.columns, made.stats), known)
        self._builder.add(made.entry)

    def _leaf(self, count: int) -> Oid:
        """The most entries of fragments are smaller than a node may be: so a leaf ends with that which was added last."""
        rows, self._rows = self._rows, []
        assert len(rows) == count
        self._profiled = self._profile.end_leaf()
        return _store(self._odb, [stats_batch(rows, self._schema)], self._stats_schema)[0].entry.oid

    def _node(self, data: bytes) -> Oid:
        oid = self._odb.write("node", data)
        self._keep(oid, *self._profiled)
        self._profiled = 0, None
        return oid

    def _keep(self, oid: Oid, rows: int, found: Columns | None) -> None:
        if found is not None:
            with suppress(DpkgError):  # it is of use, not needed
                self._odb.backend.put(profile_key(coding.FORM, oid), coding.encode(found, rows))

    def finish(self) -> Any:
        root = self._builder.finish()
        if self._profile.leaves > 1:
            self._keep(root.oid, root.rows, self._profile.finish())
        return root


class _Runs:
    """Profiles of runs of fragments, under the oid of the first one: of runs that did not change nothing is made again."""

    def __init__(self, odb: Odb, schema: Schema) -> None:
        self._odb, self._schema = odb, schema

    def load(self, first: FragmentEntry) -> tuple[list[str], Columns] | None:
        with suppress(DpkgError):
            found = self._odb.backend.get(profile_key(coding.FORM, first.oid))
            return coding.decode_run(found, len(self._schema.names))
        return None

    def keep(self, run: list[FragmentEntry], found: Columns) -> None:
        data = coding.encode(found, sum(entry.rows for entry in run), [entry.oid for entry in run])
        with suppress(DpkgError):  # it is of use, not needed
            self._odb.backend.put(profile_key(coding.FORM, run[0].oid), data)

    def read(self, entry: FragmentEntry) -> Part:
        return read_part(self._odb, entry, self._schema)


def read_part(odb: Odb, entry: FragmentEntry, schema: Schema) -> Part:
    """A fragment that is stored, verified. Raises NotFound, Corrupt."""
    columns = open_fragment(odb, entry, schema).read()
    return Part(entry, columns, stats_row(columns, schema))


def read_table_object(odb: Odb, oid: Oid) -> Table:
    """A table object. Raises Corrupt where it is malformed."""
    try:
        return Table.decode(odb.read(oid, "table"))
    except Format as e:
        raise Corrupt(f"table {oid} is malformed: {e.message}", "run 'dpk verify'") from None


def open_fragment(odb: Odb, entry: FragmentEntry, schema: Schema, whole: bool = True) -> fragment.Reader:
    """A fragment's reader, on the file itself where the store is local. `whole`: most of its columns will be read."""
    return fragment.Reader(fragment_source(odb, entry.oid, whole), entry, schema)


def fragment_source(odb: Odb, oid: Oid, whole: bool = True) -> Any:
    """The file of a fragment: its path where it has one; else all of it, or a file that gets what is read.

    Raises NotFound, Corrupt.
    """
    return odb.fragments.source(oid, whole)


def leaf_stats(odb: Odb, node: Node, schema: Schema, columns: Sequence[str] | None = None) -> pa.RecordBatch | None:
    """The statistics of a leaf's fragments, a row each; None for an empty leaf. Verified as any fragment is."""
    if node.stats is None:
        return None
    made = stats_schema(schema)
    return fragment.read_stats(fragment_source(odb, node.stats), node.stats, len(node.entries), made, columns)


def schema_of(table: Table) -> Schema:
    """The schema with its types. Raises Corrupt where the table object holds none, or a key that cannot be one."""
    try:
        schema = Schema.from_json(table.schema)
        check_key(schema, table.key)
        return schema
    except Format as e:
        raise Corrupt(f"table {table.oid} is malformed: {e.message}", "run 'dpk verify'") from None


def table_leaves(odb: Odb, table: Table) -> Iterator[Node]:
    """The index leaves of a table."""
    return leaves(odb, table.fragments, FRAGMENTS)


def scan(odb: Odb, table: Table, columns: Sequence[str] | None = None, filter: Any = None) -> Iterator[pa.RecordBatch]:
    """The rows of a table in order, a batch for each fragment, with the types a reader returns; each column verified.

    `columns` (default all) and what `filter` needs are all that is read, and of no fragment whose statistics rule the
    filter out.
    Raises Usage for unknown columns or a filter that does not fit, Corrupt for damage.
    """
    schema = schema_of(table)
    names = pick_columns(schema, columns)
    given = None if filter is None else scanning.expression(filter)
    needed = scanning.columns_of(given, schema) if given is not None else []
    whole = given is None and len(set(names)) == len(schema.names)
    pending: deque[Future[pa.RecordBatch]] = deque()
    workers = REMOTE_WORKERS if is_remote(odb.backend) else WORKERS
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dpkg-scan")

    def read(entry: FragmentEntry) -> pa.RecordBatch:
        return scanning.read_rows(open_fragment(odb, entry, schema, whole), schema, names, given, needed)

    try:
        for entry in _selected(odb, table, schema, given, needed):
            pending.append(pool.submit(read, entry))
            while len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _selected(odb: Odb, table: Table, schema: Schema, given: Any, needed: list[str]) -> Iterator[FragmentEntry]:
    for leaf in table_leaves(odb, table):
        stats = leaf_stats(odb, leaf, schema, needed) if needed else None
        if stats is None:
            yield from leaf.entries
        else:
            kept = scanning.survivors(stats, schema, given, needed)
            yield from (e for e, keep in zip(leaf.entries, kept, strict=True) if keep)


def pick_columns(schema: Schema, columns: Sequence[str] | None) -> list[str]:
    """The columns asked for, all if None. Raises Usage for one that is not there, naming the nearest."""
    if columns is None:
        return list(schema.names)
    if isinstance(columns, str):
        columns = [columns]
    for name in columns:
        if name not in schema.names:
            raise no_column(name, schema.names)
    return list(columns)


def user_schema(table: Table, columns: Sequence[str] | None = None) -> pa.Schema:
    """The Arrow schema that `scan` gives."""
    schema = schema_of(table)
    return schema.select(pick_columns(schema, columns)).arrow


def head(odb: Odb, table: Table, rows: int) -> pa.Table:
    """The first rows of a table; no more fragments are read than needed."""
    found, left = [], rows
    for batch in scan_few(odb, table):
        found.append(batch.slice(0, left))
        left -= found[-1].num_rows
        if left <= 0:
            break
    return as_table(found, user_schema(table))


def scan_few(odb: Odb, table: Table) -> Iterator[pa.RecordBatch]:
    """All rows, a fragment at a time, none read ahead."""
    schema = schema_of(table)
    for leaf in table_leaves(odb, table):
        for entry in leaf.entries:
            yield scanning.read_rows(open_fragment(odb, entry, schema), schema, list(schema.names), None, [])


def as_table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Batches of one schema as a table."""
    return scanning.as_table(batches, schema)


def count_fragments(odb: Odb, table: Table) -> int:
    """The number of fragments, from the root of the index alone."""
    return sum(e.counts[0] for e in read_node(odb, table.fragments, FRAGMENTS).entries)


def read_fragment(odb: Odb, oid: Oid, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    """The rows of one fragment, which says itself what it holds; verified. Raises NotFound, Corrupt, Usage."""
    source = fragment_source(odb, oid)
    entry, schema = fragment.describe(source, oid)
    return scanning.read_rows(fragment.Reader(source, entry, schema), schema, pick_columns(schema, columns), None, [])
