"""review, and tag --require-reviewed: who accepted which diff, in the ref log; nobody's work is lost by it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg.diffing import accepting
from dpkg.errors import AlreadyExists, CheckFailed, NotFound, Usage
from dpkg.oid import Oid
from dpkg.refs.snapshot import RefsSnapshot
from dpkg.repository import Repository

PKG = "acme/shop"
SPEC = Path(__file__).parents[2] / "spec" / "diff.md"


def data(n: int) -> dict[str, Any]:
    return {"t": {"n": [n]}, "b": b"%d" % n}


@pytest.fixture
def shop(store: Any) -> Any:
    """Five commits, the first tagged v1."""
    for n in range(1, 6):
        commit = store.commit(PKG, data(n), f"c{n}")
        if n == 1:
            store.repository.refs.create_tag(PKG, "v1", commit, who="Ada")
    return store


def short(revision: str) -> str:
    return str(dpkg.plumbing.rev_parse(f"{PKG}@{revision}").oid)[:12]


def entries(store: Any, package: str = PKG) -> list[Any]:
    return list(store.repository.refs.log(package, "heads", "main"))


def listed(**more: Any) -> list[tuple[str | None, str]]:
    return [(r.old, r.new) for r in dpkg.review("list", PKG, **more)]


@pytest.mark.spec("REV-1")
def test_the_digest_of_a_diff() -> None:
    found = re.search(
        r"Of old `(\w+)` and new `(\w+)` it is\s+`(\w+)`, of nothing and that new one `(\w+)`", SPEC.read_text("utf-8")
    )
    assert found
    old, new, both, alone = (Oid(text) for text in found.groups())
    assert (accepting.diff_digest(old, new), accepting.diff_digest(None, new)) == (both, alone)
    import blake3

    text = f'{{"new":"{new}","old":"{old}"}}'.encode()
    assert blake3.blake3(text, derive_key_context="dpkg v1 2026-11 diff").hexdigest() == both
    assert len({accepting.diff_digest(a, b) for a in (None, old, new) for b in (old, new)}) == 6


@pytest.mark.spec("REV-2")
def test_an_acceptance_is_an_entry_that_moves_nothing(dpk: Callable[..., Any], shop: Any) -> None:
    before, log, refs = entries(shop), dpk("log", PKG).out, dpk("show-ref").out
    said = dpk("review", "accept", PKG, "-m", "looks: right\nreally", "--json").json
    first, *rest = entries(shop)
    assert rest == before
    old, new = (shop.repository.commit(oid).tree for oid in (dpkg.plumbing.rev_parse(f"{PKG}@v1").oid, rest[0].oid))
    digest = accepting.diff_digest(old, new)
    assert (first.event, first.oid, first.prev, first.who) == (
        "commit",
        rest[0].oid,
        rest[0].digest,
        "Ada <ada@example.com>",
    )
    assert re.fullmatch(rf"accepted {digest} {old} {new} (-|none|moderate|major): looks: right\nreally", first.why)
    assert (said["old"], said["new"], said["digest"], said["created"]) == ("v1", short("latest"), digest, True)
    assert (said["old_tophash"], said["new_tophash"], said["message"]) == (old, new, "looks: right\nreally")
    assert (dpk("log", PKG).out, dpk("show-ref").out) == (log, refs)  # no commit is new
    assert dpk("for-each-ref", "--format", "%(n) %(objectname) %(why)", f"{PKG}/heads").out.startswith(
        f"{first.n} {first.oid} accepted"
    )


def test_what_people_see(dpk: Callable[..., Any], shop: Any) -> None:
    assert dpk("review", "list", PKG).out == "nothing was accepted yet: 'dpk review accept PACKAGE' does it\n"
    lines = dpk("review", "accept", f"{PKG}@v1..latest~2", "-m", "ok").out.splitlines()
    assert lines[0] == f"accepted {PKG}  v1 → {short('latest~2')}"
    assert lines[1].startswith("    by       Ada <ada@example.com>, 20")
    assert re.fullmatch("    diff     [0-9a-f]{64}", lines[2])
    again = dpk("review", "accept", f"{PKG}@v1", f"{PKG}@latest~2").out.splitlines()
    assert again[:3] == [f"accepted already: {PKG}  v1 → {short('latest~2')}", *lines[1:3]]
    dpk("review", "accept", f"{PKG}@v1")
    out = dpk("review", "list", PKG).out
    assert "nothing → v1" in out
    assert re.search(rf"UTC  Ada  v1 → {short('latest~2')} .* ok$", out, re.MULTILINE)


@pytest.mark.spec("REV-3")
def test_what_moved_a_branch_is_no_acceptance(shop: Any) -> None:
    """A commit's message gets into the log, whatever it says."""
    v1, tip = (shop.repository.commit(shop.repository.revision(PKG, r)).tree for r in ("v1", "latest"))
    new = shop.tree(data(6))
    for said in (accepting.why(v1, tip, None, "forged"), accepting.why(None, new, None, "forged")):
        shop.commit(PKG, data(6 + len(entries(shop))), said)
    assert listed() == []
    repository = shop.repository
    for said in (accepting.why(v1, tip, None, "").replace(v1, tip), "accepted", accepting.why(v1, tip, None, "")[:-2]):
        at = repository.tip(PKG)
        repository.refs.update(PKG, "heads", "main", at, at, who="Eve", why=said)
    assert listed() == []
    repository.refs.update(PKG, "heads", "main", at, at, who="Bob", why=accepting.why(v1, tip, "major", ""))
    (found,) = dpkg.review("list", PKG)
    assert (found.who, found.verdict, found.message, found.old) == ("Bob", "major", "", "v1")


@pytest.mark.spec("REV-4")
def test_a_diff_is_accepted_once(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = dpkg.review("accept", PKG)
    before = entries(shop)
    monkeypatch.setenv("DPK_AUTHOR", "Bob")
    (again,) = dpkg.review("accept", f"{PKG}@v1..latest", message="me too")
    assert (again.created, again.who, again.digest) == (False, first.who, first.digest)
    assert entries(shop) == before
    shop.commit(PKG, data(9), "later")
    (again,) = dpkg.review("accept", f"{PKG}@v1..latest~1")
    assert not again.created


@pytest.mark.spec("REV-5")
def test_only_what_was_accepted_is_tagged(dpk: Callable[..., Any], shop: Any) -> None:
    """v1 to c3, then c3 to c5; what the error says is what to run."""
    refused = dpk("tag", PKG, "v2", "--require-reviewed", code=9).err
    assert refused.splitlines() == [
        f"dpk: the diff '{PKG}@v1..{short('latest')}' was not accepted",
        "     look at it, then accept it:",
        f"     dpk diff {PKG}@v1..{short('latest')}",
        f"     dpk review accept {PKG}@v1..{short('latest')} -m MESSAGE",
    ]
    dpk("review", "accept", f"{PKG}@latest~2")
    dpk("review", "accept", f"{PKG}@latest~3..latest")  # leads from nowhere
    lines = dpk("tag", PKG, "v2", "--require-reviewed", code=9).err.splitlines()
    assert lines[2] == f"     dpk diff {PKG}@{short('latest~2')}..{short('latest')}"
    for line in lines[2:]:
        dpk(*shlex.split(line)[1:])
    assert dpkg.tag(PKG, "v2", require_reviewed=True).created
    assert not dpkg.tag(PKG, "v2", require_reviewed=True).created


@pytest.mark.spec("REV-5")
def test_the_same_data_as_the_tag_before_needs_nothing(shop: Any) -> None:
    shop.commit(PKG, data(1), "back to v1")
    dpkg.tag(PKG, "v1-again", require_reviewed=True)
    with pytest.raises(CheckFailed):
        dpkg.tag(PKG, "older", "latest~1", require_reviewed=True)


@pytest.mark.spec("REV-5")
def test_without_a_tag_before_all_is_new(dpk: Callable[..., Any], shop: Any) -> None:
    lines = dpk("tag", PKG, "first", "v1", "--require-reviewed", code=9).err.splitlines()
    v1 = f"{PKG}@{short('v1')}"
    assert lines[0] == f"dpk: what is in '{v1}' was not accepted, and no tag came before it"
    assert lines[2:] == [f"     dpk show {v1}", f"     dpk review accept {v1} -m MESSAGE"]
    for line in lines[2:]:
        dpk(*shlex.split(line)[1:])
    assert listed() == [(None, "v1")]
    dpkg.tag(PKG, "first", "v1", require_reviewed=True)


@pytest.mark.spec("REV-5")
def test_where_retention_removed_what_was_before(dpk: Callable[..., Any], shop: Any) -> None:
    dpkg.review("accept", f"{PKG}@v1..latest~1")
    dpkg.gc(keep_last=2)
    dpkg.verify()
    assert len(list(dpkg.log(PKG))) == 2
    (found,) = dpkg.review("accept", PKG)  # from v1, which is no ancestor any more
    assert (found.old, listed()) == ("v1", [("v1", short("latest")), ("v1", short("latest~1"))])
    dpkg.tag(PKG, "v2", require_reviewed=True)
    dpkg.gc(keep_last=1)
    assert len(listed()) == 2
    shop.commit(PKG, data(7), "more")
    with pytest.raises(CheckFailed, match=r"v2\.\."):
        dpkg.tag(PKG, "v3", require_reviewed=True)


def test_a_setting_requires_it(dpk: Callable[..., Any], shop: Any) -> None:
    dpk("config", "review.require", "true")
    assert "review.require" in dpk("config").out
    with pytest.raises(CheckFailed):
        dpkg.tag(PKG, "v2")
    dpkg.review("accept", PKG)
    dpkg.tag(PKG, "v2")
    assert "write true or false" in dpk("config", "review.require", "yes", code=2).err
    dpk("config", "review.require", "false")
    dpkg.tag(PKG, "v1-too", "latest~2")
    Path(shop.url, "config").write_text("[review]\nrequire = perhaps\n")
    with pytest.raises(Usage, match="perhaps"):
        dpkg.tag(PKG, "v3")


@pytest.mark.spec("REV-2")
@pytest.mark.parametrize("remote", [False, True])
def test_others_write_to_the_log_meanwhile(shop: Any, monkeypatch: pytest.MonkeyPatch, remote: bool) -> None:
    """A commit comes in between, and somebody accepts the same: nothing is lost, and nothing is there twice."""
    real, todo = Repository.settle, list[Callable[[], object]]()

    def settle(self: Repository) -> None:
        if todo:
            todo.pop()()
        real(self)

    def accept(revision: str) -> bool:
        repository = Repository(shop.url)
        if remote:
            repository.refs = RefsSnapshot(repository.refs, PKG)
        v1, commit = (repository.revision(PKG, r) for r in ("v1", revision))
        return accepting.accept(repository, PKG, repository.commit(v1).tree, commit, None, "")[1]

    monkeypatch.setattr(Repository, "settle", settle)
    todo.append(lambda: shop.commit(PKG, data(6), "c6"))
    assert accept("latest")
    assert [e.why[:8] for e in entries(shop)[:3]] == ["accepted", "c6", "c5"]
    assert entries(shop)[0].oid == entries(shop)[1].oid
    assert listed() == [("v1", short("latest~1"))]
    todo.append(lambda: dpkg.review("accept", f"{PKG}@v1..latest"))
    assert not accept("latest")
    assert len(listed()) == 2


def test_an_acceptance_during_a_build_and_a_push(shop: Any, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both go on behind it."""
    Path("f.csv").write_text("n\n9\n")
    real, todo = Repository.settle, [lambda: dpkg.review("accept", PKG)]

    def settle(self: Repository) -> None:
        if todo:
            todo.pop()()
        real(self)

    monkeypatch.setattr(Repository, "settle", settle)
    tip = dpkg.build(PKG, "f.csv").commit
    assert (shop.repository.tip(PKG), len(listed())) == (tip, 1)
    dpkg.push(PKG, remote)
    shop.commit(PKG, data(8), "c8")
    todo.append(lambda: dpkg.review("accept", PKG, store=remote))
    assert dpkg.push(PKG, remote).new == shop.repository.tip(PKG) == Repository(remote).tip(PKG)
    assert listed(store=remote) == [("v1", str(tip)[:12])]
    assert len(listed()) == 1  # of this store


def test_pushed_and_installed_as_ever(shop: Any, remote: str, other: Any) -> None:
    dpkg.review("accept", PKG)
    dpkg.push(PKG, remote)
    dpkg.review("accept", PKG, store=remote)
    there = Repository(remote)
    before = list(there.refs.log(PKG, "heads", "main"))
    dpkg.push(PKG, remote)
    assert list(there.refs.log(PKG, "heads", "main")) == before
    dpkg.install(PKG, remote, store=other.url)
    assert list(dpkg.review("list", PKG, store=other.url)) == []
    assert [c.commit for c in dpkg.log(PKG, store=other.url)] == [c.commit for c in dpkg.log(PKG)]
    dpkg.verify()


def test_what_only_a_tag_reaches_is_on_no_branch(shop: Any) -> None:
    dpkg.tag(PKG, "v5")
    shop.repository.set_branch(PKG, shop.repository.revision(PKG, "v1"), None, "back", force=True)
    with pytest.raises(NotFound, match="no branch"):
        dpkg.review("accept", f"{PKG}@v1..v5")
    shop.repository.set_branch(PKG, shop.repository.revision(PKG, "v5"), None, "aside", branch="side")
    (found,) = dpkg.review("accept", f"{PKG}@v1..v5")
    assert (found.branch, found.new) == ("side", "v5")
    assert len(entries(shop)) == len([e for e in entries(shop) if "accepted" not in e.why])


def test_what_cannot_be_accepted(dpk: Callable[..., Any], shop: Any) -> None:
    Path("src").mkdir()
    for files in (["./src"], ["src"], [f"{PKG}@v1", "./src"]):
        assert "'dpk build PACKAGE " in dpk("review", "accept", *files, code=2).err
    assert "part of a package" in dpk("review", "accept", f"{PKG}@v1..latest/t", code=2).err
    assert "part of a package" in dpk("review", "accept", f"{PKG}/t", code=2).err
    assert "a side more" in dpk("review", "accept", f"{PKG}@v1..latest", PKG, code=2).err
    assert "nothing to accept" in dpk("review", "accept", PKG, PKG, code=2).err
    assert "whole packages" in dpk("review", "list", f"{PKG}@v1", code=2).err
    assert "no NEW" in dpk("review", "list", PKG, PKG, code=2).err
    assert "did you mean 'accept'" in dpk("review", "acept", PKG, code=2).err
    dpk("review", "list", "acme/shap", code=3)
    dpk("review", "accept", f"{PKG}@v7", code=3)
    with pytest.raises(Usage):
        dpkg.review("reject", PKG)
    assert len(entries(shop)) == 6
    with pytest.raises(AlreadyExists):
        dpkg.tag(PKG, "v1", require_reviewed=False)
    assert json.loads(dpk("tag", PKG, "v2", "--require-reviewed", "--json", code=9).err)["error"] == "CheckFailed"
