"""`from dpkg.data.acme import sales`: packages as imports, as they are installed at that moment."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dpkg
from dpkg.data import Blob, Table, Tree


@pytest.fixture(autouse=True)
def _forget_imports() -> Iterator[None]:
    """As a new process would: nothing of dpkg.data's packages is imported."""
    yield
    import dpkg.data

    for name in [n for n in sys.modules if n.startswith("dpkg.data.") and not n.startswith("dpkg.data._")]:
        vars(dpkg.data).pop(name.split(".")[2], None)
        del sys.modules[name]


def statement(code: str) -> dict[str, Any]:
    """What a statement binds."""
    names: dict[str, Any] = {}
    exec(code, names)
    return names


# The forms of import


def test_from_owner_import_package(sales: Any) -> None:
    from dpkg.data.acme import sales as node

    assert isinstance(node, Tree)
    assert node.oid == sales.repository.commit(sales.repository.tip("acme/sales")).tree
    assert isinstance(node.transactions, Table)
    assert isinstance(node.docs, Tree)
    assert isinstance(node.docs.guide, Blob)
    assert list(node.transactions()["item"].fillna("")) == ["pen", "cup", "", "jar"]


def test_from_package_import_entry(sales: Any) -> None:
    from dpkg.data.acme.sales import README, docs, transactions

    assert isinstance(transactions(), pd.DataFrame)
    assert README() == b"# Sales\n"
    assert docs.guide.text() == "read me"


def test_import_package(sales: Any) -> None:
    names = statement("import dpkg.data.acme.sales")
    assert len(names["dpkg"].data.acme.sales.transactions) == 4
    named = statement("import dpkg.data.acme.sales as s")["s"]
    assert len(named.transactions) == 4
    module = importlib.import_module("dpkg.data.acme.sales")
    assert len(module.transactions()) == 4
    assert module["odd name.csv"].read().startswith(b"not")
    assert "transactions" in dir(module)
    assert repr(module) == repr(named)


def test_attributes_without_an_import_of_their_own(sales: Any) -> None:
    assert len(dpkg.data.acme.sales.transactions) == 4
    assert "acme" in dir(dpkg.data)
    assert dir(dpkg.data.acme) == ["sales"]
    assert repr(dpkg.data.acme) == "<packages of acme>\n  .sales"


def test_import_star_is_not_in_the_way(sales: Any) -> None:
    assert statement("from dpkg.data import *")["load"] is dpkg.load


# Names


def test_names_that_python_cannot_spell(store: Any) -> None:
    for package in ("my-org/the.data", "my-org/2024", "my-org/class", "0x/one", "load/this"):
        store.commit(package, {"x": b"x"}, package)
    from dpkg.data._0x import one
    from dpkg.data.load_ import this
    from dpkg.data.my_org import _2024, class_, the_data

    assert {n.expr.partition("@")[0] for n in (the_data, _2024, class_, one, this)} == {
        "my-org/the.data",
        "my-org/2024",
        "my-org/class",
        "0x/one",
        "load/this",
    }
    assert dpkg.data.load is dpkg.load


def test_names_that_mean_two_packages(store: Any) -> None:
    store.commit("acme/a-b", {"x": b""})
    store.commit("acme/a.b", {"x": b""})
    store.commit("a-c/one", {"x": b""})
    store.commit("a.c/two", {"x": b""})
    with pytest.raises(ImportError, match=r"acme/a-b or acme/a\.b: open one with dpkg\.load"):
        statement("from dpkg.data.acme import a_b")
    with pytest.raises(ImportError, match=r"dpkg\.load"):
        statement("from dpkg.data.acme.a_b import x")
    assert sorted(dir(dpkg.data.a_c)) == ["one", "two"]  # two owners, no package of one name


# Freshness


def test_a_fresh_import_sees_a_new_commit(sales: Any) -> None:
    for code in (
        "from dpkg.data.acme import sales",
        "import dpkg.data.acme.sales as sales",
        "from dpkg.data import acme; sales = acme.sales",
    ):
        before = statement(code)["sales"]
        rows = len(before.transactions)
        sales.commit("acme/sales", {"transactions": {"id": list(range(rows + 1))}})
        assert len(statement(code)["sales"].transactions) == rows + 1
        assert len(before.transactions) == len(before.transactions()) == rows  # what was opened stays


def test_a_fresh_import_of_an_entry_sees_a_new_commit(sales: Any) -> None:
    code = "from dpkg.data.acme.sales import transactions"
    assert len(statement(code)["transactions"]) == 4
    sales.commit("acme/sales", {"transactions": {"id": [1]}})
    assert len(statement(code)["transactions"]) == 1
    with pytest.raises(ImportError):
        statement("from dpkg.data.acme.sales import README")


def test_a_new_install_is_seen(
    dpk: Callable[..., Any], sales: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the import failed before, and of another owner."""
    dpk("push", "acme/sales", "./remote")
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "other"))
    with pytest.raises(ModuleNotFoundError):
        statement("from dpkg.data.acme import sales")
    dpkg.install("acme/sales", "./remote")
    assert len(statement("from dpkg.data.acme import sales")["sales"].transactions()) == 4
    assert len(dpkg.load("acme/sales").transactions()) == 4
    dpkg.rm("acme/sales")
    with pytest.raises(ModuleNotFoundError, match="no package"):
        statement("from dpkg.data.acme import sales")


def test_several_stores_in_one_process(
    sales: Any, make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_store(str(tmp_path / "other"))
    other.commit("acme/sales", {"transactions": {"id": [9]}})
    assert len(dpkg.load("acme/sales").transactions) == 4
    assert len(dpkg.load("acme/sales", store=other.url).transactions) == 1
    first = statement("from dpkg.data.acme import sales")["sales"]
    monkeypatch.setenv("DPK_STORE", other.url)
    second = statement("from dpkg.data.acme import sales")["sales"]
    assert (len(first.transactions()), len(second.transactions())) == (4, 1)


# What is not there


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from dpkg.data.acme import sale", "no package 'acme/sale' is installed in .*did you mean 'sales'"),
        ("from dpkg.data.acme import xyzzy", "no package 'acme/xyzzy' is installed in .*of acme there is: sales"),
        ("import dpkg.data.acme.sale", "did you mean 'sales'"),
        (
            "from dpkg.data.acm import sales",
            "no package of 'acm' is installed in .*packages of acme.*dpk install acm/NAME REMOTE",
        ),
        ("import dpkg.data.acm", "no package of 'acm'"),
        ("from dpkg.data import acm", "no package of 'acm'"),
        ("from dpkg.data.acme.sales import transaction", "has no 'transaction'; did you mean 'transactions'"),
        (
            "import dpkg.data.acme.sales.docs",
            "'docs' is data and not a module; write: from dpkg.data.acme.sales import docs",
        ),
        ("import dpkg.data.acme.sales.docs.guide", "'docs' is data and not a module"),
    ],
)
def test_what_is_not_there(sales: Any, code: str, said: str) -> None:
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=said):
            statement(code)


def test_attributes_that_are_not_there(sales: Any) -> None:
    from dpkg.data import acme

    with pytest.raises(AttributeError, match="did you mean 'sales'"):
        acme.sale  # noqa: B018
    with pytest.raises(AttributeError, match="no package of 'acm'"):
        dpkg.data.acm  # noqa: B018
    assert not hasattr(acme, "__nothing__")
    assert not hasattr(dpkg.data, "__nothing__")


def test_without_a_store(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "none"))
    with pytest.raises(ModuleNotFoundError, match="nothing is installed there; 'dpk install acme/NAME REMOTE'"):
        statement("from dpkg.data.acme import sales")
    assert dir(dpkg.data) == sorted(dpkg.data.__all__)


def test_a_package_that_cannot_be_opened(sales: Any) -> None:
    sales.repository.refs.delete("acme/sales", "heads", "main", who="Ada", why="test")
    with pytest.raises(ImportError, match="no commits on main"):
        statement("from dpkg.data.acme import sales")
    tree = sales.repository.commit(sales.commit("acme/other", {"x": b"1"})).tree
    Path(sales.url, "objects", tree[:2], tree[2:]).unlink()
    with pytest.raises(ImportError, match=tree):
        statement("from dpkg.data.acme import other")


def test_other_imports_are_left_alone() -> None:
    assert importlib.util.find_spec("dpkg.data_of_mine") is None
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'dpkg\.nothing'"):
        importlib.import_module("dpkg.nothing")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'dpkg\.data\.__main__'"):
        importlib.import_module("dpkg.data.__main__")
    from dpkg.data._finder import Finder

    importlib.reload(dpkg.data)
    assert sum(isinstance(f, Finder) for f in sys.meta_path) == 1


def test_in_a_process_of_its_own(sales: Any) -> None:
    code = "from dpkg.data.acme import sales; print(sales.transactions().shape, sales)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(4, 2) <acme/sales@")
    code = "from dpkg.data.acme import sale"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: no package 'acme/sale' is installed in")
