"""Addresses of stores: what is none is refused, and no secret in one is shown or written down, whatever the scheme."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dpkg import address
from dpkg.errors import Usage
from dpkg.store import open_backend

SECRET = "SEKRET"
BAD = [
    "sftp://u:SEKRET@host/x",
    "sftp://u:SEKRET/x@host/y",
    "ftp://u:SEKRET@host:21/x",
    "smb://u:SEKRET@host/share",
    "zip::https://SEKRET@host/x.zip",
    "zip://a::https://u:SEKRET@host/x.zip",
    "zip::sftp://u:SEKRET@host/x.zip",
    "https://u:SEKRET@host/x",
    "HTTPS://SEKRET@host/x",
    " https://u:SEKRET@host/x",
    "https:///u:SEKRET@host/x",
    "s3:///AKIA:SEKRET@bucket/x",
    "s3://AKIA:SEKRET@bucket/x",
    "s3://b/x?endpoint=https://h/?token=SEKRET",
    "s3://b/x?endpoint=https%3A%2F%2Fu:SEKRET%40h",
    "s3://b/x?key=SEKRET",
    "http://h/x?token=SEKRET",
    "sftp://h/x#SEKRET",
]
GOOD = [
    "sftp://user@host:22/x",
    "sftp://[fe80:ab::1]:22/x",
    "http://[::1]:8080/x",
    "zip://::local:///tmp/x.zip",
    "zip::https://host/x.zip",
    "abfs://container@account.dfs.core.windows.net/x",
    "hdfs://name:8020/x/a@b",
    "s3://bucket/a@b?endpoint=http://127.0.0.1:8333&profile=lab",
    "/folder/a:b@c",
    "memory://u:p@x",
]


@pytest.mark.parametrize("text", BAD)
def test_secrets_are_refused_and_not_repeated(text: str, store: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit("acme/x", {"b": b"x"})
    with pytest.raises(Usage) as caught:
        open_backend(text)
    assert caught.value.hint
    assert SECRET not in caught.value.message + caught.value.hint + address.shown(text)
    said = [run(*args, code=2) for args in (("push", "acme/x", text), ("install", "acme/x", text))]
    said.append(run("remote", "add", "origin", text, code=2))
    config = Path(os.environ["DPK_CONFIG"])
    config.write_text(f"[remote]\nold = {text}\n")  # by hand
    said += [run("remote", "list"), run("remote", "add", "old", "x", code=4), run("push", "acme/x", "old", code=2)]
    monkeypatch.setenv("DPK_STORE", text)
    said += [run("config"), run("ls", code=2)]
    assert not [ran for ran in said if SECRET in ran.out + ran.err]
    assert "://…" in said[-2].out


@pytest.mark.parametrize("text", GOOD)
def test_addresses(text: str) -> None:
    assert address.shown(text) == text
    assert address.parse(text).scheme == (text.partition("://")[0] if "://" in text else "")


def test_options_come_back_from_an_address() -> None:
    made = open_backend("s3://bucket/x?profile=a%26b&endpoint=http://127.0.0.1:1/p")
    assert address.parse(made.url).options == {"profile": "a&b", "endpoint": "http://127.0.0.1:1/p"}
