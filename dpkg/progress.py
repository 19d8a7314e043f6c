"""How long work tells how far it is, without knowing who listens.

The command line installs a listener; a library call has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Listener = Callable[[str, int, "int | None", str], None]
_listener: Listener | None = None


def listen(listener: Listener | None) -> None:
    """Install the process's listener, called from any thread with (what, amount since the last call, total, unit)."""
    global _listener
    _listener = listener


def advance(what: str, amount: int, total: int | None = None, unit: str = "") -> None:
    """Tell that `amount` more of `what` is done."""
    if _listener is not None:
        _listener(what, amount, total, unit)


_reached: dict[str, int] = {}  # of the files that are being read


def expect(size: int) -> None:
    """Tell that files of `size` bytes in all are to be read."""
    advance("read", 0, size, "bytes")


def reached(file: str, position: int) -> None:
    """Tell that a file is read up to `position`, in bytes. Where it is read once more, that goes back."""
    if _listener is not None:
        before, _reached[file] = _reached.get(file, 0), position
        advance("read", position - before, None, "bytes")


def finished(files: Iterable[str], size: int) -> None:
    """Tell that files of `size` bytes together are read."""
    if _listener is not None:
        advance("read", size - sum(_reached.pop(file, 0) for file in files), None, "bytes")
