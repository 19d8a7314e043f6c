"""mktree and ls-tree: a listing is a tree, and a tree its listing, whatever the names are; -z and quotes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.errors import Format
from dpkg.listing import parse_ids, quote, read_records, unquote
from dpkg.objects.node import TreeEntry

ABSENT = "f" * 64
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
NASTY = [
    '"',
    "\\",
    '"quoted"',
    "\t",
    "a\tb",
    "a\nb",
    "a\rb",
    "\r",
    " ",
    " a ",
    "-",
    "{",
    '{"type":1}',
    "\x1b[31m",
    "\x7f",
]
NASTY += ["\u202egpj.exe", "ü", "\u0085", "\u2028", "\\101", "\\n", "日本", "a  b", "e\u0301", "\U000e0001", "\ufeff"]


@pytest.fixture(scope="module")
def roomy(make_store: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store for many trees."""
    return make_store(str(tmp_path_factory.mktemp("mktree") / "store"))


# A name in a line


@given(NAMES | st.sampled_from(NASTY))
def test_a_quoted_name_reads_back_and_is_one_printable_line(name: str) -> None:
    said = quote(name)
    assert unquote(said) == name
    assert said.isprintable()
    assert (said == name) == (name.isprintable() and not set(name) & {'"', "\\"})


@pytest.mark.parametrize(
    ("name", "said"),
    [("a b", "a b"), ('a"b', r'"a\"b"'), ("a\\b", r'"a\\b"'), ("a\tb\n", r'"a\tb\n"'), ("ü\x01", r'"ü\001"')],
)
def test_quotes_are_gits(name: str, said: str) -> None:
    assert quote(name) == said


@pytest.mark.parametrize(
    "said", ['"', '"a', '"a"b', '"a"b"', r'"\"', r'"\q"', r'"\400"', r'"\37"', r'"\377"', "a\x01b"]
)
def test_what_is_no_name(said: str) -> None:
    with pytest.raises(Format):
        unquote(said)


@given(st.text(max_size=20))
def test_unquoting_anything_gives_a_name_or_format(text: str) -> None:
    with suppress(Format):
        name = unquote(text)
        assert unquote(quote(name)) == name


# ls-tree | mktree


@settings(max_examples=40, deadline=None)
@given(names=st.sets(NAMES | st.sampled_from(NASTY), max_size=8), meta=st.integers(0, 3), how=st.sampled_from("lzj"))
def test_ls_tree_into_mktree_is_the_same_tree(roomy: Any, run: Any, names: set[str], meta: int, how: str) -> None:
    """With blobs, tables and trees, and metadata; as lines, with -z and with --json; in any order."""
    inner: list[Any] = [b"x", {"id": [1, 2]}, {"deep": b"y"}]
    contents = {
        name: (inner[i % 3], {"note": name}) if meta and i % meta == 0 else inner[i % 3] for i, name in enumerate(names)
    }
    tree = roomy.tree(contents)
    flags = {"l": [], "z": ["-z"], "j": ["--json"]}[how]
    end = b"\0" if how == "z" else b"\n"
    listing = run("ls-tree", tree, *flags, "--store", roomy.url).stdout
    assert listing.count(end) == len(names)
    back = end.join([*listing.split(end)[-2::-1], b""]) if names else b""
    assert run("mktree", *[f for f in flags if f != "--json"], "--store", roomy.url, stdin=back).out.strip() == tree


def test_lines_as_they_are_documented(dpk: Callable[..., Any], store: Any) -> None:
    tree = store.tree({'say "hi"\n': (b"abc", {"unit": "m"}), "plain": b"x"})
    odb = store.repository.odb
    plain, said = dpk("ls-tree", tree).out.splitlines()
    meta = odb.write("blob", rfc8785.dumps({"unit": "m"}))
    assert plain.split("\t")[1] == "plain"
    assert said == f'blob {odb.write("blob", b"abc")} 3 {meta}\t"say \\"hi\\"\\n"'
    raw = dpk("ls-tree", "-z", tree).stdout.split(b"\0")
    assert raw[1] == said.split("\t")[0].encode() + b'\tsay "hi"\n'
    assert raw[2:] == [b""]


def test_bytes_may_be_left_out(dpk: Callable[..., Any], sales: Any) -> None:
    tree = dpk("rev-parse", "--tophash", "acme/sales").out.strip()
    lines = [[*line.split(" ", 2)[:2], line.partition("\t")[2]] for line in dpk("ls-tree", tree).out.splitlines()]
    text = "".join(f"{type} {oid} -\t{name}\n" for type, oid, name in lines)
    made = dpk("mktree", "--json", stdin=text.encode()).json
    assert (made["oid"], made["entries"]) == (tree, 4)
    as_json = "".join(json.dumps({"type": t, "oid": o, "path": n, "more": 1}) + "\n" for t, o, n in lines)
    mixed = as_json.splitlines(keepends=True)[0] + "".join(text.splitlines(keepends=True)[1:])
    assert dpk("mktree", stdin=mixed.encode().rstrip(b"\n")).out.strip() == tree  # a last newline may lack


def test_the_empty_tree(dpk: Callable[..., Any], store: Any) -> None:
    oid = dpk("mktree", stdin=b"").out.strip()
    assert oid == store.tree({})
    assert dpk("ls-tree", oid).out == ""
    assert dpk("ls-tree", "-z", oid).stdout == b""


def test_ten_thousand_entries(dpk: Callable[..., Any], store: Any) -> None:
    """Many nodes; given backwards they make the same tree."""
    repository = store.repository
    blobs = [repository.odb.write("blob", bytes([i])) for i in range(100)]
    from dpkg.index import build_tree

    entries = [TreeEntry(f"file \x01{i:06d}", "blob", blobs[i % 100], 1) for i in range(10_000)]
    tree = build_tree(entries, lambda data: repository.odb.write("node", data)).oid
    for flags, end in (([], b"\n"), (["-z"], b"\0")):
        records = dpk("ls-tree", tree, *flags).stdout.split(end)[:-1]
        assert len(records) == 10_000
        made = dpk("mktree", *flags, "--json", stdin=end.join(reversed(records)) + end).json
        assert (made["oid"], made["entries"]) == (tree, 10_000)


BLOB = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"  # of no bytes


@pytest.mark.parametrize(
    ("listing", "code", "said"),
    [
        (f"blob {BLOB} 0 a", 7, "is not an entry"),  # no tab
        (f"blob {BLOB}\ta", 7, "is not an entry"),
        (f"blob {BLOB} x\ta", 7, "is not an entry"),
        (f"blob  {BLOB} 0\ta", 7, "is not an entry"),
        ("", 7, "is not an entry"),
        (f"commit {BLOB} 0\ta", 7, "not a type of entry"),
        (f"table {BLOB} 0\ta", 7, "is a blob, not a table"),
        (f"tree {BLOB} 0\ta", 7, "is a blob, not a tree"),
        (f"blob {BLOB[:12]} 0\ta", 7, "is not an object id"),
        (f"blob {BLOB} 1\ta", 7, "0 bytes, and 1 are said"),
        (f"blob {ABSENT} 0\ta", 3, ABSENT),
        (f"blob {BLOB} 0 {ABSENT}\ta", 3, ABSENT),
        (f"blob {BLOB} 0 {BLOB}\ta", 7, "no blob of metadata"),
        (f"blob {BLOB} 0\t", 7, "not a name"),
        (f"blob {BLOB} 0\ta/b", 7, "not a name"),
        (f"blob {BLOB} 0\t..", 7, "not a name"),
        (f"blob {BLOB} 0\ta\x07", 7, "control characters"),
        (f'blob {BLOB} 0\t"a', 7, "quotes or escapes"),
        (f"blob {BLOB} 0\t{'a' * 1025}", 7, "not a name"),
        ("{", 7, "not JSON"),
        ('{"type":"blob"}', 7, "a member is missing"),
        (f'{{"type":"blob","oid":"{BLOB}","path":"a","bytes":-1}}', 7, "a member is missing"),
        (f'{{"type":"blob","oid":"{BLOB}","path":"\\ud800"}}', 7, "not valid UTF-8"),
    ],
)
def test_what_is_no_listing(dpk: Callable[..., Any], store: Any, listing: str, code: int, said: str) -> None:
    """The record is named by its number, and no tree is made."""
    store.repository.odb.write("blob", b"")
    ran = dpk("mktree", stdin=f"blob {BLOB} 0\tgood\n{listing}\n".encode(), code=code)
    assert "record 2" in ran.err
    assert said in ran.err
    assert ran.out == ""


def test_names_twice_and_bytes_that_are_no_text(dpk: Callable[..., Any], store: Any) -> None:
    store.repository.odb.write("blob", b"")
    line = f"blob {BLOB} 0\ta\n".encode()
    assert "two entries named 'a'" in dpk("mktree", stdin=line * 2, code=7).err
    assert "record 2 of standard input is not UTF-8" in dpk("mktree", stdin=line + b"\xff\n", code=7).err
    assert "longer than" in dpk("mktree", stdin=line + b"x" * (3 << 20), code=7).err
    assert dpk("mktree", stdin=line.replace(b"\n", b"\0"), code=7).out == ""  # -z is not guessed
    dpk("mktree", "--store", "./none", code=3)


def test_records_of_a_pipe_come_as_they_are_written(tmp_path: Any) -> None:
    """The first is there before the second is written."""
    import os

    out, into = os.pipe()
    with os.fdopen(out, "rb") as reader:
        records = read_records(False, stream=reader)
        os.write(into, b"one\ntw")
        assert next(records) == "one"
        os.write(into, b"o\n")
        assert next(records) == "two"
        os.close(into)
        assert list(records) == []


def test_ids(store: Any) -> None:
    oid = "ab" * 32
    assert list(parse_ids([oid, f"blob {oid}", f"tree {oid} ", f"fragment\t{oid}"])) == [
        (None, oid),
        ("blob", oid),
        ("node", oid),
        ("fragment", oid),
    ]
    for bad in ("", "x", f"file {oid}", f"blob {oid} 3", f"{oid} blob", oid.upper()):
        with pytest.raises(Format, match="record 1"):
            list(parse_ids([bad]))


# -z, and pipes


def test_null_ends_records_everywhere(dpk: Callable[..., Any], sales: Any) -> None:
    """With -z a listing has the same records, each ended by a NUL."""
    for args in (
        ["ls-tree", "-r", "acme/sales"],
        ["show-ref"],
        ["rev-parse", "acme/sales"],
        ["ls-fragments", "acme/sales/transactions"],
        ["ls-fragments", "--paths", "acme/sales/transactions"],
        ["rev-list", "--objects", "--all"],
        ["rev-list", "--count", "--all"],
        ["diff-tree", "acme/sales@v1", "acme/sales"],
        ["for-each-ref"],
    ):
        lines, nulls = dpk(*args).stdout, dpk(*args, "-z").stdout
        assert nulls == lines.replace(b"\n", b"\0"), args
        assert nulls, args


def test_paths_of_fragments_in_odd_places(dpk: Callable[..., Any], make_store: Any, tmp_path: Any) -> None:
    odd = make_store(str(tmp_path / 'st\t"re\n'))
    odd.commit("a/b", {"t": {"x": [1]}})
    raw = dpk("ls-fragments", "--paths", "-z", "a/b/t", "--store", odd.url).stdout.rstrip(b"\0").decode()
    (line,) = dpk("ls-fragments", "--paths", "a/b/t", "--store", odd.url).out.splitlines()
    assert unquote(line) == raw
    assert raw.startswith(odd.url)


def test_hash_object_of_paths_on_standard_input(dpk: Callable[..., Any], store: Any) -> None:
    from pathlib import Path

    for name in ("a\nb", "-", "plain"):
        Path(name).write_text(name)
    wanted = [dpk("hash-object", f"./{name}").out.strip() for name in ("a\nb", "-", "plain")]
    assert dpk("hash-object", "--stdin-paths", "-z", stdin=b"a\nb\0-\0plain\0").out == "".join(f"{w}\0" for w in wanted)
    assert dpk("hash-object", "--stdin-paths", "-w", stdin=b"-\nplain\n").out.split() == wanted[1:]
    assert dpk("cat-object", wanted[2]).out == "plain"
    assert dpk("hash-object", "--stdin-paths", stdin=b"plain\nnone\n", code=3).out.split() == wanted[2:]
    dpk("hash-object", "--stdin-paths", "plain", code=2)
    dpk("hash-object", "--stdin-paths", "--stdin", code=2)


def test_a_batch_of_names_with_newlines(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("a/b", {"two\nlines": b"x\n"})
    oid = dpk("rev-parse", "a/b/two\nlines").out.strip()
    ran = dpk("cat-object", "--batch", "-z", stdin=b"a/b/two\nlines\0no\nne\0")
    assert ran.stdout == f"{oid} blob 2\0x\n\nno\nne missing\0".encode()
    dpk("cat-object", "-z", "a/b", code=2)


@pytest.mark.parametrize("flags", [[], ["-z"]])
def test_a_pipe_that_closes_early(store: Any, flags: list[str]) -> None:
    """`dpk ls-tree | head -1` ends quietly, with the code of a closed pipe."""
    tree = store.tree({f"name {i:05d}": b"x" for i in range(5_000)})
    command = [sys.executable, "-m", "dpkg", "ls-tree", tree, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.read(5) == b"blob "
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 141
