"""Puts this folder on sys.path: `import builds`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def build(src: Path) -> Callable[[str], dict[str, str]]:
    """Builds the folder `src` of a test with the text of a build.yml; its entries as path: type."""
    from builds import build_types

    return partial(build_types, src)
