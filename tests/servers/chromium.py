"""A real browser for a test: Debian's Chromium, driven by Playwright, which brings none of its own."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FLAGS = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
_MORE = ("disable-component-update", "disable-sync", "disable-dev-shm-usage")


def missing() -> str:
    """Why there is no browser here, or nothing."""
    if not shutil.which("chromium"):
        return "no Chromium here: it is not installed (Debian: apt-get install chromium)"
    if importlib.util.find_spec("playwright") is None:
        return "no Chromium here: nothing drives it (pip install playwright)"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window. Playwright keeps an event loop in this thread as long as it is open: not longer than a test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=[f"--{f}" for f in (*_FLAGS, *_MORE)]
        )
        try:
            yield found
        finally:
            found.close()
