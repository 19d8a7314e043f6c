"""Object ids: BLAKE3-256, written as 64 lowercase hexadecimal digits (spec/oids.md)."""

from __future__ import annotations

from dpkg.errors import Format

_HEX = frozenset("0123456789abcdef")
CONTEXT = "dpkg v1 2026-11 {}"


class Oid(str):
    """An object id. A str, so that it sorts, prints and serialises as one; checked when made (OID-1)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Oid:
        if len(text) != 64 or not _HEX.issuperset(text):
            raise Format(f"'{text[:80]}' is not an object id (64 lowercase hexadecimal digits)")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, raw: bytes) -> Oid:
        """The id of 32 bytes."""
        return super().__new__(cls, raw.hex())  # needs no check

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return bytes.fromhex(self)

    @property
    def short(self) -> str:
        """The first 12 digits, for people."""
        return self[:12]


def context(kind: str) -> str:
    """The BLAKE3 derive-key context of a kind of digest (OID-3)."""
    return CONTEXT.format(kind)


def digest(kind: str, data: bytes | memoryview) -> Oid:
    """The digest of `data` under `kind`: plain BLAKE3 for a blob (OID-2), derive-key mode for the rest (OID-3)."""
    from blake3 import blake3

    if kind == "blob":
        return Oid.of(blake3(data).digest())
    return Oid.of(blake3(data, derive_key_context=context(kind)).digest())
