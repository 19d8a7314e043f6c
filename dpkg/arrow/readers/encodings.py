"""Bytes to UTF-8, and whether they are."""

from __future__ import annotations

import codecs
from collections.abc import Generator
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.readers.files import open_text, read
from dpkg.errors import Format, Usage

_BOM = b"\xef\xbb\xbf"


def blocks_of(path: str, encoding: str, codec: str | None, size: int) -> Generator[bytes, int | None]:
    """A file, decompressed and in UTF-8 (if it is in UTF-8 by name, that is not checked), without a byte order mark.

    `send` another size for the blocks to come.
    """
    source, decoder, first = open_text(path, codec), _decoder(encoding), True
    try:
        while block := read(path, source, size if not first else max(size, len(_BOM))):
            try:
                block = decoder.decode(block).encode() if decoder is not None else block
            except UnicodeError as e:
                raise Format(f"{path} is not valid {encoding}: {e}", "name its encoding") from None
            if first and block:
                block, first = block.removeprefix(_BOM), False
            if block:
                size = (yield block) or size
        try:
            if decoder is not None and (block := decoder.decode(b"", True).encode()):
                yield block
        except UnicodeError as e:
            raise Format(f"{path} is not valid {encoding}: {e}", "name its encoding") from None
    finally:
        source.close()


def _decoder(encoding: str) -> Any:
    try:
        name = codecs.lookup(encoding).name
        return None if name in ("utf-8", "utf-8-sig", "ascii") else codecs.getincrementaldecoder(encoding)()
    except (LookupError, TypeError):
        hint = "such as utf-8, latin-1, cp1252, utf-16"
        raise Usage(f"'{encoding}' is no encoding that is known here", hint) from None


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    bounds = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.StringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
