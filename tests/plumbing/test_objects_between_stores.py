"""fetch-objects, send-objects, verify-object, count-objects: named objects, each checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpkg
from dpkg.errors import NotFound
from dpkg.odb import fragment_key, object_key
from dpkg.repository import Repository

ABSENT = "f" * 64


@pytest.fixture
def listed(dpk: Callable[..., Any], sales: Any) -> list[str]:
    """What acme/sales reaches, `TYPE OID` each."""
    return dpk("rev-list", "--objects", "acme/sales").out.splitlines()


def damage(store: Any, line: str, at: int = -1) -> None:
    """Flip a bit of a stored file."""
    kind, oid = line.split()
    path = Path(store.url, fragment_key(oid) if kind == "fragment" else object_key(oid))
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    os.chmod(path, 0o644)
    path.write_bytes(data)


def first(listed: list[str], kind: str) -> str:
    return next(line for line in listed if line.startswith(kind))


# fetch-objects and send-objects


@pytest.mark.parametrize("named", ["TYPE OID", "OID"])
@pytest.mark.parametrize("command", ["send-objects", "fetch-objects"])
def test_all_of_a_package_moves(
    dpk: Callable[..., Any], sales: Any, listed: list[str], command: str, named: str
) -> None:
    """The other store has all then, and no refs; a second time all is present."""
    lines = listed if named == "TYPE OID" else [line.split()[1] for line in listed]
    place = [] if command == "send-objects" else ["--store", "./other"]
    remote = "./other" if command == "send-objects" else sales.url
    stdin = "".join(f"{line}\n" for line in lines).encode()
    moved = dpk(command, remote, *place, stdin=stdin).out.splitlines()
    assert [line.rpartition(" ")[0] for line in moved] == [f"moved {line}" for line in listed]
    assert all(int(line.rpartition(" ")[2]) > 0 for line in moved)
    again = dpk(command, remote, *place, stdin=stdin).out.splitlines()
    assert again == [f"present {line} 0" for line in listed]
    assert dpk("show-ref", "--store", "./other").out == ""
    assert dpk("verify-object", "--stdin", "--store", "./other", stdin=stdin).out == ""
    tip = listed[0].split()[1]
    dpk("update-ref", "acme/copy", tip, "none", "--store", "./other")
    assert dpk("verify", "--deep", "--store", "./other").code == 0
    assert dpk("rev-list", "--objects", "acme/copy", "--store", "./other").out.splitlines() == listed


def test_exactly_these_move(dpk: Callable[..., Any], listed: list[str]) -> None:
    """A commit moves without its tree: that is for who asks."""
    commit = listed[0].split()[1]
    assert dpk("send-objects", "./other", commit).out.startswith(f"moved commit {commit} ")
    assert [oid for _, oid, _ in Repository("./other").odb.iter_oids()] == [commit]
    lines = dpk("send-objects", "./other", commit, "--json").lines
    assert [(x["what"], x["type"], x["oid"], x["bytes"]) for x in lines] == [("present", "commit", commit, 0)]


def test_what_the_other_side_lacks_is_named_and_the_rest_moves(dpk: Callable[..., Any], listed: list[str]) -> None:
    commit = listed[0]
    absent = [ABSENT, f"blob {'e' * 64}", f"fragment {'d' * 64}"]
    ran = dpk("send-objects", "./other", stdin="\n".join([*absent, commit]).encode(), code=3)
    assert [line.rpartition(" ")[0] for line in ran.out.splitlines()] == [
        f"missing - {ABSENT}",
        f"missing blob {'e' * 64}",
        f"missing fragment {'d' * 64}",
        f"moved {commit}",
    ]
    assert "lacks 3 objects" in ran.err
    assert all(line in ran.err for line in absent)
    dpk("fetch-objects", "./other", ABSENT, "--store", "./third", code=3)


def test_damage_does_not_travel(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    """Whatever bit is wrong, whatever the type: 6, and it is not kept."""
    for kind in ("commit", "node", "table", "blob", "fragment"):
        line = first(listed, kind)
        shutil.copytree(sales.url, "bad", dirs_exist_ok=False)
        damage(type(sales)("bad"), line)
        for args in (["fetch-objects", "./bad", "--store", "./to"], ["send-objects", "./to", "--store", "./bad"]):
            ran = dpk(*args, stdin=line.encode(), code=6)
            assert line.split()[1] in ran.err, kind
        assert list(Repository("./to").odb.iter_oids()) == []
        shutil.rmtree("bad")
        shutil.rmtree("to")


def test_a_forged_fragment_is_not_taken_in(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    """One that is whole, but another's."""
    sales.commit("acme/other", {"t": {"x": [9.5]}})
    other = next(dpkg.plumbing.ls_fragments("acme/other/t")).oid
    line = first(listed, "fragment")
    oid = line.split()[1]
    path = Path(sales.url, fragment_key(oid))
    path.unlink()
    shutil.copy(Path(sales.url, fragment_key(other)), path)
    assert oid in dpk("fetch-objects", sales.url, "--store", "./to", stdin=line.encode(), code=6).err
    assert not Repository("./to").odb.has_fragment(oid)
    assert dpk("verify-object", oid, code=6).out.startswith(f"damaged {oid} ")


def test_a_wrong_type_is_told(dpk: Callable[..., Any], listed: list[str]) -> None:
    blob = first(listed, "blob").split()[1]
    assert "is a blob, not a node" in dpk("send-objects", "./to", stdin=f"node {blob}".encode(), code=2).err


def test_what_cannot_move(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    tip = listed[0].split()[1]
    for args, stdin, code in (
        (["send-objects"], b"", 2),
        (["send-objects", sales.url, tip], b"", 2),  # to itself
        (["send-objects", "./to"], b"nonsense\n", 7),
        (["send-objects", "./to", "acme/sales"], b"", 2),
        (["fetch-objects", "./nowhere", tip], b"", 3),
        (["fetch-objects", "nameless", tip], b"", 3),
        (["send-objects", "./to", tip, "--store", "./nowhere"], b"", 3),
    ):
        assert dpk(*args, stdin=stdin, code=code).out == ""
    assert dpk("send-objects", "./to", stdin=b"").out == ""
    dpk("fetch-objects", "./nowhere", tip, "--store", "./fresh", code=3)
    assert not os.path.exists("fresh")  # no store is made where there is nothing to fetch from


def test_named_remotes_and_nul(dpk: Callable[..., Any], listed: list[str]) -> None:
    dpk("remote", "add", "origin", "./other")
    ran = dpk("send-objects", "origin", "-z", stdin="\0".join(listed[:3]).encode())
    assert ran.stdout.count(b"\0") == 3
    assert b"\n" not in ran.stdout


def test_many_objects_and_a_large_blob(dpk: Callable[..., Any], store: Any) -> None:
    """More than are in flight at once; a blob larger than is copied in one piece."""
    big = os.urandom(6_000_000)
    store.commit("a/b", {"big": big, **{f"f{i}": str(i).encode() for i in range(700)}})
    lines = dpk("rev-list", "--objects", "a/b").stdout
    done = [line.split() for line in dpk("send-objects", "./to", stdin=lines).out.splitlines()]
    assert [" ".join(line[1:3]) for line in done] == lines.decode().splitlines()
    # Chunks also come with the large blob that they are of: one that did so first is there already when it is its turn.
    assert {line[0] for line in done if line[1] != "blob" or int(line[3])} == {"moved"}
    assert {line[0] for line in done} <= {"moved", "present"}
    assert dpk("verify-object", "--stdin", "--store", "./to", stdin=lines).out == ""


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_part_in_any_order(make_store: Any, data: st.DataObject) -> None:
    """What was asked for is there then, and nothing else."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = make_store(f"{folder}/a")
        made.commit("a/b", {"x": b"1", "y": b"2", "t": {"n": [1, 2]}, "d": {"z": b"3"}})
        everything = [oid for _, oid, _ in made.repository.odb.iter_oids()]
        asked = data.draw(st.lists(st.sampled_from(everything), min_size=1, max_size=20))
        done = list(dpkg.plumbing.send_objects(f"{folder}/b", asked, store=made.url))
        assert [d.oid for d in done] == asked
        assert {d.oid for d in done if d.what == "moved"} == set(asked)
        assert {oid for _, oid, _ in Repository(f"{folder}/b").odb.iter_oids()} == set(asked)


@pytest.mark.parametrize("command", ["send-objects", "fetch-objects"])
def test_arguments_are_checked_before_a_store_is_made(dpk: Callable[..., Any], sales: Any, command: str) -> None:
    args = ["./new"] if command == "send-objects" else [sales.url, "--store", "./new"]
    ran = dpk(command, *args, ABSENT, "acme/sales", code=2)
    assert ran.err.startswith("dpk: 'acme/sales' is not an object id")
    assert not Path("new").exists()


# verify-object


def test_verify_object(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    oids = [line.split()[1] for line in listed]
    assert dpk("verify-object", *oids).out == ""
    assert dpk("verify-object", "-v", *oids).out.splitlines() == [f"ok {o} {t}" for t, o in map(str.split, listed)]
    stdin = "\0".join(listed).encode()
    assert dpk("verify-object", "-v", "-z", "--stdin", stdin=stdin).stdout.count(b"\0ok ") == len(listed) - 1


@pytest.mark.parametrize("at", [0, 40, -1])
@pytest.mark.parametrize("kind", ["commit", "node", "table", "blob", "fragment"])
def test_verify_object_finds_damage(dpk: Callable[..., Any], sales: Any, listed: list[str], kind: str, at: int) -> None:
    """The others are checked too, and what is missing; a line for each."""
    bad = first(listed, kind)
    damage(sales, bad, at)
    ran = dpk("verify-object", "--stdin", stdin="\n".join([ABSENT, *listed]).encode(), code=6)
    said = ran.out.splitlines()
    assert [line.split(" ")[:2] for line in said] == [["missing", ABSENT], ["damaged", bad.split()[1]]]
    assert ran.err == ""
    assert dpk("verify-object", bad.split()[1], "--json", code=6).json["what"] == "damaged"


def test_verify_object_looks_into_objects(dpk: Callable[..., Any], store: Any) -> None:
    """Bytes that have their oid, but are no commit, node or table."""
    odb = store.repository.odb
    for kind in ("commit", "node", "table"):
        oid = odb.write(kind, b'{"a":1}')
        assert dpk("verify-object", oid, code=6).out.startswith(f"damaged {oid} ")
    blob = odb.write("blob", b"x")
    assert f"damaged {blob} {blob} is a blob, not a commit" in (
        dpk("verify-object", "--stdin", stdin=f"commit {blob}".encode(), code=6).out
    )


def test_verify_object_as_it_is_called_wrongly(dpk: Callable[..., Any], listed: list[str]) -> None:
    for args, code in (([], 2), (["--stdin", ABSENT], 2), (["acme/sales"], 2), ([ABSENT[:12]], 2)):
        assert dpk("verify-object", *args, code=code).out == ""
    found = dpkg.plumbing.verify_object([ABSENT])
    assert [c.what for c in found] == ["missing"]
    assert found.exit_code == 6


# count-objects


def test_count_objects(dpk: Callable[..., Any], sales: Any, listed: list[str]) -> None:
    files = [p for p in Path(sales.url).rglob("*") if p.is_file()]
    places = {"object": "objects", "fragment": "fragments"}
    for line in dpk("count-objects").out.splitlines():
        kind, count, size = line.split()
        held = [p for p in files if p.relative_to(sales.url).parts[0] == places[kind]]
        assert (int(count), int(size)) == (len(held), sum(p.stat().st_size for p in held))
    reached = {line.split()[1]: line.split()[0] for line in dpk("rev-list", "--objects", "--all").out.splitlines()}
    by_type = {line.split()[0]: int(line.split()[1]) for line in dpk("count-objects", "-v").out.splitlines()}
    ways = {way: by_type.pop(way) for way in ("loose", "packed", "pack")}
    assert by_type == {t: list(reached.values()).count(t) for t in ("commit", "node", "table", "blob", "fragment")}
    assert ways == {"loose": sum(by_type.values()) - by_type["fragment"], "packed": 0, "pack": 0}
    dpk("repack")
    assert dpk("count-objects", "-v").out.splitlines()[-2].startswith(f"packed {ways['loose']} ")
    sales.repository.odb.write("blob", b"reached by nothing")
    assert dpk("count-objects", "-v", "--json").lines[3]["count"] == by_type["blob"] + 1


def test_count_objects_of_little(dpk: Callable[..., Any], store: Any) -> None:
    assert dpk("count-objects").out == "object 0 0\nfragment 0 0\n"
    oid = store.repository.odb.write("blob", b"x")
    damage(store, f"blob {oid}", 0)
    assert dpk("count-objects", "-v").out.splitlines()[5:] == ["damaged 1 65", "loose 1 65", "packed 0 0", "pack 0 0"]
    dpk("count-objects", "--store", "./none", code=3)
    with pytest.raises(NotFound):
        dpkg.plumbing.count_objects(store="./none")
