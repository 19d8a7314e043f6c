"""for-each-ref, ls-remote, check-ref-format: refs by their names."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dpkg
from dpkg.names import parse_expr, valid_package, valid_ref
from dpkg.refs.patterns import matches


@pytest.fixture
def refs(sales: Any) -> Any:
    """acme/sales with main, next and v1; acme/more with main; zoo/sales with main. Times are told apart."""
    repository = sales.repository
    for package, branch in (("acme/sales", "next"), ("acme/more", "main"), ("zoo/sales", "main")):
        sales.commit(package, {"x": package.encode()}, f"message of {package}\nmore", branch)
    assert repository.tip("acme/sales", "next")
    return sales


ALL = [
    "acme/more/heads/main",
    "acme/sales/heads/main",
    "acme/sales/heads/next",
    "acme/sales/tags/v1",
    "zoo/sales/heads/main",
]


# for-each-ref


def test_by_default_as_show_ref(dpk: Callable[..., Any], refs: Any) -> None:
    assert dpk("for-each-ref").out == dpk("show-ref").out
    assert [line.split()[1] for line in dpk("for-each-ref").out.splitlines()] == ALL


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ([], ALL),
        (["acme"], ALL[:4]),
        (["acme/"], ALL[:4]),
        (["acme/sales"], ALL[1:4]),
        (["acme/sal"], []),
        (["*/sales"], ALL[1:]),
        (["*/*/tags"], ALL[3:4]),
        (["*/*/heads/ma*"], [ALL[0], ALL[1], ALL[4]]),
        (["*/*/heads/[!m]*"], ALL[2:3]),
        (["acme/sales/heads/main"], ALL[1:2]),
        (["acme/sales/heads/main/x"], []),
        (["zoo", "acme/more"], [ALL[0], ALL[4]]),
        (["*"], ALL),
        (["none"], []),
    ],
)
def test_patterns(dpk: Callable[..., Any], refs: Any, patterns: list[str], wanted: list[str]) -> None:
    assert dpk("for-each-ref", "--format", "%(refname)", *patterns).out.split() == wanted
    assert [line.split("\t")[1] for line in dpk("ls-remote", refs.url, *patterns).out.splitlines()] == wanted


@given(st.lists(st.sampled_from(["a", "b", "*", "?", "ab"]), min_size=1, max_size=5))
def test_a_pattern_fits_part_by_part(parts: list[str]) -> None:
    for name in ("a/b/heads/ab", "ab/a/tags/b"):
        own = name.split("/")
        fits = len(parts) <= 4 and all(fnmatch.fnmatchcase(o, p) for o, p in zip(own, parts, strict=False))
        assert matches(name, ["/".join(parts)]) == fits


def test_every_field(dpk: Callable[..., Any], refs: Any) -> None:
    tip = refs.repository.tip("acme/sales", "next")
    commit = refs.repository.commit(tip)
    entry = next(refs.repository.refs.log("acme/sales", "heads", "next"))
    wanted = {
        "refname": "acme/sales/heads/next",
        "refname:short": "acme/sales@next",
        "objectname": tip,
        "objectname:short": tip[:12],
        "package": "acme/sales",
        "kind": "heads",
        "name": "next",
        "tophash": commit.tree,
        "tophash:short": commit.tree[:12],
        "author": "Ada <ada@example.com>",
        "time": str(commit.time),
        "subject": "message of acme/sales",
        "event": "commit",
        "who": "Ada <ada@example.com>",
        "why": "message of acme/sales\\nmore",
        "n": "1",
        "logtime": str(entry.time),
    }
    for field, value in wanted.items():
        assert dpk("for-each-ref", "--format", f"<%({field})>", "acme/sales/heads/next").out == f"<{value}>\n", field
    assert dpk("for-each-ref", "--format", "%(time:iso)%09%(logtime:iso)", "zoo").out.count(" UTC") == 2
    (as_json,) = dpk("for-each-ref", "acme/sales/heads/next", "--json").lines
    shown = {k: str(v) for k, v in as_json.items() if k != "schema"}
    assert shown == {k: v for k, v in wanted.items() if ":" not in k} | {"why": "message of acme/sales\nmore"}
    why = dpk("for-each-ref", "-z", "--format", "%(why)", "acme/sales/heads/next").out
    assert why == "message of acme/sales\nmore\0"  # as it is


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("%%(name)", "%(name)"),
        ("a%0ab", "a\nb"),
        ("%c3%BC", "ü"),
        ("%25", "%"),
        ("ü %(name) (x)", "ü v1 (x)"),
        ("", ""),
        ("%(name)%(name)", "v1v1"),
        ("%%%(name)%%", "%v1%"),
    ],
)
def test_formats(dpk: Callable[..., Any], refs: Any, format: str, said: str) -> None:
    assert dpk("for-each-ref", "--format", format, "acme/sales/tags").out == said + "\n"


def test_nothing_of_a_commit_steers_a_terminal(dpk: Callable[..., Any], store: Any) -> None:
    store.commit("a/b", {"x": b""}, "evil\x1b[31m\u202e")
    assert dpk("for-each-ref", "--format", "%(subject)|%(why)").out == "evil\\x1b[31m\\u202e|evil\\x1b[31m\\u202e\n"


def test_sort_and_count(dpk: Callable[..., Any], refs: Any) -> None:
    def names(*args: str) -> list[str]:
        return dpk("for-each-ref", "--format", "%(refname)", *args).out.split()

    assert names("--sort", "refname") == ALL
    assert names("--sort", "-refname") == ALL[::-1]
    assert names("--count", "2") == ALL[:2]
    assert names("--count", "0") == []
    assert names("--sort", "kind", "--sort", "-name") == [ALL[2], ALL[0], ALL[1], ALL[4], ALL[3]]
    assert names("--sort", "-refname", "--count", "1") == ALL[-1:]
    for i in range(12):
        refs.commit("acme/more", {"x": bytes([i])}, str(i))
    assert names("--sort", "-n")[0] == "acme/more/heads/main"  # 13 > 2: a number, not text


def test_a_deleted_ref_is_gone(dpk: Callable[..., Any], refs: Any) -> None:
    dpk("rm", "acme/sales@v1")
    assert ALL[3] not in dpk("for-each-ref").out
    assert ALL[3] not in dpk("ls-remote", refs.url).out
    assert dpk("for-each-ref", "acme/sales/tags").out == ""


def test_a_barrier_leaves_the_value(dpk: Callable[..., Any], refs: Any) -> None:
    """The newest entry of a log need not be the one with the commit."""
    log = refs.repository.refs
    tip = log.tip("zoo/sales", "heads", "main")
    log.append("zoo/sales", "heads", "main", "barrier", None, expected=tip, who="gc", why="")
    said = dpk("for-each-ref", "--format", "%(objectname) %(event) %(n) %(who)", "zoo").out.split()
    assert said == [tip.oid, "barrier", "2", "gc"]


def test_what_is_no_field(dpk: Callable[..., Any], refs: Any) -> None:
    for args, hint in (
        (["--format", "%(refnam)"], "refname"),
        (["--format", "%(zzz)"], "fields:"),
        (["--format", "%"], "%%"),
        (["--format", "%(name"], "%%"),
        (["--format", "%g0"], "%%"),
        (["--sort", "nam"], "name"),
        (["--sort", "-nam"], "name"),
        (["--count", "-1"], "0 or more"),
    ):
        ran = dpk("for-each-ref", *args, code=2)
        assert ran.out == ""
        assert hint in ran.err, args


# ls-remote


def test_ls_remote(dpk: Callable[..., Any], refs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "nothing"))  # there need be no store here
    lines = dpk("ls-remote", refs.url).out.splitlines()
    assert lines == [line.replace(" ", "\t") for line in dpk("show-ref", "--store", refs.url).out.splitlines()]
    assert not (tmp_path / "nothing").exists()
    first = dpk("ls-remote", refs.url, "--json").lines[0]
    assert (first["refname"], first["package"], first["kind"], first["name"]) == (ALL[0], "acme/more", "heads", "main")
    assert dpk("ls-remote", "-z", refs.url).stdout.count(b"\0") == len(ALL)


def test_ls_remote_by_name(dpk: Callable[..., Any], refs: Any) -> None:
    dpk("push", "acme/sales", "./other")
    dpk("remote", "add", "origin", "./other")
    assert dpk("ls-remote").out == dpk("ls-remote", "origin").out == dpk("ls-remote", "./other").out != ""
    for args, code in ((["./none"], 3), (["nameless"], 3)):
        assert dpk("ls-remote", *args, code=code).out == ""


def test_ls_remote_without_a_remote(dpk: Callable[..., Any], store: Any) -> None:
    assert dpk("ls-remote", code=None).code in (2, 3)


# check-ref-format


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            "ref",
            ["v1", "V1.2-rc_3", "a" * 100],
            ["", "latest", "a/b", "a..b", "-a", ".a", "a b", "ü", "a" * 101, "a\n"],
        ),
        ("package", ["a/b", "acme/sales.2026"], ["", "a", "a/b/c", "A/b", "a/", "/b", "a/b@v1", "./a"]),
        ("revision", ["latest", "v1", "~2", "v1~~3", "3fa9c1"], ["", "a/b", "a..b", "v1~x", "a@b", "~1234567890"]),
        (
            "expr",
            ["a/b", "a/b@v1", "a/b@v1/x/y z", "a/b/x"],
            ["", "a", "a/b@", "a/b@v1..v2", "a/b//x", "a/b/..", "a@b/c"],
        ),
        ("range", ["a/b@v1..v2", "a/b@v1..~1/x"], ["a/b", "a/b@v1", "a/b@..v1", "a/b@v1..", "v1..v2"]),
    ],
)
def test_check_ref_format(dpk: Callable[..., Any], store: Any, kind: str, good: list[str], bad: list[str]) -> None:
    for text in good:
        ran = dpk("check-ref-format", "--kind", kind, "--", text)
        assert (ran.out, ran.err) == ("", "")
    for text in bad:
        ran = dpk("check-ref-format", "--kind", kind, "--", text, code=2)
        assert ran.out == ""
        assert ran.err.startswith("dpk: ")


def test_the_parts_of_an_expression(dpk: Callable[..., Any], store: Any) -> None:
    said = dpk("check-ref-format", "--kind", "expr", "a/b@v1~2/x/y", "--json").json
    assert (said["package"], said["revision"], said["path"]) == ("a/b", "v1~2", "x/y")
    said = dpk("check-ref-format", "--kind", "range", "a/b@v1..v2", "--json").json
    assert (said["start"], said["revision"], said["path"]) == ("v1", "v2", None)
    dpk("check-ref-format", "v1", "--store", "./no/store/here")  # none is looked for
    with pytest.raises(dpkg.DpkgError):
        dpkg.plumbing.check_ref_format("v1", kind="nonsense")


@given(st.text(st.sampled_from("ab/@~.-1A \n"), max_size=10), st.sampled_from(["ref", "package", "expr"]))
def test_it_says_what_the_names_say(text: str, kind: str) -> None:
    check: Any = {"ref": valid_ref, "package": valid_package, "expr": parse_expr}[kind]
    outcomes = []
    for call in (lambda: check(text), lambda: dpkg.plumbing.check_ref_format(text, kind=kind)):
        try:
            call()
            outcomes.append(0)
        except dpkg.DpkgError as e:
            outcomes.append(e.exit_code)
    assert outcomes in ([0, 0], [2, 2])
