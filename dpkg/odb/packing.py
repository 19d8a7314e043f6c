"""Collecting objects into packs as they are written."""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from typing import TYPE_CHECKING

from dpkg.objects import pack
from dpkg.odb.layout import pack_key, place_of
from dpkg.store.base import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    from dpkg.odb.packs import Packs
    from dpkg.oid import Oid
    from dpkg.store.base import Backend

FEW = 32  # so many objects are not worth a pack: they are stored loose
_SMALL = 1 << 20  # bytes; more than these are worth one, however few objects they are
_UPLOADS = 3  # packs that are on their way at once


class Packer:
    """Frames that are to be stored, gathered into packs. Thread-safe. `flush` stores what is left."""

    def __init__(self, backend: Backend, packs: Packs, note: Callable[[str], object]) -> None:
        self._backend, self._packs, self._note = backend, packs, note
        self._lock = allocate_lock()
        self._open: dict[Oid, bytes] = {}  # frames of the pack that is being filled
        self._size = 0
        self._leaving: deque[tuple[dict[Oid, bytes], Future[None]]] = deque()  # packs on their way
        self._pool: ThreadPoolExecutor | None = None

    def get(self, oid: Oid) -> bytes | None:
        """The frame of an object that is not stored yet."""
        with self._lock:
            for frames in (self._open, *(frames for frames, _ in self._leaving)):
                if oid in frames:
                    return frames[oid]
        return None

    def add(self, oid: Oid, data: bytes) -> None:
        """Take an object's frame, which was checked. Raises what storing an earlier pack raised."""
        with self._lock:
            if oid in self._open:
                return
            self._open[oid] = data
            self._size += len(data)
            if len(self._open) >= pack.MOST_OBJECTS or self._size >= pack.MOST_BYTES:
                self._send()

    def flush(self) -> None:
        """Store all that was taken: when this returns it is in the store."""
        with self._lock:
            few = len(self._open) < FEW and self._size < _SMALL
            loose = self._open if few else {}
            if self._open and not few:
                self._send()
            while self._leaving:
                self._settle()
            list(self._threads().map(self._put, loose.items()) if len(loose) > 1 else map(self._put, loose.items()))
            if few:
                self._open, self._size = {}, 0

    def close(self) -> None:
        """Wait for packs that are on their way. What else was taken and not flushed is forgotten."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _put(self, item: tuple[Oid, bytes]) -> None:
        key, data = place_of(*item)
        self._note(key)
        self._backend.put(key, data)

    def _send(self) -> None:
        """Begin to store the open pack."""
        while len(self._leaving) >= _UPLOADS:
            self._settle()
        frames, self._open, self._size = self._open, {}, 0
        self._leaving.append((frames, self._threads().submit(self._store, frames)))

    def _store(self, frames: dict[Oid, bytes]) -> None:
        pack_id, data, index = pack.make(frames.items())
        self._note(pack_key(pack_id))
        self._backend.put(pack_key(pack_id), data)
        self._packs.add(pack_id, index)

    def _settle(self) -> None:
        """Wait for the pack that left first."""
        _, task = self._leaving[0]
        task.result()
        self._leaving.popleft()

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            workers = 8 if is_remote(self._backend) else 2
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="dpkg-pack")
        return self._pool
