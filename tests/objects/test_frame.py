"""Frames: what is written is read, and no byte of it can change unseen."""

from __future__ import annotations

import gzip
import os
import random
import struct
from contextlib import suppress
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
    return start + blake3.blake3(start + blake3.blake3(stored).digest()).digest() + stored


@pytest.mark.spec("STO-2")
@given(KINDS, st.binary(max_size=2000) | st.binary(max_size=20).map(lambda part: part * 200))
def test_round_trip(kind: Kind, payload: bytes) -> None:
    data = frame.pack(kind, payload)
    assert frame.unpack(data) == (kind, payload)
    assert b"".join(frame.pack_parts(kind, memoryview(payload))) == data
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
        return frame.check(frame.pack(kind, payload))[0].codec

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
        for read in (frame.unpack, frame.check):
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
        "kind 6": by_hand(b"x", kind=6),
        "a fragment that is compressed": by_hand(b"x", kind=5, codec=1),
        "codec": by_hand(b"x", codec=3),
        "in chunks": by_hand(b"x", codec=2),
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
        with pytest.raises(Corrupt):
            frame.unpack(data)
            pytest.fail(what)


@pytest.mark.spec("STO-2")
def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(200_000_000))
    assert len(bomb) < 20_000
    unsized = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(200_000_000))
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stored in (bomb, unsized):
        for length in (100, 4 << 20):
            with pytest.raises(Corrupt, match="more bytes"):
                frame.unpack(by_hand(b"", codec=1, stored=stored, length=length))
    lying = by_hand(b"", codec=1, stored=bomb, length=2**60)  # nothing of this size is ever asked for
    with pytest.raises(Corrupt, match="one piece"):
        frame.unpack(lying)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_corrupt(data: bytes) -> None:
    for read in (frame.unpack, frame.check):
        with pytest.raises(Corrupt):
            read(data)


@settings(max_examples=300)
@given(st.binary(max_size=100), st.integers(0, 6), st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 150))
def test_sealed_garbage_raises_only_corrupt(stored: bytes, kind: int, codec: int, length: int) -> None:
    data = by_hand(b"", kind=kind, codec=codec, stored=stored, length=length)
    with suppress(Corrupt):
        frame.unpack(data)
        assert length == len(stored)


def test_too_large() -> None:
    with pytest.raises(Format, match="larger"):
        frame.pack("node", bytes((16 << 20) + 1))


@pytest.mark.spec("STO-30")
def test_large_blobs_are_not_in_one_piece() -> None:
    most = 4 << 20
    assert frame.unpack(frame.pack("blob", bytes(most))) == ("blob", bytes(most))
    with pytest.raises(Format, match="larger"):
        frame.pack("blob", bytes(most + 1))
    for codec in (0, 1):
        with pytest.raises(Corrupt, match="in one piece"):
            frame.unpack(by_hand(bytes(most + 1), codec=codec))


# What is worth compressing


def test_what_is_compressed_already_is_left_as_it_is() -> None:
    """A gzip file, random bytes, and a Parquet-like mix: not one of them goes through zstd as a whole."""
    random_bytes = random.Random(3).randbytes(1 << 20)
    zipped = gzip.compress(b"".join(b"%d,%x\n" % (i, i * 2654435761 % 2**32) for i in range(300_000)))
    for payload in (random_bytes, zipped[: 1 << 20]):
        assert len(payload) > 600_000
        compressed: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            compressor = frame._compressor(1)

            class Noting:
                def compress(self, data: bytes) -> bytes:
                    compressed.append(len(data))  # noqa: B023
                    return compressor.compress(data)  # noqa: B023

            patch.setattr(frame, "_compressor", lambda level: Noting())
            assert frame.check(frame.pack("blob", payload))[0].codec == frame.NONE
        assert sum(compressed) <= 64 << 10


def test_a_part_that_shrinks_little_does_not_hide_the_rest() -> None:
    """A head like that of an archive, then text: samples come from all over."""
    payload = random.Random(4).randbytes(200_000) + TEXT * 250
    assert frame.check(frame.pack("blob", payload))[0].codec == frame.ZSTD


def test_small_payloads_among_others() -> None:
    """What is too small to be compressed is stored as it is, whatever it is packed with."""
    payloads = [b"x" * length for length in (*range(70), 255, 256, 3000)]
    packed = frame.pack_all("blob", payloads, [digest("blob", p) for p in payloads])
    assert [frame.unpack(data) for data in packed] == [("blob", payload) for payload in payloads]
    assert packed == [frame.pack("blob", payload) for payload in payloads]
