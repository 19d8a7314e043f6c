"""The declared inputs of the vectors of blobs in chunks."""

from __future__ import annotations

from typing import Any

from reader import encode_chunks, encode_frame, oid, seal_frame
from vector_inputs import Case
from vector_tables import MIB, zstd_raw

KIB = 2**10


def zstd_runs(byte: bytes, length: int) -> bytes:
    """A zstd frame of one byte repeated, in run blocks of at most 128 KiB."""
    parts, left = [b"\x28\xb5\x2f\xfd\x80\x60" + length.to_bytes(4, "little")], length
    while left:
        size = min(left, 128 * KIB)
        left -= size
        parts.append((size << 3 | 2 | (not left)).to_bytes(3, "little") + byte)
    return b"".join(parts)


def part(byte: bytes, length: int) -> tuple[bytes, bytes]:
    """A chunk and its frame, which is small."""
    return byte * length, encode_frame("blob", byte * length, zstd_runs(byte, length))


def chunks() -> list[Case]:
    """Blobs in chunks that are accepted, and each rule broken alone."""
    a, b, end = part(b"a", 4 * MIB), part(b"b", 64 * KIB), part(b"c", 1)
    good = blob([b, a, b, end])
    return [
        ("two chunks, of 4 MiB and of 1 byte", blob([a, end])),
        ("four chunks, two of them the same", good),
        ("chunks of 64 KiB", blob([b] * 65)),
        ("a chunk that is not compressed", blob([(bytes(range(256)) * 256, encode_frame("blob", bytes(range(256)) * 256)), a])),
        *malformed(good, [b, a, b, end]),
        *wrong_chunks(good, b[1]),
    ]  # fmt: skip


def blob(parts: list[tuple[bytes, bytes]]) -> Any:
    """The case of a blob of these chunks."""
    ends, at = [], 0
    for data, _ in parts:
        at += len(data)
        ends.append((oid("blob", data), at))
    stored = {oid("blob", data): [[frame.hex(), 1]] for data, frame in parts}
    return case(encode_chunks(ends), oid("blob", b"".join(data for data, _ in parts)), stored)


def case(frame: bytes, wanted: str, stored: dict[str, Any]) -> Any:
    return {"pieces": [[frame.hex(), 1]], "oid": wanted, "stored": stored}


def malformed(good: Any, parts: list[tuple[bytes, bytes]]) -> list[Case]:
    names, wanted, stored = [oid("blob", data) for data, _ in parts], good["oid"], good["stored"]
    frame = bytes.fromhex(good["pieces"][0][0])
    ends = [64 * KIB, 4 * MIB + 64 * KIB, 4 * MIB + 128 * KIB, 4 * MIB + 128 * KIB + 1]
    length = ends[-1]

    def listed(*found: int, length: int | None = length) -> bytes:
        return encode_chunks(list(zip(names, found, strict=False)), length)

    bad: list[tuple[str, bytes]] = [
        ("STO-30: no chunks", encode_chunks([], length)),
        ("STO-30: a chunk of 4 MiB and a byte", listed(ends[0], ends[1] + 1, *ends[2:])),
        ("STO-30: a chunk a byte too small", listed(ends[0] - 1, *ends[1:])),
        ("STO-30: an empty chunk", listed(ends[0], ends[0], ends[1], length)),
        ("STO-30: an empty last chunk", listed(*ends[:3], ends[2], length=ends[2])),
        ("STO-30: an end before its start", listed(ends[1], ends[0], *ends[2:])),
        ("STO-30: ends before the blob", listed(*ends, length=length + 1)),
        ("STO-30: ends behind the blob", listed(*ends, length=length - 1)),
        ("STO-30: an end of 2^64-1", listed(*ends[:3], 2**64 - 1)),
        ("STO-30: a payload of 4 MiB", listed(*ends, length=4 * MIB)),
        ("STO-30: half a record", sized(frame[:-20])),
        ("STO-30: a table", seal_frame(frame[:9] + b"\2" + frame[10:])),
        ("STO-3: a byte changed", frame[:70] + bytes([frame[70] ^ 1]) + frame[71:]),
        ("STO-3: a record more", frame + frame[-40:]),
        ("STO-2: a record fewer", frame[:-40]),
    ]
    plain = encode_frame("blob", b"a" * (4 * MIB + 1), zstd_runs(b"a", 4 * MIB + 1))
    return [
        *((name, case(data, wanted, stored)) for name, data in bad),
        ("STO-30: a blob of 4 MiB and a byte in one piece", case(plain, oid("blob", b"a" * (4 * MIB + 1)), {})),
    ]


def sized(frame: bytes) -> bytes:
    """The frame with the stored length that it has."""
    return seal_frame(frame[:24] + (len(frame) - 64).to_bytes(8, "little") + frame[32:])


def wrong_chunks(good: Any, frame: bytes) -> list[Case]:
    """The list is well-formed; what it names is not what it says."""
    whole, stored = bytes.fromhex(good["pieces"][0][0]), good["stored"]
    name = oid("blob", b"b" * (64 * KIB))
    fewer = encode_frame("blob", b"b" * 100, zstd_raw(b"b" * 100))
    node = encode_frame("node", b"{}")
    other = oid("node", b"{}")

    def but(**changed: Any) -> dict[str, Any]:
        kept = {key: value for key, value in stored.items() if changed.get(f"x{key}", value)}
        return kept | {key[1:]: [[value.hex(), 1]] for key, value in changed.items() if value}

    renamed = sized(whole[:64] + bytes.fromhex(other) + whole[96:])
    itself = sized(whole[:64] + bytes.fromhex(good["oid"]) + whole[96:])
    short = oid("blob", b"b" * 100)
    return [
        ("STO-31: a chunk is missing", case(whole, good["oid"], but(**{f"x{name}": None}))),
        ("STO-2: a chunk of another oid", case(whole, good["oid"], but(**{f"x{name}": fewer}))),
        ("STO-3: a chunk is damaged", case(whole, good["oid"], but(**{f"x{name}": frame[:-1] + b"x"}))),
        ("STO-31: a chunk of another length",
         case(sized(whole[:64] + bytes.fromhex(short) + whole[96:]), good["oid"], but(**{f"x{short}": fewer}))),
        ("STO-31: a chunk that is a node", case(renamed, good["oid"], but(**{f"x{other}": node}))),
        ("STO-31: a chunk that is the list itself", case(itself, good["oid"], but(**{f"x{good['oid']}": itself}))),
        ("STO-31: another blob", case(whole, "0" * 64, stored)),
    ]  # fmt: skip
