"""Fixtures of real servers: a database, object storage, a proxy in front of it that breaks requests, static web servers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import postgresql
import pytest
import seaweed
import staticweb
from faultproxy import FaultProxy


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says, without being asked, how many tests did not run because there is no object storage, no database, or no browser."""
    reasons = [r.longrepr[2] for r in terminalreporter.getreports("skipped") if isinstance(r.longrepr, tuple)]
    for name, of in (("SeaweedFS", "S3"), ("PostgreSQL", "PostgreSQL"), ("Chromium", "pages in a browser")):
        for reason in sorted({reason for reason in reasons if name in reason}):
            said = reason.removeprefix("Skipped: ")
            terminalreporter.write_line(f"{reasons.count(reason)} tests of {of} were skipped: {said}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Postgres]:
    """A PostgreSQL server of this test process."""
    if reason := postgresql.missing():
        pytest.skip(reason)
    with postgresql.server() as found:
        yield found


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweed.Server]:
    """The SeaweedFS of this test run, shared by its workers."""
    if reason := seaweed.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with seaweed.shared(folder) as server:
        yield server


@dataclass(frozen=True)
class Account:
    """The environment of one user of the server, for this process and its children."""

    server: seaweed.Server
    patch: pytest.MonkeyPatch

    def use(self, keys: seaweed.Keys | None) -> None:
        """Work with these keys from now on; None: with none."""
        for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
            self.patch.delenv(name)
        for name, value in self.server.environment(keys).items():
            if keys or "KEY" not in name:
                self.patch.setenv(name, value)


@pytest.fixture
def account(seaweedfs: seaweed.Server, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The writer's environment; `account.use(...)` changes to another."""
    found = Account(seaweedfs, monkeypatch)
    found.use(seaweedfs.writer)
    return found


@pytest.fixture(scope="session")
def proof(seaweedfs: seaweed.Server) -> bytes:
    """What a store keeps once its service is proven to create atomically. To prove it takes seconds on SeaweedFS."""
    from dpkg.store import open_backend
    from dpkg.store.proof import KEY

    with pytest.MonkeyPatch.context() as patch:
        Account(seaweedfs, patch).use(seaweedfs.writer)
        backend = open_backend(seaweedfs.fresh_url())
        assert backend.atomic_create
        return backend.get(KEY)


@pytest.fixture
def new_store(seaweedfs: seaweed.Server, proof: bytes) -> Callable[..., str]:
    """`new_store(endpoint)` is the URL of an S3 store in which there is nothing but the proof, also through a proxy."""

    def make(endpoint: str = "") -> str:
        from dpkg.store.proof import KEY

        name = secrets.token_hex(6)
        shown = proof.replace(seaweedfs.endpoint.encode(), (endpoint or seaweedfs.endpoint).encode())
        assert seaweedfs.request("PUT", f"/{seaweed.BUCKET}/{name}/{KEY}", shown) == 200
        return seaweedfs.url(name, endpoint=endpoint)

    return make


@pytest.fixture
def s3_url(account: Account, new_store: Callable[..., str]) -> str:
    """The URL of an S3 store that does not exist yet; the environment may write to it."""
    return new_store()


@pytest.fixture
def proxy(seaweedfs: seaweed.Server) -> Iterator[FaultProxy]:
    """A proxy in front of the server, which counts and breaks requests."""
    with FaultProxy(seaweedfs.endpoint) as found:
        yield found


@pytest.fixture
def through(account: Account, new_store: Callable[..., str], proxy: FaultProxy) -> str:
    """As `s3_url`, but reached through `proxy`."""
    return new_store(proxy.url)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """`serve(folder, ranges=False)` is the URL of a web server over a folder; `serve(folder, plain=True)` Python's own."""
    with ExitStack() as stack:

        def start(folder: str | Path, *, plain: bool = False, **options: Any) -> str:
            kind = staticweb.plain if plain else staticweb.served
            return stack.enter_context(kind(Path(folder), **options))

        yield start
