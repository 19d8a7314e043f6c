"""The declared inputs of the vectors: packs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reader_json import encode, oid, plain_blake3
from reader_objects import encode_frame, seal_frame
from reader_packs import Record, decode_index, encode_pack, encode_record, pack_trailer
from reader_parquet import file_oid
from vector_inputs import Case
from vector_tables import COMMIT, TABLE, TREE_NODE, zstd_run

BLOBS = [b"hello", b"", b"a" * 100]
# The file of a fragment of one column, n of int8: 1, 2, 3. Written by Parquet's C++ library; any file of it would do.
FILE = bytes.fromhex(
    "504152311500152015322c1506150a150615061c1804030000001804010000001600280403000000180401000000111100000028b52ffd"
    "2010810000020000000601800104030202000000001504192c35001806736368656d611502001502250218016e251e4cac130811000000"
    "1606191c191c26001c15021925060a1918016e150c1606167e16900126083c180403000000180401000000160028040300000018040100"
    "0000111100191c1500150a1502003c290619260006000000167e1606260816900100193c180c64706b672e636f6c756d6e731840326663"
    "38393534623964383366613465386633393563636531373734616432653833623834653233353463643438643862653763663530313035"
    "33383436383700180b64706b672e736368656d61180e5b5b226e222c22696e7438225d5d00180964706b672e7365616c18403764333230"
    "66363066663737613063643839633836396237356165663664623563346638313436323236633563653966326132393634613137346638"
    "37613530001820706172717565742d6370702d6172726f772076657273696f6e2032362e302e31191c1c0000006201000050415231"
)


def packs() -> list[Case]:
    """Accepted packs, and each rule broken alone: the digests and the id fit again unless they are the damage."""
    objects = [("blob", data) for data in BLOBS]
    objects += [("table", encode(TABLE)), ("node", encode(TREE_NODE)), ("commit", encode(COMMIT))]
    frames = [(oid(kind, data), encode_frame(kind, data)) for kind, data in objects]
    zeros = (oid("blob", bytes(3000)), encode_frame("blob", bytes(3000), zstd_run(b"\0", 3, 1000)))
    good = encode_pack(frames[:3])
    cases = [
        ("no object", case(encode_pack([]))),
        ("one blob", case(encode_pack(frames[:1]))),
        ("blobs", case(good)),
        ("an object of each kind", case(encode_pack(frames))),
        ("the same in another order", case(encode_pack(frames[::-1]))),
        ("a compressed frame", case(encode_pack([frames[0], zeros, frames[2]]))),
    ]
    cases += fragments(frames)
    return cases + damaged(good, [frame for _, frame in frames[:3]]) + lying(good) + wrong_frames(frames)


def fragments(frames: list[tuple[str, bytes]]) -> list[Case]:
    """Packs with the file of a fragment, which is what its record says, or is not."""
    name, good = file_oid(FILE), encode_frame("fragment", FILE)
    sizes = (len(FILE) - 256).to_bytes(2, "little") + (1 | len(FILE) << 3).to_bytes(3, "little")
    zstd = b"\x28\xb5\x2f\xfd\x60" + sizes + FILE  # one raw block

    def file(data: bytes) -> Any:
        return case(encode_pack([(name, encode_frame("fragment", data))]))

    def patched(at: int) -> bytes:
        return FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at:][1:]

    return [
        ("a fragment", case(encode_pack([(name, good)]))),
        ("objects and a fragment", case(encode_pack([*frames, (name, good)]))),
        ("STO-32: a fragment in a zstd frame", case(encode_pack([(name, encode_frame("fragment", FILE, zstd))]))),
        ("STO-32: a fragment under the oid of an object", case(encode_pack([(frames[0][0], good)]))),
        ("STO-2: an object under the oid of a fragment", case(encode_pack([(name, frames[0][1])]))),
        ("STO-4: a value of a fragment changed", file(patched(60))),
        ("STO-4: the seal of a fragment changed", file(patched(FILE.index(b"dpkg.seal") + 12))),
        ("STO-4: an empty file", file(b"")),
        ("STO-4: a file cut off", file(FILE[:-1])),
        ("STO-4: a blob as the file of a fragment", file(b"hello")),
    ]


def case(data: bytes, pack_id: str = "") -> Any:
    return {"pieces": [[data.hex(), 1]], "id": pack_id or plain_blake3(data).hex()}


def damaged(good: bytes, frames: list[bytes]) -> list[Case]:
    """A pack whose bytes are not in order; its id is that of its bytes, but where it is the damage."""
    index = good[-64 * 4 : -64]

    def patched(at: int, value: int) -> bytes:
        return good[:at] + bytes([value]) + good[at:][1:] if at >= 0 else patched(len(good) + at, value)

    def count(n: int) -> bytes:
        return good[:-64] + pack_trailer(index, n)

    found = [
        ("STO-17: nothing", b""),
        ("STO-17: 15 bytes", good[:15]),
        ("STO-17: only a header", good[:16]),
        ("STO-17: only a trailer", pack_trailer(b"")),
        ("STO-17: a byte short", good[:-1]),
        ("STO-17: a byte more", good + b"\0"),
        ("STO-17: magic", patched(0, 0x44)),
        ("STO-17: version 1", patched(8, 1)),
        *((f"STO-17: reserved byte {at}", patched(at, 1)) for at in range(9, 16)),
        ("STO-17: magic of the trailer", patched(-64, 0x44)),
        ("STO-17: a reserved byte of the trailer", patched(-48, 1)),
        ("STO-17: digest of the index", patched(-1, good[-1] ^ 1)),
        ("STO-17: a record changed", patched(-64 * 4 + 60, 1)),
        ("STO-17: one record fewer than said", count(4)),
        ("STO-17: one record more than said", count(2)),
        ("STO-16: 8,193 records said", count(8193)),
        ("STO-16: 2^64-1 records said", count(2**64 - 1)),
        ("STO-17: bytes between two frames", good[: 16 + 69] + b"\0" + good[16 + 69 :]),
        ("STO-17: bytes before the index", good[: -64 * 4] + b"\0" + good[-64 * 4 :]),
        ("STO-17: a frame twice", good[:16] + frames[0] + good[16:]),
        ("STO-17: a frame less", good[:16] + good[16 + len(frames[0]) :]),
    ]
    cases = [(name, case(data)) for name, data in found]
    return [*cases, ("STO-16: another id", case(good, plain_blake3(b"another").hex()))]


def lying(good: bytes) -> list[Case]:
    """Packs whose index has a digest that fits, and is wrong."""
    records = decode_index(good)
    start = good[: -64 * 4]

    def lie(change: Callable[[Record], Record]) -> bytes:
        index = b"".join(map(encode_record, [change(records[0]), *records[1:]]))
        return start + index + pack_trailer(index)

    def listing(*found: Record) -> bytes:
        index = b"".join(map(encode_record, found))
        return start + index + pack_trailer(index)

    first = encode_record(records[0])
    reserved = first[:39] + b"\1" + first[40:] + b"".join(map(encode_record, records[1:]))
    found = [
        ("STO-16: not sorted", listing(records[1], records[0], records[2])),
        ("STO-16: an object twice", listing(records[0], *records)),
        ("STO-17: an object less", listing(*records[1:])),
        ("STO-17: kind 0", lie(lambda r: r._replace(kind=0))),
        ("STO-17: kind 200", lie(lambda r: r._replace(kind=200))),
        ("STO-17: another kind", lie(lambda r: r._replace(kind=2))),
        ("STO-17: a reserved byte of a record", start + reserved + pack_trailer(reserved)),
        ("STO-17: offset 0", lie(lambda r: r._replace(offset=0))),
        ("STO-17: offset one more", lie(lambda r: r._replace(offset=r.offset + 1))),
        ("STO-17: offset 2^64-1", lie(lambda r: r._replace(offset=2**64 - 1))),
        ("STO-17: size one less", lie(lambda r: r._replace(size=r.size - 1))),
        ("STO-17: size 2^64-1", lie(lambda r: r._replace(size=2**64 - 1))),
        ("STO-17: size 0", lie(lambda r: r._replace(size=0))),
        ("STO-17: length one more", lie(lambda r: r._replace(length=r.length + 1))),
        ("STO-17: length 2^64-1", lie(lambda r: r._replace(length=2**64 - 1))),
    ]
    return [(name, case(data)) for name, data in found]


def wrong_frames(frames: list[tuple[str, bytes]]) -> list[Case]:
    """Packs whose layout is right, and a frame is not."""
    (first, frame), second = frames[0], frames[1]
    changed = frame[:-1] + b"!"
    return [
        ("STO-3: a stored byte changed", case(encode_pack([(first, changed), second]))),
        (
            "STO-2: a stored byte changed, the frame's digest fits",
            case(encode_pack([(first, seal_frame(changed)), second])),
        ),
        ("STO-2: another object's frame", case(encode_pack([(first, second[1])]))),
        ("STO-2: magic of a frame", case(encode_pack([(first, seal_frame(b"D" + frame[1:])), second]))),
        ("STO-2: a frame is longer than its record", case(encode_pack([(first, frame[:-1]), second]))),
    ]
