"""Records that plumbing prints and reads: a line each, or with -z ended by a NUL; names in them are never ambiguous.

In lines, a name that holds `"`, `\\`, or a character that is not printable stands in double quotes with C's escapes,
bytes in octal, as git writes it. With -z names are the bytes that they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from dpkg.command import Opt
from dpkg.errors import Format, Usage
from dpkg.oid import Oid

if TYPE_CHECKING:
    from io import BufferedReader

T = TypeVar("T")
NULL = Opt("-z --null", "end lines with a NUL instead of a newline, and print names as they are", view=True)
TYPES = ("commit", "node", "table", "blob", "fragment")

_MAX_RECORD = 1 << 20  # bytes
_READ, _WRITE, _WAIT = 1 << 16, 1 << 15, 0.1  # bytes, bytes, seconds
_ESCAPES = {"\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", '"': '"', "\\": "\\"}
_MEANING = {letter: char.encode() for char, letter in _ESCAPES.items()}
_QUOTED = re.compile(r'\\([0-3][0-7]{2}|[abtnvfr"\\])|([^\\"]+)')


class Listed(Iterator[T]):
    """Results one by one, that know how the records they are printed as end, and with which code the command does."""

    def __init__(self, items: Iterable[T], null: bool = False) -> None:
        self._items, self.null, self.exit_code = iter(items), null, 0

    def __next__(self) -> T:
        return next(self._items)


def quote(name: str) -> str:
    """A name as it stands in a line: as it is, or quoted."""
    if name.isprintable() and '"' not in name and "\\" not in name:
        return name
    return f'"{"".join(map(_quoted, name))}"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return "\\" + _ESCAPES[char]
    if char.isprintable():
        return char
    return "".join(f"\\{byte:03o}" for byte in char.encode(errors="surrogateescape"))


def unquote(text: str) -> str:
    """The name that stands as `text` in a line. Raises Format."""
    if not text.startswith('"'):
        if any(c < " " or c == "\x7f" for c in text):
            raise Format(f"the name {text!r} holds control characters", "put it in double quotes, or give -z")
        return text
    at, parts, end = 1, list[bytes](), len(text) - 1
    while at < end and (found := _QUOTED.match(text, at, end)):
        escape, plain = found.groups()
        parts.append(plain.encode() if plain else _MEANING.get(escape) or bytes([int(escape, 8)]))
        at = found.end()
    if at != end or text[end] != '"':
        raise Format(f"the quotes or escapes in {text[:200]} are not right", 'write " as \\" and \\ as \\\\')
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        raise Format(f"the name {text[:200]} is not UTF-8") from None


def records(texts: Iterable[str], null: bool) -> Iterator[bytes]:
    """Texts as bytes to print: UTF-8 whatever the terminal is set to, many at a time, but none held back for long."""
    from time import monotonic

    end, held, size, last = (b"\0" if null else b"\n"), list[bytes](), 0, monotonic()
    try:
        for text in texts:
            held.append(text.encode(errors="surrogateescape") + end)
            size += len(held[-1])
            if size >= _WRITE or monotonic() - last > _WAIT:
                yield b"".join(held)
                held, size, last = [], 0, monotonic()
    except GeneratorExit:
        raise
    except BaseException:
        yield b"".join(held)  # what was found comes before what went wrong
        raise
    yield b"".join(held)


def read_records(null: bool, errors: str = "strict", stream: BufferedReader | None = None) -> Iterator[str]:
    """The records of standard input, each as soon as it is there. Raises Format for one too long or not UTF-8."""
    source = stream or cast("BufferedReader", sys.stdin.buffer)
    end, held, number, more = (b"\0" if null else b"\n"), b"", 0, True
    while more:
        data = source.read1(_READ)
        more = bool(data)
        *whole, held = (held + data).split(end)
        if not more and held:
            whole.append(held)
        for record in whole:
            number += 1
            yield _text(record, number, errors)
        if len(held) > _MAX_RECORD:
            raise Format(f"record {number + 1} of standard input is longer than {_MAX_RECORD:,} bytes")


def _text(record: bytes, number: int, errors: str) -> str:
    try:
        return record.decode(errors=errors)
    except UnicodeDecodeError:
        raise Format(f"record {number} of standard input is not UTF-8") from None


def wanted_ids(given: str | Sequence[str], null: bool) -> Iterable[tuple[str | None, Oid]]:
    """The ids given as arguments, all checked before anything is done; without any those of standard input, as they come.

    Raises Usage, and Format for a record that is none.
    """
    given = [given] if isinstance(given, str) else list(given)
    if not given:
        return parse_ids(read_records(null))
    try:
        return [_parse_id(text) for text in given]
    except Format as e:
        raise Usage(e.message, e.hint) from None


def parse_ids(texts: Iterable[str]) -> Iterator[tuple[str | None, Oid]]:
    """(type or None, oid) of records such as `oid` or `type oid`, as `dpk rev-list --objects` prints. Raises Format."""
    for number, text in enumerate(texts, 1):
        try:
            yield _parse_id(text)
        except Format as e:
            raise Format(f"record {number}: {e.message}", e.hint) from None


def _parse_id(text: str) -> tuple[str | None, Oid]:
    *named, last = text.split() or [""]
    kind = ("node" if named[0] == "tree" else named[0]) if named else None
    if len(named) > 1 or kind not in (None, *TYPES):
        raise Format(f"'{text[:200]}' is not an object", f"OID or TYPE OID; {', '.join(TYPES)}")
    try:
        return kind, Oid(last)
    except Format as e:
        raise Format(e.message, "OID or TYPE OID, as 'dpk rev-list --objects' prints") from None
