"""`dpk config`: read and set options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import settings
from dpkg.command import STORE, Arg, Command, Opt, grid
from dpkg.errors import NotFound, Usage

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "config",
    "Read all settings, one, or set one: config, config KEY, config KEY VALUE.",
    (
        Arg("key", "author, store, timeout, review.require or remote.NAME", optional=True, completes="key"),
        Arg("value", "the new value", optional=True),
        Opt("--unset", "remove the setting"),
        Opt("--user", "in the user's config file, not the store's ('store' is always there)"),
        STORE,
    ),
    epilog="The store's own settings win over the user's, and the environment (DPK_AUTHOR, DPK_STORE) over both.",
    examples=(
        ("See all settings and where they are from:", "dpk config"),
        ("Say who you are, for all stores:", 'dpk config author "Ada <ada@example.com>" --user'),
    ),
    see=("remote",),
)


@dataclass(frozen=True)
class Setting:
    """A setting and where it is from: a config file, or a variable as `$DPK_AUTHOR`.

    `value` is None where it was removed.
    """

    key: str
    value: str | None
    origin: str


def config(
    key: str | None = None,
    value: str | None = None,
    *,
    unset: bool = False,
    user: bool = False,
    store: str | None = None,
) -> Iterator[Setting]:
    """Settings as they hold for the store; one is set, or removed, first.

    Raises Usage for an unknown key, NotFound if it is not set.
    """
    place = settings.find_store(store)
    if key is None:
        if unset or value is not None:
            raise Usage("which setting?", "write: dpk config --unset KEY")
        return (Setting(k, s.value, s.origin) for k, s in settings.effective(place).items())
    settings.check_key(key)
    if unset or value is not None:
        if unset and value is not None:
            raise Usage("--unset takes a key and no value", f"write: dpk config --unset {key}")
        path = settings.config_path(place, user or key == "store")
        settings.set_value(path, key, value)
        return iter([Setting(key, value, path)])
    found = settings.effective(place)
    if key not in found:
        raise NotFound(f"'{key}' is not set", f"set it: dpk config {key} VALUE")
    return iter([Setting(key, found[key].value, found[key].origin)])


def render(result: Iterator[Setting]) -> Iterator[Shown]:
    found = list(result)
    if not found:
        yield "nothing is set: 'dpk config KEY VALUE' sets author, store or remote.NAME"
    yield from grid([(("bold", s.key), s.value or "(removed)", ("dim", s.origin)) for s in found], give="12")
