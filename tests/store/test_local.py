"""What is particular to a store in a folder."""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpkg.errors import Storage
from dpkg.store.base import Stat
from dpkg.store.local import LocalBackend, failure


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    return LocalBackend(str(tmp_path / "store"))


def test_list_sees_what_another_wrote(tmp_path: Path) -> None:
    one, two = LocalBackend(str(tmp_path)), LocalBackend(str(tmp_path))
    assert list(one.list("")) == []
    two.put("a", b"")
    assert [stat.key for stat in one.list("")] == ["a"]
    two.delete("a")
    assert list(one.list("")) == []


def test_list_leaves_out_what_is_no_key(local: LocalBackend, tmp_path: Path) -> None:
    local.put("a/b", b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_bytes(b"")
    os.symlink(tmp_path / "elsewhere", f"{local.url}/link")
    os.symlink(tmp_path / "elsewhere" / "x", f"{local.url}/a/link")
    Path(local.url, "a", "not a key").write_bytes(b"")
    Path(local.url, "tmp", "left").write_bytes(b"")
    os.mkfifo(f"{local.url}/pipe")
    assert [stat.key for stat in local.list("")] == ["a/b"]
    assert list(local.list("tmp/")) == []
    assert list(local.list("t")) == []


def test_limit_does_not_walk_the_whole_folder(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(20):
        local.put(f"a/{i:02}/x", b"")
    opened: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> Iterator[os.DirEntry[str]]:
        opened.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert [stat.key for stat in local.list("a/", 1)] == ["a/00/x"]
    assert len(opened) == 2


def test_put_that_fails_leaves_nothing(local: LocalBackend) -> None:
    local.put("a", b"old")

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(10)

    with pytest.raises(Storage):
        local.put("a", Broken(b"x" * 100))
    assert local.get("a") == b"old"
    assert os.listdir(f"{local.url}/tmp") == []


def test_a_file_where_a_folder_must_be(local: LocalBackend, tmp_path: Path) -> None:
    local.put("a", b"")
    for call in (lambda: local.put("a/b", b""), lambda: local.create("a/b", b"")):
        with pytest.raises(Storage, match="a file is where a folder must be") as caught:
            call()
        assert local.url in caught.value.message
        assert caught.value.hint
    (tmp_path / "file").write_bytes(b"")
    below_a_file = LocalBackend(str(tmp_path / "file" / "store"))
    with pytest.raises(Storage):
        below_a_file.put("a", b"")
    with pytest.raises(Storage):
        below_a_file.create("a", b"")
    assert list(below_a_file.list("")) == []
    local.put("d/e", b"")
    with pytest.raises(Storage):
        local.put("d", b"")


def test_permission(local: LocalBackend) -> None:
    local.put("a/b", b"x")
    os.chmod(f"{local.url}/a", 0)
    root = os.geteuid() == 0
    if root:  # whom nothing is refused
        os.seteuid(65534)
    try:
        for call in (lambda: local.get("a/b"), lambda: list(local.list("a/")), lambda: local.put("a/c", b"")):
            with pytest.raises(Storage, match="no permission") as caught:
                call()
            assert local.url in caught.value.message
        with pytest.raises(Storage, match="no permission"):
            local.stat("a/b")
        with pytest.raises(Storage, match="no permission"):
            local.create("a/c", b"")
    finally:
        if root:
            os.seteuid(0)
        os.chmod(f"{local.url}/a", 0o700)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EMFILE, "too many open files"),
        (errno.ENFILE, "too many open files"),
        (errno.ENOTDIR, "a file is where a folder must be"),
        (errno.EOPNOTSUPP, "hard links"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_failures_say(code: int, words: str) -> None:
    error = failure(OSError(code, os.strerror(code)), "write", "/store/a")
    assert words in f"{error.message} {error.hint}"
    assert "/store/a" in error.message
    assert error.hint


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_disk_full(local: LocalBackend) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    file = local.scratch()
    os.dup2(full, file.fileno())
    with pytest.raises(Storage, match="the disk is full"):
        file.write(b"new")
    local.discard(file)
    os.close(full)
    assert os.listdir(f"{local.url}/tmp") == []


def test_scratch_adopt_discard(local: LocalBackend) -> None:
    file = local.scratch()
    file.write(b"some bytes")
    local.adopt("a/b", file)
    assert local.get("a/b") == b"some bytes"
    local.discard(local.scratch())
    assert os.listdir(f"{local.url}/tmp") == []
    assert local.local_path("a/b") == f"{local.url}/a/b"


def test_stale_files(local: LocalBackend) -> None:
    assert local.stale_files() == []
    local.put("a", b"")
    for name, age in (("old", 90_000), ("young", 10)):
        path = f"{local.url}/tmp/{name}"
        Path(path).write_bytes(b"xyz")
        os.utime(path, (time.time() - age,) * 2)
    assert local.stale_files() == [Stat("tmp/old", 3)]
    assert local.stale_files(remove=True) == [Stat("tmp/old", 3)]
    assert os.listdir(f"{local.url}/tmp") == ["young"]


def test_sync_syncs_files_and_their_folders(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr("dpkg.store.local._fsync", synced.append)
    monkeypatch.setattr("dpkg.store.local._sync_file_system", lambda path: synced.append("all"))
    local.put("a/b/c", b"")
    synced.clear()
    local.sync()
    root = local.url
    assert synced == [f"{root}/a/b/c", f"{root}/a/b", f"{root}/a", root]
    synced.clear()
    local.sync()
    assert synced == []
    assert LocalBackend(root).stat("a/b/c")
    other = LocalBackend(root)
    other.stat("a/b/c")  # found, so built upon: its writer may not have synced it
    other.sync()
    assert f"{root}/a/b/c" in synced
    synced.clear()
    for i in range(100):
        local.put(f"many/{i}", b"")
    local.sync()
    assert synced == (["all"] if sys.platform == "linux" else synced)


def test_sync_for_real(local: LocalBackend) -> None:
    for i in range(100):
        local.put(f"many/{i}", b"x")
    local.sync()
    local.put("one", b"x")
    local.delete("one")
    local.sync()


def test_a_failed_sync_is_tried_again(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    local.put("a", b"")

    def broken(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    with monkeypatch.context() as patch:
        patch.setattr("dpkg.store.local._fsync", broken)
        with pytest.raises(Storage, match="cannot sync"):
            local.sync()
    synced: list[str] = []
    monkeypatch.setattr("dpkg.store.local._fsync", synced.append)
    local.sync()
    assert f"{local.url}/a" in synced
