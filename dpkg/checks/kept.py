"""What was found of fragments, as derived data: a fragment that passed a rule is not looked at again (spec/storage.md, STO-42)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from dpkg.errors import DpkgError
from dpkg.odb.layout import CHECKED

if TYPE_CHECKING:
    from dpkg.odb import Odb

EVALUATION = 1  # to be raised when an evaluator finds something else than before
_DIGEST = 64


class Kept:
    """Of each fragment, by the digest of a rule, what was measured there; only what passed, or goes into a figure."""

    def __init__(self, odb: Odb) -> None:
        self.odb = odb

    def load(self, fragment: str) -> dict[str, Any]:
        """Nothing where it is missing, damaged, or of another form."""
        try:
            return decode(self.odb.backend.get(CHECKED + fragment), fragment)
        except (DpkgError, ValueError, TypeError, KeyError, RecursionError):
            return {}

    def store(self, fragment: str, found: Mapping[str, Any]) -> None:
        with suppress(DpkgError):  # it is of use, not needed
            self.odb.backend.put(CHECKED + fragment, encode(fragment, found))


def encode(fragment: str, found: Mapping[str, Any]) -> bytes:
    """A line of JSON, and the BLAKE3 of it."""
    line = json.dumps({"evaluation": EVALUATION, "found": found, "fragment": fragment}, sort_keys=True) + "\n"
    return line.encode() + blake3(line.encode()).hexdigest().encode()


def decode(data: bytes, fragment: str) -> dict[str, Any]:
    """What `encode` was given. Raises ValueError, TypeError, KeyError for anything else."""
    line = data[:-_DIGEST]
    if blake3(line).hexdigest().encode() != data[-_DIGEST:]:
        raise ValueError("damaged")
    value = json.loads(line)
    if value["evaluation"] != EVALUATION or value["fragment"] != fragment:
        raise ValueError("of another form, or another fragment")
    return dict(value["found"])
