"""Progress while a command runs: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
from _thread import allocate_lock
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dpkg import progress, settings
from dpkg.command import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_EVERY = 5.0  # seconds between plain lines


@contextmanager
def shown(how: str = "") -> Iterator[Bars | Lines]:
    """Show what work tells of itself, until the end of the block.

    `how` is bar or plain; without it bars on a terminal that can draw them, lines elsewhere.
    """
    can = sys.stderr.isatty() and not settings.dumb_terminal()
    made = Bars() if how == "bar" or (not how and can) else Lines()
    progress.listen(made.advance)
    try:
        yield made
    finally:
        progress.listen(None)
        made.hide()


def _amount(done: float, total: float | None, unit: str) -> str:
    if unit == "bytes":
        return shorten(done) + (f" of {shorten(total)}" if total else "")
    return f"{done:,.0f}{f' of {total:,.0f}' if total else ''} {unit}".rstrip()


class Lines:
    """Plain progress for logs: for each kind of work the amount done, at most one line every few seconds."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._next = 0.0
        self._lock = allocate_lock()

    def advance(self, what: str, amount: int, total: int | None, unit: str) -> None:
        """Count, and perhaps print."""
        from time import monotonic

        with self._lock:
            self._done[what] = self._done.get(what, 0) + amount
            now = monotonic()
            if not self._next:
                self._next = now + _EVERY
            if now >= self._next:
                self._next = now + _EVERY
                print(f"{what}: {_amount(self._done[what], total, unit)}", file=sys.stderr, flush=True)

    def hide(self) -> None:
        """Nothing is on the screen."""


class Bars:
    """A rich bar for each kind of work; rich is imported when the first work is told of."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._live: Any = None
        self._tasks: dict[str, Any] = {}
        self._lock = allocate_lock()

    def advance(self, what: str, amount: int, total: int | None, unit: str) -> None:
        """Count, and draw."""
        with self._lock:
            done = self._done[what] = self._done.get(what, 0) + amount
            if self._live is None:
                self._live = _progress()
                self._live.start()
            said = _amount(done, total, unit)
            if what not in self._tasks:
                self._tasks[what] = self._live.add_task(what, total=total, said=said)
            self._live.update(self._tasks[what], completed=done, total=total, said=said)

    def hide(self) -> None:
        """Take the bars off the screen; the next `advance` brings them back."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live, self._tasks = None, {}


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from dpkg.cli.output import coloured

    system = "standard" if coloured(sys.stderr) else None
    # Bars are made where there is a terminal, or where they were asked for: rich need not look again.
    console = Console(stderr=True, color_system=system, force_terminal=True)  # type: ignore[arg-type]
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    # Output goes where it is sent: redirecting would take stdout's lines to the terminal when it is a file.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
