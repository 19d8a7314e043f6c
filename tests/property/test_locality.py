"""Property 5: an edit of k adjacent rows rewrites O(1 + k / target_rows) fragments and O(log n) nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dpkg.index import fragment_entries, leaves, read_node
from dpkg.objects.node import FRAGMENTS
from dpkg.odb import Odb
from dpkg.oid import Oid
from dpkg.store.memory import MemoryBackend
from dpkg.tables import write_table

ROWS = 40_000


@pytest.fixture(autouse=True)
def small_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpkg.arrow.boundaries.TARGET_BYTES", 1400)
    monkeypatch.setattr("dpkg.arrow.fragment.encode", lambda made, schema, encodings=None: b"not looked at")


def columns(few: bool) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    if few:
        return {"a": rng.integers(0, 3, ROWS), "b": rng.choice(np.array(["x", "y"]), ROWS)}
    return {"a": np.arange(ROWS), "b": rng.random(ROWS)}


def stored(odb: Odb, data: dict[str, Any], key: tuple[str, ...] = ()) -> tuple[set[Oid], set[Oid], int, int]:
    batch = pa.record_batch(data)
    _, table = write_table(odb, [batch.slice(i, 7000) for i in range(0, batch.num_rows, 7000)], batch.schema, key)
    entries = list(fragment_entries(odb, table.fragments))
    return {e.oid for e in entries}, _nodes(odb, table.fragments), table.target_rows, len(entries)


def _nodes(odb: Odb, oid: Oid) -> set[Oid]:
    node = read_node(odb, oid, FRAGMENTS)
    return {oid}.union(*(_nodes(odb, e.oid) for e in node.entries)) if node.level else {oid}


def edited(data: dict[str, Any], how: str, at: int, k: int) -> dict[str, Any]:
    out = {}
    for name, values in data.items():
        new = (
            values[:k].copy() if name == "b" else np.arange(10**6, 10**6 + k) if values.max() > 3 else values[5 : 5 + k]
        )
        keep = values[at + k :] if how in ("update", "delete") else values[at:]
        out[name] = np.concatenate([values[:at], new if how != "delete" else values[:0], keep])
    return out


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("how", ["update", "insert", "delete"])
@pytest.mark.parametrize("k", [1, 40, 3000])
def test_an_edit_stays_where_it_is(few: bool, how: str, k: int) -> None:
    odb = Odb(MemoryBackend())
    data = columns(few)
    before, nodes, target, count = stored(odb, data)
    assert count > ROWS / (4 * target)
    worst = 0
    for at in (1, 20_011, ROWS - k):
        after, nodes_after, same, _ = stored(odb, edited(data, how, at, k))
        assert same == target
        assert len(after - before) <= 4 + 2 * k / target * 2
        leaves_of_edit = 3 + 2 * k / target / 100
        assert len(nodes_after - nodes) <= leaves_of_edit + 3
        worst = max(worst, len(after - before))
    assert worst >= (k > target)


def test_a_new_column_beside_a_key_leaves_the_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    odb = Odb(MemoryBackend())
    data = columns(False)
    rows = []
    for more in ({}, {"c": np.arange(ROWS) % 2 == 0}):
        batch = pa.record_batch({**data, **more})
        _, table = write_table(odb, [batch], batch.schema, ("a",))
        rows.append([e.rows for e in fragment_entries(odb, table.fragments)])
    assert rows[0] == rows[1]


def test_appending_leaves_all_but_the_end() -> None:
    odb = Odb(MemoryBackend())
    data = columns(False)
    before, nodes, _, count = stored(odb, {n: v[: ROWS - 5000] for n, v in data.items()})
    after, nodes_after, target, _ = stored(odb, data)
    assert len(before - after) <= 1
    assert len(nodes - nodes_after) <= 3
    assert sum(1 for _ in leaves(odb, min(nodes_after), FRAGMENTS)) >= 1
    assert count > 20
    assert target >= 4
