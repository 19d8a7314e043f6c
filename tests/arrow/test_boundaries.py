"""Where tables are cut, against a slow reference, with limits made small so that all matter (ROW-3 to ROW-5)."""

from __future__ import annotations

import random
from typing import Any

import forms
import numpy as np
import pyarrow as pa
import pytest
import reader
import strategies as s
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.arrow import boundaries, mix
from dpkg.arrow.normal import normalise
from dpkg.arrow.schema import Schema

LIMITS = ("SAMPLE_ROWS", "SAMPLE_BYTES", "TARGET_BYTES", "FRAGMENT_BYTES")


def slow_target(sizes: list[int]) -> int:
    rows = total = 0
    for size in sizes:
        if rows >= boundaries.SAMPLE_ROWS or total >= boundaries.SAMPLE_BYTES:
            break
        rows, total = rows + 1, total + size
    if not rows:
        return 2**20
    q = max(1, boundaries.TARGET_BYTES * rows // total)
    return min(max(min((2**e for e in range(40)), key=lambda p: (abs(p - q), -p)), 4), 2**20)


def slow_cut(sizes: list[int], levels: list[int], target: int) -> list[int]:
    out, rows, total = [], 0, 0
    for size, level in zip(sizes, levels, strict=True):
        if rows and total + size > boundaries.FRAGMENT_BYTES:
            out.append(rows)
            rows = total = 0
        rows, total = rows + 1, total + size
        tight = 4 * rows >= target and rows < target and 4 * level * target < 2**32
        loose = rows >= target and level * target < 4 * 2**32
        if rows == 4 * target or tight or loose:
            out.append(rows)
            rows = total = 0
    return [*out, rows] if rows else out


def cut(batches: list[pa.RecordBatch], schema: Schema, key: tuple[str, ...] = ()) -> tuple[int, list[int]]:
    cutter = boundaries.Cutter(schema, key)
    fragments = list(cutter.cut(batches))
    return cutter.target_rows, [sum(b.num_rows for b in rows) for rows in fragments]


LENGTHS = st.one_of(st.integers(0, 300), st.integers(0, 20))


@pytest.mark.spec("ROW-2")
@pytest.mark.spec("ROW-3")
@pytest.mark.spec("ROW-4")
@pytest.mark.spec("ROW-5")
@pytest.mark.parametrize(
    "limits",
    [
        (65_536, 32 << 20, 5 << 19, 32 << 20),
        (50, 1 << 20, 300, 2000),
        (10**6, 700, 100, 120),
        (10, 10**6, 1, 50),
        (1, 1, 9000, 10**6),
    ],
)
def test_as_the_reference_cuts(limits: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(LIMITS, limits, strict=True):
        monkeypatch.setattr(boundaries, name, value)

    @given(LENGTHS, s.randoms())
    @settings(max_examples=60, deadline=None)
    def check(rows: int, rng: Any) -> None:
        few = rng.random() < 0.3
        text = [
            rng.choice([None, "", "x" * rng.choice([1, 5, 5, 300])]) if few else "y" * rng.randint(0, 30)
            for _ in range(rows)
        ]
        table = s.Plain(
            [["a", "int64"], ["b", "utf8"]], [[rng.randint(0, 1 if few else 10**9) for _ in range(rows)], text]
        )
        arrow, batches = forms.batches(rng, table)
        schema = Schema.from_arrow(arrow)
        plain = [p for b in batches for p in normalise(b, schema)]
        key = rng.choice([(), ("a",), ("b", "a")])
        sizes = reader.row_bytes(table.schema, table.columns)
        levels = reader.levels(reader.row_mixes(table.schema, table.columns, key))
        target = slow_target(sizes)
        assert cut(plain, schema, key) == (target, slow_cut(sizes, levels, target))

    check()


@pytest.mark.spec("ROW-4")
def test_target_rows() -> None:
    assert boundaries.target_rows(0, 0) == 2**20
    assert boundaries.target_rows(1, 1) == 2**20
    assert boundaries.target_rows(1, 100 << 20) == 4
    sizes = [random.Random(n).randint(1, 2**n) for n in range(1, 27)]
    for size in sizes:
        assert boundaries.target_rows(100, 100 * size) == slow_target([size] * 100)
    for q in (5, 6, 7, 11, 12, 13, 47, 48, 49):  # 6, 12, 48 are equally near to two powers
        rows, size = q * 1000, 1000 * boundaries.TARGET_BYTES
        assert boundaries.target_rows(rows, size) == max(4, min((4, 8, 16, 32, 64), key=lambda p: (abs(p - q), -p)))


@pytest.mark.spec("ROW-5")
def test_a_row_above_the_limit_stands_alone() -> None:
    big = "x" * (40 << 20)
    batch = pa.record_batch({"a": ["s", big, "s", big, big, "s"]})
    schema = Schema.from_arrow(batch.schema)
    for size in (1, 2, 6):
        parts = [batch.slice(i, size) for i in range(0, 6, size)]
        assert cut(parts, schema)[1] == [1, 1, 1, 1, 1, 1]


@pytest.mark.spec("ROW-3")
def test_the_window_goes_on_over_batches() -> None:
    mixes = np.random.default_rng(1).integers(0, 2**63, 300).astype(np.uint64)
    whole = mix.levels(mixes, np.zeros(mix.REACH, np.uint64))
    assert whole.tolist() == reader.levels(mixes.tolist())
    before, parts = np.zeros(mix.REACH, np.uint64), []
    for start in range(0, 300, 7):
        part = mixes[start : start + 7]
        parts.append(mix.levels(part, before))
        before = np.concatenate([before, part])[-mix.REACH :]
    assert np.concatenate(parts).tolist() == whole.tolist()
