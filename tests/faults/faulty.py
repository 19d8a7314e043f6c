"""Stores that fail, stall, lose an answer, or die with their process at the n-th operation of a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest

from dpkg import repository
from dpkg.errors import Storage
from dpkg.store import open_backend

READS = ("get", "get_range", "get_tail", "list", "stat")
WRITES = ("put", "create", "delete", "sync")
INSIDE = ("scratch", "adopt", "_link")  # of a folder: what `put` and `create` are made of
KINDS = ("fails", "stalls", "loses", "breaks", "kills")


class Killed(BaseException):
    """The process is gone: nothing catches this, and nothing that it does afterwards happens."""


class Fault:
    """What meets the operation numbered `at`, counted over all stores of a command.

    fails: it is refused. stalls: no answer; a write arrives when the command has ended (`arrive`). loses: it is done, the
    answer is lost. breaks: as loses, and nothing works from then on. kills: the process ends, in its place an exception.
    sigkill: it really does.
    """

    def __init__(self, kind: str = "", at: int = 0) -> None:
        self.kind, self.at, self.count = kind, at, 0
        self.dead = False
        self.calls: list[tuple[str, str]] = []
        self._late: list[Callable[[], object]] = []
        self._lock = Lock()

    @property
    def hit(self) -> bool:
        return 0 < self.at <= self.count

    def meet(self, name: str, key: str, do: Callable[[], Any]) -> Any:
        """`do` the operation, or what the fault makes of it."""
        with self._lock:
            if self.dead:
                raise Killed
            self.count += 1
            self.calls.append((name, key))
            mine, broken = self.count == self.at, self.kind == "breaks" and self.count > self.at
            self.dead = mine and self.kind == "kills"
        if broken:
            raise Storage(f"cannot {name} '{key}': no route to host", "check the network")
        return getattr(self, self.kind)(name, key, do) if mine else do()

    def fails(self, name: str, key: str, do: Callable[[], Any]) -> Any:
        raise Storage(f"cannot {name} '{key}': input/output error", "check the disk")

    def stalls(self, name: str, key: str, do: Callable[[], Any]) -> Any:
        if name in ("put", "create"):
            self._late.append(do)
        raise Storage(f"cannot {name} '{key}': no answer within 60 seconds", "try again later")

    def loses(self, name: str, key: str, do: Callable[[], Any]) -> Any:
        do()
        raise Storage(f"cannot {name} '{key}': the connection was reset", "try again")

    breaks = loses

    def kills(self, name: str, key: str, do: Callable[[], Any]) -> Any:
        raise Killed

    def sigkill(self, name: str, key: str, do: Callable[[], Any]) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def arrive(self) -> None:
        """What stalled reaches the store after all."""
        self.dead, late, self._late = False, self._late, []
        for do in late:
            do()


def broken(backend: Any, fault: Fault) -> Any:
    """The same store, with `fault` before each of its operations."""
    kind = type(backend)

    def met(name: str) -> Any:
        real = getattr(kind, name)

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "put" and fault.kind == "stalls" and not isinstance(args[1], bytes):
                args = (args[0], args[1].read())  # it is sent later
            key = str(args[0]) if args else ""
            return fault.meet(name, key, lambda: real(self, *args, **kwargs))

        return method

    names = [name for name in (*READS, *WRITES, *INSIDE) if hasattr(kind, name)]
    members = {name: met(name) for name in names}
    if hasattr(kind, "discard"):

        def discard(self: Any, file: Any) -> None:
            file.close() if fault.dead else kind.discard(self, file)

        members["discard"] = discard
    made = object.__new__(type(f"Broken{kind.__name__}", (kind,), members))
    made.__dict__ = backend.__dict__
    return made


@contextmanager
def under(fault: Fault) -> Iterator[Fault]:
    """While it lasts, all stores that commands open have `fault` before their operations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "open_backend", lambda url: broken(open_backend(url), fault))
        yield fault
    fault.arrive()
