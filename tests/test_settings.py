"""Settings: which store, which author, which remote. (How they are set: tests/porcelain/test_manage.py.)"""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dpkg import settings
from dpkg.errors import NotFound, Usage


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a store, a user without settings and without git."""
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    for name in ("DPK_STORE", "DPK_AUTHOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("DPK_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return tmp_path


def test_the_store(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--store, else DPK_STORE, else the nearest .dpk/ upward, else the user's setting, else the user's data folder."""
    here = Path.cwd()
    assert settings.find_store() == str(alone / "data" / "dpkg-data" / "store")
    settings.set_value(settings.user_config_path(), "store", "~/configured")
    assert settings.find_store() == str(alone / "home" / "configured")
    (alone / ".dpk").mkdir()
    assert settings.find_store() == str(alone / ".dpk")
    (here.parent / ".dpk").mkdir()
    assert settings.find_store() == str(here.parent / ".dpk")
    (here / ".dpk").write_text("a file is no store")
    assert settings.find_store() == str(here.parent / ".dpk")
    monkeypatch.setenv("DPK_STORE", "relative")
    assert settings.find_store() == str(here / "relative")
    assert settings.find_store("./given") == str(here / "given")
    assert settings.find_store("s3://bucket/x") == "s3://bucket/x"
    monkeypatch.setenv("DPK_STORE", "")
    assert settings.find_store() == str(here.parent / ".dpk")
    with pytest.raises(Usage, match="empty"):
        settings.find_store("")


def test_the_users_config_file(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.user_config_path() == str(alone / "config")
    monkeypatch.delenv("DPK_CONFIG")
    assert settings.user_config_path() == str(alone / "xdg" / "dpkg-data" / "config")


def test_the_users_folders_are_those_of_platformdirs(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    for value in ("/somewhere", " ", None):
        for kind, theirs in (("data", platformdirs.user_data_dir), ("config", platformdirs.user_config_dir)):
            name = f"XDG_{kind.upper()}_HOME"
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
            assert settings._user_folder(kind) == theirs("dpkg-data", appauthor=False)


def test_the_author(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DPK_AUTHOR, else the config, else git's, else the login name."""
    assert settings.author({}) == getpass.getuser()
    (alone / "gitconfig").write_text("[user]\n\tname = Grace Hopper\n")
    assert settings.author({}) == "Grace Hopper"
    (alone / "gitconfig").write_text("[user]\n\tname = Grace Hopper\n\temail = grace@example.com\n")
    assert settings.author({}) == "Grace Hopper <grace@example.com>"
    (alone / "gitconfig").write_text("not a git config [")
    assert settings.author({}) == getpass.getuser()
    assert settings.author({"author": " configured "}) == "configured"
    monkeypatch.setenv("DPK_AUTHOR", "Ada")
    assert settings.author({"author": "configured"}) == "Ada"
    monkeypatch.setenv("DPK_AUTHOR", "  ")
    assert settings.author({"author": "configured"}) == "configured"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert settings.author({}) == getpass.getuser()
    monkeypatch.setattr(getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("no name")))
    assert settings.author({}) == "unknown"


def test_remotes(alone: Path) -> None:
    here = str(Path.cwd())
    one = {"author": "x", "remote.up": "~/up"}
    two = {"remote.up": "/up", "remote.origin": "/origin"}
    assert settings.remote(None, one) == str(alone / "home" / "up")
    assert settings.remote(None, two) == "/origin"
    assert settings.remote("up", two) == "/up"
    assert settings.remote("./up", two) == f"{here}/up"
    assert settings.remote("s3://bucket", {}) == "s3://bucket"
    with pytest.raises(Usage, match="which remote"):
        settings.remote(None, {"remote.a": "/a", "remote.b": "/b"})
    with pytest.raises(NotFound, match="no remote 'down'") as caught:
        settings.remote("down", two)
    assert caught.value.hint == "remotes: up, origin"
    with pytest.raises(NotFound) as caught:
        settings.remote("down", {})
    assert "./down" in caught.value.hint


def test_the_environment_is_read_nowhere_else() -> None:
    root = Path(settings.__file__).parents[1]
    for folder in ("dpkg", "plumbing", "porcelain"):
        for path in (root / folder).rglob("*.py"):
            if path.name != "settings.py":
                assert not re.search(r"os\.environ|getenv|expandvars", path.read_text()), path


def test_plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not settings.plain_output()
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert settings.plain_output()
    monkeypatch.setenv("NO_COLOR", "")
    assert not settings.plain_output()


def test_other_lines_of_a_config_file_stay(alone: Path) -> None:
    path = str(alone / "config")
    Path(path).write_text("[dpkg]\nauthor = Ada\nlater = yes\n\n[remote]\nup = /up\n\n[else]\nx = 1\n")
    settings.set_value(path, "author", "Bob")
    settings.set_value(path, "remote.down", "/down")
    settings.set_value(path, "remote.up", None)
    text = Path(path).read_text()
    assert all(line in text for line in ("author = Bob", "later = yes", "down = /down", "[else]", "x = 1"))
    assert "/up" not in text


def test_a_config_folder_is_made(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_CONFIG", "deep/er/config")
    settings.set_value(settings.user_config_path(), "author", "Ada")
    assert os.path.isfile("deep/er/config")
    found: dict[str, Any] = settings.effective("memory://x")
    assert found["author"].value == "Ada"
