"""Row diffs against a brute-force reference: rows removed and added as a multiset, changed by key; patches give NEW exactly."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from typing import Any
from unittest.mock import patch as replaced

import forms
import numpy as np
import pytest
import strategies as s
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg import tables
from dpkg.diffing import APPLIED, FORMATS, patch
from dpkg.diffing.align import align_items
from dpkg.diffing.bykey import ByKey
from dpkg.diffing.rows import RowDiff
from dpkg.errors import Format, Usage
from dpkg.objects.table import Table
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend

KEYS = ["bool", "int8", "uint64", "float16", "float64", "utf8", "binary", "date", {"decimal": [5, 2]}]
EXAMPLES = 30
Rows = list[tuple[Any, ...]]


def written(odb: Odb, rng: random.Random, table: s.Plain, key: tuple[str, ...] = ()) -> Table:
    schema, batches = forms.batches(rng, table)
    return tables.write_table(odb, batches, schema, key)[1]


def rows_of(table: s.Plain) -> Rows:
    return list(zip(*table.columns, strict=True))


def plain(schema: list[Any], rows: Rows) -> s.Plain:
    return s.Plain(schema, [list(c) for c in zip(*rows, strict=True)] if rows else [[] for _ in schema])


def told(schema: list[Any], row: tuple[Any, ...]) -> str:
    """A row as its identity has it."""
    return repr([s.canonical(v, t) for v, (_, t) in zip(row, schema, strict=True)])


def edited(rng: random.Random, rows: Rows, fresh: Rows) -> Rows:
    """Rows after a few edits: some go, come, move, are there twice."""
    out = list(rows)
    for _ in range(rng.choice([0, 1, 2, 6])):
        at, size = rng.randint(0, len(out)), rng.choice([1, 1, 3, 20])
        match rng.randrange(4):
            case 0:
                del out[at : at + size]
            case 1:
                out[at:at] = fresh[:size]
            case 2:
                out[at:at] = out[rng.randint(0, len(out)) :][:size]
            case 3:
                part = out[at : at + size]
                del out[at : at + size]
                where = rng.randint(0, len(out))
                out[where:where] = part
    return out


def events(diff: RowDiff | ByKey) -> list[tuple[str, Any, Any, list[str]]]:
    return [
        (r["_change"], r["_old_row"], r["_new_row"], r["_cells"])
        for b in diff.batches()
        for r in b.select(["_change", "_old_row", "_new_row", "_cells"]).to_pylist()
    ]


@pytest.fixture(autouse=True, scope="module")
def _small() -> Any:
    """Fragments of a few rows, parts of a few fragments."""
    with (
        replaced("dpkg.arrow.boundaries.TARGET_BYTES", 60),
        replaced("dpkg.diffing.rows.PART_ROWS", 40),
    ):
        yield


@given(s.tables(most=60), s.randoms(), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_without_a_key(table: s.Plain, rng: Any, spill: bool) -> None:
    odb, schema = Odb(MemoryBackend()), table.schema
    fresh = rows_of(s.Plain(schema, [s.values_of(rng, t, 20) for _, t in schema]))
    before = rows_of(table)
    if rng.random() < 0.5:
        before = [rng.choice(before) for _ in before]
    after = edited(rng, before, fresh)
    old, new = (written(odb, rng, plain(schema, rows)) for rows in (before, after))
    with replaced("dpkg.diffing.spill.LIMIT", 5 if spill else 1 << 20):
        diff = RowDiff(odb, old, odb, new)
        found = events(diff)
        head, made = patch.make(odb, old, odb, new)
        assert patch.apply(odb, old, head, made.batches(), Odb(MemoryBackend()))[0] == new.oid
    had, has = ([told(schema, row) for row in rows] for rows in (before, after))
    gone = Counter(had[o] for what, o, _, _ in found if what == "removed")
    came = Counter(has[n] for what, _, n, _ in found if what == "added")
    assert {what for what, *_ in found} <= {"removed", "added"}
    assert gone - came == Counter(had) - Counter(has)
    assert came - gone == Counter(has) - Counter(had)
    assert (gone & came).total() == diff.summary.moved
    assert (diff.summary.removed, diff.summary.added) == (gone.total(), came.total())


@given(s.tables(most=40), s.randoms(), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_by_a_key_that_is_not_unique(table: s.Plain, rng: Any, spill: bool) -> None:
    """Equal rows count for nothing; of the others as many of a key are changed as there are of it on both sides."""
    odb, schema = Odb(MemoryBackend()), table.schema
    at = rng.randrange(len(schema))
    few = rows_of(table)[:5]
    before = [tuple(rng.choice(few)[at] if i == at else v for i, v in enumerate(row)) for row in rows_of(table)]
    after = edited(rng, before, rows_of(table)[:20])
    rng.shuffle(after)
    old, new = (written(odb, rng, plain(schema, rows)) for rows in (before, after))
    with replaced("dpkg.arrow.buckets.LIMIT", 5 if spill else 1 << 20):
        diff = ByKey(odb, old, odb, new, [schema[at][0]])
        found = events(diff)
    had, has = ([(told([schema[at]], (row[at],)), told(schema, row)) for row in rows] for rows in (before, after))
    gone, came = Counter(had) - Counter(has), Counter(has) - Counter(had)
    changed = [(had[o], has[n]) for what, o, n, _ in found if what == "changed"]
    assert Counter([*(o for o, _ in changed), *(had[o] for what, o, _, _ in found if what == "removed")]) == gone
    assert Counter([*(n for _, n in changed), *(has[n] for what, _, n, _ in found if what == "added")]) == came
    assert all(o[0] == n[0] and o != n for o, n in changed)
    keys = [Counter(key for key, _ in side.elements()) for side in (gone, came)]
    assert Counter(o[0] for o, _ in changed) == keys[0] & keys[1]
    assert (diff.summary.removed, diff.summary.added, diff.summary.changed) == (
        (gone.total() - len(changed)), (came.total() - len(changed)), len(changed)
    )  # fmt: skip
    for what, o, n, cells in found:
        if what == "changed":
            unlike = [
                name
                for (name, t), x, y in zip(schema, before[o], after[n], strict=True)
                if told([[name, t]], (x,)) != told([[name, t]], (y,))
            ]
            assert cells == unlike


@given(s.tables(most=30), s.tables(most=30), s.randoms())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_patch_leads_from_any_table_to_any_other(before: s.Plain, other: s.Plain, rng: Any) -> None:
    """Also where columns of one name have types that know nothing of one another."""
    odb = Odb(MemoryBackend())
    names = [n for n, _ in before.schema]
    schema = [[names[i] if i < len(names) and rng.random() < 0.8 else n, t] for i, (n, t) in enumerate(other.schema)]
    if len({n for n, _ in schema}) < len(schema):
        schema = other.schema
    old, new = written(odb, rng, before), written(odb, rng, s.Plain(schema, other.columns))
    head, made = patch.make(odb, old, odb, new)
    assert patch.apply(odb, old, head, made.batches(), odb)[0] == new.oid


@pytest.mark.spec("CLI-13")
@given(s.tables(most=12), st.sampled_from(FORMATS), st.booleans(), s.randoms())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_patch_in_a_file(before: s.Plain, format: str, other: bool, rng: Any) -> None:
    """Of every type; a format that cannot hold a value says so, and the other is not applied to another table."""
    odb = Odb(MemoryBackend())
    rows = rows_of(before)
    fresh = rows_of(s.Plain(before.schema, [s.values_of(rng, t, 20) for _, t in before.schema]))
    old, new = (written(odb, rng, plain(before.schema, r)) for r in (rows, edited(rng, rows, fresh)))
    with tempfile.NamedTemporaryFile() as file:
        try:
            for chunk in patch.chunks(*patch.make(odb, old, odb, new), format):
                file.write(chunk)
        except Format:
            assert format != "arrow"
            return
        file.flush()
        if format not in APPLIED:
            with pytest.raises(Format), patch.opened(file.name):
                pass
        elif other and old.oid != new.oid:
            with pytest.raises(Usage), patch.opened(file.name) as found:
                patch.apply(odb, new, *found, odb)
        else:
            with patch.opened(file.name) as found:
                assert patch.apply(odb, old, *found, Odb(MemoryBackend()))[0] == new.oid


@st.composite
def keyed(draw: Any) -> tuple[list[Any], Rows, Rows]:
    """A schema whose first column is a key, and the rows of two versions."""
    schema = [["k", draw(st.sampled_from(KEYS))], *(["v" + n, t] for n, t in draw(s.tables(least=1, most=1)).schema)]
    rng = draw(s.randoms())
    pool: dict[str, Any] = {}
    for v in s.values_of(rng, schema[0][1], 60):
        pool.setdefault(repr(s.canonical(v, schema[0][1])), v)
    before = [(k, *(s.values_of(rng, t, 1)[0] for _, t in schema[1:])) for k in pool.values()]
    after = [
        row if rng.random() < 0.7 else (row[0], *(s.values_of(rng, t, 1)[0] for _, t in schema[1:])) for row in before
    ]
    return schema, [r for r in before if rng.random() < 0.8], [r for r in after if rng.random() < 0.8]


@given(keyed(), s.randoms(), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_with_a_key(given_: tuple[list[Any], Rows, Rows], rng: Any, spill: bool) -> None:
    schema, before, after = given_
    odb = Odb(MemoryBackend())
    old, new = (written(odb, rng, plain(schema, rows), ("k",)) for rows in (before, after))
    with replaced("dpkg.diffing.spill.LIMIT", 5 if spill else 1 << 20):
        found = events(RowDiff(odb, old, odb, new))
        head, made = patch.make(odb, old, odb, new)
        assert patch.apply(odb, old, head, made.batches(), Odb(MemoryBackend()))[0] == new.oid

    def by_key(rows: Rows) -> dict[str, tuple[Any, ...]]:
        return {told(schema[:1], row[:1]): row for row in rows}

    had, has = by_key(before), by_key(after)
    count = Counter(what for what, *_ in found)
    cells = Counter()
    for k in had.keys() & has.keys():
        unlike = [
            n for (n, t), x, y in zip(schema, had[k], has[k], strict=True) if s.canonical(x, t) != s.canonical(y, t)
        ]
        if unlike:
            cells[tuple(unlike)] += 1
    assert count["removed"] == len(had.keys() - has.keys())
    assert count["added"] == len(has.keys() - had.keys())
    assert Counter(tuple(c) for what, _, _, c in found if what == "changed") == cells
    assert [o for _, o, _, _ in found if o is not None] == sorted(o for _, o, _, _ in found if o is not None)


@given(st.lists(st.integers(0, 400), max_size=40, unique=True), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_alignment_finds_all_that_stayed(items: list[int], data: Any) -> None:
    stays = data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
    other: list[int] = []
    for n, (item, stay) in enumerate(zip(items, stays, strict=True)):
        other += [item] if stay else [1000 + n] * (item % 3)
    i, j = align_items(items, other)
    assert [items[x] for x in i] == [other[y] for y in j] == [x for x, stay in zip(items, stays, strict=True) if stay]


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
@settings(max_examples=EXAMPLES, deadline=None)
def test_alignment_is_in_order_and_leaves_no_gap_with_a_common_item(a: list[int], b: list[int]) -> None:
    i, j = align_items(a, b)
    assert [a[x] for x in i] == [b[y] for y in j]
    assert (np.diff(i) > 0).all()
    assert (np.diff(j) > 0).all()
    for x, y, up_x, up_y in zip([-1, *i], [-1, *j], [*i, len(a)], [*j, len(b)], strict=True):
        assert not {*a[x + 1 : up_x]} & {*b[y + 1 : up_y]}
