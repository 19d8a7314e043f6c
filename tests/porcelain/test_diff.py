"""diff: what changed between two revisions."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dpkg
from dpkg.errors import NotFound, Usage
from dpkg.names import Expr
from dpkg.objects.schemadiff import _moved


def changes(old: Any, new: Any, store: Any) -> dict[str, Any]:
    """The changes between two contents, by path."""
    store.commit("acme/d", old, "old")
    store.commit("acme/d", new, "new")
    return {c.path: c for c in dpkg.diff("acme/d").changes}


def test_names(store: Any) -> None:
    old = {"same": b"same", "gone": b"gone", "changed": b"1", "old name": b"moved", "folder": {"a": b"a", "b": b"b"}}
    new = {"same": b"same", "came": b"came", "changed": b"22", "new name": b"moved", "folder": {"a": b"a", "c": b"c"}}
    found = changes(old, new, store)
    assert {p: c.what for p, c in found.items()} == {
        "came": "added",
        "changed": "changed",
        "folder/b": "removed",
        "folder/c": "added",
        "gone": "removed",
        "new name": "renamed",
    }
    assert found["new name"].old_path == "old name"
    assert (found["changed"].old_bytes, found["changed"].new_bytes) == (1, 2)
    assert (found["gone"].new_oid, found["came"].old_oid) == (None, None)


def test_renames(store: Any) -> None:
    """A moved folder is a rename of each file; of files with equal bytes, those of the same name are paired."""
    old = {"a": {"x": b"1", "y": b"1", "z": b"1"}, "copy": b"2"}
    new = {"b": {"z": b"1", "y": b"1", "x": b"1"}, "copy": b"2", "copy2": b"2"}
    found = changes(old, new, store)
    assert {p: (c.what, c.old_path) for p, c in found.items()} == {
        "b/x": ("renamed", "a/x"),
        "b/y": ("renamed", "a/y"),
        "b/z": ("renamed", "a/z"),
        "copy2": ("added", None),
    }


def test_many_renames_of_one_content(store: Any) -> None:
    old = {f"a{i}": b"" for i in range(2000)}
    assert {c.what for c in changes(old, {f"b{i}": b"" for i in range(2000)}, store).values()} == {"renamed"}


def test_a_rename_with_other_metadata(store: Any) -> None:
    found = changes(
        {"a": (b"x", {"n": 1}), "k": (b"k", {"n": 1})}, {"b": (b"x", {"n": 2}), "k": (b"k", {"n": 2})}, store
    )
    assert {p: (c.what, c.metadata) for p, c in found.items()} == {"b": ("renamed", True), "k": ("changed", True)}


def test_kinds(store: Any) -> None:
    table = {"id": [1]}
    found = changes({"x": b"1", "y": {"f": b"1"}, "z": table}, {"x": table, "y": b"2", "z": {"f": b"3"}}, store)
    assert {p: (c.what, c.old_type, c.type) for p, c in found.items()} == {
        "x": ("changed", "blob", "table"),
        "y": ("added", None, "blob"),
        "y/f": ("removed", "blob", "blob"),
        "z": ("removed", "table", "table"),
        "z/f": ("added", None, "blob"),
    }


def test_schemas(store: Any) -> None:
    import pyarrow as pa

    old = {"a": [1], "b": ["x"], "c": [1.5], "d": [True]}
    new = {"d": [True], "a": ["1"], "c": [1.5], "e": pa.array([0], pa.timestamp("ms"))}
    found = changes({"t": (pa.table(old), {"key": ["a"]})}, {"t": pa.table(new)}, store)
    assert [(s.what, s.column, s.old, s.new) for s in found["t"].table.schema] == [
        ("retyped", "a", "int64", "utf8"),
        ("removed", "b", "utf8", ""),
        ("added", "e", "", "timestamp[ms]"),
        ("moved", "d", "3", "1"),
        ("key", "", "a", ""),
    ]


def test_rows_and_fragments(store: Any) -> None:
    import pyarrow as pa

    rng = random.Random(1)
    text = [rng.randbytes(10_000).hex() for _ in range(1000)]
    ids = list(range(1000))
    old = pa.table({"id": ids, "text": text})
    new = pa.table({"id": [*ids[:500], 5000, *ids[500:]], "text": [*text[:500], "new", *text[500:]]})
    change = changes({"t": old}, {"t": new}, store)["t"]
    assert (change.old_rows, change.new_rows) == (1000, 1001)
    table = change.table
    assert 0 < table.fragments_added < 6
    assert table.fragments_kept > 5 * table.fragments_added / 2
    assert table.rows_added - table.rows_removed == 1
    assert 0 < table.bytes_added < change.new_bytes
    assert change.new_bytes - change.old_bytes == table.bytes_added - table.bytes_removed
    same = dpkg.diff("acme/d@latest", "acme/d@latest")
    assert same.changes == ()


def test_text(dpk: Callable[..., Any], store: Any) -> None:
    old = {"gone": {"id": [1, 2]}, "t": {"id": [1]}, "f": b"1", "o": b"moved", "m": (b"m", {"n": 1})}
    new = {"came": b"new", "t": {"id": [1, 2], "x": ["a", "b"]}, "f": b"22", "p": b"moved", "m": (b"m", {"n": 2})}
    first, second = (store.commit("acme/d", contents) for contents in (old, new))
    lines = dpk("diff", "acme/d").out.splitlines()
    assert lines[:3] == [f"from  acme/d@latest~1  {first[:12]}", f"to    acme/d@latest    {second[:12]}", ""]
    assert lines[3:-3] == [
        "+ blob   came  3 B",
        "~ blob   f  1 B → 2 B",
        "    @@ -1 +1 @@",
        "    -1",
        "    \\ No newline at end of file",
        "    +22",
        "    \\ No newline at end of file",
        "- table  gone  2 rows, 18 B",
        "~ blob   m  metadata changed",
        "    ~ metadata n  1 → 2",
        "> blob   o  → p",
        "~ table  t  1 → 2 rows (+1)",
        "    + column x  utf8",
        *[line for line in lines if line.startswith("    1 of 1 fragment new")],
        "    rows: 1 added",
        "         row  id  x",
        "      +    2   2  b",
        "    drift: moderate in 2 columns",
        "      moderate: rows 1 → 2 (rows moderate from 2)",
    ]
    totals = "1 added, 1 removed, 3 changed, 1 renamed"
    assert lines[-3:] == ["", totals, "major drift in gone: the table is gone"]
    dpk("diff", "acme/d", "--html", "page.html")
    assert "<h3>Metadata</h3>" in Path("page.html").read_text()


def test_equal(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("acme/d", {"x": b""}, "one")
    store.commit("acme/d", {"x": b""}, "two")
    assert "no difference" in dpk("diff", "acme/d").out
    assert dpk("diff", "acme/d", "--json").json["changes"] == []


def test_what_can_be_compared(dpk: Callable[..., Any], sales: Any) -> None:
    sales.commit("acme/sales", {"x": b""}, "third")
    sales.commit("acme/copy", {"x": b""}, "copy")
    old, new = "acme/sales@v1", "acme/sales@latest~1"

    def sides(*args: str) -> tuple[str, ...]:
        said = dpk("diff", *args, "--json").json
        return tuple(str(Expr(*(said[side][m] for m in ("package", "revision", "path")))) for side in ("old", "new"))

    assert sides("acme/sales") == ("acme/sales@latest~1", "acme/sales@latest")
    assert sides("acme/sales@latest~1") == ("acme/sales@latest~1~1", "acme/sales@latest~1")
    assert sides("acme/sales@v1..latest~1") == sides(old, new) == (old, new)
    assert sides("acme/sales@latest..v1") == ("acme/sales@latest", "acme/sales@v1")
    assert sides("acme/sales/docs") == ("acme/sales@latest~1/docs", "acme/sales@latest/docs")
    assert sides("acme/sales@v1..latest/docs") == ("acme/sales@v1/docs", "acme/sales@latest/docs")
    assert sides("acme/sales", "acme/copy") == ("acme/sales@latest", "acme/copy@latest")
    assert dpk("diff", "acme/sales", "acme/copy", "--json").json["changes"] == []


def test_what_cannot(dpk: Callable[..., Any], sales: Any) -> None:
    only = dpk("diff", "acme/sales@v1", code=3)
    assert "first commit" in only.err
    assert "dpk show acme/sales@v1" in only.err
    for args, code in (
        (["acme/sales@v1..latest", "acme/sales"], 3),  # a path that is not there
        (["acme/sales", "acme/sales@v1..latest"], 2),
        (["acme/sales/none"], 3),
        (["acme/sales@v1..latest/docs", "README.md"], 2),
        (["./src"], 2),
        (["acme/sales", "./none"], 3),
        (["acme/sales", "--rows", "-1"], 2),
        (["acme/sales", "--stat", "--name-only"], 2),
        (["acme/sales", "-o", "x.csv"], 2),
        (["acme/sales@v1..latest", "README.md", "--format", "csv"], 2),
        (["acme/sales", "acme/sales/docs"], 2),
        (["acme/sales@v1..v9"], 3),
        (["acme/none"], 3),
        (["acme/sales@v1.."], 2),
    ):
        assert dpk("diff", *args, code=code).out == ""
    with pytest.raises(NotFound):
        dpkg.diff("acme/sales@v1")
    with pytest.raises(Usage):
        dpkg.diff("acme/sales", "acme/sales/docs")


@given(st.permutations(range(7)))
def test_the_fewest_columns_are_said_to_move(order: list[int]) -> None:
    moved = _moved(order)
    rest = [x for i, x in enumerate(order) if i not in moved]
    assert rest == sorted(rest)
    best = max(
        bin(s).count("1")
        for s in range(1 << 7)
        if (kept := [x for i, x in enumerate(order) if s >> i & 1]) == sorted(kept)
    )
    assert len(rest) == best


NAMES = st.sampled_from(["a", "b", "c", "d"])
TREES = st.recursive(
    st.binary(max_size=1),
    lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=3),
    max_leaves=8,
).filter(lambda t: isinstance(t, dict))


def leaves(contents: Any, prefix: str = "") -> dict[str, bytes]:
    out = {}
    for name, value in contents.items():
        out |= leaves(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: value}
    return out


@given(old=TREES, new=TREES)
def test_a_diff_applied_to_the_old_gives_the_new(make_store: Any, old: Any, new: Any) -> None:
    from dpkg.comparing import diff_trees

    store = make_store("memory://diff")
    odb = store.repository.odb
    patched = leaves(old)
    found = diff_trees(odb, store.tree(old), odb, store.tree(new))
    for c in found:
        if c.what in ("removed", "renamed"):
            del patched[c.old_path or c.path]
    for c in found:
        if c.new_oid:
            patched[c.path] = odb.read(c.new_oid, "blob")
    assert patched == leaves(new)
    assert {c.path for c in found if c.what == "changed"} == {
        p for p, v in leaves(new).items() if leaves(old).get(p, v) != v
    }
