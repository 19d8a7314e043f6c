"""Second reader, part 1: oids and canonical JSON (oids.md)."""

from __future__ import annotations

import re
from typing import Any

import blake3

Json = Any


class Refused(ValueError):
    """Something that the spec says MUST be refused; `rule` is the id of the broken rule."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


# ---------------------------------------------------------------------------------------------------------------- oids

CONTEXTS: dict[str, str | None] = {"blob": None} | {
    kind: f"dpkg v1 2026-11 {kind}" for kind in ("schema", "column", "fragment", "table", "node", "commit", "ref")
}


def plain_blake3(data: bytes) -> bytes:
    """Plain BLAKE3-256."""
    return bytes(blake3.blake3(data).digest())


def digest(kind: str, data: bytes) -> bytes:
    """The 32 bytes of the digest of a kind (OID-2, OID-3)."""
    context = CONTEXTS[kind]
    if context is None:
        return plain_blake3(data)
    return bytes(blake3.blake3(data, derive_key_context=context).digest())


def oid(kind: str, data: bytes) -> str:
    """The digest of a kind as 64 lowercase hexadecimal digits (OID-1)."""
    return digest(kind, data).hex()


def check_oid(text: Json) -> str:
    """Refuse what is not written as an oid (OID-1)."""
    if not isinstance(text, str):
        raise Refused("JSON-6", "an oid is a string")
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise Refused("OID-1", f"not an oid: {text[:80]!r}")
    return text


# ------------------------------------------------------------------------------------------------------ canonical JSON

MAX_INT = 2**53 - 1
MAX_DEPTH = 128
MAX_TEXT = 16 * 2**20
SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def encode(value: Json) -> bytes:
    """The canonical JSON of None, bool, int, str, list and dict (JSON-1 to JSON-5)."""
    text = utf8(_write(value, 0))
    if len(text) > MAX_TEXT:
        raise Refused("JSON-5", "longer than 16 MiB")
    return text


def utf8(text: str) -> bytes:
    """The UTF-8 of a string without lone surrogates (JSON-4)."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("JSON-4", "lone surrogate") from None


def _write(value: Json, depth: int) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise Refused("JSON-3", f"integer out of range: {value}")
        return str(value)
    if isinstance(value, float):
        raise Refused("JSON-3", f"not an integer: {value}")
    if isinstance(value, str):
        return _write_string(value)
    if depth == MAX_DEPTH:
        raise Refused("JSON-5", "nested more than 128 deep")
    if isinstance(value, list | tuple):
        return "[" + ",".join(_write(item, depth + 1) for item in value) + "]"
    if isinstance(value, dict):
        keys = sorted(value, key=utf8)
        return "{" + ",".join(f"{_write_string(key)}:{_write(value[key], depth + 1)}" for key in keys) + "}"
    raise Refused("JSON-6", f"no JSON form: {type(value).__name__}")


def _write_string(text: str) -> str:
    escaped = re.sub(r'["\\\x00-\x1f]', lambda m: SHORT_ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), text)
    return f'"{escaped}"'


def decode(data: bytes) -> Json:
    """The value of a canonical JSON text; every other spelling is refused (JSON-1 to JSON-6)."""
    if len(data) > MAX_TEXT:
        raise Refused("JSON-5", "longer than 16 MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("JSON-1", f"not UTF-8: {error.reason}") from None
    if text.startswith("\ufeff"):
        raise Refused("JSON-1", "byte order mark")
    parser = _Parser(text)
    value = parser.value(0)
    if parser.peek():
        raise Refused("JSON-6", "something follows the value")
    assert encode(value) == data
    return value


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """The next character, or the empty string at the end; white space is refused (JSON-1)."""
        char = self.text[self.at : self.at + 1]
        if char and char in " \t\n\r":
            raise Refused("JSON-1", f"white space at {self.at}")
        return char

    def take(self, token: str) -> None:
        """Step over a token that must come next."""
        self.peek()
        if not self.text.startswith(token, self.at):
            raise Refused("JSON-6", f"no {token} at {self.at}")
        self.at += len(token)

    def value(self, depth: int) -> Json:
        char = self.peek()
        if char in ("[", "{") and depth == MAX_DEPTH:
            raise Refused("JSON-5", "nested more than 128 deep")
        if char == "[":
            return self.array(depth + 1)
        if char == "{":
            return self.object(depth + 1)
        if char == '"':
            return self.string()
        if char and char in "+-.0123456789":
            return self.number()
        for token, value in (("null", None), ("true", True), ("false", False)):
            if self.text.startswith(token, self.at):
                self.at += len(token)
                return value
        raise Refused("JSON-6", f"no value at {self.at}")

    def array(self, depth: int) -> list[Json]:
        self.take("[")
        items: list[Json] = []
        while self.peek() != "]":
            if items:
                self.take(",")
            items.append(self.value(depth))
        self.take("]")
        return items

    def object(self, depth: int) -> dict[str, Json]:
        self.take("{")
        members: dict[str, Json] = {}
        last: bytes | None = None
        while self.peek() != "}":
            if last is not None:
                self.take(",")
            if self.peek() != '"':
                raise Refused("JSON-6", f"no key at {self.at}")
            key = self.string()
            if last is not None and utf8(key) <= last:
                raise Refused("JSON-2", f"keys unsorted or not unique at {key!r}")
            last = utf8(key)
            self.take(":")
            members[key] = self.value(depth)
        self.take("}")
        return members

    def number(self) -> int:
        match = re.compile(r"[-+.0-9eE]+").match(self.text, self.at)
        assert match
        self.at = match.end()
        if not re.fullmatch(r"0|-?[1-9][0-9]*", match[0]):
            raise Refused("JSON-3", f"not a canonical integer: {match[0][:40]}")
        if len(match[0]) > 17 or not -MAX_INT <= int(match[0]) <= MAX_INT:
            raise Refused("JSON-3", f"integer out of range: {match[0][:40]}")
        return int(match[0])

    def string(self) -> str:
        self.at += 1
        plain = re.compile(r'[^"\\\x00-\x1f]*')
        parts: list[str] = []
        while True:
            match = plain.match(self.text, self.at)
            assert match
            parts.append(match[0])
            self.at = match.end()
            char = self.text[self.at : self.at + 1]
            if char == '"':
                self.at += 1
                return "".join(parts)
            if char == "\\":
                parts.append(self.escape())
            elif char:
                raise Refused("JSON-4", f"control character at {self.at}")
            else:
                raise Refused("JSON-6", "string without an end")

    def escape(self) -> str:
        for char, spelling in SHORT_ESCAPES.items():
            if self.text.startswith(spelling, self.at):
                self.at += len(spelling)
                return char
        match = re.compile(r"\\u00([01][0-9a-f])").match(self.text, self.at)
        if not match or chr(int(match[1], 16)) in SHORT_ESCAPES:
            raise Refused("JSON-4", f"no canonical escape at {self.at}")
        self.at = match.end()
        return chr(int(match[1], 16))
