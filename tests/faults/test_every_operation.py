"""Each command, disturbed at its n-th operation on stores, for every n: what is published stays whole, and a second run ends the work."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from commands import COMMANDS, World
from faulty import KINDS, Fault, Killed, under

from dpkg.errors import DpkgError

OTHERS = [kind for kind in KINDS if kind != "kills"]


def turns(kind: str, n: int) -> list[str]:
    """The faults that are tried at the n-th operation."""
    if kind == "memory":
        return ["kills", *([] if n % 4 else [OTHERS[n // 4 % len(OTHERS)]])]
    if kind == "local":
        return [] if n % 5 else [KINDS[n // 5 % len(KINDS)]]
    return list(KINDS)


@pytest.mark.spec("STO-9")
@pytest.mark.usefixtures("frozen", "unsynced")
@pytest.mark.parametrize("kind", ["memory", "local", pytest.param("all", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", COMMANDS)
def test_disturbed_at_every_operation(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory: killed at each operation; the other faults take turns at each fourth. In a folder: all take turns at each fifth."""
    for place in ("memory", "local") if kind == "all" else (kind,):
        world, command = World(place, tmp_path / place, monkeypatch), COMMANDS[name]
        command.before(world)
        world.save()
        old = world.check() if command.whole else None
        with under(Fault()) as calm:
            command.run(world)
        new = world.check()
        for n in count(1):
            hit = True
            for fault in turns(kind, n):
                world.back()
                hit = disturbed(world, name, Fault(fault, n), old, new)
            if not hit:
                break
        assert calm.count // 2 < n < 2 * calm.count


def disturbed(world: World, name: str, fault: Fault, old: dict | None, new: dict) -> bool:  # type: ignore[type-arg]
    """One run that is disturbed, and one that is not; whether the fault was met."""
    command, failed = COMMANDS[name], None
    with under(fault):
        try:
            command.run(world)
        except (DpkgError, Killed) as error:
            failed = error
    assert isinstance(failed, Killed) == (fault.hit and fault.kind == "kills")
    if failed is None:
        assert world.check() == new
    elif isinstance(failed, DpkgError):
        assert failed.exit_code == 8, failed
        assert failed.hint
    if old is not None:
        for url, refs in world.check().items():
            for ref in refs.keys() | old.get(url, {}).keys() | new.get(url, {}).keys():
                assert refs.get(ref) in (old.get(url, {}).get(ref), new.get(url, {}).get(ref)), ref
    with suppress(*([command.done] if command.done else [])):
        command.run(world)
    assert world.check() == new
    return fault.hit
