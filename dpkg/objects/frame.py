"""The frame that an object is stored in (spec/storage.md): a header of 64 bytes, then the payload, plain or compressed.

A blob of more than `LARGE` bytes is stored as a list of its chunks (`chunks`), so that every frame fits into memory.
What is wrong with stored bytes is Corrupt, whatever they are. Payloads are never larger than the header says.
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
    from collections.abc import Callable, Sequence
    from typing import BinaryIO, Literal

    import zstandard

    Kind = Literal["blob", "table", "node", "commit", "fragment"]
    Read = Callable[[int, int], bytes]  # (start, length) -> bytes, fewer only at the end
else:
    Kind = str  # importable; loading typing for it would cost start-up time

BLOB: Kind = "blob"
TABLE: Kind = "table"
NODE: Kind = "node"
COMMIT: Kind = "commit"
FRAGMENT: Kind = "fragment"  # in packs only: the file of a small one, as it is
CODES: dict[Kind, int] = {BLOB: 1, TABLE: 2, NODE: 3, COMMIT: 4, FRAGMENT: 5}
OBJECTS = (BLOB, TABLE, NODE, COMMIT)  # what is not a fragment
KINDS: dict[int, Kind] = {code: kind for kind, code in CODES.items()}

MAGIC = b"dpkgobj\0"
HEADER = struct.Struct("<8sBBB5sQQ32s")  # magic, version, kind, codec, zeros, payload length, stored length, digest
VERSION = 0
_ZEROS, _UNSEALED = bytes(5), bytes(32)
NONE, ZSTD, CHUNKS = 0, 1, 2
CHUNK = 1 << 20  # bytes of what is made or written at a time
RANGE = 4 << 20  # bytes read at a time of what is larger
LARGE = 4 << 20  # bytes of a blob; those of more are stored in chunks (STO-30)
CHUNK_LEAST = 64 << 10  # bytes of a chunk that is not the last
CHUNK_RECORD = struct.Struct("<32sQ")  # of a chunk: its oid, where it ends in the blob
CHUNKS_MOST = 1 << 22  # records in a list

_STEP = 1 << 10  # bytes decompressed at a time: what comes out is at most 32,768 times as many
_BIG = 256 << 10  # bytes of payload; of more a sample tells whether it shrinks, and speed counts
_LEVEL, _LEVEL_BIG = 3, 1
_SAMPLES, _SAMPLE = 4, 16 << 10  # parts of a big payload, and the bytes of each
# payloads below this, or 256, are stored as they are: `log` need not load zstandard, and engines read the files of fragments
_SMALL = {COMMIT: 4096, FRAGMENT: MAX_BYTES + 1}


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
    if codec not in (NONE, ZSTD, CHUNKS):
        raise Corrupt(f"the frame is compressed by the unknown codec {codec}")
    if zeros != bytes(5):
        raise Corrupt("reserved bytes of the frame's header are not zero")
    if size is not None and size != HEADER.size + stored:
        raise Corrupt(f"the frame has {size - HEADER.size:,} stored bytes, and its header says {stored:,}")
    if (codec == NONE and stored != length) or (kind != BLOB and length > MAX_BYTES):
        raise Corrupt(f"the frame's payload length, {length:,}, is impossible")
    if (codec == CHUNKS) != (kind == BLOB and length > LARGE):
        raise Corrupt(f"a {kind} of {length:,} bytes is {'in chunks' if codec == CHUNKS else 'in one piece'}")
    if kind == FRAGMENT and codec != NONE:
        raise Corrupt("the file of a fragment is not as it is in the frame")
    if codec == CHUNKS and stored not in range(0, most_listed(length) + 1, CHUNK_RECORD.size):
        raise Corrupt(f"a list of chunks cannot have the length of {stored:,} bytes")
    return Header(kind, codec, length, stored, frame_digest)


def most_listed(length: int) -> int:
    """The most bytes that the list of the chunks of a blob of `length` bytes has."""
    return CHUNK_RECORD.size * min(CHUNKS_MOST, length // CHUNK_LEAST + 1)


def most_stored(length: int) -> int:
    """The most bytes that the frame of an object of `length` bytes has, at any compression."""
    if length > MAX_BYTES:
        return HEADER.size + most_listed(length)
    return HEADER.size + length + (length >> 7) + 1024  # zstd's worst case is a little more than its input


def new_hasher(kind: Kind) -> blake3:
    """What computes the oid of an object of `kind` piece by piece (OID-2, OID-3)."""
    return blake3() if kind == BLOB else blake3(derive_key_context=context(kind))


# Frames


def pack(kind: Kind, payload: bytes) -> bytes:
    """The frame of `payload`, which is not in chunks."""
    return b"".join(pack_parts(kind, payload))


def pack_parts(kind: Kind, payload: bytes | memoryview, oid: Oid | None = None) -> tuple[bytes, bytes | memoryview]:
    """The frame of `payload` in two parts, the header and what is stored: a large payload is not copied for it.

    Given the oid, a blob that is stored as it is need not be hashed again.
    """
    most = LARGE if kind == BLOB else MAX_BYTES
    if len(payload) > most:
        raise Format(f"a {kind} of {len(payload):,} bytes is larger than {most:,}")
    codec, stored = NONE, payload
    if len(payload) >= _SMALL.get(kind, 256) and (len(payload) <= _BIG or _shrinks(payload)):
        compressed = _compressor(_LEVEL if len(payload) <= _BIG else _LEVEL_BIG).compress(payload)
        if _saves(compressed, payload):
            codec, stored = ZSTD, compressed
    return _start(kind, codec, len(payload), stored, oid if (kind, codec) == (BLOB, NONE) else None), stored


def pack_all(kind: Kind, payloads: Sequence[bytes], oids: Sequence[Oid]) -> list[bytes]:
    """The frames of small payloads with these oids, of no more than 1 MiB each: compressed by one call, during which other threads run."""
    least = _SMALL.get(kind, 256)
    tried = [payload for payload in payloads if len(payload) >= least]
    together = getattr(_compressor(_LEVEL), "multi_compress_to_buffer", None) if tried else None  # CPython's has it
    if together is None:
        return [b"".join(pack_parts(kind, *item)) for item in zip(payloads, oids, strict=True)]
    compressed = iter(together(tried))
    frames = []
    for payload, oid in zip(payloads, oids, strict=True):
        pressed = next(compressed).tobytes() if len(payload) >= least else None
        if pressed is not None and _saves(pressed, payload):
            frames.append(_sealed(kind, ZSTD, len(payload), pressed))
        else:
            frames.append(_start(kind, NONE, len(payload), payload, oid if kind == BLOB else None) + payload)
    return frames


def is_fragment(data: bytes | memoryview) -> bool:
    """Whether the first bytes of a frame say that it holds the file of a fragment."""
    return len(data) > 9 and data[9] == CODES[FRAGMENT]


def pack_chunks(length: int, records: bytes) -> bytes:
    """The frame of a blob of `length` bytes that is in chunks."""
    return _sealed(BLOB, CHUNKS, length, records)


def _sealed(kind: Kind, codec: int, length: int, stored: bytes) -> bytes:
    """A frame of bytes that are stored as they are."""
    return _start(kind, codec, length, stored) + stored


def _start(kind: Kind, codec: int, length: int, stored: bytes | memoryview, oid: Oid | None = None) -> bytes:
    """The header of a frame of these stored bytes, of which `oid` is the BLAKE3, if it is known."""
    start = HEADER.pack(MAGIC, VERSION, CODES[kind], codec, _ZEROS, length, len(stored), _UNSEALED)[:32]
    return start + _seal(start, blake3(stored).digest() if oid is None else oid.raw)


def _seal(start: bytes, stored: bytes) -> bytes:
    """The digest in a header, of its other bytes and the BLAKE3 of what is stored (STO-3)."""
    return blake3(start + stored).digest()


def unpack(frame: bytes) -> tuple[Kind, bytes]:
    """The kind and the payload of a frame, all checked but the oid, which the caller knows (STO-2). Raises Corrupt.

    Not for a blob in chunks: its payload is elsewhere.
    """
    return _payload(check(frame)[0], frame)


def unpack_as(oid: Oid, frame: bytes) -> tuple[Kind, bytes]:
    """As `unpack`, of the object `oid`: all is checked. A blob that is stored as it is is hashed once. Raises Corrupt."""
    header, stored = check(frame)
    kind, payload = _payload(header, frame)
    if (stored.hex() if (kind, header.codec) == (BLOB, NONE) else digest(kind, payload)) != oid:
        raise Corrupt("its bytes are those of another object")
    return kind, payload


def _payload(header: Header, frame: bytes) -> tuple[Kind, bytes]:
    if header.codec == CHUNKS:
        raise Corrupt("it is in chunks where it must be in one piece")
    stored = memoryview(frame)[HEADER.size :]
    return header.kind, bytes(stored) if header.codec == NONE else _decompress(stored, header.length)


def check(frame: bytes) -> tuple[Header, bytes]:
    """The header of a frame whose every byte is as it was written (STO-3), and the BLAKE3 of what is stored.

    Nothing is decoded. Raises Corrupt.
    """
    header = parse_header(frame, len(frame))
    stored = blake3(memoryview(frame)[HEADER.size :]).digest()
    if _seal(frame[:32], stored) != header.digest:
        raise Corrupt("the frame's bytes do not match its digest")
    return header, stored


def check_stream(read: Read, size: int) -> Header:
    """As `check`, for a frame of `size` bytes that `read` gives in ranges."""
    header = parse_header(read(0, HEADER.size), size)
    hasher = blake3()
    for at in range(HEADER.size, size, RANGE):
        hasher.update(read(at, min(RANGE, size - at)))
    if _seal(header.pack()[:32], hasher.digest()) != header.digest:
        raise Corrupt("the frame's bytes do not match its digest")
    return header


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


# Compression


class _PerThread(_local):
    """A compressor for each thread and level: to make one costs more than to compress a small object."""

    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}


_per_thread = _PerThread()


def _compressor(level: int) -> zstandard.ZstdCompressor:
    made = _per_thread.compressors.get(level)
    if made is None:
        import zstandard

        made = _per_thread.compressors[level] = zstandard.ZstdCompressor(level=level)
    return made


def _saves(compressed: bytes, payload: bytes | memoryview) -> bool:
    return len(compressed) <= len(payload) - max(1, len(payload) >> 5)


def _shrinks(payload: bytes | memoryview) -> bool:
    """Whether samples of a big payload say that it is worth the time: what is compressed already is left as it is."""
    step = (len(payload) - _SAMPLE) // (_SAMPLES - 1)
    sample = b"".join(payload[at : at + _SAMPLE] for at in range(0, _SAMPLES * step, step))
    return len(_compressor(_LEVEL_BIG).compress(sample)) <= len(sample) - (len(sample) >> 3)


def _decompress(stored: memoryview, length: int) -> bytes:
    """The payload of `length` bytes in one zstd frame, and no more of it than that (STO-2)."""
    import zstandard

    try:
        if zstandard.frame_content_size(stored) == length:  # then no more memory is taken, and it is faster
            return zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
        inflate = zstandard.ZstdDecompressor().decompressobj()
        parts, left = [], length
        for at in range(0, len(stored), _STEP):
            if inflate.eof:
                raise Corrupt("bytes follow the frame's compressed payload")
            parts.append(inflate.decompress(stored[at : at + _STEP]))
            left -= len(parts[-1])
            if left < 0:
                raise Corrupt("the frame decodes to more bytes than its header says")
    except zstandard.ZstdError as error:
        raise Corrupt(f"the frame cannot be decompressed: {error}") from None
    if left or not inflate.eof:
        raise Corrupt(f"the frame decodes to {left:,} bytes fewer than its header says")
    if inflate.unused_data:
        raise Corrupt("bytes follow the frame's compressed payload")
    return b"".join(parts)
