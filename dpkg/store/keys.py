"""What may be a key of a store. Every backend checks keys with these, so no key can lead out of its folder."""

from __future__ import annotations

from dpkg.errors import Usage

TEMP = "tmp"  # files being written; never a key
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_DOTS = frozenset(("", ".", ".."))


def is_part(part: str) -> bool:
    """Whether `part` may stand between two slashes of a key."""
    return part not in _DOTS and _ALLOWED.issuperset(part)


def check_key(key: str) -> str:
    """`key`, or Usage if it is none."""
    parts = key.split("/")
    if not all(map(is_part, parts)) or parts[0] == TEMP:
        raise Usage(f"'{key[:200]}' is not a key of a store", "keys are parts of A-Z a-z 0-9 . _ - joined by slashes")
    return key


def check_prefix(prefix: str) -> str:
    """`prefix`, or Usage if no key can start with it."""
    *parts, last = prefix.split("/")
    if not all(map(is_part, parts)) or not _ALLOWED.issuperset(last):
        raise Usage(f"'{prefix[:200]}' is not the start of a key of a store")
    return prefix
