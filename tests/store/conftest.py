"""Puts this folder on sys.path: `import places`. Backends of every kind, for one suite."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Any]:
    """`place(kind)` is a new, empty backend of a kind of `places.WRITING`."""
    import places

    return lambda kind: places.WRITING[kind](request, tmp_path)


@pytest.fixture
def holding(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, Mapping[str, bytes]], Any]:
    """`holding(kind, values)` is a backend of a kind of `places.READING` in which these values are."""
    import places

    return lambda kind, values: places.READING[kind](request, tmp_path, values)
