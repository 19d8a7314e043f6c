"""rev-list: commits in order, ranges, and all that they reach."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.objects.commit import Commit
from dpkg.oid import Oid
from dpkg.reaching import Objects, commits

TREE = Oid("0" * 64)


@st.composite
def histories(draw: st.DrawFn) -> list[Commit]:
    """Commits, parents before children, with clocks that go wrong."""
    made: list[Commit] = []
    for i in range(draw(st.integers(1, 12))):
        parents = draw(st.lists(st.sampled_from(made), unique_by=id, max_size=3)) if made else []
        time = draw(st.integers(0, 5))
        made.append(Commit(TREE, tuple(p.oid for p in parents), "Ada", time, str(i), {}, []))
    return made


def reach(history: dict[Oid, Commit], tips: list[Oid], first: bool = False) -> set[Oid]:
    found: set[Oid] = set()
    todo = list(tips)
    while todo:
        oid = todo.pop()
        if oid not in found:
            found.add(oid)
            todo += history[oid].parents[:1] if first else history[oid].parents
    return found


@given(histories(), st.data())
def test_every_commit_once_and_children_first(made: list[Commit], data: st.DataObject) -> None:
    history = {c.oid: c for c in made}
    wanted, unwanted = (data.draw(st.lists(st.sampled_from(list(history)), max_size=3)) for _ in range(2))
    found = [oid for oid, _ in commits(history.__getitem__, wanted, unwanted)]
    assert len(found) == len(set(found))
    assert set(found) == reach(history, wanted) - reach(history, unwanted)
    at = {oid: i for i, oid in enumerate(found)}
    for oid in found:
        assert all(at[p] > at[oid] for p in history[oid].parents if p in at)


@given(histories(), st.data())
def test_newest_first_where_children_allow_it(made: list[Commit], data: st.DataObject) -> None:
    """Each is the newest of those whose children are all given."""
    history = {c.oid: c for c in made}
    wanted = data.draw(st.lists(st.sampled_from(list(history)), min_size=1, max_size=3))
    left = [oid for oid, _ in commits(history.__getitem__, wanted)]
    while left:
        blocked = {p for oid in left for p in history[oid].parents}
        assert history[left[0]].time == max(history[oid].time for oid in left if oid not in blocked)
        left.pop(0)


@given(histories(), st.data())
def test_first_parents(made: list[Commit], data: st.DataObject) -> None:
    history = {c.oid: c for c in made}
    tip = data.draw(st.sampled_from(list(history)))
    found = [oid for oid, _ in commits(history.__getitem__, [tip], first_parent=True)]
    assert set(found) == reach(history, [tip], first=True)
    assert [history[oid].parents[:1] for oid in found] == [(oid,) for oid in found[1:]] + [()]


def test_a_line_is_read_as_it_is_asked_for() -> None:
    history: dict[Oid, Commit] = {}
    last: tuple[Oid, ...] = ()
    for i in range(1000):
        commit = Commit(TREE, last, "Ada", i, "", {}, [])
        history[commit.oid] = commit
        last = (commit.oid,)
    read: list[Oid] = []

    def reading(oid: Oid) -> Commit:
        read.append(oid)
        return history[oid]

    found = commits(reading, last)
    for _ in range(3):
        next(found)
    assert len(read) <= 4
    assert len(list(found)) == 997


# The command


@pytest.fixture
def forked(store: Any) -> dict[str, str]:
    """The package a/b: base, then left and right, merged; and one more."""
    repository = store.repository
    base = store.commit("a/b", {"base": b"0", "t": {"x": [1]}}, "base")
    left = store.commit("a/b", {"base": b"0", "left": b"1", "t": {"x": [1]}}, "left")
    tree = store.tree({"right": b"2"})
    right = repository.make_commit(tree, (base,), "right")
    merge = repository.make_commit(tree, (left, right), "merge")
    repository.move("a/b", merge, left, "")
    top = store.commit("a/b", {"top": b"3"}, "top")
    repository.refs.create_tag("a/b", "v1", left, who="Ada")
    return {"base": base, "left": left, "right": right, "merge": merge, "top": top}


def names(ran: Any, forked: dict[str, str]) -> list[str]:
    by_oid = {oid: name for name, oid in forked.items()}
    return [by_oid[line] for line in ran.out.split()]


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["a/b@v1"], ["left", "base"]),
        (["a/b", "--first-parent"], ["top", "merge", "left", "base"]),
        (["a/b", "-n", "2"], ["top", "merge"]),
        (["a/b", "--first-parent", "--reverse"], ["base", "left", "merge", "top"]),
        (["a/b", "-n", "2", "--reverse"], ["merge", "top"]),
        (["a/b", "-n0"], []),
        (["a/b@v1..latest"], ["top", "merge", "right"]),
        (["a/b", "^a/b@v1"], ["top", "merge", "right"]),
        (["a/b@latest..v1"], []),
        (["a/b@latest~1..latest"], ["top"]),
        (["a/b@v1", "a/b@v1"], ["left", "base"]),
        (["^a/b"], []),
    ],
)
def test_revisions(dpk: Callable[..., Any], forked: dict[str, str], args: list[str], wanted: list[str]) -> None:
    ran = dpk("rev-list", *args)
    assert names(ran, forked) == wanted
    assert dpk("rev-list", *args, "--count").out == f"{len(wanted)}\n"
    assert [line["oid"] for line in dpk("rev-list", *args, "--json").lines] == ran.out.split()


def test_oids_and_ranges_of_oids(dpk: Callable[..., Any], forked: dict[str, str]) -> None:
    merge, left = forked["merge"], forked["left"]
    assert names(dpk("rev-list", f"{left}..{merge}"), forked) == ["merge", "right"]
    assert names(dpk("rev-list", f"{left[:12]}..{merge[:12]}"), forked) == ["merge", "right"]
    assert set(names(dpk("rev-list", merge), forked)) == {"merge", "left", "right", "base"}


def test_all(dpk: Callable[..., Any], forked: dict[str, str], store: Any) -> None:
    other = store.commit("z/z", {"o": b""}, "other", branch="next")
    found = dpk("rev-list", "--all").out.split()
    assert sorted(found) == sorted([*forked.values(), other])
    assert dpk("rev-list", "--all", "^a/b").out.split() == [other]
    repository = store.repository
    repository.refs.delete("z/z", "heads", "next", who="Ada", why="")
    assert other not in dpk("rev-list", "--all").out.split()


def test_objects_are_all_that_is_stored(dpk: Callable[..., Any], forked: dict[str, str], store: Any) -> None:
    """Nothing else was written to this store; each is listed once, with its type."""
    odb = store.repository.odb
    lines = [line.split() for line in dpk("rev-list", "--objects", "--all").out.splitlines()]
    oids = [oid for _, oid in lines]
    assert len(oids) == len(set(oids))
    assert set(oids) == {oid for _, oid, _ in odb.iter_oids()}
    for kind, oid in lines:
        assert odb.has_fragment(oid) if kind == "fragment" else odb.kind(oid) == kind, kind
    assert dpk("rev-list", "--objects", "--all", "--count").out == f"{len(oids)}\n"


def test_objects_of_a_range_complete_what_is_left_out(dpk: Callable[..., Any], store: Any) -> None:
    big = {f"f{i}": str(i).encode() for i in range(600)}
    store.commit("a/b", {**big, "t": {"x": list(range(1000))}, "m": (b"x", {"a": 1})})
    store.repository.refs.create_tag("a/b", "v1", store.repository.tip("a/b"), who="Ada")
    store.commit("a/b", {**big, "f7": b"new", "t": {"x": list(range(1000))}, "m": (b"x", {"a": 2})})
    old, new, between = (
        set(dpk("rev-list", "--objects", r).out.splitlines()) for r in ("a/b@v1", "a/b", "a/b@v1..latest")
    )
    assert between == new - old
    kinds = sorted(line.split()[0] for line in between)
    assert [k for k in kinds if k != "node"] == ["blob", "blob", "commit"]  # f7, the metadata of m
    assert kinds.count("node") <= 3


def test_what_is_no_revision(dpk: Callable[..., Any], sales: Any) -> None:
    blob = dpk("rev-parse", "acme/sales/README.md").out.strip()
    for args, code in (
        ([], 2),
        (["acme/none"], 3),
        (["acme/sales@v9"], 3),
        (["acme/sales/README.md"], 2),
        (["acme/sales@v1..latest/README.md"], 2),
        ([blob], 2),
        ([f"{blob}..{blob}"], 2),
        (["f" * 64], 3),
        (["^acme/none"], 3),
        (["^"], 2),
        ([".."], 2),
        (["acme/sales@v1.."], 2),
        (["acme/sales", "-n", "-1"], 2),
        (["acme/sales", "-n", "x"], 2),
    ):
        ran = dpk("rev-list", *args, code=code)
        assert (ran.out, bool(ran.err)) == ("", True), args


def test_a_missing_object_is_named(dpk: Callable[..., Any], sales: Any) -> None:
    odb = sales.repository.odb
    tree = dpk("rev-parse", "acme/sales/docs").out.strip()
    from dpkg.odb import object_key

    odb.backend.delete(object_key(tree))
    ran = dpk("rev-list", "--objects", "acme/sales", code=3)
    assert tree in ran.err
    assert ran.out.startswith("commit ")  # what was found before


def test_a_deep_tree_is_refused(store: Any) -> None:
    from dpkg.errors import Corrupt

    contents: dict[str, Any] = {"x": b""}
    for _ in range(140):
        contents = {"d": contents}
    repository = store.repository
    with pytest.raises(Corrupt, match="trees deep"):
        list(Objects(repository.odb).tree(store.tree(contents)))


def test_a_pipe_that_closes_early(sales: Any) -> None:
    repository = sales.repository
    made = repository.tip("acme/sales")
    tree = repository.commit(made).tree
    for _ in range(1500):
        made = repository.odb.write("commit", Commit(tree, (made,), "Ada", 0, "", {}, []).encode())
    command = [sys.executable, "-m", "dpkg", "rev-list", made]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.read(64).decode() == made
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 141


# diff-tree


def test_diff_tree(dpk: Callable[..., Any], store: Any) -> None:
    old = store.tree({"same": b"=", "mod": b"1", "gone": b"2", "type": b"3", "meta": b"4", "d": {"a": b"5", "b": b"6"}})
    new = store.tree(
        {"same": b"=", "mod": b"9", "added": b"7", "type": {"x": [1]}, "meta": (b"4", {"m": 1}), "d": {"a": b"5"}}
    )
    lines = [line.split("\t") for line in dpk("diff-tree", old, new).out.splitlines()]
    assert [(said.split()[0], said.split()[1], path) for said, path in lines] == [
        ("A", "blob", "added"),
        ("M", "tree", "d"),
        ("D", "blob", "gone"),
        ("C", "blob", "meta"),
        ("M", "blob", "mod"),
        ("T", "table", "type"),
    ]
    odb = store.repository.odb
    one, nine = (odb.write("blob", x) for x in (b"1", b"9"))
    assert [f"M blob {one} {nine}", "mod"] in lines
    assert [f"A blob - {odb.write('blob', b'7')}", "added"] in lines
    assert [f"D blob {odb.write('blob', b'2')} -", "gone"] in lines
    deep = [line.split("\t")[1] for line in dpk("diff-tree", "-r", old, new).out.splitlines()]
    assert deep == ["added", "d/b", "gone", "meta", "mod", "type"]
    back = {line.split()[0]: line.split("\t")[1] for line in dpk("diff-tree", new, old).out.splitlines()}
    assert (back["A"], back["D"]) == ("gone", "added")
    assert dpk("diff-tree", old, old).out == ""
    (meta,) = [line for line in dpk("diff-tree", old, new, "--json").lines if line["status"] == "C"]
    assert (meta["old"], meta["old_meta"]) == (meta["new"], None)
    assert meta["new_meta"] == odb.write("blob", b'{"m":1}')


def test_diff_tree_of_folders(dpk: Callable[..., Any], store: Any) -> None:
    """A folder whose metadata changed stands there with -r too; one that came or went is its entries."""
    tree = store.tree({"d": {"a": b"1"}, "x": b""})
    told = store.tree({"d": ({"a": b"1"}, {"m": 1}), "x": {"y": b"2", "z": {"deep": b"3"}}})
    said = [
        line.split(" ")[0] + line.partition("\t")[2] for line in dpk("diff-tree", "-r", tree, told).out.splitlines()
    ]
    assert said == ["Cd", "Dx", "Ax/y", "Ax/z/deep"]
    store.commit("a/b", {"d": {"a": b"1"}})
    store.commit("a/b", {"d": ({"a": b"1"}, {"m": 1})})
    assert "metadata changed" in dpk("diff", "a/b").out
    assert dpk("diff-tree", "a/b@latest~1..latest").out.startswith("C tree ")
    assert dpk("diff-tree", "a/b@latest~1..latest/d").out == ""


def test_diff_tree_names_are_quoted(dpk: Callable[..., Any], store: Any) -> None:
    a, b = store.tree({}), store.tree({'new\n"x"': b""})
    assert dpk("diff-tree", a, b).out.endswith('\t"new\\n\\"x\\""\n')
    assert dpk("diff-tree", "-z", a, b).stdout.endswith(b'\tnew\n"x"\0')


def test_what_cannot_be_compared(dpk: Callable[..., Any], sales: Any) -> None:
    for args, code in (
        (["acme/sales"], 2),
        ([], 2),
        (["acme/sales", "acme/none"], 3),
        (["acme/sales", "acme/sales/README.md"], 2),
        (["a..b"], 2),
        (["acme/sales@v1..v9"], 3),
    ):
        assert dpk("diff-tree", *args, code=code).out == ""


names_of = st.dictionaries(
    st.sampled_from(["a", "b", "c d", "é"]),
    st.integers(0, 2) | st.dictionaries(st.sampled_from("xy"), st.integers(0, 2)),
)


@settings(max_examples=40, deadline=None)
@given(names_of, names_of)
def test_diff_tree_applied_gives_the_other(make_store: Any, run: Any, a: dict[str, Any], b: dict[str, Any]) -> None:
    """What -r lists, applied to the leaves of the old tree, gives those of the new one."""
    import tempfile

    def contents(spec: dict[str, Any]) -> dict[str, Any]:
        return {k: contents(v) if isinstance(v, dict) else str(v).encode() for k, v in spec.items()}

    with tempfile.TemporaryDirectory() as folder:
        made = make_store(folder)
        trees = [made.tree(contents(spec)) for spec in (a, b)]
        leaves = []
        for tree in trees:
            records = run("ls-tree", "-r", "-z", tree, "--store", folder).out.split("\0")[:-1]
            leaves.append({r.partition("\t")[2]: tuple(r.split(" ")[:2]) for r in records})
        for record in run("diff-tree", "-r", "-z", *trees, "--store", folder).out.split("\0")[:-1]:
            said, _, path = record.partition("\t")
            status, kind, old, new = said.split(" ")
            if status != "A":
                assert leaves[0].pop(path)[1] == old
            if status != "D":
                assert path not in leaves[0]
                leaves[0][path] = (kind, new)
        assert leaves[0] == leaves[1]
