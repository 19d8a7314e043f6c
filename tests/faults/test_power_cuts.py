"""The power goes at the n-th operation of a command, and takes what was not synced: no published commit misses anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import disk
import pytest
from commands import COMMANDS, World
from faulty import Fault, Killed, under
from walker import Walker

from dpkg.errors import DpkgError
from dpkg.store import local
from dpkg.store.base import Stat
from dpkg.store.local import LocalBackend

EACH = [name for name in COMMANDS if name not in ("push --force", "install --force", "rm of a tag", "repair")]


class Cuts:
    """A command in a folder on a disk, which loses power at an operation."""

    def __init__(self, name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.command, self.disk = COMMANDS[name], disk.Disk(folder, patch)
        self.world = World("local", folder, patch)
        self.command.before(self.world)
        self.world.save()
        self.old = self.world.check()
        with under(Fault()) as calm:
            self.command.run(self.world)
        self.total, self.new = calm.count, self.world.check()

    def at(self, n: int, chance: Callable[[], float], again: bool = False) -> int:
        """A cut at the n-th operation, a look at what is published, and another run; how much was lost.

        With `again` the process is killed there, another one ends its work, and then the power goes.
        """
        self.world.back()
        self.disk.sync_all()
        with under(Fault("kills", n)), suppress(Killed):
            self.command.run(self.world)
        if again:
            self._again()
        lost = self.disk.cut(chance)
        found = {url: Walker(url).published() for url in self.world.urls}  # reads all of it
        if again or n > self.total:
            assert found == self.new  # what a command did that ended lasts
        for url, refs in found.items():
            for ref, oid in refs.items():
                assert oid in (self.old.get(url, {}).get(ref), self.new[url].get(ref)), ref
        self._again()
        assert {url: Walker(url).published() for url in self.world.urls} == self.new
        return lost

    def _again(self) -> None:
        with suppress(*([self.command.done] if self.command.done else [])):
            self.command.run(self.world)


@pytest.mark.spec("STO-9")
@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("seeds", [1, pytest.param(12, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", EACH)
def test_a_cut_at_every_operation(name: str, seeds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts, lost = Cuts(name, tmp_path, monkeypatch), 0
    for n in range(1, cuts.total + 3, 3 if seeds == 1 else 1):
        if seeds > 1:
            monkeypatch.setattr(local, "_FEW", n % 3 * 12)  # all files at once, or one by one
            lost += cuts.at(n, disk.nothing_lasts) + cuts.at(n, disk.all_is_lost, again=True)
        for seed in range(seeds):
            again = (n + seed) % 5 == 0
            lost += cuts.at(n, disk.all_is_lost if again else disk.by(seed * 1000 + n), again)
    assert lost > 5 or name not in ("build", "push", "install")  # some write little else than entries of logs


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "nothing is synced": lambda patch: patch.setattr(LocalBackend, "sync", lambda self: None),
    "folders are not": lambda patch: patch.setattr(LocalBackend, "_folders_of", lambda self, paths: []),
    "folders above are not": lambda patch: patch.setattr(
        LocalBackend, "_folders_of", lambda self, paths: sorted({os.path.dirname(p) for p in paths})
    ),
    "what others wrote is not": lambda patch: patch.setattr(LocalBackend, "stat", _careless),
    "a ref entry is not": lambda patch: patch.setattr(LocalBackend, "create", lambda self, *a: self.put(*a) or True),
}


def _careless(self: Any, key: str) -> Stat | None:
    path = f"{self.url}/{key}"
    return Stat(key, os.path.getsize(path)) if os.path.isfile(path) else None


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_missing_sync_is_noticed(mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests can fail: without one of the syncs a cut leaves something published that is not whole, or loses it."""
    cuts = Cuts("push, the first", tmp_path, monkeypatch)
    MUTANTS[mutant](monkeypatch)
    noticed = 0
    for n in range(cuts.total + 2, 0, -1):
        for chance, again in ((disk.all_is_lost, False), (disk.all_is_lost, True), (disk.nothing_lasts, False)):
            try:
                cuts.at(n, chance, again)
            except (AssertionError, DpkgError):
                noticed += 1
        if noticed:
            return
    raise AssertionError("no cut was noticed")
