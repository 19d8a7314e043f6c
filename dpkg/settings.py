"""Settings: the only place that reads the environment and config files.

| setting | environment | config key | default |
|---|---|---|---|
| the store | DPK_STORE | store | the nearest `.dpk/` upward, else the user's data folder |
| the author | DPK_AUTHOR | author | git's user.name and user.email, else the login name |
| seconds to wait for an answer of a service | DPK_TIMEOUT | timeout | 60 |
| tags only of what was accepted | | review.require | false |
| a remote's place | | remote.NAME | |

Config files are INI (`[dpkg]`, `[remote]`, `[review]`): the user's (DPK_CONFIG names another), then the store's own `config`
beside its objects, which wins. `store` is the user's only.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dpkg import address
from dpkg.errors import NotFound, Storage, Usage, did_you_mean

if TYPE_CHECKING:
    from configparser import ConfigParser

STORE_FOLDER = ".dpk"
KEYS = ("author", "review.require", "store", "timeout")
_ENVIRONMENT = {"author": "DPK_AUTHOR", "store": "DPK_STORE", "timeout": "DPK_TIMEOUT"}
_TIMEOUT = 60.0  # seconds


class Setting(NamedTuple):
    """A value and where it is from: a config file's path, or `$DPK_AUTHOR`."""

    value: str
    origin: str


def plain_output() -> bool:
    """Whether the environment asks for output without colour (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR")) or dumb_terminal()


def dumb_terminal() -> bool:
    """Whether the environment says that the terminal can only print lines."""
    return os.environ.get("TERM") == "dumb"


def cloud_environment() -> str:
    """A digest of what clients of S3 look at when they are made: another one where that has changed."""
    names = [
        name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "HOME"
    ]
    files = [
        os.path.expanduser(os.environ.get(name, usual))
        for name, usual in (("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config"))
    ]
    times = [os.stat(file).st_mtime_ns if os.path.exists(file) else 0 for file in files]
    said = repr(([(name, os.environ[name]) for name in sorted(names)], files, times))
    return sha256(said.encode(errors="surrogateescape")).hexdigest()


def user_config_path() -> str:
    """The user's config file; DPK_CONFIG names another one."""
    if path := os.environ.get("DPK_CONFIG"):
        return os.path.abspath(os.path.expanduser(path))
    return os.path.join(_user_folder("config"), "config")


def named_store(store: str | None = None) -> str | None:
    """The store that the call or the environment names, made absolute; None if neither does."""
    if store == "":
        raise Usage("the name of the store is empty", "give a folder, for example ./store")
    named = store or os.environ.get("DPK_STORE")
    return expand(named) if named else None


def find_store(store: str | None = None) -> str:
    """The path or URL of the store to use; it need not exist."""
    if named := named_store(store):
        return named
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
    return os.path.join(_user_folder("data"), "store")


def _user_folder(kind: str) -> str:
    """The user's folder, as platformdirs says; on Linux without importing it, which costs a third of `dpk log`."""
    if sys.platform == "linux":
        base = os.environ.get(f"XDG_{kind.upper()}_HOME", "").strip()
        return os.path.join(
            base or os.path.expanduser({"data": "~/.local/share", "config": "~/.config"}[kind]), "dpkg-data"
        )
    import platformdirs

    found = {"data": platformdirs.user_data_dir, "config": platformdirs.user_config_dir}[kind]
    return found("dpkg-data", appauthor=False)


def expand(place: str) -> str:
    """A store's place made absolute, `~` expanded; URLs stay."""
    return place if "://" in place else os.path.abspath(os.path.expanduser(place))


def timeout() -> float:
    """Seconds to wait for an answer of a service. Raises Usage."""
    text = os.environ.get("DPK_TIMEOUT", "").strip() or _read(user_config_path()).get("timeout", "")
    return _seconds(text) if text else _TIMEOUT


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise Usage(f"'{text[:40]}' is no number of seconds to wait", "DPK_TIMEOUT or 'timeout' wants a number, as 60")
    return seconds


def review_required(config: dict[str, str]) -> bool:
    """Whether tags are only for what was accepted. Raises Usage for a value that is neither true nor false."""
    return _truth("review.require", config.get("review.require", "false"))


def _truth(key: str, value: str) -> bool:
    if value.strip() not in ("true", "false"):
        raise Usage(f"'{value[:40]}' is no value for '{key}'", "write true or false")
    return value.strip() == "true"


def author(config: dict[str, str]) -> str:
    """Who makes commits and moves refs, `Name <mail>` or a login name."""
    if name := os.environ.get("DPK_AUTHOR", "").strip() or config.get("author", "").strip():
        return name
    import subprocess

    ask = ["git", "config", "--get-regexp", r"^user\.(name|email)$"]
    try:
        found = subprocess.run(ask, capture_output=True, text=True, timeout=5, check=False)
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


def git(folder: str, *words: str, seconds: float = 10) -> str | None:
    """What git says of the repository around a folder; None where it fails, takes too long, or is not there.

    It changes nothing, runs no hook, and no variable of the environment leads it elsewhere.
    """
    import subprocess

    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ask = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", folder, *words]
    try:
        found = subprocess.run(
            ask, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=seconds, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return None if found.returncode else found.stdout.decode(errors="replace")


_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def expand_variables(text: str, whole: Callable[[str], str] = str, part: Callable[[str], str] = str) -> str:
    """`text` with each `${NAME}` replaced by that variable of the environment: by `whole` of it where it is all of the
    text, else by `part`. Raises Usage, naming the variable that is not set, or what is no name; never a value."""

    def value(name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Usage(f"'${{{name[:40]}}}' names no variable of the environment", "write ${NAME}")
        found = os.environ.get(name)
        if not found:
            raise Usage(f"the variable {name} is not set in the environment", f"set it: export {name}=…")
        return found

    if found := _VARIABLE.fullmatch(text):
        return whole(value(found.group(1)))
    return _VARIABLE.sub(lambda match: part(value(match.group(1))), text)


def load(store_url: str) -> dict[str, str]:
    """All settings of config files for a store, the store's own over the user's."""
    return {key: s.value for key, s in _files(store_url).items()}


def effective(store_url: str) -> dict[str, Setting]:
    """All settings as they hold for a store, the environment's too, each with its origin; in the order of keys.

    To be shown: of an address that may hold a secret only its begin is given.
    """
    found = _files(store_url)
    for key, variable in _ENVIRONMENT.items():
        if value := os.environ.get(variable, "").strip():
            found[key] = Setting(value, f"${variable}")
    for key, (value, origin) in found.items():
        if key == "store" or key.startswith("remote."):
            found[key] = Setting(address.shown(value), origin)
    return dict(sorted(found.items()))


def _files(store_url: str) -> dict[str, Setting]:
    user = user_config_path()
    found = {key: Setting(value, user) for key, value in _read(user).items()}
    if "://" not in store_url:
        own = os.path.join(store_url, "config")
        found.update({key: Setting(value, own) for key, value in _read(own).items() if key != "store"})
    return found


def remote(name: str | None, config: dict[str, str]) -> str:
    """The place of a remote: a configured name, or a folder or URL as such; None: the only one, or `origin`.

    Raises Usage, NotFound.
    """
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
    raise NotFound(
        f"there is no remote '{name}'", known or f"for a folder write './{name}'; or 'dpk remote add {name} URL'"
    )


def config_path(store_url: str, user: bool) -> str:
    """The file that a setting is written to: the store's own where it is a folder that is there, else the user's."""
    own = not user and "://" not in store_url and os.path.isdir(store_url)
    return os.path.join(store_url, "config") if own else user_config_path()


def set_value(path: str, key: str, value: str | None) -> None:
    """Set a key in a config file, or remove it (None).

    Raises Usage for a key or value that is none, NotFound for removing what is not.
    """
    section, name = check_key(key)
    parser = _parser(path)
    if value is None:
        if not parser.has_option(section, name):
            raise NotFound(f"'{key}' is not set in {path}")
        parser.remove_option(section, name)
    else:
        _check_value(key, value)
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


def check_key(key: str) -> tuple[str, str]:
    """The section and name of a key. Raises Usage, naming the nearest."""
    section, dot, name = key.partition(".")
    if key in KEYS:
        return (section, name) if dot else ("dpkg", key)
    if section == "remote" and dot:
        from dpkg.names import valid_remote

        return "remote", valid_remote(name)
    hint = did_you_mean(key, KEYS, f"settings: {', '.join(KEYS)}, remote.NAME")
    raise Usage(f"'{key}' is not a setting", hint)


def _check_value(key: str, value: str) -> None:
    """A config file is readable by others and gets copied: nothing secret is written to it."""
    if not value.strip() or any(c < " " or "\ud800" <= c <= "\udfff" for c in value):
        raise Usage(f"this is no value for '{key}'", "a value is one line of text, and not empty")
    if key == "timeout":
        _seconds(value)
    elif key == "review.require":
        _truth(key, value)
    elif key != "author":
        address.parse(value)


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
    for section in ("remote", "review"):
        if parser.has_section(section):
            out.update({f"{section}.{k}": v for k, v in parser[section].items()})
    return out
