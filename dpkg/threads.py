"""Work by a few threads, its results in order, little of it in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def in_order(work: Callable[[U], T], items: Iterable[U], workers: int) -> Generator[T, None, None]:
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


def some_ahead(work: Callable[[U], T], items: Iterable[U], ahead: Callable[[U], bool], workers: int) -> Iterator[T]:
    """`work` of each item, in order: by threads for those that may be done before it is their turn, else here."""
    found = list(items)
    begun = in_order(work, [item for item in found if ahead(item)], workers)
    with closing(begun):
        for item in found:
            yield next(begun) if ahead(item) else work(item)


class Crew:
    """Threads for as long as a `with` block lasts; the first error of a task is raised, and stops those that wait."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> None:
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="dpkg-work")

    def __exit__(self, *_: object) -> None:
        assert self._pool is not None
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, work: Callable[[U], T], items: Iterable[U]) -> list[Future[T]]:
        """Hand out `work` on items."""
        assert self._pool is not None
        return [self._pool.submit(work, item) for item in items]

    def end(self, begun: list[Future[T]]) -> list[T]:
        """Wait for what was begun: its results."""
        wait(begun, return_when=FIRST_EXCEPTION)
        if any(task.done() and not task.cancelled() and task.exception() for task in begun):
            for task in begun:
                task.cancel()
        return [task.result() for task in begun if not task.cancelled()]

    def each(self, work: Callable[[U], T], items: Sequence[U]) -> list[T]:
        """`work` of each item."""
        return [work(item) for item in items] if len(items) < 2 else self.end(self.begin(work, items))
