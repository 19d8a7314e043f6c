"""`dpk cat-fragment`: print the rows of a fragment."""

from __future__ import annotations

from collections.abc import Iterator

from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage
from dpkg.oid import Oid
from dpkg.repository import Repository

COMMAND = Command(
    "cat-fragment",
    "Print the rows of a fragment, verified, as CSV, JSON lines, an Arrow stream or Parquet.",
    (
        Arg("fragment", "the oid of a fragment (dpk ls-fragments lists them)"),
        Opt("--format", "the output (default: csv)", str, "FORMAT", ("csv", "json", "arrow", "parquet")),
        Opt("--columns", "columns, separated by commas (default: all)", str, "A,B"),
        STORE,
    ),
    raw=True,
)
_WRITERS = {"csv": "csv", "json": "jsonl", "arrow": "arrows", "parquet": "parquet"}


def cat_fragment(fragment: str, *, format: str = "csv", columns: str | None = None, store: str | None = None) -> Iterator[bytes]:
    """The rows of a fragment in some format, as pieces of bytes. Raises NotFound, Corrupt, Usage for an unknown column."""
    from dpkg import tables
    from dpkg.arrow import writers

    if format not in _WRITERS:
        raise Usage(f"'{format}' is not a format", f"formats: {', '.join(_WRITERS)}")
    repository = Repository(store)
    batch = tables.read_fragment(repository.odb, Oid(fragment), columns.split(",") if columns else None)
    return writers.to_chunks(iter([batch]), batch.schema, _WRITERS[format])
