"""Nodes: what one does with a package in Python."""

from __future__ import annotations

import copy
import html
import keyword
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dpkg
from dpkg.data import Blob, Table, Tree
from dpkg.data._node import alias
from dpkg.errors import Corrupt, NotFound, Usage

# load


def test_several_revisions_at_once(sales: Any) -> None:
    old, new = dpkg.load("acme/sales@v1"), dpkg.load("acme/sales")
    assert (len(old.transactions()), len(new.transactions())) == (3, 4)
    assert len(dpkg.load("acme/sales@latest~1/transactions")()) == 3
    assert dpkg.load("acme/sales@v1/README.md") == new.README  # equal bytes, equal nodes
    assert old != new
    assert len({old, new, dpkg.load("acme/sales@v1")}) == 2


def test_the_commit_is_fixed_when_a_node_is_opened(sales: Any) -> None:
    opened = {r: dpkg.load(f"acme/sales@{r}") for r in ("latest", "main", "latest~0", "v1")}
    tip = sales.repository.tip("acme/sales")
    sales.commit("acme/sales", {"transactions": {"id": [1]}})
    assert [len(opened[r].transactions()) for r in opened] == [4, 4, 4, 3]
    assert [opened[r].expr for r in opened] == [f"acme/sales@{tip[:12]}"] * 3 + ["acme/sales@v1"]
    assert dpkg.load(opened["latest"].expr) == opened["latest"]
    assert len(dpkg.load("acme/sales").transactions) == 1


def test_kinds(sales: Any) -> None:
    kinds = {"": Tree, "/docs": Tree, "/transactions": Table, "/README.md": Blob, "/docs/guide.txt": Blob}
    for path, kind in kinds.items():
        node = dpkg.load(f"acme/sales@v1{path}")
        assert type(node) is kind
        assert node.expr == f"acme/sales@v1{path}"
        assert len(node.oid) == 64


@pytest.mark.parametrize(
    ("expr", "error"),
    [
        ("acme/none", NotFound),
        ("acme/sales@v9", NotFound),
        ("acme/sales/none", NotFound),
        ("acme/sales@v1..latest", Usage),
        ("acme", Usage),
        ("./acme", Usage),
    ],
)
def test_what_cannot_be_loaded(sales: Any, expr: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        dpkg.load(expr)


# Children


def test_children_by_name_and_attribute(sales: Any) -> None:
    tree = dpkg.load("acme/sales")
    assert list(tree) == tree.keys() == ["README.md", "docs", "odd name.csv", "transactions"]
    assert len(tree) == 4
    assert "docs" in tree
    assert "none" not in tree
    assert tree["odd name.csv"].read() == b"not,a\ntable,\n"
    assert tree.odd_name == tree.odd_name_csv == tree["odd name.csv"]
    assert tree.README() == tree.README_md() == tree["README.md"]() == b"# Sales\n"
    assert tree["docs/guide.txt"] == tree.docs.guide == tree.docs["guide.txt"]
    assert set(dir(tree)) >= {"README", "README_md", "docs", "odd_name", "transactions", "keys", "oid"}
    assert tree._ipython_key_completions_() == tree.keys()
    assert dict(tree) == {name: tree[name] for name in tree}


def test_children_that_are_not_there(sales: Any) -> None:
    tree = dpkg.load("acme/sales@v1")
    with pytest.raises(AttributeError, match="acme/sales@v1 has no 'transaction'; did you mean 'transactions'"):
        tree.transaction()
    with pytest.raises(AttributeError, match=r"there is: .*README"):
        tree.xyzzy()
    with pytest.raises(KeyError, match="there is no 'none'"):
        tree["none"]
    with pytest.raises(KeyError):
        tree["docs/none"]
    assert not hasattr(tree, "__array__")


def test_a_child_never_hides_a_method(store: Any) -> None:
    names = [
        "keys",
        "oid",
        "_path",
        "_aliases",
        "expr.txt",
        "metadata",
        "_repr_html_",
        "class",
        "if.csv",
        "2024",
        "__doc__",
        "__x",
    ]
    store.commit("acme/c", {name: name.encode() for name in names})
    tree = dpkg.load("acme/c")
    assert callable(tree.keys)
    assert tree.expr.startswith("acme/c@")
    assert tree.keys_() == b"keys"
    assert tree.oid_() == b"oid"
    assert tree.expr_() == tree.expr_txt() == b"expr.txt"
    assert tree.metadata_() == b"metadata"
    assert tree._path_() == b"_path"
    assert tree.class_() == b"class"
    assert tree.if_() == tree.if_csv() == b"if.csv"
    assert tree._2024() == b"2024"
    assert tree["__x"]() == b"__x"
    assert "<pre>" in tree._repr_html_() or "<table>" in tree._repr_html_()


def test_names_that_would_mean_two(store: Any) -> None:
    store.commit(
        "acme/c",
        {"a.txt": b"1", "a.md": b"2", "b": b"3", "b.txt": b"4", "c d": b"5", "c-d": b"6", "keys": b"7", "keys_": b"8"},
    )
    tree = dpkg.load("acme/c")
    assert (tree.a_txt(), tree.a_md(), tree.b(), tree.b_txt(), tree.keys_()) == (b"1", b"2", b"3", b"4", b"8")
    for name in ("a", "c_d"):
        with pytest.raises(AttributeError):
            getattr(tree, name)
    assert (tree["c d"](), tree["c-d"](), tree["keys"]()) == (b"5", b"6", b"7")


def test_only_a_blob_has_its_stem(store: Any) -> None:
    store.commit("acme/c", {"table.v1": {"id": [1]}, "folder.d": {"x": b""}, ".hidden.txt": b"h"})
    tree = dpkg.load("acme/c")
    assert len(tree.table_v1) == 1
    assert not hasattr(tree, "table")
    assert not hasattr(tree, "folder")
    assert tree._hidden_txt() == b"h"


@given(st.text(min_size=1, max_size=8))
def test_an_alias_can_be_written(name: str) -> None:
    made = alias(name)
    assert made.isidentifier()
    assert not keyword.iskeyword(made)
    assert alias(made) == made


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=4),
        st.binary(max_size=2),
        min_size=1,
        max_size=6,
    )
)
def test_attributes_never_lie(make_store: Any, contents: dict[str, bytes]) -> None:
    """Each alias is what one child could be called; what is listed can be used; every child can be had by its name."""
    contents = {n: v for n, v in contents.items() if n not in (".", "..")}
    if not contents:
        return
    made = make_store("memory://aliases")
    commit = made.commit("acme/c", contents)
    tree = dpkg.load(f"acme/c@{commit}", store=made.url)
    for text, name in tree._aliases().items():
        assert getattr(tree, text)() == contents[name]
        assert text.rstrip("_") in {x.rstrip("_") for x in (name, alias(name), alias(name.split(".")[0]))}
        assert not hasattr(Tree, text)
    assert {name: tree[name].read() for name in tree} == contents
    assert repr(tree)


# How they show themselves


def test_a_tree_lists_itself(store: Any) -> None:
    store.commit(
        "acme/sales", {"t": {"id": [1, 2]}, "README.md": b"x" * 2000, "d": {"a": b"", "b": b""}, "a b": b"", "a-b": b""}
    )
    store.repository.refs.create_tag("acme/sales", "v1", store.repository.tip("acme/sales"), who="Ada")
    tree = dpkg.load("acme/sales@v1")
    size = dpkg.load("acme/sales/t").nbytes
    assert repr(tree).splitlines() == [
        f"<acme/sales@v1  5 entries, {(2000 + size) / 1000:.1f} kB>",
        "  blob   README.md     2.0 kB  .README()",
        "  blob   a b              0 B  ['a b']()",
        "  blob   a-b              0 B  ['a-b']()",
        "  tree   d          2 entries  .d",
        "  table  t             2 rows  .t()",
    ]
    page = tree._repr_html_()
    assert "<b>acme/sales@v1</b><table>" in page
    assert "<td style='text-align:left'>.t()</td>" in page
    assert html.escape("['a b']()") in page


def test_long_listings_are_cut(store: Any) -> None:
    store.commit("acme/long", {**{f"{i:03}": b"" for i in range(99)}, "wide": {f"c{i:03}": [1] for i in range(99)}})
    tree = dpkg.load("acme/long")
    assert repr(tree).endswith("\n  … and 70 more")
    assert "… and 70 more" in tree._repr_html_()
    assert "… and 69 more" in repr(tree.wide)
    assert "… and 69 more" in tree.wide._repr_html_()


def test_a_table_and_a_blob_show_themselves(store: Any) -> None:
    store.commit("acme/s", {"t": ({"id": [1, 2], "<b>": ["x", "y"]}, {"key": ["id"]}), "f": b"x" * 1500})
    tree = dpkg.load("acme/s")
    lines = repr(tree.t).splitlines()
    assert lines[0].endswith(f"/t  2 rows × 2 columns, {tree.t.nbytes} B>")
    assert lines[1:] == [
        "  id   int64  key",
        "  <b>  utf8",
        "  call it for a DataFrame; .arrow(), .scan(columns=, filter=), .head()",
    ]
    assert "&lt;b&gt;" in tree.t._repr_html_()
    assert "<b></td>" not in tree.t._repr_html_()
    assert repr(tree.f) == f"<{tree.f.expr}  1.5 kB>  .read(), .text(), .open(), .save(path)"
    assert "1.5 kB" in tree.f._repr_html_()


# Blobs, metadata


def test_blobs(sales: Any, tmp_path: Path) -> None:
    blob = dpkg.load("acme/sales/README.md")
    assert blob() == blob.read() == b"".join(blob.chunks()) == b"# Sales\n"
    assert blob.text() == "# Sales\n"
    assert (len(blob), blob.nbytes) == (8, 8)
    for target in (tmp_path / "out.md", str(tmp_path / "out.md")):
        blob.save(target)
        assert Path(target).read_bytes() == b"# Sales\n"
    assert [p.name for p in tmp_path.glob("out*")] == ["out.md"]


def test_a_damaged_blob_is_not_saved(sales: Any, tmp_path: Path) -> None:
    blob = dpkg.load("acme/sales/README.md")
    path = Path(sales.url, "objects", blob.oid[:2], blob.oid[2:])
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1] + b"?")
    (tmp_path / "out").write_text("before")
    for use in (blob, blob.read, lambda: blob.save(tmp_path / "out")):
        with pytest.raises(Corrupt):
            use()
    assert [p.name for p in tmp_path.glob("out*")] == ["out"]
    assert (tmp_path / "out").read_text() == "before"


def test_metadata(store: Any) -> None:
    store.commit("acme/m", {"x": (b"x", {"unit": "€", "list": [1, 2.5, None]}), "y": b"y"})
    tree = dpkg.load("acme/m")
    assert tree.x.metadata == {"unit": "€", "list": [1, 2.5, None]}
    assert tree.y.metadata is None
    assert tree.metadata is None


# Tables


def test_table_forms(sales: Any) -> None:
    table = dpkg.load("acme/sales/transactions")
    frame, arrow = table(), table.arrow()
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(arrow, pa.Table)
    assert arrow.to_pydict() == {"id": [1, 2, 3, 4], "item": ["pen", "cup", None, "jar"]}
    assert arrow.schema == table.schema == next(table.scan()).schema
    pd.testing.assert_frame_equal(frame, arrow.to_pandas())
    assert (table.columns, table.shape, len(table)) == (["id", "item"], (4, 2), 4)
    pd.testing.assert_frame_equal(table.head(2), frame.head(2))
    assert len(table.head()) == len(table.head(10**30)) == 4
    assert list(table.head(0).columns) == ["id", "item"]
    with pytest.raises(Usage):
        table.head(-1)


def test_columns_and_filter(sales: Any) -> None:
    import pyarrow.compute as pc

    table = dpkg.load("acme/sales/transactions")
    assert list(table(columns=["item"]).columns) == ["item"]
    assert list(table(columns=["item", "id"]).columns) == ["item", "id"]
    for condition in (("id", ">", 2), [("id", ">", 2)], pc.field("id") > 2):
        assert table.arrow(["item"], condition).to_pydict() == {"item": [None, "jar"]}
    assert list(table(filter=("item", "==", "cup"))["id"]) == [2]
    assert table.arrow(filter=("id", ">", 99)).num_rows == 0
    assert table.arrow(["id"], ("id", ">", 99)).schema.names == ["id"]


def test_columns_and_filters_that_do_not_fit(sales: Any) -> None:
    table = dpkg.load("acme/sales/transactions")
    for use in (table, table.arrow, table.scan):  # scan: at the call
        with pytest.raises(Usage, match="there is no column 'ids'") as caught:
            use(["ids"])
        assert caught.value.hint == "did you mean 'id'?"
    for condition in (("none", ">", 2), "id > 2", ("id", "~", 2), ("id", ">", "text"), 5):
        with pytest.raises(Usage, match="filter"):
            table(filter=condition)


# Copies, pickles, other processes


def test_pickles(sales: Any) -> None:
    for expr in (
        "acme/sales",
        "acme/sales@v1",
        "acme/sales/docs",
        "acme/sales@v1/transactions",
        "acme/sales/README.md",
    ):
        node = dpkg.load(expr)
        for made in (pickle.loads(pickle.dumps(node)), copy.copy(node), copy.deepcopy(node)):
            assert made == node
            assert made.expr == node.expr
            assert repr(made) == repr(node)
    frame = pickle.loads(pickle.dumps(dpkg.load("acme/sales/transactions")))()
    assert len(frame) == 4


def test_a_pickle_keeps_its_commit(sales: Any) -> None:
    data = pickle.dumps(dpkg.load("acme/sales"))
    sales.commit("acme/sales", {"transactions": {"id": [1]}})
    assert len(pickle.loads(data).transactions()) == 4
    dpkg.rm("acme/sales")
    with pytest.raises(NotFound, match="acme/sales"):
        pickle.loads(data)


def test_in_other_processes(sales: Any) -> None:
    """As a pool of workers would use them."""
    data = pickle.dumps(dpkg.load("acme/sales/transactions")).hex()
    code = f"import pickle; print(len(pickle.loads(bytes.fromhex('{data}'))()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "4\n"
