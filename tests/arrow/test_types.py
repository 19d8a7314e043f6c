"""Canonical types by example: what they are made of, what is returned, what is refused by name (TYPE-1 to TYPE-7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import reader

from dpkg.arrow.normal import normalise, to_user_batch
from dpkg.arrow.schema import Schema
from dpkg.arrow.types import from_field, from_json
from dpkg.errors import Format


class Feet(pa.ExtensionType):
    """An extension type of a program of today."""

    def __init__(self, unit: str = "ft") -> None:
        self.unit = unit
        super().__init__(pa.float64(), "test.feet")

    def __arrow_ext_serialize__(self) -> bytes:
        return self.unit.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, data: bytes) -> Feet:
        if data == b"broken":
            raise RuntimeError("a registered type's code may do anything")
        return cls(data.decode())


@pytest.fixture
def feet() -> Any:
    pa.register_extension_type(Feet())
    yield Feet("in")
    pa.unregister_extension_type("test.feet")


def plain(array: pa.Array, field: pa.Field | None = None) -> pa.Array:
    """The array as dpkg computes with it."""
    schema = pa.schema([field or pa.field("a", array.type)])
    canonical = Schema.from_arrow(schema)
    (batch,) = normalise(pa.RecordBatch.from_arrays([array], schema=schema), canonical)
    return batch.column(0)


def returned(array: pa.Array) -> pa.Array:
    canonical = Schema.from_arrow(pa.schema([pa.field("a", array.type)]))
    return to_user_batch(pa.RecordBatch.from_arrays([plain(array)], schema=canonical.plain), canonical).column(0)


EXAMPLES: list[tuple[pa.DataType, Any]] = [
    (pa.large_string(), "utf8"),
    (pa.string_view(), "utf8"),
    (pa.binary_view(), "binary"),
    (pa.binary(7), {"fixed_binary": 7}),
    (pa.decimal32(5, 2), {"decimal": [5, 2]}),
    (pa.decimal256(5, 2), {"decimal": [5, 2]}),
    (pa.date64(), "date"),
    (pa.time32("s"), "time_ms"),
    (pa.timestamp("s"), {"timestamp": ["ms"]}),
    (pa.timestamp("s", "Asia/Tokyo"), {"timestamp": ["ms", "Asia/Tokyo"]}),
    (pa.duration("s"), {"duration": "ms"}),
    (pa.large_list(pa.field("x", pa.int8(), False, {"a": "b"})), {"list": "int8"}),
    (pa.list_view(pa.dictionary(pa.int8(), pa.large_string())), {"list": "utf8"}),
    (pa.list_(pa.float16(), 3), {"fixed_list": [3, "float16"]}),
    (pa.map_(pa.string(), pa.int8(), True), {"map": ["utf8", "int8"]}),
    (pa.struct([("a.b", pa.null()), ("", pa.bool_())]), {"struct": [["a.b", "null"], ["", "bool"]]}),
    (pa.run_end_encoded(pa.int16(), pa.dictionary(pa.int8(), pa.date64())), "date"),
    (pa.uuid(), {"extension": ["arrow.uuid", "", {"fixed_binary": 16}]}),
    (pa.json_(pa.string_view()), {"extension": ["arrow.json", "", "utf8"]}),
    (pa.bool8(), {"extension": ["arrow.bool8", "", "int8"]}),
    (
        pa.opaque(pa.large_string(), "a", "b"),
        {"extension": ["arrow.opaque", "eyJ0eXBlX25hbWUiOiJhIiwidmVuZG9yX25hbWUiOiJiIn0=", "utf8"]},
    ),
    (pa.dictionary(pa.int8(), pa.uuid()), {"extension": ["arrow.uuid", "", {"fixed_binary": 16}]}),
]


@pytest.mark.spec("TYPE-1")
@pytest.mark.spec("TYPE-2")
@pytest.mark.spec("TYPE-3")
@pytest.mark.parametrize(("arrow", "json"), EXAMPLES)
def test_canonical_types(arrow: pa.DataType, json: Any) -> None:
    t = from_field(pa.field("a", arrow, metadata={"unit": "m"}))
    assert t.json == json
    assert from_json(json) == t
    reader.check_type(json)
    assert from_field(t.field("a")).json == json


@pytest.mark.spec("TYPE-7")
def test_the_schema_digest() -> None:
    schema = Schema.from_arrow(pa.schema([("b", pa.int8()), ("a.b", pa.large_string())]))
    assert schema.digest.raw == reader.schema_digest([["b", "int8"], ["a.b", "utf8"]])


UNION = pa.dense_union([pa.field("a", pa.int8())])
REFUSED = [
    (UNION, "union"),
    (pa.list_(UNION), "union"),
    (pa.struct([("x", pa.map_(pa.int8(), UNION))]), "union"),
    (pa.month_day_nano_interval(), "month_day_nano_interval"),
    (pa.decimal128(5, -2), "scale"),
    (pa.decimal128(5, 6), "scale"),
    (pa.binary(0), "width is zero"),
    (pa.list_(pa.int8(), 0), "width is zero"),
    (pa.struct([]), "no fields"),
    (pa.list_(pa.struct([])), "no fields"),
    (pa.struct([("x", pa.int8()), ("x", pa.int8())]), "two columns are named 'x'"),
    (pa.opaque(UNION, "a", "b"), "union"),
]


@pytest.mark.spec("TYPE-5")
@pytest.mark.parametrize(("arrow", "why"), REFUSED)
def test_refused_by_name(arrow: pa.DataType, why: str) -> None:
    with pytest.raises(Format, match=f"column 'weight'.*{why}"):
        Schema.from_arrow(pa.schema([("weight", arrow)]))


@pytest.mark.spec("TYPE-5")
def test_names_that_are_refused() -> None:
    with pytest.raises(Format, match="two columns are named 'x'"):
        Schema.from_arrow(pa.schema([("x", pa.int8()), ("x", pa.int8())]))
    with pytest.raises(Format, match="without columns"):
        Schema.from_arrow(pa.schema([]))
    for value in ([], [["x", "int8"], ["x", "int8"]], [["\ud800", "int8"]], [["a", {"timestamp": ["ms", "\ud800"]}]]):
        with pytest.raises(Format):
            Schema.from_json(value)
    bad = (
        pa.schema([pa.field("caf?", pa.struct([("caf?", pa.int8())]))])
        .serialize()
        .to_pybytes()
        .replace(b"caf?", b"caf\xe9")
    )
    with pytest.raises(Format, match="not valid UTF-8"):
        Schema.from_arrow(pa.ipc.read_schema(pa.py_buffer(bad)))
    field = pa.field("a", pa.int8(), metadata={b"ARROW:extension:name": b"\xff"})
    with pytest.raises(Format, match="not valid UTF-8"):
        from_field(field)


@pytest.mark.spec("TYPE-1")
def test_types_nest_32_deep_below_the_outermost() -> None:
    json: Any = "int8"
    arrow = pa.int8()
    for _ in range(32):
        json, arrow = {"list": json}, pa.list_(arrow)
    assert from_json(json) == from_field(pa.field("a", arrow))
    for deep in (json, {"list": json}):
        accepted = True
        try:
            reader.check_type(deep)
        except reader.Refused:
            accepted = False
        assert accepted == (deep is json)
    with pytest.raises(Format, match="32 deep"):
        from_json({"list": json})
    with pytest.raises(Format, match="32 deep"):
        from_field(pa.field("a", pa.list_(arrow)))


@pytest.mark.spec("TYPE-5")
def test_pickled_and_stacked_extensions_are_refused(feet: Feet) -> None:
    meta = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": b"cos\nsystem\n"}
    with pytest.raises(Format, match="pickled"):
        from_field(pa.field("a", pa.int8(), metadata=meta))
    with pytest.raises(Format, match="pickled"):
        from_json({"extension": ["arrow.py_extension_type", "", "int8"]})
    with pytest.raises(Format, match="stored as another"):
        from_field(pa.field("a", pa.opaque(pa.uuid(), "a", "b")))
    with pytest.raises(Format, match="stored as another"):
        from_json({"extension": ["acme.x", "", {"extension": ["acme.y", "", "int8"]}]})


@pytest.mark.spec("TYPE-3")
def test_registered_or_not_an_extension_is_the_same(feet: Feet) -> None:
    array = pa.ExtensionArray.from_storage(feet, pa.array([1.5, None]))
    known = from_field(pa.field("a", feet))
    assert known.json == {"extension": ["test.feet", "aW4=", "float64"]}
    assert known.field("a").type == feet
    assert returned(array) == array
    nested = pa.ListArray.from_arrays([0, 1, 2], array)
    assert returned(nested) == nested
    assert returned(nested).type == pa.list_(feet)
    broken = from_json(
        {"extension": ["test.feet", "YnJva2Vu", "float64"]}
    )  # whose code raises: it is read as if unregistered
    assert broken.field("a").metadata == {b"ARROW:extension:name": b"test.feet", b"ARROW:extension:metadata": b"broken"}
    other = from_json({"extension": ["test.feet", "aW4=", "int64"]})  # the registered one has another storage
    assert other.field("a").type == pa.int64()
    spelled = from_json({"extension": ["arrow.json", "eyB9", "utf8"]})  # the registered one forgets this metadata
    assert spelled.field("a").type == pa.string()
    assert from_field(spelled.field("a")) == spelled
    pa.unregister_extension_type("test.feet")
    try:
        meta = {"ARROW:extension:name": "test.feet", "ARROW:extension:metadata": "in"}
        assert from_field(pa.field("a", pa.float64(), metadata=meta)) == known
        assert known.field("a").equals(pa.field("a", pa.float64(), metadata=meta), check_metadata=True)
    finally:
        pa.register_extension_type(Feet())


@pytest.mark.spec("TYPE-4")
def test_seconds_and_days() -> None:
    assert plain(pa.array([-1, None, 5], pa.timestamp("s"))).view(pa.int64()).to_pylist() == [-1000, None, 5000]
    assert plain(pa.array([1, None], pa.time32("s"))).view(pa.int32()).to_pylist() == [1000, None]
    assert plain(pa.array([-86_400_000, 0], pa.int64()).view(pa.date64())).view(pa.int32()).to_pylist() == [-1, 0]
    for kind, value in ((pa.timestamp("s"), 2**62), (pa.duration("s"), -(2**62)), (pa.time32("s"), 2**30)):
        number = pa.int32() if kind == pa.time32("s") else pa.int64()
        with pytest.raises(Format, match=r"column 'a'.*overflow"):
            plain(pa.array([value], number).view(kind))
        garbage = pa.array(np.array([value, 1], number.to_pandas_dtype()), mask=np.array([True, False])).view(kind)
        assert plain(garbage).null_count == 1
    with pytest.raises(Format, match=r"column 'a'.*not a whole day"):
        plain(pa.array([86_400_001], pa.int64()).view(pa.date64()))
    with pytest.raises(Format, match="column 'a'"):
        plain(pa.array([86_400_000 * 2**32], pa.int64()).view(pa.date64()))


@pytest.mark.spec("TYPE-5")
def test_values_that_are_refused() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")])
    for array in (bad, bad.dictionary_encode(), pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), bad)):
        with pytest.raises(Format, match=r"column 'a'.*UTF8"):
            plain(array)
    decimal = pa.Array.from_buffers(pa.decimal128(3, 0), 1, [None, pa.py_buffer(np.array([1000, 0], np.int64))])
    with pytest.raises(Format, match=r"column 'a'.*precision"):
        plain(decimal)


@pytest.mark.spec("VAL-5")
def test_null_map_keys_are_refused() -> None:
    entries = pa.StructArray.from_arrays([pa.array([None, 1], pa.int8()), pa.array([1, 2])], names=["key", "value"])
    made = pa.Array.from_buffers(
        pa.list_(entries.type), 1, [None, pa.py_buffer(np.array([0, 2], np.int32))], children=[entries]
    )
    schema = Schema.from_json([["a", {"map": ["int8", "int64"]}]])
    with pytest.raises(Format, match="column 'a': a map has a null key"):
        list(normalise(pa.RecordBatch.from_arrays([made], ["a"]), schema))


def test_a_batch_of_another_type_is_refused() -> None:
    schema = Schema.from_json([["a", "int64"], ["b", "utf8"]])
    good = [pa.array([1]), pa.array(["x"])]
    for at, bad in (
        (0, pa.array([1], pa.int32())),
        (0, pa.array(["1"])),
        (1, pa.array([b"x"])),
        (1, pa.array([[1]])),
        (0, pa.array([[1]])),
    ):
        columns = [*good[:at], bad, *good[at + 1 :]]
        with pytest.raises(Format, match=f"column '{'ab'[at]}': a batch has values of type"):
            list(normalise(pa.RecordBatch.from_arrays(columns, ["a", "b"]), schema))


@pytest.mark.spec("TYPE-2")
def test_decoding_cuts_what_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpkg.arrow.normal.MAX_BATCH", 100_000)
    long = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 50, pa.int8()), pa.array(["x" * 10_000, "y"]))
    runs = pa.RunEndEncodedArray.from_arrays([50, 100], ["x" * 2000, "y" * 2000])
    views = pa.array(["z" * 5000] * 100, pa.string_view())
    lists = pa.array([["w" * 5000]] * 100, pa.list_(pa.string_view()))
    more = pa.array([["w" * 5000]] * 100, pa.list_view(pa.string()))
    for array in (long, runs, views, views[30:], lists, more):
        schema = Schema.from_arrow(pa.schema([("a", array.type)]))
        parts = list(normalise(pa.RecordBatch.from_arrays([array], ["a"]), schema))
        assert 3 <= len(parts) <= 16
        assert all(b.nbytes <= 130_000 for b in parts)
        assert [v for b in parts for v in b.column(0).to_pylist()] == array.to_pylist()
