"""Where in a file the rows are that broke a check: looked for afterwards, as few ever do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.checks.base import text
from dpkg.arrow.checks.keys import row_keys
from dpkg.arrow.readers.base import Lines, Source, lines_of, stream
from dpkg.arrow.schema import Schema

Seen = tuple[dict[str, str], tuple[int, int]]


def look(columns: Mapping[str, pa.Array], schema: Schema, rows: Sequence[int], key: tuple[str, ...]) -> dict[int, Seen]:
    """Of some rows of a part: their values as text, and the key of the table's key columns."""
    out: dict[int, Seen] = {}
    for row in rows:
        found = (0, 0)
        if key:
            types = [schema.types[schema.names.index(n)] for n in key]
            high, low = row_keys([columns[n].slice(row, 1) for n in key], types)
            found = int(high[0]), int(low[0])
        out[row] = {n: text(columns[n][row]) for n in schema.names}, found
    return out


def lines(source: Source, rows: Mapping[int, tuple[int, int]], key: tuple[str, ...]) -> Lines:
    """The file and line on which each row starts, where the source knows lines. `rows` by number in the table, from 1; a table with
    a key is in another order than its file, and its rows are found by their keys."""
    places = {row - 1: row for row in rows}
    if key:
        wanted = {found: row for row, found in rows.items()}
        places = stream(source, lambda arrow, batches: _places(arrow, batches, key, wanted))
    return {places[at]: found for at, found in lines_of(source, list(places)).items()}


def _places(arrow: pa.Schema, batches: Any, key: tuple[str, ...], wanted: dict[tuple[int, int], int]) -> dict[int, int]:
    from dpkg.arrow.normal import normalise

    schema = Schema.from_arrow(arrow)
    at = [schema.names.index(n) for n in key]
    high_wanted = np.array([high for high, _ in wanted], np.uint64)
    out: dict[int, int] = {}
    start = 0
    for batch in (plain for b in batches for plain in normalise(b, schema)):
        high, low = row_keys([batch.column(i) for i in at], [schema.types[i] for i in at])
        for i in np.flatnonzero(np.isin(high, high_wanted)).tolist():
            row = wanted.get((int(high[i]), int(low[i])))
            if row is not None:
                out[start + i] = row
        start += batch.num_rows
    return out
