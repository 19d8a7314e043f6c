"""The compiler: files in, a tree out. A plan says what becomes what; it comes from a folder or a build.yml."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dpkg.errors import NotFound

if TYPE_CHECKING:
    from dpkg.compiler.plan import Plan


def make_plan(path: str, raw: bool = False) -> Plan:
    """The plan for a path: a build.yml, a folder with one, a folder, a file."""
    from dpkg.compiler.folder import plan_file, plan_folder
    from dpkg.compiler.plan import BUILD_FILE

    path = os.path.expanduser(path)
    file = path
    if os.path.isdir(path):
        file = os.path.join(path, BUILD_FILE)
        if raw or not os.path.isfile(file):
            return plan_folder(path, raw)
    elif not os.path.exists(path):
        raise NotFound(
            f"there is no file or folder '{path}'", "check the path; the package comes first: dpk build owner/name PATH"
        )
    if os.path.basename(file) == BUILD_FILE or file.endswith((".dpk.yml", ".build.yml")):
        from dpkg.compiler.buildfile import plan_buildfile

        return plan_buildfile(file, raw)
    return plan_file(path, raw)
