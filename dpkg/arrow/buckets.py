"""Batches of one schema by a number, in memory; beyond a limit in temporary files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.rowdiff import pick

LIMIT = 64 << 20  # bytes held in memory
BITS = 6


class Buckets:
    """Takes rows with digests; gives them back so that equal digests come together. A context manager: its files are gone when it ends."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._held: list[tuple[pa.RecordBatch, Any]] = []
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Buckets:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.cleanup()

    def add(self, batch: pa.RecordBatch, digests: Any) -> None:
        """Rows and a number (uint64) of each."""
        self._held.append((batch, digests))
        self._bytes += batch.nbytes
        if self._bytes > LIMIT:
            self._flush()

    def _flush(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="dpkg-diff-")
        for batch, digests in self._held:
            which = (digests >> np.uint64(64 - BITS)).astype(np.uint8)
            for n in np.unique(which):
                rows = np.flatnonzero(which == n)
                some = pa.RecordBatch.from_arrays([pick(c, rows) for c in batch.columns], schema=self._schema)
                with open(self._path(int(n)), "ab") as file, pa.ipc.new_stream(file, self._schema) as stream:
                    stream.write_batch(some)
        self._held, self._bytes = [], 0

    def _path(self, n: int) -> str:
        assert self._folder is not None
        return os.path.join(self._folder.name, f"{n:02}")

    def parts(self) -> Iterator[pa.RecordBatch]:
        """All rows, a bucket at a time; equal digests are in the same one."""
        if self._folder is None:
            yield from self._joined([batch for batch, _ in self._held])
            return
        self._flush()
        for n in range(1 << BITS):
            if os.path.exists(self._path(n)):
                yield from self._joined(list(self._read(n)))

    def _read(self, n: int) -> Iterator[pa.RecordBatch]:
        """The streams of a file, one after the other."""
        with open(self._path(n), "rb") as file:
            size = os.path.getsize(self._path(n))
            while file.tell() < size:
                with pa.ipc.open_stream(file) as stream:
                    yield from stream

    def _joined(self, batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if batches:
            columns = [pa.concat_arrays([b.column(i) for b in batches]) for i in range(len(self._schema))]
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)
