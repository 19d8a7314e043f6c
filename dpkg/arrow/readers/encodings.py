"""Bytes to UTF-8, and whether they are."""

from __future__ import annotations

import codecs
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg import progress
from dpkg.arrow.readers.files import decompressed, open_file, read, read_into
from dpkg.arrow.readers.refusals import not_encoded, utf16
from dpkg.errors import Usage

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Text:
    """A file's bytes, decompressed and in UTF-8 (what is UTF-8 by name is not checked), without a byte order mark."""

    def __init__(self, path: str, encoding: str, codec: str | None = None) -> None:
        self._path, self._encoding = path, encoding
        self._file = open_file(path)
        self._source, self._decoder = decompressed(path, self._file, codec), _decoder(encoding)
        self._ended = False
        self._mark = self._next(len(_BOM)).removeprefix(_BOM)
        if self._decoder is None and self._mark.startswith(_UTF16):
            raise utf16(path)

    def read(self, lead: bytes, size: int) -> pa.Buffer | None:
        """`lead` and what follows in the file, at most `size` bytes or a few more; None at the end."""
        progress.reached(self._path, self._file.tell())
        if self._mark or self._decoder is not None:
            more = self._mark + self._next(size)
            self._mark = b""
            return pa.py_buffer(lead + more) if more else None
        buffer = pa.allocate_buffer(len(lead) + size)
        room = memoryview(buffer).cast("B")
        room[: len(lead)] = lead
        count = read_into(self._path, self._source, room[len(lead) :])
        return buffer.slice(0, len(lead) + count) if count else None

    def _next(self, size: int) -> bytes:
        while not self._ended:
            block = read(self._path, self._source, size)
            self._ended = not block
            if self._decoder is None:
                return block
            try:
                text: str = self._decoder.decode(block, self._ended)
            except UnicodeError as e:
                raise not_encoded(self._path, self._encoding, e) from None
            if text:
                return text.encode()
        return b""

    def close(self) -> None:
        self._source.close()


def _decoder(encoding: str) -> Any:
    try:
        name = codecs.lookup(encoding).name
        return None if name in ("utf-8", "utf-8-sig", "ascii") else codecs.getincrementaldecoder(encoding)()
    except (LookupError, TypeError):
        hint = "such as utf-8, latin-1, cp1252, utf-16"
        raise Usage(f"'{encoding}' is no encoding that is known here", hint) from None


def is_utf8(data: pa.Buffer) -> bool:
    """Whether it is, without a NUL."""
    view = np.frombuffer(data, np.uint8)
    if not len(view) or view.min() == 0:
        return not len(view)
    if view.max() < 0x80:
        return True
    bounds = pa.py_buffer(np.array([0, len(view)], np.int32))
    try:
        pa.StringArray.from_buffers(1, bounds, data).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
