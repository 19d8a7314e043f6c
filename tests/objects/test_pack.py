"""Packs as bytes: what goes in is found again, and what is wrong with one is said."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from dpkg.errors import Corrupt
from dpkg.objects import frame, pack
from dpkg.oid import Oid, digest

payloads = st.lists(st.binary(max_size=600), max_size=40, unique=True)


def packed(blobs: list[bytes]) -> tuple[Oid, bytes, pack.Index]:
    return pack.make((digest("blob", blob), frame.pack("blob", blob)) for blob in blobs)


@pytest.mark.spec("STO-16")
@given(payloads)
def test_every_object_is_found_by_the_index_at_the_end(blobs: list[bytes]) -> None:
    pack_id, data, made = packed(blobs)
    assert pack_id == blake3(data).hexdigest()
    index = pack.parse_tail(data[-pack.TAIL :], len(data))
    assert index.records == made.records
    assert len(index) == len(blobs)
    for blob in blobs:
        entry = index.find(digest("blob", blob))
        assert entry is not None
        assert (entry.kind, entry.length) == ("blob", len(blob))
        assert frame.unpack(data[entry.offset : entry.offset + entry.size]) == ("blob", blob)
    assert index.find(digest("blob", b"not in there" * 100)) is None
    assert [e.oid for e in index] == sorted(digest("blob", blob) for blob in blobs)
    assert [e.oid for e in pack.check_layout(data[:16], index, len(data))] == [digest("blob", b) for b in blobs]


@pytest.mark.spec("STO-16")
@given(payloads, st.text("0123456789abcdef", min_size=1, max_size=3))
def test_objects_by_the_start_of_their_oid(blobs: list[bytes], prefix: str) -> None:
    _, _, index = packed(blobs)
    oids = sorted(digest("blob", blob) for blob in blobs)
    assert [entry.oid for entry in index.starting(prefix)] == [oid for oid in oids if oid.startswith(prefix)]


@pytest.mark.spec("STO-17")
@given(payloads.filter(bool), st.data())
def test_no_changed_or_missing_byte_goes_unseen(blobs: list[bytes], data: st.DataObject) -> None:
    pack_id, whole, _ = packed(blobs)
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for bad in (flipped, whole[:at]):
        assert blake3(bad).hexdigest() != pack_id
        try:
            index = pack.parse_tail(bad[-pack.TAIL :], len(bad))
            found = pack.check_layout(bad[:16], index, len(bad))
        except Corrupt:
            continue
        with pytest.raises(Corrupt):  # only in a frame can it be
            for entry in found:
                frame.check(bad[entry.offset : entry.offset + entry.size])


@pytest.mark.spec("STO-17")
@given(st.binary(max_size=400), st.integers(0, 2**40))
def test_arbitrary_bytes_are_damage(tail: bytes, size: int) -> None:
    with pytest.raises(Corrupt):
        pack.parse_tail(tail, max(size, len(tail)))


def rewritten(data: bytes, records: list[bytes]) -> bytes:
    """A pack with another index, whose digests are right."""
    at = len(data) - pack.TRAILER.size - pack.index_length(data, len(data))
    joined = b"".join(records)
    return data[:at] + joined + pack.trailer(joined)


@pytest.mark.spec("STO-17")
def test_an_index_that_lies_is_told() -> None:
    _, data, index = packed([b"one" * 100, b"two" * 100, b"three" * 100])
    records = [index.records[i : i + 64] for i in range(0, len(index.records), 64)]
    lies = {
        "not sorted": records[::-1],
        "is not sorted": [records[0], *records],
        "wrong about object": [records[0][:40] + (99).to_bytes(8, "little") + records[0][48:], *records[1:]],
        "do not fill it": records[:0],
    }
    for message, lie in lies.items():
        bad = rewritten(data, lie)
        with pytest.raises(Corrupt, match=message):
            pack.check_layout(bad[:16], pack.parse_tail(bad[-pack.TAIL :], len(bad)), len(bad))
    bad = rewritten(data, [records[0][:32] + b"\xff" + records[0][33:]])
    with pytest.raises(Corrupt, match="malformed"):
        pack.check_layout(bad[:16], pack.parse_tail(bad[-pack.TAIL :], len(bad)), len(bad))
