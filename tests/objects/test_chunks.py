"""Lists of chunks: what they can be, and where the content says to cut."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.errors import Corrupt
from dpkg.objects import chunks, frame
from dpkg.oid import Oid, digest

K, M = 1 << 10, 1 << 20
OID = Oid("ab" * 32)
LENGTHS = st.lists(st.integers(64 * K, 4 * M), min_size=1, max_size=60).flatmap(
    lambda most: st.integers(1, 4 * M).map(lambda last: [*most, last])
)


def oid_of(i: int) -> Oid:
    return digest("blob", b"%d" % i)


def listed(ends: Sequence[int], length: int | None = None) -> bytes:
    """A frame by hand of a list whose chunks end there."""
    records = b"".join(OID.raw + end.to_bytes(8, "little") for end in ends)
    start = b"dpkgobj\0" + bytes([0, 1, 2]) + bytes(5) + (ends[-1] if length is None else length).to_bytes(8, "little")
    start += len(records).to_bytes(8, "little")
    return start + blake3(start + blake3(records).digest()).digest() + records


@pytest.mark.spec("STO-30")
@given(LENGTHS)
def test_round_trip(lengths: list[int]) -> None:
    total = sum(lengths)
    if total <= frame.LARGE:
        return
    data = chunks.pack((oid_of(i), length) for i, length in enumerate(lengths))
    found = chunks.unpack(data)
    assert chunks.is_listed(data)
    assert frame.check(data)[0].length == found.length == total
    assert len(data) <= frame.most_stored(total)
    assert [(c.oid, c.length) for c in found] == [(oid_of(i), n) for i, n in enumerate(lengths)]
    assert [found[i] for i in range(len(found))] == list(found)
    with pytest.raises(Corrupt, match="in chunks"):
        frame.unpack(data)


@given(LENGTHS, st.data())
def test_the_chunks_of_a_range(lengths: list[int], data: st.DataObject) -> None:
    found = chunks.ChunkList(chunks.pack((OID, n) for n in [4 * M, *lengths])[64:], 4 * M + sum(lengths))
    start = data.draw(st.integers(0, found.length + 10))
    stop = data.draw(st.integers(start + 1, found.length + 20))
    assert list(found.between(start, stop)) == [c for c in found if c.start < stop and c.end > start]


@pytest.mark.spec("STO-30")
@pytest.mark.parametrize(
    ("what", "ends", "length"),
    [
        ("no chunk", [], 5 * M),
        ("one chunk", [5 * M], None),
        ("a chunk of more than 4 MiB", [4 * M + 1, 5 * M], None),
        ("a last chunk of more than 4 MiB", [M, 5 * M + 1], None),
        ("a small chunk", [M, M + 64 * K - 1, 5 * M], None),
        ("an empty chunk", [3 * M, 3 * M, 6 * M], None),
        ("an empty last chunk", [3 * M, 6 * M, 6 * M], None),
        ("backwards", [3 * M, 2 * M, 5 * M], None),
        ("shorter than the blob", [3 * M, 6 * M], 6 * M + 1),
        ("longer than the blob", [3 * M, 6 * M], 6 * M - 1),
        ("far beyond", [3 * M, 2**64 - 1], None),
        ("a blob of 4 MiB", [3 * M, 4 * M], None),
        ("a huge blob of two chunks", [3 * M, 6 * M], 2**63),
    ],
)
def test_lists_that_cannot_be(what: str, ends: list[int], length: int | None) -> None:
    with pytest.raises(Corrupt):
        chunks.unpack(listed(ends, length))
        pytest.fail(what)
    assert len(chunks.unpack(listed([3 * M, 6 * M]))) == 2


@pytest.mark.spec("STO-30")
def test_only_blobs_are_in_chunks() -> None:
    good = listed([3 * M, 6 * M])
    for at, byte in ((9, 2), (9, 3), (9, 4), (10, 0), (10, 1)):
        bad = good[:at] + bytes([byte]) + good[at + 1 :]
        bad = bad[:32] + blake3(bad[:32] + blake3(bad[64:]).digest()).digest() + bad[64:]
        for read in (frame.check, chunks.unpack, frame.unpack):
            with pytest.raises(Corrupt):
                read(bad)


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1) | st.integers(4 * M, 9 * M))
def test_sealed_garbage_raises_only_corrupt(records: bytes, length: int) -> None:
    start = (
        b"dpkgobj\0" + bytes([0, 1, 2]) + bytes(5) + length.to_bytes(8, "little") + len(records).to_bytes(8, "little")
    )
    with pytest.raises(Corrupt):
        chunks.unpack(start + blake3(start + blake3(records).digest()).digest() + records)


# Cutting


class Short(io.BytesIO):
    """A source whose reads are short, of sizes at random."""

    def __init__(self, data: bytes, seed: int) -> None:
        super().__init__(data)
        self._random = random.Random(seed)

    def readinto(self, buffer: object) -> int:  # type: ignore[override]
        view = memoryview(buffer)  # type: ignore[arg-type]
        return super().readinto(view[: self._random.randint(1, len(view))])


class ReadOnly:
    """A source with `read` alone, as an HTTP response has."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 3_000_001))


def cut(source: object, head: bytes = b"") -> list[bytes]:
    return [bytes(view) for views in chunks.cut(head, source) for view in views]  # type: ignore[arg-type]


DATA = random.Random(8).randbytes(40 * M)


def test_cuts_are_a_function_of_the_bytes() -> None:
    """However they come: at once, or in any pieces."""
    whole = [bytes(c.data) for c in chunks.cutter().cut_buf(DATA)]
    assert cut(io.BytesIO(DATA)) == whole
    assert cut(ReadOnly(DATA)) == whole
    assert cut(io.BytesIO(DATA[4 * M + 1 :]), DATA[: 4 * M + 1]) == whole
    for seed in range(5):
        assert cut(Short(DATA, seed)) == whole


@settings(max_examples=20)
@given(st.integers(0, len(DATA)))
def test_every_length_is_cut(length: int) -> None:
    found = cut(io.BytesIO(DATA[:length]))
    assert b"".join(found) == DATA[:length]
    assert all(256 * K <= len(c) <= 4 * M for c in found[:-1])
    assert all(0 < len(c) <= 4 * M for c in found)


@pytest.mark.parametrize("length", [16 * M - 1, 16 * M, 16 * M + 1, 32 * M, 33 * M])
def test_lengths_around_what_is_read_at_once(length: int) -> None:
    for data in (DATA[:length], bytes(length)):
        assert cut(io.BytesIO(data)) == [bytes(c.data) for c in chunks.cutter().cut_buf(data)]


def test_cuts_stay_where_they_are_from_version_to_version() -> None:
    """Another place of a cut would store every large file once more: so the library's are held here."""
    data = b"".join(blake3(b"%d" % i).digest(length=M) for i in range(16))
    assert [len(c) for c in cut(io.BytesIO(data))] == [
        358059,
        1285956,
        563034,
        1729234,
        1103265,
        1221857,
        1258690,
        1236981,
        1072603,
        429683,
        1289454,
        523514,
        1601405,
        981691,
        1200293,
        921497,
    ]


def test_an_insertion_changes_the_chunks_around_it_alone() -> None:
    before = {blake3(c).digest() for c in cut(io.BytesIO(DATA))}
    after = [blake3(c).digest() for c in cut(io.BytesIO(DATA[: 20 * M] + b"inserted" + DATA[20 * M :]))]
    assert len([c for c in after if c not in before]) <= 3
