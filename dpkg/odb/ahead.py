"""What lies near a small frame that is read from a pack far away is read along: it is often what is read next."""

from __future__ import annotations

from _thread import allocate_lock
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpkg.objects.pack import Packed
    from dpkg.store.base import Backend

_BLOCK = 1 << 20  # bytes of a pack that are read at once
_WIDEST = (64 << 10) + 64  # bytes; a larger frame is read by itself
_MOST = 24  # blocks held


class _Block:
    """A part of a pack: the frames that begin in it are whole in it. `lock` lets one thread read it, and others wait for that."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.lock = allocate_lock()


class Ahead:
    """Reads frames in packs of `backend`. A block is read when a second frame in it is asked for. Thread-safe."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._blocks: OrderedDict[tuple[str, int], _Block] = OrderedDict()  # the longest unused first
        self._lock = allocate_lock()

    def get(self, key: str, entry: Packed, size: int) -> bytes:
        """The first `size` bytes of a frame in the pack under `key`. Raises NotFound."""
        if entry.size > _WIDEST:
            return self._backend.get_range(key, entry.offset, size)
        place = key, entry.offset // _BLOCK
        with self._lock:
            block = self._blocks.pop(place, None)
            self._blocks[place] = block or _Block()
            while len(self._blocks) > _MOST:
                self._blocks.popitem(last=False)
        if block is None:
            return self._backend.get_range(key, entry.offset, size)
        start = place[1] * _BLOCK
        with block.lock:
            if block.data is None:
                block.data = self._backend.get_range(key, start, _BLOCK + _WIDEST)
        return block.data[entry.offset - start : entry.offset - start + size]
