"""ls-tree, commit-tree, rev-parse, update-ref, show-ref."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import dpkg
from dpkg.errors import Conflict, DpkgError


def oid_of(expr: str) -> str:
    return dpkg.plumbing.rev_parse(expr).oid


# ls-tree


def test_ls_tree(dpk: Callable[..., Any], sales: Any) -> None:
    lines = dpk("ls-tree", "acme/sales").out.splitlines()
    readme = next(line for line in lines if line.endswith("\tREADME.md"))
    assert readme == f"blob {oid_of('acme/sales/README.md')} 8\tREADME.md"
    assert [line.partition("\t")[2] for line in lines] == ["README.md", "docs", "odd name.csv", "transactions"]
    deep = [line.partition("\t")[2] for line in dpk("ls-tree", "-r", "acme/sales").out.splitlines()]
    assert deep == ["README.md", "docs/guide.txt", "odd name.csv", "transactions"]


def test_ls_tree_by_any_name(dpk: Callable[..., Any], sales: Any) -> None:
    commit, tree = dpk("rev-parse", "acme/sales").out.strip(), dpk("rev-parse", "--tophash", "acme/sales").out.strip()
    said = dpk("ls-tree", "acme/sales").out
    assert all(dpk("ls-tree", name).out == said for name in (commit, tree, commit[:10], tree[:10], "acme/sales@latest"))
    assert dpk("ls-tree", "acme/sales/docs").out.endswith("\tguide.txt\n")
    entry = dpk("ls-tree", "acme/sales", "--json").lines[1]
    assert entry == {
        "type": "tree",
        "oid": oid_of("acme/sales/docs"),
        "bytes": 7,
        "rows": 0,
        "path": "docs",
        "meta": None,
    }


def test_what_is_no_tree(dpk: Callable[..., Any], sales: Any) -> None:
    for name, code in (("acme/sales/README.md", 2), ("acme/sales/transactions", 2), ("acme/none", 3), ("f" * 64, 3)):
        dpk("ls-tree", name, code=code)


# commit-tree


def test_commit_tree(dpk: Callable[..., Any], sales: Any) -> None:
    tree, parent = oid_of("acme/sales@v1/docs"), oid_of("acme/sales@v1")
    made = dpk(
        "commit-tree", tree, "-p", "acme/sales@v1", "-p", oid_of("acme/sales"), "-m", "two\nlines", "--json"
    ).json
    assert made["tophash"] == tree
    assert made["parents"] == [parent, oid_of("acme/sales")]
    value = dpk("cat-object", made["oid"], "--json").json["value"]
    assert (value["message"], value["author"], value["tree"]) == ("two\nlines", "Ada <ada@example.com>", tree)
    by = dpk("commit-tree", tree, "--author", "Bob").out.strip()
    assert dpk("cat-object", by, "--json").json["value"]["author"] == "Bob"
    assert [r["name"] for r in dpk("show-ref", "--json").lines] == ["main", "v1"]  # no ref moved


def test_what_no_commit_can_be_made_of(dpk: Callable[..., Any], sales: Any) -> None:
    from dpkg.objects.table import Table

    odb = sales.repository.odb
    fragments = Table.decode(odb.read(oid_of("acme/sales/transactions"), "table")).fragments
    for args, code in (
        (["acme/sales/README.md"], 2),
        (["f" * 64], 3),
        ([fragments], 2),  # an index node, but not of names
        (["acme/sales", "-p", "f" * 64], 3),
        (["acme/sales", "-p", "acme/sales/README.md"], 2),
        (["acme/sales", "-p", "acme/sales", "-p", "acme/sales"], 2),
    ):
        assert dpk("commit-tree", *args, code=code).out == ""


# rev-parse


def test_rev_parse(dpk: Callable[..., Any], sales: Any) -> None:
    new, old = (e["commit"] for e in dpk("log", "acme/sales", "--json").lines)
    top = dpk("rev-parse", "--tophash", "acme/sales@v1").out.strip()
    for expr, oid in (
        ("acme/sales", new),
        ("acme/sales@latest", new),
        ("acme/sales@main", new),
        ("acme/sales@latest~1", old),
        ("acme/sales@~1", old),
        ("acme/sales@v1", old),
        ("acme/sales@v1~0", old),
        (f"acme/sales@{old[:6]}", old),
        (f"acme/sales@{top[:6]}", old),
        (f"acme/sales@{old}", old),
        (old, old),
        (old[:7], old),
        (top[:7], top),
    ):
        assert dpk("rev-parse", expr).out.strip() == oid, expr
    assert dpk("rev-parse", "acme/sales/transactions", "--json").json["type"] == "table"
    assert dpk("rev-parse", "--tophash", old).out.strip() == top


@pytest.mark.parametrize(
    ("expr", "code"),
    [
        ("acme/sales@v2", 3),
        ("acme/sales@latest~2", 3),
        ("acme/sales@ffff", 3),
        ("acme/sales@fff", 3),
        ("acme/sales@v1..latest", 2),
        ("acme/sales/none", 3),
        ("acme/sales/README.md/x", 3),
        ("acme", 2),
        ("./acme", 2),
        ("f" * 64, 3),
        ("f" * 65, 2),
    ],
)
def test_rev_parse_of_nothing(dpk: Callable[..., Any], sales: Any, expr: str, code: int) -> None:
    assert dpk("rev-parse", expr, code=code).out == ""


def test_an_ambiguous_revision_lists_its_candidates(dpk: Callable[..., Any], store: Any) -> None:
    """Commits until two begin alike in four digits."""
    repository, seen = store.repository, {}
    tree, last = store.tree({"x": b""}), None
    for i in range(3000):
        last = repository.make_commit(tree, (last,) if last else (), f"number {i}")
        if last[:4] in seen:
            break
        seen[last[:4]] = last
    repository.move("acme/many", last, None, "test")
    said = dpk("rev-parse", f"acme/many@{last[:4]}", code=2).err
    assert f"'{last[:4]}' is ambiguous in 'acme/many'" in said
    assert last in said
    assert seen[last[:4]] in said


# update-ref and show-ref


def test_update_ref(dpk: Callable[..., Any], sales: Any) -> None:
    new, old = oid_of("acme/sales"), oid_of("acme/sales@v1")
    ran = dpk("update-ref", "acme/sales", old)
    assert (ran.out, oid_of("acme/sales")) == ("", old)
    made = dpk("update-ref", "acme/sales", new, old, "-m", "back", "--json").json
    assert made == {"package": "acme/sales", "branch": "main", "old": old, "new": new, "tag": None}
    assert next(sales.repository.refs.log("acme/sales", "heads", "main")).why == "back"


def test_update_ref_expects(dpk: Callable[..., Any], sales: Any) -> None:
    new, old = oid_of("acme/sales"), oid_of("acme/sales@v1")
    for expected in (old, old[:10], "acme/sales@v1", "none"):
        ran = dpk("update-ref", "acme/sales", old, expected, code=5)
        assert "branch 'main' of acme/sales was moved" in ran.err
        assert oid_of("acme/sales") == new
    dpk("update-ref", "acme/new", new, old, code=5)
    dpk("update-ref", "acme/new", new, "none")
    dpk("update-ref", "acme/new", new, "none", code=5)
    dpk("update-ref", "acme/sales", new, "none", "--branch", "next")
    assert [f"{r['package']}/{r['kind']}/{r['name']}" for r in dpk("show-ref", "--json").lines] == [
        "acme/new/heads/main",
        "acme/sales/heads/main",
        "acme/sales/heads/next",
        "acme/sales/tags/v1",
    ]


def test_update_ref_makes_tags(dpk: Callable[..., Any], sales: Any) -> None:
    """A tag is made once, and never moves; it says so by 4."""
    new, old = oid_of("acme/sales"), oid_of("acme/sales@v1")
    made = dpk("update-ref", "acme/sales", new, "none", "--tag", "v2", "-m", "why", "--json").json
    assert (made["tag"], made["branch"], made["old"], made["new"]) == ("v2", None, None, new)
    assert (oid_of("acme/sales@v2"), oid_of("acme/sales")) == (new, new)
    assert next(sales.repository.refs.log("acme/sales", "tags", "v2")).why == "why"
    for commit in (new, old):
        assert "v2" in dpk("update-ref", "acme/sales", commit, "--tag", "v2", code=4).err
    dpk("rm", "acme/sales@v2")
    dpk("update-ref", "acme/sales", new, "--tag", "v2", code=4)
    dpk("update-ref", "acme/new", new, "--tag", "only")
    assert dpk("show-ref", "acme/new").out == f"{new} acme/new/tags/only\n"
    for args, code in (
        ([new, old, "--tag", "v3"], 2),
        ([new, "--tag", "v3", "--branch", "main"], 2),
        ([new, "--tag", "latest"], 2),
        ([new, "--tag", "a/b"], 2),
        (["f" * 64, "--tag", "v3"], 3),
        (["acme/sales/README.md", "--tag", "v3"], 2),
    ):
        assert dpk("update-ref", "acme/sales", *args, code=code).out == ""


def test_what_no_branch_can_be_moved_to(dpk: Callable[..., Any], sales: Any) -> None:
    for args, code in (
        (["acme/sales", "f" * 64], 3),
        (["acme/sales", "ffffffff"], 3),
        (["acme/sales", "acme/sales/README.md"], 2),
        (["acme/sales", "acme/sales", "--branch", "latest"], 2),
        (["acme/sales", "acme/sales", "--branch", "a/b"], 2),
        (["Acme", "acme/sales"], 2),
        (["acme/sales"], 2),
    ):
        assert dpk("update-ref", *args, code=code).out == ""


def test_one_of_many_wins(sales: Any) -> None:
    """Threads that all move the branch from one commit: exactly one does."""
    repository = sales.repository
    tip = repository.tip("acme/sales")
    tree = repository.commit(tip).tree
    commits = [repository.make_commit(tree, (tip,), str(i)) for i in range(8)]
    won: list[str] = []
    start = threading.Barrier(len(commits))

    def move(commit: str) -> None:
        start.wait()
        with suppress(Conflict):
            won.append(dpkg.plumbing.update_ref("acme/sales", commit, tip).new)

    threads = [threading.Thread(target=move, args=(c,)) for c in commits]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert won == [repository.tip("acme/sales")]


def test_one_of_many_processes_wins(sales: Any) -> None:
    repository = sales.repository
    tip = repository.tip("acme/sales")
    commits = [repository.make_commit(repository.commit(tip).tree, (tip,), str(i)) for i in range(4)]
    command = [sys.executable, "-m", "dpkg", "update-ref", "acme/sales"]
    running = [subprocess.Popen([*command, c, tip], stderr=subprocess.PIPE) for c in commits]
    codes = [(p.communicate(), p.returncode)[1] for p in running]
    assert sorted(codes) == [0, 5, 5, 5]
    assert commits[codes.index(0)] == repository.tip("acme/sales")


def test_show_ref(dpk: Callable[..., Any], sales: Any) -> None:
    new, old = oid_of("acme/sales"), oid_of("acme/sales@v1")
    sales.commit("other/thing", {"x": b""})
    lines = dpk("show-ref", "acme/sales").out.splitlines()
    assert lines == [f"{new} acme/sales/heads/main", f"{old} acme/sales/tags/v1"]
    assert dpk("show-ref").out.splitlines()[:2] == lines
    assert len(dpk("show-ref").out.splitlines()) == 3
    first = dpk("show-ref", "acme/sales", "--json").lines[0]
    assert first == {"oid": new, "package": "acme/sales", "kind": "heads", "name": "main", "n": 2}
    assert "there is: acme/sales" in dpk("show-ref", "acme/sale", code=3).err
    dpk("rm", "acme/sales@v1")
    assert len(dpk("show-ref", "acme/sales").out.splitlines()) == 1
    with pytest.raises(DpkgError):  # at the call
        dpkg.plumbing.show_ref("acme/none")
