"""What backends across a network share: running coroutines from any thread, and trying again where that can help."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dpkg.errors import DpkgError, Storage

T = TypeVar("T")
ATTEMPTS = 5
_FIRST_WAIT = 0.2  # seconds; doubled each time
# Clients of the process that this one was forked from. They are kept: were one closed here, the event loop of that
# process would never again hear of its connections, as both share one epoll.
inherited: list[object] = []


class Passing(Exception):
    """A failure that may pass: the same request can be sent again. `said` is what to tell if it does not."""

    def __init__(self, said: Storage) -> None:
        super().__init__(said.message)
        self.said = said


def patiently(work: Callable[[], T], timeout: float) -> T:
    """What `work` returns, tried again with growing pauses while it raises Passing; then Storage.

    No attempt begins later than two timeouts (in seconds) after the first: a place that only stalls is given up.
    """
    began, wait = time.monotonic(), _FIRST_WAIT
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except Passing as error:
            if attempt + 1 == ATTEMPTS or time.monotonic() + wait - began > 2 * timeout:
                raise error.said from error
        time.sleep(wait * random.uniform(0.5, 1.5))
        wait *= 2
    raise AssertionError


def run(work: Callable[[], Awaitable[T]], explain: Callable[[Exception], DpkgError | Passing]) -> T:
    """Run a coroutine on fsspec's event loop, from any other thread; what it raises is put through `explain`."""
    from fsspec.asyn import get_loop, sync

    try:
        result: T = sync(get_loop(), work)
    except (DpkgError, Passing):
        raise
    except Exception as error:
        raise explain(error) from error
    return result
