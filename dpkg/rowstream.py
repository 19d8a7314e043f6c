"""Rows as they go out of a command: in a text format for people, in a binary one for a file or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpkg.errors import Usage
from dpkg.store.local import failure

if TYPE_CHECKING:
    from dpkg.oid import Oid

FORMATS = {"csv": "csv", "json": "jsonl", "arrow": "arrows", "parquet": "parquet"}  # and the writers' names of them
_BINARY = ("arrow", "parquet")


@dataclass(frozen=True)
class Rows:
    """Rows of one Arrow schema in record batches, to be gone through once.

    Iterating gives them as JSON values, `chunks` as bytes in the format.
    """

    oid: Oid  # of the table or fragment that they are of
    format: str
    schema: Any
    batches: Iterable[Any]

    def chunks(self) -> Iterator[bytes]:
        """The rows in the format, in pieces, as they are read. Raises Format for what the format cannot hold."""
        from dpkg.arrow import writers

        return writers.to_chunks(self.batches, self.schema, FORMATS[self.format])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from dpkg.arrow import writers

        return writers.json_rows(self.batches)


def check_format(format: str) -> str:
    """`format`, if it is one. Raises Usage."""
    if format not in FORMATS:
        raise Usage(f"'{format}' is not a format", f"formats: {', '.join(FORMATS)}")
    return format


def pick(given: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """The columns that were asked for, each one or several separated by commas; None: all."""
    wanted = [given] if isinstance(given, str) else given
    return [name for text in wanted for name in ([text] if text in names else text.split(","))] or None


def show(rows: Rows) -> Iterator[bytes]:
    """The bytes to print. Raises Usage for a binary format on a terminal."""
    refuse_terminal(rows.format)
    yield from rows.chunks()


def refuse_terminal(format: str) -> None:
    """Raises Usage for a binary format on a terminal."""
    if format in _BINARY and sys.stdout.isatty():
        raise Usage(f"{format} is binary, and this is a terminal", "send it to a file or a pipe, or give --format csv")


def write_whole(path: str, chunks: Iterable[bytes]) -> None:
    """Write a file, which is there when it is whole, in place of what was there. Raises Storage.

    Where a link is, the file that it names; what is no file, as a pipe or /dev/stdout, is written to as it is.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:
                file.writelines(chunks)
            return
        target = os.path.realpath(path)
        part = f"{target}.{os.getpid()}.part"
        try:
            with open(part, "wb") as file:
                file.writelines(chunks)
            os.replace(part, target)
        except BaseException:
            with suppress(OSError):
                os.remove(part)
            raise
    except OSError as error:
        raise failure(error, "write", path) from error
