"""What goes wrong with S3, as somebody at a terminal meets it: one clear sentence, the right exit code, no secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import faultproxy
import pytest
import seaweed
from faultproxy import FaultProxy

from dpkg.store import web

PKG = "acme/x"
DENIED, STORAGE = 10, 8


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts that are the same in kind, and shorter."""
    monkeypatch.setattr(web, "_FIRST_WAIT", 0.01)


@pytest.fixture
def remote(store: Any, s3_url: str, run: Any) -> str:
    """An S3 store with a package in it, and another commit here that it lacks."""
    store.commit(PKG, {"t": {"id": [1, 2, 3]}, "b": b"x"}, "one")
    run("push", PKG, s3_url)
    store.commit(PKG, {"t": {"id": [1, 2, 3, 4]}, "b": b"x"}, "two")
    return s3_url


@pytest.fixture
def fails(run: Any, account: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """`fails(code, *command)` runs a command that fails as it should, also with --debug or --json; what it says."""
    said: list[str] = []
    limit = 20.0

    def check(code: int, *command: str, sentences: int = 1) -> str:
        began = time.monotonic()
        ran = run(*command, code=code)
        assert time.monotonic() - began < limit
        lines = ran.err.splitlines()
        assert ran.out == ""
        assert lines[0].startswith("dpk: ")
        assert len(lines) == sentences + 1
        assert lines[1].startswith("     ")
        assert "Traceback" not in ran.err
        said.append(ran.err)
        return str(ran.err)

    yield check
    server = account.server
    for text in said:
        for secret in (server.writer.secret, server.reader.secret, "WRONG-SECRET", "Signature=", "Credential="):
            assert secret not in text


def brought(run: Any, tmp_path: Any, url: str, code: int | None = 0) -> Any:
    """Install into an empty store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPK_STORE", str(tmp_path / "elsewhere"))
        return run("install", PKG, url, code=code)


# Keys


def test_a_wrong_secret(remote: str, account: Any, fails: Any) -> None:
    account.use(seaweed.Keys(account.server.writer.access, "WRONG-SECRET"))
    for command in ("push", "install"):
        said = fails(DENIED, command, PKG, remote)
        assert "the secret key is not that of the access key" in said
        assert "AWS_SECRET_ACCESS_KEY" in said


def test_keys_that_nobody_knows(remote: str, account: Any, fails: Any) -> None:
    account.use(seaweed.Keys("AKIANOBODY0000000000", "WRONG-SECRET"))
    for command in ("push", "install"):
        assert "does not know this access key" in fails(DENIED, command, PKG, remote)


def test_no_keys(remote: str, account: Any, fails: Any) -> None:
    account.use(None)
    for command in ("push", "install"):
        said = fails(DENIED, command, PKG, remote)
        assert "no keys are found" in said
        assert "AWS_PROFILE" in said


def test_keys_that_only_read(remote: str, account: Any, fails: Any, run: Any, tmp_path: Any) -> None:
    """They install and look; a push says what they may not do, and leaves nothing behind."""
    account.use(account.server.reader)
    brought(run, tmp_path, remote)
    assert "these keys may not write" in fails(DENIED, "push", PKG, remote)
    assert "these keys may not write" in fails(DENIED, "push", PKG, account.server.fresh_url())


def test_no_secret_in_a_traceback(remote: str, account: Any, run: Any) -> None:
    account.use(seaweed.Keys(account.server.writer.access, "WRONG-SECRET"))
    said = run("--debug", "push", PKG, remote, code=DENIED).err
    assert "Traceback" in said
    assert "WRONG-SECRET" not in said


def test_errors_for_programs(remote: str, account: Any, run: Any) -> None:
    import json

    account.use(seaweed.Keys(account.server.writer.access, "WRONG-SECRET"))
    ran = run("push", PKG, remote, "--json", code=DENIED)
    told = json.loads(ran.err)
    assert "WRONG-SECRET" not in ran.err
    assert "the secret key is not that of the access key" in json.dumps(told)


@pytest.mark.parametrize("secret", ["?aws_secret_access_key=WRONG-SECRET", "?key=WRONG-SECRET", "#WRONG-SECRET"])
def test_keys_in_an_address(secret: str, s3_url: str, store: Any, fails: Any, run: Any) -> None:
    """Addresses are shown and written down: what may be a key is refused, and not repeated."""
    store.commit(PKG, {"b": b"x"})
    bare = s3_url.partition("?")[0]
    assert "environment" in fails(2, "push", PKG, bare + secret)
    assert "environment" in fails(2, "push", PKG, bare.replace("s3://", "s3://AKIA:WRONG-SECRET@"))
    run("remote", "add", "origin", bare + secret, code=2)
    assert "WRONG-SECRET" not in run("config").out


# Places


def test_a_bucket_that_is_not_there(store: Any, account: Any, fails: Any) -> None:
    store.commit(PKG, {"b": b"x"})
    for command in ("push", "install"):
        assert "there is no bucket 'nobody-made-this'" in fails(
            STORAGE, command, PKG, account.server.url("x", bucket="nobody-made-this")
        )


def test_a_prefix_without_a_store(s3_url: str, store: Any, fails: Any) -> None:
    assert "there is no store at s3://dpkg/" in fails(3, "install", PKG, s3_url)


def test_an_endpoint_that_is_down(store: Any, account: Any, fails: Any) -> None:
    store.commit(PKG, {"b": b"x"})
    with FaultProxy(account.server.endpoint) as gone:
        url = account.server.url("x", endpoint=gone.url)
    for command in ("push", "install"):
        said = fails(STORAGE, command, PKG, url)
        assert "cannot be reached" in said
        assert "endpoint" in said


@pytest.mark.parametrize("option", ["endpoint=nonsense", "endpoint=http://a:b@host", "regoin=x", "anonymous=maybe"])
def test_options_that_are_none(option: str, store: Any, fails: Any) -> None:
    assert "option" in fails(2, "install", PKG, f"s3://dpkg/x?{option}")


def test_a_profile_that_is_not_there(store: Any, s3_url: str, fails: Any) -> None:
    said = fails(2, "install", PKG, f"{s3_url}&profile=nobody")
    assert "nobody" in said


# What services answer; SeaweedFS knows no regions and no clocks, so AWS's own words are played back

ANSWERS: dict[str, tuple[faultproxy.Fault, int, str, int]] = {
    # name: what is answered, exit code, what is said, requests at most
    "unknown-key": (faultproxy.unknown_key, DENIED, "does not know this access key", 1),
    "bad-signature": (faultproxy.bad_signature, DENIED, "the secret key is not that of the access key", 1),
    "denied": (faultproxy.denied, DENIED, "these keys may not read 'format'", 1),
    "expired": (faultproxy.expired_token, DENIED, "the session token has expired", 1),
    "clock": (faultproxy.skewed, STORAGE, "this machine's clock is too far from that of", 1),
    "moved": (faultproxy.moved, STORAGE, "it is in 'eu-central-1'", 2),
    "region": (faultproxy.wrong_region, STORAGE, "it is in 'eu-central-1'", 2),
    "no-bucket": (faultproxy.no_bucket, STORAGE, "there is no bucket 'dpkg'", 1),
    "slow-down": (faultproxy.slow_down, STORAGE, "the service is overloaded or broken (SlowDown, 503)", 5),
    "internal": (faultproxy.internal_error, STORAGE, "overloaded or broken (InternalError, 500)", 5),
    "too-many": (faultproxy.too_many, STORAGE, "overloaded or broken (TooManyRequests, 429)", 5),
    "gateway": (faultproxy.bad_gateway, STORAGE, "overloaded or broken (502", 5),
    "strange": (faultproxy.status(418, "Teapot", "short and stout"), STORAGE, "short and stout", 1),
    "no-xml": (faultproxy.status(403), DENIED, "these keys may not read", 1),
}


@pytest.mark.parametrize("command", ["push", "install"])
@pytest.mark.parametrize("name", ANSWERS)
def test_refusals(name: str, command: str, through: str, proxy: FaultProxy, store: Any, fails: Any) -> None:
    """Told at once where asking again is of no use, else after a few attempts."""
    answer, code, words, most = ANSWERS[name]
    store.commit(PKG, {"b": b"x"})
    proxy.on(answer, times=None)
    assert words in fails(code, command, PKG, through)
    assert proxy.count() <= most


@pytest.mark.parametrize("name", ["moved", "region"])
def test_the_hint_names_the_region(name: str, through: str, proxy: FaultProxy, store: Any, fails: Any) -> None:
    proxy.on(ANSWERS[name][0], times=None)
    assert "?region=eu-central-1" in fails(STORAGE, "install", PKG, through)


def test_the_disk_of_the_service_is_full(through: str, proxy: FaultProxy, store: Any, fails: Any) -> None:
    store.commit(PKG, {"b": b"x"})
    proxy.on(faultproxy.status(507, "XMinioStorageFull", "Storage backend is full"), method="PUT", times=None)
    assert "space" in fails(STORAGE, "push", PKG, through)
    assert proxy.count("PUT") == 1


def test_a_service_that_ignores_create_if_absent(
    seaweedfs: seaweed.Server, proxy: FaultProxy, store: Any, run: Any, fails: Any, account: Any
) -> None:
    """Objects could be stored there, but refs would lose updates: they are refused, and it is said why."""
    store.commit(PKG, {"b": b"x"})

    def ignoring(request: Any, forward: Any, _: Any) -> faultproxy.Answer:
        return faultproxy.Answer(seaweedfs.request("PUT", request.target.partition("?")[0], request.body), [], b"")

    proxy.on(ignoring, method="PUT", times=None)
    url = seaweedfs.fresh_url(endpoint=proxy.url)
    assert "create" in fails(DENIED, "push", PKG, url)
    assert proxy.count("PUT", "refs/") == 0


# Time


@pytest.mark.parametrize("command", ["push", "install"])
def test_a_service_that_stalls(
    command: str, through: str, proxy: FaultProxy, store: Any, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPK_TIMEOUT", "0.4")
    store.commit(PKG, {"b": b"x"})
    proxy.on(faultproxy.stall(60), times=None)
    began = time.monotonic()
    said = fails(STORAGE, command, PKG, through)
    assert "does not answer in time" in said
    assert "DPK_TIMEOUT" in said
    assert time.monotonic() - began < 15
