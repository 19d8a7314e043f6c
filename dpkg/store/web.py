"""What backends across a network share: running coroutines from any thread, and trying again where that can help."""

from __future__ import annotations

import os
import random
import time
from _thread import allocate_lock
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeVar

from dpkg.errors import DpkgError, Storage

T = TypeVar("T")
ATTEMPTS = 5
_FIRST_WAIT = 0.2  # seconds; doubled each time


class PerProcess:
    """The client that `connect` makes, one for each process: fsspec's event loop does not survive a fork."""

    # Those of the process that this one was forked from. They are kept: were one closed here, the event loop of that
    # process would never again hear of its connections, as both share one epoll.
    _inherited: ClassVar[list[object]] = []

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = allocate_lock()
        self._made: tuple[int, Any] | None = None

    def __call__(self) -> Any:
        """The client of this process."""
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._inherited.append(self._made)
                self._made = os.getpid(), self._connect()
            return self._made[1]


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
