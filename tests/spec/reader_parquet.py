"""Second reader, part 8: what the file of a fragment says of itself (storage.md, "Fragment files"), from Parquet's own specification."""

from __future__ import annotations

import struct
from typing import Any

from reader_json import Refused, decode, plain_blake3
from reader_values import fragment_oid_of, schema_digest

SEAL = b"dpkg.seal"


class Compact:
    """Thrift's compact protocol: a struct is a dict of its fields by number."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        found = self.data[self.at : self.at + n]
        if len(found) < n:
            raise Refused("STO-4", "the footer is cut off")
        self.at += n
        return found

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.take(1)[0]) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def zigzag(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self.take(1)[0]:
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = self.value(head & 15)
        return fields

    def value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self.take(1)[0]
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            return struct.unpack("<d", self.take(8))[0]
        if kind == 8:
            return self.take(self.varint())
        if kind == 12:
            return self.struct()
        if kind != 9:
            raise Refused("STO-4", "the footer is none of Parquet")
        head = self.take(1)[0]
        return [self.value(head & 15) for _ in range(self.varint() if head >> 4 == 15 else head >> 4)]


def file_oid(file: bytes) -> str:
    """The oid of the fragment that a sealed file says it holds (STO-4, STO-5). The values are not looked at."""
    length = int.from_bytes(file[-8:-4], "little")
    if file[:4] != b"PAR1" or file[-4:] != b"PAR1" or len(file) < length + 12:
        raise Refused("STO-4", "no Parquet file")
    meta = Compact(file[-8 - length : -8]).struct()
    said = [(pair[1], pair[2]) for pair in meta.get(5, [])]
    if not said or said[-1][0] != SEAL or len(said[-1][1]) != 64:
        raise Refused("STO-4", "the seal is not the last entry")
    at = file.rindex(SEAL + b"\x18\x40" + said[-1][1]) + len(SEAL) + 2
    if plain_blake3(file[:at] + b"0" * 64 + file[at + 64 :]).hex().encode() != said[-1][1]:
        raise Refused("STO-4", "the seal is broken")
    values = dict(said)
    schema = decode(values[b"dpkg.schema"])
    raw = bytes.fromhex(values[b"dpkg.columns"].decode())
    columns = [raw[i : i + 32] for i in range(0, len(raw), 32)]
    if len(columns) != len(schema) or len(meta[4]) != 1:
        raise Refused("STO-4", "columns or row groups")
    return fragment_oid_of(schema_digest(schema), meta[3], columns)
