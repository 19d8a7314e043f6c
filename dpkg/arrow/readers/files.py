"""Opening files and byte streams: what is wrong with a path, compression, and reads that fail."""

from __future__ import annotations

import errno
import os
from typing import Any

import pyarrow as pa

from dpkg.errors import DpkgError, Format, NotFound, Storage

_CODECS = {".gz": "gzip", ".zst": "zstd"}
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def open_file(path: str) -> Any:
    """A file as an Arrow input stream that can seek. Raises NotFound, Storage or Format."""
    if os.path.isdir(path):
        raise Format(f"{path} is a directory, not a file", "name a file in it")
    try:
        with open(path, "rb"):
            return pa.OSFile(os.fsencode(path))  # given text, Arrow would write UTF-8, whatever the locale says
    except OSError as e:
        raise failed(path, e) from None


def failed(path: str, e: OSError) -> NotFound | Storage:
    """The error for a file that the system would not open or read."""
    if e.errno == errno.ENOENT:
        return NotFound(f"{path} does not exist")
    if e.errno in (errno.EACCES, errno.EPERM):
        return Storage(f"{path} cannot be read: permission denied", "check who owns it, and its mode (ls -l)")
    hint = "raise the limit (ulimit -n)" if e.errno in (errno.EMFILE, errno.ENFILE) else "check the disk"
    return Storage(f"{path} cannot be read: {e.strerror or e}", f"{hint}, then try again")


def codec_of(name: str) -> str | None:
    """How a file is compressed, by its name's end."""
    return _CODECS.get(os.path.splitext(name)[1].lower())


def decompressed(path: str, file: Any, codec: str | None = None) -> Any:
    """The stream of an open file's decompressed bytes, as its name's end (or `codec`) says."""
    codec = codec or codec_of(path)
    return pa.CompressedInputStream(file, codec) if codec else file


def read(path: str, source: Any, size: int) -> bytes:
    """The next bytes of a stream of `decompressed`. Raises Format if the compression is broken."""
    try:
        return bytes(source.read(size))
    except OSError as e:
        raise _broken(path, e) from None


def read_into(path: str, source: Any, room: memoryview) -> int:
    """As `read`, into memory; how many bytes."""
    try:
        return int(source.readinto(room))
    except OSError as e:
        raise _broken(path, e) from None


def _broken(path: str, e: OSError) -> DpkgError:
    if e.errno:
        return failed(path, e)
    if "Truncated" in str(e):
        return Format(f"{path} ends in the middle of its compressed data", "fetch it again: it is not complete")
    return Format(f"{path} is not what its name says, or damaged: {e}", "is it compressed at all?")
