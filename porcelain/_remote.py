"""`dpk remote`: names for other stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import settings
from dpkg.command import STORE, Arg, Command, Opt, grid
from dpkg.errors import AlreadyExists, NotFound, Usage

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "remote",
    "Name other stores: remote list, remote add NAME URL, remote rm NAME.",
    (
        Arg("action", "list, add or rm (default: list)", optional=True, choices=("list", "add", "rm")),
        Arg("name", "the remote's name", optional=True, completes="remote-name"),
        Arg("url", "its folder or URL", optional=True, completes="dir"),
        Opt("--user", "for all stores of this user, not only this one"),
        STORE,
    ),
    epilog="""A URL may hold an endpoint: s3://bucket/folder?endpoint=https://s3.example.org; options are joined by '&': endpoint, region,
profile, anonymous=true. It holds no user, password or key: these come from the environment (AWS_ACCESS_KEY_ID, …) or ~/.aws.""",
    examples=(
        ("Name a folder, and see what has a name:", "dpk remote add origin /srv/data/shared"),
        ("", "dpk remote list"),
        (
            "Name a bucket of a service that is not AWS:",
            "dpk remote add lab 's3://data/store?endpoint=https://s3.example.org'",
        ),
    ),
    see=("push", "install", "config"),
)


@dataclass(frozen=True)
class Remote:
    """A remote: its name and place. `action` is what was done: list, add or rm."""

    name: str
    url: str
    action: str


def remote(
    action: str = "list",
    name: str | None = None,
    url: str | None = None,
    *,
    user: bool = False,
    store: str | None = None,
) -> Iterator[Remote]:
    """List, add or remove remotes. Raises AlreadyExists, NotFound, Usage."""
    place = settings.find_store(store)
    known = {k.removeprefix("remote."): s for k, s in settings.effective(place).items() if k.startswith("remote.")}
    if action == "list" and name is None:
        return (Remote(n, s.value, action) for n, s in known.items())
    if action == "add" and name and url:
        if name in known:
            raise AlreadyExists(
                f"there is a remote '{name}' already, at {known[name].value}", f"'dpk remote rm {name}' first"
            )
        url = settings.expand(url)
        settings.set_value(settings.config_path(place, user), f"remote.{name}", url)
        return iter([Remote(name, url, action)])
    if action == "rm" and name and url is None:
        if name not in known:
            raise NotFound(f"there is no remote '{name}'", f"remotes: {', '.join(known) or 'none'}")
        settings.set_value(known[name].origin, f"remote.{name}", None)
        return iter([Remote(name, known[name].value, action)])
    raise Usage("the arguments do not fit", "write: dpk remote list, dpk remote add NAME URL, or dpk remote rm NAME")


def render(result: Iterator[Remote]) -> Iterator[Shown]:
    found = list(result)
    if not found:
        yield "no remotes: 'dpk remote add NAME URL' names one"
    for r in found:
        if r.action != "list":
            yield (f"{'added' if r.action == 'add' else 'removed'} ", ("bold", r.name), f" {r.url}")
    yield from grid([(("bold", r.name), r.url) for r in found if r.action == "list"])
