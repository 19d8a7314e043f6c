"""A full disk, a folder of somebody else, no file handles left, a clock that jumps: one sentence, and the store is whole."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crowd
import pytest
from commands import COMMANDS, PKG, World
from walker import Walker

import dpkg
from dpkg.cli.main import main
from dpkg.store import local
from dpkg.store.local import Scratch

STORAGE = 8
FULL = ["build", "push", "install", "repack", "gc"]


def argv(name: str, w: World) -> list[str]:
    """The command line of one of `COMMANDS`."""
    return {
        "build": ["build", PKG, str(w.src), "--store", w.here],
        "push": ["push", PKG, w.there, "--store", w.here],
        "install": ["install", PKG, w.there, "--store", w.theirs],
        "repack": ["repack", "--store", w.here],
        "gc": ["gc", "--resume", "--store", w.here],
    }[name]


def one_sentence(err: str, *words: str) -> None:
    lines = err.splitlines()
    assert len([line for line in lines if line.startswith("dpk: ")]) == 1, err
    assert len(lines) > 1, err  # what to do
    assert "Traceback" not in err
    assert "should not happen" not in err
    assert any(word in err for word in words), err


def whole(w: World) -> None:
    for url in w.urls:
        Walker(url).published()
        assert dpkg.verify(store=url).problems == ()


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("free", [0, 8, 24, 60])
def test_a_full_disk(small_disk: Path, free: int, tmp_path: Path, capsys: Any) -> None:
    """A build into a store on a disk with some KiB left."""
    src, store = tmp_path / "src", str(small_disk / "store")
    src.mkdir()
    (src / "a.bin").write_bytes(os.urandom(3000))
    dpkg.build(PKG, str(src), store=store)
    old = Walker(store).published()
    for i in range(30):
        (src / f"b{i}.bin").write_bytes(os.urandom(4000))
    (src / "t.csv").write_text("a,b\n" + "1,2\n" * 5000)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        left = os.statvfs(small_disk)
        file.write(bytes(left.f_bavail * left.f_frsize - (free << 10)))
    assert main(["build", PKG, str(src), "--store", store]) == STORAGE
    one_sentence(capsys.readouterr().err, "the disk is full")
    assert Walker(store).published() == old
    assert dpkg.verify(store=store).problems == ()
    assert not os.path.exists(f"{store}/tmp") or os.listdir(f"{store}/tmp") == []
    filler.unlink()
    assert main(["build", PKG, str(src), "--store", store]) == 0
    assert Walker(store).published() != old
    assert dpkg.verify(store=store).problems == ()


CALLS: dict[str, tuple[Any, str]] = {  # what a full disk refuses
    "write": (Scratch, "write"),
    "link": (os, "link"),
    "replace": (os, "replace"),
    "mkdir": (os, "makedirs"),
    "sync": (local, "_fsync"),
}


@pytest.mark.usefixtures("frozen", "unsynced")
@pytest.mark.parametrize("error", [28, 5, 24, 30], ids=["full", "broken", "handles", "read-only"])
@pytest.mark.parametrize("name", FULL)
def test_the_system_refuses_at_any_call(
    name: str, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The n-th call of each kind that changes a folder fails, once; the next run goes on."""
    world = World("local", tmp_path, monkeypatch)
    COMMANDS[name].before(world)
    world.save()
    old = world.check()
    COMMANDS[name].run(world)
    new, refused = world.check(), 0
    for place, attribute in CALLS.values():
        for n in (1, 2, 3, 5, 8, 13):
            world.back()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(place, attribute, failing(getattr(place, attribute), n, error))
                code = main(argv(name, world))
            err = capsys.readouterr().err
            if code:
                refused += 1
                assert code == STORAGE, err
                one_sentence(err, "full", "error", "too many open files", "read-only")
                for url, refs in world.check().items():
                    assert all(o in (old.get(url, {}).get(ref), new[url].get(ref)) for ref, o in refs.items())
            assert main(argv(name, world)) == 0
            capsys.readouterr()
            assert {u: set(r) for u, r in world.check().items()} == {u: set(r) for u, r in new.items()}
    assert refused > 3


def failing(real: Callable[..., Any], n: int, error: int) -> Callable[..., Any]:
    calls = 0

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == n:
            failed = OSError(error, os.strerror(error), str(getattr(self, "path", self)))
            if real is WRITE:
                raise local.failure(failed, "write", str(self.path)) from failed
            raise failed
        return real(self, *args, **kwargs)

    return call


WRITE = Scratch.write


# Limits of a process


def limited(command: list[str], handles: int, size: int, user: int) -> tuple[int, str]:
    """A command line with so many file handles, files of so many bytes, as some user: its exit code and what it said."""
    import contextlib
    import io

    if size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    said = io.StringIO()
    main(["ls", "--store", command[command.index("--store") + 1]])  # what it needs is imported
    if handles >= 0:
        most = max(map(int, os.listdir("/proc/self/fd")))
        while (last := os.open(os.devnull, os.O_RDONLY)) <= most:
            pass  # the gaps are filled
        os.close(last)
        resource.setrlimit(resource.RLIMIT_NOFILE, (last + handles, last + handles))
    with contextlib.redirect_stderr(said):
        code = main(command)
    return code, said.getvalue()


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that any user can get to."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["build", "push", "install"])
def test_no_file_handles_left(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("local", tmp_path, monkeypatch)
    COMMANDS[name].before(world)
    world.save()
    done = 0
    for handles in (0, 1, 2, 3, 4, 40):
        world.back()
        code, err = crowd.start(limited, argv(name, world), handles, 0, 0).result()
        done += code == 0
        if code:
            assert code == STORAGE, err
            one_sentence(err, "too many open files", "Too many open files")
        whole(world)
        assert main(argv(name, world)) == 0
    assert 0 < done < 6


@pytest.mark.parametrize("name", ["build", "push", "install"])
def test_files_may_not_grow(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a quota is reached."""
    world = World("local", tmp_path, monkeypatch)
    COMMANDS[name].before(world)
    world.save()
    for size in (10, 200, 400):
        world.back()
        code, err = crowd.start(limited, argv(name, world), -1, size, 0).result()
        assert code == STORAGE, err
        one_sentence(err, "File too large")
        whole(world)
    assert main(argv(name, world)) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="another user can be tried by root only")
@pytest.mark.parametrize("name", FULL)
def test_a_folder_of_somebody_else(name: str, open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("local", open_folder, monkeypatch)
    COMMANDS[name].before(world)
    old = world.check()
    code, err = crowd.start(limited, argv(name, world), -1, 0, 65534).result()
    assert code == STORAGE, err
    one_sentence(err, "no permission to")
    assert world.check() == old
    assert main(argv(name, world)) == 0


# The clock


@pytest.mark.parametrize("now", [0, -5, 2**33, 2**52])
def test_a_clock_that_jumps(now: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back to 1970 and before, and far ahead: the order of commits and of entries is not that of the clock."""
    world, real = World("local", tmp_path, monkeypatch), time.time
    COMMANDS["push"].before(world)
    for i, moment in enumerate([now, real(), now - 1, now]):
        monkeypatch.setattr(time, "time", lambda moment=moment: float(moment))
        world.edit(f"edit {i}")
        built = dpkg.build(PKG, str(world.src), message=str(i), store=world.here)
        dpkg.tag(PKG, f"w{i}", store=world.here)
        dpkg.push(PKG, world.there, store=world.here)
        dpkg.install(PKG, world.there, store=world.theirs)
        dpkg.gc(store=world.here)
        assert {Walker(url).published()[f"{PKG}/heads/main"] for url in world.urls} == {built.commit}
        assert next(iter(dpkg.log(PKG, store=world.theirs))).message == str(i)
        assert main(["log", PKG, "--store", world.there]) == 0
    whole(world)
