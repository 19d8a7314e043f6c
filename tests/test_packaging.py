"""What the wheel has in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import dpkg

ROOT = Path(__file__).parents[1]


def test_every_package_is_named() -> None:
    """setuptools cannot look for them, as two are beside dpkg/."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    home = Path(dpkg.__file__).parent
    found = {".".join(path.parent.relative_to(home.parent).parts) for path in home.rglob("__init__.py")}
    assert found | {"dpkg.plumbing", "dpkg.porcelain"} == set(named)
