"""The compiler: files in, a tree out. A plan says what becomes what; it comes from a folder or a build.yml."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dpkg.errors import NotFound

if TYPE_CHECKING:
    from dpkg.compiler.plan import Plan


def make_plan(path: str, raw: bool = False) -> Plan:
    """The plan for a path: a build.yml, a folder with one, a folder, a file."""
    from dpkg.compiler.buildfile import plan_buildfile
    from dpkg.compiler.folder import plan_file, plan_folder
    from dpkg.compiler.plan import BUILD_FILE

    path = os.path.expanduser(path)
    if os.path.isdir(path):
        inside = os.path.join(path, BUILD_FILE)
        return plan_buildfile(inside, raw) if os.path.isfile(inside) and not raw else plan_folder(path, raw)
    if not os.path.exists(path):
        raise NotFound(
            f"there is no file or folder '{path}'", "check the path; the package comes first: dpk build owner/name PATH"
        )
    if os.path.basename(path) == BUILD_FILE or path.endswith((".dpk.yml", ".build.yml")):
        return plan_buildfile(path, raw)
    return plan_file(path, raw)
