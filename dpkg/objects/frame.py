"""The frame that an object is stored in (spec/storage.md): a header of 64 bytes, then the payload, plain or compressed.

What is wrong with stored bytes is Corrupt, whatever they are. Payloads are never larger than the header says, and
memory for them is only taken as they are decoded.
"""

from __future__ import annotations

import struct
from _thread import _local
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg.errors import Corrupt, Format
from dpkg.objects.canonical_json import MAX_BYTES
from dpkg.oid import Oid, context, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO, Literal

    import zstandard

    Kind = Literal["blob", "table", "node", "commit"]
    Read = Callable[[int, int], bytes]  # (start, length) -> bytes, fewer only at the end
else:
    Kind = str  # importable; loading typing for it would cost start-up time

BLOB: Kind = "blob"
TABLE: Kind = "table"
NODE: Kind = "node"
COMMIT: Kind = "commit"
CODES: dict[Kind, int] = {BLOB: 1, TABLE: 2, NODE: 3, COMMIT: 4}
KINDS: dict[int, Kind] = {code: kind for kind, code in CODES.items()}

MAGIC = b"dpkgobj\0"
HEADER = struct.Struct("<8sBBB5sQQ32s")  # magic, version, kind, codec, zeros, payload length, stored length, digest
VERSION = 0
_ZEROS, _UNSEALED = bytes(5), bytes(32)
NONE, ZSTD = 0, 1
CHUNK = 1 << 20  # bytes of payload in memory at a time
RANGE = 4 << 20  # bytes read from a store at a time

_LEVEL = 3
_STEP = 1 << 10  # bytes decompressed at a time: what comes out is at most 32,768 times as many
_SAMPLE = 256 << 10  # of a larger payload, the part that tells whether it shrinks
_SMALL = {COMMIT: 4096}  # payloads below this, or 256, are stored as they are: `log` need not load zstandard


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 64 bytes of a frame say."""

    kind: Kind
    codec: int
    length: int  # of the payload
    stored: int  # of what follows the header
    digest: bytes

    def pack(self) -> bytes:
        code = CODES[self.kind]
        return HEADER.pack(MAGIC, VERSION, code, self.codec, bytes(5), self.length, self.stored, self.digest)


def parse_header(data: bytes, size: int | None = None) -> Header:
    """The header in the first 64 bytes of `data`, checked; `size`, if known, is the length of the whole frame."""
    if len(data) < HEADER.size:
        raise Corrupt(f"the frame is cut off: {len(data)} bytes, and its header has {HEADER.size}")
    magic, version, code, codec, zeros, length, stored, frame_digest = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Corrupt("the frame does not begin with its magic bytes")
    if version != VERSION:
        raise Corrupt(f"the frame is of the unknown version {version}")
    kind = KINDS.get(code)
    if kind is None:
        raise Corrupt(f"the frame holds an object of the unknown kind {code}")
    if codec not in (NONE, ZSTD):
        raise Corrupt(f"the frame is compressed by the unknown codec {codec}")
    if zeros != bytes(5):
        raise Corrupt("reserved bytes of the frame's header are not zero")
    if size is not None and size != HEADER.size + stored:
        raise Corrupt(f"the frame has {size - HEADER.size:,} stored bytes, and its header says {stored:,}")
    if (codec == NONE and stored != length) or (kind != BLOB and length > MAX_BYTES):
        raise Corrupt(f"the frame's payload length, {length:,}, is impossible")
    return Header(kind, codec, length, stored, frame_digest)


def new_hasher(kind: Kind) -> blake3:
    """What computes the oid of an object of `kind` piece by piece (OID-2, OID-3)."""
    return blake3() if kind == BLOB else blake3(derive_key_context=context(kind))


# Whole frames


def pack(kind: Kind, payload: bytes) -> bytes:
    """The frame of `payload`."""
    if kind != BLOB and len(payload) > MAX_BYTES:
        raise Format(f"a {kind} of {len(payload):,} bytes is larger than {MAX_BYTES:,}")
    codec, stored = NONE, payload
    if len(payload) >= _SMALL.get(kind, 256) and (len(payload) <= 2 * _SAMPLE or _shrinks(payload[:_SAMPLE])):
        compressed = _compressor().compress(payload)
        if _saves(compressed, payload):
            codec, stored = ZSTD, compressed
    return _sealed(kind, codec, len(payload), stored)


def pack_all(kind: Kind, payloads: Sequence[bytes]) -> list[bytes]:
    """The frames of small payloads, of no more than 1 MiB each: compressed by one call, during which other threads run."""
    least = _SMALL.get(kind, 256)
    tried = [payload for payload in payloads if len(payload) >= least]
    together = getattr(_compressor(), "multi_compress_to_buffer", None) if tried else None  # CPython's has it
    if together is None:
        return [pack(kind, payload) for payload in payloads]
    compressed = iter(together(tried))
    frames = []
    for payload in payloads:
        pressed = next(compressed).tobytes() if len(payload) >= least else None
        if pressed is not None and _saves(pressed, payload):
            frames.append(_sealed(kind, ZSTD, len(payload), pressed))
        else:
            frames.append(_sealed(kind, NONE, len(payload), payload))
    return frames


def _sealed(kind: Kind, codec: int, length: int, stored: bytes) -> bytes:
    """A frame of bytes that are stored as they are."""
    header = HEADER.pack(MAGIC, VERSION, CODES[kind], codec, _ZEROS, length, len(stored), _UNSEALED)
    return b"".join((header[:32], blake3(header).update(stored).digest(), stored))


def unpack(frame: bytes) -> tuple[Kind, bytes]:
    """The kind and the payload of a frame, all checked but the oid, which the caller knows (STO-2). Raises Corrupt."""
    header = check(frame)
    if header.codec == NONE:
        return header.kind, frame[HEADER.size :]
    return header.kind, b"".join(_decompress(lambda start, length: frame[start : start + length], header))


def check(frame: bytes) -> Header:
    """The header of a frame whose every byte is as it was written (STO-3): nothing is decoded. Raises Corrupt."""
    header = parse_header(frame, len(frame))
    hasher = blake3(frame[:32]).update(bytes(32)).update(memoryview(frame)[HEADER.size :])
    if hasher.digest() != header.digest:
        raise Corrupt("the frame's bytes do not match its digest")
    return header


# Frames too large for memory


def check_stream(read: Read, size: int) -> Header:
    """As `check`, for a frame of `size` bytes that `read` gives in ranges."""
    header = parse_header(read(0, HEADER.size), size)
    hasher = blake3(Header(header.kind, header.codec, header.length, header.stored, bytes(32)).pack())
    for chunk in _ranges(read, HEADER.size, header.stored):
        hasher.update(chunk)
    if hasher.digest() != header.digest:
        raise Corrupt("the frame's bytes do not match its digest")
    return header


def pack_file(kind: Kind, source: BinaryIO, out: BinaryIO) -> tuple[Oid, int]:
    """Write the frame of what `source` holds from its position on to `out` (open for reading too); its oid and length.

    One pass over `source`, in bounded memory. `out` must end at its position; it is read once more, as the digest
    covers the header, which is known last.
    """
    chunk = read_full(source, CHUNK)
    if len(chunk) < CHUNK:
        out.write(pack(kind, chunk))
        return digest(kind, chunk), len(chunk)
    base, hasher, length = out.tell(), new_hasher(kind), 0
    out.write(bytes(HEADER.size))
    codec = ZSTD if _shrinks(chunk[:_SAMPLE]) else NONE
    press = _new_compressor().compressobj() if codec == ZSTD else None
    while chunk:
        hasher.update(chunk)
        length += len(chunk)
        out.write(press.compress(chunk) if press else chunk)
        chunk = read_full(source, CHUNK)
    if press:
        out.write(press.flush())
    end = out.tell()
    header = Header(kind, codec, length, end - base - HEADER.size, bytes(32)).pack()
    whole = blake3(header)
    out.seek(base + HEADER.size)
    while chunk := out.read(CHUNK):
        whole.update(chunk)
    out.seek(base)
    out.write(header[:32] + whole.digest())
    out.seek(end)
    return Oid(hasher.hexdigest()), length


def iter_payload(read: Read, size: int) -> Iterator[bytes]:
    """The payload, in pieces, of a frame of `size` bytes. The consumer checks the oid. Raises Corrupt."""
    header = parse_header(read(0, HEADER.size), size)
    if header.codec == NONE:
        return _ranges(read, HEADER.size, header.stored)
    return _decompress(read, header)


def read_full(source: BinaryIO, length: int) -> bytes:
    """`length` bytes of `source`, fewer only at its end."""
    data = source.read(length)
    if not data or len(data) == length:
        return data
    parts, have = [data], len(data)
    while have < length and (data := source.read(length - have)):
        parts.append(data)
        have += len(data)
    return b"".join(parts)


def _ranges(read: Read, start: int, length: int) -> Iterator[bytes]:
    for at in range(start, start + length, RANGE):
        wanted = min(RANGE, start + length - at)
        data = read(at, wanted)
        if len(data) != wanted:
            raise Corrupt("the frame ended while it was read")
        yield data


# Compression


def _new_compressor() -> zstandard.ZstdCompressor:
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL)


class _PerThread(_local):
    """One compressor for each thread: to make one costs more than to compress a small object."""

    compressor: zstandard.ZstdCompressor | None = None


_per_thread = _PerThread()


def _compressor() -> zstandard.ZstdCompressor:
    made = _per_thread.compressor
    if made is None:
        made = _per_thread.compressor = _new_compressor()
    return made


def _shrinks(sample: bytes) -> bool:
    return _saves(_compressor().compress(sample), sample)


def _saves(compressed: bytes, payload: bytes) -> bool:
    return len(compressed) <= len(payload) - max(1, len(payload) >> 5)


def _decompress(read: Read, header: Header) -> Iterator[bytes]:
    """The payload of the one zstd frame that `read` gives, exactly as long as the header says."""
    import zstandard

    inflate = zstandard.ZstdDecompressor().decompressobj()
    left = header.length
    try:
        for data in _ranges(read, HEADER.size, header.stored):
            view = memoryview(data)
            for at in range(0, len(view), _STEP):
                if inflate.eof:
                    raise Corrupt("bytes follow the frame's compressed payload")
                out = inflate.decompress(view[at : at + _STEP])
                left -= len(out)
                if left < 0:
                    raise Corrupt("the frame decodes to more bytes than its header says")
                for start in range(0, len(out), CHUNK):
                    yield out[start : start + CHUNK]
    except zstandard.ZstdError as error:
        raise Corrupt(f"the frame cannot be decompressed: {error}") from None
    if left or not inflate.eof:
        raise Corrupt(f"the frame decodes to {left:,} bytes fewer than its header says")
    if inflate.unused_data:
        raise Corrupt("bytes follow the frame's compressed payload")
