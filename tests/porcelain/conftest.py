"""Puts this folder on sys.path: `import faults`, `import packages`. Places that tests push to and export into."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """Where a remote store may be made."""
    return str(tmp_path / "remote")


@pytest.fixture
def other(tmp_path: Path, store: Any) -> Any:
    """Somebody else's store."""
    return type(store)(str(tmp_path / "other"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "out"
