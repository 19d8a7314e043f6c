"""What may be a key of a store. Every backend checks keys with these, so no key can lead out of its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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


def walk(prefix: str, after: str, scan: Callable[[str, str], Iterable[str]]) -> Iterator[str]:
    """Keys in a place of folders that start with `prefix` and sort after `after`, bytewise; folders are read late.

    `scan(folder, start)` gives what is in a folder under names that begin with `start`, as keys; folders end in a slash:
    with it their order is that of all keys below. Raises Usage at once for what is no prefix.
    """
    folder, slash, start = check_prefix(prefix).rpartition("/")
    return iter(()) if prefix.startswith(f"{TEMP}/") else _walk(folder + slash, start, after, scan)


def _walk(folder: str, start: str, after: str, scan: Callable[[str, str], Iterable[str]]) -> Iterator[str]:
    todo = sorted(scan(folder, start), reverse=True)
    while todo:
        key = todo.pop()
        if key <= after and not (key.endswith("/") and after.startswith(key)):
            continue  # and so is all that is in it
        if key.endswith("/"):
            todo += sorted(scan(key, ""), reverse=True)
        else:
            yield key
