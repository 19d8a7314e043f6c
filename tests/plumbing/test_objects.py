"""hash-object and cat-object: bytes by their id."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import dpkg
from dpkg.errors import Corrupt, NotFound, Usage
from dpkg.objects.commit import Commit

README = b"# Sales\n"


@pytest.fixture
def files(store: Any) -> dict[str, str]:
    """Some files, and the oids of their bytes."""
    held = {"a.txt": b"a\n", "empty": b"", "big.bin": os.urandom(3_000_000), "-": b"in a file\n"}
    for name, data in held.items():
        Path(name).write_bytes(data)
    return {name: blake3(data).hexdigest() for name, data in held.items()}


# hash-object


@pytest.mark.parametrize("write", [False, True])
def test_hash_files(dpk: Callable[..., Any], files: dict[str, str], store: Any, write: bool) -> None:
    flags = ["-w"] if write else []
    ran = dpk("hash-object", "a.txt", "empty", "big.bin", "./-", *flags)
    assert ran.out.split() == list(files.values())
    held = [dpk("cat-object", "-e", oid, code=None).code for oid in files.values()]
    assert held == [0 if write else 3] * 4
    assert dpk("hash-object", "a.txt", *flags, "--json").json == {
        "oid": files["a.txt"],
        "type": "blob",
        "bytes": 2,
        "source": "a.txt",
    }


def test_hash_standard_input(dpk: Callable[..., Any], store: Any) -> None:
    for args in (["--stdin"], ["-"], ["--stdin", "-w"]):
        assert dpk("hash-object", *args, stdin=b"x" * 2_000_000).out.strip() == blake3(b"x" * 2_000_000).hexdigest()
    assert dpk("cat-object", "-s", blake3(b"x" * 2_000_000).hexdigest()).out == "2000000\n"


def test_hashing_without_w_makes_no_store(dpk: Callable[..., Any], files: dict[str, str], tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    dpk("hash-object", "a.txt", "--store", absent)
    assert not os.path.exists(absent)
    dpk("hash-object", "a.txt", "-w", "--store", absent)
    assert os.path.exists(absent)


def test_what_cannot_be_hashed(dpk: Callable[..., Any], files: dict[str, str]) -> None:
    dpk("hash-object", code=2)
    dpk("hash-object", "--stdin", "a.txt", code=2)
    dpk("hash-object", "a.txt", "--format", "csv", code=2)
    assert "absent" in dpk("hash-object", "absent", code=3).err
    assert dpk("hash-object", "absent", "-w", code=3).err == dpk("hash-object", "absent", code=3).err
    dpk("hash-object", ".", code=8)
    ran = dpk("hash-object", "a.txt", "absent", code=3)
    assert ran.out.strip() == files["a.txt"]  # what was done before is said


def test_hashing_from_python(files: dict[str, str]) -> None:
    assert [h.oid for h in dpkg.plumbing.hash_object(["a.txt", "empty"])] == [files["a.txt"], files["empty"]]
    assert next(dpkg.plumbing.hash_object("a.txt")).oid == files["a.txt"]
    with pytest.raises(Usage):  # at the call, not at the first item
        dpkg.plumbing.hash_object()


# cat-object


def test_bytes_type_size(dpk: Callable[..., Any], sales: Any) -> None:
    oid = dpk("rev-parse", "acme/sales/README.md").out.strip()
    for name in (oid, oid[:8], oid[:4], "acme/sales/README.md", "acme/sales@v1/README.md"):
        assert dpk("cat-object", name).stdout == README
        assert dpk("cat-object", "-p", name).stdout == README
        assert dpk("cat-object", "-t", name).out == "blob\n"
        assert dpk("cat-object", "-s", name).out == "8\n"
        assert dpk("cat-object", "-e", name).out == ""


def test_every_type(dpk: Callable[..., Any], sales: Any) -> None:
    names = {"acme/sales": "commit", "acme/sales/transactions": "table", "acme/sales/docs": "node"}
    for name, kind in names.items():
        assert dpk("cat-object", "-t", name).out.strip() == kind
        raw, pretty = dpk("cat-object", name).stdout, dpk("cat-object", "-p", name).out
        assert int(dpk("cat-object", "-s", name).out) == len(raw)
        assert json.loads(raw) == json.loads(pretty)
        assert pretty.startswith("{\n  ")
    assert Commit.decode(dpk("cat-object", "acme/sales").stdout).message == "second"


def test_json(dpk: Callable[..., Any], sales: Any) -> None:
    name = "acme/sales/README.md"
    oid = dpk("rev-parse", name).out.strip()
    whole = {"name": name, "oid": oid, "type": "blob", "size": 8, "value": "# Sales\n"}
    assert dpk("cat-object", name, "--json").json == whole
    assert dpk("cat-object", "-p", name, "--json").json == whole
    assert dpk("cat-object", "-t", name, "--json").json == {"name": name, "oid": oid, "type": "blob"}
    assert dpk("cat-object", "-s", name, "--json").json == {"name": name, "oid": oid, "size": 8}
    assert dpk("cat-object", "-e", name, "--json").json == {"name": name, "oid": oid}
    assert dpk("cat-object", "acme/sales", "--json").json["value"]["message"] == "second"
    binary = dpk("hash-object", "-w", "--stdin", stdin=b"\xff\0").out.strip()
    assert dpk("cat-object", binary, "--json").json["value"] == {"base64": base64.b64encode(b"\xff\0").decode()}


def test_absent(dpk: Callable[..., Any], sales: Any) -> None:
    for name in ("f" * 64, "ffffffff", "acme/sales/absent", "acme/none"):
        for flag in ("-e", "-t", "-s", "-p", "-q"):
            assert dpk("cat-object", flag, name, code=3).out == ""
    dpk("cat-object", "-t", "-s", "acme/sales", code=2)
    dpk("cat-object", code=2)
    dpk("cat-object", "acme/sales", "--batch", code=2)
    dpk("cat-object", "xyz", code=2)
    dpk("cat-object", "F" * 64, code=7)
    fragment = next(dpkg.plumbing.ls_fragments("acme/sales/transactions")).oid
    assert f"dpk cat-fragment {fragment}" in dpk("cat-object", fragment, code=3).err


def test_an_ambiguous_prefix_lists_its_candidates(dpk: Callable[..., Any], store: Any) -> None:
    odb, found, i = store.repository.odb, {}, 0
    while True:  # two blobs that begin alike
        data = str(i).encode()
        oid = blake3(data).hexdigest()
        if oid[:4] in found:
            break
        found[oid[:4]] = data
        i += 1
    pair = [odb.write("blob", found[oid[:4]]), odb.write("blob", data)]
    for command in (["cat-object"], ["rev-parse"]):
        ran = dpk(*command, oid[:4], code=2)
        assert "ambiguous" in ran.err
        assert all(f"blob   {o}" in ran.err for o in pair)
    dpk("cat-object", oid[:4], "-e", code=2)
    shortest = next(n for n in range(5, 64) if pair[0][:n] != pair[1][:n])
    assert dpk("rev-parse", pair[0][:shortest]).out.strip() == pair[0]


def test_batch(dpk: Callable[..., Any], sales: Any) -> None:
    oid = dpk("rev-parse", "acme/sales/README.md").out.strip()
    names = [b"acme/sales/README.md", oid[:10].encode(), b"f" * 64, b"acme/none", b"zz", b"", b"\xff/x", b"acme/sales"]
    ran = dpk("cat-object", "--batch", stdin=b"\n".join(names) + b"\n")
    commit = dpk("rev-parse", "acme/sales").out.strip()
    payload = dpk("cat-object", "acme/sales").stdout
    blob = f"{oid} blob 8\n".encode() + README + b"\n"
    missing = b"".join(name + b" missing\n" for name in names[2:7])
    assert ran.stdout == blob * 2 + missing + f"{commit} commit {len(payload)}\n".encode() + payload + b"\n"
    lines = dpk("cat-object", "--batch", "--json", stdin=b"\n".join(names[:3])).lines
    assert [(e["oid"], e.get("value")) for e in lines] == [(oid, "# Sales\n"), (oid, "# Sales\n"), (None, None)]
    assert dpk("cat-object", "--batch").stdout == b""


def test_batch_answers_at_once(sales: Any) -> None:
    """One name in, one answer out, as a script that holds the pipe open needs it."""
    command = [sys.executable, "-m", "dpkg", "cat-object", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(3):
            process.stdin.write(b"acme/sales/README.md\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(b" blob 8\n")
            assert process.stdout.read(9) == README + b"\n"
        process.stdin.close()
    assert process.returncode == 0


def test_objects_from_python(sales: Any) -> None:
    found = dpkg.plumbing.cat_object("acme/sales/README.md")
    assert (found.type, found.size, found.read(), b"".join(found.chunks())) == ("blob", 8, README, README)
    with pytest.raises(NotFound):
        dpkg.plumbing.cat_object("f" * 64)


def test_a_damaged_object(dpk: Callable[..., Any], sales: Any) -> None:
    oid = dpk("rev-parse", "acme/sales/README.md").out.strip()
    path = Path(sales.url, "objects", oid[:2], oid[2:])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    ran = dpk("cat-object", oid, code=6)
    assert ran.out == ""
    assert oid in ran.err
    assert dpk("cat-object", "--batch", stdin=oid.encode(), code=6).err == ran.err
    with pytest.raises(Corrupt):
        dpkg.plumbing.cat_object(oid).read()
