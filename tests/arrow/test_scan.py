"""Scans with filters against Arrow filtering the whole table; and that fragments which cannot match are not read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import cache
from typing import Any

import forms
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import strategies as s
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg import tables
from dpkg.arrow import fragment
from dpkg.arrow import scan as scanning
from dpkg.errors import Usage
from dpkg.objects.node import FragmentEntry
from dpkg.objects.table import Table
from dpkg.odb import Odb
from dpkg.store.memory import MemoryBackend


@pytest.fixture(autouse=True)
def small_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpkg.arrow.boundaries.TARGET_BYTES", 100)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[FragmentEntry]:
    """The fragments that were opened."""
    entries: list[FragmentEntry] = []
    read = tables.open_fragment
    monkeypatch.setattr(
        tables, "open_fragment", lambda odb, entry, *more: entries.append(entry) or read(odb, entry, *more)
    )
    return entries


def stored(table: pa.Table) -> tuple[Odb, Table]:
    odb = Odb(MemoryBackend())
    return odb, tables.write_table(odb, table.to_batches(), table.schema)[1]


def scanned(odb: Odb, table: Table, **options: Any) -> pa.Table:
    return pa.Table.from_batches(tables.scan(odb, table, **options), tables.user_schema(table, options.get("columns")))


def same(a: pa.Table, b: pa.Table) -> bool:
    return a.schema.equals(b.schema) and a.num_rows == b.num_rows and repr(a.to_pydict()) == repr(b.to_pydict())


# -------------------------------------------------------------------------------------------------------- any filter

ROWS = 80
DAY, MOMENT = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def example(rng: Any, ordered: bool) -> pa.Table:
    """A table of many types; ordered columns can be pruned."""
    base = sorted(rng.randint(0, 60) for _ in range(ROWS)) if ordered else [rng.randint(0, 60) for _ in range(ROWS)]
    gaps = rng.choice([0, 0.1, 0.5])

    def column(make: Any, t: pa.DataType) -> pa.Array:
        return pa.array([None if rng.random() < gaps else make(n) for n in base], t)

    odd = rng.choice([float("nan"), 0.0, -0.0, float("inf")])
    return pa.table(
        {
            "i": column(lambda n: n - 30, pa.int64()),
            "u": column(lambda n: n, pa.uint8()),
            "f": column(lambda n: odd if rng.random() < 0.1 else n / 2 - 9, pa.float64()),
            "h": column(lambda n: n / 2, pa.float32()),
            "s": column(lambda n: f"{'x' * 35 if rng.random() < 0.3 else ''}{n:03d}é", pa.string()),
            "y": column(lambda n: b"\xff" * n, pa.binary()),
            "z": column(lambda n: MOMENT + dt.timedelta(hours=n), pa.timestamp("us", "Europe/Paris")),
            "t": column(lambda n: dt.datetime(2020, 1, 1) + dt.timedelta(hours=n), pa.timestamp("ms")),
            "d": column(lambda n: DAY + dt.timedelta(n), pa.date32()),
            "m": column(lambda n: Decimal(n) / 4, pa.decimal128(9, 2)),
            "b": column(lambda n: n > 30, pa.bool_()),
            "k": column(lambda n: dt.timedelta(seconds=n), pa.duration("ms")),
            "c": column(lambda n: dt.time(n % 24), pa.time32("ms")),
            "w": column(lambda n: bytes([n] * 3), pa.binary(3)),
            "e": pa.nulls(ROWS),
            "l": column(lambda n: [n], pa.list_(pa.int64())),
        }
    )  # fmt: skip


COMPARE = [
    lambda a, b: a == b,
    lambda a, b: a != b,
    lambda a, b: a < b,
    lambda a, b: a <= b,
    lambda a, b: a > b,
    lambda a, b: a >= b,
]


def filters(rng: Any, table: pa.Table, depth: int = 2) -> pc.Expression:
    """A random filter over a table."""
    if depth and rng.random() < 0.5:
        one = filters(rng, table, depth - 1)
        if rng.random() < 0.3:
            return ~one
        other = filters(rng, table, depth - 1)
        return one & other if rng.random() < 0.5 else one | other
    name = rng.choice(table.column_names)
    field, column = pc.field(name), table.column(name)
    if name in ("e", "l") or rng.random() < 0.15:
        return rng.choice([field.is_null(), field.is_valid(), ~field.is_null()])
    value = column[rng.randrange(ROWS)]
    if not value.is_valid:
        value = column.drop_null()[0] if column.null_count < ROWS else value
    if name in ("i", "u", "f", "h") and rng.random() < 0.5:
        value = pa.scalar(rng.choice([0.0, -0.0, 2.5, -40, 70, 1000, float("nan"), float("inf")]))
    elif name == "s" and rng.random() < 0.3:
        value = pa.scalar(rng.choice(["", "x" * 34, "x" * 36, "~", "03"]))
    if name != "k" and rng.random() < 0.25:
        return field.isin([column[rng.randrange(ROWS)] for _ in range(3)])
    if name == "f" and rng.random() < 0.2:
        return field.is_nan()
    return rng.choice(COMPARE)(field, value)


@pytest.mark.spec("IDX-6")
@given(
    s.randoms(), st.booleans(), st.lists(st.sampled_from(list("iufhsyztdmbkcwel")), min_size=1, max_size=4, unique=True)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_arrow_filters_the_whole_table(rng: Any, ordered: bool, names: list[str]) -> None:
    table = example(rng, ordered).select(names)
    odb, made = stored(table)
    assert same(scanned(odb, made), table)
    for _ in range(8):
        given_ = filters(rng, table)
        try:
            wanted = table.filter(given_)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue  # Arrow cannot compute this one
        columns = rng.choice([None, [], names[:1]])
        if columns == []:
            assert sum(b.num_rows for b in tables.scan(odb, made, columns=[], filter=given_)) == wanted.num_rows, given_
        else:
            assert same(
                scanned(odb, made, filter=given_, columns=columns), wanted.select(columns or table.column_names)
            ), given_


# ------------------------------------------------------------------------------------------------------------ pruning


@cache
def ordered() -> tuple[pa.Table, Odb, Table]:
    table = ordered_table()
    return table, *stored(table)


def ordered_table() -> pa.Table:
    n = np.arange(2000)
    moments = pa.array(n * 3_600_000_000, pa.timestamp("us", "America/New_York"))
    return pa.table(
        {
            "n": n,
            "f": n / 4,
            "s": [f"{i:05d} and a long tail beyond thirty-two bytes {i % 7}" for i in n],
            "z": moments,
            "d": pa.array(n.astype(np.int32)).view(pa.date32()),
            "m": pa.array([Decimal(int(i)) / 4 for i in n], pa.decimal128(20, 3)),
            "o": pa.array([None if i < 1000 else i for i in n], pa.int32()),
            "x": [float("nan") if i % 500 == 0 else float(i) for i in n],
            "h": pa.array(n.astype(np.float16)),
        }
    )


@pytest.mark.spec("IDX-6")
@pytest.mark.spec("IDX-9")
@pytest.mark.parametrize(
    ("filter_", "share"),
    [
        (("n", "==", 1234), 0.02),
        (("n", ">", 1900), 0.1),
        (("n", "<", 0), 0),
        ([("n", ">=", 100), ("n", "<", 200)], 0.1),
        ([[("n", "<", 50)], [("n", ">", 1950)]], 0.1),
        (("n", "in", [3, 1999]), 0.02),
        (~(pc.field("n") < 1990), 0.02),
        (pc.field("n") > pc.scalar(1990.5), 1),  # Arrow casts the column, and then knows nothing of it
        (("f", ">", 495.0), 0.03),
        (("s", "<=", "00019"), 0.03),
        (("s", "==", "01234 and a long tail beyond thirty-two bytes 2"), 0.02),
        (pc.field("z") < pa.scalar(dt.datetime(1970, 1, 2, tzinfo=dt.UTC), pa.timestamp("us", "UTC")), 0.03),
        (("d", ">", dt.date(1975, 6, 1)), 0.03),
        (("m", "<", Decimal("5.25")), 0.03),
        (pc.field("o").is_null(), 0.52),
        (pc.field("o").is_valid(), 0.52),
        (("o", ">", 1990), 0.02),
        (("o", ">", 0), 0.52),  # of the first half is known that it is null
        (("x", ">", 1990.0), 0.5),  # fragments with a NaN are read
        (pc.field("h").is_null(), 1),
    ],
)
def test_fragments_that_cannot_match_are_not_read(filter_: Any, share: float, opened: list[FragmentEntry]) -> None:
    table, odb, made = ordered()
    count = tables.count_fragments(odb, made)
    assert count > 100
    given_ = scanning.expression(filter_)
    assert same(scanned(odb, made, filter=filter_), table.filter(given_))
    assert len(opened) <= share * count + 1


def test_only_needed_columns_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    _, odb, made = ordered()
    asked: list[list[int]] = []
    read = fragment.Reader.read
    monkeypatch.setattr(
        fragment.Reader, "read", lambda self, c=None, verify=True: asked.append(c) or read(self, c, verify)
    )
    monkeypatch.setattr(
        tables,
        "_selected",
        lambda odb, table, schema, given, needed: tables.table_leaves(odb, table).__next__().entries,
    )
    list(tables.scan(odb, made, columns=["s"], filter=("n", "<", 10)))
    assert [c for c in asked if c and 0 not in c] == [[2]] * len([c for c in asked if c == [2]])
    assert all(c in ([0], [2], []) for c in asked)
    assert asked.count([0]) > 50 > asked.count([2]) >= 1


def test_names_in_filters() -> None:
    n = list(range(300))
    names = ["a.b", "a", 'q"uote', "名前", "", "back\\slash", "FieldRef", "b"]
    columns: dict[str, Any] = {name: [x + i for x in n] for i, name in enumerate(names)}
    columns["st"] = [{"a": x, "b": {"c": x}} for x in n]
    table = pa.table(columns)
    odb, made = stored(table)
    for i, name in enumerate(names):
        assert scanning.columns_of(pc.field(name) > 3, tables.schema_of(made)) == [name]
        assert same(scanned(odb, made, columns=["b"], filter=(name, "<", i + 5)), table.select(["b"]).slice(0, 5))
    for nested in (pc.field("st", "a") < 5, pc.field(("st", "b", "c")) < 5, pc.field(0) < 5, pc.field(7) < 12):
        assert same(scanned(odb, made, columns=["b"], filter=nested), table.select(["b"]).slice(0, 5))
    for constant, rows in ((pc.scalar(True), 300), (pc.scalar(False), 0), (pc.scalar(None).cast(pa.bool_()), 0)):
        assert scanned(odb, made, filter=constant).num_rows == rows
    assert same(scanned(odb, made, columns=["b", "b"]), table.select(["b", "b"]))


@pytest.mark.parametrize(
    "bad",
    [
        ("nope", ">", 1),
        ("n", "~", 1),
        "n > 1",
        [("n",)],
        5,
        pc.field("n"),
        pc.field("n") + 1,
        ("n", ">", "x"),
        pc.field(99) > 1,
    ],
)
def test_filters_that_do_not_fit(bad: Any) -> None:
    odb, made = stored(pa.table({"n": [1, 2]}))
    with pytest.raises(Usage, match="the filter"):
        list(tables.scan(odb, made, filter=bad))
    with pytest.raises(Usage, match="no column 'm'"):
        list(tables.scan(odb, made, columns=["m"]))


def test_rows_of_fixed_lists_of_fixed_lists() -> None:
    """Arrow takes wrong rows of these; see normal.rebased."""
    grid = pa.FixedSizeListArray.from_arrays(
        pa.FixedSizeListArray.from_arrays(pa.array(range(200_000), pa.int32()), 2), 2
    )
    table = pa.table({"n": range(50_000), "g": grid})
    schema = tables.Schema.from_arrow(table.schema)
    made = fragment.make(table.combine_chunks().to_batches(), schema)
    reader = fragment.Reader(pa.BufferReader(fragment.encode(made, schema)), made.entry, schema)
    given_ = pc.field("n") % 7 == 3 if False else (pc.bit_wise_and(pc.field("n"), 7) == 3)
    batch = scanning.read_rows(reader, schema, ["g", "n"], given_, ["n"])
    assert batch.column(1).to_pylist() == [n for n in range(50_000) if n & 7 == 3]
    assert batch.column(0).to_pylist() == [
        [[4 * n, 4 * n + 1], [4 * n + 2, 4 * n + 3]] for n in range(50_000) if n & 7 == 3
    ]


@given(s.tables(least=1, most=60), s.randoms())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_comes_back(table: s.Plain, rng: Any) -> None:
    arrow, batches = forms.batches(rng, table)
    odb = Odb(MemoryBackend())
    _, made = tables.write_table(odb, batches, arrow)
    rows = scanned(odb, made)
    assert rows.schema.equals(pa.schema([forms.returned(n, t) for n, t in table.schema]), check_metadata=True)
    for column, values, (_, t) in zip(rows.columns, table.canonical(), table.schema, strict=True):
        assert [s.canonical(v, t) for v in forms.plain(column, t)] == values
