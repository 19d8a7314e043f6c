"""The data that every tool gets: the same bytes, made from a fixed seed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILES = 50_000
FILE_BYTES = 4_100  # on average
BIG_BYTES = 2_000_000_000
ROWS = 5_000_000
EDITED_ROWS = 1_000
TRANSFER_FILES = 2_000
TRANSFER_BYTES = 200_000_000  # of the one large file that travels too
_STEP = 1 << 26
_LINE = 96  # bytes of a line of text
_WORDS = ["order", "ship", "bill", "pack", "sort", "hold", "ready", "late", "north", "south", "red", "open", "paid", "due"]  # fmt: skip


def many_files(folder: Path, count: int) -> None:
    """Half of them random bytes, half lines of text that zstd makes a quarter of; 2,100 to 6,100 bytes, 500 a folder."""
    source, sizes = np.random.default_rng(1), random.Random(1)
    text = _lines(source, 1 << 22)
    for n in range(count):
        if n % 500 == 0:
            (folder / f"part-{n // 500:03}").mkdir(parents=True)
        size = sizes.randrange(FILE_BYTES - 2_000, FILE_BYTES + 2_000)
        name = f"part-{n // 500:03}/{n:06}"
        if n % 2:
            at = sizes.randrange(len(text) - size - 20)
            (folder / f"{name}.txt").write_bytes(f"file {n}\n".encode() + text[at : at + size - 9])
        else:
            (folder / f"{name}.bin").write_bytes(source.bytes(size))


def change_one(folder: Path, nth: int) -> None:
    """Another content, of the same size, for one file in the middle."""
    files = sorted(folder.rglob("*.txt"))
    chosen = files[len(files) // 2]
    size = chosen.stat().st_size
    chosen.write_bytes(np.random.default_rng(1_000 + nth).bytes(size))


def random_file(path: Path, size: int) -> None:
    """Bytes that nothing makes smaller."""
    source = np.random.default_rng(2)
    with path.open("wb") as f:
        for at in range(0, size, _STEP):
            f.write(source.bytes(min(_STEP, size - at)))


def text_file(path: Path, size: int) -> None:
    """Lines of a log, all different, which zstd makes a fifth of."""
    source = np.random.default_rng(3)
    with path.open("wb") as f:
        for at in range(0, size, _STEP):
            f.write(_lines(source, min(_STEP, size - at)))


def _lines(source: np.random.Generator, size: int) -> bytes:
    """Lines of 96 bytes: two random numbers and words."""
    words = np.array([w.ljust(7).encode() for w in _WORDS], dtype="S7")
    count = -(-size // _LINE)
    lines = np.empty((count, _LINE), np.uint8)
    lines[:, :20] = np.frombuffer(b"2026-01-01 12:00:00 ", np.uint8)
    lines[:, 20:32] = source.integers(48, 58, (count, 12), dtype=np.uint8)
    chosen = words[source.integers(0, len(words), (count, 9))]
    lines[:, 32:95] = np.ascontiguousarray(chosen).view(np.uint8).reshape(count, 63)
    lines[:, 95] = ord("\n")
    return lines.tobytes()[:size]


def tables(folder: Path, rows: int) -> dict[str, Path]:
    """The table's states one after another, as Parquet as pyarrow writes it: first, append, insert, update."""
    first = _rows(rows, 0)
    appended = pa.concat_tables([first, _rows(rows // 100, rows)])
    middle = rows // 2
    inserted = pa.concat_tables([appended.slice(0, middle), _rows(EDITED_ROWS, 2 * rows), appended.slice(middle)])
    at = rows // 4
    old, new = inserted.slice(at, EDITED_ROWS), _rows(EDITED_ROWS, 3 * rows)
    for name in ("price", "quantity", "note"):
        old = old.set_column(old.schema.get_field_index(name), name, new[name])
    updated = pa.concat_tables([inserted.slice(0, at), old, inserted.slice(at + EDITED_ROWS)])
    found = {}
    for step, table in {"first": first, "append": appended, "insert": inserted, "update": updated}.items():
        found[step] = folder / f"{step}.parquet"
        pq.write_table(table.combine_chunks(), found[step])
    return found


def _rows(count: int, start: int) -> pa.Table:
    """Rows numbered from `start`, in 8 columns."""
    source = np.random.default_rng(start + 4)
    ids = np.arange(start, start + count)
    notes = pa.array([f"note {a} {b}" for a in _WORDS for b in _WORDS])
    return pa.table(
        {
            "id": ids,
            "time": pa.array(1_700_000_000 + ids * 7 + source.integers(0, 7, count), pa.timestamp("s")),
            "customer": source.integers(0, 200_000, count, dtype=np.int32),
            "shop": pa.array(_WORDS).take(pa.array(source.integers(0, len(_WORDS), count))),
            "price": source.integers(100, 10_000_000, count) / 100,
            "quantity": source.integers(1, 50, count, dtype=np.int16),
            "paid": pa.array(source.random(count) < 0.9),
            "note": notes.take(pa.array(source.integers(0, len(notes), count))),
        }
    )
