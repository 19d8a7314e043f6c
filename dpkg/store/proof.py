"""Whether a place honours create-if-absent: tried out once, and written down in the store.

Some services ignore the condition, and some let two of many racing writers win: refs there would lose updates.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from dpkg.errors import DpkgError, NotFound

if TYPE_CHECKING:
    from dpkg.store.base import Backend

KEY = "derived/create-if-absent"
_RACERS, _ROUNDS = 2, 4  # more racers at once, and SeaweedFS takes seconds


def proven(backend: Backend, endpoint: str) -> bool:
    """Whether `create` has one winner at most, as seen through `endpoint`. Raises Denied or Storage where it cannot be tried."""
    said = json.dumps({"endpoint": endpoint, "proven": True}, sort_keys=True).encode()
    try:
        if backend.get(KEY) == said:
            return True
    except NotFound:
        pass
    if not try_out(backend):
        return False
    backend.put(KEY, said)
    return True


def try_out(backend: Backend) -> bool:
    """Race for new keys, which are removed again: each must have one winner, and hold what that one wrote."""
    folder = f"derived/probe/{os.urandom(8).hex()}"
    keys = [f"{folder}/{turn}" for turn in range(_ROUNDS)]
    values = [f"{racer}".encode() for racer in range(_RACERS)]
    try:
        with ThreadPoolExecutor(_RACERS, thread_name_prefix="dpkg-probe") as pool:
            for key in keys:
                won = list(pool.map(lambda value, key=key: backend.create(key, value), values))
                winners = [value for value, first in zip(values, won, strict=True) if first]
                if len(winners) > 1 or backend.get(key) not in (winners or values):  # none: its answer was lost
                    return False
        return True
    finally:
        with suppress(DpkgError):  # what stopped the race says more
            for key in keys:
                backend.delete(key)
