"""The second reader agrees with each vector, and with what can be checked by hand; see spec/vectors/README.md."""

from __future__ import annotations

import ast
import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import blake3
import make_vectors
import pytest
import reader

HERE = Path(__file__).parent

FILES = [
    pytest.param("oids", marks=pytest.mark.spec("OID-1", "OID-2", "OID-3")),
    pytest.param("canonical_json", marks=pytest.mark.spec("JSON-1", "JSON-2", "JSON-3", "JSON-4", "JSON-5", "JSON-6")),
    pytest.param("types", marks=pytest.mark.spec("TYPE-1", "TYPE-5", "TYPE-6", "TYPE-7")),
    pytest.param("columns", marks=pytest.mark.spec("VAL-1", "VAL-5", "ROW-1", "ROW-2")),
    pytest.param("fragments", marks=pytest.mark.spec("VAL-2", "VAL-4", "TYPE-7")),
    pytest.param("sorting", marks=pytest.mark.spec("ROW-6", "ROW-7")),
    pytest.param("boundaries", marks=pytest.mark.spec("ROW-1", "ROW-2", "ROW-3", "ROW-4", "ROW-5", "OBJ-1")),
    pytest.param("index", marks=pytest.mark.spec("IDX-1", "IDX-2", "IDX-3", "IDX-4", "OBJ-2")),
    pytest.param("statistics", marks=pytest.mark.spec("IDX-6", "IDX-7", "IDX-8")),
    pytest.param("objects", marks=pytest.mark.spec("JSON-6", "OBJ-1")),
    pytest.param("commits", marks=pytest.mark.spec("OBJ-3")),
    pytest.param("refs", marks=pytest.mark.spec("STO-6", "STO-7", "STO-8")),
    pytest.param("parts", marks=pytest.mark.spec("STO-40")),
    pytest.param("frames", marks=pytest.mark.spec("STO-2", "STO-3")),
    pytest.param("packs", marks=pytest.mark.spec("STO-16", "STO-17")),
    pytest.param("chunks", marks=pytest.mark.spec("STO-30", "STO-31")),
]


@pytest.mark.parametrize("name", FILES)
def test_vectors(name: str) -> None:
    cases = reader.load_vectors(name)
    assert cases
    for case in cases:
        assert reader.compute(name, case["input"]) == case["expected"], case["name"]


@pytest.mark.parametrize("name", reader.NAMES)
def test_files_are_small_and_hold_the_declared_inputs(name: str) -> None:
    assert (reader.VECTORS / f"{name}.json").stat().st_size < 300_000
    declared = [{"name": case, "input": form} for case, form in make_vectors.INPUTS[name]()]
    stored = [{"name": case["name"], "input": case["input"]} for case in reader.load_vectors(name)]
    assert stored == json.loads(json.dumps(declared))


def test_every_file_is_read() -> None:
    assert {path.stem for path in reader.VECTORS.glob("*.json")} == set(reader.NAMES)
    assert [param.values[0] for param in FILES] == list(reader.NAMES)


def test_the_reader_imports_nothing_of_dpkg() -> None:
    allowed = {*sys.stdlib_module_names, "blake3", "zstandard", *(path.stem for path in HERE.glob("reader*.py"))}
    for path in HERE.glob("reader*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, path.name


# ------------------------------------------------------------------------------------------------------ checks by hand


def derive(kind: str, data: bytes) -> str:
    return blake3.blake3(data, derive_key_context=f"dpkg v1 2026-11 {kind}").hexdigest()


@pytest.mark.spec("OID-2")
def test_b3sum_of_nothing() -> None:
    assert reader.oid("blob", b"") == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


STREAMS: list[tuple[Any, list[Any], str]] = [
    ("int16", [1, None, -2], "0300000000000000 01 05 0100 feff"),
    ("int16", [], "0000000000000000 00"),
    ("null", [None, None], "0200000000000000"),
    ("bool", [None, True, False, True], "0400000000000000 01 0e 05"),
    ("utf8", ["é", None, "b"], "0300000000000000 01 05 02000000 01000000 c3a962"),
    ("float32", [0x80000000, 0xFFC00001], "0200000000000000 00 00000080 0000c07f"),
    ({"decimal": [3, 0]}, [-1], "0100000000000000 00" + "ff" * 16),
    ({"list": "int8"}, [[1, None], None], "0200000000000000 01 01 02000000  0200000000000000 01 01 01"),
    ({"fixed_list": [1, "null"]}, [[None]], "0100000000000000 00 0100000000000000"),
    ({"struct": [["a", "int8"]]}, [None, [7]], "0200000000000000 01 02  0100000000000000 00 07"),
    ({"map": ["int8", "int8"]}, [[[1, 2]]], "0100000000000000 00 01000000 0100000000000000 0001 0100000000000000 0002"),
    ({"extension": ["e", "", "int8"]}, [None, 9], "0200000000000000 01 02 09"),
]


@pytest.mark.spec("VAL-1")
@pytest.mark.parametrize(("t", "values", "wanted"), STREAMS)
def test_streams(t: Any, values: list[Any], wanted: str) -> None:
    data = bytes.fromhex(wanted)
    assert reader.stream(values, t).hex() == data.hex()
    text = json.dumps(t, separators=(",", ":")).encode()
    column = derive("column", struct.pack("<I", len(text)) + text + data)
    assert reader.column_digest(values, t).hex() == column
    schema = derive("schema", b'[["a",' + text + b"]]")
    fragment = derive("fragment", bytes.fromhex(schema) + struct.pack("<Q", len(values)) + bytes.fromhex(column))
    assert reader.fragment_oid([["a", t]], [values]) == fragment


@pytest.mark.spec("IDX-7")
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([], [None, None, 0]),
        ([None], [None, None, 1]),
        ([0x0000], [0x0000, 0x0000, 0]),
        ([0x0000, 0x8000, None], [0x8000, 0x0000, 1]),
        ([0x3C00, 0xFE01, 0x7C00], [0x3C00, 0x7E00, 0]),
        ([0xFE01], [0x7E00, 0x7E00, 0]),
    ],
)
def test_bounds_of_floats(values: list[Any], wanted: list[Any]) -> None:
    assert reader.statistics_cell(values, "float16") == wanted


@pytest.mark.spec("VAL-5")
def test_null_map_keys_are_refused() -> None:
    with pytest.raises(reader.Refused, match="VAL-5"):
        reader.stream([[[None, 1]]], {"map": ["utf8", "int8"]})


@pytest.mark.spec("VAL-4")
def test_changes_move_a_fragment() -> None:
    oids = [case["expected"]["oid"] for case in reader.load_vectors("fragments")]
    assert len(set(oids)) == len(oids)


@pytest.mark.spec("OBJ-4")
def test_commits_of_one_tree_differ() -> None:
    oids = [case["expected"].get("oid") for case in reader.load_vectors("commits")]
    oids = [oid for oid in oids if oid]
    assert len(set(oids)) == len(oids) > 3


@pytest.mark.spec("ROW-3")
def test_a_window_sees_32_rows() -> None:
    mixes = [(i * i * 2654435761) % 2**64 for i in range(100)]
    changed = [*mixes[:40], 1, *mixes[41:]]
    differs = [a != b for a, b in zip(reader.levels(mixes), reader.levels(changed), strict=True)]
    assert differs == [40 <= i < 72 for i in range(100)]


@pytest.mark.spec("ROW-3")
def test_a_window_is_a_sum_over_32_rows() -> None:
    factors = {1: 0xBF58476D1CE4E5B9, 2: 0x94D049BB133111EB, 4: 0xD6E8FEB86659FD93, 8: 0xFF51AFD7ED558CCD}
    factors[16] = 0xC4CEB9FE1A85EC53
    mixes = [(i + 1) ** 7 * 0x123456789ABCDEF % 2**64 for i in range(70)]
    for i, level in enumerate(reader.levels(mixes)):
        x = 0
        for back in range(min(i + 1, 32)):
            x += mixes[i - back] * math.prod(factor for bit, factor in factors.items() if back & bit)
        x %= 2**64
        assert level == ((x ^ x >> 32) * 0x9E3779B97F4A7C15 % 2**64) >> 32


@pytest.mark.spec("ROW-2")
def test_a_column_beside_a_key_leaves_the_boundaries() -> None:
    cases = {case["name"]: case["expected"] for case in reader.load_vectors("boundaries")}
    one, more = cases["a key of two columns"], cases["a column more beside the key"]
    assert one["fragments"]["rows"] == more["fragments"]["rows"]
    assert one["table"]["oid"] != more["table"]["oid"]


@pytest.mark.spec("ROW-5")
def test_limits_of_fragments() -> None:
    for case in reader.load_vectors("boundaries"):
        if "refused" in case["expected"]:
            continue
        fragments, target = case["expected"]["fragments"], case["expected"]["target_rows"]
        for rows, size in zip(fragments["rows"], fragments["bytes"], strict=True):
            assert rows <= 4 * target
            assert rows == 1 or size <= 32 * 2**20


@pytest.mark.spec("STO-3")
def test_every_flipped_bit_of_a_frame_is_refused() -> None:
    for case in reader.load_vectors("frames"):
        frame = reader.pieces(case["input"]["pieces"])
        if "refused" in case["expected"] or len(frame) > 300:
            continue
        for bit in range(8 * len(frame)):
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(reader.Refused):
                reader.decode_frame(bytes(damaged), case["input"]["oid"])


@pytest.mark.spec("STO-16", "STO-17")
def test_every_flipped_bit_of_a_pack_is_refused() -> None:
    """By its id; and without that by one of its digests, or by what must fill it."""
    (form,) = (case["input"] for case in reader.load_vectors("packs") if case["name"] == "blobs")
    pack = reader.pieces(form["pieces"])
    for bit in range(8 * len(pack)):
        damaged = bytearray(pack)
        damaged[bit // 8] ^= 1 << bit % 8
        for wanted in (form["id"], blake3.blake3(damaged).hexdigest()):
            with pytest.raises(reader.Refused):
                reader.check_pack(bytes(damaged), wanted)


@pytest.mark.spec("JSON-6")
def test_decode_is_the_inverse_of_encode() -> None:
    for case in reader.load_vectors("canonical_json"):
        if "hex" in case["expected"]:
            text = bytes.fromhex(case["expected"]["hex"])
            assert reader.decode(text) == case["input"]["value"]
            assert json.loads(text) == case["input"]["value"]


def test_forms_of_values() -> None:
    for case in reader.load_vectors("columns"):
        t = case["input"]["type"]
        for value in reader.column_of(case["input"]["values"], t):
            assert reader.from_form(reader.to_form(value, t), t) == value
