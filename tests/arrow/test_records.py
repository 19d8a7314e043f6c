"""JSON files that hold a list of records: any layout gives what JSON lines give, and what is no such list is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.arrow.readers import ReadOptions, open_source, stream
from dpkg.arrow.readers.jsonsource import JsonSource
from dpkg.arrow.readers.records import records_in
from dpkg.errors import Format


def read(path: Path, format: str = "json", block: int = 1 << 22) -> pa.Table:
    if format == "json":
        source: Any = JsonSource(str(path), ReadOptions(), None, block, records_in)
    else:
        source = open_source(str(path), format)
    return stream(source, lambda schema, batches: pa.Table.from_batches(list(batches), schema))


SCALARS = st.none() | st.text('a"\\{}[],\n é', max_size=6)
RECORDS = st.lists(
    st.fixed_dictionaries({"a": SCALARS, "n": st.integers(-5, 5), "d": st.fixed_dictionaries({"x": SCALARS})}),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(RECORDS, st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 40))
def test_a_list_is_as_lines(tmp_path_factory: Any, records: Any, indent: int | None, ascii: bool, block: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole, lines = folder / "t.json", folder / "t.jsonl"
    whole.write_text(" \n" + json.dumps(records, indent=indent, ensure_ascii=ascii) + "\n", "utf-8")
    lines.write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    assert read(whole, block=block).equals(read(lines, "jsonl"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"a": 1}', "starts with b'{'"),
        ('[{"a": 1}', "ends before its list does"),
        ('[{"a": 1},\n', "ends before its list does"),
        ('[{"a": 1},]', "a record or a comma"),
        ('[,{"a": 1}]', "a record or a comma"),
        ('[{"a": 1} {"a": 2}]', "a record or a comma"),
        ('[{"a": 1},, {"a": 2}]', "a record or a comma"),
        ('[{"a": 1}, 2]', "a record or a comma"),
        ('[{"a": 1}] x', "a record or a comma"),
        ("[[1], [2]]", "line 1: not a JSON object"),
        ('[\n{"a": 1},\n{"a": 1]]', "line 3: not a JSON object"),
        ('[{"a": "x\ny"}]', "line 1: a string holds a line break"),
        ('[\n{"a": 1},\n\n{"a": "x"}\n]', "'a' is an integer on line 2 and a string on line 4"),
        ('[\n{"a": 1},\n\n{"a": 1,\n"a": 2}\n]', "line 4: an object has the member 'a' twice"),
        ("[]", "holds no members"),
    ],
)
def test_what_is_no_list_of_records(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    for block in (1, 3, 1 << 20):
        with pytest.raises(Format) as caught:
            read(path, block=block)
        assert said in caught.value.message
        assert str(path) in caught.value.message
