"""Settings: the only place that reads the environment and config files.

| setting | environment | config key | default |
|---|---|---|---|
| the store | DPK_STORE | store | the nearest `.dpk/` upward, else the user's data folder |
| the author | DPK_AUTHOR | author | git's user.name and user.email, else the login name |
| a remote's place | | remote.NAME | |

Config files are INI (`[dpkg]`, `[remote]`): the user's, then the store's own `config` beside its objects, which wins.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dpkg.errors import NotFound, Storage, Usage

if TYPE_CHECKING:
    from configparser import ConfigParser

STORE_FOLDER = ".dpk"
KEYS = ("author", "store")


def plain_output() -> bool:
    """Whether the environment asks for output without colour (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def user_config_path() -> str:
    """The user's config file; DPK_CONFIG names another one."""
    if path := os.environ.get("DPK_CONFIG"):
        return path
    import platformdirs

    return os.path.join(platformdirs.user_config_dir("dpkg-data", appauthor=False), "config")


def find_store(store: str | None = None) -> str:
    """The path or URL of the store to use; it need not exist."""
    if store or (store := os.environ.get("DPK_STORE")):
        return expand(store)
    folder = os.path.abspath(os.curdir)
    while True:
        if os.path.isdir(candidate := os.path.join(folder, STORE_FOLDER)):
            return candidate
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    if configured := _read(user_config_path()).get("store"):
        return expand(configured)
    import platformdirs

    return os.path.join(platformdirs.user_data_dir("dpkg-data", appauthor=False), "store")


def expand(place: str) -> str:
    """A store's place made absolute, `~` expanded; URLs stay."""
    return place if "://" in place else os.path.abspath(os.path.expanduser(place))


def author(config: dict[str, str]) -> str:
    """Who makes commits and moves refs, `Name <mail>` or a login name."""
    if name := os.environ.get("DPK_AUTHOR") or config.get("author"):
        return name.strip()
    import subprocess

    try:
        found = subprocess.run(["git", "config", "--get-regexp", r"^user\.(name|email)$"], capture_output=True, text=True, timeout=5, check=False)
        git = dict(line.split(" ", 1) for line in found.stdout.splitlines() if " " in line)
    except (OSError, subprocess.SubprocessError, ValueError):
        git = {}
    if "user.name" in git:
        return f"{git['user.name']} <{git['user.email']}>" if git.get("user.email") else git["user.name"]
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def load(store_url: str) -> dict[str, str]:
    """All settings of config files for a store, the store's own over the user's."""
    out = _read(user_config_path())
    if "://" not in store_url:
        out.update(_read(os.path.join(store_url, "config")))
    return out


def remote(name: str | None, config: dict[str, str]) -> str:
    """The place of a remote: a configured name, or a folder or URL as such; None: the only one, or `origin`. Raises Usage, NotFound."""
    remotes = {k.removeprefix("remote."): v for k, v in config.items() if k.startswith("remote.")}
    known = f"remotes: {', '.join(remotes)}" if remotes else ""
    if name is None:
        if len(remotes) == 1 or "origin" in remotes:
            return expand(remotes.get("origin") or next(iter(remotes.values())))
        raise Usage("which remote? none is named", known or "name a folder, or 'dpk remote add NAME URL'")
    if name in remotes:
        return expand(remotes[name])
    if "/" in name or name.startswith((".", "~")):
        return expand(name)
    raise NotFound(f"there is no remote '{name}'", known or f"for a folder write './{name}'; or 'dpk remote add {name} URL'")


def config_path(store_url: str, user: bool) -> str:
    """The file that a setting is written to: the store's own where it is a folder, else the user's."""
    return user_config_path() if user or "://" in store_url else os.path.join(store_url, "config")


def set_value(path: str, key: str, value: str | None) -> None:
    """Set a key in a config file, or remove it (None). Raises Usage for an unknown key, NotFound for removing what is not set."""
    section, name = _place(key)
    parser = _parser(path)
    if value is None:
        if not parser.has_option(section, name):
            raise NotFound(f"'{key}' is not set in {path}")
        parser.remove_option(section, name)
    else:
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, name, value)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as f:
            parser.write(f)
        os.replace(path + ".new", path)
    except OSError as e:
        raise Storage(f"cannot write {path}: {e.strerror}") from None


def _place(key: str) -> tuple[str, str]:
    if key in KEYS:
        return "dpkg", key
    section, _, name = key.partition(".")
    if section == "remote" and name:
        return "remote", name
    from difflib import get_close_matches

    near = get_close_matches(key, KEYS, 1)
    raise Usage(f"'{key}' is not a setting", f"did you mean '{near[0]}'?" if near else f"settings: {', '.join(KEYS)}, remote.NAME")


def _parser(path: str) -> ConfigParser:
    import configparser

    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        with open(path, encoding="utf-8") as f:
            parser.read_file(f)
    except FileNotFoundError:
        pass
    except OSError as e:
        raise Storage(f"cannot read {path}: {e.strerror}") from None
    except (configparser.Error, UnicodeDecodeError) as e:
        raise Usage(f"{path} is not a config file: {str(e).splitlines()[0]}", "correct or remove it") from None
    return parser


def _read(path: str) -> dict[str, str]:
    if not os.path.exists(path):
        return {}
    parser = _parser(path)
    out = dict(parser["dpkg"]) if parser.has_section("dpkg") else {}
    if parser.has_section("remote"):
        out.update({f"remote.{k}": v for k, v in parser["remote"].items()})
    return out
