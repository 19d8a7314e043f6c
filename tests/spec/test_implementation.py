"""dpkg gives what every vector expects (spec/vectors/README.md): the second reader's oids, digests and refusals.

Data goes in as it does in use: Arrow record batches through `write_table`, objects through an odb on a store in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reader
import vector_inputs
from arrow_forms import FORMS, Form, batch, extension_type, values_of
from vector_cases import Case, Json, cases, refused

from dpkg import tables
from dpkg.arrow import fragment, mix, stats, values
from dpkg.arrow.boundaries import Cutter
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.arrow.sort import sort_by_key
from dpkg.arrow.types import Type
from dpkg.errors import CheckFailed, DpkgError
from dpkg.index import IndexBuilder, build_tree, fragment_entries, tree_entries
from dpkg.objects import canonical_json, frame
from dpkg.objects.node import FRAGMENTS, Node, TreeEntry
from dpkg.odb import Odb
from dpkg.oid import Oid, context, digest
from dpkg.store.memory import MemoryBackend

# ------------------------------------------------------------------------------------------------ oids, canonical JSON


@pytest.mark.spec("OID-1", "OID-2", "OID-3")
@pytest.mark.parametrize("case", cases("oids"))
def test_oids(case: Case) -> None:
    kind, data = case["input"]["kind"], reader.pieces(case["input"]["pieces"])
    oid = digest(kind, data)
    assert oid == case["expected"]["oid"]
    assert oid.raw.hex() == oid
    assert len(oid.raw) == 32
    assert kind == "blob" or context(kind) == case["expected"]["context"]
    if kind in frame.CODES:
        hasher = frame.new_hasher(kind)
        hasher.update(data[:7])
        hasher.update(data[7:])
        assert hasher.hexdigest() == oid
        assert Odb(MemoryBackend()).write(kind, data) == oid


@pytest.mark.spec("OID-1")
@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, " " + "0" * 63, "0" * 63 + "\n", "٠" * 64]
)
def test_what_is_no_oid(text: str) -> None:
    with pytest.raises(DpkgError):
        Oid(text)


@pytest.mark.spec("JSON-1", "JSON-2", "JSON-3", "JSON-4", "JSON-5", "JSON-6")
@pytest.mark.parametrize("case", cases("canonical_json"))
def test_canonical_json(case: Case) -> None:
    form, expected = case["input"], case["expected"]
    if "value" in form:
        if not refused(expected, lambda: canonical_json.encode(form["value"])):
            data = canonical_json.encode(form["value"])
            assert data.hex() == expected["hex"]
            assert canonical_json.decode(data) == form["value"]
        return
    data = reader.pieces(form["pieces"])
    if not refused(expected, lambda: canonical_json.decode(data)):
        assert canonical_json.encode(canonical_json.decode(data)) == data


# ---------------------------------------------------------------------------------------------------- types and values


@pytest.mark.spec("TYPE-1", "TYPE-5", "TYPE-6", "TYPE-7")
@pytest.mark.parametrize("case", cases("types"))
def test_types(case: Case) -> None:
    form, expected = case["input"], case["expected"]
    t = form.get("type")
    schema = form.get("schema", [["a", t]])
    if refused(expected, lambda: Schema.from_json(schema)):
        return
    made = Schema.from_json(schema)
    assert made.json == schema
    if "type" in form:
        assert canonical_json.encode(made.types[0].json).decode() == expected["text"]
    else:
        assert canonical_json.encode(made.json).decode() == expected["text"]
        assert made.digest == expected["digest"]
    assert made.plain.names == [name for name, _ in schema]


@pytest.mark.spec("TYPE-1", "TYPE-3")
@pytest.mark.parametrize("case", cases("types"))
def test_types_from_arrow(case: Case) -> None:
    """What a reader gets back has the type again: by way of Arrow's schema, where Arrow can say it."""
    form = case["input"]
    schema = form["schema"] if "schema" in form else [["a", form["type"]]]
    if "refused" in case["expected"]:
        return
    made = Schema.from_arrow(batch(schema, [[] for _ in schema]).schema)
    assert made.json == schema
    assert Schema.from_arrow(made.arrow).json == schema


def plain_columns(schema: Json, columns: Sequence[Sequence[Any]], form: Form = FORMS["plain"]) -> pa.RecordBatch:
    """Columns as one plain batch, by way of the Arrow form they arrive in."""
    arrived = batch(schema, columns, form)
    made = Schema.from_arrow(arrived.schema)
    assert made.json == schema
    (plain,) = normalise(arrived, made)
    plain.validate(full=True)
    return plain


@pytest.mark.spec("VAL-1", "VAL-3", "VAL-5", "TYPE-2", "TYPE-3", "ROW-1", "ROW-2")
@pytest.mark.parametrize("form", FORMS)
def test_columns(form: str) -> None:
    """Each column in each form that Arrow has for it."""
    for case in reader.load_vectors("columns"):
        t, expected = case["input"]["type"], case["expected"]
        column = reader.column_of(case["input"]["values"], t)
        array, made = plain_columns([["a", t]], [column], FORMS[form]).column(0), Schema.from_json([["a", t]]).types[0]
        check_column(array, made, expected, case["name"])
        assert_values(array, t, column)


def check_column(array: pa.Array, t: Type, expected: Json, name: str) -> None:
    assert values.column_digest(array, t).hex() == expected["digest"], name
    assert values.total_bytes(array, t) == expected["bytes"], name
    assert values.row_bytes(array, t).sum() == expected["bytes"], name
    assert [f"{word:016x}" for word in mix.cells(array, t)] == expected["cells"], name
    if "stream" in expected:
        pieces: list[bytes] = []
        values.stream(array, t, lambda piece: pieces.append(bytes(piece)))
        assert b"".join(pieces).hex() == expected["stream"], name


def assert_values(array: pa.Array, t: Json, column: list[Any]) -> None:
    """The array holds the column's values: floats may have another NaN."""
    assert reader.stream(values_of(array, t), t) == reader.stream(column, t)


@pytest.mark.spec("VAL-5")
@pytest.mark.parametrize("form", FORMS)
def test_null_map_keys_are_refused(form: str) -> None:
    # Arrow itself refuses them, unless they hide in a dictionary
    keys = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["a", None]))
    array = pa.MapArray.from_arrays(pa.array([0, 2], pa.int32()), keys, pa.array([1, 2], pa.int8()))
    arrived = pa.RecordBatch.from_arrays([array], ["m"])
    with pytest.raises(DpkgError):
        list(normalise(arrived, Schema.from_arrow(arrived.schema)))
    column = [None, [["a", 1]], None]  # a null below a null is none
    plain_columns([["m", {"map": ["utf8", "int8"]}]], [column], FORMS[form])


@pytest.mark.spec("VAL-2", "VAL-4", "TYPE-7", "STO-4")
@pytest.mark.parametrize("case", cases("fragments"))
def test_fragments(case: Case) -> None:
    schema, columns = reader.table_of(case["input"])
    expected, made = case["expected"], Schema.from_json(schema)
    assert made.digest == expected["schema"]
    plain = plain_columns(schema, columns)
    n = plain.num_rows
    for rows in (
        [plain],
        [plain.slice(0, n // 3), plain.slice(n // 3)],
        [plain.slice(i, 1) for i in range(min(n, 20))],
    ):
        if sum(piece.num_rows for piece in rows) < n or not rows:
            continue
        got = fragment.make(rows, made)
        assert [column.hex() for column in got.digests] == expected["columns"]
        assert (got.entry.rows, got.entry.bytes, got.entry.oid) == (n, expected["bytes"], expected["oid"])
    if n:
        data = fragment.encode(got, made)
        check_file(data, schema, expected)
        again = fragment.Reader(pa.BufferReader(data), got.entry, made).read()
        for array, (_, t), column in zip(again, schema, columns, strict=True):
            assert_values(array, t, column)


def check_file(data: bytes, schema: Json, expected: Json) -> None:
    """A fragment's file is plain Parquet with column digests, its schema and a seal (STO-4)."""
    fragment.check_seal(data)
    footer = pq.read_metadata(pa.BufferReader(data))
    seal = footer.metadata[b"dpkg.seal"]
    assert max(footer.metadata, key=data.rindex) == b"dpkg.seal"
    assert footer.metadata[b"dpkg.columns"].decode() == "".join(expected["columns"])
    assert footer.metadata[b"dpkg.schema"] == reader.encode(schema)
    assert b"ARROW:schema" not in footer.metadata
    assert data.count(seal) == 1
    assert blake3.blake3(data.replace(seal, b"0" * 64)).hexdigest() == seal.decode()
    assert (footer.num_rows, footer.num_row_groups) == (expected["rows"], 1)
    assert pq.read_schema(pa.BufferReader(data)).names == [name for name, _ in schema]


@pytest.mark.spec("TYPE-4")
def test_seconds_and_days() -> None:
    """What becomes milliseconds and days; and what cannot."""
    day, most = 86_400_000, 2**63 // 1000
    seconds, zoned = pa.timestamp("s"), pa.timestamp("s", "UTC")
    accepted = [
        (seconds, [0, None, -1, most], {"timestamp": ["ms"]}, [0, None, -1000, 1000 * most]),
        (zoned, [-most], {"timestamp": ["ms", "UTC"]}, [-1000 * most]),
        (pa.duration("s"), [most, -most], {"duration": "ms"}, [1000 * most, -1000 * most]),
        (pa.time32("s"), [0, 86_399, None], "time_ms", [0, 86_399_000, None]),
        (pa.date64(), [0, None, day, -day], "date", [0, None, 1, -1]),
    ]
    for kind, numbers, t, wanted in accepted:
        column = pa.array(numbers, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)
        arrived = pa.record_batch([column], ["a"])
        schema = Schema.from_arrow(arrived.schema)
        assert schema.json == [["a", t]]
        (plain,) = normalise(arrived, schema)
        assert_values(plain.column(0), t, wanted)
    for kind, number in (
        (seconds, most + 1),
        (zoned, -most - 1),
        (pa.duration("s"), most + 1),
        (pa.date64(), 1),
        (pa.date64(), -day - 1),
        (pa.date64(), day * 2**31),
    ):
        arrived = pa.record_batch([pa.array([0, number, None], pa.int64()).view(kind)], ["a"])
        with pytest.raises(DpkgError):
            list(normalise(arrived, Schema.from_arrow(arrived.schema)))


# ----------------------------------------------------------------------------------------------------- sorting, tables


@pytest.mark.spec("ROW-6", "ROW-7")
@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("case", cases("sorting"))
def test_sorting(case: Case, rows: int) -> None:
    schema, columns = reader.table_of(case["input"])
    expected, key = case["expected"], tuple(case["input"]["key"])
    numbered = [*schema, ["row number", "int64"]]
    count = len(columns[0])
    plain = plain_columns(numbered, [*columns, list(range(count))])
    made = Schema.from_json(numbered)

    def work() -> list[pa.RecordBatch]:
        pieces = [plain.slice(start, rows) for start in range(0, count, rows)]
        return list(sort_by_key(iter(pieces), made, key))

    if "refused" not in expected:
        assert [n for piece in work() for n in piece.column("row number").to_pylist()] == expected["order"]
        return
    with pytest.raises(CheckFailed if "key" in expected else DpkgError) as caught:
        work()
    types = dict(schema)
    for name, form in zip(key, expected.get("key", []), strict="key" in expected):
        shown = float("nan") if types[name] == "float64" else reader.from_form(form, types[name])
        assert f"{name}={shown!r}" in caught.value.message


Batching = Callable[[pa.RecordBatch], Iterator[pa.RecordBatch]]


def whole(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    yield rows


def every(count: int) -> Batching:
    """Batches of so many rows."""

    def cut(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield from (rows.slice(start, count) for start in range(0, rows.num_rows, count))

    return cut


def uneven(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Batches of any size, some without rows, some that share no memory with the others."""
    random, start = np.random.default_rng(20), 0
    while start < rows.num_rows:
        count = int(random.choice([0, 1, 2, 31, 32, 33, 500, 4097, 20_000]))
        piece = rows.slice(start, count)
        yield pa.concat_batches([piece]) if count % 2 else piece
        start += count


def write(odb: Odb, form: Json, arrived: pa.RecordBatch, batching: Batching) -> tuple[Oid, Any]:
    return tables.write_table(odb, batching(arrived), arrived.schema, tuple(form["key"]))


@pytest.mark.spec("ROW-1", "ROW-2", "ROW-3", "ROW-4", "ROW-5", "ROW-6", "ROW-7", "OBJ-1", "IDX-2", "IDX-6", "VAL-3")
@pytest.mark.parametrize("case", cases("boundaries"))
def test_tables(case: Case) -> None:
    """Whole tables through write_table, arriving in several ways, and back through scan."""
    form, expected = case["input"], case["expected"]
    schema, columns = reader.table_of(form)
    arrived = batch(schema, columns)
    odb = Odb(MemoryBackend())
    for batching in (whole, uneven, *([every(1), every(7)] if arrived.num_rows <= 100 else [])):
        if refused(expected, lambda how=batching: write(odb, form, arrived, how)):
            continue
        oid, table = write(odb, form, arrived, batching)
        check_table(odb, oid, table, expected)
    if "refused" not in expected:
        plain = rows_in_order(arrived, form["key"])
        check_levels(plain, form["key"], expected)
        check_scan(odb, table, plain)


@pytest.mark.long
@pytest.mark.spec("ROW-3", "VAL-3")
@pytest.mark.parametrize("batching", [every(1000), every(31), every(65_535)])
@pytest.mark.parametrize("case", cases("boundaries"))
def test_tables_in_more_batchings(case: Case, batching: Batching) -> None:
    form, expected = case["input"], case["expected"]
    arrived = batch(*reader.table_of(form))
    odb = Odb(MemoryBackend())
    if not refused(expected, lambda: write(odb, form, arrived, batching)):
        check_table(odb, *write(odb, form, arrived, batching), expected)


@pytest.mark.spec("VAL-3", "TYPE-2")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["10 rows", "all types, 9 rows", "no rows", "2 bools: target_rows at most 2^20"])
def test_tables_in_each_form(name: str, form: str) -> None:
    case = next(case for case in reader.load_vectors("boundaries") if case["name"] == name)
    arrived = batch(*reader.table_of(case["input"]), FORMS[form])
    odb = Odb(MemoryBackend())
    for batching in (whole, every(2)):
        check_table(odb, *write(odb, case["input"], arrived, batching), case["expected"])


def check_table(odb: Odb, oid: Oid, table: Any, expected: Json) -> None:
    """The table, its index and its fragments are those that the vector expects."""
    assert table.target_rows == expected["target_rows"]
    entries = list(fragment_entries(odb, table.fragments))
    for name in ("rows", "bytes", "oid"):
        assert [getattr(entry, name) for entry in entries] == expected["fragments"][name]
    check_index(descend(odb, table.fragments), expected["index"])
    assert odb.read(oid, "table").decode() == expected["table"]["text"]
    assert oid == expected["table"]["oid"]
    assert tables.read_table_object(odb, oid) == table
    assert tables.schema_of(table).json == json.loads(expected["table"]["text"])["schema"]


def rows_in_order(arrived: pa.RecordBatch, key: list[str]) -> list[pa.RecordBatch]:
    """The table's rows in its order, plain, in batches."""
    made = Schema.from_arrow(arrived.schema)
    plain = normalise(arrived, made)
    return list(sort_by_key(plain, made, tuple(key)) if key else plain)


def check_levels(plain: list[pa.RecordBatch], key: list[str], expected: Json) -> None:
    """Mixes and levels of the table's rows."""
    mixes, levels = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    schema = Schema.from_json(json.loads(expected["table"]["text"])["schema"])
    places = [schema.names.index(name) for name in key] or range(len(schema.names))
    before = np.zeros(mix.REACH, np.uint64)
    for rows in plain:
        mixes.append(mix.row_mixes([rows.column(i) for i in places], [schema.types[i] for i in places]))
        levels.append(mix.levels(mixes[-1], before))
        before = np.concatenate([before, mixes[-1]])[-mix.REACH :]
    assert [f"{x:016x}" for x in np.concatenate(mixes)[:40]] == expected["mixes"]
    all_levels = np.concatenate(levels)
    assert [f"{x:08x}" for x in all_levels[:40]] == expected["levels"]
    assert blake3.blake3(all_levels.astype("<u4").tobytes()).hexdigest() == expected["all_levels"]


def check_scan(odb: Odb, table: Any, plain: list[pa.RecordBatch]) -> None:
    """What is read back is what was written, with the same digests."""
    got = [rows for rows in tables.scan(odb, table) if rows.num_rows]
    assert sum(rows.num_rows for rows in got) == sum(rows.num_rows for rows in plain) == table.rows
    schema = tables.schema_of(table)
    if not got:
        return
    again = [rows for piece in got for rows in normalise(piece, schema)]
    for i, t in enumerate(schema.types):
        one, other = (pa.concat_arrays([rows.column(i) for rows in side]) for side in (again, plain))
        assert values.column_digest(one, t) == values.column_digest(other, t)


DEEP_VALUES: dict[str, Callable[[Any], Any]] = {
    "maps": lambda value: [["key", value]],
    "maps of keys": lambda value: [[value, "value"]],
}


@pytest.mark.spec("TYPE-1")
@pytest.mark.parametrize("name", vector_inputs.WRAPS)
def test_the_deepest_tables(name: str) -> None:
    """The deepest types are stored and read again."""
    t, value = vector_inputs.deep(1), 5
    for _ in range(32):
        t = vector_inputs.WRAPS[name](t)
        value = value if "extension" in t else DEEP_VALUES.get(name, lambda inner: [inner])(value)
    schema, columns = [["a", t]], [[value, None, value]]
    arrived, odb = batch(schema, columns), Odb(MemoryBackend())
    oid, table = tables.write_table(odb, [arrived], arrived.schema)
    assert oid == reader.build_table(schema, columns).oid
    check_scan(odb, table, rows_in_order(arrived, []))
    with pytest.raises(DpkgError):
        Schema.from_arrow(pa.schema([pa.field("a", pa.list_(arrived.schema.field(0)))]))


def union() -> pa.Array:
    return pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1]), pa.array(["x"])])


def not_utf8(text: bytes, t: pa.DataType = pa.string()) -> pa.Array:  # noqa: B008
    offsets = pa.array([0, len(text)], pa.int64() if t == pa.large_string() else pa.int32())
    return pa.Array.from_buffers(t, 1, [None, offsets.buffers()[1], pa.py_buffer(text)])


REFUSED = {
    "union": lambda: union(),
    "a union in a list": lambda: pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), union()),
    "interval": lambda: pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "negative scale": lambda: pa.nulls(1, pa.decimal128(5, -1)),
    "scale above the precision": lambda: pa.nulls(1, pa.decimal128(2, 3)),
    "width 0": lambda: pa.nulls(1, pa.binary(0)),
    "list of 0": lambda: pa.nulls(1, pa.list_(pa.int8(), 0)),
    "struct without fields": lambda: pa.nulls(1, pa.struct([])),
    "duplicate fields": lambda: pa.nulls(1, pa.struct([("x", pa.int8()), ("x", pa.int8())])),
    "pickled extension": lambda: pa.ExtensionArray.from_storage(
        extension_type("arrow.py_extension_type", b"", pa.int8()), pa.array([1], pa.int8())
    ),
    "no UTF-8": lambda: not_utf8(b"\xff"),
    "cut UTF-8": lambda: not_utf8(b"a\xc3"),
    "surrogate": lambda: not_utf8(b"\xed\xa0\x80"),
    "no UTF-8, large": lambda: not_utf8(b"\xc0\xaf", pa.large_string()),
    "no UTF-8 in a dictionary": lambda: pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), not_utf8(b"\xff")),
    "no UTF-8 in a struct": lambda: pa.StructArray.from_arrays([not_utf8(b"\xff")], ["x"]),
}


@pytest.mark.spec("TYPE-5")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_by_name(name: str) -> None:
    column = REFUSED[name]()
    arrived = pa.RecordBatch.from_arrays([pa.array([1] * len(column)), column], ["fine", "the column"])
    odb = Odb(MemoryBackend())
    with pytest.raises(DpkgError, match="the column"):
        tables.write_table(odb, [arrived], arrived.schema)
    assert list(odb.backend.list("")) == []


@pytest.mark.spec("TYPE-5", "TYPE-6")
def test_what_schemas_are_refused() -> None:
    ints = pa.int8()
    for schema in (pa.schema([]), pa.schema([("a", ints), ("b", ints), ("a", ints)])):
        with pytest.raises(DpkgError):
            tables.write_table(Odb(MemoryBackend()), [], schema)
    names = ["a.b", "a", "", "A", "a\0", "e\u0301", "é", "a/b", "..", "list.element"]
    assert Schema.from_arrow(pa.schema([(name, ints) for name in names])).names == tuple(names)


@pytest.mark.spec("ROW-3")
@pytest.mark.parametrize("name", ["nested columns", "period 100"])
def test_the_cutter_alone(name: str) -> None:
    """Boundaries do not depend on how rows arrive; all at once, and by sizes around the window's."""
    case = next(case for case in reader.load_vectors("boundaries") if case["name"] == name)
    (plain,) = rows_in_order(batch(*reader.table_of(case["input"])), [])
    schema = Schema.from_json(case["input"]["schema"])
    for batching in (whole, uneven, every(31), every(33), every(4096)):
        cutter = Cutter(schema)
        rows = [sum(piece.num_rows for piece in one) for one in cutter.cut(batching(plain))]
        assert rows == case["expected"]["fragments"]["rows"]


# --------------------------------------------------------------------------------------------------- index, statistics


def descend(odb: Odb, root: Oid) -> list[list[tuple[Oid, Json, bytes]]]:
    """The nodes of an index, by levels from 0, each with its JSON and text."""
    levels = []
    oids = [root]
    while oids:
        texts = [odb.read(oid, "node") for oid in oids]
        nodes = [json.loads(text) for text in texts]
        levels.append(list(zip(oids, nodes, texts, strict=True)))
        oids = [Oid(entry["oid"]) for node in nodes for entry in node["entries"]] if nodes[0]["level"] else []
    return levels[::-1]


def check_index(levels: list[list[tuple[Oid, Json, bytes]]], expected: Json) -> None:
    assert [len(nodes) for nodes in levels] == expected["nodes"]
    assert [[len(node["entries"]) for _, node, _ in nodes] for nodes in levels] == expected["entries"]
    assert [[oid for oid, _, _ in nodes] for nodes in levels] == expected["oids"]
    assert [oid for oid, _, _ in levels[-1]] == [expected["root"]]
    if "texts" in expected:
        assert [[text.decode() for _, _, text in nodes] for nodes in levels] == expected["texts"]
    if "stats" in expected:
        assert [node["stats"] for _, node, _ in levels[0]] == expected["stats"]
    for nodes in levels:
        for _, _, text in nodes:
            assert Node.decode(text).encode() == text


@pytest.mark.spec("IDX-1", "IDX-2", "IDX-3", "IDX-4", "IDX-5", "IDX-6", "OBJ-2")
@pytest.mark.parametrize("case", cases("index"))
def test_index(case: Case) -> None:
    form, expected, odb = case["input"], case["expected"], Odb(MemoryBackend())
    if "tree" in form:
        entries = [TreeEntry(**{**entry, "oid": Oid(entry["oid"])}) for entry in reader.entries_of(form["tree"])]
        if refused(expected, lambda: build_tree(entries, lambda data: odb.write("node", data))):
            return
        root = build_tree(entries, lambda data: odb.write("node", data))
        assert list(tree_entries(odb, root.oid)) == sorted(entries, key=lambda entry: entry.name.encode())
    else:
        root = index_of_fragments(odb, reader.column_of(form["fragments"], "int64"))
    check_index(descend(odb, root.oid), expected)
    leaves = descend(odb, root.oid)[0]
    below = [entry for _, node, _ in leaves for entry in node["entries"]]
    assert root.counts == (len(below), sum(e.get("rows", 0) for e in below), sum(e["bytes"] for e in below))


def index_of_fragments(odb: Odb, numbers: list[int]) -> Any:
    """The index of fragments of one row each, of a table with one column of int64."""
    schema, waiting = Schema.from_json([["a", "int64"]]), []

    def leaf(count: int) -> Oid:
        rows, waiting[:count] = waiting[:count], []
        return fragment.make([stats.stats_batch(rows, schema)], stats.stats_schema(schema)).entry.oid

    builder = IndexBuilder(FRAGMENTS, lambda data: odb.write("node", data), leaf)
    made = {n: fragment.make([plain_columns(schema.json, [[n]])], schema) for n in set(numbers)}
    for n in numbers:
        waiting.append(made[n].stats)
        builder.add(made[n].entry)
    return builder.finish()


@pytest.mark.spec("IDX-6", "IDX-7", "IDX-8")
@pytest.mark.parametrize("case", cases("statistics"))
def test_statistics(case: Case) -> None:
    form, expected = case["input"], case["expected"]
    if "type" in form:
        schema = [["", form["type"]]]
        parts = [[reader.column_of(form["values"], form["type"])]]
        wanted = {"schema": [["", expected["type"]]], "rows": [[expected["value"]]]}
    else:
        schema, wanted = form["schema"], expected
        parts = [reader.table_of({"schema": schema, "columns": columns})[1] for columns in form["fragments"]]
    made = Schema.from_json(schema)
    rows = [fragment.make([plain_columns(schema, columns)], made).stats for columns in parts]
    stats_schema = stats.stats_schema(made)
    assert stats_schema.json == wanted["schema"]
    bounds = stats.stats_batch(rows, made)
    for i, (_, t) in enumerate(wanted["schema"]):
        assert_values(bounds.column(i), t, [reader.from_form(row[i], t) for row in wanted["rows"]])
    got = fragment.make([bounds], stats_schema)
    if "oid" in wanted:
        assert got.entry.oid == wanted["oid"]
    stored = fragment.read_stats(
        pa.BufferReader(fragment.encode(got, stats_schema)), got.entry.oid, len(rows), stats_schema
    )
    assert fragment.make([stored], stats_schema).entry.oid == got.entry.oid
