"""Vectors as parameters of tests of dpkg."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reader

from dpkg.errors import DpkgError

Json = Any
Case = dict[str, Any]


def cases(name: str) -> list[Any]:
    """The cases of a vector file, as parameters."""
    return [pytest.param(case, id=case["name"].encode("unicode_escape").decode()) for case in reader.load_vectors(name)]


def refused(expected: Json, work: Callable[[], object]) -> bool:
    """Whether the vector wants a refusal; if so, `work` must end in dpkg's own error."""
    if "refused" not in expected:
        return False
    with pytest.raises(DpkgError):
        work()
    return True
