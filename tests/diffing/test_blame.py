"""blame against a brute-force reference; how much it reads; keys that do not fit."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest.mock import patch as replaced

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg import tables
from dpkg.arrow.schema import Schema
from dpkg.diffing.blame import Blame, wanted
from dpkg.errors import Usage
from dpkg.repository import Repository

PKG = "acme/t"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Made:
    """A version in the model: where the table is (None: nowhere), its types, its rows."""

    path: str | None
    types: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def columns(self) -> list[str]:
        return [n for n, _ in self.types]


def table(made: Made, keyed: bool) -> Any:
    arrow = {"int": pa.int64(), "text": pa.string()}
    columns = [pa.array([r[i] for r in made.rows], arrow[t]) for i, (_, t) in enumerate(made.types)]
    found = pa.table(columns, names=made.columns)
    return (found, {"key": ["k"]}) if keyed else found


def edited(rng: random.Random, before: Made, keyed: bool) -> Made:
    """A version after the one before."""
    path, types, rows = (
        before.path,
        dict(before.types),
        [dict(zip(before.columns, r, strict=True)) for r in before.rows],
    )
    for _ in range(rng.choice([1, 1, 2])):
        value = rng.choice(["1", "2", "x"] if types["v"] == "text" else [1, 2])
        match rng.randrange(8):
            case 0:
                types["v"] = "int" if types["v"] == "text" else "text"
                for r in rows:
                    v = r["v"]
                    r["v"] = str(v) if types["v"] == "text" else int(v) if v in ("1", "2") else rng.choice([1, None])
            case 1:
                if "e" in types:
                    del types["e"]
                else:
                    types["e"] = "int"
                rows = [{**{n: r.get(n) for n in types}} for r in rows]
                if "e" in types and rng.random() < 0.5:
                    rng.choice(rows)["e"] = 5
            case 2:
                path = rng.choice(["t", "u", None])
            case 3 if len(rows) > 1:
                del rows[rng.randrange(len(rows))]
            case 4 | 5:
                free = [k for k in (0, 1, 2, 3, 40) if not keyed or k not in [r["k"] for r in rows]]
                rows += [{**dict.fromkeys(types), "k": rng.choice(free), "v": value}] if free else []
            case _:
                rng.choice(rows)["v"] = value
    rows.sort(key=lambda r: r["k"])
    return Made(path, tuple(types.items()), tuple(tuple(r[n] for n in types) for r in rows))


LOST = object()


def as_now(row: dict[str, Any], was: dict[str, str], now: dict[str, str]) -> tuple[Any, ...]:
    """A row of a version before in the columns of the one after."""
    out: list[Any] = []
    for name, t in now.items():
        v = row.get(name)
        if name in was and was[name] != t and v is not None:
            v = str(v) if t == "text" else int(v) if v in ("1", "2") else LOST
        out.append(v)
    return tuple(out)


def expected(history: list[Made], key: int) -> Iterator[tuple[int, str, Any, tuple[str, ...]]]:
    """(commit, what, row, cells) by looking at all rows of all versions."""

    def rows(made: Made | None) -> Rows:
        found = dict.fromkeys(r for r in made.rows if r[0] == key) if made else {}
        assert made or not found
        return [dict(zip(made.columns, r, strict=True)) for r in found] if made else []

    now: Made | None = history[-1]
    assert now
    path = now.path
    for i in range(len(history) - 1, 0, -1):
        last = history[i - 1]
        before = last if last.path == path else None
        if before is None and now and last.path and (last.types, last.rows) == (now.types, now.rows):
            path, before = last.path, last
        if before and now:
            was, types = dict(before.types), dict(now.types)
            newer = {tuple(r.values()): r for r in rows(now)}
            older = [(as_now(r, was, types), r) for r in rows(before)]
            came = [r for v, r in newer.items() if v not in [o for o, _ in older]]
            gone = [(v, r) for v, r in older if v not in newer]
            if len(came) == len(gone) == 1:
                yield i, "changed", came[0], tuple(n for n, x in zip(types, gone[0][0], strict=True) if x != came[0][n])
                came, gone = [], []
        else:
            came, gone = rows(now), [((), r) for r in rows(before)]
        yield from ((i, "added", r, ()) for r in came)
        yield from ((i, "removed", r, ()) for _, r in gone)
        now = before
    yield from ((0, "added", r, ()) for r in rows(now))


@pytest.mark.parametrize("keyed", [True, False])
@given(rng=st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_against_all_rows_of_all_versions(make_store: Any, keyed: bool, rng: random.Random) -> None:
    history = [Made("t", (("k", "int"), ("v", "int")), tuple((k, 1) for k in range(3)))]
    while len(history) < 8 or history[-1].path is None:
        history.append(edited(rng, history[-1], keyed))
    with tempfile.TemporaryDirectory() as folder, replaced("dpkg.arrow.boundaries.TARGET_BYTES", 40):
        store = make_store(f"{folder}/store")
        commits = []
        for n, made in enumerate(history):
            entry = {made.path: table(made, keyed)} if made.path else {}
            commits.append(store.commit(PKG, {"n": b"%d" % n, **entry}))
        repository, path = Repository(store.url), history[-1].path
        assert path
        for key in (0, 1, 2, 3, 40):
            blame = Blame(repository, commits[-1], path, [f"k={key}"])
            found = [
                (commits.index(e.commit), e.what, (e.new or e.old).json(), tuple(n for n, _ in e.cells))
                for e in blame.history()
            ]  # type: ignore[union-attr]
            wanted = list(expected(history, key))
            assert counted(found) == counted(wanted)
            last = [(commits.index(e.commit), e.what) for e in blame.last()]
            there = {tuple(r) for r in history[-1].rows if r[0] == key}
            assert len(last) == len(there)
            if keyed:
                assert last == [(i, what) for i, what, *_ in wanted[:1] if there]


def counted(events: list[Any]) -> Counter[str]:
    return Counter(map(repr, events))


@pytest.fixture
def long(store: Any) -> Any:
    """A table of many fragments; in each commit two rows far apart change."""
    rows = {
        "day": [f"d{i // 50:03}" for i in range(3000)],
        "shop": [f"s{i % 50:02}" for i in range(3000)],
        "n": [0] * 3000,
    }
    with replaced("dpkg.arrow.boundaries.TARGET_BYTES", 400):
        for n in range(8):
            rows["n"] = [*rows["n"]]
            rows["n"][2900] = n // 4
            rows["n"][100 * n] += 1
            store.commit(PKG, {"t": (pa.table(rows), {"key": ["day", "shop"]})}, f"c{n}")
    return store


def test_little_is_read(long: Any) -> None:
    """Where the table changed elsewhere nothing, else the fragments that may have the row; and of those that stay none."""
    repository = long.repository
    tip = repository.tip(PKG)
    total = tables.count_fragments(
        repository.odb, tables.read_table_object(repository.odb, repository.table_id(f"{PKG}/t"))
    )
    assert total > 40
    real, opened = tables.open_fragment, list[Any]()

    def counting(*args: Any) -> Any:
        opened.append(args[1].oid)
        return real(*args)

    with replaced("dpkg.tables.open_fragment", counting):
        (event,) = Blame(repository, tip, "t", ["day=d058", "shop=s00"]).last()
        assert (event.what, event.made.message) == ("changed", "c4")
        assert len(opened) <= 3 * 2
        opened.clear()
        events = [(e.what, e.made.message) for e in Blame(repository, tip, "t", ["day=d058", "shop=s00"]).history()]
        assert events == [("changed", "c4"), ("added", "c0")]
        assert len(opened) <= 3 * 2
        opened.clear()
        assert not list(Blame(repository, tip, "t", ["day=d058", "shop=none"]).history())
        assert len(opened) <= 3


def test_fragments_that_are_there_more_than_once(store: Any) -> None:
    """The same rows again and again make the same fragments; one that goes leaves the others."""
    part = [(n, f"name {n}") for n in range(300)]
    with replaced("dpkg.arrow.boundaries.TARGET_BYTES", 400):
        for message, times in (("none", 0), ("one", 1), ("three", 3), ("two", 2), ("last", 2)):
            rows = part * times + [(-1, message)]
            commit = store.commit(
                PKG, {"t": pa.table([*map(list, zip(*rows, strict=True))], names=["id", "name"])}, message
            )
    blame = Blame(store.repository, commit, "t", ["id=150"])
    assert max(n for n, _ in blame.first.found.values()) > 1
    assert [(e.what, e.made.message) for e in blame.last()] == [("added", "one")]
    assert [(e.what, e.made.message) for e in blame.history()] == [("added", "one")]


def test_rows_that_differ_in_a_column_that_went(store: Any) -> None:
    for message, columns in (
        ("first", {"k": [0], "v": [1], "e": [7]}),
        ("two", {"k": [0, 0], "v": [1, 1], "e": [7, 5]}),
        ("gone", {"k": [0], "v": [1]}),
    ):
        commit = store.commit(PKG, {"t": columns}, message)
    blame = Blame(store.repository, commit, "t", ["k=0"])
    assert [(e.what, e.made.message) for e in blame.last()] == [("added", "first")]
    assert [(e.what, e.made.message) for e in blame.history()] == [("added", "two"), ("added", "first")]


@pytest.mark.parametrize(
    ("said", "wrong", "hint"),
    [
        ([], "no --key is given", "the key is id, shop"),
        (["id=1"], "column 'shop' of the key", "the key is id, shop"),
        (["id=1", "shop=x", "n=3"], "'n' is not of the table's key", "the key is id, shop"),
        (["id=1", "id=2", "shop=x"], "twice", "once"),
        (["id=one", "shop=x"], "'one' is not int64, as column 'id' is", ""),
        (["id=1", "shap=x"], "no column 'shap'", "did you mean 'shop'?"),
        (["1", "x"], "'1' does not say of which column", "--key id=1"),
        (["id=99999999999999999999", "shop=x"], "is not int64", ""),
    ],
)
def test_keys_that_do_not_fit(said: list[str], wrong: str, hint: str) -> None:
    schema = Schema.from_arrow(pa.schema({"id": pa.int64(), "shop": pa.string(), "n": pa.int64()}))
    key = ("id", "shop")
    with pytest.raises(Usage) as error:
        wanted(schema, key, said)
    assert wrong in error.value.message
    assert hint in error.value.hint


TYPES: list[tuple[Any, list[Any], str, int]] = [
    (pa.float64(), [1.5, float("nan"), 0.0, -0.0, None], "nan", 1),
    (pa.float64(), [1.5, float("nan"), 0.0, -0.0, None], "-0.0", 3),
    (pa.float64(), [1.5, float("nan"), 0.0, -0.0, None], "", 4),
    (pa.float16(), [1.5, 2.5, None], "2.5", 1),
    (pa.string(), ["a", "", None, "=", "ä" * 60], '""', 1),
    (pa.string(), ["a", "", None, "=", "ä" * 60], "", 2),
    (pa.string(), ["a", "", None, "=", "ä" * 60], "=", 3),
    (pa.string(), ["a", "", None, "=", "ä" * 60], "ä" * 60, 4),
    (pa.binary(), [b"a", b"\xff" * 40, b"b"], "b", 2),
    (pa.binary(2), [b"aa", b"bb"], "bb", 1),
    (pa.bool_(), [False, True, None], "true", 1),
    (pa.date32(), [0, 20_000, 20_001], "2024-10-04", 1),
    (pa.timestamp("us", "Europe/Zurich"), [0, 10**15], "2001-09-09T01:46:40Z", 1),
    (pa.timestamp("ns"), [0, 10**18], "2001-09-09T01:46:40", 1),
    (pa.time64("us"), [0, 3_600_000_000], "01:00:00", 1),
    (pa.duration("ms"), [0, 1500], "PT1.5S", 1),
    (pa.decimal128(5, 2), ["1.50", "2.00"], "1.5", 0),
    (pa.uint64(), [0, 2**64 - 1], str(2**64 - 1), 1),
]


@pytest.mark.parametrize(("t", "values", "text", "place"), TYPES)
def test_values_of_all_types(store: Any, t: Any, values: list[Any], text: str, place: int) -> None:
    made = [Decimal(v) for v in values] if pa.types.is_decimal(t) else values
    array = (
        pa.array(made, t) if t != pa.float16() else pa.array([None if v is None else np.float16(v) for v in made], t)
    )
    with replaced("dpkg.arrow.boundaries.TARGET_BYTES", 1):
        commit = store.commit(PKG, {"t": pa.table({"x": array, "n": list(range(len(array)))})})
    (event,) = Blame(store.repository, commit, "t", [f"x={text}"]).last()
    assert event.new
    assert event.new.json(["n"]) == {"n": place}
