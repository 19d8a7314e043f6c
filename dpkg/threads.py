"""Work by a few threads, its results in order, little of it in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def in_order(work: Callable[[U], T], items: Iterable[U], workers: int) -> Iterator[T]:
    """`work` of each item, in order; items are taken as they are needed, and at most twice as many as workers wait.

    The first error ends it, once what runs has ended.
    """
    pending: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dpkg-work")
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
