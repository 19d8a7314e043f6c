"""Each tool as a user would call it, with its defaults. What is done on top, for all alike: telemetry, checks for updates
and git's collection of garbage in the background are off.

A tool works in a folder of its own: `work/data` is what it keeps, `home` its user's home (settings, caches).
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from timing import Ran, run

_COMMIT = "git add -A && { git diff --cached --quiet || git commit --quiet -m step; }"
_FOREIGN = ("AWS_", "DPK_", "DVC_", "GIT_", "OXEN_", "RESTIC_", "XDG_")


@dataclass(frozen=True)
class Place:
    """A remote: a folder, or a prefix of a bucket at an endpoint, with the variables of its user."""

    path: str  # a folder, or bucket/prefix
    endpoint: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


class Tool(ABC):
    """One tool with one repository. `cannot` says which steps it has not, and why."""

    name: ClassVar[str]
    cannot: ClassVar[dict[str, str]] = {}

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = str(program), folder
        self.work, self.home, self.pulled = folder / "work", folder / "home", folder / "pulled"
        self.data = self.work / "data"
        foreign = [n for n in os.environ if n.startswith(_FOREIGN) or n.lower().endswith("_proxy")]
        self.env = {n: v for n, v in os.environ.items() if n not in foreign} | {"HOME": str(self.home)}

    def reset(self) -> None:
        """An empty repository, and no trace of an earlier one. The data stays."""
        for path in [*self.folder.iterdir(), *self.work.iterdir()]:
            if path not in (self.work, self.data):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.home.mkdir()
        self.init()

    def run(self, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """A command in the work folder."""
        return run(command, cwd or self.work, {**self.env, **(env or {})})

    @abstractmethod
    def version(self) -> list[str]:
        """The command that prints it."""

    @abstractmethod
    def init(self) -> None:
        """Make an empty repository."""

    @abstractmethod
    def commit(self) -> Ran:
        """Keep the data as it is now: the same for the first time, for nothing new, and for a change."""

    @abstractmethod
    def store(self) -> list[Path]:
        """The folders with all that it stores."""

    def remote(self, place: Place) -> None:
        """Make an empty remote, and note it."""
        raise NotImplementedError

    def push(self, place: Place) -> Ran:
        """What was committed, to the remote."""
        raise NotImplementedError

    def pull(self, place: Place) -> tuple[Ran, Path]:
        """Files in a new folder, on a machine that has only the remote; and where they are."""
        raise NotImplementedError

    def verify(self) -> Ran:
        """Read and check every stored byte."""
        raise NotImplementedError


class Dpk(Tool):
    """This project."""

    name = "dpk"

    def version(self) -> list[str]:
        return [self.program, "--version"]

    def init(self) -> None:
        self.env |= {"DPK_STORE": str(self.folder / "store"), "DPK_AUTHOR": "bench"}
        self.run(self.program, "init")

    def commit(self) -> Ran:
        return self.run(self.program, "build", "bench/data", "data", "-m", "step", "--quiet")

    def store(self) -> list[Path]:
        return [self.folder / "store"]

    def remote(self, place: Place) -> None:
        self.run(self.program, "init", env={"DPK_STORE": self._url(place), **place.env})

    def push(self, place: Place) -> Ran:
        return self.run(self.program, "push", "bench/data", self._url(place), "--quiet", env=place.env)

    def pull(self, place: Place) -> tuple[Ran, Path]:
        env, files = {**place.env, "DPK_STORE": str(self.pulled / "store")}, self.pulled / "data"
        took = self.run(self.program, "install", "bench/data", self._url(place), "--quiet", env=env)
        return took + self.run(self.program, "export", "bench/data", str(files), "--quiet", env=env), files

    def verify(self) -> Ran:
        return self.run(self.program, "verify", "--quiet")

    def _url(self, place: Place) -> str:
        return f"s3://{place.path}?endpoint={place.endpoint}" if place.endpoint else place.path


class Restic(Tool):
    """A backup program; all that it stores is encrypted. `restic copy` is its push."""

    name = "restic"

    def version(self) -> list[str]:
        return [self.program, "version"]

    def init(self) -> None:
        self.local = str(self.folder / "store")
        self.env |= {"RESTIC_PASSWORD": "bench", "RESTIC_FROM_PASSWORD": "bench"}
        self.run(self.program, "-r", self.local, "init")

    def commit(self) -> Ran:
        return self.run(self.program, "-r", self.local, "backup", "--quiet", "data")

    def store(self) -> list[Path]:
        return [self.folder / "store"]

    def remote(self, place: Place) -> None:
        command = [self.program, "-r", self._url(place), "init", "--from-repo", self.local, "--copy-chunker-params"]
        self.run(*command, env=place.env)

    def push(self, place: Place) -> Ran:
        return self.run(self.program, "-r", self._url(place), "copy", "--from-repo", self.local, env=place.env)

    def pull(self, place: Place) -> tuple[Ran, Path]:
        command = [self.program, "-r", self._url(place), "restore", "latest", "--target", str(self.pulled)]
        return self.run(*command, env=place.env), self.pulled / "data"

    def verify(self) -> Ran:
        return self.run(self.program, "-r", self.local, "check", "--read-data", "--quiet")

    def _url(self, place: Place) -> str:
        return f"s3:{place.endpoint}/{place.path}" if place.endpoint else place.path


class _WithGit(Tool):
    """What DVC and git-lfs share: metadata in git."""

    def _git_init(self) -> None:
        lines = "[user]\nname = bench\nemail = bench@example.com\n[init]\ndefaultBranch = main\n[gc]\nauto = 0\n"
        (self.home / ".gitconfig").write_text(lines)
        self.env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TEMPLATE_DIR": "", "GIT_TERMINAL_PROMPT": "0"}
        self.run("git", "init", "--quiet")

    def _git_commit(self) -> Ran:
        return self.run("sh", "-c", _COMMIT)


class Dvc(_WithGit):
    """DVC's own store and remote; the git beside it holds one small file."""

    name = "DVC"
    cannot: ClassVar[dict[str, str]] = {"verify": "it has no command that reads what it stored"}

    def version(self) -> list[str]:
        return [self.program, "--version"]

    def init(self) -> None:
        self.env |= {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(self.home / "site")}
        self._git_init()
        self.run(self.program, "init", "--quiet")
        self.run(self.program, "config", "core.check_update", "false")
        self.run("git", "commit", "--quiet", "--all", "-m", "init")

    def commit(self) -> Ran:
        return self.run(self.program, "add", "data") + self._git_commit()

    def store(self) -> list[Path]:
        return [self.work / ".dvc" / "cache", self.work / ".git"]

    def remote(self, place: Place) -> None:
        url = f"s3://{place.path}" if place.endpoint else place.path
        self.run(self.program, "remote", "add", "--force", "--default", "there", url)
        if place.endpoint:
            self.run(self.program, "remote", "modify", "there", "endpointurl", place.endpoint)
        self._git_commit()

    def push(self, place: Place) -> Ran:
        return self.run(self.program, "push", env=place.env)

    def pull(self, place: Place) -> tuple[Ran, Path]:
        took = self.run("git", "clone", "--quiet", str(self.work), str(self.pulled))
        took += self.run(self.program, "pull", cwd=self.pulled, env=place.env)
        return took, self.pulled / "data"


class GitLfs(_WithGit):
    """All data files are tracked by git-lfs, with a bare repository in a folder as remote."""

    name = "git-lfs"
    cannot: ClassVar[dict[str, str]] = {"s3": "it needs a server of its own protocol in front of a bucket"}

    def __init__(self, program: Path, folder: Path) -> None:
        super().__init__(program, folder)
        self.env["PATH"] = f"{program.parent}{os.pathsep}{self.env['PATH']}"

    def version(self) -> list[str]:
        return [self.program, "version"]

    def init(self) -> None:
        self._git_init()
        self.run("git", "lfs", "install")
        self.run("git", "lfs", "track", "data/**")

    def commit(self) -> Ran:
        return self._git_commit()

    def store(self) -> list[Path]:
        return [self.work / ".git"]

    def remote(self, place: Place) -> None:
        self.run("git", "init", "--quiet", "--bare", place.path)
        self.run("git", "config", "remote.there.url", f"file://{place.path}")

    def push(self, place: Place) -> Ran:
        return self.run("git", "push", "--quiet", "there", "main")

    def pull(self, place: Place) -> tuple[Ran, Path]:
        return self.run("git", "clone", "--quiet", f"file://{place.path}", str(self.pulled)), self.pulled / "data"

    def verify(self) -> Ran:
        return self.run("git", "lfs", "fsck")


_OXEN = """
import sys, oxen
repo = oxen.Repo(".")
if sys.argv[1] == "init":
    oxen.user.config_user("bench", "bench@example.com")
    repo.init()
else:
    repo.add("data")
    if repo.status().is_dirty():
        repo.commit("step")
"""
_OXEN_VERSION = "import importlib.metadata as m; print('oxenai', m.version('oxenai'))"


class Oxen(Tool):
    """Through its Python interface: the wheel has no command."""

    name = "Oxen"
    cannot: ClassVar[dict[str, str]] = {
        "folder": "it pushes to oxen-server only, which is not on PyPI",
        "s3": "it pushes to oxen-server only, which is not on PyPI",
        "verify": "its Python interface has no such command",
    }

    def version(self) -> list[str]:
        return [self.program, "-c", _OXEN_VERSION]

    def init(self) -> None:
        self.run(self.program, "-c", _OXEN, "init")

    def commit(self) -> Ran:
        return self.run(self.program, "-c", _OXEN, "commit")

    def store(self) -> list[Path]:
        return [self.work / ".oxen"]


TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Dpk, Restic, Dvc, GitLfs, Oxen)}
