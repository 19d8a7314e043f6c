"""The commands that are disturbed: what is there before each, what it does, and what a second run of it may say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from walker import Walker

import dpkg
from dpkg import refs
from dpkg.errors import DpkgError, NotFound
from dpkg.odb import object_key
from dpkg.oid import Oid
from dpkg.store import _memory, open_backend
from dpkg.store.memory import MemoryBackend

PKG = "acme/x"
STORES = ("here", "there", "theirs")


@dataclass
class World:
    """Three stores, in memory or in folders, of which there are copies to go back to; and a folder to build from."""

    kind: str
    folder: Path
    patch: pytest.MonkeyPatch
    saved: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.src = self.folder / "src"
        self.here, self.there, self.theirs = (self._url(name) for name in STORES)
        if not self.src.exists():
            self.edit("one")
        self._seen: dict[bytes, dict[str, Oid]] = {}
        self._pushes = count()
        self.patch.setattr(refs, "new_push", lambda: f"{next(self._pushes):032x}")  # so that the same gives the same

    def _url(self, name: str) -> str:
        return f"memory://{self.folder}/{name}" if self.kind == "memory" else str(self.folder / name)

    @property
    def urls(self) -> list[str]:
        return [url for url in (self.here, self.there, self.theirs) if open_backend(url).stat("format")]

    def save(self) -> None:
        for name in STORES:
            if self.kind == "memory":
                found = open_backend(self._url(name))
                assert isinstance(found, MemoryBackend)
                self.saved[name] = dict(found._values)
            else:
                copy(self.folder / name, self.folder / f"saved-{name}")

    def back(self) -> None:
        """All stores as they were when they were saved."""
        self._pushes = count(1000)
        for name in STORES:
            if self.kind == "memory":
                place = self._url(name).removeprefix("memory://")
                made = _memory[place] = MemoryBackend(place)
                made._values, made._keys = dict(self.saved[name]), sorted(self.saved[name])
            else:
                copy(self.folder / f"saved-{name}", self.folder / name)

    def edit(self, text: str) -> None:
        """Another state of the folder: a row and a blob differ, the rest stays."""
        (self.src / "d").mkdir(parents=True, exist_ok=True)
        (self.src / "t.csv").write_text(f"id,x\n1,a\n2,b\n3,{text}\n")
        (self.src / "d" / "b.bin").write_bytes(b"\0blob " + text.encode() * 200)
        (self.src / "same.bin").write_bytes(b"\0same")

    def check(self, verify: bool = True) -> dict[str, dict[str, Oid]]:
        """The refs of each store, once all of it was read, and verified; a state that was seen before is not read again."""
        found = {}
        for url in self.urls:
            backend, hasher = open_backend(url), blake3()
            for key in [stat.key for stat in backend.list("")]:
                hasher.update(key.encode() + b"\0" + backend.get(key))
            state = hasher.digest()
            if state not in self._seen:
                self._seen[state] = Walker(url).published()
                assert not verify or dpkg.verify(store=url).problems == ()
            found[url] = self._seen[state]
        return found


def copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)


def _built(w: World) -> None:
    dpkg.build(PKG, str(w.src), message="one", store=w.here)
    dpkg.tag(PKG, "v1", store=w.here)


def _many(w: World) -> None:
    """So many blobs that they go into packs."""
    for i in range(40):
        (w.src / f"b{i}.bin").write_bytes(b"\0%d" % i)


def _many_built(w: World) -> None:
    _many(w)
    _built(w)


def _pushed(w: World) -> None:
    _built(w)
    dpkg.push(PKG, w.there, store=w.here)


def _ahead(w: World) -> None:
    _pushed(w)
    w.edit("two")
    dpkg.build(PKG, str(w.src), message="two", store=w.here)
    dpkg.tag(PKG, "v2", store=w.here)


def _behind(w: World) -> None:
    _ahead(w)
    dpkg.push(PKG, w.there, store=w.here)
    dpkg.install(f"{PKG}@v1", w.there, store=w.theirs)


def _parted(w: World) -> None:
    _pushed(w)
    dpkg.install(PKG, w.there, store=w.theirs)
    for text, store in (("two", w.theirs), ("three", w.here)):
        w.edit(text)
        dpkg.build(PKG, str(w.src), message=text, store=store)
    dpkg.push(PKG, w.there, store=w.theirs)


def _damaged(w: World) -> None:
    """A blob is damaged, and a commit is gone."""
    _ahead(w)
    dpkg.push(PKG, w.there, store=w.here)
    backend, seen = open_backend(w.here), Walker(w.here)
    tip = seen.published()[f"{PKG}/heads/main"]
    backend.delete(object_key(tip))
    fragment = next(s.key for s in backend.list("fragments/"))
    backend.put(fragment, backend.get(fragment)[:-9] + bytes(9))


def _dropped(w: World) -> None:
    """A commit and its blob were replaced by force, and a tag was removed."""
    _parted(w)
    dpkg.tag(PKG, "v3", store=w.here)
    dpkg.rm(f"{PKG}@v3", store=w.here)
    dpkg.install(PKG, w.there, force=True, store=w.here)


@dataclass(frozen=True)
class Command:
    before: Callable[[World], None]
    run: Callable[[World], object]
    done: type[DpkgError] | None = None  # what it says if all was done already
    whole: bool = True  # whether the stores are, before it


def _edited(w: World) -> None:
    _pushed(w)
    w.edit("two")


COMMANDS = {
    "build, the first": Command(lambda w: None, lambda w: dpkg.build(PKG, str(w.src), store=w.here)),
    "build": Command(_edited, lambda w: dpkg.build(PKG, str(w.src), store=w.here)),
    "build of many": Command(_many, lambda w: dpkg.build(PKG, str(w.src), store=w.here)),
    "push of many": Command(_many_built, lambda w: dpkg.push(PKG, w.there, store=w.here)),
    "install of many": Command(_many_built, lambda w: dpkg.install(PKG, w.here, store=w.theirs)),
    "push, the first": Command(_built, lambda w: dpkg.push(PKG, w.there, store=w.here)),
    "push": Command(_ahead, lambda w: dpkg.push(PKG, w.there, store=w.here)),
    "push --rebase": Command(_parted, lambda w: dpkg.push(PKG, w.there, rebase=True, store=w.here)),
    "push --force": Command(_parted, lambda w: dpkg.push(PKG, w.there, force=True, store=w.here)),
    "install, the first": Command(_ahead, lambda w: dpkg.install(PKG, w.here, store=w.theirs)),
    "install": Command(_behind, lambda w: dpkg.install(PKG, w.there, store=w.theirs)),
    "install --force": Command(_parted, lambda w: dpkg.install(PKG, w.there, force=True, store=w.here)),
    "tag": Command(_built, lambda w: dpkg.tag(PKG, "v2", store=w.here)),
    "rm": Command(_ahead, lambda w: dpkg.rm(PKG, store=w.here), NotFound),
    "rm of a tag": Command(_ahead, lambda w: dpkg.rm(f"{PKG}@v2", store=w.here), NotFound),
    "repack": Command(_ahead, lambda w: dpkg.repack(store=w.here)),
    "gc": Command(_dropped, lambda w: dpkg.gc(resume=True, store=w.here)),
    "gc --keep-last": Command(_behind, lambda w: dpkg.gc(keep_last=1, resume=True, store=w.there)),
    "repack of packs": Command(_many_built, lambda w: dpkg.repack(all=True, store=w.here)),
    "repair": Command(_damaged, lambda w: dpkg.repair(from_=(w.there,), store=w.here), whole=False),
}
