"""Prints pip constraints: for each requirement of pyproject.toml, the oldest version that it allows.

`make test-oldest` installs these and runs the tests: what pyproject.toml promises is what is tested.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:>=|==)\s*([0-9][0-9A-Za-z.]*)")


def oldest(requirement: str) -> str:
    """`numpy>=1.26` as `numpy==1.26`. Raises ValueError for a requirement without a lower bound."""
    found = _REQUIREMENT.match(requirement)
    if found is None:
        raise ValueError(f"'{requirement}' in pyproject.toml has no lower bound; give it one: NAME>=VERSION")
    return f"{found[1]}=={found[2]}"


def constraints(pyproject: str) -> list[str]:
    """Of a pyproject.toml: what it takes to build, to run and to test, each at its oldest."""
    read = tomllib.loads(pyproject)
    project = read["project"]
    needed = [*read["build-system"]["requires"], *project["dependencies"], *project["optional-dependencies"]["test"]]
    return [oldest(requirement) for requirement in needed]


if __name__ == "__main__":
    print("\n".join(constraints((ROOT / "pyproject.toml").read_text("utf-8"))))
