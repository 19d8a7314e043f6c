"""A second reader of the dpkg format v1, written from the pages in spec/ alone. It imports nothing of dpkg.

It is slow, plain and obvious, and takes and gives plain Python values:

| type | plain value |
|---|---|
| null, and a null of any type | None |
| bool | bool |
| int8 ... uint64 | int |
| float16, float32, float64 | int: the bits of the IEEE 754 value (1.0 as float32 is 0x3F800000) |
| date, time_*, timestamp, duration | int: days or units, for a timestamp since 1970-01-01 |
| decimal | int, unscaled |
| utf8 | str |
| binary, fixed_binary | bytes |
| list, fixed_list | list of values |
| struct | list of the fields' values in order |
| map | list of [key, value] |
| extension | the value of its storage |

A type is what canonical JSON writes, as Python: "int64", {"list": "utf8"}. A schema is a list of [name, type], a column
a list of values, a table or fragment a schema and a list of columns. Digests are bytes, oids hex strings. What the spec
refuses raises `Refused`, whose `rule` is the id of the broken rule.

Files: reader_json.py (oids.md), reader_values.py (types.md, values.md), reader_rows.py (rows.md), reader_index.py
(index.md, tables), reader_objects.py (objects.md, storage.md), reader_packs.py (storage.md, packs), reader_parquet.py (storage.md, files),
reader_vectors.py
(loading spec/vectors/*.json, its JSON form of values, what a vector expects). Import all of it from here;
tests/spec/conftest.py puts this folder on sys.path:

    import reader
    for case in reader.load_vectors("fragments"):
        schema, columns = reader.table_of(case["input"])   # plain values
        assert reader.compute("fragments", case["input"]) == case["expected"]
"""

from __future__ import annotations

from reader_index import (
    Index,
    Node,
    Table,
    build_fragments_index,
    build_index,
    build_table,
    build_tree,
    ends_node,
    statistics_cell,
    statistics_oid,
    statistics_row,
    statistics_schema,
)
from reader_json import (
    CONTEXTS,
    Refused,
    decode,
    digest,
    encode,
    oid,
)
from reader_objects import (
    check_log,
    check_part_log,
    commit_text,
    decode_frame,
    decode_object,
    encode_chunks,
    encode_frame,
    list_chunks,
    part_name,
    ref_digest,
    ref_key,
    ref_value,
    seal_frame,
)
from reader_packs import check_pack, encode_pack
from reader_rows import (
    EqualKeys,
    boundaries,
    cell,
    cell_bytes,
    levels,
    row_bytes,
    row_mixes,
    sort_by_key,
    sorted_rows,
    target_rows,
)
from reader_values import (
    check_type,
    column_digest,
    fragment_oid,
    fragment_oid_of,
    schema_digest,
    stream,
)
from reader_vectors import (
    NAMES,
    VECTORS,
    column_of,
    compute,
    entries_of,
    from_form,
    load_vectors,
    pieces,
    table_of,
    to_form,
)

__all__ = [
    "CONTEXTS",
    "NAMES",
    "VECTORS",
    "EqualKeys",
    "Index",
    "Node",
    "Refused",
    "Table",
    "boundaries",
    "build_fragments_index",
    "build_index",
    "build_table",
    "build_tree",
    "cell",
    "cell_bytes",
    "check_log",
    "check_pack",
    "check_part_log",
    "check_type",
    "column_digest",
    "column_of",
    "commit_text",
    "compute",
    "decode",
    "decode_frame",
    "decode_object",
    "digest",
    "encode",
    "encode_chunks",
    "encode_frame",
    "encode_pack",
    "ends_node",
    "entries_of",
    "fragment_oid",
    "fragment_oid_of",
    "from_form",
    "levels",
    "list_chunks",
    "load_vectors",
    "oid",
    "part_name",
    "pieces",
    "ref_digest",
    "ref_key",
    "ref_value",
    "row_bytes",
    "row_mixes",
    "schema_digest",
    "seal_frame",
    "sort_by_key",
    "sorted_rows",
    "statistics_cell",
    "statistics_oid",
    "statistics_row",
    "statistics_schema",
    "stream",
    "table_of",
    "target_rows",
    "to_form",
]
