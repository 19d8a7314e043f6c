"""`dpk config`: read and set options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dpkg import settings
from dpkg.command import STORE, Arg, Command, Opt, grid
from dpkg.errors import NotFound, Usage

COMMAND = Command(
    "config",
    "Read all settings, one, or set one: config, config KEY, config KEY VALUE.",
    (
        Arg("key", "author, store or remote.NAME", optional=True),
        Arg("value", "the new value", optional=True),
        Opt("--unset", "remove the setting"),
        Opt("--user", "in the user's config file, not the store's"),
        STORE,
    ),
    epilog="The store's own settings win over the user's, and the environment (DPK_AUTHOR, DPK_STORE) over both.",
)


@dataclass(frozen=True)
class Setting:
    """A setting and its value."""

    key: str
    value: str


def config(
    key: str | None = None, value: str | None = None, *, unset: bool = False, user: bool = False, store: str | None = None
) -> Iterator[Setting]:
    """Settings as they hold for the store. Raises Usage for an unknown key, NotFound for one that is not set."""
    place = settings.find_store(store)
    if unset or value is not None:
        if key is None or (unset and value is not None):
            raise Usage("--unset takes a key and no value", "write: dpk config --unset KEY")
        settings.set_value(settings.config_path(place, user), key, value)
        return iter([Setting(key, value or "")])
    known = settings.load(place)
    if key is None:
        return iter([Setting(k, v) for k, v in sorted(known.items())])
    if key not in known:
        raise NotFound(f"'{key}' is not set", f"set it: dpk config {key} VALUE")
    return iter([Setting(key, known[key])])


def render(result: Iterator[Setting]) -> Iterator[Any]:
    yield from grid([(("bold", s.key), s.value) for s in result])
