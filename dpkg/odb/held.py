"""Objects that were read or written lately, so that a store across a network is not asked twice."""

from __future__ import annotations

from _thread import allocate_lock
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpkg.objects.frame import Kind
    from dpkg.oid import Oid

_LARGEST = 1 << 20  # bytes of payload; larger objects are not held
_MOST = 16 << 20  # bytes of payload held


class Held:
    """Verified objects by oid, the longest unused dropped first. Objects never change, so they are never stale."""

    def __init__(self) -> None:
        self._objects: OrderedDict[Oid, tuple[Kind, bytes]] = OrderedDict()
        self._size = 0
        self._lock = allocate_lock()

    def get(self, oid: Oid) -> tuple[Kind, bytes] | None:
        """The kind and payload of an object, if it is held."""
        with self._lock:
            found = self._objects.get(oid)
            if found is not None:
                self._objects.move_to_end(oid)
            return found

    def put(self, oid: Oid, kind: Kind, payload: bytes) -> None:
        """Hold an object whose payload was checked against its oid."""
        if len(payload) > _LARGEST:
            return
        with self._lock:
            if oid not in self._objects:
                self._objects[oid] = kind, payload
                self._size += len(payload)
            while self._size > _MOST:
                _, (_, dropped) = self._objects.popitem(last=False)
                self._size -= len(dropped)
