"""A power cut: what was not synced may be lost, any part of it. No published commit may miss anything (STO-9, properties of FORMAT.md)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import dpkg
from dpkg import repository
from dpkg.repository import Repository
from dpkg.store.memory import MemoryBackend

PKG = "acme/x"


class Disk(MemoryBackend):
    """A store of which a cut takes what was put since the last sync, all or any part; stops at its n-th operation."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.loose: set[str] = set()
        self.left = -1

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def put(self, key: str, data: Any) -> None:
        self.step()
        super().put(key, data)
        self.loose.add(key)

    def create(self, key: str, data: bytes) -> bool:
        self.step()
        made = super().create(key, data)
        self.loose.discard(key)
        return made

    def sync(self) -> None:
        self.step()
        self.loose.clear()

    def cut(self, rng: random.Random) -> None:
        """The power goes: some files never reached the disk."""
        keep = rng.random()
        for key in sorted(self.loose):
            if rng.random() > keep:
                self.delete(key)
        self.loose.clear()


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Disk]:
    made: dict[str, Disk] = {}
    real = repository.open_backend
    monkeypatch.setattr(
        repository,
        "open_backend",
        lambda url: made.setdefault(url, Disk(url[6:])) if url.startswith("cut://") else real(url),
    )
    return made


def contents(rng: random.Random) -> dict[str, Any]:
    rows = {"id": list(range(300)), "x": [rng.choice([1, 2, 3]) for _ in range(300)]}
    return {
        "t": rows,
        "d": {f"b{i}": bytes([rng.choice([1, 2, 3])]) * 40 for i in range(3)},
        "u": {"a": [rng.choice([1, 2])]},
    }


def fill(folder: Path, rng: random.Random) -> None:
    folder.mkdir(exist_ok=True)
    for name, value in contents(rng).items():
        if name == "d":
            for blob, data in value.items():
                (folder / blob).write_bytes(data)
        else:
            rows = zip(*value.values(), strict=True)
            (folder / f"{name}.csv").write_text("\n".join([",".join(value), *(",".join(map(str, r)) for r in rows)]))


@pytest.mark.spec("STO-9")
@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(s, marks=pytest.mark.long) for s in range(6, 120))])
def test_nothing_published_is_incomplete(store: Any, tmp_path: Path, disks: dict[str, Disk], seed: int) -> None:
    """Pushes, installs and builds with cuts at random moments: after each, whatever a ref names is whole."""
    rng = random.Random(seed)
    store = type(store)(f"memory://{tmp_path}")
    place = f"cut://{seed}"
    for step in range(25):
        if rng.random() < 0.5:
            store.commit(PKG if rng.random() < 0.7 else "acme/y", contents(rng), str(step))
        call = rng.choice(["push", "install", "build"])
        disk = disks.setdefault(place, Disk(place[6:]))
        disk.left = rng.randint(1, 60) if rng.random() < 0.8 else -1
        try:
            for package in (PKG, "acme/y"):
                if call == "push":
                    dpkg.push(package, place, force=True)
                elif call == "install":
                    dpkg.install(package, store.url, force=True, store=place)
                else:
                    fill(tmp_path / "src", rng)
                    dpkg.build(package, str(tmp_path / "src"), store=place)
        except (KeyboardInterrupt, dpkg.DpkgError):
            disk.left = -1
            disk.cut(rng)
        disk.left = -1
        if disk.stat("format"):
            for package in list(Repository(place).refs.packages()):
                assert dpkg.verify(package, store=place).problems == ()


@pytest.mark.spec("STO-9")
@pytest.mark.parametrize("left", ["empty", "half", "zeros"])
@pytest.mark.parametrize("call", ["build", "install", "push"])
def test_what_a_cut_left_of_files_is_written_again(store: Any, tmp_path: Path, call: str, left: str) -> None:
    """Before the ref was written the power went: the files have their names, not all their bytes. The next run heals."""
    fill(tmp_path / "src", random.Random(1))
    target = str(tmp_path / "target")

    def go(place: str) -> None:
        if call == "build":
            dpkg.build(PKG, str(tmp_path / "src"), store=place)
            return
        dpkg.build(PKG, str(tmp_path / "src"), store=store.url)
        if call == "push":
            dpkg.push(PKG, place)
        else:
            dpkg.install(PKG, store.url, store=place)

    go(str(tmp_path / "whole"))
    Repository(target, create=True)
    cut = 0
    for file in sorted([*(tmp_path / "whole").glob("fragments/*/*"), *(tmp_path / "whole").glob("objects/*/*")]):
        data = file.read_bytes()
        to = tmp_path / "target" / file.relative_to(tmp_path / "whole")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes({"empty": b"", "half": data[: len(data) // 2], "zeros": bytes(len(data))}[left])
        cut += 1
    assert cut >= 8
    go(target)
    assert dpkg.verify(PKG, deep=True, store=target).problems == ()
