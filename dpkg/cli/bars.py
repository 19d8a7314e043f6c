"""Progress while a command runs: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import math
import sys
from _thread import allocate_lock
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from dpkg import progress, settings
from dpkg.command import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_EVERY = 5.0  # seconds between plain lines
_WIDTH = 16  # of a bar, so that there is room for what is said in 80 columns


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


class Work:
    """One kind of work: how much of it is done, of how much if that is known, since when."""

    def __init__(self, unit: str) -> None:
        self.done, self.total, self._unit = 0, 0, unit
        self._began = monotonic()

    def advance(self, amount: int, total: int | None) -> None:
        """Count."""
        self.done += amount
        self.total = max(total or self.total, self.done if self.total else 0)

    def __str__(self) -> str:
        """Amount, rate and time left: '12 MB of 45 MB, 3.2 MB/s, 10 s left'."""
        return ", ".join(filter(None, (self._amount(), *self._pace())))

    def _amount(self) -> str:
        if self._unit == "bytes":
            return shorten(self.done) + (f" of {shorten(self.total)}" if self.total else "")
        return f"{self.done:,}{f' of {self.total:,}' if self.total else ''} {self._unit}".rstrip()

    def _pace(self) -> tuple[str, str]:
        """Nothing in the first second, or where it goes by entries, of which each is of another size."""
        took = monotonic() - self._began
        if took < 1 or self.done <= 0 or self._unit not in ("bytes", "rows"):
            return "", ""
        rate = self.done / took
        left = (self.total - self.done) / rate if self.total > self.done else 0
        said = f"{shorten(rate)}/s" if self._unit == "bytes" else f"{rate:,.0f} {self._unit}/s"
        return said, f"{_time(left)} left" if left else ""


def _time(seconds: float) -> str:
    """'12 s', '3:05' minutes, '1:02:03' hours."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class _Works:
    """All kinds of work so far, by name."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._lock = allocate_lock()

    def _count(self, what: str, amount: int, total: int | None, unit: str) -> Work:
        work = self._works.get(what) or self._works.setdefault(what, Work(unit))
        work.advance(amount, total)
        return work


class Lines(_Works):
    """Plain progress for logs: for each kind of work the amount done, at most one line every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._next = monotonic() + _EVERY

    def advance(self, what: str, amount: int, total: int | None, unit: str) -> None:
        """Count, and perhaps print."""
        with self._lock:
            work = self._count(what, amount, total, unit)
            now = monotonic()
            if now >= self._next:
                self._next = now + _EVERY
                print(f"{what}: {work}", file=sys.stderr, flush=True)

    def hide(self) -> None:
        """Nothing is on the screen."""


class Bars(_Works):
    """A rich bar for each kind of work; rich is imported when the first work is told of."""

    def __init__(self) -> None:
        super().__init__()
        self._live: Any = None
        self._tasks: dict[str, Any] = {}

    def advance(self, what: str, amount: int, total: int | None, unit: str) -> None:
        """Count, and draw."""
        with self._lock:
            work = self._count(what, amount, total, unit)
            if self._live is None:
                self._live = _progress()
                self._live.start()
            if what not in self._tasks:
                self._tasks[what] = self._live.add_task(what, total=work.total or None, said="")
            self._live.update(self._tasks[what], completed=work.done, total=work.total or None, said=str(work))

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
    columns = (
        TextColumn("{task.description}"),
        BarColumn(_WIDTH),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    # Output goes where it is sent: redirecting would take stdout's lines to the terminal when it is a file.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
