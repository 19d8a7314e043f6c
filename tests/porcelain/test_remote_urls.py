"""URLs of remotes: they may say where a service is, and never hold a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import seaweed
from faultproxy import FaultProxy

import dpkg
from dpkg.repository import Repository

PKG = "acme/sales"
SECRETS = [
    "s3://AKIASECRET:hunter2@bucket/store",
    "s3://AKIASECRET@bucket/store",
    "https://ada:hunter2@host/store",
    "http://hunter2@host/store",
    "s3://bucket/store?aws_access_key_id=AKIASECRET&aws_secret_access_key=hunter2",
    "s3://bucket/store?key=AKIASECRET",
    "s3://bucket/store?endpoint=https://ada:hunter2@host",
    "https://host/store?token=hunter2",
    "https://host/store#hunter2",
]
NONE = [
    "s3://bucket/store?endpiont=https://host",
    "s3://bucket/store?endpoint=host:9000",
    "s3://bucket/store?endpoint=",
    "s3://bucket/store?region=a&region=b",
    "s3://bucket/store?anonymous=yes",
]


def config(tmp_path: Path) -> str:
    """All that config files hold."""
    return "".join(path.read_text() for path in (tmp_path / "config", tmp_path / "store" / "config") if path.exists())


@pytest.mark.parametrize("url", SECRETS)
def test_a_secret_is_not_written_down(url: str, sales: Any, run: Any, tmp_path: Path) -> None:
    """Nor is it repeated, by any command that is given it."""
    for command in (
        ["remote", "add", "origin", url],
        ["remote", "add", "--user", "origin", url],
        ["config", "remote.origin", url],
        ["push", PKG, url],
        ["install", PKG, url],
        ["ls-remote", url],
        ["ls", "--store", url],
    ):
        for more in ([], ["--json"], ["--debug"]):
            done = run(*command, *more, code=2)
            for word in ("hunter2", "AKIASECRET"):
                shown = done.err + done.out
                assert word not in shown, command
            assert "environment" in done.err + done.out or "without a user" in done.err + done.out
    assert config(tmp_path) == ""


@pytest.mark.parametrize("url", NONE)
def test_what_is_no_option(url: str, store: Any, run: Any, tmp_path: Path) -> None:
    said = run("remote", "add", "origin", url, code=2).err
    assert "option" in said
    assert config(tmp_path) == ""
    assert run("remote", "list", "--json").lines == []


def test_an_endpoint_is_kept_and_used(
    sales: Any, through: str, proxy: FaultProxy, account: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins over the environment's, which is another service's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    run("remote", "add", "lab", through)
    (listed,) = run("remote", "list", "--json").lines
    assert listed["url"] == through
    assert through in run("config", "remote.lab").out
    run("push", PKG, "lab")
    assert proxy.count("PUT", "refs/") > 0
    tip = sales.repository.tip(PKG)
    assert f"{tip}\t{PKG}/heads/main" in run("ls-remote", "lab").out


def test_the_environment_says_where(
    sales: Any, seaweedfs: seaweed.Server, s3_url: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL without options is enough where the environment names the service."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweedfs.endpoint)
    plain = s3_url.partition("?")[0]
    run("remote", "add", "origin", f"{plain}?region={seaweed.REGION}")
    run("push", PKG)
    assert Repository(plain).tip(PKG) == Repository(s3_url).tip(PKG) == sales.repository.tip(PKG)


def test_a_profile_holds_the_keys(
    sales: Any, s3_url: str, account: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = account.server.writer
    account.use(None)
    found = tmp_path / "credentials"
    found.write_text(f"[lab]\naws_access_key_id = {keys.access}\naws_secret_access_key = {keys.secret}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(found))
    run("push", PKG, s3_url, code=10)
    run("push", PKG, f"{s3_url}&profile=lab")
    monkeypatch.setenv("AWS_PROFILE", "lab")
    dpkg.install(PKG, s3_url, store=str(tmp_path / "other"))


def test_the_help_says_so(run: Any) -> None:
    said = " ".join(run("remote", "--help").out.split())
    assert "?endpoint=" in said
    assert "no user, password or key" in said
