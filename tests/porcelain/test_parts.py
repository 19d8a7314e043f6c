"""install of a part: only that travels, it works as ever, and what needs the rest says so."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from faultproxy import FaultProxy
from faults import healthy, stored, tip
from hypothesis import given
from hypothesis import strategies as st
from packages import numbers

import dpkg
from dpkg import tables
from dpkg.cli.main import main
from dpkg.errors import Conflict, Corrupt, NotFound, Usage
from dpkg.index import build_tree, find, fragment_entries, on_the_way
from dpkg.objects.node import TreeEntry
from dpkg.odb import Odb, fragment_key
from dpkg.oid import Oid, digest
from dpkg.parts import Part
from dpkg.refs import PARTS, part_name
from dpkg.repository import Repository
from dpkg.store.memory import MemoryBackend

PKG = "acme/sales"
CONTENTS: dict[str, Any] = {
    "transactions": numbers(),
    "customers": {"id": [1, 2], "name": ["Ada", "Bo"]},
    "raw": {"a b.csv": b"a,b\n", "übrig": b"u" * 3000, "deep": {"t": {"x": [1]}}},
    "notes.md": (b"# notes", {"by": "Ada"}),
}


@pytest.fixture
def remote(tmp_path: Path, store: Any) -> Any:
    """Where the package comes from: two commits, the first is v1; `store` is where parts go."""
    made = type(store)(str(tmp_path / "remote"))
    made.commit(PKG, {**CONTENTS, "transactions": {"x": [0.0]}}, "first")
    dpkg.tag(PKG, "v1", store=made.url)
    made.commit(PKG, CONTENTS, "second")
    return made


def objects(url: str) -> set[str]:
    """Keys of what is stored, but for refs."""
    return {key for key in stored(url) if key.startswith(("objects/", "fragments/"))}


# What travels, and that it can be used


def test_a_table_alone(store: Any, remote: Any) -> None:
    """Of the package the commit and the tree's node, of the table the table, its index, fragment and statistics."""
    done = dpkg.install(f"{PKG}/transactions", remote.url)
    assert (done.package, done.path, done.commit, done.changed) == (PKG, "transactions", tip(remote.url, PKG), True)
    assert (done.objects, done.fragments, len(objects(store.url))) == (4, 2, 6)
    assert objects(store.url) < objects(remote.url)
    assert healthy(store.url)
    there = dpkg.load(f"{PKG}/transactions", store=remote.url)
    here = dpkg.load(f"{PKG}/transactions")
    assert here == there
    assert here().equals(there())
    assert here.expr == f"{PKG}@{done.commit.short}/transactions"
    assert pickle.loads(pickle.dumps(here)) == here
    shown, expected = (dpkg.show(f"{PKG}/transactions", store=s.url) for s in (store, remote))
    assert shown == expected
    assert [e.path for e in dpkg.ls(f"{PKG}/transactions")] == ["transactions"]
    dpkg.export(f"{PKG}/transactions", "out", format="csv")
    assert Path("out/transactions.csv").exists()


def test_import_of_a_part(store: Any, remote: Any) -> None:
    import importlib

    dpkg.install(f"{PKG}/transactions", remote.url)
    dpkg.install(f"{PKG}/raw/deep/t", remote.url)
    sales = importlib.import_module("dpkg.data.acme.sales")
    assert len(sales.transactions()) == len(numbers()["x"])
    assert list(sales.raw.deep.t()["x"]) == [1]
    assert [name for name in dir(sales) if name in CONTENTS] == ["raw", "transactions"]
    with pytest.raises(
        AttributeError, match=r"'customers' here: of 'acme/sales' only raw/deep/t, transactions was installed"
    ):
        _ = sales.customers


def test_a_package_in_part_as_a_tree(store: Any, remote: Any) -> None:
    dpkg.install(f"{PKG}/raw/deep", remote.url)
    dpkg.install(f"{PKG}/customers", remote.url)
    tree = dpkg.load(PKG)
    assert tree.keys() == ["customers", "raw"]
    assert tree.oid == dpkg.load(PKG, store=remote.url).oid
    assert "in part" in repr(tree)
    assert tree["raw"].keys() == ["deep"]
    assert tree["raw/deep/t"] == tree.raw.deep.t
    assert pickle.loads(pickle.dumps(tree)).keys() == tree.keys()
    with pytest.raises(KeyError, match="only customers, raw/deep was installed"):
        tree["transactions"]


@pytest.mark.parametrize("path", ["raw", "raw/a b.csv", "raw/übrig", "raw/deep/t", "notes.md", "customers"])
def test_any_path(store: Any, remote: Any, path: str, run: Any) -> None:
    """Folders, files and names with anything in them; a user's metadata comes too."""
    run("install", f"{PKG}/{path}", remote.url, "--into", "out")
    here, there = (dpkg.load(f"{PKG}/{path}", store=s.url) for s in (store, remote))
    assert (here, here.metadata) == (there, there.metadata)
    assert any(Path("out").iterdir())
    assert healthy(store.url)


def test_a_tag_and_an_older_commit(store: Any, remote: Any) -> None:
    """What was asked for by a tag is found by it, by the commit, and if nothing else is there by the package alone."""
    v1 = dpkg.install(f"{PKG}@v1/transactions", remote.url)
    for expr in (f"{PKG}@v1/transactions", f"{PKG}@{v1.commit[:9]}/transactions", f"{PKG}/transactions"):
        assert len(dpkg.load(expr)()) == 1
    dpkg.install(f"{PKG}/transactions", remote.url)
    assert len(dpkg.load(f"{PKG}/transactions")()) > 1
    assert len(dpkg.load(f"{PKG}@v1/transactions")()) == 1
    before = dpkg.install(f"{PKG}@latest~1/customers", remote.url)
    assert before.commit == v1.commit
    assert dpkg.load(f"{PKG}@{v1.commit}/customers") == dpkg.load(f"{PKG}/customers", store=remote.url)
    with pytest.raises(NotFound, match=r"only transactions, .*, @v1/transactions was"):
        dpkg.load(f"{PKG}@v2/transactions")
    assert healthy(store.url)


def test_a_part_moves_on(store: Any, remote: Any) -> None:
    """A later install brings what changed in the part; what else changed does not matter."""
    dpkg.install(f"{PKG}/raw", remote.url)
    remote.commit(PKG, {**CONTENTS, "raw": {**CONTENTS["raw"], "new": b"n"}, "customers": {"id": [9]}})
    again = dpkg.install(f"{PKG}/raw", remote.url)
    assert (again.objects, again.fragments) == (4, 0)  # the blob, two nodes and the commit
    assert dpkg.load(f"{PKG}/raw/new").read() == b"n"
    more = dpkg.install(f"{PKG}/raw", remote.url)
    assert (more.changed, more.objects) == (False, 0)
    assert len(Repository(store.url).refs.parts(PKG)) == 1
    assert healthy(store.url)


def test_the_rest_comes_later(store: Any, remote: Any) -> None:
    """Only what is lacking travels; then the package is whole, and nothing says otherwise."""
    one = dpkg.install(f"{PKG}/transactions", remote.url)
    two = dpkg.install(f"{PKG}/raw", remote.url)
    rest = dpkg.install(PKG, remote.url)
    moved = [one, two, rest]
    assert stored(store.url).keys() - stored(remote.url).keys() == {k for k in stored(store.url) if "/parts/" in k}
    assert sum(m.objects + m.fragments for m in moved) == len(objects(remote.url)) == len(objects(store.url))
    assert Repository(store.url).refs.parts(PKG) == {}
    (listed,) = dpkg.ls()
    assert listed.parts == ()
    assert dpkg.load(PKG).keys() == sorted(CONTENTS)
    assert dpkg.install(f"{PKG}/transactions", remote.url).changed is False
    assert Repository(store.url).refs.parts(PKG) == {}
    assert healthy(store.url)


def test_of_a_package_that_is_whole_but_old(store: Any, remote: Any) -> None:
    """A part would hide behind the branch: that is said. With a revision it does not."""
    dpkg.install(PKG, remote.url)
    new = remote.commit(PKG, {**CONTENTS, "customers": {"id": [9]}})
    with pytest.raises(Usage, match="all of 'acme/sales' is installed") as refused:
        dpkg.install(f"{PKG}/customers", remote.url)
    assert f"{PKG}@{new.short}/customers" in refused.value.hint
    dpkg.install(f"{PKG}@{new.short}/customers", remote.url)
    assert list(dpkg.load(f"{PKG}@{new.short}/customers")()["id"]) == [9]
    assert len(dpkg.load(f"{PKG}/customers")()) == 2
    assert healthy(store.url)


# What is not here


def test_what_needs_the_rest_says_so(store: Any, remote: Any, capsys: pytest.CaptureFixture[str]) -> None:
    dpkg.install(f"{PKG}/transactions", remote.url)
    before = stored(store.url)
    Path("src.csv").write_text("a\n1\n")
    for command in (
        ["show", PKG],
        ["show", f"{PKG}/customers"],
        ["show", f"{PKG}@v1/transactions"],
        ["show", f"{PKG}@latest~1/transactions"],
        ["export", PKG, "out"],
        ["export", f"{PKG}/raw", "out"],
        ["diff", PKG],
        ["tag", PKG, "v7"],
        ["build", PKG, "src.csv"],
        ["push", PKG, str(Path("there").absolute())],
        ["rev-list", PKG],
        ["ls", f"{PKG}/customers"],
    ):
        assert main(command) in (3, 5), command
        out, err = capsys.readouterr()
        assert out == "", command
        assert f"of 'acme/sales' only transactions was installed in {store.url}" in err, command
        assert "'dpk install acme/sales' brings the rest" in err, command
    assert stored(store.url) == before
    assert not Path("there", "refs").exists()


def test_ls_and_log_say_what_is_here(store: Any, remote: Any, run: Any) -> None:
    dpkg.install(f"{PKG}/transactions", remote.url)
    dpkg.install(f"{PKG}/raw/deep", remote.url)
    (listed,) = dpkg.ls()
    assert (listed.parts, listed.commit) == (("raw/deep", "transactions"), tip(remote.url, PKG))
    assert listed.rows == len(numbers()["x"]) + 1
    assert "only raw/deep, transactions" in run("ls").out
    assert [e.path for e in dpkg.ls(PKG)] == ["raw/deep", "transactions"]
    assert [e.path for e in dpkg.ls(f"{PKG}/raw")] == ["raw/deep"]
    (entry,) = dpkg.log(PKG)
    assert (entry.commit, entry.message, entry.parts) == (listed.commit, "second", ("raw/deep", "transactions"))
    for more in ([], ["--oneline"]):
        assert (
            "only raw/deep, transactions of it was installed, and its history is not here" in run("log", PKG, *more).out
        )


def test_completion_of_paths(store: Any, remote: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the remote what can be installed, of a package that is here in part what leads to parts."""
    dpkg.install(f"{PKG}/transactions", remote.url)
    dpkg.install(f"{PKG}/raw/deep/t", remote.url)

    def offered(*words: str) -> list[str]:
        capsys.readouterr()
        assert main(["__complete", "zsh", *words]) == 0
        return [line.replace("\\:", ":").split(":")[0].split("\t")[0] for line in capsys.readouterr().out.splitlines()]

    dpkg.remote("add", "origin", remote.url)
    assert offered("install", f"{PKG}/c") == [f"{PKG}/customers"]
    assert offered("show", f"{PKG}/") == [f"{PKG}/raw/", f"{PKG}/transactions"]
    assert offered("show", f"{PKG}/raw/deep/") == [f"{PKG}/raw/deep/t"]
    assert offered("show", f"{PKG}/raw/deep/t") == [f"{PKG}/raw/deep/t"]


def test_rm_of_a_part(store: Any, remote: Any, run: Any) -> None:
    dpkg.install(f"{PKG}/transactions", remote.url)
    dpkg.install(f"{PKG}@v1/raw", remote.url)
    with pytest.raises(Usage, match="not one that was installed alone"):
        dpkg.rm(f"{PKG}/customers")
    assert "removed acme/sales part 'v1/raw'" in run("rm", f"{PKG}@v1/raw").out
    with pytest.raises(NotFound):
        dpkg.load(f"{PKG}@v1/raw")
    assert [(ref.kind, ref.name) for ref in dpkg.rm(PKG).refs] == [("parts", "main/transactions")]
    assert list(dpkg.ls()) == []
    dpkg.install(f"{PKG}/transactions", remote.url)
    assert dpkg.load(f"{PKG}/transactions")().shape[0] > 1
    assert healthy(store.url)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing", "there is no 'nothing' in the package"),
        ("raw/nothing", "there is no 'raw/nothing' in the package"),
        ("transactions/x", "'transactions' is a table, it has no 'x'"),
        ("notes.md/x", "'notes.md' is a blob, it has no 'x'"),
    ],
)
def test_a_path_that_is_not_there(remote: Any, tmp_path: Path, path: str, said: str) -> None:
    """No store is made, and in one that is there nothing is begun."""
    new = tmp_path / "new"
    with pytest.raises(NotFound, match=said):
        dpkg.install(f"{PKG}/{path}", remote.url, store=str(new))
    assert not new.exists()
    before = stored(Repository(str(new), create=True).url)
    with pytest.raises(NotFound, match=said):
        dpkg.install(f"{PKG}/{path}", remote.url, store=str(new))
    assert stored(str(new)) == before
    with pytest.raises(Usage, match="--force"):
        dpkg.install(f"{PKG}/customers", remote.url, store=str(new), force=True)


# That it is whole


def test_verify_checks_parts(store: Any, remote: Any) -> None:
    dpkg.install(f"{PKG}/raw", remote.url)
    for key in sorted(objects(store.url)):
        path = Path(store.url, key)
        data = path.read_bytes()
        path.unlink()
        assert any(p.what == "missing" for p in dpkg.verify().problems), key
        assert dpkg.repair(from_=[remote.url]).problems == ()
        assert path.read_bytes() == data


@pytest.mark.spec("STO-41")
def test_a_commit_that_is_here_in_part_is_not_taken_for_whole(store: Any, remote: Any, tmp_path: Path) -> None:
    """Of a copy that is stopped before its ref, and of a store with parts: a full install looks at everything."""
    dpkg.install(f"{PKG}/customers", remote.url)
    third = type(store)(str(tmp_path / "third"))
    with pytest.raises(NotFound, match="only customers"):
        dpkg.install(PKG, store.url, store=third.url)
    dpkg.install(f"{PKG}/customers", store.url, store=third.url)  # a part is had from where there is but that
    assert objects(third.url) == objects(store.url)
    assert healthy(third.url)
    dpkg.install(PKG, remote.url)
    assert objects(store.url) == objects(remote.url)


@pytest.mark.spec("STO-41")
def test_the_ref_comes_last(store: Any, remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped at any write, nothing is there yet for readers, and the next install goes on."""
    from dpkg.store.local import LocalBackend

    real = LocalBackend.put
    for n in range(20):
        left = [n]

        def put(self: LocalBackend, *args: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError("stopped")
            real(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(LocalBackend, "put", put)
            try:
                dpkg.install(f"{PKG}/customers", remote.url)
                break
            except OSError:
                assert Repository(store.url).refs.parts(PKG) == {}
                assert healthy(store.url)
    else:
        raise AssertionError("it never came to an end")
    assert n >= 3
    assert healthy(store.url)
    assert len(dpkg.load(f"{PKG}/customers")()) == 2


def test_a_forged_part_does_not_arrive(store: Any, remote: Any) -> None:
    """A byte of a fragment that was changed, below a path that is brought; another part is not concerned."""
    repository = Repository(remote.url)
    entry = repository.entry(f"{PKG}/customers")[3]
    assert entry is not None
    table = tables.read_table_object(repository.odb, entry.oid)
    (fragment,) = fragment_entries(repository.odb, table.fragments)
    path = Path(remote.url, fragment_key(fragment.oid))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    with pytest.raises(Corrupt):
        dpkg.install(f"{PKG}/customers", remote.url)
    assert Repository(store.url).refs.parts(PKG) == {}
    dpkg.install(f"{PKG}/transactions", remote.url)
    assert healthy(store.url)


def test_two_at_once(store: Any, remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone else appends to the log meanwhile: it is looked at again."""
    from dpkg.transfer import parting

    real, other = parting._Transfer.part, []

    def part(self: Any, *args: Any) -> Any:
        if not other:
            other.append(1)
            dpkg.install(f"{PKG}/customers", remote.url)
        return real(self, *args)

    monkeypatch.setattr(parting._Transfer, "part", part)
    dpkg.install(f"{PKG}/customers", remote.url)
    log = list(Repository(store.url).refs.log(PKG, PARTS, part_name("main/customers")))
    assert [entry.event for entry in log] == ["commit", "birth"]


def test_build_after_rm(store: Any, remote: Any) -> None:
    dpkg.install(f"{PKG}/customers", remote.url)
    Path("src.csv").write_text("a\n1\n")
    with pytest.raises(Conflict, match="only customers") as refused:
        dpkg.build(PKG, "src.csv")
    assert "dpk rm acme/sales" in refused.value.hint
    dpkg.rm(PKG)
    assert dpkg.build(PKG, "src.csv").created


def test_gc_leaves_parts(store: Any, remote: Any) -> None:
    """Parts in one another, too; of a part that was removed nothing stays."""
    for expr in (f"{PKG}/raw/deep", f"{PKG}/customers", f"{PKG}@v1/notes.md", f"{PKG}/notes.md"):
        dpkg.install(expr, remote.url)
    dpkg.install(f"{PKG}/raw", remote.url)
    before = objects(store.url)
    dpkg.gc()
    assert objects(store.url) == before
    assert healthy(store.url)
    dpkg.install(f"{PKG}/transactions", remote.url)
    dpkg.rm(f"{PKG}/transactions")
    dpkg.gc()
    assert objects(store.url) == before
    dpkg.install(PKG, remote.url)
    dpkg.gc()
    assert objects(store.url) == objects(remote.url)
    dpkg.rm(PKG)
    dpkg.gc()
    assert objects(store.url) == set()


def test_gc_leaves_the_chunks_of_large_blobs(store: Any, tmp_path: Path) -> None:
    """Of a whole package, and of a part."""
    remote = type(store)(str(tmp_path / "remote"))
    big = random.Random(0).randbytes(9 << 20)
    remote.commit(PKG, {"big": big, "meta": (b"m", {"text": "x" * (5 << 20)}), "customers": {"id": [1]}})
    dpkg.install(f"{PKG}/big", remote.url)
    for url in (store.url, remote.url):
        before = objects(url)
        assert len(before) > 5
        dpkg.gc(store=url)
        assert objects(url) == before
    assert dpkg.load(f"{PKG}/big").read() == big
    assert healthy(store.url)
    assert healthy(remote.url)


def test_gc_meanwhile(store: Any, remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored already, but garbage, is removed while a part is brought that needs it: it is brought again."""
    from dpkg.transfer import parting

    dpkg.install(f"{PKG}/customers", remote.url)
    dpkg.rm(f"{PKG}/customers")
    real, other = parting._Transfer.part, []

    def part(self: Any, *args: Any) -> Any:
        done = real(self, *args)
        if not other:
            other.append(dpkg.gc())
        return done

    monkeypatch.setattr(parting._Transfer, "part", part)
    dpkg.install(f"{PKG}/customers", remote.url)
    assert other[0].files > 0
    assert healthy(store.url)
    assert len(dpkg.load(f"{PKG}/customers")()) == 2


# Large indexes, and requests


def test_of_a_large_folder_only_the_nodes_on_the_way(store: Any, tmp_path: Path) -> None:
    remote = type(store)(str(tmp_path / "remote"))
    remote.commit(PKG, {"files": {f"f{i:05}": b"%d" % i for i in range(5000)}})
    done = dpkg.install(f"{PKG}/files/f02500", remote.url)
    assert done.objects <= 6  # the file, its leaf, maybe nodes above, the root tree, the commit
    assert dpkg.load(f"{PKG}/files/f02500").read() == b"2500"
    assert healthy(store.url)


NAMES = st.lists(st.text("abcdefghij", min_size=1, max_size=4), min_size=1, max_size=300, unique=True)


@given(NAMES, st.data())
def test_the_nodes_on_the_way_lead_to_the_entry(names: list[str], data: st.DataObject) -> None:
    odb = Odb(MemoryBackend())
    made = build_tree(
        [TreeEntry(name, "blob", digest("blob", name.encode()), 1) for name in names],
        lambda node: odb.write("node", node),
    )
    name = data.draw(st.sampled_from(names))
    way = list(on_the_way(odb, made.oid, name))
    assert way[0][0] == made.oid
    assert [node.level for _, node, _ in way] == [*range(len(way) - 1, -1, -1)]
    assert way[-1][2] == find(odb, made.oid, name)


@pytest.mark.parametrize(
    ("path", "has", "below"),
    [("a", False, True), ("a/b", True, False), ("a/b/c", True, False), ("a/bc", False, False), (None, False, True)],
)
def test_what_a_part_has(path: str | None, has: bool, below: bool) -> None:
    part = Part("main", "a/b", Oid("0" * 64))
    assert (part.has(path), part.below(path)) == (has, below)


def test_requests_of_a_part(store: Any, through: str, proxy: FaultProxy, tmp_path: Path) -> None:
    """The format, the refs and an entry, what is near the commit at once, then each file that is brought."""
    store.commit(PKG, CONTENTS)
    dpkg.push(PKG, through)
    new = str(tmp_path / "new")
    Repository(new, create=True)
    proxy.clear()
    done = dpkg.install(f"{PKG}/customers", through, store=new)
    assert done.fragments == 2
    told = "\n".join(f"{r.method} {r.key} {r.query.get('prefix', '')}" for r in proxy.requests)
    assert len(proxy.seen("GET", "/fragments/")) == 2, told
    assert proxy.count() <= 6 + 2, told
    proxy.clear()
    assert not dpkg.install(f"{PKG}/customers", through, store=new).changed
    assert proxy.count() <= 4, proxy.requests
    assert healthy(new)
