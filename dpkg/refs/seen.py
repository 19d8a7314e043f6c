"""Ref entries that were seen in another store, kept in this one (spec/storage.md, STO-11): an entry never changes.

Derived data: without it the entries are asked for again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg.errors import DpkgError

if TYPE_CHECKING:
    from dpkg.refs.snapshot import Known
    from dpkg.store.base import Backend


def _key(url: str, package: str) -> str:
    return f"derived/seen/{blake3(f'{url} {package}'.encode()).hexdigest()}"


def load(backend: Backend, url: str, package: str) -> Known:
    """Entries of a package that were seen at `url`, by key, each with its etag there."""
    try:
        found = json.loads(backend.get(_key(url, package)))
        return {str(key): (str(etag), str(text)) for key, (etag, text) in found.items()}
    except (DpkgError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def save(backend: Backend, url: str, package: str, known: Known) -> None:
    """Keep what was seen, where that can be: a store that is only read from need not be writable."""
    with suppress(DpkgError):
        backend.put(_key(url, package), json.dumps(dict(sorted(known.items()))).encode())
