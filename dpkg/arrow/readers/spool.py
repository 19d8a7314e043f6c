"""Sources from a byte stream, such as standard input. What has to seek, or be read twice, goes to a temporary file."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from dpkg.arrow.options import ReadOptions, Widened
from dpkg.arrow.readers.base import Source
from dpkg.arrow.readers.columnar import ARROW, BROKEN, ColumnarSource, damaged, sliced
from dpkg.arrow.readers.files import MAGIC, failed
from dpkg.errors import DpkgError, Format

_STREAM = b"\xff\xff\xff\xff"
_BINARY = {b"PAR1": "parquet", b"ARRO": "arrow", b"FEA1": "arrow", _STREAM: "arrow"}


class _Rejoined(io.RawIOBase):
    """A stream with its first bytes put back."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size is None or size < 0:
            head, self._head = self._head, b""
            return head + self._stream.read()
        parts = [self._head[:size]]
        self._head = self._head[size:]
        while (left := size - sum(map(len, parts))) > 0:
            more = self._stream.read(left)
            if not more:
                break
            parts.append(more)
        return b"".join(parts)


def open_stream(stream: BinaryIO, options: ReadOptions, format: str | None, name: str, open_file: Any) -> Source:
    """`open_file(path, format, options, codec)` opens what was put into a temporary file."""
    head = _Rejoined(b"", stream).read(8)
    if not head:
        raise Format(f"{name} is empty")
    format = format or _BINARY.get(head[:4]) or "csv"
    if format == "arrow" and head[:4] == _STREAM:
        return _one_pass(_Rejoined(head, stream), options, name)
    codec = next((codec for magic, codec in MAGIC.items() if head.startswith(magic)), None)
    whole = _Rejoined(head, stream)
    return Spooled(lambda out: shutil.copyfileobj(whole, out, 1 << 20), options, format, name, codec, open_file)


def _one_pass(stream: _Rejoined, options: ReadOptions, name: str) -> Source:
    """`batches()` can be called once."""
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(stream, "r"))
    except BROKEN as e:
        raise damaged(name, ARROW, e) from None
    readers = [reader]

    def read() -> Iterator[pa.RecordBatch]:
        if not readers:
            raise RuntimeError("an Arrow stream can be read once only")
        yield from sliced(readers.pop(), is_file=False)

    return ColumnarSource(name, reader.schema, read, options, ARROW)


class Spooled:
    """A source over a temporary file that `fill` writes, and which goes with it; messages say `name` for it."""

    def __init__(
        self,
        fill: Callable[[Any], None],
        options: ReadOptions,
        format: str,
        name: str,
        codec: str | None,
        open_file: Any,
    ) -> None:
        self._name = name
        self._file = tempfile.NamedTemporaryFile(prefix="dpkg-")  # noqa: SIM115
        try:
            fill(self._file)
            self._file.flush()
        except OSError as e:
            self._file.close()
            raise failed(f"{name}, on its way to {self._file.name},", e) from None
        except BaseException:
            self._file.close()
            raise
        try:
            self._source: Source = open_file(self._file.name, format, options, codec)
        except DpkgError as e:
            self._file.close()
            raise self._named(e) from None

    def _named(self, e: DpkgError) -> DpkgError:
        return type(e)(e.message.replace(self._file.name, self._name), e.hint)

    @property
    def schema(self) -> pa.Schema:
        try:
            return self._source.schema
        except DpkgError as e:
            raise self._named(e) from None

    @property
    def widened(self) -> list[Widened]:
        return self._source.widened

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._source.batches()
        except DpkgError as e:
            raise self._named(e) from None

    def close(self) -> None:
        self._source.close()
        self._file.close()
