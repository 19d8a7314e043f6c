"""How long work tells how far it is, without knowing who listens.

The command line installs a listener; a library call has none.
"""

from __future__ import annotations

from collections.abc import Callable

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
