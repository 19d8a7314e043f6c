"""Puts this folder on sys.path: `import faulty`, `import walker`. Time stands still where a test wants the same bytes twice."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done twice from the same state gives the same commits."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pushes that lost a race try again at once: here they lose many."""
    monkeypatch.setattr("dpkg.transfer.sync._PAUSE", 0.0)


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks are not waited for: no power is cut here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
