"""The oldest versions that pyproject.toml allows, as tests/oldest.py tells them to `make test-oldest`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def oldest() -> Any:
    spec = importlib.util.spec_from_file_location("oldest", HERE / "oldest.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("requirement", "wanted"),
    [
        ("numpy>=1.26", "numpy==1.26"),
        ("a-b_c.d >= 2.0rc1, <3", "a-b_c.d==2.0rc1"),
        ("x[y,z]>=1; python_version < '3.12'", "x==1"),
        ("duckdb==1.5.5", "duckdb==1.5.5"),
    ],
)
def test_the_lower_bound(oldest: Any, requirement: str, wanted: str) -> None:
    assert oldest.oldest(requirement) == wanted


@pytest.mark.parametrize("requirement", ["numpy", "numpy<2", "numpy~=2.0"])
def test_no_lower_bound_is_refused(oldest: Any, requirement: str) -> None:
    with pytest.raises(ValueError, match="no lower bound"):
        oldest.oldest(requirement)


def test_every_requirement_has_one(oldest: Any) -> None:
    found = oldest.constraints((HERE.parent / "pyproject.toml").read_text("utf-8"))
    assert {line.split("==")[0] for line in found} >= {"setuptools", "pyarrow", "pandas", "numpy", "pytest"}
