"""Processes that are really killed, without a word to anybody, at an operation on a store in a folder."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import crowd
import pytest
from commands import COMMANDS, World
from faulty import Fault, under


def run(name: str, folder: str, now: float, at: int) -> int:
    """A command that is killed at its n-th operation; how many it had, if it was not."""
    time.time = lambda: now  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patch, under(Fault("sigkill", at)) as fault:
        COMMANDS[name].run(World("local", Path(folder), patch))
    return fault.count


@pytest.mark.spec("STO-9")
@pytest.mark.usefixtures("frozen", "unsynced")
@pytest.mark.parametrize("times", [3, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["build", "push", "push --rebase", "install"])
def test_killed(name: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, now = World("local", tmp_path, monkeypatch), time.time()
    COMMANDS[name].before(world)
    world.save()
    old = world.check()
    total = crowd.start(run, name, str(tmp_path), now, 0).result()
    new = world.check()
    for n in sorted(random.Random(times).sample(range(1, total + 1), min(times, total))):
        world.back()
        victim = crowd.start(run, name, str(tmp_path), now, n)
        with suppress(EOFError):
            victim.result()
        assert victim.process.exitcode == -signal.SIGKILL
        for url, refs in world.check().items():
            assert all(oid in (old.get(url, {}).get(ref), new[url][ref]) for ref, oid in refs.items())
        COMMANDS[name].run(world)
        assert world.check() == new
