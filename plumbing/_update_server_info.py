"""`dpk update-server-info`: write what a web server without listings must be able to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Command
from dpkg.odb.layout import PACKS
from dpkg.refs import PREFIX as REFS
from dpkg.repository import Repository
from dpkg.store.base import SERVER_INFO

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "update-server-info",
    "Write the list of refs and packs that lets a store be read behind a web server that shows no listings of folders.",
    (STORE,),
    epilog=f"""The list is '{SERVER_INFO}' in the store. Write it again after each change of a ref (a cron job, a hook of the pipeline):
until then readers behind the web server find the store as it was. Servers that list folders do not need it.""",
    details="""Behind such a server all that reads packages works: ls, show, log, diff, install, export, verify PACKAGE, dpkg.load.
Objects are not listed: 'verify' of the whole store, count-objects and shortened ids of objects want the folder itself, and say so.""",
    output="How many ref entries are listed, a number.",
    examples=(
        (
            "Put a store on a web host:",
            "dpk update-server-info --store ./public && rsync -a ./public/ host:/var/www/data/",
        ),
        ("", "dpk install acme/sales https://host/data"),
    ),
    see=("install", "ls-remote", "show-ref"),
)


@dataclass(frozen=True)
class ServerInfo:
    """What was written: its key in the store, and how many ref entries it lists."""

    key: str
    entries: int


def update_server_info(*, store: str | None = None) -> ServerInfo:
    """List all ref entries and packs of a store in one value (spec/storage.md, STO-13). Raises NotFound, Denied, Storage."""
    backend = Repository(store).backend
    keys = [stat.key for stat in backend.list(REFS)]
    packs = [stat.key for stat in backend.list(PACKS)]  # after the refs: what they need is there then
    backend.put(SERVER_INFO, "".join(f"{line}\n" for line in (REFS, *keys, PACKS, *packs)).encode())
    backend.sync()
    return ServerInfo(SERVER_INFO, len(keys))


def render(result: ServerInfo) -> Iterator[Shown]:
    yield str(result.entries)
