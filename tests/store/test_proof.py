"""Whether a service creates atomically is tried out before refs are written to it."""

from __future__ import annotations

from collections.abc import Callable

import faultproxy
import pytest
import seaweed
from faultproxy import FaultProxy

from dpkg.errors import Storage
from dpkg.store import open_backend, proof
from dpkg.store.base import Backend

pytestmark = pytest.mark.usefixtures("account")


@pytest.fixture
def unproven(seaweedfs: seaweed.Server, proxy: FaultProxy) -> Callable[[], Backend]:
    """New connections to one store that nobody has tried, through the proxy."""
    url = seaweedfs.fresh_url(endpoint=proxy.url)
    return lambda: open_backend(url)


@pytest.mark.spec("STO-12")
def test_proven_once(unproven: Callable[[], Backend], proxy: FaultProxy) -> None:
    first = unproven()
    assert first.atomic_create
    assert [stat.key for stat in first.list("")] == [proof.KEY]
    proxy.clear()
    assert first.atomic_create
    assert proxy.count() == 0
    assert unproven().atomic_create
    assert proxy.count() == proxy.count("GET", proof.KEY) == 1


@pytest.mark.spec("STO-12")
def test_the_proof_is_of_one_endpoint(unproven: Callable[[], Backend], seaweedfs: seaweed.Server) -> None:
    """A gateway in front of the same bucket may behave otherwise: it is tried for itself."""
    through = unproven()
    assert through.atomic_create
    straight = open_backend(through.url.split("?")[0] + f"?endpoint={seaweedfs.endpoint}")
    before = straight.get(proof.KEY)
    assert straight.atomic_create
    assert straight.get(proof.KEY) != before


@pytest.mark.spec("STO-12")
def test_a_service_that_ignores_the_condition(
    unproven: Callable[[], Backend], proxy: FaultProxy, seaweedfs: seaweed.Server
) -> None:
    """Nothing is written down, so that refs are refused, and it is tried again another time."""
    rule = proxy.on(ignoring(seaweedfs), method="PUT", key="probe/", times=None)
    backend = unproven()
    assert not backend.atomic_create
    assert rule.hits > 0
    assert list(backend.list("")) == []


def ignoring(server: seaweed.Server) -> faultproxy.Fault:
    """A service that stores what it should refuse."""

    def fault(request: faultproxy.Request, forward: faultproxy.Forward, _: faultproxy.Exchange) -> faultproxy.Answer:
        assert request.headers["if-none-match"] == "*"
        path = request.target.partition("?")[0]
        return faultproxy.Answer(server.request("PUT", path, request.body), [], b"")

    return fault


def test_lost_answers_do_not_count_against_a_service(unproven: Callable[[], Backend], proxy: FaultProxy) -> None:
    rule = proxy.on(faultproxy.lost_answer, method="PUT", key="probe/")
    assert unproven().atomic_create
    assert rule.hits == 1


def test_a_proof_that_cannot_be_made_is_an_error(
    unproven: Callable[[], Backend], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPK_TIMEOUT", "0.3")
    proxy.on(faultproxy.slow_down, method="PUT", times=None)
    backend = unproven()
    with pytest.raises(Storage, match="overloaded"):
        _ = backend.atomic_create
    proxy.clear()
    assert backend.atomic_create
