"""init, tag, rm, remote and config."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg.errors import AlreadyExists

# init


def test_init_here(dpk: Callable[..., Any], store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPK_STORE")
    here = Path.cwd()
    assert dpk("init", "--json").json == {"store": str(here / ".dpk"), "created": True}
    assert dpk("init", "--json").json == {"store": str(here / ".dpk"), "created": False}
    assert "there is a store already" in dpk("init").out
    (here / "below").mkdir()
    monkeypatch.chdir("below")  # the nearest .dpk upward is found
    (here / "below" / "x").write_text("x")
    assert dpk("build", "acme/x", "x", "--json").json["store"] == str(here / ".dpk")


def test_init_elsewhere(dpk: Callable[..., Any], store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dpk("init", "sub/folder", "--json").json["store"] == str(Path.cwd() / "sub/folder/.dpk")
    assert dpk("init", "--store", "named", "--json").json["store"] == str(Path.cwd() / "named")
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "from the environment"))
    assert dpk("init", "--json").json["store"] == str(tmp_path / "from the environment")
    dpk("init", "a", "--store", "b", code=2)


def test_init_where_something_else_is(dpk: Callable[..., Any], store: Any) -> None:
    Path("file").write_text("x")
    assert dpk("init", "file", code=8).out == ""
    Path("other").mkdir()
    Path("other/format").write_text("not ours")
    dpk("init", "--store", "other", code=6)
    Path("newer").mkdir()
    Path("newer/format").write_text('{"format":"dpkg 9","requires":[]}')
    assert "dpkg 9" in dpk("init", "--store", "newer", code=7).err


# tag


def test_tag(dpk: Callable[..., Any], sales: Any) -> None:
    old, new = (dpk("rev-parse", f"acme/sales@{r}").out.strip() for r in ("v1", "latest"))
    made = dpk("tag", "acme/sales", "v2", "-m", "why", "--json").json
    assert (made["tag"], made["commit"], made["created"]) == ("v2", new, True)
    assert dpk("tag", "acme/sales", "v2", "--json").json["created"] is False
    assert "already tagged" in dpk("tag", "acme/sales", "v2").out
    assert dpk("tag", "acme/sales", "first", "latest~1", "--json").json["commit"] == old
    assert dpk("tag", "acme/sales", "short", old[:8], "--json").json["commit"] == old
    assert dpk("rev-parse", "acme/sales@first").out.strip() == old


def test_a_tag_never_moves(dpk: Callable[..., Any], sales: Any) -> None:
    ran = dpk("tag", "acme/sales", "v1", "latest", code=4)
    assert "a tag never moves" in ran.err
    assert dpk("rev-parse", "acme/sales@v1").out == dpk("rev-parse", "acme/sales@latest~1").out
    dpk("rm", "acme/sales@v1")
    for revision in ("latest", "latest~1"):  # nor is its name used again
        assert "not used again" in dpk("tag", "acme/sales", "v1", revision, code=4).err
    with pytest.raises(AlreadyExists):
        dpkg.tag("acme/sales", "v1")


def test_names_and_commits_that_no_tag_can_have(dpk: Callable[..., Any], sales: Any) -> None:
    for args, code in (
        (["acme/sales", "latest"], 2),
        (["acme/sales", "main"], 4),  # would hide the branch
        (["acme/sales", "a/b"], 2),
        (["acme/sales", "a..b"], 2),
        (["acme/sales", ""], 2),
        (["acme/sales", "v2", "nothing"], 3),
        (["acme/sales", "v2", "latest~5"], 3),
        (["acme/sales", "v2", "v1..latest"], 2),
        (["acme/sales", "v2", "v1/README.md"], 2),
        (["acme/sales", "v2", "latest~" + "9" * 99], 2),
        (["acme/sales@v1", "v2"], 2),
        (["acme/none", "v2"], 3),
    ):
        assert dpk("tag", *args, code=code).out == "", args


# rm


def test_rm_a_tag(dpk: Callable[..., Any], sales: Any) -> None:
    commit = dpk("rev-parse", "acme/sales@v1").out.strip()
    gone = dpk("rm", "acme/sales@v1", "-m", "a mistake", "--json").json
    assert gone == {"package": "acme/sales", "refs": [{"kind": "tags", "name": "v1", "commit": commit}]}
    dpk("rev-parse", "acme/sales@v1", code=3)
    dpk("rm", "acme/sales@v1", code=3)
    newest = next(sales.repository.refs.log("acme/sales", "tags", "v1"))
    assert (newest.event, newest.why, newest.who) == ("deleted", "a mistake", "Ada <ada@example.com>")
    assert len(dpk("log", "acme/sales", "--json").lines) == 2


def test_rm_a_package_and_bring_it_back(dpk: Callable[..., Any], sales: Any) -> None:
    commit = dpk("rev-parse", "acme/sales").out.strip()
    said = dpk("rm", "acme/sales").out
    assert "removed acme/sales tag 'v1'" in said
    assert dpk("ls", "--json").out == ""
    dpk("log", "acme/sales", code=3)
    dpk("rm", "acme/sales", code=3)
    back = next(line.partition("dpk ")[2] for line in said.splitlines() if "bring it back" in line)
    dpk(*back.split())
    assert dpk("rev-parse", "acme/sales").out.strip() == commit
    assert len(dpk("log", "acme/sales", "--json").lines) == 2


def test_what_cannot_be_removed(dpk: Callable[..., Any], sales: Any) -> None:
    for expr, code in (
        ("acme/none", 3),
        ("acme/sales@v9", 3),
        ("acme/sales@latest", 3),
        ("acme/sales/docs", 2),
        ("sales", 2),
    ):
        assert dpk("rm", expr, code=code).out == ""
    assert len(dpk("show-ref", "--json").lines) == 2


# remote


def test_remotes(dpk: Callable[..., Any], sales: Any) -> None:
    assert "no remotes" in dpk("remote").out
    made = dpk("remote", "add", "origin", "./there", "--json").json
    assert made == {"name": "origin", "url": str(Path.cwd() / "there"), "action": "add"}
    dpk("remote", "add", "s3", "s3://bucket/path")
    assert [r["name"] for r in dpk("remote", "--json").lines] == ["origin", "s3"]
    assert dpk("remote", "list").out == f"origin  {Path.cwd()}/there\ns3      s3://bucket/path\n"
    assert "already" in dpk("remote", "add", "origin", "./other", code=4).err
    dpk("push", "acme/sales", "origin")
    dpk("push", "acme/sales")  # origin, where it is not the only one
    assert dpk("remote", "rm", "s3").out == "removed s3 s3://bucket/path\n"
    assert "remotes: origin" in dpk("remote", "rm", "s3", code=3).err


@pytest.mark.parametrize(
    "args",
    [
        ["add"],
        ["add", "x"],
        ["add", "a/b", "./x"],
        ["add", "x", "./y", "more"],
        ["rm"],
        ["rm", "x", "./y"],
        ["list", "x"],
        ["move", "x"],
        ["add", "x", "a\nb"],
    ],
)
def test_remotes_that_do_not_fit(dpk: Callable[..., Any], store: Any, args: list[str]) -> None:
    assert dpk("remote", *args, code=2).out == ""


SECRETS = [
    "s3://key:secret@bucket/path",
    "https://ada@example.com/store",
    "https://example.com/store?token=secret",
    "https://example.com/store#secret",
]


@pytest.mark.parametrize("url", SECRETS)
def test_secrets_are_not_stored(dpk: Callable[..., Any], store: Any, tmp_path: Path, url: str) -> None:
    """Neither as a remote, nor as a setting; and the message does not repeat them."""
    for args in (
        ["remote", "add", "x", url],
        ["remote", "add", "x", url, "--user"],
        ["config", "remote.x", url],
        ["config", "store", url],
    ):
        ran = dpk(*args, code=2)
        assert "secret" not in ran.err
    assert not any("secret" in p.read_text(errors="replace") for p in tmp_path.rglob("config"))


def test_a_name_that_no_remote_can_have(dpk: Callable[..., Any], store: Any) -> None:
    for args in (["remote", "add", "my laptop", "./there"], ["config", "remote.my laptop", "./there"]):
        assert dpk(*args, code=2).err.startswith("dpk: 'my laptop' is not the name of a remote\n     letters, digits")


def test_user_remotes_hold_for_every_store(dpk: Callable[..., Any], store: Any) -> None:
    dpk("remote", "add", "--user", "origin", "./there")
    assert [r["name"] for r in dpk("remote", "--store", "./another", "--json").lines] == ["origin"]
    dpk("remote", "rm", "origin")
    assert dpk("remote", "--json").out == ""


# config


def test_levels(dpk: Callable[..., Any], store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment over the store's config over the user's."""
    user, own = str(tmp_path / "config"), f"{store.url}/config"
    dpk("config", "author", "from user", "--user")
    monkeypatch.delenv("DPK_AUTHOR")
    assert dpk("config", "author", "--json").json == {"key": "author", "value": "from user", "origin": user}
    assert dpk("config", "author", "from store", "--json").json == {
        "key": "author",
        "value": "from store",
        "origin": own,
    }
    assert dpk("config", "author", "--json").json["value"] == "from store"
    store.commit("acme/x", {"x": b""})
    assert dpk("log", "acme/x", "--json").json["author"] == "from store"
    monkeypatch.setenv("DPK_AUTHOR", "from environment")
    assert dpk("config", "author", "--json").json == {
        "key": "author",
        "value": "from environment",
        "origin": "$DPK_AUTHOR",
    }
    assert [s["key"] for s in dpk("config", "--json").lines] == ["author", "store"]
    monkeypatch.delenv("DPK_AUTHOR")
    dpk("config", "--unset", "author")
    assert dpk("config", "author", "--json").json["value"] == "from user"
    dpk("config", "--unset", "author", "--user")
    dpk("config", "author", code=3)
    dpk("config", "--unset", "author", code=3)


def test_the_store_is_the_users_setting(
    dpk: Callable[..., Any], store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DPK_STORE")
    elsewhere = str(tmp_path / "elsewhere")
    assert dpk("config", "store", elsewhere, "--json").json["origin"] == str(tmp_path / "config")
    Path("x").write_text("x")
    assert dpk("build", "acme/x", "x", "--json").json["store"] == elsewhere
    dpk("init", ".")  # a .dpk upward is nearer
    assert dpk("build", "acme/x", "x", "--json").json["store"] == str(Path.cwd() / ".dpk")


def test_settings_before_there_is_a_store(dpk: Callable[..., Any], store: Any, tmp_path: Path) -> None:
    """They go to the user's file: half a store is not made."""
    absent = str(tmp_path / "absent")
    assert dpk("config", "author", "Bob", "--store", absent, "--json").json["origin"] == str(tmp_path / "config")
    assert not os.path.exists(absent)


def test_keys_and_values_that_are_none(dpk: Callable[..., Any], store: Any) -> None:
    assert "did you mean 'author'?" in dpk("config", "autor", code=2).err
    assert "remote.NAME" in dpk("config", "colour", "red", code=2).err
    for args in (
        ["remote.", "x"],
        ["remote.a/b", "x"],
        ["author", ""],
        ["author", "a\nb"],
        ["--unset"],
        ["--unset", "author", "x"],
        ["dpkg.author", "x"],
    ):
        dpk("config", *args, code=2)
    assert dpk("config", "--unset", "remote.x", code=3).out == ""


def test_values_come_back_as_they_were(dpk: Callable[..., Any], store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPK_AUTHOR")
    for value in ("Ada = <ada@example.com>", "50 % # [x]; y", "größe: 日本", "%(x)s ${y}"):
        dpk("config", "author", value)
        assert dpk("config", "author", "--json").json["value"] == value


def test_a_config_file_that_is_none(dpk: Callable[..., Any], sales: Any, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("not a config file")
    ran = dpk("config", code=2)
    assert str(tmp_path / "config") in ran.err
    (tmp_path / "config").write_bytes(b"\xff\xfe")
    dpk("config", code=2)
    (tmp_path / "config").unlink()
    (tmp_path / "config").mkdir()
    dpk("config", code=8)
    dpk("config", "author", "x", "--user", code=8)
