"""Frames: what is written is read, and no byte of it can change unseen."""

from __future__ import annotations

import io
import os
import random
import struct
from collections.abc import Callable
from typing import cast

import blake3
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.errors import Corrupt, Format
from dpkg.objects import frame
from dpkg.objects.frame import Kind
from dpkg.oid import digest

KINDS = st.sampled_from(sorted(frame.CODES))
TEXT = b"".join(b"line %d of a file that shrinks\n" % i for i in range(100))


def by_hand(payload: bytes, *, kind: int = 1, codec: int = 0, stored: bytes | None = None, **odd: object) -> bytes:
    """A frame from the table of the spec; `odd` replaces fields."""
    stored = payload if stored is None else stored
    fields = {"magic": b"dpkgobj\0", "version": 0, "zeros": bytes(5), "length": len(payload), "size": len(stored)} | odd
    start = struct.pack(
        "<8sBBB5sQQ", fields["magic"], fields["version"], kind, codec, fields["zeros"], fields["length"], fields["size"]
    )
    return start + blake3.blake3(start + bytes(32) + stored).digest() + stored


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, length: data[start : start + length]


def streamed(data: bytes) -> bytes:
    return b"".join(frame.iter_payload(reader(data), len(data)))


@pytest.mark.spec("STO-2")
@given(KINDS, st.binary(max_size=2000) | st.binary(max_size=20).map(lambda part: part * 200))
def test_round_trip(kind: Kind, payload: bytes) -> None:
    data = frame.pack(kind, payload)
    assert frame.unpack(data) == (kind, payload)
    assert frame.check(data) == frame.check_stream(reader(data), len(data))
    assert streamed(data) == payload
    assert len(data) <= 64 + len(payload)


@pytest.mark.spec("STO-2")
def test_layout_is_that_of_the_spec() -> None:
    assert frame.pack("blob", b"hello") == by_hand(b"hello")
    assert frame.pack("commit", b"{}") == by_hand(b"{}", kind=4)
    stored = zstandard.ZstdCompressor(level=3).compress(TEXT)
    for kind, code in (("blob", 1), ("table", 2), ("node", 3)):
        assert frame.pack(cast("Kind", kind), TEXT) == by_hand(TEXT, kind=code, codec=1, stored=stored)
    assert frame.unpack(by_hand(TEXT, codec=1, stored=stored)) == ("blob", TEXT)
    without_size = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(TEXT)
    assert frame.unpack(by_hand(TEXT, codec=1, stored=without_size)) == ("blob", TEXT)
    empty = zstandard.ZstdCompressor().compress(b"")
    assert frame.unpack(by_hand(b"", codec=1, stored=empty)) == ("blob", b"")


def test_what_is_compressed() -> None:
    def codec(kind: Kind, payload: bytes) -> int:
        return frame.check(frame.pack(kind, payload)).codec

    assert codec("blob", b"a" * 255) == frame.NONE
    assert codec("blob", b"a" * 256) == frame.ZSTD
    assert codec("commit", b"a" * 4000) == frame.NONE
    assert codec("commit", b"a" * 5000) == frame.ZSTD
    assert codec("blob", os.urandom(10_000)) == frame.NONE
    assert codec("blob", os.urandom(3_000_000)) == frame.NONE
    assert codec("blob", TEXT * 1000) == frame.ZSTD


SMALL = frame.pack("node", TEXT[:90]), by_hand(TEXT, codec=1, stored=zstandard.ZstdCompressor().compress(TEXT))


@pytest.mark.spec("STO-3")
@pytest.mark.parametrize("data", SMALL, ids=["plain", "zstd"])
def test_every_flipped_byte_is_found(data: bytes) -> None:
    for at in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            bad = bytearray(data)
            bad[at] ^= flip
            for read in (frame.unpack, frame.check):
                with pytest.raises(Corrupt):
                    read(bytes(bad))


@pytest.mark.spec("STO-3")
@pytest.mark.parametrize("data", SMALL, ids=["plain", "zstd"])
def test_every_truncation_and_addition_is_found(data: bytes) -> None:
    for bad in [data[:end] for end in range(len(data))] + [data + b"\0", data + data]:
        for read in (frame.unpack, frame.check, streamed):
            with pytest.raises(Corrupt):
                read(bad)


@pytest.mark.spec("STO-2")
def test_headers_that_are_whole_but_wrong() -> None:
    stored = zstandard.ZstdCompressor().compress(TEXT)
    garbage = b"no zstd frame at all"
    bad = {
        "magic": by_hand(b"x", magic=b"dpkgobj1"),
        "version": by_hand(b"x", version=1),
        "kind 0": by_hand(b"x", kind=0),
        "kind 5": by_hand(b"x", kind=5),
        "codec": by_hand(b"x", codec=2),
        "zeros": by_hand(b"x", zeros=b"\0\0\0\0\1"),
        "length": by_hand(b"x", length=2),
        "size": by_hand(b"x", size=2),
        "decodes to more": by_hand(TEXT[:-1], codec=1, stored=stored),
        "decodes to nothing": by_hand(b"", codec=1, stored=stored),
        "decodes to fewer": by_hand(TEXT + b"x", codec=1, stored=stored),
        "two zstd frames": by_hand(TEXT + TEXT, codec=1, stored=stored + stored),
        "more after the zstd frame": by_hand(TEXT, codec=1, stored=stored + b"\0"),
        "much more after it": by_hand(TEXT, codec=1, stored=stored + bytes(9_000_000)),
        "a second empty zstd frame": by_hand(TEXT, codec=1, stored=stored + zstandard.ZstdCompressor().compress(b"")),
        "zstd cut off": by_hand(TEXT, codec=1, stored=stored[:-9]),
        "no zstd": by_hand(TEXT, codec=1, stored=garbage),
        "nothing": by_hand(TEXT, codec=1, stored=b""),
        "a huge node": by_hand(b"x", kind=3, codec=1, length=(16 << 20) + 1, stored=stored),
    }
    for what, data in bad.items():
        for read in (frame.unpack, streamed):
            with pytest.raises(Corrupt):
                read(data)
                pytest.fail(what)


@pytest.mark.spec("STO-2")
def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(200_000_000))
    assert len(bomb) < 20_000
    produced = 0
    with pytest.raises(Corrupt, match="more bytes"):
        frame.unpack(by_hand(b"x" * 100, codec=1, stored=bomb))
    lying = by_hand(b"", codec=1, stored=bomb, length=2**60)  # nothing of this size is ever asked for
    with pytest.raises(Corrupt, match="fewer"):
        for chunk in frame.iter_payload(reader(lying), len(lying)):
            produced += len(chunk)
    assert produced <= 200_000_000


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_corrupt(data: bytes) -> None:
    for read in (frame.unpack, frame.check, streamed):
        with pytest.raises(Corrupt):
            read(data)


@settings(max_examples=300)
@given(st.binary(max_size=100), st.integers(0, 6), st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 150))
def test_sealed_garbage_raises_only_corrupt(stored: bytes, kind: int, codec: int, length: int) -> None:
    data = by_hand(b"", kind=kind, codec=codec, stored=stored, length=length)
    for read in (frame.unpack, streamed):
        try:
            read(data)
        except Corrupt:
            continue
        assert length == len(stored)


def test_too_large() -> None:
    with pytest.raises(Format, match="larger"):
        frame.pack("node", bytes((16 << 20) + 1))


# Files


@pytest.mark.parametrize("length", [0, 1, 5000, frame.CHUNK - 1, frame.CHUNK, frame.CHUNK + 1, 5 * frame.CHUNK + 77])
@pytest.mark.parametrize("shrinks", [True, False])
def test_pack_file(length: int, shrinks: bool) -> None:
    payload = (TEXT * (length // len(TEXT) + 1))[:length] if shrinks else random.Random(1).randbytes(length)
    out = io.BytesIO()
    assert frame.pack_file("blob", io.BytesIO(payload), out) == (digest("blob", payload), length)
    data = out.getvalue()
    assert out.tell() == len(data)
    assert frame.unpack(data) == ("blob", payload)
    assert frame.check_stream(reader(data), len(data)).length == length
    assert streamed(data) == payload
    assert frame.check(data).codec == (frame.ZSTD if shrinks and length > 255 else frame.NONE)


def test_pack_file_takes_short_reads_and_positions() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 100_003))

    payload = TEXT * 500
    source, out = Slow(b"skip" + payload), io.BytesIO(b"before")
    source.seek(4)
    out.seek(6)
    assert frame.pack_file("node", source, out) == (digest("node", payload), len(payload))
    assert frame.unpack(out.getvalue()[6:]) == ("node", payload)


def test_a_source_that_ends_early() -> None:
    for payload in (random.Random(2).randbytes(9 << 20), TEXT * 5000):
        data = frame.pack("blob", payload)
        cut = data[: len(data) * 2 // 3]
        with pytest.raises(Corrupt):
            list(frame.iter_payload(reader(cut), len(data)))
        with pytest.raises(Corrupt):
            frame.check_stream(reader(cut), len(data))


def test_memory_is_bounded() -> None:
    """Every read of the store and every piece handed on is small, whatever the frame's size."""
    payload = bytes(40 << 20)
    data = frame.pack("blob", payload)
    assert max(len(chunk) for chunk in frame.iter_payload(reader(data), len(data))) <= 1 << 20
    data = by_hand(payload)
    asked: list[int] = []

    def read(start: int, size: int) -> bytes:
        asked.append(size)
        return data[start : start + size]

    assert sum(map(len, frame.iter_payload(read, len(data)))) == len(payload)
    assert max(asked) <= frame.RANGE


def test_small_payloads_among_others() -> None:
    """What is too small to be compressed is stored as it is, whatever it is packed with."""
    payloads = [b"x" * length for length in (*range(70), 255, 256, 3000)]
    packed = frame.pack_all("blob", payloads)
    assert [frame.unpack(data) for data in packed] == [("blob", payload) for payload in payloads]
    assert packed == [frame.pack("blob", payload) for payload in payloads]
