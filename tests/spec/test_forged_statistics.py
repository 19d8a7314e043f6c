"""Readers do not believe Parquet's own statistics: no digest covers them (IDX-9)."""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dpkg import tables
from dpkg.arrow import fragment
from dpkg.index import fragment_entries
from dpkg.odb import Odb, fragment_key
from dpkg.store.memory import MemoryBackend


def forged(data: bytes, old: int, new: int) -> bytes:
    """The file with a bound in its footer replaced, and sealed again."""
    footer = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    changed = bytearray(data[:footer] + data[footer:].replace(struct.pack("<q", old), struct.pack("<q", new)))
    at = changed.rfind(fragment.SEAL_KEY) + len(fragment.SEAL_KEY) + 2
    changed[at : at + 64] = b"0" * 64
    return fragment._seal(changed)


@pytest.mark.spec("IDX-9")
def test_a_forged_footer_hides_no_rows() -> None:
    odb = Odb(MemoryBackend())
    source = pa.table({"x": pa.array(range(1000, 2000))})
    _, table = tables.write_table(odb, source.to_batches(), source.schema)
    (entry,) = fragment_entries(odb, table.fragments)
    data = forged(odb.read_fragment_file(entry.oid), 1999, 1001)
    assert pq.read_metadata(pa.BufferReader(data)).row_group(0).column(0).statistics.max == 1001  # the forgery took
    odb.backend.put(fragment_key(entry.oid), data)
    fragment.check_seal(data)
    found = pa.Table.from_batches(tables.scan(odb, table, filter=pc.field("x") > 1500), tables.user_schema(table))
    assert found["x"].to_pylist() == list(range(1501, 2000))
