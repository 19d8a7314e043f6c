"""Functions in processes of their own, forked from one that has imported everything: they are there in milliseconds."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_CONTEXT: Any = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "pytest",
        "s3fs",
        "dpkg.arrow.checking",
        "dpkg.arrow.readers",
        "dpkg.transfer.prefetch",
        "dpkg.store.s3",
        "dpkg.compiler.compile",
    ]
    + [f"dpkg.porcelain._{name}" for name in ("build", "push", "install", "tag", "verify", "export", "diff")]
)


class Started:
    """A running process; `result` is what its function returned."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._end, theirs = _CONTEXT.Pipe(duplex=False)
        environment, place = dict(os.environ), os.getcwd()
        given = (function.__module__, function.__name__, args, environment, place, sys.path, theirs)
        self.process = _CONTEXT.Process(target=_child, args=given, daemon=True)
        self.process.start()
        theirs.close()

    def result(self, timeout: float = 120) -> Any:
        """What the function returned; what it raised is raised here, EOFError if the process was killed."""
        if not self._end.poll(timeout):
            self.process.kill()
            raise TimeoutError("a process did not end")
        try:
            failed, value = self._end.recv()
        finally:
            self.process.join()
        if failed:
            raise value
        return value


def start(function: Callable[..., Any], *args: Any) -> Started:
    """Run a function of a module in this folder."""
    return Started(function, args)


def _child(
    module: str, name: str, args: Any, environment: dict[str, str], place: str, path: list[str], end: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    sys.path[:] = path
    try:
        end.send((False, getattr(importlib.import_module(module), name)(*args)))
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        end.send((True, error))
