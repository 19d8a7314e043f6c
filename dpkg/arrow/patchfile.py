"""A row diff as a file: Arrow and Parquet, which can be applied, with the head in the schema's metadata; CSV, JSON, daff."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dpkg.arrow import daff, writers
from dpkg.arrow.schema import Schema
from dpkg.errors import Format, NotFound

FORMATS = {"csv": "csv", "json": "jsonl", "arrow": "arrows", "parquet": "parquet"}  # and the writers' names of them
_HEAD = b"dpkg.rowdiff"
_HINT = (
    "make one with 'dpk diff OLD NEW TABLE --format arrow' or 'parquet'; other formats are for people and other tools"
)


def to_chunks(
    head: dict[str, Any], old: Schema, new: Schema, batches: Iterable[pa.RecordBatch], schema: Schema, format: str
) -> Iterator[bytes]:
    """The bytes of a row diff between two schemas, in pieces. Raises Format for what the format cannot hold."""
    if format == "daff":
        return daff.to_chunks(old, new, head["renamed"], batches)
    told = schema.plain.with_metadata({_HEAD: json.dumps(head)}) if format in ("arrow", "parquet") else schema.plain
    return writers.to_chunks(batches, told, FORMATS[format])


@contextmanager
def opened(path: str) -> Iterator[tuple[dict[str, Any], Iterator[pa.RecordBatch]]]:
    """The head and the plain batches of a file of Arrow or Parquet, read as they are asked for. Raises NotFound, Format."""
    try:
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise NotFound(f"there is no file '{path}'") from None
    with file:
        try:
            is_parquet = file.read(4) == b"PAR1"
            file.seek(0)
            source = pq.ParquetFile(file) if is_parquet else pa.ipc.open_stream(file)
            schema = source.schema_arrow if is_parquet else source.schema
        except (pa.ArrowException, OSError):  # a stream that begins wrong is an OSError to pyarrow
            raise Format(f"'{path}' is neither Arrow nor Parquet", _HINT) from None
        said = (schema.metadata or {}).get(_HEAD)
        if said is None:
            raise Format(f"'{path}' is no row diff", _HINT)
        yield json.loads(said), _batches(path, source)


def _batches(path: str, source: Any) -> Iterator[pa.RecordBatch]:
    try:
        yield from source.iter_batches() if isinstance(source, pq.ParquetFile) else source
    except (pa.ArrowException, OSError) as e:
        raise Format(f"'{path}' cannot be read to its end: {e}", "make it again") from None
