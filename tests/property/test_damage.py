"""Property 7: parsers fed anything raise only the project's own errors; nothing wrong is ever handed out silently."""

from __future__ import annotations

import io
import random
from typing import Any

import forms
import pyarrow as pa
import pytest
import reader
import strategies as s
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.arrow import fragment, values
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema
from dpkg.errors import Corrupt, DpkgError, Format
from dpkg.objects import canonical_json
from dpkg.objects.node import FRAGMENTS, TREE, FragmentEntry, InnerEntry, Node, TreeEntry
from dpkg.objects.table import Table
from dpkg.oid import Oid

A, B = Oid("a" * 64), Oid("0123456789abcdef" * 4)
SCHEMA = [
    ["a", "int64"],
    ["b", {"list": {"struct": [["x", "utf8"], ["y", {"decimal": [9, 2]}]]}}],
    ["c", {"timestamp": ["us", "UTC"]}],
]
MORE = [
    ["d", {"map": ["utf8", {"fixed_list": [2, "bool"]}]}],
    ["e", {"extension": ["arrow.uuid", "", {"fixed_binary": 16}]}],
]
NODES = [
    Node(
        TREE,
        0,
        (TreeEntry("a", "blob", A, 1), TreeEntry("b", "table", A, 1, 2, meta=B), TreeEntry("c", "tree", B, 1, 2, 3)),
    ),
    Node(TREE, 1, (InnerEntry("é", A, 2, 0, 5, TREE), InnerEntry("名", B, 2, 0, 5, TREE))),
    Node(FRAGMENTS, 0, (FragmentEntry(A, 5, 45), FragmentEntry(A, 5, 45)), B),
    Node(FRAGMENTS, 2, (InnerEntry(A, A, 1, 5, 45, FRAGMENTS), InnerEntry(B, A, 1, 5, 45, FRAGMENTS))),
    Node(FRAGMENTS, 0, ()),
]
TABLE = Table(SCHEMA + MORE, ("a",), 16384, 5, 45, A)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(max_size=5)
    | st.sampled_from([A, "tree", "list", "utf8", "s", "ns"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["list", "struct", "oid", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def changed(rng: Any, value: Any, new: Any) -> Any:
    """A JSON value with one place of it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        if rng.random() < 0.2:
            return {n: v for n, v in value.items() if n != name}
        return {**value, (name if rng.random() < 0.9 else "new"): changed(rng, value[name], new)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        if rng.random() < 0.2:
            return [*value[:at], *value[at : at + 1] * rng.choice([0, 2]), *value[at + 1 :]]
        return [*value[:at], changed(rng, value[at], new), *value[at + 1 :]]
    return new


def mutated(rng: Any, data: bytes, least: int = 0) -> bytes:
    """Bytes with a few of them flipped, overwritten, removed or added, from place `least` on."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(min(least, len(out)), len(out) + 1)
        how = rng.random()
        if how < 0.6 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif how < 0.8 and at < len(out):
            out[at] = rng.choice([0, 255, 127, 128, 1])
        elif how < 0.9:
            del out[at : at + rng.randint(1, 9)]
        else:
            out[at:at] = rng.randbytes(rng.randint(1, 9))
    return bytes(out)


def decoders(data: bytes) -> None:
    for decode in (Node.decode, Table.decode, lambda d: Schema.from_json(canonical_json.decode(d)).arrow):
        try:
            made = decode(data)
        except (Format, Corrupt):
            continue
        if not isinstance(made, pa.Schema):
            assert made.encode() == data


@pytest.mark.spec("JSON-6")
@given(st.binary(max_size=200) | JSON.map(lambda v: canonical_json.encode(v) if small(v) else b""))
@settings(max_examples=300, deadline=None)
def test_anything_at_all(data: bytes) -> None:
    decoders(data)
    with pytest.raises(Corrupt):
        fragment.check_seal(data)
    with pytest.raises(Corrupt):
        fragment.Reader(io.BytesIO(data), FragmentEntry(A, 1, 1), Schema.from_json(SCHEMA))
    with pytest.raises(Corrupt):
        fragment.describe(io.BytesIO(data), A)


def small(v: Any) -> bool:
    if isinstance(v, (list, dict)):
        return all(map(small, v.values() if isinstance(v, dict) else v))
    return not isinstance(v, int) or abs(v) < 2**53


@pytest.mark.spec("JSON-6")
@pytest.mark.spec("OBJ-1")
@given(st.sampled_from([*NODES, TABLE]), JSON, s.randoms())
@settings(max_examples=400, deadline=None)
def test_changed_objects(made: Any, new: Any, rng: Any) -> None:
    data = made.encode()
    decoders(mutated(rng, data))
    other = changed(rng, canonical_json.decode(data), new)
    if small(other):
        decoders(canonical_json.encode(other))


@pytest.mark.spec("TYPE-1")
@given(JSON, s.randoms(), s.TYPES)
@settings(max_examples=300, deadline=None)
def test_schemas_are_exactly_canonical(new: Any, rng: Any, t: Any) -> None:
    value = changed(rng, [["a", t]], new) if rng.random() < 0.8 else new
    try:
        made = Schema.from_json(value)
    except Format:
        with pytest.raises(reader.Refused):
            reader.check_type({"struct": value})
        return
    assert made.json == value
    assert made.digest.raw == reader.schema_digest(value)
    assert Schema.from_arrow(made.arrow).json == value


# ----------------------------------------------------------------------------------------------------------- fragments


def a_fragment(rng: Any, table: s.Plain) -> tuple[Schema, fragment.Fragment, bytes]:
    arrow, batches = forms.batches(rng, table)
    schema = Schema.from_arrow(arrow)
    made = fragment.make([p for b in batches for p in normalise(b, schema)], schema)
    return schema, made, fragment.encode(made, schema)


@pytest.mark.spec("STO-5")
@given(s.tables(least=1, most=40), s.randoms())
@settings(max_examples=60, deadline=None)
def test_changed_fragments_are_refused_or_read_right(table: s.Plain, rng: Any) -> None:
    schema, made, data = a_fragment(rng, table)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    before = pa.default_memory_pool().max_memory()
    for _ in range(20):
        bad = mutated(rng, data, rng.choice([0, footer]))
        if bad != data:
            with pytest.raises(Corrupt):
                fragment.check_seal(bad)
        try:
            columns = fragment.Reader(io.BytesIO(bad), made.entry, schema).read()
        except Corrupt:
            continue
        for array, t, digest in zip(columns, schema.types, made.digests, strict=True):
            assert values.column_digest(array, t) == digest
    assert pa.default_memory_pool().max_memory() < before + (256 << 20)


@pytest.mark.spec("STO-4")
def test_every_flipped_byte_of_a_file_is_found() -> None:
    rng = random.Random(3)
    schema, made, data = a_fragment(
        rng, s.Plain([["a", "int32"], ["b", "utf8"]], [[1, 2, None, 4], ["a", "b", "b", None]])
    )
    fragment.check_seal(data)
    wanted = [
        reader.column_digest(c, t)
        for c, t in zip([[1, 2, None, 4], ["a", "b", "b", None]], ["int32", "utf8"], strict=True)
    ]
    assert list(made.digests) == wanted
    for at in range(len(data)):
        for flip in (1, 128, 255, rng.randint(1, 255)):
            bad = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            with pytest.raises(Corrupt):
                fragment.check_seal(bad)
            try:
                columns = fragment.Reader(io.BytesIO(bad), made.entry, schema).read()
            except DpkgError as e:
                assert isinstance(e, Corrupt)  # noqa: PT017
                continue
            assert [values.column_digest(c, t) for c, t in zip(columns, schema.types, strict=True)] == wanted
    for at in range(len(data)):
        with pytest.raises(Corrupt):
            fragment.check_seal(data[:at])
    with pytest.raises(Corrupt):
        fragment.check_seal(data + b"\0")
